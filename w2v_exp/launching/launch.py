"""Execution of a sweep's runs: each starts when cores and memory are free, until all have ended."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from omegaconf import DictConfig

from w2v_exp.composer import Composer
from w2v_exp.config import hydra_overrides
from w2v_exp.errors import UserError
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.experiment.build import split_text
from w2v_exp.experiment.estimate import estimate_run
from w2v_exp.experiment.inputs import Pretrained, read_text, text_inputs
from w2v_exp.launching.executors import Executor, JoblibWorkers, SlurmJobs
from w2v_exp.launching.settings import Settings, SlurmSettings
from w2v_exp.launching.task import Task, has_result, record_end, share_composer
from w2v_exp.machine import available_cores, available_memory
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText
from w2v_exp.tracking.companion import Mirror
from w2v_exp.tracking.progress import runs_bar

WAIT_SECONDS = 1.0  # for a run to end, until the progress bar is drawn again
LAST_SECONDS = 30.0  # in which interrupted runs save their results


def launch_runs(
    settings: Settings,
    sweep: DictConfig,
    composer: Composer,
    overrides: Sequence[Sequence[str]],
    first: int = 0,
    *,
    on_end: Callable[[int], None] | None = None,
    mirror: Mirror | None = None,
) -> None:
    """Execute the runs of a sweep, or of a batch of it; how each ended is recorded in its folder.

    Parameters
    ----------
    settings : JoblibSettings or SlurmSettings
        The launcher.
    sweep : DictConfig
        The sweep's configuration, Hydra's own part included.
    composer : Composer
        Composes the configurations of the runs.
    overrides : sequence of sequences of str
        The overrides of each run.
    first : int
        Number of the first of these runs in the sweep.
    on_end : callable, optional
        Is called every second with the number of runs that have ended since the last call, when the next runs have been
        started.
    mirror : Mirror or None
        Uploads the journals of runs on this machine; None: their processes do.

    Raises
    ------
    UserError
        If Slurm rejects the jobs.
    """
    common = hydra_overrides(sweep)
    sources = composer.sources.absolute()
    share_composer(composer, sources)
    tasks = [
        Task(number, (*common, *map(str, given)), sources, is_mirrored=mirror is not None)
        for number, given in enumerate(overrides, first)
    ]
    estimate = ResourceEstimator()
    if isinstance(settings, SlurmSettings):
        parameters = slurm_parameters(settings, lambda: [*map(estimate, tasks)])
        Launch(SlurmJobs(str(sweep.hydra.sweep.dir), parameters), None, on_end).run(tasks)
    else:
        memory = available_memory() if settings.memory_gb is None else round(settings.memory_gb * 1e9)
        pool = ResourcePool(estimate, available_cores(), memory, settings.n_jobs)
        Launch(JoblibWorkers(), pool, on_end, mirror).run(tasks)


class Launch:
    """Waiting and running runs.

    Parameters
    ----------
    executor : Executor
        Executes the runs.
    pool : ResourcePool or None
        Limits the simultaneous runs; None starts all at once, and the executor limits them.
    on_end : callable, optional
        Is called with the number of runs that have ended.
    mirror : Mirror or None
        Uploads their journals; None: their processes do.
    """

    def __init__(
        self,
        executor: Executor,
        pool: ResourcePool | None,
        on_end: Callable[[int], None] | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self._executor, self._pool, self._on_end, self._mirror = executor, pool, on_end, mirror
        self._running: dict[int, Task] = {}
        self._folders: dict[int, Path] = {}  # of those with a mirror

    def run(self, tasks: Iterable[Task]) -> None:
        """Execute all of these; on an interruption end the running ones, which save their results."""
        waiting = deque(tasks)
        try:
            with runs_bar(len(waiting)) as show:
                ended = 0
                while waiting or self._running:
                    self._start(waiting)
                    if self._on_end:
                        self._on_end(ended)
                    ended = self._collect()
                    show(ended, len(self._running))
        except KeyboardInterrupt:
            self._interrupt()
            raise
        finally:
            self._executor.close()

    def _start(self, waiting: deque[Task]) -> None:
        """Start the next runs for which resources are free."""
        starting: list[Task] = []
        while waiting and (self._pool is None or self._pool.reserve(waiting[0])):
            starting.append(waiting.popleft())
        if starting:
            self._running |= {task.number: task for task in starting}
            self._executor.start(starting)
            if self._mirror:
                for task in starting:
                    self._folders[task.number] = task.folder()
                    self._mirror.follow(self._folders[task.number])

    def _collect(self) -> int:
        """Wait for runs to end, record those that crashed, and return the number of ended runs."""
        ended = self._executor.ended(WAIT_SECONDS)
        for task, exit_reason in ended:
            if exit_reason and not has_result(task):
                record_end(task, "KILLED", exit_reason)
            if self._mirror:
                self._mirror.end(self._folders.pop(task.number))
            del self._running[task.number]
            if self._pool is not None:
                self._pool.release(task)
        return len(ended)

    def _interrupt(self) -> None:
        """Terminate the running runs, and record those that do not end in time."""
        self._executor.terminate()
        until = monotonic() + LAST_SECONDS
        while self._running and monotonic() < until:
            self._collect()
        self._executor.close()
        for task in self._running.values():
            if not has_result(task):
                record_end(task, "KILLED", "interrupted")
            if self._mirror:
                self._mirror.end(self._folders[task.number])


class Resources(NamedTuple):
    """Cores and memory of a run.

    Parameters
    ----------
    cores : int
        Number of cores that it keeps busy.
    memory : int
        Bytes, those of its process included.
    """

    cores: int
    memory: int


@dataclass
class ResourcePool:
    """Cores and memory of this machine, and the runs that they are reserved for.

    Parameters
    ----------
    estimate : callable
        Returns the resources of a run.
    cores : int
        Number of cores.
    memory : int or None
        Bytes; None if unknown.
    runs : int or None
        Number of simultaneous runs, regardless of their cores; None: limited by the cores.
    """

    estimate: Callable[[Task], Resources]
    cores: int
    memory: int | None
    runs: int | None = None
    _reserved: dict[int, Resources] = field(default_factory=dict)

    def reserve(self, task: Task) -> bool:
        """Reserve a run's resources and return True if they are free, or if nothing else is running.

        A run that does not fit on its own is started, checks its memory, and fails with a list of remedies.
        """
        needed = self.estimate(task)
        if self._reserved and not self._fits(needed):
            return False
        self._reserved[task.number] = needed
        return True

    def release(self, task: Task) -> None:
        """Release the resources of a run."""
        del self._reserved[task.number]

    def _fits(self, needed: Resources) -> bool:
        reserved = self._reserved.values()
        if self.runs is not None:
            if len(reserved) >= self.runs:
                return False
        elif sum(each.cores for each in reserved) + needed.cores > self.cores:
            return False
        return self.memory is None or sum(each.memory for each in reserved) + needed.memory <= self.memory


PROCESS_BYTES = 300_000_000  # Python with the packages of a run: NumPy, SciPy, MLflow, Matplotlib
MARGIN = 1.15  # largest measured ratio of peak memory to its estimate; see docs/memory.md
WITHOUT_EFFECT = ("seed=", "learning_rate=", "cost_every=", "probes=", "change=")  # on memory


class ResourceEstimator:
    """Estimates the resources of runs; those that differ in nothing that affects memory are estimated once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Resources] = {}
        self._text: tuple[tuple[object, ...], EncodedText | CountedText] | None = None

    def __call__(self, task: Task) -> Resources:
        """Return the resources of a run; those of its process alone if its text cannot be read: the run will fail."""
        key = tuple(text for text in task.overrides if not text.startswith(WITHOUT_EFFECT))
        if key not in self._known:
            plan = task.plan()
            try:
                memory = self._estimate(plan)
            except UserError:
                memory = 0
            self._known[key] = Resources(plan.threads * plan.workers, PROCESS_BYTES + round(MARGIN * memory))
        return self._known[key]

    def _estimate(self, plan: Plan) -> int:
        text = self._read(plan)
        training, _ = split_text(plan, text)
        return estimate_run(plan, training, len(text.vocabulary), Pretrained.read(plan).memory).total

    def _read(self, plan: Plan) -> EncodedText | CountedText:
        """Return the plan's text, and keep it for the next run. This also caches long texts before the runs start."""
        parts = text_inputs(plan)
        if self._text is None or self._text[0] != parts:
            self._text = None  # release it before the next one is read
            self._text = parts, read_text(plan)
        return self._text[1]


def slurm_parameters(settings: SlurmSettings, estimate: Callable[[], list[Resources]]) -> dict[str, Any]:
    """Return the parameters of a job, by submitit's names, for the largest of the runs.

    Parameters
    ----------
    settings : SlurmSettings
        The launcher.
    estimate : callable
        Returns the resources of all runs; not called if the settings define them.
    """
    memory, cores = settings.mem_gb, settings.cpus_per_task
    if memory is None or cores is None:
        resources = estimate()
        memory = memory or math.ceil(max(each.memory for each in resources) / 2**30 * 10) / 10
        cores = cores or max(each.cores for each in resources)
    return settings.parameters(cores, memory)
