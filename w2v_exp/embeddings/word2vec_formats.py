"""Word2vec's text and binary formats, and GloVe's text format.

Word2vec's formats begin with a line ``V dim``, followed by each word with its vector, as text or as float32. Source:
the end of ``TrainModel`` in word2vec.c (Mikolov et al. 2013). gensim and fastText (``.vec``) write them as well.
"""

from __future__ import annotations

import io
import re
import reprlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.compression import compression_of
from w2v_exp.embeddings.opening import Content, LoadOptions, LoadWarning
from w2v_exp.errors import FormatError, UserError, WordNotSupportedError
from w2v_exp.machine import require_memory

LONGEST_WORD = 1 << 20  # bytes; a damaged file is not searched to its end for the end of a word
LONGEST_NUMBER = 64
LARGEST_DIM = 1 << 20  # parsing a line of so many numbers takes 100 MB
MOST_BLANK_LINES = 1000  # consecutive: a pipe of blank lines might never end
SURELY_TEXT = 32  # bytes that all look like numbers are text: eight float32 never do
HEADER = re.compile(rb"(\d{1,18})[ \t]+(\d{1,18})[ \t]*\r?\n?")
BOM = b"\xef\xbb\xbf"
NUMBERS = re.compile(rb"[-+.\deE \t\r\n]*")
NO_TEXT = re.compile(rb"[^\t\r\n -~]")  # bytes that are in no number or separator
EXPONENTS = re.compile(rb"[:-@]")  # last bytes of little-endian float32 that are not digits
DECIMAL_COMMA = re.compile(rb"\d,\d")


def text_rows(words: Sequence[str], vectors: NDArray[Any]) -> Iterator[bytes]:
    """Yield the lines of the text format: the header, then a line per word.

    Nine significant digits restore every float32 exactly, also when parsed as a double: their error is at most about a
    sixth of half the distance between two float32.

    Raises
    ------
    UserError
        If a word cannot be written, or a value is too large for float32.
    """
    rounded = as_float32(vectors)
    yield b"%d %d\n" % rounded.shape
    line = b"%s" + b" %.9g" * rounded.shape[1] + b"\n"
    for word, row in zip(_encoded(words), rounded, strict=True):
        yield line % (word, *row.tolist())


def headerless_rows(words: Sequence[str], vectors: NDArray[Any]) -> Iterator[bytes]:
    """Yield the lines of GloVe's format: `text_rows` without the header.

    Raises
    ------
    UserError
        As `text_rows`; also if the first line would be read as a header, a byte order mark or compressed data.
    """
    rows = text_rows(words, vectors)
    next(rows)
    for number, row in enumerate(rows):
        if number == 0 and (HEADER.fullmatch(row) or row.startswith(BOM) or compression_of(row)):
            raise UserError(
                f"Word number 1, {reprlib.repr(words[0])}, cannot begin a file without a header: its line would be "
                "read as a header, a byte order mark or compressed data. Use write_header=True, word2vec's format."
            )
        yield row


def binary_rows(words: Sequence[str], vectors: NDArray[Any]) -> Iterator[bytes]:
    r"""Yield the binary format: the header, then a row per word.

    A row is the word, a space, the vector as little-endian float32, and ``\n``.

    Raises
    ------
    UserError
        If a word cannot be written, or a value is too large for float32.
    """
    rounded = as_float32(vectors)
    yield b"%d %d\n" % rounded.shape
    for word, row in zip(_encoded(words), rounded, strict=True):
        yield b"%s %s\n" % (word, row.tobytes())


GROWTH = 1 << 22  # initial bytes of a matrix where the size of its file is unknown
WORD_MEMORY = 150  # bytes: a short string, and its entries in a list and a dict


