"""Live progress bars, on the terminal that standard error goes to."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from types import TracebackType

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from w2v_exp.reporting.escape import visible_console
from w2v_exp.training.trainer import EpochRecord

REFRESH_SECONDS = 0.1


class ProgressBar:
    """Shows epoch, cost, pairs a second and the time left of a run.

    Parameters
    ----------
    title : str
        What stands before the bar, such as the number of the run in its sweep.
    epochs, pairs : int
        Of the run; pairs is the number an epoch has.
    cost : str
        The name of an epoch's cost.
    """

    def __init__(self, title: str, epochs: int, pairs: float, cost: str = "cost") -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=visible_console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._progress.add_task(title, total=epochs * pairs, state="")
        self._epochs = epochs
        self._epoch = 0
        self._cost_name, self._cost = cost, math.nan
        self._pairs_before: float | None = None  # of an interruption
        self._next_refresh = 0.0

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_step(self, pairs_done: float) -> None:
        """Move the bar, if it is time to."""
        if self._pairs_before is None:
            self._pairs_before, self._started = pairs_done, perf_counter()
        now = perf_counter()
        if now < self._next_refresh:
            return
        self._next_refresh = now + REFRESH_SECONDS
        speed = (pairs_done - self._pairs_before) / max(now - self._started, 1e-9)
        cost = "" if math.isnan(self._cost) else f"{self._cost_name} {self._cost:.4f}  "
        state = f"epoch {min(self._epoch + 1, self._epochs)}/{self._epochs}  {cost}{speed:,.0f} pairs/s"
        self._progress.update(self._task, completed=pairs_done, state=state)
        self._progress.refresh()

    def on_epoch(self, record: EpochRecord) -> None:
        """Take note of the cost."""
        self._epoch, self._cost = record.epoch + 1, record.cost


@contextmanager
def runs_bar(total: int) -> Iterator[Callable[[int, int], None]]:
    """Give what shows how many runs of a sweep have ended, and how many go on: a bar where there is a terminal."""
    if not sys.stderr.isatty():
        yield lambda ended, running: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn())
    going_on = TextColumn("{task.fields[running]} at once")
    with Progress(*columns, going_on, console=visible_console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs", total=total, running=0)
        yield lambda ended, running: bar.update(task, advance=ended, running=running)


class BytesBar:
    """Shows how many bytes are done, if it takes longer than a moment."""

    def __init__(self, title: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TimeRemainingColumn(compact=True),
            console=visible_console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> BytesBar:
        self._next_refresh = perf_counter() + REFRESH_SECONDS
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, done: int, total: int | None) -> None:
        """Move the bar, if it is time to."""
        if perf_counter() < self._next_refresh:
            return
        self._next_refresh = perf_counter() + REFRESH_SECONDS
        self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
        self._bar.refresh()
