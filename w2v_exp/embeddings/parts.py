"""The parts of embeddings, checked: words, counts and matrices; and the word that is not there."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import UserError
from w2v_exp.validation import suggestion

SUGGESTED_WORDS = 5_000  # an unknown word is compared with the most frequent ones; all would take seconds
SUGGESTED_LENGTH = 40


def numbered_words(words: list[str]) -> dict[str, int]:
    """Return the id of each word, or raise `UserError` for the first one that cannot be kept."""
    if not isinstance(words, (list, tuple)):
        raise UserError(f"words must be a list of strings, not {type(words).__name__}.")
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


def unknown_word(word: str, words: Sequence[str]) -> UserError:
    """Return the error for a word that is not there, with the closest one that is."""
    if not isinstance(word, str):
        return UserError(f"{reprlib.repr(word)}: a word must be a string, not {type(word).__name__}.")
    near: list[str] = []
    if len(word) <= SUGGESTED_LENGTH:
        near = [
            known
            for known in words[:SUGGESTED_WORDS]
            if len(known) <= SUGGESTED_LENGTH and known.isprintable()
        ]
    return UserError(
        f"{reprlib.repr(word)} is not among the {len(words)} words{suggestion(word.lower(), near)}"
    )


def check_counts(counts: NDArray[np.int64], words: int) -> None:
    """Raise `UserError` unless there is an int64 for each word, none below 0."""
    if not isinstance(counts, np.ndarray):
        raise UserError(f"counts must be an array of int64, or None, not {type(counts).__name__}.")
    if counts.shape != (words,) or counts.dtype != np.int64 or counts.min() < 0:
        raise UserError(
            f"counts must be int64 of shape ({words},), one for each word and none below 0; "
            f"they are {counts.dtype} of shape {counts.shape}."
        )


def check_matrix(name: str, matrix: NDArray[Any], words: list[str], *, like: NDArray[Any]) -> None:
    """Raise `UserError` unless a matrix has a finite vector for each word, dtype and columns as `like` has them."""
    if not isinstance(matrix, np.ndarray):
        raise UserError(f"{name} must be an array of float32 or float64, not {type(matrix).__name__}.")
    if matrix.dtype not in (np.float32, np.float64) or matrix.dtype != like.dtype:
        raise UserError(f"{name} must be float32 or float64, input and output alike; it is {matrix.dtype}.")
    if matrix.ndim != 2 or matrix.shape != (len(words), like.shape[1]) or not matrix.size:
        raise UserError(
            f"{name} must have a row for each of the {len(words)} words and at least one column, input "
            f"and output as many; its shape is {matrix.shape}."
        )
    if not np.isfinite([matrix.min(), matrix.max()]).all():  # NaN is both extremes wherever there is one
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise UserError(
            f"{name}: the vector of word number {row + 1}, {reprlib.repr(words[row])}, has a value "
            "that is NaN or infinite."
        )


def _is_unicode(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