class Rows:
    """Words and vectors of a file being read; the matrix grows.

    Parameters
    ----------
    path : Path
        The file, for messages.
    unit : str
        Name of a row in messages: ``line`` or ``word number``.
    options : LoadOptions
        The options.
    dim : int
        Number of dimensions.
    promised : int, optional
        Number of rows in the header; None without a header.
    expected : int, optional
        Estimated number of rows from the size of the file; None if unknown.
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
        self.seen = 0  # rows read, including skipped ones
        self._path = path
        self._unit = unit
        self._options = options
        self._ids: dict[str, int] = {}
        self._notes: dict[str, tuple[int, str]] = {}  # by kind: count and first example
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

    def add_word(self, number: int, word: bytes) -> int | None:
        """Add a word and return its row of `vectors`; None if it is skipped."""
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
        """Return words and vectors; warn once if rows were skipped or changed."""
        if self.skips_malformed and self.promised not in (None, self.seen) and self.seen < self.wanted:
            self._notes[f"read {{}} where line 1 claims {self.promised}"] = self.seen, ""
        if not self._ids:
            raise FormatError(f"{self._path} has no row that can be read{self._summary()}.")
        words = list(self._ids)
        self._ids.clear()
        if self._notes:
            read = f"{len(words):,} word{'' if len(words) == 1 else 's'} read"
            message = f"{self._path}: {read}{self._summary()}."
            warnings.warn(message, LoadWarning, stacklevel=5)  # names the caller of `Embeddings.load`
        # In place: releases the memory behind the last row without a copy.
        self.vectors.resize((len(words), self.dim), refcheck=False)
        if not np.isfinite([self.vectors.min(), self.vectors.max()]).all():
            row = int(np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))[0])
            raise FormatError(
                f"{self._path}: the vector of word number {row + 1}, {reprlib.repr(words[row])}, has a value that is "
                "NaN or infinite. malformed=skip skips such rows."
            )
        return words, self.vectors.astype(np.float32, copy=False)

    def _summary(self) -> str:
        parts = []
        for kind, (count, first) in self._notes.items():
            rows = f"{count:,} row{'' if count == 1 else 's'}"
            parts.append(f"; {kind.format(rows)}{f', first at {first}' if first else ''}")
        return "".join(parts)

    def _grow(self) -> None:
        more = max(GROWTH // (4 * self.dim), len(self.vectors) // 8) + 1
        needed = more * (4 * self.dim + WORD_MEMORY)
        require_memory(
            needed,
            f"{self._path}: reading on after {len(self.vectors):,} words of {self.dim} dimensions",
            f"Read fewer with limit=…, such as limit={len(self.vectors)}.",
        )
        self.vectors.resize((len(self.vectors) + more, self.dim), refcheck=False)


def read_text(path: Path, content: Content, options: LoadOptions) -> tuple[list[str], NDArray[np.float32]]:
    """Read the text format, with a header or without.

    Fields are separated by a space or a tab. The vector is the last `dim` fields of a line, so a word may contain
    spaces, as some of GloVe's and fastText's do. Blank lines may follow the last row.

    Raises
    ------
    FormatError
        If a line is malformed; names the line.
    NotEnoughMemoryError
        If the vectors are larger than the available memory.
    """
    stream = content.stream
    first = stream.readline(_longest_line(LARGEST_DIM)).removeprefix(BOM)
    header = None if options.no_header else HEADER.fullmatch(first)
    if header:
        rows = _rows_of_header(path, "line", content, options, header)
        first, number = stream.readline(_longest_line(rows.dim)), 2
    else:
        expected = None if content.size is None else content.size // len(first or b"\n") + 1
        dim = _headerless_dim(path, first, options.no_header)
        rows, number = Rows(path, "line", options, dim, expected=expected), 1
    with np.errstate(over="ignore"):  # too large a number becomes infinite, which `Rows.finished` refuses
        _read_lines(rows, _lines(path, first, stream, _longest_line(rows.dim)), number)
    return rows.finished()


def _read_lines(rows: Rows, lines: Iterator[bytes], first_number: int) -> None:
    dim = rows.dim
    number, line = first_number - 1, b"\n"
    for number, line in enumerate(lines, first_number):
        if rows.seen == rows.wanted:
            if rows.wanted == rows.promised:
                raise rows.error(
                    number,
                    f"is {_quoted(line)}, after the {rows.promised} words that line 1 promises. "
                    "malformed=skip ignores the count in line 1.",
                )
            return
        rows.seen += 1
        try:
            word, values = _fields(line, dim)
            vector = _numbers(values)
        except _MalformedRowError as error:
            rows.skip(
                number, str(error) if line.endswith(b"\n") else f"{error} The file ends in the middle of it."
            )
            continue
        if rows.skips_malformed and not np.isfinite(np.array(vector, np.float32)).all():
            rows.skip(number, f"the vector of {reprlib.repr(word)} has a value that is NaN or infinite.")
            continue
        row = rows.add_word(number, word)
        if row is not None:
            rows.vectors[row] = vector
    if not line.endswith(b"\n"):
        rows.note("read {} without a line end", number, "its last number may be truncated")
    if rows.promised is not None and rows.seen < rows.wanted and not rows.skips_malformed:
        problem = rows.error(
            number + 1,
            f"the file ends before this line; line 1 promises {rows.promised} words. "
            "malformed=skip ignores the count in line 1.",
        )
        raise TruncatedFileError(str(problem))


def _lines(path: Path, line: bytes, stream: io.BufferedReader, longest: int) -> Iterator[bytes]:
    """Yield a line and those that follow, without blank lines at the end."""
    blank = 0
    while line:
        if line.strip():
            for _ in range(blank):
                yield b"\n"
            blank = 0
            yield line
            while len(line) == longest and not line.endswith(
                b"\n"
            ):  # skip the rest of a line that is too long
                line = stream.readline(longest)
        else:
            blank += 1
            if blank > MOST_BLANK_LINES:
                raise FormatError(f"{path} has more than {MOST_BLANK_LINES} consecutive blank lines.")
        line = stream.readline(longest)


def read_binary(path: Path, content: Content, options: LoadOptions) -> tuple[list[str], NDArray[np.float32]]:
    """Read the binary format.

    word2vec writes a line end after each vector, gensim does not; a mixture is malformed.

    Raises
    ------
    FormatError
        If a row is malformed; names the number of the word.
    NotEnoughMemoryError
        If the vectors are larger than the available memory.
    """
    stream = content.stream
    header = HEADER.fullmatch(stream.readline(LONGEST_NUMBER).removeprefix(BOM))
    if not header:
        raise _no_header(path, content.beginning)
    rows = _rows_of_header(path, "word number", content, options, header)
    vector: NDArray[np.float32] = np.empty(rows.dim, "<f4")
    buffer, vector_bytes, skips = vector.data, vector.nbytes, rows.skips_malformed
    line_ends: bool | None = None  # unknown until the byte after the first vector
    for number in range(1, rows.wanted + 1):
        first = stream.read(1)
        if number > 1 and first:
            line_ends = first == b"\n" if line_ends is None else line_ends
            if line_ends != (first == b"\n"):
                raise rows.error(number, "does not begin where it should; the file is damaged.")
            if line_ends:
                first = stream.read(1)
        if skips and not first:
            break
        rows.seen = number
        try:
            word = _rest_of_word(stream, first)
        except _MalformedRowError as error:
            rows.skip(number, str(error))
            break
        if stream.readinto(buffer) != vector_bytes:
            rows.skip(
                number, f"the file ends in the middle of its vector; line 1 promises {rows.promised} words."
            )
        elif not word or b"\n" in word:
            rows.skip(number, f"the word {reprlib.repr(word)} is empty or has a line end in it.")
        elif skips and not np.isfinite(vector).all():
            rows.skip(number, f"the vector of {reprlib.repr(word)} has a value that is NaN or infinite.")
        elif (row := rows.add_word(number, word)) is not None:
            rows.vectors[row] = vector
    ending = stream.read(2) if rows.wanted == rows.promised else b""
    if ending and (ending != b"\n" or line_ends is False):
        raise FormatError(
            f"{path}: has data after the {rows.promised} words that line 1 promises. "
            "malformed=skip ignores the count in line 1."
        )
    return rows.finished()


def is_word2vec(beginning: bytes) -> bool:
    """Return whether a file begins with a header or a word and its vector."""
    line = beginning.removeprefix(BOM).partition(b"\n")[0]
    fields = line.replace(b"\t", b" ").split()
    return bool(HEADER.fullmatch(line)) or (len(fields) > 2 and all(map(_is_number, fields[1:-1])))


def is_binary(beginning: bytes, *, expected: bool) -> bool:
    """Return whether a file has the binary format instead of the text format.

    It is text if the line of its first word ends in as many numbers as line 1 says, and binary if the bytes after the
    word cannot be text. A single number of magnitude 2⁻¹¹ to 8 suffices for that: the last byte of such a float32 is in
    no number's text.

    Parameters
    ----------
    beginning : bytes
        First bytes of the file.
    expected : bool
        The result if these do not decide.
    """
    header, _, rest = beginning.removeprefix(BOM).partition(b"\n")
    match = HEADER.fullmatch(header)
    if not match:
        return False
    dim = int(match.group(2))
    line, line_end, _ = rest.partition(b"\n")
    if line_end and dim <= len(line):
        with suppress(_MalformedRowError):
            _numbers(_fields(line, dim)[1])
            return False
    _, _, behind_word = rest.partition(b" ")
    vector = behind_word[: 4 * dim]
    if len(vector) >= SURELY_TEXT and NUMBERS.fullmatch(vector):
        return False
    return expected or bool(NO_TEXT.search(vector) or EXPONENTS.search(vector[3::4]))


def _encoded(words: Sequence[str]) -> Iterator[bytes]:
    for number, word in enumerate(words, 1):
        encoded = word.encode()
        problem = ""
        if word.split() != [word]:  # many readers split at any white space, also other than ASCII's
            problem = "has white space in it" if word else "is empty"
        elif len(encoded) > LONGEST_WORD:
            problem = f"takes more than {LONGEST_WORD} bytes"
        if problem:
            raise WordNotSupportedError(
                f"Word number {number}, {reprlib.repr(word)}, {problem}, "
                "which word2vec's formats do not support. Use .npz."
            )
        yield encoded


def as_float32(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return vectors as little-endian float32, or raise `UserError` if a value is too large."""
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(vectors, "<f4")
    if not np.isfinite([rounded.min(), rounded.max()]).all():
        raise UserError("A value is too large for float32, the type of this format. Use .npz.")
    return rounded


