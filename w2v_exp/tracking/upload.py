"""Upload of journals to a store that may be unavailable, from a cursor.

The cursor is moved after each batch that the store has taken. A batch that is sent twice, because the process was
killed in between, changes nothing: MLflow stores a metric of the same step, time and value once.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from w2v_exp.errors import UserError
from w2v_exp.files import DamagedFileError, locked, read_checked, write_checked
from w2v_exp.results import UPLOADED_FILE
from w2v_exp.tracking.journal import FILE as JOURNAL
from w2v_exp.tracking.journal import End, Entry, Journal
from w2v_exp.tracking.locations import log_artifacts
from w2v_exp.tracking.model import NAME as MODEL
from w2v_exp.tracking.model import is_model, log_model
from w2v_exp.tracking.store import (
    PAUSE_SECONDS,
    RETRY_SECONDS,
    Store,
    error_message,
    first_line,
    is_transient,
    store_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

_log = logging.getLogger(__name__)

LEGACY = "pending.json"  # data that w2v_exp 0.1.0 could not upload
PICTURES = "pictures.json"  # among the files of a run: the data of its pictures
PICTURES_LOCK = "pictures.lock"  # in its folder, held while they are drawn
BATCH = 1000  # metrics; the most that MLflow takes in one call
TAGS_BATCH = PARAMS_BATCH = 100
WAIT_SECONDS = 5.0  # for a slow store; then training continues, and the upload beside it
ID_TAG = "journal"  # of a run in a store: the id of its journal
NOTE = "mlflow.note.content"  # the tag with the description of a run, Markdown
# The prefix of a tag with a view of the runs table, which is one of the experiment: MLflow's UI saves views there.
VIEW = "mlflow.sharedViewState."
OWN_VIEW = f"{VIEW}w2v_exp-"  # a journal, which may be somebody else's, replaces no view of a user
MOST_VIEWS = 20  # of sweeps; the UI saves no more than 40
# In a description, the beginnings of links to a file of the run, and to something of its experiment: where they are is
# known when the run is uploaded.
IN_RUN, IN_EXPERIMENT = "run:", "experiment:"
INCOMPLETE_TAG = "pending"  # of a run that has ended and of which a store has only a part: why
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{0,64}")


@dataclass
class Cursor:
    """How much of a journal has been uploaded, and to which run.

    Parameters
    ----------
    uri : str
        The store.
    experiment, experiment_id : str
        The experiment in it, by its name, or by its id if only that is known.
    run_id : str
        The run; empty until it is created.
    offset : int
        The number of bytes of the journal that the store has.
    """

    uri: str
    experiment: str
    experiment_id: str = ""
    run_id: str = ""
    offset: int = 0

    @classmethod
    def of(cls, store: Store) -> Cursor:
        """Return the cursor of a journal of which a store has nothing."""
        return cls(store.uri, store.experiment, store.experiment_id)

    def write(self, folder: Path) -> None:
        """Write it beside the journal."""
        write_checked(folder / UPLOADED_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Cursor:
        """Return the cursor of a folder.

        Raises
        ------
        OSError
            If there is none.
        DamagedFileError
            If it is not as it was written.
        """
        values = read_checked(folder / UPLOADED_FILE)
        try:
            cursor = cls(**values)
        except TypeError:
            raise DamagedFileError("it has other keys than an upload's") from None
        texts = (cursor.uri, cursor.experiment, cursor.experiment_id, cursor.run_id)
        is_text = all(isinstance(text, str) for text in texts)
        is_number = type(cursor.offset) is int and cursor.offset >= 0
        if not is_text or not is_number or not _RUN_ID.fullmatch(cursor.run_id):
            raise DamagedFileError("its values are not those of an upload")
        return cursor


def is_uploaded(folder: Path) -> bool:
    """Return whether a store has all of the journal in a folder; true where there is no journal, or no store."""
    try:
        cursor = Cursor.read(folder)
        if not (folder / JOURNAL).is_file():
            return True
        with (folder / JOURNAL).open("rb") as stream:
            stream.seek(cursor.offset)
            return b"\n" not in stream.read()  # an incomplete last line is void
    except FileNotFoundError:
        return True
    except (OSError, ValueError, DamagedFileError):
        return False


def pending_folders(folder: Path) -> list[Path]:
    """Return all folders, at and below one, of which a store lacks something."""
    with_journal = {file.parent for file in folder.rglob(JOURNAL) if not is_uploaded(file.parent)}
    return sorted(with_journal | {file.parent for file in folder.rglob(LEGACY)})


def sync_command(folder: Path, uri: str) -> str:
    """Return the command that uploads the journals of a folder to the store at an address."""
    command = f"w2v-exp sync {shlex.quote(str(folder))}"
    return command if uri == store_uri(None) else f"{command} --uri {shlex.quote(uri)}"


def upload_problem(folder: Path, uri: str, problem: str) -> str:
    """Return the message that a store lacks data of the run in a folder, with the problem and the remedy."""
    return (
        f"MLflow does not have all data of this run ({problem}). They are kept; this uploads the rest: "
        f"{sync_command(folder, uri)}"
    )


class Uploader:
    """Uploads a journal to a store.

    While the store is available, `send` returns when everything is uploaded, so that nothing runs beside training.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Connected to the store.
    journal : Journal
        May be appended to at any time.
    cursor : Cursor
        Where to, and from where.
    is_new : bool
        Whether no process has tried to create the run before.
    is_beside : bool
        Whether this process does nothing else. Then an upload that takes long, because the machine is busy or pictures
        are drawn, is not reported: nothing waits for it.
    """

    def __init__(
        self,
        client: MlflowClient,
        journal: Journal,
        cursor: Cursor,
        *,
        is_new: bool = False,
        is_beside: bool = False,
    ) -> None:
        self.journal = journal
        self.cursor = cursor
        self._client = client
        self._is_new = is_new
        self._is_beside = is_beside
        self._thread: Thread | None = None
        self._problem: Exception | None = None
        self._has_failed = False
        self._has_unwritten_cursor = False

    def upload(self) -> None:
        """Upload everything after the cursor. If that raises, the cursor is where the store has got to."""
        self.journal.flush(durable=True)  # the store must not have points that the journal can lose
        if not self.cursor.offset:
            self._begin()
        entries = list(self.journal.entries(self.cursor.offset))
        for batch in _batches(entries):
            self._send(batch)
            # An end is void if anything follows it.
            if (end := batch[-1].end) and batch[-1] is entries[-1]:
                self._end(end, batch[-1].time)
            self._advance(batch[-1].offset)

    def skip_if_finished(self) -> bool:
        """Return whether the store lists the run as finished; then nothing is left to upload.

        The status is uploaded last: either the rest was uploaded before, or the run was resumed and is complete.
        """
        if self.cursor.run_id and self._client.get_run(self.cursor.run_id).info.status == "FINISHED":
            self._advance(self.journal.length)
            return True
        return False

    def has_begun(self) -> bool:
        """Return whether the store has the run, or will have it because it has ended."""
        self.cursor.run_id = self.cursor.run_id or self._find()
        return bool(self.cursor.run_id) or self.journal.last_end() is not None

    def send(self, wait: float | None = None) -> bool:
        """Upload in a thread, unless one is uploading; return whether nothing is left.

        An upload that begins is waited for `wait` seconds at most (None: `WAIT_SECONDS`), one that was in progress only
        if a number is given.
        """
        begins = self._thread is None
        if self._thread is None:
            self._thread = Thread(target=self._try_to_upload, daemon=True)
            self._thread.start()
        self._thread.join(wait if wait is not None else WAIT_SECONDS * begins)
        if self._thread.is_alive():
            if not self._is_beside:
                self._report()
            return False
        self._thread = None
        if self._problem:
            self._report()
            return False
        if self.cursor.offset < self.journal.length:
            return False
        if self._has_failed:
            _log.info("All data of the run have been uploaded to MLflow.")
            self._has_failed = False
        return True

    def finish(self, wait: float = RETRY_SECONDS) -> str:
        """Upload everything, and retry for some time; return the problem in one line if that failed, else "".

        A problem that waiting does not solve, such as a full disk, is not waited for. The run then counts as failed in
        the store until the rest is uploaded.
        """
        until = monotonic() + wait
        while not self.send(max(until - monotonic(), 0)):
            if monotonic() >= until or self._is_lasting:
                break
            if self._problem:
                sleep(PAUSE_SECONDS)
        else:
            return ""
        if self._is_lasting and self.cursor.run_id:
            with suppress(Exception):  # the store may refuse this as well
                self._client.set_tag(self.cursor.run_id, INCOMPLETE_TAG, self._reason)
                self._client.set_terminated(self.cursor.run_id, "FAILED")
        return self._reason

    def discard(self) -> None:
        """Delete the journal of a run that could not begin; in the store it counts as failed."""
        if self.cursor.run_id:
            with suppress(Exception):
                self._client.set_terminated(self.cursor.run_id, "FAILED")
        self.journal.close()
        for name in (JOURNAL, UPLOADED_FILE):
            (self.journal.folder / name).unlink(missing_ok=True)

    @property
    def _is_lasting(self) -> bool:
        return self._problem is not None and not is_transient(self._problem)

    @property
    def _reason(self) -> str:
        return error_message(self._problem) if self._problem else "it does not respond"

    def _try_to_upload(self) -> None:
        try:
            self._problem = None
            self.upload()
        except Exception as error:
            # The layers of a store (SQLAlchemy, a web client, a file system, …) raise errors of their own.
            self._problem = error

    def _report(self) -> None:
        if not self._has_failed:
            _log.warning(
                f"MLflow is not available ({self._reason}). Data of the run are kept in {self.journal.path} and will "
                "be uploaded when it is back."
            )
        self._has_failed = True

    def _advance(self, offset: int) -> None:
        self.cursor.offset = offset
        self._write_cursor()

    def _write_cursor(self) -> None:
        with suppress(OSError):  # the journal has reported the disk; to upload twice changes nothing
            self.cursor.write(self.journal.folder)

    def _begin(self) -> None:
        """Find or create the run, with its parameters and its text."""
        from mlflow.entities import Param

        header, cursor = self.journal.header, self.cursor
        if not cursor.run_id:
            self._write_cursor()  # if the process is killed now, the next one knows the store
            cursor.run_id = self._find() or self._create()
            self._is_new = False
            self._write_cursor()
        for params in _parts(list(header.params.items()), PARAMS_BATCH):
            self._client.log_batch(cursor.run_id, params=[Param(key, value) for key, value in params])
        if header.text:
            log_text(self._client, cursor.run_id, header.text)
        self._advance(len(header.line()))

    def _find(self) -> str:
        """Return the run that a process has created and could not note; empty if there is none."""
        if self._is_new:
            self._is_new = False
            return ""
        query = f"tags.{ID_TAG} = '{self.journal.header.id}'"
        runs = self._client.search_runs([self._experiment_id()], query)
        return str(runs[0].info.run_id) if runs else ""

    def _create(self) -> str:
        header = self.journal.header
        tags = {**header.tags, ID_TAG: header.id}
        run = self._client.create_run(self._experiment_id(), header.started, tags, header.name)
        return str(run.info.run_id)

    def _experiment_id(self) -> str:
        if self.cursor.experiment_id:
            return self.cursor.experiment_id
        found = self._client.get_experiment_by_name(self.cursor.experiment)
        if found is None:
            raise UserError(
                f"There is no experiment {self.cursor.experiment} in the store. Create it and repeat."
            )
        return str(found.experiment_id)

    def _send(self, batch: Sequence[Entry]) -> None:
        """Upload the metrics and tags of some entries."""
        from mlflow.entities import Metric, RunTag

        run_id = self.cursor.run_id
        tags: dict[str, str] = {}
        for entry in batch:
            if entry.is_resumption:
                tags.pop("reason", None)
                self._reopen()
            tags |= entry.tags
        metrics = [
            Metric(name, value, entry.time, entry.step)
            for entry in batch
            for name, value in entry.metrics.items()
        ]
        for some in _parts(metrics, BATCH):
            self._client.log_batch(run_id, metrics=some)
        views = {key: tags.pop(key) for key in [*tags] if key.startswith(OWN_VIEW)}
        if views:
            self._set_views(views)
        if NOTE in tags:
            tags[NOTE] = self._linked(tags[NOTE])
        for part in _parts(list(tags.items()), TAGS_BATCH):
            self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in part])

    def _linked(self, description: str) -> str:
        """Return a description with the addresses of its links in MLflow's UI."""
        place = f"#/experiments/{self._experiment_id()}"
        return description.replace(f"]({IN_RUN}", f"]({place}/runs/{self.cursor.run_id}/artifacts/").replace(
            f"]({IN_EXPERIMENT}", f"]({place}/"
        )

    def _set_views(self, views: Mapping[str, str]) -> None:
        """Set views of the experiment, and delete the oldest views of sweeps."""
        experiment = self._experiment_id()
        for key, value in views.items():
            self._client.set_experiment_tag(experiment, key, value)
        tags = self._client.get_experiment(experiment).tags
        dated = []
        for key, value in tags.items():
            if key.startswith(OWN_VIEW):
                with suppress(ValueError, TypeError, KeyError):  # somebody else has changed it
                    dated.append((int(json.loads(value)["createdAt"]), key))
        for _, key in sorted(dated)[:-MOST_VIEWS]:
            self._client.delete_experiment_tag(experiment, key)

    def _reopen(self) -> None:
        """Set an interrupted run to running."""
        run_id = self.cursor.run_id
        tags = self._client.get_run(run_id).data.tags
        for tag in {"reason", INCOMPLETE_TAG} & tags.keys():
            self._client.delete_tag(run_id, tag)
        self._client.update_run(run_id, status="RUNNING")

    def _end(self, end: End, time: int) -> None:
        run_id = self.cursor.run_id
        run = self._client.get_run(run_id)
        if run.info.status == "FINISHED":  # never set back
            return
        folder = self.journal.folder
        if (files := checked_files(folder, end.files)) and files.is_dir():
            draw_pictures(files)
            model = files / MODEL
            log_artifacts(self._client, run_id, files, without=MODEL if is_model(model) else "")
            if is_model(model):
                log_model(self._client, run, model)
            if end.move:  # if the process is killed now, they are not there next time, and the store has them
                rmtree(files, ignore_errors=True)
        if INCOMPLETE_TAG in run.data.tags:
            self._client.delete_tag(run_id, INCOMPLETE_TAG)
        self._client.set_terminated(run_id, end.status, time)


