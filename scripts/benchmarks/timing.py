"""Two ways of doing the same work, timed in turns."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from time import perf_counter, process_time
from typing import Any


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
        CPU seconds with one thread, else seconds.
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
