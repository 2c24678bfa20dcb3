"""Label encodings: how the context words of the pairs are held, and what a batch makes of them.

The article first fed one-hot vectors, V numbers a pair, and ran out of memory; then the label's index, one
number a pair. Both train the same model.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.dense_labels import DenseLabels
from w2v_exp.examples.sparse_labels import SparseLabels


class LabelCounts(Protocol):
    """The labels of a batch, counted by distinct centre: a matrix of shape (k, V), however it is held."""

    @property
    def counts(self) -> NDArray[np.float64]:
        """How often labels occur with centres: shape (n,), for n cells of the matrix."""

    def scaled_shares(self, scales: NDArray[Any]) -> NDArray[Any]:
        """Return the counts as shares of their centre's pairs, times a number for each centre, (k,): shape (n,)."""

    def by_centre(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return, of a number for each centre, (k,), that of each of the counts: shape (n,)."""

    def part(self, rows: slice, vocabulary_size: int) -> LabelCounts:
        """Return the counts of some consecutive centres, as the matrix of these alone."""

    def gather(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the entries of a (k, V) matrix that the counts belong to: shape (n,)."""

    def subtract_from(self, scores: NDArray[Any], values: NDArray[np.float64] | None = None) -> None:
        """Subtract `values`, of shape (n,), by default the counts, from a (k, V) matrix, in place."""

    def last_rows(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return, of a (V, n) matrix, the row of the last label of each centre: shape (k, n)."""


class Labels(Protocol):
    """The labels of all pairs."""

    def count_by(
        self, chosen: slice | NDArray[np.intp], rows: NDArray[np.intp], weights: NDArray[np.float64]
    ) -> LabelCounts:
        """Return the labels of the chosen pairs, counted by row.

        A row is the number of a pair's centre among the distinct ones of the batch; weights, of shape (k,),
        say how many pairs each of these has.
        """


LABELS: dict[str, type[SparseLabels] | type[DenseLabels]] = {"dense": DenseLabels, "sparse": SparseLabels}
