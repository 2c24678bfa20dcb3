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
        All vectors of both with length 1, those of the second rotated onto the first, unless they are in one space;
        dim is the larger dimension.
    cosines : ndarray of float, shape (n,)
        Of the two directions of each shared word. The lower, the farther the word moved.
    overlap : ndarray of float, shape (min(n, most),)
        Share of the nearest words of each word that are the same in both embeddings. They are searched among all words
        of each embedding, so a word that the other one lacks counts as a change.
    neighbours : int
        Number of nearest words that `overlap` compares.
    missing : list of int
        Number of words of each of the embeddings that the other one lacks.
    rotated : bool
        Whether the second embeddings were rotated.
    """

    words: list[str]
    rows: list[NDArray[np.int64]]
    directions: list[NDArray[Any]]
    cosines: NDArray[np.float64]
    overlap: NDArray[np.float64]
    neighbours: int
    missing: list[int]
    rotated: bool

    @property
    def measure(self) -> str:
        """A phrase for `cosines`."""
        return "cosine after alignment" if self.rotated else "cosine of both vectors"

    @property
    def chance(self) -> float:
        """The expected overlap of embeddings that have nothing to do with each other."""
        others = [len(each) - 1 for each in self.directions]
        return self.neighbours * (len(self.words) - 1) / (others[0] * others[1]) if self.neighbours else 0.0

    @property
    def compared(self) -> str:
        """A phrase for the words that `overlap` compares."""
        return "nearest words" if self.neighbours == 1 else f"{self.neighbours} nearest words"


def word_changes(
    first: Embeddings, second: Embeddings, most: int | None = None, *, rotate: bool = True
) -> WordChanges:
    """Compare the words of two embeddings after alignment by orthogonal Procrustes.

    Parameters
    ----------
    first, second : Embeddings
        With any words and dimensions.
    most : int, optional
        Compare the nearest words of the first `most` shared words only, which takes most of the time; None: of all.
    rotate : bool
        Whether to align them. The vectors of slices of one text are in one space already.

    Raises
    ------
    UserError
        If they have no word in common.
    """
    words, rows, _ = shared_words(first, second)
    units = [directions(each.input) for each in (first, second)]
    dim = max(each.shape[1] for each in units)
    padded = [np.pad(each, ((0, 0), (0, dim - each.shape[1]))) for each in units]  # which changes no cosine
    if rotate:
        alignment = procrustes(second.input[rows[1]], first.input[rows[0]])
        padded[1] = padded[1] @ alignment.rotation.astype(padded[1].dtype)
        cosines = alignment.cosines
    else:
        cosines = np.vecdot(padded[0][rows[0]], padded[1][rows[1]])
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
    return WordChanges(words, rows, padded, cosines, overlap, count, missing, rotate)
