"""The record of a run: its journal, its checkpoints, and the earlier runs that it resumes or makes needless."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import numpy as np

from w2v_exp.errors import UserError
from w2v_exp.experiment.descriptions import run_description
from w2v_exp.experiment.inputs import RunInputs
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.files import DamagedFileError, expanded, replacing
from w2v_exp.metrics import REPLICATE, constant_tags, is_constant
from w2v_exp.plan import Plan
from w2v_exp.results import UPLOADED_FILE, RunResult
from w2v_exp.tracking.companion import UPLOAD_SECONDS, Mirror, begin_cursor
from w2v_exp.tracking.history import (
    BEAT_SECONDS,
    FINGERPRINT,
    HEARTBEAT,
    EarlierRuns,
    earlier_local_runs,
    earlier_runs,
    has_recorded_run,
    process_tags,
    provenance,
    recorded_result,
)
from w2v_exp.tracking.journal import FILE as JOURNAL
from w2v_exp.tracking.journal import End, Header, Journal
from w2v_exp.tracking.store import RETRY_SECONDS, Store, is_transient, open_store, retry
from w2v_exp.tracking.upload import NOTE, Cursor, Uploader, upload_problem
from w2v_exp.training.checkpoints import Checkpoint, CheckpointFolder, checkpointing
from w2v_exp.training.trainer import EpochRecord, StatefulCallback, Trainer, TrainingState

if TYPE_CHECKING:
    from w2v_exp.choices import MlflowTracking

_log = logging.getLogger(__name__)

CONTINUED = "continued"  # the tag with the number of times that a run was resumed
TABLES = "mlflow.loggedArtifacts"  # the tag by which the UI finds tables


class RunRecord:
    """Writes the record of a run: to its journal, and from that to a store, if there is one.

    Parameters
    ----------
    journal : Journal
        The run's.
    uploader : Uploader or None
        Of the journal, if this process uploads it.
    mirror : Mirror or None
        What else uploads the journal; None without a store.
    files : Path
        A folder in the run's own folder, whose files become artifacts at the end.
    epochs, points : int
        Of the epochs, at most `points` are recorded: evenly spaced, the first and the last among them.
    cost_metric : str
        The name of the cost per epoch: ``objective_cost`` where it is not that of the full softmax.
    known : collection of (str, int)
        Names and steps of metrics that the journal of a resumed run has. They are not recorded again: MLflow cannot
        delete a point.
    """

    def __init__(
        self,
        journal: Journal,
        uploader: Uploader | None,
        files: Path,
        *,
        mirror: Mirror | None = None,
        epochs: int,
        points: int,
        cost_metric: str = "cost",
        known: Collection[tuple[str, int]] = (),
    ) -> None:
        self._journal = journal
        self._uploader = uploader
        self._mirror = mirror
        self._files = files
        self._kept_epochs = kept_epochs(epochs, points)
        self._cost_metric = cost_metric
        self._known = known
        self._tables: list[str] = []
        self._constants: dict[str, str] = {}
        self._last: EpochRecord | None = None
        self._uploaded_at = self._beaten_at = monotonic()

    @property
    def run_id(self) -> str:
        """The run's id in the store; empty if there is no store, or another process uploads to it."""
        return self._uploader.cursor.run_id if self._uploader else ""

    def on_epoch(self, record: EpochRecord) -> None:
        """Record an epoch; upload if the last upload was some time ago."""
        self._last = record
        if record.epoch in self._kept_epochs:
            self._record_epoch(record)
        self._upload_if_due()

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record metrics, constants as tags; those that have one value per run need no step."""
        tags = constant_tags(metrics)
        if changed := dict(tags.items() - self._constants.items()):
            self._constants |= changed
            self._journal.set_tags(changed)
        new = {
            name: value
            for name, value in metrics.items()
            if (name, step) not in self._known and not is_constant(name)
        }
        self._journal.log_metrics(new, int(step))

    def log_replicate(self, number: int, scores: Mapping[str, float]) -> None:
        """Record the scores of a replicate of the bootstrap, and that the run is alive."""
        self.log_metrics({f"{name}{REPLICATE}": value for name, value in scores.items()}, number)
        self._upload_if_due()

    def log_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write a table as one of the run's files, in MLflow's form, which the UI shows in pages."""
        rows = [[_cell(value) for value in row] for row in zip(*columns.values(), strict=True)]
        with replacing(self._files / f"{name}.json") as stream:
            json.dump({"columns": list(columns), "data": rows}, stream)
        self._tables.append(f"{name}.json")

    def set_tag(self, key: str, value: str) -> None:
        """Record a tag."""
        self._journal.set_tags({key: value})

    def flush(self) -> None:
        """Upload, and record once a minute that the run is alive."""
        if monotonic() - self._beaten_at > BEAT_SECONDS:
            self._beaten_at = monotonic()
            self.set_tag(HEARTBEAT, str(int(time())))
        if self._uploader:
            self._uploader.send()
        self._uploaded_at = monotonic()

    def finish(self, status: str, *, resumable: bool = False) -> str:
        """Record the end, and upload it with the files, which move to the store.

        The latest epoch of a run that can be resumed is not its last one. Unless it is one of the recorded epochs, it
        is left out, so that the resumed run has the points of an uninterrupted one.

        Returns the problem in one line if the store does not have everything, else "". A mirror reports later.
        """
        if self._last is not None and self._last.epoch not in self._kept_epochs and not resumable:
            self._record_epoch(self._last)
        if self._tables:
            self.set_tag(TABLES, json.dumps([{"path": file, "type": "table"} for file in self._tables]))
        has_store = self._uploader is not None or self._mirror is not None
        self._journal.end(End(status, self._files.name, move=has_store))
        problem = self._uploader.finish() if self._uploader else ""
        self._journal.close()
        if self._mirror:
            self._mirror.end(self._journal.folder)
        if not problem or not self._uploader:
            return ""
        return upload_problem(self._journal.folder, self._uploader.cursor.uri, problem)

    def _upload_if_due(self) -> None:
        if monotonic() - self._uploaded_at > UPLOAD_SECONDS:
            self.flush()

    def _record_epoch(self, record: EpochRecord) -> None:
        values = {self._cost_metric: record.cost, "learning_rate": record.learning_rate}
        if record.article_cost == record.article_cost:  # NaN where there is none
            values["article_cost"] = record.article_cost
        self.log_metrics(values, record.epoch)


