"""Answers to analogies, a batch of questions at a time: by a sum of cosines or by a product of similarities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH_BYTES = 1 << 25  # of what a batch of questions takes, with all words
COSMUL_EPSILON = 1e-6  # so that nothing is divided by 0 (Levy & Goldberg 2014: 0.001; gensim: this)

Scores = NDArray[Any]


def answered(
    directions: NDArray[Any],
    questions: NDArray[np.intp],
    first_spelling: NDArray[np.intp],
    similarity_function: str,
) -> NDArray[np.bool_]:
    """Return which questions are answered rightly: by the word of the highest score, words of the question left out.

    Parameters
    ----------
    directions : ndarray of float, shape (V, dim)
        Vectors of length 1.
    questions : ndarray of int, shape (n, 4)
        The ids of a, b, c and of the word that is to c as b is to a.
    first_spelling : ndarray of int, shape (V,)
        Of each word, the id of the first one that counts as the same (it may differ in case).
    similarity_function : str
        A key of `SIMILARITY_FUNCTIONS`.
    """
    words = len(directions)
    score, rows_per_question = SIMILARITY_FUNCTIONS[similarity_function]
    spellings = np.argsort(first_spelling, kind="stable")  # those of a word side by side
    starts = np.searchsorted(first_spelling[spellings], np.arange(words + 1))
    batch_size = max(1, BATCH_BYTES // (rows_per_question * words * directions.itemsize))
    scores = np.empty((min(batch_size, len(questions)), words), directions.dtype)
    answers = np.empty(len(questions), np.intp)
    for start in range(0, len(questions), batch_size):
        asked = questions[start : start + batch_size, :3]
        found = score(directions, asked, scores[: len(asked)])
        rows, excluded = _spellings_of(asked, spellings, starts)
        found[rows, excluded] = -np.inf
        answers[start : start + batch_size] = found.argmax(axis=1)
    expected = questions[:, 3]
    possible = (questions[:, :3] != expected[:, None]).all(axis=1)
    return (first_spelling[answers] == expected) & possible  # type: ignore[no-any-return]


def add_cosines(directions: NDArray[Any], asked: NDArray[np.intp], out: Scores) -> Scores:
    """Return cos(x, b) − cos(x, a) + cos(x, c) for every word x, shape (n, V): one product with b − a + c (3CosAdd).

    Source: Mikolov, Yih & Zweig 2013; Levy & Goldberg 2014 for the name.
    """
    a, b, c = (directions[column] for column in asked.T)
    scores: Scores = np.matmul(b - a + c, directions.T, out=out)
    return scores


def multiply_similarities(directions: NDArray[Any], asked: NDArray[np.intp], out: Scores) -> Scores:
    """Return s(x, b)·s(x, c) / (s(x, a) + 1e-6) for every word x, shape (n, V), s being (1 + cosine) / 2 (3CosMul).

    Source: Levy & Goldberg 2014, equation 4 and footnote 7. Questions of a section ask with the same words again and
    again, so the product with all words is taken once for each distinct word of the batch.
    """
    distinct, places = np.unique(asked, return_inverse=True)
    similarities = directions[distinct] @ directions.T
    similarities += 1
    similarities /= 2
    for row, (a, b, c) in zip(out, places.reshape(asked.shape), strict=True):  # a row stays in the cache
        np.add(similarities[a], COSMUL_EPSILON, out=row)
        np.divide(similarities[b], row, out=row)
        np.multiply(similarities[c], row, out=row)
    return out


Scoring = Callable[[NDArray[Any], NDArray[np.intp], Scores], Scores]
# By the name of the method that answers one question alike; and how many rows of scores a question may take.
SIMILARITY_FUNCTIONS: dict[str, tuple[Scoring, int]] = {
    "most_similar": (add_cosines, 1),
    "most_similar_cosmul": (multiply_similarities, 4),
}


def _spellings_of(
    asked: NDArray[np.intp], spellings: NDArray[np.intp], starts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and id of every spelling of the words asked, shape (n, k): the k words of row i are excluded in it."""
    flat = asked.ravel()
    counts = starts[flat + 1] - starts[flat]
    rows = np.repeat(np.arange(len(flat)) // asked.shape[1], counts)
    place_in_word = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, spellings[np.repeat(starts[flat], counts) + place_in_word]
