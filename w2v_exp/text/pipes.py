"""Texts of pipes, which can be read once: they are kept in temporary files."""

from __future__ import annotations

import logging
import os
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from w2v_exp.errors import CorpusError, SettingError, visible
from w2v_exp.files import LEAVE_FREE
from w2v_exp.machine import readable_bytes

_log = logging.getLogger(__name__)

STANDARD_INPUT = "-"
_CHUNK = 1 << 20
_CHECK_EVERY = 64 * _CHUNK
# Names of files that this process has open; in another process they are other files.
_DESCRIPTORS = re.compile(r"/dev/(stdin|fd/\d+)|/proc/(self|\d+)/fd/\d+")

# Descriptors of the temporary files, by path, device and inode of the pipes.
_spools: dict[tuple[str, int, int], int] = {}


def is_pipe(path: str) -> bool:
    """Return whether a path names a pipe, a socket, or a file that this process got open (``-``, ``/dev/stdin``).

    Raises
    ------
    SettingError
        If it names a device; a terminal as standard input is allowed.
    OSError
        If it cannot be looked up.
    """
    if path != STANDARD_INPUT and not Path(path).exists():
        return False
    mode = _status(path).st_mode
    is_open = path == STANDARD_INPUT or _DESCRIPTORS.fullmatch(path) is not None
    if stat.S_ISCHR(mode) and is_open and sys.stdin is not None and sys.stdin.isatty():
        return True
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise SettingError("path", path, "is a device, not a text; name a file, a folder, a glob or a pipe.")
    return is_open or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def spooled(path: str) -> Path:
    """Return a file with the content of a pipe, which is read once per process.

    The file is anonymous, so it is deleted when the process ends, however it ends.

    Raises
    ------
    CorpusError
        If the pipe cannot be read, or its content does not fit on the disk.
    """
    status = _status(path)
    key = path, status.st_dev, status.st_ino
    if key not in _spools:
        _log.info(f"corpus.path={visible(path)}: reading the pipe into a temporary file.")
        _spools[key] = _spool(path)
    return Path(f"/dev/fd/{_spools[key]}")


def _status(path: str) -> os.stat_result:
    return os.fstat(0) if path == STANDARD_INPUT else Path(path).stat()


def _spool(path: str) -> int:
    """Return a descriptor of a temporary file with the content of a pipe; it stays open until the process ends."""
    try:
        with (
            tempfile.TemporaryFile() as file,
            open(0, "rb", closefd=False) if path == STANDARD_INPUT else Path(path).open("rb") as pipe,
        ):
            while chunk := pipe.read(_CHUNK):
                file.write(chunk)
                if file.tell() % _CHECK_EVERY < len(chunk):
                    _require_room(path, file.tell())
            file.flush()
            return os.dup(file.fileno())
    except OSError as error:
        raise CorpusError(
            f"corpus.path={path}: cannot be kept in a temporary file in {tempfile.gettempdir()} "
            f"({error.strerror or error}). Save the text to a file and name that, or set TMPDIR to another folder."
        ) from error


def _require_room(path: str, size: int) -> None:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < LEAVE_FREE:
        raise CorpusError(
            f"corpus.path={path}: has more than {readable_bytes(size)}, and {readable_bytes(free)} are free in "
            f"{tempfile.gettempdir()}. Set TMPDIR to a folder with more room, or train on a part of the text."
        )
