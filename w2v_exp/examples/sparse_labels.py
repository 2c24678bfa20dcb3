"""Labels as ids: the article's second version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.counting import count_distinct
from w2v_exp.examples.memory_needs import BatchMemory
from w2v_exp.representation import ShortRepr


@dataclass(frozen=True, repr=False)
class SparseCounts(ShortRepr):
    """Counts held as the cells of a (k, V) matrix that are not zero, by rising number.

    Parameters
    ----------
    cells, rows : ndarray of int, shape (n,)
        The number of each cell in the flat matrix, and that of its row.
    counts, shares : ndarray of float64, shape (n,)
        How often each label occurs, and that divided by the number of pairs that its centre has.
    last : ndarray of int, shape (k,)
        The last label of each centre; empty where nobody knows.
    """

    cells: NDArray[np.intp]
    rows: NDArray[np.intp]
    counts: NDArray[np.float64]
    shares: NDArray[np.float64]
    last: NDArray[np.intp]

    def scaled_shares(self, scales: NDArray[Any]) -> NDArray[Any]:
        """Return the shares, times a number for each centre."""
        scaled: NDArray[Any] = self.shares * self.by_centre(scales)
        return scaled

    def by_centre(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the number of each cell's row."""
        spread: NDArray[Any] = numbers.take(self.rows)
        return spread

    def part(self, rows: slice, vocabulary_size: int) -> SparseCounts:
        """Return the counts of some consecutive centres, as the matrix of these alone."""
        first, last = self.rows.searchsorted([rows.start, rows.stop]).tolist()
        cells = slice(first, last)
        return SparseCounts(
            self.cells[cells] - rows.start * vocabulary_size,
            self.rows[cells] - rows.start,
            self.counts[cells],
            self.shares[cells],
            self.last[rows],
        )

    def gather(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the labels' entries of `scores`."""
        return scores.take(self.cells)

    def subtract_from(self, scores: NDArray[Any], values: NDArray[np.float64] | None = None) -> None:
        """Subtract the cells' counts or values from `scores`, in place. No cell is named twice."""
        scores.reshape(-1)[self.cells] -= self.counts if values is None else values

    def last_rows(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return the row of the last label of each centre."""
        rows: NDArray[Any] = matrix.take(self.last, axis=0)
        return rows


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

    @staticmethod
    def batch_memory(
        centres: int, pairs: int, distinct: int, vocabulary_size: int, dtype: DTypeLike
    ) -> BatchMemory:
        """Return what a batch of so many distinct centres, pairs and distinct pairs takes."""
        return BatchMemory.listed(centres, pairs, distinct)

    def count_by(
        self, chosen: slice | NDArray[np.intp], rows: NDArray[np.intp], weights: NDArray[np.float64]
    ) -> SparseCounts:
        """Return the labels of the chosen pairs, counted by row."""
        contexts = self._contexts[chosen]
        cells, counts = count_distinct(rows * self._vocabulary_size + contexts)
        cell_rows = cells // self._vocabulary_size
        shares = counts / weights[cell_rows]
        last = np.empty(len(weights), np.intp)
        last[rows] = contexts  # of the labels of one centre, the last one stays
        return SparseCounts(cells, cell_rows, counts, shares, last)