class UploadedRecord(RunRecord):
    """The record of a run that has a store: an epoch may take an hour, so that it uploads after steps as well.

    Without a store, a step callback would only cost time.
    """

    def on_step(self, pairs_done: float) -> None:
        """Upload if the last upload was some time ago."""
        self._upload_if_due()


def _cell(value: Any) -> Any:
    """Return a value of a table as JSON has it; numbers that are not finite are unknown."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def kept_epochs(epochs: int, points: int) -> set[int]:
    """Return at most `points` epochs, evenly spaced, the first and the last among them.

    >>> sorted(kept_epochs(10, 4))
    [0, 3, 6, 9]
    """
    return set(np.linspace(0, epochs - 1, min(epochs, points)).round().astype(int).tolist())


class RunCheckpoints:
    """Checkpoints of a run, found by its fingerprint in whatever folder the run itself is.

    Parameters
    ----------
    plan : Plan
        Has the interval, without which there are none, and their folder.
    fingerprint : str
        Of the run. Of two processes with the same run only the first one has checkpoints.
    """

    def __init__(self, plan: Plan, fingerprint: str) -> None:
        self._rule = plan.checkpoint
        self._folder: CheckpointFolder | None = None
        self._found: Checkpoint | None = None
        self._stateful: Mapping[str, StatefulCallback] = {}
        self._journal: Journal | None = None
        self._has_failed = False
        if self._rule.every is None or not plan.epochs:
            return
        path = expanded(self._rule.folder) / fingerprint
        try:
            folder = CheckpointFolder(path)
            if folder.is_ours:
                self._folder, self._found = folder, None if plan.force else folder.open(_log.warning)
            else:
                _log.warning(f"Checkpoints disabled: another process is already training this run ({path}).")
        except OSError as error:
            _log.warning(
                f"checkpoint.folder={self._rule.folder}: cannot be used ({error}), so there are no checkpoints."
            )

    @property
    def interrupted_run(self) -> Path | None:
        """The folder of the run that the checkpoint is of; None if there is no checkpoint."""
        return self._folder.read_run() if self._folder and self._found else None

    def belong_to(self, journal: Journal) -> None:
        """Note the journal of the run that the checkpoints are of from now on."""
        self._journal = journal
        if self._folder:
            with suppress(OSError):  # a full disk; a checkpoint that cannot be written is reported
                self._folder.write_run(journal.folder.absolute())

    def forget(self) -> None:
        """Close the checkpoint that was found: the run begins anew."""
        if self._found:
            self._found.close()
            self._found = None

    def attach(self, trainer: Trainer, stateful: Mapping[str, StatefulCallback]) -> None:
        """Restore a trainer and its callbacks from the checkpoint, and register the callback that writes others.

        Raises
        ------
        UserError
            If the checkpoint is of another training, though its folder has the name of this one.
        """
        self._stateful = stateful
        if self._found:
            state, notes = self._found.state, self._found.notes
            try:
                trainer.restore(state)
            except ValueError as error:
                raise UserError(f"{error} Delete the folder {self._path} to begin anew.") from error
            for name in stateful.keys() & notes.keys():
                stateful[name].restore(notes[name])
            self.forget()
            step = f", step {state.sums.steps + 1}" if state.sums.steps else ""
            place = f"epoch {len(state.records) + 1} of {trainer.epochs}{step}"
            is_trained = len(state.records) == trainer.epochs or bool(state.ended_by)
            _log.info(f"Resuming from checkpoint: {'training has ended' if is_trained else place}.")
        if self._folder:
            trainer.add_callback(checkpointing(self._rule, trainer, self._write))

    def keep_trained(self, trainer: Trainer) -> Path | None:
        """Write a checkpoint of a finished training, and return its folder, for the replicates that follow.

        None without checkpoints.
        """
        if self._folder is None or (state := trainer.state()) is None:
            return None
        self._write(state)
        return self._folder.path

    @property
    def can_be_resumed(self) -> bool:
        """Whether a checkpoint is left from which the same command resumes."""
        return self._folder is not None and self._folder.has_checkpoint

    def finish(self) -> None:
        """Delete the checkpoints: the run has ended."""
        self.forget()
        if self._folder:
            self._folder.remove()

    def leave(self) -> None:
        """Keep the checkpoints for the same command, and let other processes have them."""
        self.forget()
        if self._folder and self._folder.release():
            _log.info("Run the same command again to resume from the last checkpoint.")

    @property
    def _path(self) -> Path:
        return self._folder.path if self._folder else Path(self._rule.folder)

    def _write(self, state: TrainingState) -> None:
        """Write a checkpoint. Where that fails, the previous one stays and training continues; it is logged once."""
        notes = {name: one.state() for name, one in self._stateful.items()}
        if self._journal:
            self._journal.flush(durable=True)  # a resumed run must have all points up to the checkpoint
        try:
            if self._folder:
                self._folder.write(state, notes)
            self._has_failed = False
        except OSError as error:
            if not self._has_failed:
                _log.warning(
                    f"A checkpoint could not be written to {self._path} ({error.strerror or error}); "
                    "training continues."
                )
            self._has_failed = True


def remove_checkpoints(plan: Plan, fingerprint: str) -> None:
    """Delete checkpoints of a finished run whose process was killed before it could do so."""
    path = expanded(plan.checkpoint.folder) / fingerprint
    if not path.is_dir():
        return
    with suppress(OSError):
        folder = CheckpointFolder(path)
        if folder.is_ours:
            folder.remove()


def resumes(plan: Plan, info: RunInfo) -> bool:
    """Return whether a finished run is skipped: as configured, or else in a named sweep or a search."""
    wanted = info.of_lasting_sweep if plan.resume is None else plan.resume
    return wanted and not plan.force


def earlier_result(
    plan: Plan, info: RunInfo, inputs: RunInputs, mirror: Mirror | None = None
) -> RunResult | None:
    """Return the result of an earlier run that makes this one needless; None if there is none.

    A finished run of the same fingerprint replaces this one. While one is running in another process, this one is not
    run either: it would have the same result. Runs that failed or were killed do not count.

    Earlier runs are looked up in the store, and in the folders of runs: one that has just begun may not be in the store
    yet. With a mirror, MLflow is imported only if there is an earlier run.

    Raises
    ------
    UserError
        If the store cannot be used.
    """
    if not resumes(plan, info):
        return None
    tracking = plan.mlflow
    if tracking and (mirror is None or has_recorded_run(tracking, inputs.fingerprint)):
        patience = RETRY_SECONDS if info.sweep else 0.0
        store, earlier = retry(lambda: _look_up(tracking, inputs.fingerprint), tracking.uri, patience)
        if earlier.finished:
            return _skipped(recorded_result(store, earlier.finished[0], info.swept), info)
        if earlier.alive:
            run = earlier.alive[0]
            place = f"on {run.data.tags['host']}" if "host" in run.data.tags else "elsewhere"
            return _running(plan, info, run.info.run_id, f" {place}")
        _close(store, earlier)
    finished, alive = earlier_local_runs(inputs.fingerprint, info.folder, info.sweep_folder)
    if finished and tracking is None:
        return _skipped(finished, info)
    return _running(plan, info, str(alive), "") if alive else None


def _skipped(result: RunResult, info: RunInfo) -> RunResult:
    return dataclasses.replace(result, name=info.name, swept=info.swept, status="SKIPPED", reason="")


def _running(plan: Plan, info: RunInfo, run: str, place: str) -> RunResult:
    return RunResult(
        name=info.name,
        swept=info.swept,
        seed=plan.seed,
        status="RUNNING",
        reason=f"run {run} is training the same configuration{place}; force=true runs this one as well.",
        run_id=run,
    )


def _look_up(tracking: MlflowTracking, fingerprint: str) -> tuple[Store, EarlierRuns]:
    store = open_store(tracking.uri, tracking.experiment)
    return store, earlier_runs(store, fingerprint)


def _close(store: Store, earlier: EarlierRuns) -> None:
    """Set runs to killed whose process ended without doing so."""
    for run in earlier.dead:
        if run.info.status == "RUNNING":
            store.client.set_tag(run.info.run_id, "reason", "its process was gone")
            store.client.set_terminated(run.info.run_id, "KILLED")


def begin_record(
    plan: Plan,
    info: RunInfo,
    inputs: RunInputs,
    checkpoints: RunCheckpoints,
    files: Path,
    mirror: Mirror | None = None,
) -> RunRecord:
    """Begin the record of a run, with its parameters, tags and text, in its folder and in the store.

    If there is a checkpoint, the record of the interrupted run is moved to this folder and continued. A checkpoint of a
    finished run is dropped: its process was killed before it could delete it.

    A run of a sweep waits for a while for a store that is locked or not available. With a mirror, which waits itself,
    the store is opened only for a run that was interrupted.

    Raises
    ------
    UserError
        If the store cannot be used.
    """
    patience = RETRY_SECONDS if info.sweep else 0.0
    store = None
    if checkpoints.interrupted_run:
        mirror = None
    if (tracking := plan.mlflow) and mirror is None:
        store = retry(lambda: open_store(tracking.uri, tracking.experiment), tracking.uri, patience)
    uri = store.uri if store else None
    interrupted, end = _interrupted_journal(inputs.fingerprint, checkpoints)
    cursor = None
    if interrupted:
        has_finished = end is not None and end.status == "FINISHED"
        if store:
            opened, journal = store, interrupted
            cursor, is_stored = retry(lambda: _cursor_in(opened, journal), uri, patience)
            has_finished = has_finished or is_stored
        if has_finished:
            checkpoints.forget()
            interrupted = cursor = None
    known: set[tuple[str, int]] = set()
    if interrupted:
        journal = interrupted.move(info.folder)
        entries = list(journal.entries())
        known = {(name, entry.step) for entry in entries for name in entry.metrics}
        times = 1 + sum(entry.is_resumption for entry in entries)
        changed = {CONTINUED: str(times), NOTE: run_description(info)}
        tags = info.tags() | process_tags(info.folder) | provenance(tracked=plan.mlflow is not None)
        journal.resume(tags | changed)
    else:
        (info.folder / UPLOADED_FILE).unlink(missing_ok=True)  # see `companion` for the order
        journal = Journal.create(info.folder, _header(plan, info, inputs))
    checkpoints.belong_to(journal)
    uploader = None
    if tracking and mirror:
        begin_cursor(tracking).write(info.folder)
        mirror.follow(info.folder)
    if store:
        uploader = Uploader(store.client, journal, cursor or Cursor.of(store), is_new=interrupted is None)
        try:
            retry(uploader.upload, uri, patience)
        except BaseException:
            journal.close()
            if not interrupted:
                uploader.discard()
            raise
    return (UploadedRecord if tracking else RunRecord)(
        journal,
        uploader,
        files,
        mirror=mirror if tracking else None,
        epochs=plan.epochs,
        points=plan.points,
        cost_metric=plan.objective.cost_metric,
        known=known,
    )


def _header(plan: Plan, info: RunInfo, inputs: RunInputs) -> Header:
    params, text, tracked = info.params(), inputs.text, plan.mlflow is not None
    made_of = {"corpus.digest": text.digest, FINGERPRINT: inputs.fingerprint} | inputs.pretrained.tags()
    described = {NOTE: run_description(info)}
    # A source from the environment is written as it is spelled, like the parameters.
    from_environment = "${" in params.get("corpus.path", "")
    return Header(
        info.name,
        inputs.fingerprint,
        tags=info.tags() | process_tags(info.folder) | provenance(tracked=tracked) | made_of | described,
        params=params,
        text={
            "name": info.choices["corpus"],
            "digest": text.digest,
            "source": params["corpus.path"] if from_environment else plan.corpus.source,
            "profile": json.dumps({"tokens": text.tokens, "words": len(text.vocabulary)}),
        },
    )


def _interrupted_journal(fingerprint: str, checkpoints: RunCheckpoints) -> tuple[Journal | None, End | None]:
    """Return the journal of the run that the checkpoint is of, if it is there, and the end of that run."""
    folder = checkpoints.interrupted_run
    if folder is None:
        return None, None
    try:
        journal = Journal.open(folder)
        end = journal.last_end()
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError) as error:
        _log.warning(f"{folder / JOURNAL}: cannot be read ({error}); the resumed run begins a new record.")
        return None, None
    return (journal, end) if journal.header.fingerprint == fingerprint else (None, None)


def _cursor_in(store: Store, journal: Journal) -> tuple[Cursor | None, bool]:
    """Return the cursor of a journal if this store has its run, and whether the run has finished there."""
    from mlflow.exceptions import MlflowException

    try:
        cursor = Cursor.read(journal.folder)
    except (OSError, DamagedFileError):
        return None, False
    if cursor.uri != store.uri or not cursor.run_id:
        return None, False
    try:
        run = store.client.get_run(cursor.run_id)
    except MlflowException as error:
        if is_transient(error):
            raise
        return None, False
    is_here = run.info.experiment_id == store.experiment_id and run.info.lifecycle_stage == "active"
    return (cursor, run.info.status == "FINISHED") if is_here else (None, False)


def end_record(
    record: RunRecord, status: str, reason: str, metrics: Mapping[str, float], *, resumable: bool = False
) -> str:
    """Record final metrics and the end of a run, with its files, which move to the store.

    Returns the problem in one line, which is printed as well, if the store does not have everything, else "".
    """
    record.log_metrics(metrics)
    if reason:
        record.set_tag("reason", reason)
    problem = record.finish(status, resumable=resumable)
    if problem:
        _log.warning(problem)
    return problem