def draw_pictures(files: Path) -> None:
    """Draw the pictures of a run from their data, which are deleted; a run without pictures is logged all the same.

    Two processes share this work for the runs of a sweep. The second one to come to a run waits for its pictures.
    """
    if not (files / PICTURES).is_file():
        return
    from w2v_exp.reporting import run_plots

    with ExitStack() as held:
        with suppress(OSError):  # a file system without locks
            held.enter_context(locked(files.parent / PICTURES_LOCK, logs_wait=False))
        if not (files / PICTURES).is_file():
            return
        try:
            run_plots.draw_pictures(files / PICTURES, files)
        except (DamagedFileError, KeyError, TypeError, ValueError) as error:
            _log.warning(f"{files / PICTURES}: its pictures cannot be drawn ({first_line(error)}).")
        (files / PICTURES).unlink()
        (files.parent / PICTURES_LOCK).unlink(missing_ok=True)  # who waits for it finds that nothing is left


def log_text(client: MlflowClient, run_id: str, text: Mapping[str, str]) -> None:
    """Log a text as the data set of a run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    data = Dataset(
        name=text["name"],
        digest=text["digest"][:12],
        source_type="text",
        source=text["source"],
        profile=text["profile"],
    )
    used = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
    try:
        client.log_inputs(run_id, datasets=used)
    except MlflowException as error:
        # Of runs that begin at the same moment with a new text, MLflow lets one make the data set and fails the
        # others. After that it exists.
        if not any(name in str(error) for name in ("IntegrityError", "UniqueViolation")):
            raise
        client.log_inputs(run_id, datasets=used)


def checked_files(folder: Path, name: str) -> Path | None:
    """Return a folder of artifacts below that of a run; None if the name is empty.

    Raises
    ------
    UserError
        If it is not below the run's folder, or a link in it leads out of that.
    """
    if not name:
        return None
    files, around = folder / name, folder.resolve()
    for path in (files, *files.rglob("*")):
        target = path.resolve()
        if target == around or not target.is_relative_to(around):
            raise UserError(f"{path} is outside of the run's folder {folder}; nothing was uploaded.")
    return files


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield entries in parts of at most `BATCH` metrics, or of a single entry with more."""
    batch: list[Entry] = []
    metrics = 0
    for entry in entries:
        if batch and metrics + len(entry.metrics) > BATCH:
            yield batch
            batch, metrics = [], 0
        batch.append(entry)
        metrics += len(entry.metrics)
    if batch:
        yield batch


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
