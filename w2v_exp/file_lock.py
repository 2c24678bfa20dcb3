"""A lock between processes: whoever holds the file, works; the others wait."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


if sys.platform == "win32":
    import msvcrt
    import time

    def _lock(stream: IO[bytes]) -> None:
        stream.seek(0)
        while True:
            try:
                return msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
            except PermissionError:  # held by another
                time.sleep(0.1)

else:
    import fcntl

    def _lock(stream: IO[bytes]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
