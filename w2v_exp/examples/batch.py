"""A batch: some pairs, gathered by distinct centre."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import ShortRepr
from w2v_exp.examples.labels import LabelCounts, Labels, SparseCounts
from w2v_exp.examples.pairs import count_distinct

if TYPE_CHECKING:
    from scipy.sparse import csr_array


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
