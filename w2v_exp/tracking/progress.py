"""Live progress: bars on the terminal that standard error goes to, or in the output of a notebook's cell."""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from importlib import import_module
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from w2v_exp.errors import shown
from w2v_exp.reporting.escape import visible_console
from w2v_exp.training.trainer import Callback, EpochRecord

if TYPE_CHECKING:
    from rich.progress import Progress

REFRESH_SECONDS = 0.1
NOTEBOOK_SECONDS = 0.5  # a refresh is a message to the browser
_is_hidden = ContextVar("_is_hidden", default=False)


@contextmanager
def progress_hidden() -> Iterator[None]:
    """Show no progress in this block."""
    token = _is_hidden.set(True)
    try:
        yield
    finally:
        _is_hidden.reset(token)


def place_of_progress() -> str:
    """Return where progress is shown: ``terminal``, ``notebook``, or "" for nowhere."""
    if _is_hidden.get():
        return ""
    if sys.stderr is not None and sys.stderr.isatty():
        return "terminal"
    IPython = sys.modules.get("IPython")
    shell = IPython.get_ipython() if IPython else None
    return "notebook" if getattr(shell, "kernel", None) else ""


@contextmanager
def training_bar(title: str, epochs: int, pairs: float, cost: str = "cost") -> Iterator[Callback | None]:
    """Yield a callback of the trainer that shows its progress; None if it is shown nowhere.

    Parameters
    ----------
    title : str
        Text before the bar, such as the number of the run in its sweep.
    epochs, pairs : int
        Of the run; pairs is the number of an epoch.
    cost : str
        The name of an epoch's cost.
    """
    place = place_of_progress()
    if not place:
        yield None
        return
    with (TerminalBar if place == "terminal" else NotebookBar)(title, epochs, pairs, cost) as bar:
        yield bar


class TrainingBar(AbstractContextManager["TrainingBar"]):
    """Epoch, cost and pairs per second of a run; subclasses show them."""

    interval = REFRESH_SECONDS

    def __init__(self, title: str, epochs: int, pairs: float, cost: str = "cost") -> None:
        self._title, self._epochs, self._total = title, epochs, epochs * pairs
        self._epoch = 0
        self._cost_name, self._cost = cost, math.nan
        self._pairs_before: float | None = None  # of an interruption
        self._next_refresh = 0.0

    def on_step(self, pairs_done: float) -> None:
        """Move the bar, if it is time to."""
        if self._pairs_before is None:
            self._pairs_before, self._started = pairs_done, perf_counter()
        now = perf_counter()
        if now < self._next_refresh:
            return
        self._next_refresh = now + self.interval
        speed = (pairs_done - self._pairs_before) / max(now - self._started, 1e-9)
        self.show(pairs_done, f"{self._state()}  {speed:,.0f} pairs/s")

    def on_epoch(self, record: EpochRecord) -> None:
        """Keep the cost, for the next refresh."""
        self._epoch, self._cost = record.epoch + 1, record.cost

    def show(self, pairs_done: float, state: str) -> None:
        """Show the bar at this number of pairs, with a text."""
        raise NotImplementedError

    def _state(self) -> str:
        cost = "" if math.isnan(self._cost) else f"  {self._cost_name} {self._cost:.4f}"
        return f"epoch {min(self._epoch + 1, self._epochs)}/{self._epochs}{cost}"


class TerminalBar(TrainingBar):
    """The bar on a terminal, which is removed at the end."""

    def __enter__(self) -> TerminalBar:
        from rich.progress import TextColumn, TimeRemainingColumn

        state = TextColumn("{task.fields[state]}", markup=False)
        self._progress = _bar(state, TimeRemainingColumn(compact=True), auto_refresh=False)
        self._task = self._progress.add_task(self._title, total=self._total, state="")
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, pairs_done: float, state: str) -> None:
        """Show the bar at this number of pairs, with a text."""
        self._progress.update(self._task, completed=pairs_done, state=state)
        self._progress.refresh()


