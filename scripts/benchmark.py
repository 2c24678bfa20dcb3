"""Measure speed, as ratios to a plain rendering of the article's recipe.

    python scripts/benchmark.py                               everything: two minutes
    python scripts/benchmark.py --only article pairs          some of it
    python scripts/benchmark.py --threads 1 --json speed.json

Both sides run in turns in this process, with the same number of BLAS threads; a ratio is the median over the
repeats. Results are compared first: what is faster and wrong is an error. The exit code is 1 if a promise is
not kept. docs/speed.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.machine import Anatomy, anatomy
from benchmarks.timing import Comparison
from benchmarks.workloads import (
    FULL,
    TINY,
    Size,
    article_training,
    command_seconds,
    pair_generation,
    steps_at_a_real_vocabulary,
)
from rich import box
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_info

from w2v_exp.errors import UserError
from w2v_exp.files import replacing

PARTS = ("article", "steps", "pairs", "command", "machine")
COMMAND_AT_MOST = 1.0  # CPU seconds


@dataclass(frozen=True)
class Report:
    """All that was measured."""

    comparisons: list[Comparison]
    command_seconds: list[float]
    anatomies: list[Anatomy]

    @property
    def kept(self) -> bool:
        """Whether every promise is kept."""
        command = not self.command_seconds or statistics.median(self.command_seconds) < COMMAND_AT_MOST
        return command and all(comparison.kept for comparison in self.comparisons)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    choices = _parser().parse_args(arguments)
    size = TINY if choices.tiny else FULL
    if choices.repeats:
        size = replace(size, repeats=choices.repeats)
    try:
        report = measure(size, choices.only, choices.threads)
    except (UserError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 2
    console = Console()
    show(report, console)
    if choices.tiny:
        console.print("These sizes are tiny: that it runs is all that the figures say.")
    if choices.json:
        with replacing(choices.json) as stream:
            json.dump(as_json(report), stream, indent=1)
    return 0 if choices.tiny or report.kept else 1


def measure(size: Size, parts: Sequence[str], threads: Sequence[int]) -> Report:
    """Measure the chosen parts; those that use BLAS with each of these numbers of threads."""
    report = Report([], [], [])
    for count in threads:
        if "article" in parts:
            report.comparisons.extend(article_training(size, count))
        if "steps" in parts:
            report.comparisons.extend(steps_at_a_real_vocabulary(size, count))
        if "machine" in parts:
            report.anatomies.extend(anatomy(size, count))
    if "pairs" in parts:
        report.comparisons.extend(pair_generation(size))
    if "command" in parts:
        report.command_seconds.extend(command_seconds(size.repeats))
    return report


def show(report: Report, console: Console) -> None:
    """Print the report as tables."""
    print_machine(console)
    tables = groupby(report.comparisons, lambda one: (one.workload, one.threads))
    for (workload, threads), comparisons in tables:
        console.print(_comparison_table(workload, threads, list(comparisons)))
    if report.command_seconds:
        seconds = statistics.median(report.command_seconds)
        console.print(
            f"python -m w2v_exp tracking=none epochs=1: {seconds:.2f} s of CPU "
            f"(at most {COMMAND_AT_MOST:.0f} s: {_verdict(seconds < COMMAND_AT_MOST)})\n"
        )
    if report.anatomies:
        console.print(_anatomy_table(report.anatomies))


def print_machine(console: Console) -> None:
    """Print what the figures depend on."""
    versions = machine()
    console.print(
        f"{versions['processor']}, {versions['cores']} cores; Python {versions['python']}, "
        f"NumPy {versions['numpy']}, {versions['blas']}\n",
        highlight=False,
    )


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor and versions."""
    blas = [
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture')})" for pool in threadpool_info()
    ]
    names = [
        line.split(":", 1)[1].strip()
        for line in _lines(Path("/proc/cpuinfo"))
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": ", ".join(blas),
    }


def as_json(report: Report) -> dict[str, Any]:
    """Return the report with every repeat, as JSON has it."""
    return {
        "machine": machine(),
        "kept": report.kept,
        "comparisons": [comparison.as_dict() for comparison in report.comparisons],
        "command_seconds": report.command_seconds,
        "anatomies": [anatomy.as_dict() for anatomy in report.anatomies],
    }


def _comparison_table(workload: str, threads: int, comparisons: Sequence[Comparison]) -> Table:
    unit = comparisons[0].unit
    table = Table(
        f"{unit} a second",
        box=box.SIMPLE,
        title=f"{workload[0].upper()}{workload[1:]}, {_thread_count(threads)}",
        title_justify="left",
    )
    for heading in ("baseline", "ours", "ratio", "promised", "goal", "differs by"):
        table.add_column(heading, justify="right")
    for one in comparisons:
        table.add_row(
            one.variant,
            _readable(one.baseline_rate),
            _readable(one.our_rate),
            f"{one.ratio:.2f}",
            "" if one.at_least is None else f"{one.at_least:g} {_verdict(one.kept)}",
            "" if one.goal is None else f"{one.goal:g}",
            "" if one.difference is None else f"{one.difference:.0e}",
        )
    return table


def _readable(rate: float) -> str:
    return f"{rate:,.0f}" if rate < 1e6 else f"{rate / 1e6:,.1f} M"


def _thread_count(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def _anatomy_table(anatomies: Sequence[Anatomy]) -> Table:
    table = Table("", box=box.SIMPLE, title="The machine, and a step of real text", title_justify="left")
    for one in anatomies:
        table.add_column(f"{one.dtype}\n{_thread_count(one.threads)}", justify="right")
    rows: dict[str, Callable[[Anatomy], str]] = {
        "square products, GFLOP/s": lambda one: f"{one.gemm_rate:.0f}",
        "exponentials, 10⁹/s": lambda one: f"{one.exponential_rate:.2f}",
        "copying, GB/s": lambda one: f"{one.copy_rate:.1f}",
        "distinct centres": lambda one: f"{one.distinct_centres:.1f}",
        "a step, ms": lambda one: f"{one.step_seconds * 1e3:.2f}",
        "its products, ms": lambda one: f"{one.product_seconds * 1e3:.2f}",
        "  share of the step": lambda one: f"{one.product_share:.0%}",
        "  GFLOP/s": lambda one: f"{one.product_rate:.0f}",
        "arithmetic floor, ms": lambda one: f"{one.floor_seconds * 1e3:.2f}",
        "  floor / step": lambda one: f"{one.floor_share:.0%}",
        "traffic if uncached, ms": lambda one: f"{one.traffic_seconds * 1e3:.2f}",
    }
    for name, cell in rows.items():
        table.add_row(name, *map(cell, anatomies))
    return table


def _verdict(kept: bool) -> str:
    return "[green]kept[/]" if kept else "[red]missed[/]"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # not Linux
        return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument(
        "--threads",
        nargs="+",
        type=int,
        default=sorted({1, os.cpu_count() or 1}),
        help="of BLAS, one after the other; default: 1, and as many as there are cores",
    )
    parser.add_argument("--repeats", type=int, help=f"of everything; default: {FULL.repeats}")
    parser.add_argument("--json", type=Path, help="a file for all figures, repeat by repeat")
    parser.add_argument("--tiny", action="store_true", help="see that it runs; the figures mean nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
