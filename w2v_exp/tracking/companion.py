"""A companion process that uploads journals beside the runs that write them.

To import MLflow and to open a store takes three seconds, more than a small sweep trains. So a command whose store is an
SQLite database that is known to be usable leaves both to a second process, and trains meanwhile. What passes between
the two is in the folders of runs: their journals, and the cursors of what the store has.

The companion ends with the command, however that ends. What it has not uploaded by then is pending, as after a store
that was not available.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from select import select
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from w2v_exp.errors import UserError
from w2v_exp.files import DamagedFileError
from w2v_exp.processes import HELD_BACK, collect_garbage, interruptions_held_back, messages_on_stderr
from w2v_exp.tracking.database import is_usable_database
from w2v_exp.tracking.journal import FILE as JOURNAL
from w2v_exp.tracking.journal import Journal
from w2v_exp.tracking.locations import parse_address
from w2v_exp.tracking.store import (
    PAUSE_SECONDS,
    RETRY_SECONDS,
    Store,
    configure_mlflow,
    experiment_id,
    experiment_name,
    open_store,
    retry,
    store_uri,
)
from w2v_exp.tracking.upload import PICTURES, Cursor, Uploader, draw_pictures, is_uploaded

if TYPE_CHECKING:
    from w2v_exp.choices import MlflowTracking

SETTLE_SECONDS = 1.0  # after the begin of a run: one that ends within it is uploaded in one go
UPLOAD_SECONDS = 8.0  # between two uploads of a run, so that the UI shows a curve within ten seconds
LATE_SECONDS = 10.0  # beyond the time that the companion has for its last uploads
OPEN, FOLLOW, END, FLUSH = "open", "follow", "end", "flush"


class Mirror(Protocol):
    """Uploads the journals of runs beside them."""

    def follow(self, folder: Path) -> None:
        """Upload the journal in a folder from now on, once it is there."""

    def end(self, folder: Path) -> None:
        """Upload the rest of a journal, which has ended."""


class ParentsMirror:
    """The mirror of a run in a worker process: the process that started it has the companion."""

    def follow(self, folder: Path) -> None:
        """Do nothing: the parent has begun to follow the folder."""

    def end(self, folder: Path) -> None:
        """Do nothing: the parent is informed of the end of the run."""


class Companion:
    """The process that uploads the journals of a command's runs. It begins to import MLflow at once.

    Attributes
    ----------
    uri : str
        Of the store, after `open`.
    experiment_id : str
        Of the experiment in the store, after `flush`; empty if the store cannot be opened.
    """

    def __init__(self) -> None:
        self.uri = self.experiment_id = ""
        self._problems: dict[str, str] = {}
        self._responds = True
        self._has_begun = False
        self._ended: list[Path] = []
        with interruptions_held_back():
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )

    def open(self, tracking: MlflowTracking) -> None:
        """Open the store, which `may_accompany` has accepted."""
        cursor = begin_cursor(tracking)
        self.uri = cursor.uri
        self._send({OPEN: cursor.uri, "experiment": cursor.experiment})

    def follow(self, folder: Path) -> None:
        """Upload the journal in a folder from now on, once it is there."""
        self._has_begun = True
        self._send({FOLLOW: str(folder.absolute())})

    def end(self, folder: Path) -> None:
        """Upload the rest of a journal, which has ended."""
        self._ended.append(folder)
        self._send({END: str(folder.absolute())})

    def flush(self, wait: float = RETRY_SECONDS) -> None:
        """Wait until the journals that have ended are uploaded, or have been tried for some time.

        Meanwhile this process draws pictures, from the last run to the first one: the companion begins with the first.
        """
        if not self._has_begun:
            return
        while self._ended:
            for data in self._ended.pop().glob(f"*/{PICTURES}"):
                with suppress(OSError):  # the companion has uploaded it, or will report it
                    draw_pictures(data.parent)
        self._send({FLUSH: wait})
        reply = self._reply(wait + LATE_SECONDS)
        self._responds = bool(reply)
        self.experiment_id = str(reply.get("experiment_id", ""))
        self._problems |= reply.get("problems", {})

    @property
    def has_failed(self) -> bool:
        """Whether, after `flush`, the store lacks something."""
        return not self._responds or bool(self._problems)

    def problem(self, folder: Path) -> str:
        """Return, after `flush`, the problem with a folder in one line; empty if the store has all of it."""
        if self._responds or is_uploaded(folder):
            return self._problems.get(str(folder.absolute()), "")
        return "it does not respond" if self._process.poll() is None else "the process that uploads was ended"

    def close(self) -> None:
        """End the process; what it has not uploaded is pending."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _send(self, request: Mapping[str, Any]) -> None:
        with suppress(OSError):  # the process was killed: its uploads are pending
            self._process.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def _reply(self, seconds: float) -> dict[str, Any]:
        """Return the reply to the last request; empty if there is none in time."""
        stream = self._process.stdout
        if stream is None or not select([stream], [], [], seconds)[0]:
            return {}
        line = stream.readline()
        return json.loads(line) if line.endswith("\n") else {}