class TruncatedFileError(FormatError, EOFError):
    """A file that ends before its last row."""


class _MalformedRowError(Exception):
    """A malformed row; the message is a predicate of the row."""


def _rows_of_header(
    path: Path, unit: str, content: Content, options: LoadOptions, header: re.Match[bytes]
) -> Rows:
    """Return empty rows for the header, if a file of this size can hold them."""
    promised, dim = map(int, header.groups())
    if not promised or not dim:
        raise FormatError(f"{path}, line 1: says {promised} words of {dim} dimensions; both must be above 0.")
    # A word may be empty, in text; each number takes a digit and a separator there.
    row_bytes = 1 + 2 * dim if unit == "line" else 2 + 4 * dim
    wanted = promised if options.limit is None else min(promised, options.limit)
    least = wanted * row_bytes - 1  # the last line end may be missing
    left = None if content.largest is None else content.largest - header.end()
    if left is not None and least > left and options.malformed == "error":
        raise TruncatedFileError(
            f"{path}, line 1: says {promised} words of {dim} dimensions, which take {least} bytes or more, "
            f"but no more than {left} follow. The file is truncated, or its first line is wrong."
        )
    if dim > LARGEST_DIM:
        raise _too_many_dimensions(path, dim)
    expected = None if content.size is None else min(promised, (content.size - header.end()) // row_bytes + 1)
    return Rows(path, unit, options, dim, promised, expected)


def _headerless_dim(path: Path, line: bytes, no_header: bool) -> int:
    """Return the number of dimensions of a first line without a header."""
    separators = line.rstrip().count(b" ") + line.rstrip().count(b"\t")
    if separators > LARGEST_DIM:
        raise _too_many_dimensions(path, separators)
    fields = line.rstrip(b" \t\r\n").replace(b"\t", b" ").split(b" ")
    dim = len(fields) - 1
    if not dim or not all(map(_is_number, fields[1:])):
        raise _no_header(path, line)
    if not no_header and (dim == 1 or all(field.isdigit() for field in fields)):
        raise _no_header(path, line, " If it is a word with its vector, no_header=true reads it.")
    return dim


def _no_header(path: Path, line: bytes, advice: str = "") -> FormatError:
    problem = f"it is {_quoted(line)}" if line else "the file is empty"
    if b"\r" in line.rstrip(b"\r\n") and b"\0" not in line:
        problem += ", with carriage returns as line ends: convert them (tr '\\r' '\\n')"
    elif DECIMAL_COMMA.search(line[:LONGEST_WORD]):
        problem += ", and commas are supported neither as separators nor as decimal points"
    return FormatError(
        f"{path}, line 1: must be the number of words and the number of dimensions, such as '3000 100', or (as in "
        f"GloVe's files) a word and its numbers, separated by single spaces or tabs; {problem}.{advice}"
    )


def _too_many_dimensions(path: Path, dim: int) -> FormatError:
    return FormatError(f"{path}, line 1: says {dim} dimensions; at most {LARGEST_DIM:,} are read.")


def _longest_line(dim: int) -> int:
    return LONGEST_WORD + LONGEST_NUMBER * (dim + 1)


def _fields(line: bytes, dim: int) -> tuple[bytes, list[bytes]]:
    """Return the word of a line, and its last `dim` fields."""
    if len(line) >= _longest_line(dim):
        raise _MalformedRowError(f"is longer than a word and {dim} numbers can be.")
    spaced = line.replace(b"\t", b" ") if b"\t" in line else line
    word, *values = spaced.rstrip(b" \r\n").rsplit(b" ", dim)
    if len(values) == dim and b" " not in word and b"\r" not in word:
        return word, values
    return _spaced_word(line, word, len(values), dim), values


def _spaced_word(line: bytes, word: bytes, values: int, dim: int) -> bytes:
    """Return a word with spaces, or raise for surplus or malformed fields."""
    if len(word) > LONGEST_WORD:
        raise _MalformedRowError(f"has a word of more than {LONGEST_WORD} bytes.")
    parts = word.split(b" ")
    surplus = next((i for i, part in enumerate(reversed(parts)) if not _is_number(part)), len(parts))
    if values < dim or surplus:
        raise _MalformedRowError(
            f"has {values + (surplus if values == dim else 0)} values where line 1 says {dim}."
        )
    if not all(parts):
        raise _MalformedRowError("has two separators in a row, or begins with one.")
    word = line[: len(word)]  # with its tabs
    if b"\t" in word or b"\r" in word:
        raise _MalformedRowError(f"has the word {reprlib.repr(word)} with a tab or a carriage return in it.")
    return word


def _numbers(values: list[bytes]) -> list[float]:
    try:
        if b"_" in b"".join(values):
            raise ValueError  # Python reads 1_0 as 10
        return list(map(float, values))
    except ValueError:
        number, value = next((i, value) for i, value in enumerate(values, 1) if not _is_number(value))
        hint = " Decimal commas are not supported." if DECIMAL_COMMA.search(value) else ""
        raise _MalformedRowError(f"value {number}, {_quoted(value)}, is not a number.{hint}") from None


def _quoted(line: bytes) -> str:
    return reprlib.repr(line[:100].decode(errors="replace").rstrip("\r\n"))


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field


def _rest_of_word(stream: io.BufferedReader, first: bytes) -> bytes:
    """Return the bytes before the next space; the first has been read."""
    word, letter = bytearray(), first
    while letter != b" ":
        word += letter
        if not letter or len(word) > LONGEST_WORD:
            problem = "does not end within 1 MiB" if letter else "ends with the file"
            raise _MalformedRowError(
                f"the word {problem}. The file is truncated, or its first line is wrong."
            )
        letter = stream.read(1)
    return bytes(word)
