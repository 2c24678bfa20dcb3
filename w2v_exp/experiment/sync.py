"""Upload of journals that a store does not have completely: ``w2v-exp sync FOLDER``.

The folder is that of a run or a sweep, or any above them. Metrics keep their times and are stored once, so that the
command can be repeated.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from w2v_exp.choices import MlflowTracking
from w2v_exp.errors import UserError, shown
from w2v_exp.files import DamagedFileError
from w2v_exp.results import UPLOADED_FILE
from w2v_exp.tracking.history import FOLDER, is_alive, is_running
from w2v_exp.tracking.journal import FILE as JOURNAL
from w2v_exp.tracking.journal import End, Journal
from w2v_exp.tracking.store import connect, error_message, first_line, open_store, retry, store_uri
from w2v_exp.tracking.upload import (
    LEGACY,
    Cursor,
    Uploader,
    checked_files,
    is_uploaded,
    pending_folders,
    sync_command,
)

UPLOADED, FAILED, MISTAKE = 0, 1, 2
LEGACY_HINT = (
    f"{LEGACY} was written by an earlier w2v_exp. Upload it with that one (w2v_exp 0.1.0, git commit 5ea5fe0: "
    "w2v-exp sync FOLDER), or delete it"
)


def sync_parser() -> argparse.ArgumentParser:
    """Return the parser of ``w2v-exp sync``."""
    parser = argparse.ArgumentParser(
        prog="w2v-exp sync",
        description="Upload to MLflow what runs could not upload while it was locked, full or not available.",
    )
    parser.add_argument("folder", type=Path, help="of a run or a sweep, or any above them, as outputs")
    parser.add_argument("--uri", help="of the store, if it is not MLFLOW_TRACKING_URI or ./mlflow.db")
    return parser


def main(arguments: list[str]) -> int:
    """Upload pending data of a folder. Exit codes: 0: nothing is left; 1: something is; 2: no such folder."""
    parsed = sync_parser().parse_args(arguments)
    if not parsed.folder.is_dir():
        print(f"{parsed.folder}: no such folder, seen from {Path.cwd()}.", file=sys.stderr)
        return MISTAKE
    try:
        configured = store_uri(parsed.uri)
    except UserError as error:
        print(str(error).replace("tracking.uri", "--uri", 1) if parsed.uri else error, file=sys.stderr)
        return MISTAKE
    folders = pending_folders(parsed.folder)
    if not folders:
        print(f"Nothing to upload in {parsed.folder}.")
    return max((_sync(folder, configured, parsed.uri is not None) for folder in folders), default=UPLOADED)


def _sync(folder: Path, configured: str, is_given: bool) -> int:
    if is_running(folder):
        print(f"{folder}: the run is still active and uploads its own data; skipped.")
        return UPLOADED
    if (folder / LEGACY).exists():
        print(f"{folder}: {LEGACY_HINT}.", file=sys.stderr)
        return FAILED
    try:
        journal, cursor, end = _read(folder)
        checked_files(folder, end.files if end else "")
        uri = configured if is_given else _confirmed(folder, cursor.uri, configured)
        if not _upload_rest(Uploader(connect(uri, create=False), journal, cursor)):
            print(f"{folder}: its run did not begin in {uri}; nothing to upload.")
            return UPLOADED
    except UserError as error:
        print(f"{folder}: {error}", file=sys.stderr)
        return FAILED
    except Exception as error:
        # The layers of a store (SQLAlchemy, a web client, a file system, …) raise errors of their own.
        print(f"{folder}: upload failed ({error_message(error)}).", file=sys.stderr)
        return FAILED
    print(f"{folder}: run {cursor.run_id}: upload complete.")
    return UPLOADED


def _upload_rest(uploader: Uploader) -> bool:
    """Upload what the store lacks of an earlier run; return False, and delete its journal, if it did not begin."""
    if not uploader.has_begun():
        uploader.discard()
        return False
    if not uploader.skip_if_finished():
        uploader.upload()
    return True


def _read(folder: Path) -> tuple[Journal, Cursor, End | None]:
    """Return the journal of a folder, its cursor, and the end of the run; nothing damaged is sent.

    Raises
    ------
    UserError
        If one of them cannot be read.
    """
    file = folder / JOURNAL
    try:
        journal = Journal.open(folder)
        end = journal.last_end()
        file = folder / UPLOADED_FILE
        return journal, Cursor.read(folder), end
    except (OSError, ValueError, DamagedFileError) as error:
        raise UserError(f"{file} cannot be read ({first_line(error)})") from None


def upload_earlier(folder: Path, tracking: MlflowTracking | None, patience: float) -> None:
    """Upload pending data of an earlier run in a folder, before another run uses that folder.

    The result is as if the store had been available when the earlier run ended, so that the same command resumes it.
    Data for another store, and of an active run, stay pending.

    Parameters
    ----------
    folder : Path
        Of a run or a sweep. It need not exist, nor hold such data.
    tracking : MlflowTracking or None
        The store of the next run.
    patience : float
        Seconds for which a store that is locked or not available is retried.

    Raises
    ------
    UserError
        If the data cannot be uploaded.
    """
    if tracking is None or is_uploaded(folder) or is_running(folder):
        return
    try:
        journal, cursor, _ = _read(folder)
    except UserError as error:
        raise UserError(f"{error}. Delete it if nobody needs it, or choose another folder.") from None
    configured = store_uri(tracking.uri)
    if cursor.uri.rstrip("/") != configured.rstrip("/"):
        raise UserError(
            f"{folder}: holds data of an earlier run for another store, {shown(cursor.uri, 200)}. Send them with "
            f"{sync_command(folder, cursor.uri)}, or choose another folder."
        )
    try:
        retry(lambda: _upload(journal, cursor, tracking), tracking.uri, patience)
    except UserError as error:
        raise UserError(
            f"{folder}: holds data of an earlier run that cannot be uploaded: {str(error).rstrip('.')}. Delete "
            f"{journal.path} if nobody needs them, or choose another folder."
        ) from error
    print(f"{folder}: uploaded pending data of earlier run {cursor.run_id}.", file=sys.stderr)


def _upload(journal: Journal, cursor: Cursor, tracking: MlflowTracking) -> None:
    client = open_store(tracking.uri, tracking.experiment).client
    if cursor.run_id:
        run = client.get_run(cursor.run_id)
        if run.info.status == "RUNNING" and is_alive(run):  # in another folder: this one has no lock
            raise UserError(f"run {cursor.run_id} is alive in {run.data.tags.get(FOLDER, 'another folder')}")
    _upload_rest(Uploader(client, journal, cursor))


def _confirmed(folder: Path, noted: str, configured: str) -> str:
    """Return the address that a folder notes, if it is the configured one, or the user agrees.

    A folder may be from somebody else: it must not decide where data are sent.
    """
    address = store_uri(noted)
    if address.rstrip("/") == configured.rstrip("/"):
        return configured
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            f"its run began in {address}, and the configured store is {configured}. "
            f"Add --uri {shlex.quote(address)} if that is right."
        )
    answer = input(f"{folder}: upload to {shown(address, 200)}, which is not the configured store? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise UserError("skipped.")
    return address
