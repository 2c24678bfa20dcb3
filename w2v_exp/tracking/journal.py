"""The journal of a run: parameters, tags, metrics and the end, as lines of JSON in the run's folder.

Lines are only appended. The first one is a `Header`, every other one an `Entry`. The journal is the source of truth of
a run; a store is a copy of it, made by `upload.Uploader`.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from time import time
from typing import IO, Any

from w2v_exp.files import replacing, sync_folder
from w2v_exp.machine import MEGABYTE

_log = logging.getLogger(__name__)

FILE = "journal.jsonl"
FORMAT_VERSION = 1
LONGEST_MB = 500
STATUSES = ("FINISHED", "FAILED", "KILLED")
_FINGERPRINT = re.compile(rb'\{"journal": 1, "fingerprint": "([0-9a-f]{1,64})"')


class DamagedJournalError(ValueError):
    """A journal that is not as `Journal` writes it; the message is one line, the end of a sentence."""


def milliseconds() -> int:
    """Return the time, in milliseconds since 1970."""
    return int(time() * 1000)


@dataclass(frozen=True)
class Header:
    """The first line of a journal.

    Parameters
    ----------
    name : str
        The run's name.
    fingerprint : str
        The run's; empty for the summary of a sweep.
    id : str
        Of the journal, unique. A resumed run keeps it.
    started : int
        When the run began, in milliseconds since 1970.
    tags, params : dict of str to str
        The run's.
    text : dict of str to str
        Name, digest, source and profile of the run's text; empty if there is none.
    """

    name: str
    fingerprint: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    started: int = field(default_factory=milliseconds)
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)

    def line(self) -> bytes:
        """Return the line; the fingerprint is at its beginning, where `read_fingerprint` finds it."""
        values = asdict(self)
        first = {"journal": FORMAT_VERSION, "fingerprint": values.pop("fingerprint")}
        return _line({**first, **values})

    @classmethod
    def parse(cls, line: bytes) -> Header:
        """Return the header of a line.

        Raises
        ------
        DamagedJournalError
            If it is not a header, or of another version of the format.
        """
        values = _object(line)
        version = values.pop("journal", None)
        if version != FORMAT_VERSION:
            raise DamagedJournalError(
                f"it is of format {str(version)[:10]}, and this w2v_exp reads {FORMAT_VERSION}"
            )
        checks: dict[str, Callable[[object], bool]] = {
            "name": _is_text,
            "fingerprint": _is_text,
            "id": lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f]{1,64}", value) is not None,
            "started": _is_whole,
            "tags": _are_texts,
            "params": _are_texts,
            "text": lambda value: _are_texts(value) and value.keys() in (set(), TEXT_KEYS),  # type: ignore[attr-defined]
        }
        if values.keys() != checks.keys():
            raise DamagedJournalError("its first line has other keys than a journal's")
        for key, check in checks.items():
            if not check(values[key]):
                raise DamagedJournalError(f"{key!r} in its first line is damaged")
        return cls(**values)


TEXT_KEYS = {"name", "digest", "source", "profile"}


@dataclass(frozen=True)
class End:
    """The end of a run.

    Parameters
    ----------
    status : str
        ``FINISHED``, ``FAILED`` or ``KILLED``.
    files : str
        A folder below the journal's whose files are artifacts; empty if there is none.
    move : bool
        Whether that folder is deleted when a store has the files.
    """

    status: str
    files: str = ""
    move: bool = False


@dataclass(frozen=True)
class Entry:
    """A later line of a journal, which has one of metrics, tags, a resumption (with tags) and the end.

    Parameters
    ----------
    offset : int
        The number of bytes up to the end of the line.
    time : int
        When it was taken, in milliseconds since 1970; 0 for tags.
    metrics : mapping of str to float
        Finite values.
    step : int
        The epoch that they are of; 0 for those that have one value per run.
    tags : mapping of str to str
        Each replaces an earlier one of its name.
    is_resumption : bool
        Whether an interrupted run continues here, so that the end before it is void.
    end : End or None
        The end.
    """

    offset: int
    time: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    is_resumption: bool = False
    end: End | None = None

    @classmethod
    def parse(cls, line: bytes, offset: int) -> Entry:
        """Return the entry of a line that ends at an offset.

        Raises
        ------
        DamagedJournalError
            If it is none.
        """
        values = _object(line)
        keys = values.keys()
        if keys == {"metrics", "step", "time"}:
            metrics, step, when = values["metrics"], values["step"], values["time"]
            if _are_numbers(metrics) and _is_whole(step) and _is_whole(when):
                return cls(offset, when, metrics, step)
        elif keys == {"tags"} and _are_texts(values["tags"]):
            return cls(offset, tags=values["tags"])
        elif keys == {"resumed", "tags"} and _is_whole(values["resumed"]) and _are_texts(values["tags"]):
            return cls(offset, values["resumed"], tags=values["tags"], is_resumption=True)
        elif keys == {"end", "time", "files", "move"}:
            status, when, files, move = (values[key] for key in ("end", "time", "files", "move"))
            if status in STATUSES and _is_whole(when) and _is_text(files) and isinstance(move, bool):
                return cls(offset, when, end=End(status, files, move))
        raise DamagedJournalError(f"its line that ends at byte {offset:,} is damaged")


class Journal:
    """A journal, for reading and appending.

    Lines that cannot be written, to a full disk for example, are kept in memory and can be read: training and uploads
    continue. That is logged once.

    Use `create` and `open`.

    Parameters
    ----------
    folder : Path
        The run's.
    header : Header
        Its first line.
    written : int
        The number of bytes in the file, the rest of which is void.
    tail : bytes
        Lines to write behind them.
    """

    def __init__(self, folder: Path, header: Header, written: int, tail: bytes = b"") -> None:
        self.folder = folder
        self.header = header
        self._written = written
        self._tail = bytearray(tail)
        self._file: IO[bytes] | None = None
        self._has_failed = False
        self._lock = Lock()  # `read` is called by the thread that uploads

    @classmethod
    def create(cls, folder: Path, header: Header) -> Journal:
        """Begin a journal; one of an earlier run in the folder is replaced."""
        journal = cls(folder, header, 0, header.line())
        journal.flush()
        return journal

    @classmethod
    def open(cls, folder: Path, *, is_written: bool = False) -> Journal:
        """Open the journal of a folder. An incomplete last line, of a run that was killed, is void.

        With ``is_written=True`` another process is writing the journal, and the line will be completed.

        Raises
        ------
        OSError
            If there is none, or it cannot be read.
        DamagedJournalError
            If it is not as it was written.
        """
        path = folder / FILE
        if not path.is_file():  # a pipe would block
            raise FileNotFoundError(f"{path} is not a file")
        if path.stat().st_size > LONGEST_MB * MEGABYTE:
            raise DamagedJournalError(f"it has more than {LONGEST_MB} MB")
        content = path.read_bytes()
        complete = content.rfind(b"\n") + 1
        if complete == 0:
            raise DamagedJournalError("it has no complete line")
        if complete < len(content) and not is_written:
            _log.warning(f"{path}: ignored its incomplete last line ({len(content) - complete} bytes).")
        return cls(folder, Header.parse(content[: content.find(b"\n") + 1]), complete)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / FILE

    @property
    def length(self) -> int:
        """The number of bytes, of lines that are not on the disk yet as well."""
        return self._written + len(self._tail)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Append metrics of a step, taken now; values that are not finite are left out."""
        finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
        if finite:
            self._append({"metrics": finite, "step": step, "time": milliseconds()})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Append tags."""
        self._append({"tags": dict(tags)})

    def resume(self, tags: Mapping[str, str]) -> None:
        """Append a resumption, with the tags that changed."""
        self._append({"resumed": milliseconds(), "tags": dict(tags)})

    def end(self, end: End) -> None:
        """Append the end of the run, and write all to the disk."""
        self._append({"end": end.status, "time": milliseconds(), "files": end.files, "move": end.move})
        self.flush(durable=True)

    def flush(self, *, durable: bool = False) -> None:
        """Write lines to the file; with ``durable=True`` they survive a loss of power as well."""
        with self._lock:
            try:
                self._write(durable)
                self._has_failed = False
            except OSError as error:
                if not self._has_failed:
                    _log.warning(
                        f"{self.path}: cannot be written ({error.strerror or error}); training continues."
                    )
                self._has_failed = True

    def read(self, offset: int) -> bytes:
        """Return all bytes from an offset."""
        with self._lock:
            if offset >= self._written:
                return bytes(self._tail[offset - self._written :])
            with self.path.open("rb") as stream:
                stream.seek(offset)
                return stream.read(self._written - offset) + bytes(self._tail)

    def entries(self, offset: int = 0) -> Iterator[Entry]:
        """Yield the entries from an offset; the header is none.

        Raises
        ------
        DamagedJournalError
            If a line is not as it was written.
        """
        for line in self.read(offset).splitlines(keepends=True):
            start, offset = offset, offset + len(line)
            if start:
                yield Entry.parse(line, offset)

    def refresh(self) -> None:
        """Take in what another process has appended; afterwards it survives a loss of power."""
        with self._lock, self.path.open("rb") as stream:
            os.fsync(stream.fileno())
            stream.seek(self._written)
            self._written += stream.read().rfind(b"\n") + 1

    def last_end(self) -> End | None:
        """Return the end of the run; None if it has none, or was resumed after it.

        Raises
        ------
        DamagedJournalError
            If any line is not as it was written: all of them are read.
        """
        entries = list(self.entries())
        return entries[-1].end if entries else None

    def tags(self) -> dict[str, str]:
        """Return the tags of the run, each with its latest value."""
        tags = dict(self.header.tags)
        for entry in self.entries():
            tags |= entry.tags
        return tags

    def move(self, folder: Path) -> Journal:
        """Move the journal to another folder and return it."""
        if folder.absolute() == self.folder.absolute():
            return self
        content = self.read(0)
        self.close()
        with replacing(folder / FILE, "wb") as stream:
            stream.write(content)
        with suppress(OSError):  # a folder of somebody else
            self.path.unlink()
        return Journal(folder, self.header, len(content))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None

    def _append(self, values: Mapping[str, Any]) -> None:
        line = _line(values)
        with self._lock:
            self._tail += line
        self.flush()

    def _write(self, durable: bool) -> None:
        if self._file is None and self._tail:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._file = os.fdopen(os.open(self.path, flags, 0o666), "r+b", buffering=0)
            self._file.truncate(self._written)
        if self._file is None:
            return
        if self._tail:
            self._file.seek(self._written)  # a write that failed may have left a part of it
            lines = memoryview(bytes(self._tail))
            while lines:
                lines = lines[self._file.write(lines) :]
            self._written += len(self._tail)
            self._tail.clear()
        if durable:
            os.fsync(self._file.fileno())
            sync_folder(self.folder)


def read_fingerprint(folder: Path) -> str:
    """Return the fingerprint in a folder's journal, of which only the beginning is read; empty if there is none."""
    path = folder / FILE
    with suppress(OSError):
        if path.is_file():  # a pipe would block
            with path.open("rb") as stream:
                found = _FINGERPRINT.match(stream.read(200))
            return found[1].decode() if found else ""
    return ""


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, allow_nan=False).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise DamagedJournalError("it is damaged: a line is not JSON") from None
    if not isinstance(values, dict):
        raise DamagedJournalError("it is damaged: a line is not an object")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 63  # the range of a database


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _are_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(
        (type(number) is float and math.isfinite(number)) or _is_whole(number) for number in value.values()
    )
