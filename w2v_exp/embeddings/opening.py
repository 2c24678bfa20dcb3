"""Files of embeddings as bounded streams of rows, decompressed while they are read."""

from __future__ import annotations

import io
import logging
import lzma
import os
import re
import reprlib
import stat
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    """Return why something failed, for a message."""
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__, 200).rstrip(".")


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


GROWTH = 1 << 22  # bytes of a matrix at first where the length of its file is unknown
WORD_MEMORY = 150  # bytes: a string of a few letters, and its places in a list and a dict
UNICODE_ERRORS = ("strict", "replace", "ignore", "skip")
DUPLICATES = ("error", "first")
MALFORMED = ("error", "skip")


class LoadWarning(UserWarning):
    """Rows of a file have been skipped or changed."""


@contextmanager
def load_warnings_printed() -> Iterator[None]:
    """Print each `LoadWarning` as a line on stderr, without the place in the code that it is raised for."""
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
    """How a file of embeddings is read; `limit` holds for all formats, the others for text and binary.

    Parameters
    ----------
    limit : int, optional
        Read the first `limit` rows only, as in gensim; None reads all.
    no_header : bool
        The first line is a word with its vector, as in gensim. Needed only where that line could be a header: a word
        and a vector of whole numbers alone, or of one dimension.
    unicode_errors : str
        For a word that is not UTF-8: ``strict`` (an error), ``replace`` or ``ignore`` its invalid bytes (these three as
        in gensim), or ``skip`` its row.
    duplicates : str
        For a word that occurs again: ``error``, or keep the ``first`` (as gensim does).
    malformed : str
        For a row that is not a word and its finite numbers, or a header whose number of rows is wrong: ``error``, or
        ``skip`` the row and read all rows that are there.
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


class Rows:
    """Words and the matrix of their vectors, both of which grow as rows arrive.

    Parameters
    ----------
    path : Path
        The file, for messages.
    unit : str
        How messages number its rows: ``line`` or ``word number``.
    options : LoadOptions
        The options.
    dim : int
        The number of dimensions.
    promised : int, optional
        The number of rows that the header claims; None without a header.
    expected : int, optional
        An estimate of the number of rows from the size of the file; None if that is unknown.
    """

    def __init__(
        self,
        path: Path,
        unit: str,
        options: LoadOptions,
        dim: int,
        promised: int | None = None,
        expected: int | None = None,
    ) -> None:
        self.dim = dim
        self.promised = promised
        self.skips_malformed = options.malformed == "skip"
        trusted = None if self.skips_malformed else promised
        self.wanted = min(number for number in (options.limit, trusted, sys.maxsize) if number is not None)
        self.seen = 0  # rows, skipped ones as well
        self._path = path
        self._unit = unit
        self._options = options
        self._ids: dict[str, int] = {}
        self._notes: dict[str, tuple[int, str]] = {}  # by kind: the count, and the first example
        capacity = min(self.wanted, GROWTH // (4 * dim) + 1 if expected is None else expected)
        require_memory(
            4 * capacity * dim, f"{path}: {capacity} words of {dim} dimensions", "Read fewer with limit=…."
        )
        self.vectors: NDArray[np.float32] = np.empty((capacity, dim), "<f4")

    def error(self, number: int, problem: str) -> FormatError:
        """Return the error for a row."""
        return FormatError(f"{self._path}, {self._unit} {number}: {problem}")

    def skip(self, number: int, problem: str) -> None:
        """Count a malformed row, or raise `FormatError`."""
        if not self.skips_malformed:
            raise self.error(number, f"{problem} malformed=skip skips such rows.")
        self.note("skipped {} with a malformed entry", number, problem)

    def note(self, kind: str, number: int, example: str) -> None:
        """Count a row for the warning."""
        count, first = self._notes.get(kind, (0, f"{self._unit} {number} ({example.rstrip('.')})"))
        self._notes[kind] = count + 1, first

    def place(self, number: int, word: bytes) -> int | None:
        """Return the row of `vectors` for a word, or None if it is skipped."""
        try:
            decoded = word.decode()
        except UnicodeDecodeError as error:
            how, quoted = self._options.unicode_errors, reprlib.repr(word)
            if how == "strict":
                raise self.error(
                    number,
                    f"the word {quoted} is not UTF-8 ({error.reason}). "
                    "unicode_errors=replace keeps such words, unicode_errors=skip skips them.",
                ) from error
            if how == "skip":
                self.note("skipped {} with a word that is not UTF-8", number, quoted)
                return None
            self.note(f"read {{}} with a word that is not UTF-8 by unicode_errors={how}", number, quoted)
            decoded = word.decode(errors=how)
        row = len(self._ids)
        known = self._ids.setdefault(decoded, row)
        if known != row:
            quoted = reprlib.repr(decoded)
            if self._options.duplicates == "error":
                raise self.error(
                    number,
                    f"the word {quoted} is word number {known + 1} as well. duplicates=first keeps the first.",
                )
            self.note("skipped {} with a repeated word", number, quoted)
            return None
        if row == len(self.vectors):
            self._grow()
        return row

    def finished(self) -> tuple[list[str], NDArray[np.float32]]:
        """Return words and vectors, and warn once if rows have been skipped or changed."""
        if self.skips_malformed and self.promised not in (None, self.seen) and self.seen < self.wanted:
            self._notes[f"read {{}} where line 1 claims {self.promised}"] = self.seen, ""
        if not self._ids:
            raise FormatError(f"{self._path} has no row that can be read{self._noted()}.")
        words = list(self._ids)
        self._ids.clear()
        if self._notes:
            read = f"{len(words):,} word{'' if len(words) == 1 else 's'} read"
            message = f"{self._path}: {read}{self._noted()}."
            warnings.warn(message, LoadWarning, stacklevel=5)  # for the caller of `Embeddings.load`
        # In place: memory behind the last row is returned, and nothing is copied.
        self.vectors.resize((len(words), self.dim), refcheck=False)
        if not np.isfinite([self.vectors.min(), self.vectors.max()]).all():
            row = int(np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))[0])
            raise FormatError(
                f"{self._path}: the vector of word number {row + 1}, {reprlib.repr(words[row])}, has a value that is "
                "NaN or infinite. malformed=skip skips such rows."
            )
        return words, self.vectors.astype(np.float32, copy=False)

    def _noted(self) -> str:
        told = []
        for kind, (count, first) in self._notes.items():
            rows = f"{count:,} row{'' if count == 1 else 's'}"
            told.append(f"; {kind.format(rows)}{f', first at {first}' if first else ''}")
        return "".join(told)

    def _grow(self) -> None:
        more = max(GROWTH // (4 * self.dim), len(self.vectors) // 8) + 1
        needed = more * (4 * self.dim + WORD_MEMORY)
        require_memory(
            needed,
            f"{self._path}: reading on after {len(self.vectors):,} words of {self.dim} dimensions",
            f"Read fewer with limit=…, such as limit={len(self.vectors)}.",
        )
        self.vectors.resize((len(self.vectors) + more, self.dim), refcheck=False)
