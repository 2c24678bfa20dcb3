"""A report of the benchmark as tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.bar import Bar
from benchmarks.environment import machine_description
from benchmarks.epoch_anatomy import EpochAnatomy
from benchmarks.machine import Anatomy
from benchmarks.report import COMMAND_AT_MOST, Report
from benchmarks.timing import Comparison


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
    if report.epochs:
        console.print(_epoch_table(report.epochs))
    if report.bars:
        console.print(_bar_table(report.bars))
    for line in report.left_out:
        console.print(line, markup=False)


def print_machine(console: Console) -> None:
    """Print what the figures depend on."""
    versions = machine_description()
    console.print(
        f"{versions['processor']}, {versions['cores']} cores; Python {versions['python']}, "
        f"NumPy {versions['numpy']}, {versions['blas']}\n",
        highlight=False,
    )


def _comparison_table(workload: str, threads: int | None, comparisons: Sequence[Comparison]) -> Table:
    title = f"{workload[0].upper()}{workload[1:]}"
    if threads is not None:
        title += f", {_thread_count(threads)}"
    unit = comparisons[0].unit
    table = Table(f"{unit} a second", box=box.SIMPLE, title=escape(title), title_justify="left")
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


def _epoch_table(epochs: Sequence[EpochAnatomy]) -> Table:
    title = f"Where an exact epoch of {epochs[0].words:,} words spends its time, float32"
    table = Table("", box=box.SIMPLE, title=title, title_justify="left")
    for one in epochs:
        table.add_column(_thread_count(one.threads), justify="right")
    median = statistics.median
    rows: dict[str, Callable[[EpochAnatomy], str]] = {
        "square products, GFLOP/s": lambda one: f"{median(one.gemm_rates) / 1e9:.0f}",
        "operations of its three products, 10⁹": lambda one: f"{one.operations / 1e9:.3g}",
        "an epoch, s": lambda one: f"{median(one.epoch_seconds):.3g}",
        "  products alone, s": lambda one: f"{median(one.product_seconds):.3g}",
        "  exponentials alone, s": lambda one: f"{median(one.exponential_seconds):.3g}",
        "  rest, s": lambda one: f"{one.rest_seconds:.3g}",
        "of the square rate: the products alone": lambda one: f"{one.products_share_of_rate:.0f} %",
        "of the square rate: the whole epoch": lambda one: f"{one.share_of_rate:.0f} %",
    }
    for name, cell in rows.items():
        table.add_row(name, *map(cell, epochs))
    return table


def _bar_table(bars: Sequence[Bar]) -> Table:
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
