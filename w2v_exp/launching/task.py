"""A run of a sweep: as it is sent to a process, executed there, and recorded if that process crashed."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from w2v_exp.choices import MlflowTracking
from w2v_exp.composer import Composer
from w2v_exp.config import Sources, plan_of, register_schema, without_hydra
from w2v_exp.errors import UserError
from w2v_exp.experiment.job import SWEEP, run_job
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.files import DamagedFileError
from w2v_exp.plan import Plan
from w2v_exp.processes import messages_on_stderr
from w2v_exp.results import RunResult, read_result, write_result
from w2v_exp.tracking.companion import ParentsMirror

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
    is_mirrored : bool
        Whether the process that starts the run has its journal uploaded.
    """

    number: int
    overrides: tuple[str, ...]
    sources: Sources
    is_mirrored: bool = False

    def compose(self) -> DictConfig:
        """Return the run's configuration, as Hydra's own launcher composes it."""
        register_schema()
        if self.sources not in _composers:
            share_composer(Composer(self.sources), self.sources)
        config = _composers[self.sources].compose(self.overrides)
        with read_write(config.hydra.job), open_dict(config.hydra.job):
            config.hydra.job.num = self.number
            config.hydra.job.id = str(self.number)
        return config

    def plan(self) -> Plan:
        """Return the run's plan, checked."""
        return plan_of(self.compose())

    def folder(self) -> Path:
        """Return the run's folder."""
        return _run_info(self.compose()).folder


_composers: dict[Sources, Composer] = {}  # of the current sweep: a process executes several of its runs


def share_composer(composer: Composer, sources: Sources) -> None:
    """Let all tasks with these sources use a composer, in this process, and forget those of earlier sweeps."""
    _composers.clear()
    _composers[sources] = composer


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
    with redirect_output(_run_info(config).folder), messages_on_stderr():
        try:
            job = partial(execute, mirror=ParentsMirror()) if task.is_mirrored else execute
            done = run_job(job, config, SWEEP, Callbacks(config))
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
        result = end_lost_record(None if task.is_mirrored else plan.mlflow, info.tags(), info.folder, result)
        write_result(result, info.folder, info.sweep)
    except OSError as error:  # a full disk must not stop the other runs
        _log.warning(f"{info.folder}: {error.strerror or error}.")
    return result


def end_lost_record(
    tracking: MlflowTracking | None,
    tags: Mapping[str, str],
    folder: Path,
    result: RunResult,
    patience: float | None = None,
) -> RunResult:
    """End the journal of a crashed run, if it was begun, and return its result with the recorded metrics.

    A run whose journal ends with the status FINISHED keeps it: it crashed before it was uploaded completely, or before
    it wrote its result.

    If the store does not respond, retry for `patience` seconds, by default a minute. After that the rest stays pending,
    and the result's reason mentions it.

    Parameters
    ----------
    tracking : MlflowTracking or None
        The store.
    tags : mapping of str to str
        Tags of the run, by which its journal is distinguished from that of an earlier run in the folder.
    folder : Path
        The run's folder.
    result : RunResult
        Status and reason of its end.
    """
    from w2v_exp.tracking.history import journal_result
    from w2v_exp.tracking.journal import FILE, End, Header, Journal
    from w2v_exp.tracking.store import RETRY_SECONDS, open_store, retry
    from w2v_exp.tracking.upload import Cursor, Uploader

    try:
        cursor = Cursor.read(folder) if tracking else None
    except (OSError, DamagedFileError):
        cursor = None
    try:
        journal = Journal.open(folder)
        end = journal.last_end()
        if not tags.items() <= journal.tags().items():
            return result
    except FileNotFoundError:
        return result
    except (OSError, ValueError) as error:
        _log.warning(f"{folder / FILE}: cannot be read ({error}); its metrics are lost.")
        journal, end = Journal.create(folder, Header(result.name)), None
        if cursor:
            cursor.offset = journal.length
    if end is None or end.status != "FINISHED":
        journal.set_tags({"reason": result.reason})
        journal.end(End(result.status))
    else:
        result = replace(result, status="FINISHED", reason="")
    logged = journal_result(journal)
    result = replace(result, metrics=logged.metrics, curves=logged.curves, ended_by=logged.ended_by)
    journal.close()
    if tracking is None or cursor is None:
        return result
    patience = RETRY_SECONDS if patience is None else patience
    try:
        store = retry(lambda: open_store(tracking.uri, tracking.experiment), tracking.uri, patience)
        if problem := Uploader(store.client, journal, cursor).finish(patience):
            raise UserError(problem)
    except UserError as error:
        result = replace(result, reason=f"{result.reason} ({error})")
    return replace(result, run_id=cursor.run_id)
