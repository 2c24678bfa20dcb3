"""The runs of a sweep, started where there is room for them, until all have ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from w2v_exp.config import Sources
from w2v_exp.launching.engine import Engine
from w2v_exp.launching.lost_run import has_told, tell_end
from w2v_exp.launching.room import Room
from w2v_exp.launching.settings import make_settings
from w2v_exp.launching.task import Task
from w2v_exp.tracking.progress import runs_bar

PATIENCE = 1.0  # seconds that a wait for the end of a run lasts before it is taken up again
LAST_SECONDS = 30.0  # that interrupted runs have to write down what there is


class SweepLauncher:
    """The launchers of ``conf/hydra/launcher``, called as Hydra's.

    Parameters
    ----------
    name : str
        Of the option; see `w2v_exp.launching.settings.LAUNCHERS`.
    settings : mapping of str to object
        The other keys of ``hydra.launcher``.
    sweep : DictConfig
        The configuration of the sweep, as Hydra has composed it.
    sources : Sources
        Where the runs' options are.
    """

    def __init__(self, name: str, settings: Mapping[str, Any], sweep: DictConfig, sources: Sources) -> None:
        self._settings, self._sweep, self._sources = make_settings(name, settings), sweep, sources

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Do the runs of a sweep, or of a batch of it, and return what Hydra wants of each.

        Parameters
        ----------
        job_overrides : sequence of sequences of str
            What makes each run.
        initial_job_idx : int
            The number of the first of them in the sweep.
        """
        tasks = [
            Task.of_sweep(self._sweep, self._sources, initial_job_idx + place, given)
            for place, given in enumerate(job_overrides)
        ]
        engine = self._settings.engine(str(self._sweep.hydra.sweep.dir), tasks)
        Launch(engine, self._settings.room()).do(tasks)
        # Without configurations and results, which Hydra's own launcher keeps: those of many runs are large.
        # How a run ended stands in its folder.
        return [JobReturn(overrides=task.overrides, status=JobStatus.COMPLETED) for task in tasks]


class Launch:
    """Runs that are waiting, going on and over.

    Parameters
    ----------
    engine : Engine
        What does them.
    room : Room or None
        How many fit at once; None lets the engine decide that.
    """

    def __init__(self, engine: Engine, room: Room | None) -> None:
        self._engine, self._room = engine, room
        self._running: dict[int, Task] = {}

    def do(self, tasks: Iterable[Task]) -> None:
        """Do all of these; where the sweep is interrupted, end those that have begun, and keep what they have."""
        waiting = deque(tasks)
        try:
            with runs_bar(len(waiting)) as show:
                while waiting or self._running:
                    self._start(waiting)
                    show(self._gather(PATIENCE), len(self._running))
        except KeyboardInterrupt:
            self._interrupt()
            raise
        finally:
            self._engine.close()

    def _start(self, waiting: deque[Task]) -> None:
        """Start as many runs as there is room for, in their order."""
        starting: list[Task] = []
        while waiting and (self._room is None or self._room.take(waiting[0])):
            starting.append(waiting.popleft())
        if starting:
            self._running |= {task.number: task for task in starting}
            self._engine.start(starting)

    def _gather(self, patience: float) -> int:
        """Wait for runs to end, see to it that each has told its result, and return how many they were."""
        ended = self._engine.ended(patience)
        for task, fate in ended:
            if fate and not has_told(task):
                tell_end(task, "KILLED", fate)
            del self._running[task.number]
            if self._room is not None:
                self._room.free(task)
        return len(ended)

    def _interrupt(self) -> None:
        """Ask the runs to end, and tell the end of those that do not answer."""
        self._engine.terminate()
        until = monotonic() + LAST_SECONDS
        while self._running and monotonic() < until:
            self._gather(PATIENCE)
        self._engine.close()
        for task in self._running.values():
            if not has_told(task):
                tell_end(task, "KILLED", "interrupted")
