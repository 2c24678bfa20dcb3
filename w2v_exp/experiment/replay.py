"""Delivers to their store what runs could not: ``python -m w2v_exp.experiment.replay FOLDER``.

The folder is that of a run, or of a sweep, or any above them. Metrics keep the time at which they were taken; what has
been delivered already is not stored twice, so the command can be given as often as one likes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from w2v_exp.errors import UserError
from w2v_exp.exiting import exit_with
from w2v_exp.file_lock import is_locked
from w2v_exp.tracking.earlier import LOCK
from w2v_exp.tracking.pending import FILE, Pending
from w2v_exp.tracking.problems import first_line, problem_of
from w2v_exp.tracking.store import connect

DELIVERED, FAILED, MISTAKE = 0, 1, 2


def main(arguments: list[str]) -> int:
    """Deliver what is kept in a folder; 0: nothing is left, 1: something is, 2: there is no such folder."""
    parser = argparse.ArgumentParser(
        prog="python -m w2v_exp.experiment.replay",
        description="Deliver to their MLflow store what runs could not while it was locked, full or away.",
    )
    parser.add_argument("folder", type=Path, help="of a run or a sweep, or any above them, as outputs")
    parser.add_argument("--uri", help="of the store, if it has moved since")
    parsed = parser.parse_args(arguments)
    if not parsed.folder.is_dir():
        print(f"{parsed.folder}: no such folder, seen from {Path.cwd()}.", file=sys.stderr)
        return MISTAKE
    folders = sorted(file.parent for file in parsed.folder.rglob(FILE))
    if not folders:
        print(f"Nothing is kept in {parsed.folder}: the store has been told all.")
    return max([_replay(folder, parsed.uri) for folder in folders], default=DELIVERED)


def _replay(folder: Path, uri: str | None) -> int:
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
        pending.deliver(connect(uri or pending.uri, create=False), folder)
    except UserError as error:
        print(f"{folder}: {error}", file=sys.stderr)
        return FAILED
    except Exception as error:
        # Whatever a store is made of (SQLAlchemy, a web client, a file system, …) raises errors of its own.
        pending.write(folder)
        print(f"{folder}: not delivered ({problem_of(error)}).", file=sys.stderr)
        return FAILED
    (folder / FILE).unlink()
    print(
        f"{folder}: run {pending.run_id} is whole in its store now ({metrics} metrics, and what else there was)."
    )
    return DELIVERED


if __name__ == "__main__":
    exit_with(main)