def will_accompany(overrides: Sequence[str]) -> bool:
    """Return whether a companion is likely to be trusted with the runs of a command that is not composed yet.

    If it is not, it is ended in vain, after a part of a second.
    """
    others = ("tracking=", "tracking.uri=", "estimate=", "hydra/")
    is_named = any(text.lstrip("+").startswith(others) for text in overrides)
    return _is_of_use() and not is_named and "MLFLOW_TRACKING_URI" not in os.environ


def may_accompany(tracking: MlflowTracking) -> bool:
    """Return whether a companion can be trusted with a store, without opening it by MLflow.

    That is an SQLite database which is usable or still to be made. Other stores may refuse a run in many ways, which
    has to be known before it trains.
    """
    if not _is_of_use():
        return False
    cursor = begin_cursor(tracking)
    return not cursor.experiment_id and is_usable_database(parse_address(cursor.uri), cursor.experiment)


def _is_of_use() -> bool:
    """Return whether a companion saves time: in a process that has imported MLflow there is nothing to gain."""
    return "mlflow" not in sys.modules and sys.platform != "win32"


def begin_cursor(tracking: MlflowTracking) -> Cursor:
    """Return the cursor of a new journal for a store that this process has not opened."""
    name, identity = experiment_name(tracking.experiment), experiment_id(tracking.experiment)
    return Cursor(store_uri(tracking.uri), name, identity)


