"""A lock between processes: whoever holds the file, works; the others wait."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this file while the block runs, after waiting for whoever holds it.

    The system frees it when its holder ends, however that happens. The file stays: to delete it would let two
    processes hold locks of the same name.

    Raises
    ------
    OSError
        If the file cannot be made, or its file system has no locks.
    """
    with path.open("ab") as stream:
        _lock(stream)
        yield  # closing the file frees it


def try_lock(path: Path) -> IO[bytes] | None:
    """Return this file, made if need be and locked until it is closed; None if somebody else holds it.

    Unlike with `locked`, its holder may delete it.

    Raises
    ------
    OSError
        If the file cannot be made, or its file system has no locks.
    """
    while True:
        with ExitStack() as closing:
            stream = closing.enter_context(path.open("ab"))
            if not _try_to_lock(stream):
                return None
            with suppress(FileNotFoundError):  # deleted meanwhile: the next one of this name is another file
                if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                    closing.pop_all()
                    return stream


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock of a file that is there, without waiting.

    Raises
    ------
    OSError
        If that cannot be told.
    """
    with path.open("ab") as stream:
        return not _try_to_lock(stream)


if sys.platform == "win32":
    import msvcrt
    import time

    def _try_to_lock(stream: IO[bytes]) -> bool:
        stream.seek(0)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _lock(stream: IO[bytes]) -> None:
        while not _try_to_lock(stream):
            time.sleep(0.1)

else:
    import fcntl

    def _try_to_lock(stream: IO[bytes]) -> bool:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _lock(stream: IO[bytes]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
