"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: Path | str, mode: str = "w", *, durable: bool = False) -> Iterator[IO[Any]]:
    r"""Open a temporary file beside `path`, and rename it to `path` if the block ends well.

    Text is UTF-8 with ``\n`` line ends on every platform. If the block raises, the temporary file is deleted
    and what was at `path` before stays. With ``durable=True`` the file is on the disk before it gets its name, and
    its name when this returns: so it outlasts the machine's power, too.
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    # Not by `tempfile`, which lets only the owner read: this file gets the permissions of any other.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open(mode.replace("w", "x"), **text) as stream:  # type: ignore[call-overload]
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
        if durable:
            _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def expanded(path: Path | str) -> Path:
    """Return a path whose ``~`` or ``~user`` is that user's home folder; as it is where there is none."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # no such user or no home folder; a NUL byte, which no name has
        return Path(path)


def _sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk, where the system can."""
    with suppress(OSError):  # Windows opens no folders
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
