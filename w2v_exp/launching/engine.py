"""What an engine does: it starts runs somewhere, and says which of them have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from w2v_exp.launching.task import Task


class Ended(NamedTuple):
    """A run that goes on no more.

    Parameters
    ----------
    task : Task
        The run.
    fate : str
        What has become of its process, should the run not have told its end; empty where it certainly has.
    """

    task: Task
    fate: str


class Engine(Protocol):
    """Processes, here or on other machines, that do runs."""

    def start(self, tasks: Sequence[Task]) -> None:
        """Start these runs, all of them at once."""

    def ended(self, patience: float) -> list[Ended]:
        """Return the runs that have ended since the last time, after waiting for one for some seconds."""

    def terminate(self) -> None:
        """Ask all runs to end, as SIGTERM does."""

    def close(self) -> None:
        """End all processes that are left, at once."""