class NotebookBar(TrainingBar):
    """The bar in the output of a cell; at the end its last state stays, with the time."""

    interval = NOTEBOOK_SECONDS

    def __enter__(self) -> NotebookBar:
        self._output = _CellOutput()
        self._began = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._epoch = max(0, self._epoch - 1)  # the last one that has ended
        how = "" if kind is None else "  interrupted"
        line = f"{self._title}: {self._state()}  {perf_counter() - self._began:.1f} s{how}"
        self._output.show(line)

    def show(self, pairs_done: float, state: str) -> None:
        """Show the bar at this number of pairs, with a text."""
        self._output.show(f"{self._title}: {state}", pairs_done / self._total)


class _CellOutput:
    """A line in the output of a notebook's cell, replaced by each next one."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, line: str, share: float | None = None) -> None:
        """Show a line, with a bar of a share from 0 to 1."""
        line = shown(line, 200)
        bar = "" if share is None else f'<progress value="{min(share, 1):.4f}" max="1"></progress> '
        data = {"text/plain": line, "text/html": f"{bar}<span>{html.escape(line)}</span>"}
        if self._handle is None:
            display = import_module("IPython.display").display  # a notebook has it
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def _bar(*columns: Any, **options: Any) -> Progress:
    """Return a bar of Rich on standard error, which is removed at the end."""
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        *columns,
        console=visible_console(stderr=True),
        transient=True,
        **options,
    )


@contextmanager
def runs_bar(total: int) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows how many runs of a sweep have ended, and how many are running: on a terminal."""
    if place_of_progress() != "terminal":
        yield lambda ended, running: None
        return
    from rich.progress import MofNCompleteColumn, TextColumn

    with _bar(MofNCompleteColumn(), TextColumn("{task.fields[running]} at once")) as bar:
        task = bar.add_task("runs", total=total, running=0)
        yield lambda ended, running: bar.update(task, advance=ended, running=running)


@contextmanager
def tasks_bar(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function of a step, its finished tasks and all of them, which shows them."""
    place = place_of_progress()
    if not place:
        yield lambda step, done, of: None
    elif place == "notebook":
        output = _CellOutput()
        yield lambda step, done, of: output.show(
            f"{title}, {step}: {done} of {of}", done / of if of else None
        )
        output.show(f"{title}: done")
    else:
        from rich.progress import MofNCompleteColumn

        bar = _bar(MofNCompleteColumn(), auto_refresh=False)
        task = bar.add_task(title, total=None)

        def show(step: str, done: int, of: int) -> None:
            bar.start()
            bar.update(task, description=f"{title}, {step}", completed=done, total=of)
            bar.refresh()

        try:
            yield show
        finally:
            bar.stop()


@contextmanager
def bytes_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function of the bytes done and in all, which shows them if it takes longer than a moment."""
    place = place_of_progress()
    next_refresh = perf_counter() + REFRESH_SECONDS

    def is_due() -> bool:
        nonlocal next_refresh
        if perf_counter() < next_refresh:
            return False
        next_refresh = perf_counter() + (REFRESH_SECONDS if place == "terminal" else NOTEBOOK_SECONDS)
        return True

    if not place:
        yield lambda done, total: None
    elif place == "notebook":
        output = _CellOutput()
        has_shown = False

        def show_in_cell(done: int, total: int | None) -> None:
            nonlocal has_shown
            if is_due():
                has_shown = True
                of = f" of {total / 1e6:,.1f}" if total else ""
                output.show(f"{title}: {done / 1e6:,.1f}{of} MB", done / total if total else None)

        yield show_in_cell
        if has_shown:
            output.show(f"{title}: done")
    else:
        from rich.progress import DownloadColumn, TimeRemainingColumn

        bar = _bar(DownloadColumn(), TimeRemainingColumn(compact=True), auto_refresh=False)
        task = bar.add_task(title, total=None)

        def show(done: int, total: int | None) -> None:
            if is_due():
                bar.start()
                bar.update(task, completed=done, total=total)
                bar.refresh()

        try:
            yield show
        finally:
            bar.stop()
