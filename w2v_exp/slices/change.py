"""A test of change: whether the pairs of a word differ between slices by more than between documents.

The statistic of a word is Rao's score statistic of the hypothesis that its input vector is the same in all slices,

    T = Σ_s g_s' H⁻¹ g_s / (n_s + τ),    g_s = Σ_{pairs of slice s} (o_c − m),

where n_s is the weight of its pairs in slice s, τ the smoothing, and m and H are mean and covariance of the output
vectors under the model with the vector of the whole text. It is twice the log-likelihood that vectors of the slices
gain, to second order (Rao 1948). The pairs of a document depend on each other, so T has no known distribution: it is
compared with its values after permutations of the slices of whole documents. Since g_s is a sum over documents, a
permutation only needs matrix products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGNIFICANT = 0.05  # false discovery rate of the words that are listed as changed
LEAST_EXPLAINED = 0.01  # nats a pair
SMALLEST_P = 1e-6  # that an extrapolation can support
COUNTED = 10  # permuted values above the observed one, from which their number gives p


class Change(NamedTuple):
    """Result of the test for words; all of shape (words,).

    Parameters
    ----------
    effect : ndarray of float64
        Mean log-likelihood that vectors of the slices gain, in nats a pair, minus its mean under permutations: 0 is
        expected without change, and values may be negative.
    explained : ndarray of float64
        Mean log-likelihood that the vector of the whole text gains over word frequencies, in nats a pair.
    p : ndarray of float64
        Probability of a statistic as large, if slices were assigned to documents at random; NaN for words that were
        not tested.
    q : ndarray of float64
        False discovery rate, by `false_discovery_rates`.
    """

    effect: NDArray[np.float64]
    explained: NDArray[np.float64]
    p: NDArray[np.float64]
    q: NDArray[np.float64]

    @classmethod
    def none(cls, words: int) -> Change:
        """Return the result without a test."""
        return cls(*(np.full(words, np.nan) for _ in cls._fields))

    @property
    def relative(self) -> NDArray[np.float64]:
        """Size of the change, by which words are ordered, (words,).

        It is the effect as a share of `explained`, to which the median of all words is added: the share alone would put
        function words first, of whose contexts no vector explains much.
        """
        tested = self.explained[~np.isnan(self.explained)]
        typical = max(float(np.median(tested)) if len(tested) else 0.0, LEAST_EXPLAINED)
        relative: NDArray[np.float64] = self.effect / (np.maximum(self.explained, 0) + typical)
        return relative


def permuted_labels(
    of_documents: NDArray[np.intp], permutations: int, generator: np.random.Generator
) -> NDArray[np.int32]:
    """Return the slices of documents, and permutations of them, shape (1 + permutations, d).

    Documents without a slice (−1) keep it.
    """
    labels = np.repeat(of_documents[None].astype(np.int32), permutations + 1, axis=0)
    inside = np.flatnonzero(of_documents >= 0)
    for row in labels[1:]:
        row[inside] = generator.permutation(row[inside])
    return labels


def score_statistics(
    scores: NDArray[np.float64],
    pairs: NDArray[np.float64],
    labels: NDArray[np.int32],
    slices: int,
    smoothing: float,
) -> NDArray[np.float64]:
    """Return the statistic of a word for each assignment of slices, shape (assignments,).

    Parameters
    ----------
    scores : ndarray of float64, shape (g, dim)
        Sum of L'(o_c − m) over the pairs of each document, where L L' is the inverse Hessian.
    pairs : ndarray of float64, shape (g,)
        Weight of these pairs.
    labels : ndarray of int32, shape (assignments, g)
        The slice of each document.
    slices : int
        Number of slices.
    smoothing : float
        τ, above 0.
    """
    narrow = np.column_stack([scores, pairs]).astype(np.float32)
    total = np.zeros(len(labels))
    for number in range(slices):
        sums = (labels == number).astype(np.float32) @ narrow
        total += np.einsum("ij,ij->i", sums[:, :-1], sums[:, :-1]) / (sums[:, -1] + smoothing)
    return total


def permutation_p(statistics: NDArray[np.float64]) -> float:
    """Return the p-value of the first of these statistics among the others, those of permutations.

    If `COUNTED` or more of them are as large, it is their share (with the observed one: Phipson & Smyth 2010). Smaller
    p-values need more permutations than there are, so they are those of a gamma distribution with the first three
    moments of the permuted statistics (Pearson's type III; Josse, Pagès & Husson 2008 find it accurate for such
    statistics).
    """
    from scipy.special import gammaincc

    observed, permuted = statistics[0], statistics[1:]
    as_large = int(np.count_nonzero(permuted >= observed))
    share = (1 + as_large) / (1 + len(permuted))
    deviation = float(permuted.std())
    if as_large >= COUNTED or not deviation:
        return share
    standard = (permuted - permuted.mean()) / deviation
    # A sum of squares is skewed to the right; noise of few permutations must not make it symmetric.
    skewness = max(float((standard**3).mean()), 0.1)
    shape = 4 / skewness**2
    place = (observed - permuted.mean()) / deviation
    tail = float(gammaincc(shape, max(0.0, shape + place * np.sqrt(shape))))
    return max(SMALLEST_P, min(share * COUNTED, tail))


def false_discovery_rates(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return q-values by Benjamini & Hochberg (1995): the rate of false discoveries if all smaller ones are reported.

    >>> false_discovery_rates(np.array([0.01, 0.5, 0.02])).round(3).tolist()
    [0.03, 0.5, 0.03]
    """
    order = np.argsort(p)
    rates = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum.accumulate(rates[::-1])[::-1]
    return np.minimum(q, 1)
