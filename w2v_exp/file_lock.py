"""A lock between processes: whoever holds the file, works; the others wait.

The locks are `flock`'s, not those of the library filelock: a lock has to be looked at by a user who may only read the
file, and a holder may delete its file, for both of which that has no function.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

MESSAGE_SECONDS = 2.0  # a wait that is shorter is not mentioned
_LOOK_EVERY = 0.05
_HOLDER_BYTES = 300  # of the file, at most: a process id and the longest name of a host


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this file while the block runs, after waiting for whoever holds it.

    The system frees it when its holder ends, however that happens. The file stays: to delete it would let two
    processes hold locks of the same name. A wait of more than two seconds is mentioned once on standard error.

    Raises
    ------
    OSError
        If the file cannot be made, or its file system has no locks.
    """
    with _opened(path) as stream:
        _wait_for(stream, path)
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
            stream = closing.enter_context(_opened(path))
            if not _try_to_lock(stream):
                return None
            with suppress(FileNotFoundError):  # deleted meanwhile: the next one of this name is another file
                if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                    _write_holder(stream)
                    closing.pop_all()
                    return stream


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock of a file that exists, without waiting; it is only read.

    Raises
    ------
    OSError
        If the file cannot be opened, or its file system has no locks.
    """
    with path.open("rb") as stream:
        return not _try_to_lock(stream, shared=True)


def _opened(path: Path) -> IO[bytes]:
    """Open a lock's file, made if need be; for reading if it belongs to another user, which `flock` does with."""
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    except PermissionError:
        with suppress(FileNotFoundError):
            return path.open("rb", buffering=0)
        raise


def _wait_for(stream: IO[bytes], path: Path) -> None:
    """Lock a file, and print who holds it if that takes long."""
    message_at = time.monotonic() + MESSAGE_SECONDS
    while not _try_to_lock(stream):
        if time.monotonic() >= message_at:
            print(
                f"Waiting for {path}: another process{_holder(stream)} holds it.", file=sys.stderr, flush=True
            )
            _lock(stream)
            break
        time.sleep(_LOOK_EVERY)
    _write_holder(stream)


def _write_holder(stream: IO[bytes]) -> None:
    """Write into a file who holds its lock, for those who wait for it."""
    with suppress(OSError):  # a full disk, or the file of another user: it is locked all the same
        stream.seek(0)
        stream.truncate()
        stream.write(f"{os.getpid()} {socket.gethostname()}".encode())


def _holder(stream: IO[bytes]) -> str:
    """Return the process that holds a lock, as the file says, in parentheses; nothing if it does not say."""
    try:
        stream.seek(0)
        process, host = stream.read(_HOLDER_BYTES).decode().split()
    except (OSError, ValueError):
        return ""
    if not process.isdecimal():
        return ""
    return f" (pid {process})" if host == socket.gethostname() else f" (pid {process} of another machine)"


if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 30  # Windows lets nobody read what is locked, and the file says who holds it

    def _try_to_lock(stream: IO[bytes], *, shared: bool = False) -> bool:
        stream.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _lock(stream: IO[bytes]) -> None:
        while not _try_to_lock(stream):
            time.sleep(_LOOK_EVERY)

else:
    import fcntl

    def _try_to_lock(stream: IO[bytes], *, shared: bool = False) -> bool:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(stream.fileno(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _lock(stream: IO[bytes]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
