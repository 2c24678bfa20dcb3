"""A batch: pairs gathered by distinct centre, with their labels, dense (one-hot vectors) or sparse (ids).

The article first fed one-hot vectors, V numbers per pair, and ran out of memory; then the label's index, one number
per pair. Both train the same model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import ShortRepr
from w2v_exp.examples.pairs import count_distinct
from w2v_exp.examples.statistics import BatchMemory
from w2v_exp.machine import readable_bytes, require_memory
from w2v_exp.scatter import scatter_add

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class LabelCounts(Protocol):
    """The labels of a batch, counted by distinct centre: a (k, V) matrix."""

    @property
    def counts(self) -> NDArray[np.float64]:
        """Counts of labels by centre, (n,), for n cells of the matrix."""

    def scaled_shares(self, scales: NDArray[Any]) -> NDArray[Any]:
        """Return counts, (n,), scaled: scale of the centre / its pairs."""

    def by_centre(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return each count's number, (n,), from those of the centres, (k,)."""

    def part(self, rows: slice, vocabulary_size: int) -> LabelCounts:
        """Return the counts of some consecutive centres, as their own matrix."""

    def gather(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the entries of a (k, V) matrix at the cells of the counts, (n,)."""

    def subtract_from(self, scores: NDArray[Any], values: NDArray[np.float64] | None = None) -> None:
        """Subtract `values`, (n,), by default the counts, from a (k, V) matrix."""

    def last_rows(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return the row of a (V, n) matrix of each centre's last label, (k, n)."""


class Labels(Protocol):
    """The labels of all pairs."""

    def count_by(
        self, chosen: slice | NDArray[np.intp], rows: NDArray[np.intp], weights: NDArray[np.float64]
    ) -> LabelCounts:
        """Return the labels of the chosen pairs, counted by row.

        A row is the number of a pair's centre among the distinct ones of the batch; `weights`, (k,), are the numbers
        of pairs of these centres.
        """


@dataclass(frozen=True, repr=False)
class DenseCounts(ShortRepr):
    """Counts held as the whole (k, V) matrix."""

    counts: NDArray[np.float64]
    weights: NDArray[np.float64]
    last: NDArray[Any]

    def scaled_shares(self, scales: NDArray[Any]) -> NDArray[Any]:
        """Return the shares, times a number for each centre.

        They are not cached, as they are another (k, V) matrix.
        """
        scaled: NDArray[Any] = self.counts * self.by_centre(scales / self.weights)
        return scaled

    def by_centre(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the number of each cell's row."""
        return np.repeat(numbers, len(self.counts) // len(numbers))

    def part(self, rows: slice, vocabulary_size: int) -> DenseCounts:
        """Return the counts of some consecutive centres, as their own matrix."""
        cells = slice(rows.start * vocabulary_size, rows.stop * vocabulary_size)
        return DenseCounts(self.counts[cells], self.weights[rows], self.last[rows])

    def gather(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return `scores`, all of them: every cell has a count, most of them zero."""
        return scores.reshape(-1)

    def subtract_from(self, scores: NDArray[Any], values: NDArray[np.float64] | None = None) -> None:
        """Subtract the counts or the values from `scores`, in place."""
        flat = scores.reshape(-1)
        flat -= self.counts if values is None else values

    def last_rows(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return the row of each centre's last label, by one-hot vectors."""
        rows: NDArray[Any] = self.last.dot(matrix)
        return rows


class DenseLabels:
    """One-hot vectors for all pairs, built up front: O(V·m).

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
        needed, sparse = (
            labels.memory(len(contexts), vocabulary_size, dtype) for labels in (DenseLabels, SparseLabels)
        )
        require_memory(
            needed,
            f"labels=dense: a one-hot vector for each of {len(contexts):,} pairs, "
            f"{vocabulary_size:,} words long,",
            f"Use labels=sparse: {readable_bytes(sparse)}.",
        )
        self._one_hot = np.zeros((len(contexts), vocabulary_size), dtype)
        self._one_hot[np.arange(len(contexts)), contexts] = 1

    @staticmethod
    def memory(pairs: int, vocabulary_size: int, dtype: DTypeLike) -> int:
        """Return the bytes of the labels of `pairs` pairs."""
        return pairs * vocabulary_size * np.dtype(dtype).itemsize

    @staticmethod
    def batch_memory(
        centres: int, pairs: int, distinct: int, vocabulary_size: int, dtype: DTypeLike
    ) -> BatchMemory:
        """Return the memory of a batch of this size."""
        size, cells = np.dtype(dtype).itemsize, centres * vocabulary_size
        labels = (8 + size) * cells  # counts in float64, and the one-hot vectors of each centre's last label
        # To be added up by centre, the one-hot vectors are put in order, as a copy, and summed.
        adding = pairs * vocabulary_size * size + (8 + size) * cells
        return BatchMemory(centres, labels, 16 * cells, 8 * cells + adding)

    def count_by(
        self, chosen: slice | NDArray[np.intp], rows: NDArray[np.intp], weights: NDArray[np.float64]
    ) -> DenseCounts:
        """Return the labels of the chosen pairs, counted by row."""
        one_hot = self._one_hot[chosen]
        counts = np.zeros((len(weights), one_hot.shape[1]))
        scatter_add(counts, rows, one_hot)
        last = np.zeros((len(weights), one_hot.shape[1]), one_hot.dtype)
        last[rows] = one_hot
        return DenseCounts(counts.reshape(-1), weights, last)


@dataclass(frozen=True, repr=False)
class SparseCounts(ShortRepr):
    """Counts held as the cells of a (k, V) matrix that are not zero.

    Parameters
    ----------
    cells, rows : ndarray of int, shape (n,)
        The number of each cell in the flat matrix, and that of its row.
    counts, shares : ndarray of float64, shape (n,)
        Count of each label, and that count divided by the pairs of its centre.
    last : ndarray of int, shape (k,)
        The last label of each centre; empty where pairs have no order.
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
        """Return the counts of some consecutive centres, as their own matrix."""
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
        """Subtract the cells' counts or values from `scores`, in place."""
        flat = scores.reshape(-1)
        left = flat.take(self.cells)  # half the time of `flat[cells] -= values`
        left -= self.counts if values is None else values
        flat[self.cells] = left

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
        Not used: ids are int32.
    """

    def __init__(self, contexts: NDArray[np.int32], vocabulary_size: int, dtype: DTypeLike) -> None:
        self._contexts = contexts
        self._vocabulary_size = vocabulary_size

    @staticmethod
    def memory(pairs: int, vocabulary_size: int, dtype: DTypeLike) -> int:
        """Return the bytes of the labels of `pairs` pairs."""
        return 4 * pairs

    @staticmethod
    def batch_memory(
        centres: int, pairs: int, distinct: int, vocabulary_size: int, dtype: DTypeLike
    ) -> BatchMemory:
        """Return the memory of a batch of this size."""
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


LABELS: dict[str, type[SparseLabels] | type[DenseLabels]] = {"dense": DenseLabels, "sparse": SparseLabels}


@dataclass(frozen=True, repr=False)
class Prior(ShortRepr):
    """A distribution over V that replaces a share of each centre's labels.

    Parameters
    ----------
    shares : ndarray of float64, shape (k,)
        The share, from 0 to 1, by centre; the labels have the rest.
    distribution : ndarray, shape (V,)
        Sums to 1.
    """

    shares: NDArray[np.float64]
    distribution: NDArray[Any]


@dataclass(frozen=True, repr=False)
class Batch(ShortRepr):
    """Some pairs, gathered by distinct centre.

    Logits are computed once for each of the k centres.

    Parameters
    ----------
    centres : ndarray of int32, shape (k,)
        The distinct centres, by rising id.
    rows : slice or ndarray of int32, shape (k,)
        The same as an index of the embedding's rows: a slice, without copies, where every word is a centre.
    weights : ndarray of float64, shape (k,)
        Number of the batch's pairs that each of them has.
    labels : LabelCounts
        Their context words, counted: a (k, V) matrix.
    pairs : float
        The number of pairs, or the sum of their weights.
    all_pairs : float
        Divisor of a mean gradient: the batch's pairs, or all pairs of the text where a batch is a slice of the
        centres. (If a slice divided by its own, one of rare centres would weigh as much as one with `the`.)
    centre_weights : ndarray of float64, shape (k,)
        Weight of each centre in the gradients: its number of pairs, unless examples reweight centres.
    prior : Prior, optional
        Distribution that smooths every centre's labels.
    context_matrix : csr_array, shape (k, r), optional
        cbow: share of each of the r embedding `rows` in each of the k hidden vectors; `centres` are then numbers of
        examples. None: a centre's hidden vector is its own row.
    """

    centres: NDArray[np.int32]
    rows: slice | NDArray[np.int32]
    weights: NDArray[np.float64]
    labels: LabelCounts
    pairs: float
    all_pairs: float
    centre_weights: NDArray[np.float64]
    prior: Prior | None = None
    context_matrix: csr_array | None = None

    def hidden(self, embedding: NDArray[Any]) -> NDArray[Any]:
        """Return the vectors that scores are computed from, (k, dim)."""
        rows: NDArray[Any] = embedding[self.rows]
        return rows if self.context_matrix is None else self.context_matrix @ rows

    def by_row(self, hidden_gradient: NDArray[Any]) -> NDArray[Any]:
        """Return the gradient by the embedding's `rows` from the hidden one."""
        if self.context_matrix is None:
            return hidden_gradient
        gradient: NDArray[Any] = self.context_matrix.T @ hidden_gradient
        return gradient

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Share of each centre in the mean gradient, (k,)."""
        return self.centre_weights / self.all_pairs

    def parts(self, number: int, vocabulary_size: int) -> list[Batch]:
        """Return this batch divided into batches of consecutive centres.

        Labels must be `SparseCounts`.

        `all_pairs` stays, so that the mean gradients of the parts add up.
        """
        if not isinstance(self.labels, SparseCounts):
            raise TypeError("Only batches with SparseCounts can be divided.")
        edges = np.linspace(0, len(self.centres), number + 1).astype(int).tolist()
        parts = []
        for start, stop in pairwise(edges):
            rows = slice(start, stop)
            prior = self.prior and Prior(self.prior.shares[rows], self.prior.distribution)
            weights = self.weights[rows]
            parts.append(
                Batch(
                    self.centres[rows],
                    rows if isinstance(self.rows, slice) else self.rows[rows],
                    weights,
                    self.labels.part(rows, vocabulary_size),
                    float(weights.sum()),
                    self.all_pairs,
                    self.centre_weights[rows],
                    prior,
                )
            )
        return parts


def gather_batch(
    pair_centres: NDArray[np.int32], labels: Labels, chosen: slice | NDArray[Any], vocabulary_size: int
) -> Batch:
    """Return pairs gathered by distinct centre.

    `pair_centres` are their centres, and the chosen ones of `labels` their labels.
    """
    centres, weights = count_distinct(pair_centres)
    every_word = len(centres) == vocabulary_size
    counts = labels.count_by(chosen, centres.searchsorted(pair_centres), weights)
    rows = slice(None) if every_word else centres
    return Batch(centres, rows, weights, counts, len(pair_centres), len(pair_centres), weights)
