"""The logistic cost: of pairs and negatives, or of the branches of a tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def logistic_cost(
    scores: NDArray[Any], weights: NDArray[Any], balances: NDArray[Any]
) -> tuple[float, NDArray[Any]]:
    """Return the logistic cost of scores, and its derivative, which overwrites them.

    Each score has a weight as a positive example and one as a negative example. The cost is −Σ (positive · log σ(score)
    + negative · log σ(−score)), its derivative negative · σ(score) − positive · σ(−score).

    With t = tanh(score/2), σ(score) is (1 + t)/2, log(1 + exp(score)) is (|score| + score)/2 − log((1 + |t|)/2), and
    the derivative is (weight · t + balance)/2. That takes half of the time of exponentials and divisions, and no finite
    score is too large.

    Parameters
    ----------
    scores : ndarray of float32 or float64
        Overwritten.
    weights : ndarray of the same shape
        positive + negative.
    balances : ndarray of the same shape
        negative − positive.
    """
    scores *= 0.5
    magnitudes = np.abs(scores)
    cost = float(np.vdot(magnitudes, weights)) + float(np.vdot(scores, balances))
    by_score = np.tanh(scores, out=scores)
    np.abs(by_score, out=magnitudes)
    magnitudes += 1
    magnitudes *= 0.5
    cost -= float(np.vdot(np.log(magnitudes, out=magnitudes), weights))
    by_score *= weights
    by_score += balances
    by_score *= 0.5
    return cost, by_score
