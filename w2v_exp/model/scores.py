"""The (k, V) matrix of a softmax's scores: the work on it, which takes most of a step's time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.labels import LabelCounts
from w2v_exp.representation import ShortRepr

SAFE_SCORE = 50  # exp of it, and sums of many of them, are far from the ends of float32
SMALLEST_SUM, LARGEST_SUM = 1e-25, 1e35  # of exponentials in float32 that have lost nothing that counts
FEW_SCORES = 4096  # each call then takes longer than the arithmetic in it
CACHED_SCORES = 1 << 21  # stay in the third-level cache; with fewer at a time, threads wait for each other
SMALL_PRODUCT = 1_000_000  # multiplications
SHORTEST_BLOCK = 128  # words; shorter ones cost more in calls than they save


@dataclass(frozen=True, repr=False)
class ScoreSums(ShortRepr):
    """What is known of the scores of a batch once they have become exponentials.

    Parameters
    ----------
    normalizer : ndarray, shape (k,)
        The sum of exponentials of each centre, plus epsilon.
    cost : float
        The summed negative log-likelihood of the labels, in nats, with epsilon 0.
    article_cost : float
        The sum of −log(p + epsilon); 0 where epsilon is 0.
    """

    normalizer: NDArray[Any]
    cost: float
    article_cost: float


def differentiate(
    scores: NDArray[Any],
    labels: LabelCounts,
    weights: NDArray[np.float64],
    compute: Callable[[slice], object],
    *,
    offset: NDArray[Any] | None = None,
    epsilon: float = 0.0,
    subtract: bool = True,
) -> ScoreSums:
    """Put normalizer · (p − the shares that labels have of their centre's pairs) in the place of every score.

    It is the gradient of a centre's mean cost by its scores, not yet divided by the normalizer: that goes into smaller
    matrices. All passes over some rows are made while they are in the cache.

    Parameters
    ----------
    scores : ndarray, shape (k, V)
        Changed in place.
    labels : LabelCounts
        The labels of the k centres.
    weights : ndarray of float64, shape (k,)
        How many labels each centre has.
    compute : callable
        Makes the scores of some rows anew: where their exponentials turn out to be too large or too small.
    offset : ndarray, shape (V,), optional
        Added to the scores.
    epsilon : float
        Added to the normalizer, and to likelihoods in `article_cost`.
    subtract : bool
        False leaves the exponentials as they are.
    """
    normalizer = np.empty(len(scores), scores.dtype)
    cost = article_cost = 0.0
    for rows in _cached_rows(scores):
        whole = rows.stop - rows.start == len(scores)
        block = scores if whole else scores[rows]
        some = labels if whole else labels.part(rows, scores.shape[1])
        if offset is not None:
            block += offset
        cost -= float(some.counts.dot(some.gather(block)))
        sums = _quick_exponentials(block)
        largest: NDArray[Any] | float = 0.0
        if sums is None:
            compute(rows)
            sums, largest = exponentiate(block, offset)
        cost += float(weights[rows].dot(np.log(sums) + largest))
        if epsilon:
            sums += epsilon * np.exp(-largest)
            likelihoods = some.gather(block) / some.by_centre(sums) + epsilon
            article_cost -= float(some.counts.dot(np.log(likelihoods)))
        if subtract:
            some.subtract_from(block, some.scaled_shares(sums))
        normalizer[rows] = sums
    return ScoreSums(normalizer, cost, article_cost)


def exponentiate(
    scores: NDArray[Any], offset: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[Any] | float]:
    """Put exp(score + offset − largest) in the place of every score, and return the sums by row and `largest`.

    `largest`, by row, shape (k,), is the row's largest score where `exp` of one could overflow, or be zero for a whole
    row; elsewhere it is 0, for nothing needs to be subtracted from scores within ±50. In a large matrix some rows at a
    time are done, so that they stay in the cache from one pass to the next.

    Parameters
    ----------
    scores : ndarray, shape (k, V)
        Changed in place.
    offset : ndarray, shape (V,), optional
        Added to the scores.
    """
    normalizer, largest = np.empty(len(scores), scores.dtype), np.zeros(len(scores), scores.dtype)
    for rows in _cached_rows(scores):
        block = scores[rows]
        if offset is not None:
            block += offset
        highest = np.maximum.reduce(block, axis=1)
        if not (np.minimum.reduce(highest) > -SAFE_SCORE and np.maximum.reduce(highest) < SAFE_SCORE):
            block -= highest[:, None]
            largest[rows] = highest
        np.exp(block, out=block)
        np.add.reduce(block, axis=1, out=normalizer[rows])
    return normalizer, largest


def transposed_product(scores: NDArray[Any], hidden: NDArray[Any]) -> NDArray[Any]:
    """Return scoresᵀ · hidden, shape (V, dim), by blocks of words.

    OpenBLAS has a kernel for products of up to 10⁶ multiplications that does without copying the factors into
    an order of its own. With as few rows as a batch has distinct centres, copying is half of the work.
    """
    vocabulary_size, dim = scores.shape[1], hidden.shape[1]
    block = SMALL_PRODUCT // hidden.size
    if not SHORTEST_BLOCK <= block < vocabulary_size:
        whole: NDArray[Any] = scores.T.dot(hidden)
        return whole
    product = np.empty((vocabulary_size, dim), hidden.dtype)
    for start in range(0, vocabulary_size, block):
        np.matmul(scores[:, start : start + block].T, hidden, out=product[start : start + block])
    return product


def _cached_rows(scores: NDArray[Any]) -> Iterator[slice]:
    """Return slices of as many rows as stay in the cache from one pass to the next."""
    rows = max(1, CACHED_SCORES // scores.shape[1])
    return (slice(start, min(start + rows, len(scores))) for start in range(0, len(scores), rows))


def _quick_exponentials(block: NDArray[Any]) -> NDArray[Any] | None:
    """Take the exponentials without a look at the scores, in place; return their sums by row, None if it went wrong.

    Sums tell whether an exponential was too large, or all of a row's too small. Looking for the largest score takes
    as long as half of the exponentials.
    """
    if block.size <= FEW_SCORES:
        flat = block.reshape(-1)
        if flat.dot(flat) < SAFE_SCORE**2:
            np.exp(block, out=block)
            few: NDArray[Any] = np.add.reduce(block, axis=1)
            return few
    with np.errstate(over="ignore", invalid="ignore"):
        np.exp(block, out=block)
        sums: NDArray[Any] = block.dot(np.ones(block.shape[1], block.dtype))
    if np.minimum.reduce(sums) > SMALLEST_SUM and np.maximum.reduce(sums) < LARGEST_SUM:
        return sums
    return None