class _Followed:
    """A folder whose journal the companion uploads.

    Parameters
    ----------
    folder : Path
        Of a run or a sweep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.due = monotonic() + SETTLE_SECONDS
        self.has_ended = False
        self._uploader: Uploader | None = None

    def upload(self, store: Store) -> bool:
        """Upload what is new; return whether nothing is left of a run that has ended."""
        uploader = self._open(store)
        is_done = (uploader is None or uploader.send()) and self.has_ended
        self.due = monotonic() + (PAUSE_SECONDS if self.has_ended else UPLOAD_SECONDS)
        return is_done

    def finish(self, store: Store, seconds: float) -> str:
        """Upload everything; return the problem in one line, else ""."""
        uploader = self._open(store)
        return uploader.finish(seconds) if uploader else ""

    def _open(self, store: Store) -> Uploader | None:
        """Return the uploader of the journal as it is now; None while it is not there.

        The folder may hold the journal of an earlier run, which the new run replaces: it deletes the old cursor,
        then replaces the journal, then writes a new cursor. So a cursor read after a journal belongs to it, if the
        journal is still the same afterwards.
        """
        if self._uploader:
            self._uploader.journal.refresh()
            return self._uploader
        with suppress(OSError, ValueError, DamagedFileError):
            journal = Journal.open(self.folder, is_written=True)
            cursor = Cursor.read(self.folder)
            if Journal.open(self.folder, is_written=True).header.id != journal.header.id:
                return None
            if cursor.uri == store.uri and not cursor.run_id:
                cursor.experiment_id = store.experiment_id
                self._uploader = Uploader(store.client, journal, cursor, is_new=True, is_beside=True)
                self._uploader.journal.refresh()
        return self._uploader


class _Uploads:
    """The uploads of a companion.

    Parameters
    ----------
    open : callable
        Opens the store.
    """

    def __init__(self, open: Callable[[], Store]) -> None:
        self._open = open
        self._store: Store | None = None
        self._problem = ""
        self._followed: dict[str, _Followed] = {}

    def serve(self, requests: Queue[dict[str, Any]], reply: Callable[[dict[str, Any]], None]) -> None:
        """Upload, and reply to requests to flush, until the process is ended."""
        self._try_to_open()
        collect_garbage()
        while True:
            with suppress(Empty):
                request = requests.get(timeout=self._pause())
                if FLUSH in request:
                    reply(self._flush(float(request[FLUSH])))
                else:
                    self._note(request)
                continue  # all requests that wait are noted before an upload
            self._upload()

    def _pause(self) -> float:
        now = monotonic()
        return max(min((each.due for each in self._followed.values()), default=now + 60.0) - now, 0.0)

    def _note(self, request: Mapping[str, Any]) -> None:
        if FOLLOW in request:
            folder = request[FOLLOW]
            self._followed[folder] = _Followed(Path(folder))
        elif followed := self._followed.get(request[END]):
            followed.has_ended, followed.due = True, monotonic()

    def _upload(self) -> None:
        if not self._try_to_open():
            for followed in self._followed.values():
                followed.due = monotonic() + PAUSE_SECONDS
            return
        now = monotonic()
        for folder, followed in list(self._followed.items()):
            if followed.due <= now and self._store and followed.upload(self._store):
                del self._followed[folder]

    def _try_to_open(self, wait: float = 0.0) -> bool:
        """Return whether the store is open; one that is not available is retried for some seconds."""
        try:
            self._store = self._store or retry(self._open, None, wait)
        except UserError as error:
            self._problem = str(error)
        return self._store is not None

    def _flush(self, wait: float) -> dict[str, Any]:
        """Upload all that has ended; a folder with a problem is given up."""
        until = monotonic() + wait
        self._try_to_open(wait)
        problems: dict[str, str] = {}
        for folder, followed in list(self._followed.items()):
            if not followed.has_ended:
                continue
            del self._followed[folder]
            if self._store is not None:
                problems[folder] = followed.finish(self._store, max(until - monotonic(), 0.0))
            elif (followed.folder / JOURNAL).exists():
                problems[folder] = self._problem
        return {
            "experiment_id": self._store.experiment_id if self._store else "",
            "problems": {folder: problem for folder, problem in problems.items() if problem},
        }


def main() -> None:
    """Upload, by requests on the standard input, and end when that is closed."""
    gc.disable()  # importing MLflow takes a fifth less time
    for number in (*HELD_BACK, signal.SIGTERM):  # the command gets them, too, and finishes
        signal.signal(number, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what packages print is no reply
    requests: Queue[dict[str, Any]] = Queue()

    def receive() -> None:
        for line in sys.stdin:
            requests.put(json.loads(line))
        os._exit(0)  # the command has ended

    Thread(target=receive, daemon=True).start()
    configure_mlflow()
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  (most of the time of opening a store)

    opened = requests.get()
    with messages_on_stderr(over_bar=True):
        _Uploads(lambda: open_store(opened[OPEN], opened["experiment"])).serve(
            requests, lambda reply: print(json.dumps(reply), file=replies, flush=True)
        )


if __name__ == "__main__":
    main()
