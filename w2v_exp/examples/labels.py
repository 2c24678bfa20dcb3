"""Label encodings: how the context words of the pairs are held, and what a batch makes of them.

The article first fed one-hot vectors, V numbers a pair, and ran out of memory; then the label's index, one number a
pair. Both train the same model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.memory import readable_bytes, require_memory
from w2v_exp.scatter import scatter_add


class LabelCounts(Protocol):
    """The labels of a batch, counted by distinct centre: a matrix of shape (k, V), however it is held."""

    counts: NDArray[np.float64]

    def gather(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the entries of a (k, V) matrix that `counts` belongs to, in the shape of `counts`."""

    def subtract_from(self, scores: NDArray[Any]) -> None:
        """Subtract the counts from a (k, V) matrix, in place."""

    def last_rows(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return, of a (V, n) matrix, the row of the last label of each centre: shape (k, n)."""


class Labels(Protocol):
    """The labels of all pairs."""

    def count_by(
        self, chosen: slice | NDArray[np.intp], rows: NDArray[np.intp], centres: int
    ) -> LabelCounts:
        """Return the labels of the chosen pairs, counted by row (the number of their distinct centre in the batch)."""


@dataclass(frozen=True)
class SparseCounts:
    """Counts held as the cells of a (k, V) matrix that are not zero."""

    cells: NDArray[np.intp]
    counts: NDArray[np.float64]
    last: NDArray[np.int32]

    def gather(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the labels' entries of `scores`, shape (number of cells,)."""
        return scores.take(self.cells)

    def subtract_from(self, scores: NDArray[Any]) -> None:
        """Subtract the counts from `scores`, in place. No cell is named twice."""
        scores.reshape(-1)[self.cells] -= self.counts

    def last_rows(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return the row of the last label of each centre."""
        return matrix[self.last]


class SparseLabels:
    """The label's id, as the article's second version: 4 bytes a pair, O(m).

    Parameters
    ----------
    contexts : ndarray of int32, shape (m,)
        The context word of each pair.
    vocabulary_size : int
        V.
    dtype : dtype
        Not used: ids are int32 whatever the parameters are.
    """

    def __init__(self, contexts: NDArray[np.int32], vocabulary_size: int, dtype: DTypeLike) -> None:
        self._contexts = contexts
        self._vocabulary_size = vocabulary_size

    @staticmethod
    def memory(pairs: int, vocabulary_size: int, dtype: DTypeLike) -> int:
        """Return how many bytes the labels of so many pairs take."""
        return 4 * pairs

    def count_by(self, chosen: slice | NDArray[np.intp], rows: NDArray[np.intp], centres: int) -> SparseCounts:
        """Return the labels of the chosen pairs, counted by row."""
        contexts = self._contexts[chosen]
        cells, counts = np.unique(rows * self._vocabulary_size + contexts, return_counts=True)
        last = np.empty(centres, np.int32)
        last[rows] = contexts  # of the labels of one centre, the last one stays
        return SparseCounts(cells, counts.astype(np.float64), last)


@dataclass(frozen=True)
class DenseCounts:
    """Counts held as the whole (k, V) matrix."""

    counts: NDArray[np.float64]
    last: NDArray[Any]

    def gather(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return `scores`: every cell has a count, most of them zero."""
        return scores

    def subtract_from(self, scores: NDArray[Any]) -> None:
        """Subtract the counts from `scores`, in place."""
        scores -= self.counts

    def last_rows(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return the row of the last label of each centre: the product with its one-hot vectors."""
        return self.last @ matrix


class DenseLabels:
    """One-hot vectors for all pairs, built up front, as the article first did it: O(V·m).

    Parameters
    ----------
    contexts : ndarray of int32, shape (m,)
        The context word of each pair.
    vocabulary_size : int
        V.
    dtype : dtype
        Of the one-hot vectors; the one of the parameters.

    Raises
    ------
    NotEnoughMemoryError
        Before anything is allocated, if the vectors do not fit the memory that is available.
    """

    def __init__(self, contexts: NDArray[np.int32], vocabulary_size: int, dtype: DTypeLike) -> None:
        needed = self.memory(len(contexts), vocabulary_size, dtype)
        require_memory(
            needed,
            f"labels=dense: a one-hot vector for each of {len(contexts):,} pairs, {vocabulary_size:,} words long,",
            f"Use labels=sparse: {readable_bytes(SparseLabels.memory(len(contexts), vocabulary_size, dtype))}.",
        )
        self._one_hot = np.zeros((len(contexts), vocabulary_size), dtype)
        self._one_hot[np.arange(len(contexts)), contexts] = 1

    @staticmethod
    def memory(pairs: int, vocabulary_size: int, dtype: DTypeLike) -> int:
        """Return how many bytes the labels of so many pairs take."""
        return pairs * vocabulary_size * np.dtype(dtype).itemsize

    def count_by(self, chosen: slice | NDArray[np.intp], rows: NDArray[np.intp], centres: int) -> DenseCounts:
        """Return the labels of the chosen pairs, counted by row."""
        one_hot = self._one_hot[chosen]
        counts = np.zeros((centres, one_hot.shape[1]))
        scatter_add(counts, rows, one_hot)
        last = np.zeros((centres, one_hot.shape[1]), one_hot.dtype)
        last[rows] = one_hot
        return DenseCounts(counts, last)


LABELS: dict[str, type[SparseLabels] | type[DenseLabels]] = {"dense": DenseLabels, "sparse": SparseLabels}
