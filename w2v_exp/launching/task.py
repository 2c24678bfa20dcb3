"""One run of a sweep: as it is sent to a process, done there, and recorded if that process was lost."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, NamedTuple

from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobStatus, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from w2v_exp.choices import MlflowTracking
from w2v_exp.config import Sources, plan_of, register_schema, without_hydra
from w2v_exp.errors import UserError
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.plan import Plan
from w2v_exp.processes import messages_on_stderr
from w2v_exp.runs import RunResult, read_result, write_result

if TYPE_CHECKING:
    from w2v_exp.tracking.store import Store
    from w2v_exp.tracking.upload import Pending

_log = logging.getLogger(__name__)

OUTPUT_FILE = "output.txt"


class Task(NamedTuple):
    """A run of a sweep: a few words, from which any process makes the same configuration.

    Parameters
    ----------
    number : int
        Of the run in its sweep, from 0.
    overrides : tuple of str
        What makes its configuration, Hydra's own part included.
    sources : Sources
        Where its options are; by absolute paths.
    """

    number: int
    overrides: tuple[str, ...]
    sources: Sources

    @classmethod
    def of_sweep(cls, sweep: DictConfig, sources: Sources, number: int, overrides: Sequence[str]) -> Task:
        """Return a run of the sweep that Hydra has composed."""
        return cls(number, tuple(map(str, [*sweep.hydra.overrides.hydra, *overrides])), sources)

    def composed(self) -> DictConfig:
        """Return the run's configuration, as Hydra's own launcher would make it."""
        config = self.sources.compose(self.overrides)
        with read_write(config.hydra.job), open_dict(config.hydra.job):
            config.hydra.job.num = self.number
            config.hydra.job.id = str(self.number)
        return config


def task_plan(task: Task) -> Plan:
    """Return the plan of a run, checked."""
    return plan_of(task.composed())


def task_info(config: DictConfig) -> RunInfo:
    """Return who the run of a composed configuration is, without beginning it."""
    folder = Path(config.hydra.sweep.dir) / str(OmegaConf.select(config, "hydra.sweep.subdir"))
    return RunInfo.of_job(without_hydra(config), config.hydra, folder.absolute())


def perform(task: Task) -> None:
    """Do a run, in whatever process: its result is in its folder then, and in its store."""
    with messages_on_stderr():
        _perform(task, _composed_here(task))


def perform_quietly(task: Task) -> None:
    """Do a run whose words go to a file in its folder, for several runs would talk at the same time."""
    config = _composed_here(task)
    with output_to(task_info(config).folder), messages_on_stderr():
        _perform(task, config)


def _composed_here(task: Task) -> DictConfig:
    """Return a run's configuration, in a process that has perhaps seen nothing of Hydra yet."""
    register_schema()
    return task.composed()


def _perform(task: Task, config: DictConfig) -> None:
    from w2v_exp.experiment.job import job  # late: who only sends tasks need not load what trains

    context = HydraContext(config_loader=None, callbacks=Callbacks(config))
    try:
        done = run_job(
            job,
            config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=context,
        )
    except KeyboardInterrupt as interruption:
        if not has_result(task):  # else the signal came when the run had ended
            record_end(task, "KILLED", str(interruption) or "interrupted")
        raise
    if done.status == JobStatus.FAILED:
        # An error of the code is told like a run's other failures: who has started this may be far away, or gone.
        error = done._return_value  # the public property would raise it
        record_end(task, "FAILED", f"{type(error).__name__}: {error}")
        raise error


