"""Embeddings: words with their vectors, to look up, compare, save and load."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v_exp.embeddings.archive import Stored
from w2v_exp.embeddings.formats import read, write
from w2v_exp.errors import FormatError, UserError
from w2v_exp.model.parameters import Parameters
from w2v_exp.text.vocabulary import Vocabulary
from w2v_exp.validation import require_whole, suggestion

SUGGESTED_WORDS = 5_000  # an unknown word is compared with the most frequent ones; all would take seconds
SUGGESTED_LENGTH = 40


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Words with their vectors; methods named as in gensim's ``KeyedVectors`` mean the same.

    Parameters
    ----------
    words : list of str
        The word of each row; no word occurs twice.
    counts : ndarray of int64, shape (V,), or None
        How often each word occurs in the text; None where a file does not tell (word2vec's formats do not).
    input : ndarray of float32 or float64, shape (V, dim)
        The vector of each word as a centre; what similarity is computed from.
    output : ndarray of the same dtype, shape (V, dim), or None
        The vector of each word as a context; None where a file does not tell.

    Raises
    ------
    UserError
        If the parts do not fit together, or a value is NaN or infinite.
    """

    words: list[str]
    counts: NDArray[np.int64] | None
    input: NDArray[Any]
    output: NDArray[Any] | None = None
    ids: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", _numbered(self.words))
        if self.counts is not None and (
            self.counts.shape != (len(self),) or self.counts.dtype != np.int64 or self.counts.min() < 0
        ):
            raise UserError(
                f"counts must be int64 of shape ({len(self)},), one for each word and none below 0; "
                f"they are {self.counts.dtype} of shape {self.counts.shape}."
            )
        self._check("input", self.input)
        if self.output is not None:
            self._check("output", self.output)

    @classmethod
    def from_training(cls, vocabulary: Vocabulary, parameters: Parameters) -> Embeddings:
        """Return what has been trained so far: a copy, so that further training does not change it."""
        return cls(vocabulary.words, vocabulary.counts, parameters.embedding.copy(), parameters.output.copy())

    @classmethod
    def load(cls, path: Path | str) -> Embeddings:
        """Read a file in the format that its suffix names: ``.npz``, ``.txt`` or ``.vec``, ``.bin``.

        The last three may be gzipped (``.txt.gz``); their vectors are float32.

        Raises
        ------
        UserError
            If no format has this suffix, or the vectors do not fit the memory that is available.
        FormatError
            If the file cannot be read or is not what its format says.
        """
        stored = read(Path(path))
        try:
            return cls(*stored)
        except UserError as error:
            raise FormatError(f"{path}: {error}") from error

    def save(self, path: Path | str) -> None:
        """Write a file in the format that its suffix names, as in `load`; same embeddings, same bytes.

        ``.npz`` keeps everything. ``.txt``, ``.vec`` and ``.bin`` are for other programs: they keep words and
        input vectors, as float32.

        Raises
        ------
        UserError
            If no format has this suffix, the format cannot hold what is to be kept, or the file cannot be
            written. A file that was there before is then as it was.
        """
        write(Path(path), Stored(self.words, self.counts, self.input, self.output))

    def __contains__(self, word: object) -> bool:
        return word in self.ids

    def __len__(self) -> int:
        return len(self.words)

    def vector(self, word: str) -> NDArray[Any]:
        """Return the input vector of a word, shape (dim,).

        Raises
        ------
        UserError
            If the word is not there; with the closest one that is.
        """
        return self.input[self._id(word)]  # type: ignore[no-any-return]

    def similarity(self, a: str, b: str) -> float:
        """Return the cosine of the angle between the input vectors of two words; 0 where one of them is zero.

        Raises
        ------
        UserError
            If one of the words is not there.
        """
        return float(np.vecdot(self._directions[self._id(a)], self._directions[self._id(b)]))

    def most_similar(self, word_or_vector: str | ArrayLike, topn: int = 10) -> list[tuple[str, float]]:
        """Return the words whose input vectors have the largest cosine with a word's or with a vector.

        Parameters
        ----------
        word_or_vector : str or array of float, shape (dim,)
            A word, which is itself left out of the answer, or any vector.
        topn : int
            How many words to return at the most, 0 or more.

        Returns
        -------
        list of (str, float)
            Words and cosines, the largest first; equal ones in the order of their ids.

        Raises
        ------
        UserError
            If the word is not there, or the vector is not one of `dim` finite numbers.
        """
        require_whole("topn", topn, at_least=0)
        if isinstance(word_or_vector, str):
            itself = self._id(word_or_vector)
            direction = self._directions[itself]
        else:
            itself = -1
            direction = _directions(self._as_vector(word_or_vector)[None, :])[0]
        # Row by row, not one matrix product: BLAS rounds equal rows differently in different places, and
        # words with the same vector would no longer tie.
        cosines = np.vecdot(self._directions, direction)
        order = np.argsort(-cosines, kind="stable")
        return [(self.words[i], float(cosines[i])) for i in order[: topn + 1].tolist() if i != itself][:topn]

    @cached_property
    def _directions(self) -> NDArray[Any]:
        return _directions(self.input)

    def _id(self, word: str) -> int:
        if word in self.ids:
            return self.ids[word]
        near: list[str] = []
        if len(word) <= SUGGESTED_LENGTH:
            near = [
                known
                for known in self.words[:SUGGESTED_WORDS]
                if len(known) <= SUGGESTED_LENGTH and known.isprintable()
            ]
        raise UserError(
            f"{reprlib.repr(word)} is not among the {len(self)} words{suggestion(word.lower(), near)}"
        )

    def _as_vector(self, vector: ArrayLike) -> NDArray[Any]:
        dim = self.input.shape[1]
        try:
            numbers = np.asarray(vector, np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"A vector must be {dim} numbers, not {reprlib.repr(vector)} ({error})."
            ) from error
        if numbers.shape != (dim,) or not np.isfinite(numbers).all():
            raise UserError(
                f"A vector must be {dim} finite numbers, not {reprlib.repr(vector)} of shape {numbers.shape}."
            )
        return numbers

    def _check(self, name: str, matrix: NDArray[Any]) -> None:
        if matrix.dtype not in (np.float32, np.float64) or matrix.dtype != self.input.dtype:
            raise UserError(
                f"{name} must be float32 or float64, input and output alike; it is {matrix.dtype}."
            )
        if matrix.ndim != 2 or matrix.shape != (len(self), self.input.shape[1]) or not matrix.size:
            raise UserError(
                f"{name} must have a row for each of the {len(self)} words and at least one column, input "
                f"and output as many; its shape is {matrix.shape}."
            )
        if not np.isfinite([matrix.min(), matrix.max()]).all():  # NaN is both extremes wherever there is one
            row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
            raise UserError(
                f"{name}: the vector of word number {row + 1}, {reprlib.repr(self.words[row])}, has a value "
                "that is NaN or infinite."
            )


def _numbered(words: list[str]) -> dict[str, int]:
    """Return the id of each word, or raise `UserError` for the first one that cannot be kept."""
    if not words:
        raise UserError("words must not be empty: there is nothing to embed.")
    ids: dict[str, int] = {}
    for number, word in enumerate(words):
        problem = ""
        if not isinstance(word, str):
            problem = "is not a string"
        elif not _is_unicode(word):
            problem = "has half of a surrogate pair in it, which no UTF-8 file can hold"
        elif ids.setdefault(word, number) != number:
            problem = f"is word number {ids[word] + 1} as well"
        if problem:
            raise UserError(f"word number {number + 1}, {reprlib.repr(word)}, {problem}.")
    return ids


def _is_unicode(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _directions(vectors: NDArray[Any]) -> NDArray[Any]:
    """Return vectors of length 1, shape (n, dim); zero stays zero.

    They are divided by their largest entry first, so that squares neither overflow nor vanish.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest, largest, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    scaled /= np.where(length, length, 1)
    return scaled
