"""Files that are written completely, folders that w2v_exp may delete from, and locks between processes.

The name of a file or folder is no reason to delete it: MLflow's run folders, for example, are named like entries of
the cache. Only marked folders are deleted from (`CACHEDIR.TAG`), and symbolic links are not followed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from zlib import crc32

from filelock import lock_descriptor
from platformdirs import user_cache_path

_log = logging.getLogger(__name__)

CHECKSUM = "checksum"  # key in a file of `write_checked`
LEAVE_FREE = 1_000_000_000  # bytes of a disk that are never filled


@contextmanager
def replacing(path: Path | str, mode: str = "w", *, durable: bool = True) -> Iterator[IO[Any]]:
    r"""Open a temporary file beside `path`; rename it to `path` at the end.

    Text is UTF-8 with ``\n`` line ends on every platform. If the block raises, the temporary file is deleted and
    `path` is unchanged. The file is synced before it is renamed, and its folder afterwards, so that neither is lost
    in a power failure; ``durable=False`` saves that time for files that can be made again and are checked when read.
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    # Not by `tempfile`, whose files only the owner can read: this file gets the permissions of any other.
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}")
    try:
        with temporary.open(mode.replace("w", "x"), **text) as stream:  # type: ignore[call-overload]
            yield stream
            if durable and path.parent not in _synced_later:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
        if durable and path.parent not in _synced_later:
            sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_synced_later: set[Path] = set()


@contextmanager
def synced_later(folder: Path) -> Iterator[None]:
    """Let `replacing` leave the files of a folder to a later call of `sync_files` within the block.

    A run writes a dozen files. To sync each of them and the folder takes 0.03 to 0.3 s; in parallel it takes the time
    of one or two, since the file system writes its journal for all of them.
    """
    _synced_later.add(folder)
    try:
        yield
    finally:
        _synced_later.discard(folder)


def sync_files(paths: Iterable[Path]) -> None:
    """Write files to the disk, and the names in their folders.

    Raises
    ------
    OSError
        If one cannot be written, as on a full disk.
    """
    existing = [path for path in paths if path.is_file()]
    if existing:
        with ThreadPoolExecutor(min(8, len(existing))) as threads:
            list(threads.map(_sync_file, existing))
    for folder in {path.parent for path in existing}:
        sync_folder(folder)


def _sync_file(path: Path) -> None:
    opened = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # Windows syncs only what can be written
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def is_unfinished(file: str, names: Collection[str]) -> bool:
    """Return whether a file name is that of a temporary file that `replacing` makes for one of these names.

    >>> is_unfinished(".result.json.01ab23cd", ["result.json"])
    True
    """
    match = re.fullmatch(r"\.(.+)\.[0-9a-f]{8}", file)
    return match is not None and any(match[1] == name[:50] for name in names)


class DamagedFileError(Exception):
    """A file that does not contain the data written to it; the message is the end of a sentence."""


def write_checked(path: Path, values: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write values as a JSON object that includes a checksum.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with replacing(path, durable=durable) as stream:
        json.dump({**values, CHECKSUM: _checksum(values)}, stream, indent=1)


def read_checked(path: Path) -> dict[str, Any]:
    """Return the values written to a file by `write_checked`.

    Raises
    ------
    OSError
        If it cannot be read; `FileNotFoundError` if it does not exist.
    DamagedFileError
        If the values are not those written.
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
    """Return a path with ``~`` or ``~user`` replaced by that user's home folder; unchanged if there is none."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # no such user or no home folder; a NUL byte, which no name contains
        return Path(path)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, on systems that can."""
    with suppress(OSError):  # Windows opens no folders
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def cache_folder() -> Path:
    """Return the absolute path of the project's cache folder, which need not exist.

    It is ``W2V_EXP_CACHE``, or else ``w2v_exp`` in the system's folder for caches (on Linux ``XDG_CACHE_HOME``, or
    ``~/.cache``). For a user without a home folder (``docker run --user 12345``) it is in ``outputs`` of the current
    folder. Callers make subfolders of their own.
    """
    if own := os.environ.get("W2V_EXP_CACHE"):
        return expanded(own).absolute()
    with suppress(RuntimeError):  # no home folder
        if (folder := user_cache_path("w2v_exp", appauthor=False)).is_absolute():
            return folder
    return Path("outputs/.cache/w2v_exp").absolute()


# ---------------------------------------------------------------- locks

MESSAGE_SECONDS = 2.0  # a shorter wait is not logged
_POLL_SECONDS = 0.05
_HOLDER_BYTES = 300  # read from a lock's file: a process id and the longest name of a host


@contextmanager
def locked(path: Path, *, logs_wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file during the block, after waiting for its present holder.

    The operating system releases the lock when the process ends, however it ends. The file stays: if it were deleted,
    two processes could hold locks of the same name. A wait of more than two seconds is logged once, if `logs_wait`:
    not where the holder is another process of the same command.

    Raises
    ------
    OSError
        If the file cannot be made, or its file system has no locks.
    """
    with _opened(path) as stream:
        message_at = time.monotonic() + MESSAGE_SECONDS
        while not lock_descriptor(stream.fileno(), blocking=False):
            if time.monotonic() >= message_at:
                if logs_wait:
                    _log.warning(f"Waiting for {path}: another process{_holder(stream)} holds it.")
                lock_descriptor(stream.fileno(), poll_interval=_POLL_SECONDS)
                break
            time.sleep(_POLL_SECONDS)
        _write_holder(stream)
        yield  # closing the file releases the lock


