"""A run of a sweep: as it is sent to a process, executed there, and recorded if that process crashed."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
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
    """A run of a sweep, from which every process composes the same configuration.

    Parameters
    ----------
    number : int
        Number of the run in its sweep, from 0.
    overrides : tuple of str
        All overrides, those of Hydra's own part included.
    sources : Sources
        Sources of its options, with absolute paths.
    """

    number: int
    overrides: tuple[str, ...]
    sources: Sources

    def compose(self) -> DictConfig:
        """Return the run's configuration, as Hydra's own launcher composes it."""
        register_schema()
        config = self.sources.compose(self.overrides)
        with read_write(config.hydra.job), open_dict(config.hydra.job):
            config.hydra.job.num = self.number
            config.hydra.job.id = str(self.number)
        return config

    def plan(self) -> Plan:
        """Return the run's plan, checked."""
        return plan_of(self.compose())


def run_task(task: Task) -> None:
    """Execute a run: afterwards its result is in its folder and in MLflow, and its output in `OUTPUT_FILE`.

    Raises
    ------
    KeyboardInterrupt, Exception
        What interrupted the run, or an error of the code; both are recorded like other failures, since whoever started
        this process may be far away, or gone.
    """
    from w2v_exp.experiment.run import execute  # a process that only sends tasks need not import it

    config = task.compose()
    context = HydraContext(config_loader=None, callbacks=Callbacks(config))
    with redirect_output(_run_info(config).folder), messages_on_stderr():
        try:
            done = run_job(execute, config, "hydra.sweep.dir", "hydra.sweep.subdir", hydra_context=context)
        except KeyboardInterrupt as interruption:
            if not has_result(task):  # else the signal came after the end of the run
                record_end(task, "KILLED", str(interruption) or "interrupted")
            raise
        if done.status == JobStatus.FAILED:
            error = done._return_value  # the public property raises it
            record_end(task, "FAILED", f"{type(error).__name__}: {error}")
            raise error


@contextmanager
def redirect_output(folder: Path) -> Iterator[None]:
    """Redirect the output of this process, that of C code included, to a file; if that is empty, delete it."""
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


def _run_info(config: DictConfig) -> RunInfo:
    folder = Path(config.hydra.sweep.dir) / str(OmegaConf.select(config, "hydra.sweep.subdir"))
    return RunInfo.of_job(without_hydra(config), config.hydra, folder.absolute())


def has_result(task: Task) -> bool:
    """Return whether a run has written its result."""
    info = _run_info(task.compose())
    return read_result(info.folder, info.sweep) is not None


def record_end(task: Task, status: str, reason: str) -> RunResult:
    """Record the end of a run that could not do so itself, in its folder and in MLflow.

    Everything that it has logged is kept, and is part of the result.
    """
    config = task.compose()
    info = _run_info(config)
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
    except OSError as error:  # a full disk must not stop the other runs
        _log.warning(f"{info.folder}: {error.strerror or error}.")
    return result


def end_lost_record(
    tracking: MlflowTracking,
    tags: Mapping[str, str],
    folder: Path,
    result: RunResult,
    patience: float | None = None,
) -> RunResult:
    """End a crashed run in the store, if it was created there, and return its result with the logged metrics.

    A run that has the status FINISHED in the store keeps it, and its result is that of the store.

    If the store does not respond, retry for `patience` seconds, by default a minute. After that the end stays pending
    in the run's folder, with the metrics that the run itself could not upload, and the result's reason mentions it.

    Parameters
    ----------
    tracking : MlflowTracking
        The store.
    tags : mapping of str to str
        Tags of the run, by which it is found.
    folder : Path
        The run's folder.
    result : RunResult
        Status and reason of its end.
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
    if logged.status == "FINISHED":  # it crashed after its last upload, before it wrote its result
        return replace(logged, name=result.name, swept=result.swept)
    return replace(result, run_id=pending.run_id, metrics=logged.metrics, curves=logged.curves)


def _pending_end(
    tracking: MlflowTracking, tags: Mapping[str, str], folder: Path, result: RunResult
) -> Pending:
    """Return the pending data of a crashed run: its end, and the data that the run itself could not upload."""
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
    if pending.status != "FINISHED":  # else it crashed while it waited for the store
        pending.tags["reason"] = result.reason
        pending.status, pending.end_time = result.status, int(time() * 1000)
    return pending


def _logged_result(store: Store, run_id: str) -> RunResult:
    from w2v_exp.tracking.history import recorded_results

    (logged,) = recorded_results(store, [store.client.get_run(run_id)])
    return logged
