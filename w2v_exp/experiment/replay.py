"""Delivers to their store what runs could not: ``w2v-exp sync FOLDER``.

The folder is that of a run, or of a sweep, or any above them. Metrics keep the time at which they were taken; what has
been delivered already is not stored twice, so the command can be given as often as one likes.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from w2v_exp.choices import MlflowTracking
from w2v_exp.errors import UserError, shown
from w2v_exp.files import is_locked
from w2v_exp.processes import exit_with
from w2v_exp.tracking.history import FOLDER, LOCK, is_alive
from w2v_exp.tracking.store import connect, first_line, open_store, patiently, problem_of, store_uri
from w2v_exp.tracking.upload import FILE, Pending, replay_command

DELIVERED, FAILED, MISTAKE = 0, 1, 2


def main(arguments: list[str]) -> int:
    """Deliver what is kept in a folder; 0: nothing is left, 1: something is, 2: there is no such folder."""
    parser = argparse.ArgumentParser(
        prog="w2v-exp sync",
        description="Deliver to their MLflow store what runs could not while it was locked, full or away.",
    )
    parser.add_argument("folder", type=Path, help="of a run or a sweep, or any above them, as outputs")
    parser.add_argument("--uri", help="of the store, if it is not MLFLOW_TRACKING_URI or ./mlflow.db")
    parsed = parser.parse_args(arguments)
    if not parsed.folder.is_dir():
        print(f"{parsed.folder}: no such folder, seen from {Path.cwd()}.", file=sys.stderr)
        return MISTAKE
    try:
        configured = store_uri(parsed.uri)
    except UserError as error:
        print(str(error).replace("tracking.uri", "--uri", 1) if parsed.uri else error, file=sys.stderr)
        return MISTAKE
    folders = sorted(file.parent for file in parsed.folder.rglob(FILE))
    if not folders:
        print(f"Nothing is kept in {parsed.folder}: the store has been told all.")
    return max([_replay(folder, configured, parsed.uri is not None) for folder in folders], default=DELIVERED)


def _replay(folder: Path, configured: str, is_given: bool) -> int:
    if (folder / LOCK).exists() and is_locked(folder / LOCK):
        print(f"{folder}: its run is not over, and delivers by itself.")
        return FAILED
    try:
        pending = Pending.read(folder)
    except (OSError, ValueError) as error:
        print(f"{folder / FILE}: cannot be read ({first_line(error)}).", file=sys.stderr)
        return FAILED
    metrics = len(pending.metrics)
    try:
        pending.checked_files(folder)
        uri = configured if is_given else _confirmed(folder, pending.uri, configured)
        client = connect(uri, create=False)
        pending.drop_if_finished(client)
        pending.deliver(client, folder)
    except UserError as error:
        print(f"{folder}: {error}", file=sys.stderr)
        return FAILED
    except Exception as error:
        # Whatever a store is made of (SQLAlchemy, a web client, a file system, …) raises errors of its own.
        pending.write(folder)
        print(f"{folder}: not delivered ({problem_of(error)}).", file=sys.stderr)
        return FAILED
    (folder / FILE).unlink()
    if pending.run_id:
        print(
            f"{folder}: run {pending.run_id} is whole in its store now ({metrics} metrics, and what else there was)."
        )
    else:
        print(f"{folder}: its run did not begin in {uri}; nothing to upload.")
    return DELIVERED


def deliver_earlier(folder: Path, tracking: MlflowTracking | None, patience: float) -> None:
    """Deliver data that an earlier run has left in a folder, before another run uses that folder.

    It is delivered as if the store had been available when the earlier run ended, so that the same command resumes
    it. Data for another store, and of a run that is alive, stay where they are.

    Parameters
    ----------
    folder : Path
        Of a run or a sweep. It need not exist, nor hold such data.
    tracking : MlflowTracking or None
        The store of the next run.
    patience : float
        Seconds for which a store that is locked or away is retried.

    Raises
    ------
    UserError
        If the data cannot be delivered.
    """
    file = folder / FILE
    if tracking is None or not file.exists() or ((folder / LOCK).exists() and is_locked(folder / LOCK)):
        return
    try:
        pending = Pending.read(folder)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file}: cannot be read ({first_line(error)}). Delete it if nobody needs it, or choose another folder."
        ) from None
    configured = store_uri(tracking.uri)
    if pending.uri.rstrip("/") != configured.rstrip("/"):
        raise UserError(
            f"{folder}: holds data of an earlier run for another store, {shown(pending.uri, 200)}. Send them with "
            f"{replay_command(folder, pending.uri)}, or choose another folder."
        )
    pending.checked_files(folder)
    try:
        # Delivered data are taken out of `pending`, so a repeated call delivers the rest.
        patiently(lambda: _deliver(pending, folder, tracking), tracking.uri, patience)
    except UserError as error:
        pending.write(folder)
        raise UserError(
            f"{folder}: holds data of an earlier run that cannot be delivered: {str(error).rstrip('.')}. Delete "
            f"{file} if nobody needs them, or choose another folder."
        ) from error
    file.unlink()
    if pending.run_id:
        print(f"{folder}: uploaded pending data of earlier run {pending.run_id}.", file=sys.stderr)


def _deliver(pending: Pending, folder: Path, tracking: MlflowTracking) -> None:
    client = open_store(tracking.uri, tracking.experiment).client
    if pending.run_id:
        run = client.get_run(pending.run_id)
        if run.info.status == "RUNNING" and is_alive(run):  # in another folder: that of `pending` has no lock
            raise UserError(f"run {pending.run_id} is alive in {run.data.tags.get(FOLDER, 'another folder')}")
        pending.drop_if_finished(client)
    pending.deliver(client, folder)


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


if __name__ == "__main__":
    exit_with(main)
