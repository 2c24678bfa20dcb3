"""Measurements: work timed alternately, figures with their promises, and a table of them."""

from __future__ import annotations

import gc
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table
from threadpoolctl import threadpool_info


@dataclass(frozen=True)
class Bar:
    """A figure, with a promise and a goal.

    Parameters
    ----------
    what : str
        Name of the figure.
    value : float
        The figure.
    unit : str
        Its unit: ×, MB, %.
    promised : float, optional
        Bound that it has to keep.
    goal : float, optional
        Bound that is the goal.
    at_most : bool
        Whether the bounds are upper bounds.
    note : str
        The measurements behind a ratio.
    """

    what: str
    value: float
    unit: str
    promised: float | None = None
    goal: float | None = None
    at_most: bool = True
    note: str = ""

    @property
    def kept(self) -> bool:
        """Whether the promise is kept, if there is one."""
        if self.promised is None:
            return True
        return self.value <= self.promised if self.at_most else self.value >= self.promised

    def as_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return asdict(self) | {"kept": self.kept}


def alternate(
    prepare: Iterable[Callable[[], Callable[[], object]]], repeats: int, threads: int
) -> list[list[float]]:
    """Time several kinds of work alternately, and return the seconds of each by repeat.

    Neighbouring measurements share the load of the machine. With one thread, the times are processor time, which does
    not include that of other processes; with more they are wall time, since processor time adds up over threads.

    Parameters
    ----------
    prepare : iterable of callables
        Each prepares work, which is not timed, and returns it.
    repeats : int
        Number of repeats, after one that is not timed.
    threads : int
        Number of threads of the work.
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


def speed_ratio(
    what: str,
    baseline_seconds: Sequence[float],
    our_seconds: Sequence[float],
    amount: float,
    unit: str,
    promised: float | None = None,
    goal: float | None = None,
    difference: float | None = None,
) -> Bar:
    """Return the ratio of our speed to the baseline's: the median over neighbouring repeats.

    Parameters
    ----------
    what : str
        Name of the workload.
    baseline_seconds, our_seconds : sequence of float
        Seconds by repeat.
    amount : float
        Number of units in a repeat.
    unit : str
        Unit of the amount: epochs, steps, pairs.
    promised, goal : float, optional
        Smallest ratio.
    difference : float, optional
        Largest difference between both results; None if they train by different rules.
    """
    ratio = statistics.median(
        theirs / ours for theirs, ours in zip(baseline_seconds, our_seconds, strict=True)
    )
    rates = [f"{amount / statistics.median(each):,.0f}" for each in (baseline_seconds, our_seconds)]
    note = f"{rates[0]} → {rates[1]} {unit}/s"
    if difference is not None:
        note += f", results differ by {difference:.0e}"
    return Bar(what, ratio, "×", promised, goal, at_most=False, note=note)


def machine_description() -> dict[str, Any]:
    """Return the processor and the versions that figures depend on."""
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


def bar_cells(bar: Bar) -> list[str]:
    """Return the cells of a figure: its name, value, promise with verdict, goal, and note."""
    bound, verdict = "≤" if bar.at_most else "≥", "kept" if bar.kept else "missed"
    return [
        bar.what,
        f"{bar.value:.3g} {bar.unit}".strip(),
        "" if bar.promised is None else f"{bound} {bar.promised:g} {verdict}",
        "" if bar.goal is None else f"{bound} {bar.goal:g}",
        bar.note,
    ]


def bar_table(bars: Sequence[Bar]) -> Table:
    """Return figures as a table of the terminal."""
    table = Table("", box=box.SIMPLE)
    for heading in ("measured", "promised", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for bar in bars:
        table.add_row(*map(escape, bar_cells(bar)), style="" if bar.kept else "red")
    return table
