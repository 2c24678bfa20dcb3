"""What is measured: times in turns, figures with what is promised of them, and both as tables."""

from __future__ import annotations

import gc
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from threadpoolctl import threadpool_info


@dataclass(frozen=True)
class Bar:
    """A figure, and what is promised of it.

    Parameters
    ----------
    what : str
        What was measured.
    value : float
        The figure.
    unit : str
        Its unit: GB, MB, %.
    promised : float, optional
        What it must reach, or must not exceed.
    goal : float, optional
        What is wished for.
    at_most : bool
        Whether less is better.
    """

    what: str
    value: float
    unit: str
    promised: float | None = None
    goal: float | None = None
    at_most: bool = True

    @property
    def kept(self) -> bool:
        """Whether the promise is kept, if there is one."""
        if self.promised is None:
            return True
        return self.value <= self.promised if self.at_most else self.value >= self.promised

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON has it."""
        return asdict(self) | {"kept": self.kept}


@dataclass(frozen=True)
class Comparison:
    """How long the baseline and ours took, repeat by repeat.

    Parameters
    ----------
    workload, variant : str
        What was done, and which of our ways of doing it.
    unit : str
        What is counted: epochs, steps, pairs.
    amount : int
        How many of them a repeat has.
    threads : int or None
        BLAS threads of both sides; None where BLAS has no part in it.
    baseline_seconds, our_seconds : list of float
        CPU seconds with one thread, else seconds on the clock.
    at_least : float, optional
        The ratio that is promised.
    goal : float, optional
        The ratio that is wished for.
    difference : float, optional
        The largest difference between the results of the two; None where they are not to be the same.
    """

    workload: str
    variant: str
    unit: str
    amount: int
    threads: int | None
    baseline_seconds: list[float]
    our_seconds: list[float]
    at_least: float | None = None
    goal: float | None = None
    difference: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as fast as the baseline ours is: the median over the repeats."""
        return statistics.median(
            baseline / ours for baseline, ours in zip(self.baseline_seconds, self.our_seconds, strict=True)
        )

    @property
    def baseline_rate(self) -> float:
        """Units a second, by the median repeat."""
        return self.amount / statistics.median(self.baseline_seconds)

    @property
    def our_rate(self) -> float:
        """Units a second, by the median repeat."""
        return self.amount / statistics.median(self.our_seconds)

    @property
    def kept(self) -> bool:
        """Whether the promise is kept, if there is one."""
        return self.at_least is None or self.ratio >= self.at_least

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON has it."""
        rates = {"baseline_rate": self.baseline_rate, "our_rate": self.our_rate}
        return asdict(self) | {"ratio": self.ratio, "kept": self.kept} | rates


@dataclass(frozen=True)
class Report:
    """All that was measured, and what could not be, with the reason."""

    comparisons: list[Comparison] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether every promise is kept."""
        return all(one.kept for one in self.comparisons) and all(bar.kept for bar in self.bars)

    def as_dict(self) -> dict[str, Any]:
        """Return the report with every repeat, as JSON has it."""
        return {
            "machine": machine_description(),
            "kept": self.kept,
            "comparisons": [one.as_dict() for one in self.comparisons],
            "bars": [one.as_dict() for one in self.bars],
            "left_out": self.left_out,
        }


def alternate(
    prepare: Iterable[Callable[[], Callable[[], object]]], repeats: int, threads: int
) -> list[list[float]]:
    """Time several kinds of work in turns, and return the seconds of each, repeat by repeat.

    Neighbours in time share what else goes on in the machine. With one thread it is CPU time, which leaves
    out what others take; with more it is the time on the clock, for CPU time sums the threads'.

    Parameters
    ----------
    prepare : iterable of callables
        Each makes work that is ready to be timed; what making it takes is not counted.
    repeats : int
        How often each is done, after one time that is not counted.
    threads : int
        Of the work.
    """
    clock = process_time if threads == 1 else perf_counter
    kinds = list(prepare)
    seconds: list[list[float]] = [[] for _ in kinds]
    for repeat in range(repeats + 1):
        for taken, kind in zip(seconds, kinds, strict=True):
            work = kind()
            gc.collect()
            started = clock()
            work()
            if repeat:
                taken.append(clock() - started)
    return seconds


def machine_description() -> dict[str, Any]:
    """Return what the figures depend on: processor and versions."""
    blas = [
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture')})" for pool in threadpool_info()
    ]
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": ", ".join(blas),
    }


def show(report: Report, console: Console) -> None:
    """Print a report as tables."""
    versions = machine_description()
    console.print(
        f"{versions['processor']}, {versions['cores']} cores; Python {versions['python']}, "
        f"NumPy {versions['numpy']}, {versions['blas']}\n",
        highlight=False,
    )
    for (workload, threads), some in groupby(report.comparisons, lambda one: (one.workload, one.threads)):
        console.print(_comparison_table(workload, threads, list(some)))
    if report.bars:
        console.print(bar_table(report.bars))
    for line in report.left_out:
        console.print(line, markup=False)


def _comparison_table(workload: str, threads: int | None, comparisons: Sequence[Comparison]) -> Table:
    title = f"{workload[0].upper()}{workload[1:]}"
    if threads is not None:
        title += f", {threads} thread{'s' * (threads != 1)}"
    unit = comparisons[0].unit
    table = Table(f"{unit} a second", box=box.SIMPLE, title=escape(title), title_justify="left")
    for heading in ("baseline", "ours", "ratio", "promised", "goal", "differs by"):
        table.add_column(heading, justify="right")
    for one in comparisons:
        table.add_row(
            one.variant,
            *(f"{r:,.0f}" if r < 1e6 else f"{r / 1e6:,.1f} M" for r in (one.baseline_rate, one.our_rate)),
            f"{one.ratio:.2f}",
            "" if one.at_least is None else f"{one.at_least:g} {_verdict(one.kept)}",
            "" if one.goal is None else f"{one.goal:g}",
            "" if one.difference is None else f"{one.difference:.0e}",
        )
    return table


def bar_table(bars: Sequence[Bar]) -> Table:
    """Return bars as a table."""
    table = Table("", box=box.SIMPLE)
    for heading in ("measured", "promised", "goal"):
        table.add_column(heading, justify="right")
    for one in bars:
        bound = "≤" if one.at_most else "≥"
        table.add_row(
            escape(one.what),
            f"{one.value:.3g} {one.unit}",
            "" if one.promised is None else f"{bound} {one.promised:g} {_verdict(one.kept)}",
            "" if one.goal is None else f"{bound} {one.goal:g}",
        )
    return table


def _verdict(kept: bool) -> str:
    return "[green]kept[/]" if kept else "[red]missed[/]"