@contextmanager
def output_to(folder: Path) -> Iterator[None]:
    """Send all that this process says to a file in a folder, what C code says included; an empty one is deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / OUTPUT_FILE
    _flush()
    before = [os.dup(number) for number in (1, 2)]
    with path.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        _flush()
        for number, kept in zip((1, 2), before, strict=True):
            os.dup2(kept, number)
            os.close(kept)
        if not path.stat().st_size:
            path.unlink()


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def has_result(task: Task) -> bool:
    """Return whether a run has told its end."""
    info = task_info(task.composed())
    return read_result(info.folder, info.sweep) is not None


def record_end(task: Task, status: str, reason: str) -> RunResult:
    """Write down, in the run's folder and in its store, how a run ended that could not do so itself.

    What it has logged until then stays, and is part of the result.
    """
    config = task.composed()
    info = task_info(config)
    plan = plan_of(config)
    result = RunResult(
        name=info.name,
        swept=info.swept,
        seed=plan.seed,
        status=status,
        reason=" ".join(reason.split()),
    )
    try:
        info.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(plan.tracking, MlflowTracking):
            result = end_lost_record(plan.tracking, info.tags(), info.folder, result)
        write_result(result, info.folder, info.sweep)
    except OSError as error:  # a full disk; the other runs go on
        _log.warning(f"{info.folder}: {error.strerror or error}.")
    return result


def end_lost_record(
    tracking: MlflowTracking,
    tags: Mapping[str, str],
    folder: Path,
    result: RunResult,
    patience: float | None = None,
) -> RunResult:
    """End a run in the store, if it had begun there, and return its result with what was logged.

    A run that the store has as finished stays so, and its result is that of the store.

    A store that is locked or away is retried for `patience` seconds, by default a minute. After that the end is kept
    in the run's folder, with the metrics that the run itself could not deliver, and the result's reason says so.

    Parameters
    ----------
    tracking : MlflowTracking
        The store.
    tags : mapping of str to str
        The run's, by which it is found.
    folder : Path
        The run's folder.
    result : RunResult
        How the run has ended.
    """
    from w2v_exp.tracking.store import PATIENCE_SECONDS, open_store, patiently
    from w2v_exp.tracking.upload import Delivery

    patience = PATIENCE_SECONDS if patience is None else patience
    pending = _pending_end(tracking, tags, folder, result)
    try:
        store = patiently(lambda: open_store(tracking.uri, tracking.experiment), tracking.uri, patience)
        problem = Delivery(store.client, pending, folder).finish(patience)
        if problem:
            raise UserError(problem)
        if not pending.run_id:
            return result
        logged = patiently(lambda: _logged_result(store, pending.run_id), tracking.uri, patience)
    except UserError as error:
        if pending:
            pending.write(folder)
        return replace(result, reason=f"{result.reason} ({error})")
    if logged.status == "FINISHED":  # it was lost between its last call of the store and its result
        return replace(logged, name=result.name, swept=result.swept)
    return replace(result, run_id=pending.run_id, metrics=logged.metrics, curves=logged.curves)


def _pending_end(
    tracking: MlflowTracking, tags: Mapping[str, str], folder: Path, result: RunResult
) -> Pending:
    """Return what the store lacks of a lost run: its end, and what the run itself has left."""
    from w2v_exp.tracking.store import experiment_id, experiment_name, store_uri
    from w2v_exp.tracking.upload import FILE, Pending

    quote = '"' if "'" in tags["sweep"] else "'"
    pending = Pending(
        store_uri(tracking.uri),
        experiment_name(tracking.experiment),
        experiment_id=experiment_id(tracking.experiment),
        existing=f"tags.sweep = {quote}{tags['sweep']}{quote} and tags.`sweep.number` = '{tags['sweep.number']}'",
    )
    try:
        left = Pending.read(folder)
        if left.uri == pending.uri and left.run_id:
            pending = left
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        _log.warning(f"{folder / FILE}: cannot be read ({error}); its metrics are lost.")
    if pending.status != "FINISHED":  # else it was lost while it waited for the store
        pending.tags["reason"] = result.reason
        pending.status, pending.end_time = result.status, int(time() * 1000)
    return pending


def _logged_result(store: Store, run_id: str) -> RunResult:
    from w2v_exp.tracking.history import recorded_results

    (logged,) = recorded_results(store, [store.client.get_run(run_id)])
    return logged
