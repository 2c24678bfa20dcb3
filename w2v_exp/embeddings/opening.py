"""Opening and decompressing files of embeddings, and load options."""

from __future__ import annotations

import io
import logging
import lzma
import os
import re
import stat
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from w2v_exp.compression import (
    SAMPLE,
    DictionaryError,
    compression_of,
    decompressed,
    open_member,
    open_zip,
)
from w2v_exp.errors import FormatError, check_whole, require_choice, shown
from w2v_exp.machine import readable_bytes, require_memory

_log = logging.getLogger(__name__)

# Decompressed bytes per compressed byte. Embeddings need below 10; deflate reaches 1,032, bzip2 a million.
LARGEST_RATIO = 100
ALWAYS_READ = 1 << 26  # decompressed bytes that are read at any ratio
SPOOLED_AT_ONCE = 1 << 22

_UNREADABLE = {
    "a 7-Zip archive": re.compile(rb"7z\xbc\xaf\x27\x1c"),
    "a RAR archive": re.compile(rb"Rar!\x1a\x07"),
    "a tar archive": re.compile(rb"(?s)[^\n]{1,99}\0.{157,256}ustar[\0 ]"),
    "an HDF5 file": re.compile(rb"\x89HDF\r\n"),
}
_UTF_16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


class Content(NamedTuple):
    """An open file.

    Parameters
    ----------
    stream : BufferedReader
        The decompressed bytes, from the first.
    beginning : bytes
        The first `SAMPLE` bytes of the stream, or all of a shorter one.
    size : int or None
        Number of bytes of the stream; None if unknown (compressed data, pipes).
    largest : int or None
        Upper limit of the number of bytes of the stream; None for a pipe.
    archive : ZipFile or None
        The file itself if it is a NumPy archive.
    """

    stream: io.BufferedReader
    beginning: bytes
    size: int | None
    largest: int | None
    archive: zipfile.ZipFile | None = None


@contextmanager
def opened(path: Path) -> Iterator[Content]:
    """Open a file and decompress it if it is compressed.

    The compression (gzip, bzip2, xz, zstd, or zip with a single file in it) is recognised by content.

    Raises
    ------
    FormatError
        If the file cannot be read, is damaged or unsupported, or decompresses to more than `LARGEST_RATIO` times its
        size and `ALWAYS_READ` bytes.
    NotEnoughMemoryError
        If a zip archive from a pipe is larger than the available memory.
    """
    try:
        with ExitStack() as stack:
            yield _content(path, stack)
    except FormatError:
        raise
    except EOFError as error:
        raise FormatError(f"{path} ends in the middle of its compressed data: it is truncated.") from error
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, DictionaryError) as error:
        raise FormatError(f"{path} cannot be decompressed: {reason_of(error)}.") from error
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {reason_of(error)}.") from error


def _content(path: Path, stack: ExitStack) -> Content:
    file = stack.enter_context(path.open("rb"))
    status = os.fstat(file.fileno())
    regular = stat.S_ISREG(status.st_mode)
    size = status.st_size if regular and status.st_size else None  # a file of /proc has size 0
    beginning = file.read(SAMPLE)
    compression = compression_of(beginning)
    if regular:
        file.seek(0)
    if compression == "zip" and size is None:
        file = _spooled(path, beginning, file, stack)
        size = os.fstat(file.fileno()).st_size
    elif not regular:
        file = _Joined(beginning, file).buffered()
    if not compression:
        _require_readable(path, beginning)
        return Content(file, beginning, size, size)
    if compression == "zip":
        archive, member = _unzipped(path, file, stack)
        if member is None:
            return Content(file, beginning, size, size, archive)
        source: Any = stack.enter_context(member)
    else:
        source = decompressed(file, compression)
    beginning = _read_full(source, SAMPLE)
    if inner := compression_of(beginning):
        what = "a NumPy archive or another zip" if inner == "zip" else f"{inner} data"
        raise FormatError(
            f"{path} is compressed twice: it is {what} inside {compression}, "
            f"which is not supported. Decompress the {compression} layer first."
        )
    _require_readable(path, beginning)

    def check(decompressed: int) -> None:
        _require_ratio(path, decompressed, file.tell() if size is None else size)

    stream = _Joined(beginning, source, check).buffered()
    largest = None if size is None else max(ALWAYS_READ, LARGEST_RATIO * size)
    return Content(stream, beginning, None, largest)


def _require_readable(path: Path, beginning: bytes) -> None:
    for kind, magic in _UNREADABLE.items():
        if magic.match(beginning):
            raise FormatError(f"{path} is {kind}, which is not supported. Unpack or convert it first.")
    if beginning.startswith(_UTF_16_OR_32):
        raise FormatError(
            f"{path} is UTF-16 or UTF-32 text, but must be UTF-8. Convert it: iconv -f UTF-16 -t UTF-8."
        )


def _require_ratio(path: Path, decompressed: int, compressed: int) -> None:
    if decompressed > max(ALWAYS_READ, LARGEST_RATIO * compressed):
        raise FormatError(
            f"{path}: {readable_bytes(compressed)} of compressed data expand to more than "
            f"{readable_bytes(max(ALWAYS_READ, LARGEST_RATIO * compressed))}, the limit "
            f"({LARGEST_RATIO} times as much). If you trust the file, decompress it first."
        )


