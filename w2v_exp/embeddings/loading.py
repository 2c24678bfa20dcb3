"""Rows of a file of embeddings as they are read: the options, bounded memory, and the count of what is skipped."""

from __future__ import annotations

import reprlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import FormatError
from w2v_exp.memory import require_memory
from w2v_exp.validation import check_whole, require_choice

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
            print(warning.message, file=sys.stderr)
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
