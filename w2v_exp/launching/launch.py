"""Runs launched where there is room, until all have ended."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from w2v_exp.config import Sources
from w2v_exp.errors import UserError
from w2v_exp.experiment.build import split_text
from w2v_exp.experiment.estimate import estimate_run
from w2v_exp.experiment.inputs import Pretrained, read_trainable_text
from w2v_exp.launching.executors import Engine
from w2v_exp.launching.settings import (
    JoblibSettings,
    LocalSettings,
    Settings,
    SlurmSettings,
    make_settings,
)
from w2v_exp.launching.task import Task, has_result, record_end, task_plan
from w2v_exp.machine import available_cores, available_memory
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText
from w2v_exp.tracking.progress import runs_bar


@dataclass
class Room:
    """What this machine has for the runs of a sweep, and what of it is taken.

    Parameters
    ----------
    needs : callable
        Says what a run takes.
    cores : int
        To keep busy.
    memory : int or None
        Bytes; None where nobody knows.
    runs : int or None
        So many at once, however many cores they keep busy; None lets cores decide.
    """

    needs: Callable[[Task], Needs]
    cores: int
    memory: int | None
    runs: int | None = None
    _taken: dict[int, Needs] = field(default_factory=dict)

    def take(self, task: Task) -> bool:
        """Take room for a run, if there is enough; for the only one at a time there always is: it may refuse itself."""
        needs = self.needs(task)
        if self._taken and not self._fits(needs):
            return False
        self._taken[task.number] = needs
        return True

    def free(self, task: Task) -> None:
        """Free what a run has taken."""
        del self._taken[task.number]

    def _fits(self, needs: Needs) -> bool:
        taken = self._taken.values()
        if self.runs is not None:
            if len(taken) >= self.runs:
                return False
        elif sum(each.cores for each in taken) + needs.cores > self.cores:
            return False
        return self.memory is None or sum(each.memory for each in taken) + needs.memory <= self.memory


PROCESS_BYTES = 300_000_000  # Python with all that a run loads: NumPy, SciPy, MLflow, Matplotlib
MARGIN = 1.15  # so near are estimates to what is measured; see docs/memory.md
WITHOUT_EFFECT = ("seed=", "learning_rate=", "cost_every=", "probes=", "change=")  # on memory


class Needs(NamedTuple):
    """What a run takes while it lasts.

    Parameters
    ----------
    cores : int
        That it keeps busy.
    memory : int
        Bytes, those of its process included.
    """

    cores: int
    memory: int


class Appraiser:
    """Says what runs need, and remembers it: a sweep has many runs that differ in nothing that takes memory."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Needs] = {}
        self._text: tuple[str, EncodedText] | None = None

    def __call__(self, task: Task) -> Needs:
        """Return what a run needs: only a process, where the rest cannot be known; the run will say why."""
        key = tuple(text for text in task.overrides if not text.startswith(WITHOUT_EFFECT))
        if key not in self._known:
            plan = task_plan(task)
            try:
                memory = self._estimate(plan)
            except UserError:
                memory = 0
            self._known[key] = Needs(plan.threads * plan.workers, PROCESS_BYTES + round(MARGIN * memory))
        return self._known[key]

    def _estimate(self, plan: Plan) -> int:
        text = self._read(plan)
        training, _ = split_text(plan, text)
        return estimate_run(plan, training, len(text.vocabulary), Pretrained.read(plan).memory).total

    def _read(self, plan: Plan) -> EncodedText:
        """Return the plan's text; the last one is kept. A long one is in the cache then, where all runs find it."""
        name = repr((plan.corpus, plan.tokenizer, plan.vocabulary))
        if self._text is None or self._text[0] != name:
            self._text = None  # not two at once
            self._text = name, read_trainable_text(plan)
        return self._text[1]


PATIENCE = 1.0  # seconds that a wait for the end of a run lasts before it is taken up again
LAST_SECONDS = 30.0  # that interrupted runs have to write down what there is
SLURM_KEYS = ("array_parallelism", "signal_delay_s", "partition", "account", "qos", "constraint")


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
        engine = make_engine(self._settings, str(self._sweep.hydra.sweep.dir), tasks)
        Launch(engine, make_room(self._settings)).do(tasks)
        # Without configurations and results, which Hydra's own launcher keeps: those of many runs are large.
        # How a run ended stands in its folder.
        return [JobReturn(overrides=task.overrides, status=JobStatus.COMPLETED) for task in tasks]


def make_engine(settings: Settings, folder: str, tasks: Sequence[Task]) -> Engine:
    """Return the executor of these runs; their sweep has this folder."""
    if isinstance(settings, JoblibSettings):
        from w2v_exp.launching.executors import Workers  # late: joblib and submitit are optional

        return Workers()
    from w2v_exp.launching.executors import LocalJobs, SlurmJobs

    if isinstance(settings, LocalSettings):
        return LocalJobs(folder)
    return SlurmJobs(folder, slurm_request(settings, tasks))


def slurm_request(settings: SlurmSettings, tasks: Sequence[Task]) -> dict[str, Any]:
    """Return the parameters of a job, by sbatch's names: enough for the run of these that needs most."""
    memory, cores = settings.mem_gb, settings.cpus_per_task
    if memory is None or cores is None:
        needs = [*map(Appraiser(), tasks)]
        memory = memory or math.ceil(max(each.memory for each in needs) / 2**30 * 10) / 10
        cores = cores or max(each.cores for each in needs)
    request: dict[str, Any] = {key: getattr(settings, key) for key in SLURM_KEYS}
    request |= {"time": settings.timeout_min, "mem": f"{math.ceil(memory * 1024)}M", "cpus_per_task": cores}
    # Since Slurm 22.05 what a job starts is not given the cores of the job.
    request["srun_args"] = [f"--cpus-per-task={cores}"]
    if settings.setup:
        request["setup"] = list(settings.setup)
    if settings.additional_parameters:
        request["additional_parameters"] = dict(settings.additional_parameters)
    return {key: value for key, value in request.items() if value is not None}


def make_room(settings: Settings) -> Room | None:
    """Return the cores and memory that runs share on this machine; None for Slurm, which shares out its own."""
    if isinstance(settings, SlurmSettings):
        return None
    memory = available_memory() if settings.memory_gb is None else round(settings.memory_gb * 1e9)
    return Room(Appraiser(), available_cores(), memory, settings.n_jobs)


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
            if fate and not has_result(task):
                record_end(task, "KILLED", fate)
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
            if not has_result(task):
                record_end(task, "KILLED", "interrupted")
