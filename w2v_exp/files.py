"""Files written whole, folders that may be deleted from, and locks between processes.

The locks are `flock`'s, not those of the library filelock: a lock has to be looked at by a user who may only read the
file, and a holder may delete its file, for both of which that has no function.

No name of a file or folder is a reason to delete it: MLflow's run folders, for one, are called like entries of the
cache. Symbolic links are not followed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from zlib import crc32

_log = logging.getLogger(__name__)

CHECKSUM = "checksum"  # key in a file of `write_checked`


@contextmanager
def replacing(path: Path | str, mode: str = "w", *, durable: bool = True) -> Iterator[IO[Any]]:
    r"""Open a temporary file beside `path`, and rename it to `path` if the block ends well.

    Text is UTF-8 with ``\n`` line ends on every platform. If the block raises, the temporary file is deleted
    and what was at `path` before stays. The file is on the disk before it gets its name, and its name when this
    returns, so that neither is lost with the machine's power; ``durable=False`` saves that time for what can be made
    again and is checked when it is read.
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    # Not by `tempfile`, which lets only the owner read: this file gets the permissions of any other.
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}")
    try:
        with temporary.open(mode.replace("w", "x"), **text) as stream:  # type: ignore[call-overload]
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class DamagedFileError(Exception):
    """A file that is not what was written; the message says why, as the end of a sentence."""


def write_checked(path: Path, values: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write values as a JSON object, with a checksum among them.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with replacing(path, durable=durable) as stream:
        json.dump({**values, CHECKSUM: _checksum(values)}, stream, indent=1)


def read_checked(path: Path) -> dict[str, Any]:
    """Return the values that `write_checked` has written to a file.

    Raises
    ------
    OSError
        If it cannot be read; `FileNotFoundError` if it does not exist.
    DamagedFileError
        If they are not what was written.
    """
    content = path.read_bytes()
    if not content:
        raise DamagedFileError("it is empty")
    try:
        values: dict[str, Any] = json.loads(content)
        checksum = values.pop(CHECKSUM)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise DamagedFileError("it is not what was written") from None
    if checksum != _checksum(values):
        raise DamagedFileError("its checksum is that of other values")
    return values


def _checksum(values: Mapping[str, Any]) -> int:
    return crc32(json.dumps(values, sort_keys=True).encode())


def expanded(path: Path | str) -> Path:
    """Return a path whose ``~`` or ``~user`` is that user's home folder; as it is where there is none."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # no such user or no home folder; a NUL byte, which no name has
        return Path(path)


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk, where the system can."""
    with suppress(OSError):  # Windows opens no folders
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def cache_folder() -> Path:
    """Return the project's cache folder, as an absolute path. It need not exist.

    ``W2V_EXP_CACHE`` names it; without that it is ``w2v_exp`` in ``XDG_CACHE_HOME``, or in ``~/.cache``. A user without
    a home folder (``docker run --user 12345``) has it in ``outputs`` of the current folder, beside the runs.
    Whoever keeps something here makes a folder of its own below it.
    """
    if own := os.environ.get("W2V_EXP_CACHE"):
        return expanded(own).absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # A relative XDG_CACHE_HOME is to be ignored: XDG Base Directory Specification.
    base = Path(shared) if Path(shared).is_absolute() else expanded("~/.cache")
    return base / "w2v_exp" if base.is_absolute() else Path("outputs/.cache/w2v_exp").absolute()


def own_files(cache: Path, name: str) -> list[Path]:
    """Return the files in a subfolder of a marked folder that hold what `write_checked` writes, and are no links."""
    folder = cache / name
    if folder.is_symlink() or not is_own(cache):
        return []
    return [file for file in folder.glob("*.json") if not file.is_symlink() and _is_checked(file)]


def _is_checked(file: Path) -> bool:
    with suppress(OSError, DamagedFileError):
        return bool(read_checked(file))
    return False


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
            _log.warning(f"Waiting for {path}: another process{_holder(stream)} holds it.")
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


TAG = "CACHEDIR.TAG"  # known to programs that make backups, which leave such folders out: bford.info/cachedir
CONTENT = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder belongs to w2v_exp, which deletes files in it. Keep nothing of your own here.
"""
SUBFOLDER = "w2v_exp"  # of a folder that belongs to somebody else
_UNFINISHED_TAG = re.compile(rf"\.{re.escape(TAG)}\.[0-9a-f]+")


def is_own(folder: Path) -> bool:
    """Return whether a folder has the mark. A mark that is a symbolic link is none."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe would block
    try:
        opened = os.open(folder / TAG, flags)
    except OSError:
        return False
    try:
        return os.read(opened, len(CONTENT) + 1) == CONTENT
    except OSError:  # a folder of that name
        return False
    finally:
        os.close(opened)


def is_foreign(folder: Path, besides: Collection[str] = ()) -> bool:
    """Return whether a folder holds files, others than those of the names `besides`, and has no mark."""
    if is_own(folder):
        return False
    try:
        names = {path.name for path in folder.iterdir()} - {*besides}
    except OSError:  # it does not exist; or nothing can be written to it either
        return False
    return not all(_UNFINISHED_TAG.fullmatch(name) for name in names)


def own_place(folder: Path) -> Path:
    """Return where to put files for which a user has named a folder: there, or in a subfolder if it is in use."""
    return folder / SUBFOLDER if is_foreign(folder) else folder


def make_own(folder: Path, besides: Collection[str] = ()) -> None:
    """Make a folder with the mark, or mark one that may get it.

    Raises
    ------
    OSError
        If it cannot be made, or is in use for something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_own(folder):
        return
    if is_foreign(folder, besides):
        raise FileExistsError(f"{folder} holds files that w2v_exp has not made")
    with replacing(folder / TAG, "wb") as stream:
        stream.write(CONTENT)


def delete_own(folder: Path, names: Sequence[str]) -> bool:
    """Delete a marked folder that holds nothing but files of these names, in their order; return whether it is gone.

    Anything else in it, and the folder itself then, is left alone.
    """
    try:
        if (
            folder.is_symlink()
            or not is_own(folder)
            or not {path.name for path in folder.iterdir()} <= {*names, TAG}
        ):
            return False
        # The mark last, if nothing else is asked for: what is left by an interruption can still be deleted.
        for name in names if TAG in names else (*names, TAG):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        return False
    return True