def _spooled(path: Path, beginning: bytes, pipe: IO[bytes], stack: ExitStack) -> io.BufferedReader:
    """Copy a pipe to a temporary file: a zip archive is read from its end."""
    spool: Any = tempfile.TemporaryFile()  # noqa: SIM115
    stack.callback(spool.close)
    spool.write(beginning)
    while chunk := pipe.read(SPOOLED_AT_ONCE):
        require_memory(spool.tell(), f"{path}: an archive of more than {readable_bytes(spool.tell())}", "")
        spool.write(chunk)
    spool.seek(0)
    return spool  # type: ignore[no-any-return]


def _unzipped(path: Path, file: IO[bytes], stack: ExitStack) -> tuple[zipfile.ZipFile, IO[bytes] | None]:
    """Return a zip archive, and its single file unless it is NumPy's."""
    try:
        archive = stack.enter_context(open_zip(file))
        entries = [entry for entry in archive.infolist() if not _is_companion(entry.filename)]
        if any(entry.filename.endswith(".npy") for entry in entries):
            return archive, None
        if len(entries) != 1:
            names = ", ".join(repr(entry.filename)[:40] for entry in entries[:5])
            raise FormatError(
                f"{path}: this zip archive holds {len(entries)} files{f' ({names})' if entries else ''}; it must hold "
                "a single one. Unpack it, and name the file you want."
            )
        return archive, open_member(archive, file, entries[0])
    except (FormatError, DictionaryError):
        raise
    except (
        Exception
    ) as error:  # `zipfile` raises a dozen kinds for impossible offsets, names, dates and flags
        raise FormatError(
            f"{path} is not a NumPy archive (.npz) or another zip archive, or is truncated ({reason_of(error)})."
        ) from error


def _is_companion(name: str) -> bool:
    """Return whether a zip entry is a folder or was added by macOS."""
    *folders, file = name.split("/")
    return not file or "__MACOSX" in folders or file.startswith("._") or file == ".DS_Store"


def _read_full(source: Any, count: int) -> bytes:
    """Read `count` bytes by several calls, or fewer at the stream's end."""
    chunks, missing = [], count
    while missing and (chunk := source.read(missing)):
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)


def reason_of(error: BaseException) -> str:
    """Return the reason of an error, for a message."""
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__, 200).rstrip(".")


class _Joined(io.RawIOBase):
    """Bytes already read and the rest of a stream; checks each total."""

    def __init__(
        self, beginning: bytes, rest: IO[bytes], check: Callable[[int], None] = lambda _: None
    ) -> None:
        self._beginning = memoryview(beginning)
        self._rest = rest
        self._check = check
        self._passed = 0

    def buffered(self) -> io.BufferedReader:
        """Return a buffered reader, which is faster at reading single bytes."""
        return io.BufferedReader(self, SAMPLE)

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._passed

    def readinto(self, buffer: Any) -> int:
        if self._beginning:
            count = min(len(buffer), len(self._beginning))
            buffer[:count] = self._beginning[:count]
            self._beginning = self._beginning[count:]
        else:
            chunk = self._rest.read(len(buffer))
            count = len(chunk)
            buffer[:count] = chunk
        self._passed += count
        self._check(self._passed)
        return count


UNICODE_ERRORS = ("strict", "replace", "ignore", "skip")
DUPLICATES = ("error", "first")
MALFORMED = ("error", "skip")


class LoadWarning(UserWarning):
    """Rows of a file were skipped or changed."""


@contextmanager
def load_warnings_logged() -> Iterator[None]:
    """Log each `LoadWarning` as one line, without the position in the code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LoadWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, LoadWarning):
            _log.warning(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@dataclass(frozen=True)
class LoadOptions:
    """Options for reading a file; archives have none but `limit`.

    Parameters
    ----------
    limit : int, optional
        Read only the first `limit` rows, as in gensim; None reads all.
    no_header : bool
        Whether the first line is a word with its vector, as in gensim. Needed only if that line looks like a header: a
        word and a vector of integers, or of one dimension.
    unicode_errors : str
        If a word is not UTF-8: ``strict`` (an error), ``replace`` or ``ignore`` its invalid bytes (these three as in
        gensim), or ``skip`` its row.
    duplicates : str
        If a word is repeated: ``error``, or keep the ``first`` row (as gensim does).
    malformed : str
        If a row is not a word with finite numbers, or the number of rows in the header is wrong: ``error``, or
        ``skip`` such rows and read all others.
    """

    limit: int | None = None
    no_header: bool = False
    unicode_errors: str = "strict"
    duplicates: str = "error"
    malformed: str = "error"

    def __post_init__(self) -> None:
        if self.limit is not None:
            check_whole(self, "limit", at_least=1)
        require_choice("unicode_errors", self.unicode_errors, UNICODE_ERRORS)
        require_choice("duplicates", self.duplicates, DUPLICATES)
        require_choice("malformed", self.malformed, MALFORMED)