def try_lock(path: Path) -> IO[bytes] | None:
    """Return a file, made if need be, that is locked until it is closed; None if another process holds the lock.

    Unlike with `locked`, the holder may delete the file.

    Raises
    ------
    OSError
        If the file cannot be made, or its file system has no locks.
    """
    while True:
        with ExitStack() as closing:
            stream = closing.enter_context(_opened(path))
            if not lock_descriptor(stream.fileno(), blocking=False):
                return None
            with suppress(FileNotFoundError):  # deleted meanwhile: the next file of this name is another one
                if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                    _write_holder(stream)
                    closing.pop_all()
                    return stream


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file that exists, without waiting or writing.

    Raises
    ------
    OSError
        If the file cannot be opened, or its file system has no locks.
    """
    with path.open("rb") as stream:
        return not lock_descriptor(stream.fileno(), blocking=False)


def _opened(path: Path) -> IO[bytes]:
    """Open a lock's file, made if need be; only for reading if it belongs to another user.

    filelock's own `FileLock` cannot lock a file of another user, and cannot report whether a file is locked without
    making it; its `lock_descriptor` locks any open file.
    """
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    except PermissionError:
        with suppress(FileNotFoundError):
            return path.open("rb", buffering=0)
        raise


def _write_holder(stream: IO[bytes]) -> None:
    """Write the process that holds a lock into its file, for the message of those that wait."""
    with suppress(OSError):  # a full disk, or the file of another user
        stream.seek(0)
        stream.truncate()
        stream.write(f"{os.getpid()} {socket.gethostname()}".encode())


def _holder(stream: IO[bytes]) -> str:
    """Return the holder of a lock in parentheses, as its file has it; "" if the file does not name it."""
    try:
        stream.seek(0)
        process, host = stream.read(_HOLDER_BYTES).decode().split()
    except (OSError, ValueError):  # on Windows, nobody else can read a locked file
        return ""
    if not process.isdecimal():
        return ""
    return f" (pid {process})" if host == socket.gethostname() else f" (pid {process} of another machine)"


# ---------------------------------------------------------------- folders that are deleted from

TAG = "CACHEDIR.TAG"  # known to backup programs, which exclude such folders: bford.info/cachedir
CONTENT = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder belongs to w2v_exp, which deletes files in it. Keep nothing of your own here.
"""
SUBFOLDER = "w2v_exp"  # used in a folder that contains other files


def is_own(folder: Path) -> bool:
    """Return whether a folder has the marker. A marker that is a symbolic link does not count."""
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
    """Return whether a folder without the marker contains files other than those named in `besides`."""
    if is_own(folder):
        return False
    try:
        names = {path.name for path in folder.iterdir()} - {*besides}
    except OSError:  # it does not exist, or cannot be listed, and then cannot be written to either
        return False
    return not all(is_unfinished(name, [TAG]) for name in names)


def own_place(folder: Path) -> Path:
    """Return the folder to use for a folder that a user names: itself, or a subfolder if it contains other files."""
    return folder / SUBFOLDER if is_foreign(folder) else folder


def make_own(folder: Path, besides: Collection[str] = (), *, durable: bool = True) -> None:
    """Make a folder with the marker, or mark one that contains nothing else; `durable` as for `replacing`.

    Raises
    ------
    OSError
        If it cannot be made, or contains other files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_own(folder):
        return
    if is_foreign(folder, besides):
        raise FileExistsError(f"{folder} holds files that w2v_exp has not made")
    with replacing(folder / TAG, "wb", durable=durable) as stream:
        stream.write(CONTENT)


def holds_only(folder: Path, names: Collection[str]) -> bool:
    """Return whether a marked folder contains only files of these names, finished or not.

    Raises
    ------
    OSError
        If it cannot be listed.
    """
    listed = {path.name for path in folder.iterdir()} - {*names, TAG}
    return not folder.is_symlink() and is_own(folder) and all(is_unfinished(name, names) for name in listed)


def delete_own(folder: Path, names: Sequence[str]) -> bool:
    """Delete a marked folder that contains only files of these names, in their order; return whether it is gone.

    If it contains anything else, nothing is deleted.
    """
    try:
        if not holds_only(folder, names):
            return False
        remove_unfinished(folder, names)
        # The marker last, unless `names` has a place for it: what an interruption leaves can still be deleted.
        for name in names if TAG in names else (*names, TAG):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        return False
    return True


def remove_unfinished(folder: Path, names: Collection[str]) -> None:
    """Delete the temporary files that processes which were killed left beside files of these names.

    Raises
    ------
    OSError
        If the folder cannot be listed, or a file not be deleted.
    """
    for path in folder.iterdir():
        if is_unfinished(path.name, names):
            path.unlink(missing_ok=True)
