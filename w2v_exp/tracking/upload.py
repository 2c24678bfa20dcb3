"""Upload of a run's data to a store that may be unavailable; pending data kept on disk.

Metrics keep the time at which they were taken, so to deliver one twice changes nothing: MLflow stores a metric of the
same step, time and value once.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from shutil import rmtree
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

from w2v_exp.errors import UserError
from w2v_exp.files import replacing
from w2v_exp.machine import MEGABYTE
from w2v_exp.tracking.locations import log_artifacts
from w2v_exp.tracking.store import PATIENCE_SECONDS, PAUSE_SECONDS, is_passing, problem_of, store_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient


FILE = "pending.json"
BATCH = 1000  # metrics; the most that MLflow takes in one call
TAGS_BATCH = PARAMS_BATCH = 100
STATUSES = ("", "FINISHED", "FAILED", "KILLED")
RUN_ID = re.compile(r"[A-Za-z0-9_-]{0,64}")
LONGEST_FILE_MB = 500
TAG = "pending"  # of a run that the store has only a part of: why


class Taken(NamedTuple):
    """A metric at the time when it was taken.

    Parameters
    ----------
    name : str
        Of the metric.
    value : float
        Its value.
    timestamp : int
        Milliseconds since 1970.
    step : int
        The epoch; 0 for what has one value a run.
    """

    name: str
    value: float
    timestamp: int
    step: int


@dataclass
class Pending:
    """What is pending of a run. What has been delivered is taken out.

    Parameters
    ----------
    uri, experiment : str
        The store, and the experiment in it.
    run_id : str
        The run; empty if it has yet to be made.
    experiment_id : str
        The experiment's id, if its name is not known.
    existing : str
        A filter of MLflow's that finds the run, if its id is not known; if there is none, nothing is delivered.
    name : str
        What to call a run that has yet to be made.
    tags : dict of str to str
        Its tags.
    params : dict of str to str
        Its parameters.
    metrics : list of Taken
        In the order in which they were taken.
    files : str
        A folder whose files are to be artifacts, seen from that of `FILE`; empty if there is none.
    moved : bool
        Whether that folder is deleted when it has been delivered.
    status : str
        How the run ended; empty while it lasts.
    start_time, end_time : int
        When a run that has yet to be made began, and when it ended, in milliseconds since 1970.
    incomplete : bool
        Whether the run has been marked in the store as one that is not whole: see `mark_incomplete`.
    """

    uri: str
    experiment: str
    run_id: str = ""
    experiment_id: str = ""
    existing: str = ""
    name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Taken] = field(default_factory=list)
    files: str = ""
    moved: bool = False
    status: str = ""
    start_time: int = 0
    end_time: int = 0
    incomplete: bool = False

    def __bool__(self) -> bool:
        return bool(self.tags or self.params or self.metrics or self.files or self.status)

    def deliver(self, client: MlflowClient, folder: Path) -> None:
        """Tell the store all of it. If that raises, what has not been delivered is still here.

        Parameters
        ----------
        client : mlflow.MlflowClient
            Connected to the store.
        folder : Path
            Where `files` is.
        """
        from mlflow.entities import Metric, Param, RunTag

        if not self.run_id and not self._begin(client):
            return
        if self.status in ("FAILED", "KILLED"):
            self.drop_if_finished(client)
        for params in _batches(dict(self.params), PARAMS_BATCH):
            client.log_batch(self.run_id, params=[Param(key, value) for key, value in params.items()])
            for key in params:
                del self.params[key]
        while self.metrics:  # others may be added behind while these are on their way
            batch = self.metrics[:BATCH]
            client.log_batch(self.run_id, metrics=[Metric(*metric) for metric in batch])
            del self.metrics[: len(batch)]
        for tags in _batches(dict(self.tags), TAGS_BATCH):
            client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
            for key, value in tags.items():
                if self.tags.get(key) == value:  # and not another one meanwhile
                    del self.tags[key]
        if files := self.checked_files(folder):
            self._deliver_files(client, files)
        if self.incomplete:
            client.delete_tag(self.run_id, TAG)
            self.incomplete = False
        if self.status:
            client.set_terminated(self.run_id, self.status, self.end_time)
            self.status = ""

    def _deliver_files(self, client: MlflowClient, files: Path) -> None:
        if files.is_dir():  # else it was delivered by a process that was killed before it could note that
            log_artifacts(client, self.run_id, files)
            if self.moved:
                rmtree(files, ignore_errors=True)
        self.files = ""

    def _begin(self, client: MlflowClient) -> bool:
        """Find or create the run; return whether there is one."""
        experiment = self.experiment_id
        if not experiment:
            found = client.get_experiment_by_name(self.experiment)
            if found is None:
                raise UserError(f"There is no experiment {self.experiment} in the store. Create it first.")
            experiment = found.experiment_id
        if self.existing:
            runs = client.search_runs([experiment], self.existing, order_by=["attributes.start_time DESC"])
            if not runs:  # it was not begun: there is nothing to end
                self._drop()
                return False
            self.run_id = runs[0].info.run_id
            return True
        created = client.create_run(experiment, self.start_time or None, dict(self.tags), run_name=self.name)
        self.run_id = created.info.run_id
        self.tags.clear()
        return True

    def drop_if_finished(self, client: MlflowClient) -> None:
        """Drop all data if the store has the run as finished, which is never set back.

        Its status is delivered last: either the rest was delivered before, or the run was resumed and is whole.
        """
        if self.run_id and client.get_run(self.run_id).info.status == "FINISHED":
            self._drop()

    def _drop(self) -> None:
        self.tags.clear()
        self.metrics.clear()
        self.params.clear()
        self.files = self.status = ""
        self.incomplete = False

    def checked_files(self, folder: Path) -> Path | None:
        """Return the folder of the files, if there are any.

        Raises
        ------
        UserError
            If it is not below the run's folder, or a link in it leads out of that.
        """
        if not self.files:
            return None
        files, around = folder / self.files, folder.resolve()
        for path in (files, *files.rglob("*")):
            target = path.resolve()
            if target == around or not target.is_relative_to(around):
                raise UserError(f"{path} is outside of the run's folder {folder}; nothing was uploaded.")
        return files

    def mark_incomplete(self, client: MlflowClient, problem: str) -> None:
        """Say in the store that the run is over, and not whole: it counts as failed until the rest is delivered."""
        client.set_tag(self.run_id, TAG, problem)
        client.set_terminated(self.run_id, "FAILED", self.end_time)
        self.incomplete = True

    def write(self, folder: Path) -> None:
        """Keep it in a folder."""
        with replacing(folder / FILE) as stream:
            json.dump(asdict(self), stream)

    @classmethod
    def read(cls, folder: Path) -> Pending:
        """Return what is kept in a folder.

        Raises
        ------
        OSError
            If nothing is.
        ValueError
            If it is not what was written.
        """
        if (folder / FILE).stat().st_size > LONGEST_FILE_MB * MEGABYTE:
            raise ValueError(f"it has more than {LONGEST_FILE_MB} MB")
        try:
            values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise ValueError("it is damaged: not JSON") from None
        if not isinstance(values, dict):
            raise ValueError("it is damaged: not an object")
        known = {field.name: _CHECKS[str(field.type)] for field in fields(cls)}
        for key, value in values.items():
            if key not in known or not known[key](value):
                raise ValueError(f"it is damaged: {str(key)[:40]!r} is not what is written there")
        missing = {"uri", "experiment"} - values.keys()
        if missing:
            raise ValueError(f"it is damaged: {min(missing)!r} is missing")
        values["metrics"] = [Taken(*metric) for metric in values.get("metrics", [])]
        pending = cls(**values)
        if pending.status not in STATUSES or not RUN_ID.fullmatch(pending.run_id):
            raise ValueError("it is damaged: 'status' or 'run_id' is not what is written there")
        return pending


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 63  # what a store can hold


def _is_metric(value: object) -> bool:
    if not isinstance(value, list) or len(value) != len(Taken._fields):
        return False
    name, number, timestamp, step = value
    return (
        isinstance(name, str)
        and (type(number) is float or _is_whole(number))
        and _is_whole(timestamp)
        and _is_whole(step)
    )


_CHECKS: dict[str, Callable[[object], bool]] = {  # by the types of the fields above
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": _is_whole,
    "dict[str, str]": lambda value: (
        isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    ),
    "list[Taken]": lambda value: isinstance(value, list) and all(map(_is_metric, value)),
}


def _batches(tags: dict[str, str], size: int) -> Iterator[dict[str, str]]:
    entries = list(tags.items())
    for start in range(0, len(entries), size):
        yield dict(entries[start : start + size])


def replay_command(folder: Path, uri: str) -> str:
    """Return the command that delivers what is kept in a folder to the store at an address."""
    command = f"w2v-exp sync {shlex.quote(str(folder))}"
    return command if uri == store_uri(None) else f"{command} --uri {shlex.quote(uri)}"


WAIT_SECONDS = 5.0  # for a store that is slow; then training goes on, and the delivery beside it


class Delivery:
    """Brings to the store what is pending of a run, in a thread, so that no store keeps training waiting for long.

    As long as the store answers, `send` returns when all is delivered: nothing runs beside training. What the store
    does not take is kept in a file of the run's folder until it does.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Connected to the store.
    pending : Pending
        May be added to at any time.
    folder : Path
        The run's folder.
    """

    def __init__(self, client: MlflowClient, pending: Pending, folder: Path) -> None:
        self._client = client
        self._pending = pending
        self._folder = folder
        self._thread: Thread | None = None
        self._problem: Exception | None = None
        self._told = False

    def send(self, wait: float | None = None) -> bool:
        """Deliver what is pending, unless a delivery is under way; return whether nothing is left.

        A delivery that begins is waited for `wait` seconds at the most (None: `WAIT_SECONDS`), one that was under way
        only if a number is given.
        """
        began = self._thread is None
        if self._thread is None:
            self._thread = Thread(target=self._deliver, daemon=True)
            self._thread.start()
        self._thread.join(wait if wait is not None else WAIT_SECONDS * began)
        if self._thread.is_alive():
            self._keep()
            return False
        self._thread = None
        if self._problem:
            self._keep()
            return False
        if not self._pending:
            self._forget()
        return not self._pending

    def finish(self, wait: float = PATIENCE_SECONDS) -> str:
        """Deliver what is pending, and go on trying for some time; return why not, in a line, if that was in vain.

        Then all of it is in the run's folder. A fault that no waiting mends, as a full disk, is not waited for.
        """
        until = monotonic() + wait
        try:
            while not self.send(max(until - monotonic(), 0)):
                if monotonic() >= until or self._is_lasting:
                    break
                if self._problem:
                    sleep(PAUSE_SECONDS)
            else:
                return ""
        except BaseException:  # whoever interrupts this waiting has had enough of it
            self._write()
            raise
        if self._is_lasting and self._pending.run_id:
            with suppress(Exception):  # what the store does not take now is told with the rest
                self._pending.mark_incomplete(self._client, self._why)
        self._write()
        return self._why

    @property
    def _is_lasting(self) -> bool:
        return self._problem is not None and not is_passing(self._problem)

    @property
    def _why(self) -> str:
        return problem_of(self._problem) if self._problem else "it does not answer"

    def _deliver(self) -> None:
        try:
            self._problem = None
            self._pending.deliver(self._client, self._folder)
        except Exception as error:
            # Whatever a store is made of (SQLAlchemy, a web client, a file system, …) raises errors of its own.
            self._problem = error

    def _keep(self) -> None:
        self._write()
        if not self._told:
            place = self._folder / FILE
            self._say(
                f"The store cannot be written now ({self._why}); what it is to be told is kept in {place}."
            )
        self._told = True

    def _write(self) -> None:
        try:
            self._pending.write(self._folder)
        except OSError as error:
            self._say(f"{self._folder / FILE} cannot be written ({error.strerror or error}).")

    def _forget(self) -> None:
        with suppress(OSError):
            (self._folder / FILE).unlink()
        if self._told:
            self._say("The store has been told all that was kept.")
        self._told = False

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr)
