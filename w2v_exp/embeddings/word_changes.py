"""The words of two embeddings compared: how far each moved, and which of its nearest words stayed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.alignment import (
    neighbour_ids,
    neighbour_number,
    neighbour_overlap,
    procrustes,
    shared_words,
)
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions


class WordChanges(NamedTuple):
    """The words that two embeddings share, and how far they moved.

    Attributes
    ----------
    words : list of str
        The shared words, the most frequent in the first embeddings first.
    rows : list of ndarray of int, shape (n,)
        Their rows in each of the embeddings.
    directions : list of ndarray of float, shapes (V of each, dim)
        All vectors of both with length 1, those of the second rotated onto the first; dim is the larger dimension.
    cosines : ndarray of float, shape (n,)
        Of the two directions of each shared word. The lower, the farther the word moved.
    overlap : ndarray of float, shape (min(n, most),)
        Share of the nearest words of each word that are the same in both embeddings. They are searched among all words
        of each embedding, so a word that the other one lacks counts as a change.
    neighbours : int
        Number of nearest words that `overlap` compares.
    missing : list of int
        Number of words of each of the embeddings that the other one lacks.
    """

    words: list[str]
    rows: list[NDArray[np.int64]]
    directions: list[NDArray[Any]]
    cosines: NDArray[np.float64]
    overlap: NDArray[np.float64]
    neighbours: int
    missing: list[int]

    @property
    def chance(self) -> float:
        """The expected overlap of embeddings that have nothing to do with each other."""
        others = [len(each) - 1 for each in self.directions]
        return self.neighbours * (len(self.words) - 1) / (others[0] * others[1]) if self.neighbours else 0.0

    @property
    def compared(self) -> str:
        """A phrase for the words that `overlap` compares."""
        return "nearest words" if self.neighbours == 1 else f"{self.neighbours} nearest words"


def word_changes(first: Embeddings, second: Embeddings, most: int | None = None) -> WordChanges:
    """Compare the words of two embeddings after alignment by orthogonal Procrustes.

    Parameters
    ----------
    first, second : Embeddings
        With any words and dimensions.
    most : int, optional
        Compare the nearest words of the first `most` shared words only, which takes most of the time; None: of all.

    Raises
    ------
    UserError
        If they have no word in common.
    """
    words, rows, _ = shared_words(first, second)
    alignment = procrustes(second.input[rows[1]], first.input[rows[0]])
    dim = len(alignment.rotation)
    # A row of zeros for each dimension that is missing changes no direction.
    units = [directions(each.input) for each in (first, second)]
    padded = [np.pad(each, ((0, 0), (0, dim - each.shape[1]))) for each in units]
    padded[1] = padded[1] @ alignment.rotation.astype(padded[1].dtype)
    count = min(neighbour_number(len(words)), len(first) - 1, len(second) - 1)
    # The ids of the second embeddings' words: those of the first, or larger ones.
    numbers = [first.ids.get(word, len(first) + row) for row, word in enumerate(second.words)]
    nearest = (
        [neighbour_ids(each, count, of[:most]) for each, of in zip(units, rows, strict=True)] if count else []
    )
    overlap = (
        neighbour_overlap(nearest[0], np.array(numbers)[nearest[1]])
        if count
        else np.full(len(words[:most]), np.nan)
    )
    missing = [len(each) - len(words) for each in (first, second)]
    return WordChanges(words, rows, padded, alignment.cosines, overlap, count, missing)


def most_frequent(embeddings: Embeddings, number: int | None) -> Embeddings:
    """Return embeddings of the most frequent words, by falling count; without counts, of the first ones.

    Parameters
    ----------
    embeddings : Embeddings
        Of any words.
    number : int, optional
        At most; None: all words.
    """
    counts = embeddings.counts
    order = np.arange(len(embeddings)) if counts is None else np.argsort(-counts, kind="stable")
    rows = order[:number]
    return Embeddings(
        [embeddings.words[row] for row in rows.tolist()],
        None if counts is None else counts[rows],
        embeddings.input[rows],
    )
