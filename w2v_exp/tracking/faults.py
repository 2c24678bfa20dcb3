"""Faults of a store: which of them pass, and how long they are waited for."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from w2v_exp.errors import UserError
from w2v_exp.tracking.problems import database_error, http_status, problem_of
from w2v_exp.tracking.store import store_uri

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 1.0
PASSING = {429, 500, 502, 503, 504}  # HTTP's numbers, which MLflow gives the faults of databases, too
# Not a full disk, which MLflow reports with the same number of HTTP's as a lock.
SQLITE_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL}
LASTING = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
}  # of a file system


def is_passing(error: BaseException) -> bool:
    """Return whether a fault may pass by itself: a lock, a server that is away, and not a mistake or a full disk."""
    reported = database_error(error)
    if isinstance(reported, sqlite3.Error) and hasattr(reported, "sqlite_errorcode"):
        return reported.sqlite_errorcode & 0xFF in SQLITE_PASSING
    for fault in (error, error.__cause__):
        if fault is not None and (status := http_status(fault)) is not None:
            return status in PASSING
        if isinstance(fault, OSError):  # those of web clients are among them, without a number
            return fault.errno not in LASTING
    return False


def patiently(call: Callable[[], Answer], uri: str | None, seconds: float) -> Answer:
    """Return what a call of the store returns, which is made again and again while its fault is one that may pass.

    Raises
    ------
    UserError
        If it still fails after so many seconds.
    """
    until = monotonic() + seconds
    while True:
        try:
            return call()
        except Exception as error:
            # Whatever a store is made of (SQLAlchemy, a web client, …) raises errors of its own.
            if monotonic() >= until or not is_passing(error):
                if isinstance(error, UserError):
                    raise
                address = store_uri(uri)
                raise UserError(f"tracking.uri={address}: cannot be used ({problem_of(error)}).") from error
            sleep(PAUSE_SECONDS)
