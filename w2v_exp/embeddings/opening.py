"""A file as a bounded stream of bytes: decompressed by its content, from a disk or a pipe."""

from __future__ import annotations

import io
import lzma
import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from w2v_exp.errors import FormatError
from w2v_exp.memory import readable_bytes, require_memory

# Decompressed bytes for each compressed one. Embeddings need below 10; deflate reaches 1,032, bzip2 a million.
LARGEST_RATIO = 100
ALWAYS_READ = 1 << 26  # bytes that a compressed file may hold whatever its ratio
SPOOLED_AT_ONCE = 1 << 22

_UNREADABLE = {
    "Zstandard data": re.compile(rb"\x28\xb5\x2f\xfd"),
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
        Its decompressed bytes, at their beginning.
    beginning : bytes
        The first of these bytes, up to `SAMPLE`.
    size : int or None
        The number of bytes of the stream; None if that is unknown (compressed data, pipes).
    largest : int or None
        The largest number of bytes that the stream can yield; None for a pipe.
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
    """Open a file; gzip, bzip2, xz and zip (with one file in it) are recognised by content and decompressed.

    Raises
    ------
    FormatError
        If it cannot be read, is damaged, is of a kind that is not read, or decompresses to more than `LARGEST_RATIO`
        times its size (and more than `ALWAYS_READ`).
    NotEnoughMemoryError
        If a zip archive from a pipe is larger than the available memory.
    """
    try:
        with ExitStack() as stack:
            yield _content(path, stack)
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
    size = status.st_size if regular and status.st_size else None  # files of /proc claim to be empty
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
            f"which saves no room. Decompress the {compression} layer first."
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
            raise FormatError(f"{path} is {kind}, which is not read. Unpack or convert it first.")
    if beginning.startswith(_UTF_16_OR_32):
        raise FormatError(
            f"{path} is UTF-16 or UTF-32 text, and must be UTF-8. Convert it: iconv -f UTF-16 -t UTF-8."
        )


def _require_ratio(path: Path, decompressed: int, compressed: int) -> None:
    if decompressed > max(ALWAYS_READ, LARGEST_RATIO * compressed):
        raise FormatError(
            f"{path}: {readable_bytes(compressed)} of compressed data hold more than "
            f"{readable_bytes(max(ALWAYS_READ, LARGEST_RATIO * compressed))}, the most that is read of them "
            f"({LARGEST_RATIO} times as much). If the file can be trusted, decompress it first."
        )


def _spooled(path: Path, beginning: bytes, pipe: IO[bytes], stack: ExitStack) -> io.BufferedReader:
    """Copy a pipe into a temporary file without a name: a zip archive is read from its end."""
    spool: Any = tempfile.TemporaryFile()  # noqa: SIM115
    stack.callback(spool.close)
    spool.write(beginning)
    while piece := pipe.read(SPOOLED_AT_ONCE):
        require_memory(spool.tell(), f"{path}: an archive of more than {readable_bytes(spool.tell())}", "")
        spool.write(piece)
    spool.seek(0)
    return spool  # type: ignore[no-any-return]


def _unzipped(path: Path, file: IO[bytes], stack: ExitStack) -> tuple[zipfile.ZipFile, IO[bytes] | None]:
    """Return a zip archive, and the one file in it unless it is a NumPy archive."""
    try:
        archive = stack.enter_context(open_zip(file))
        held = [entry for entry in archive.infolist() if not _is_companion(entry.filename)]
        if any(entry.filename.endswith(".npy") for entry in held):
            return archive, None
        if len(held) != 1:
            names = ", ".join(repr(entry.filename)[:40] for entry in held[:5])
            raise FormatError(
                f"{path}: this zip archive holds {len(held)} files{f' ({names})' if held else ''}, and must hold one. "
                "Unpack it, and name the file you want."
            )
        return archive, open_member(archive, file, held[0])
    except (FormatError, DictionaryError):
        raise
    except Exception as error:  # a dozen kinds, for offsets, names, dates and flags that cannot be
        raise FormatError(
            f"{path} is not a NumPy archive (.npz) or another zip archive, or is truncated ({reason_of(error)})."
        ) from error


def _is_companion(name: str) -> bool:
    """Return whether a zip archive's entry is a folder, or what a Mac adds to each file."""
    *folders, file = name.split("/")
    return not file or "__MACOSX" in folders or file.startswith("._") or file == ".DS_Store"


def _read_full(source: Any, count: int) -> bytes:
    """Read `count` bytes, or fewer at the end of a stream whose `read` may return fewer at any time."""
    pieces, missing = [], count
    while missing and (piece := source.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def reason_of(error: BaseException) -> str:
    """Return why something failed, for a message: short, and without control characters of the file."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in reason[:200]).rstrip(".")


class _Joined(io.RawIOBase):
    """The beginning of a stream, which has been read, and its rest; each count of bytes is checked."""

    def __init__(
        self, beginning: bytes, rest: IO[bytes], check: Callable[[int], None] = lambda _: None
    ) -> None:
        self._beginning = memoryview(beginning)
        self._rest = rest
        self._check = check
        self._passed = 0

    def buffered(self) -> io.BufferedReader:
        """Return a reader of this stream: reads of single bytes are slow in Python's own layer."""
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
            piece = self._rest.read(len(buffer))
            count = len(piece)
            buffer[:count] = piece
        self._passed += count
        self._check(self._passed)
        return count
