"""Files that are there whole or not at all, and known to be what was written when they are read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from zlib import crc32

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
