"""The logistic function of scores and its costs, and what bounds its curvature: the numbers of every sampled pair."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Whose exponential is finite, by the bytes of a number; larger ones count as it.
LARGEST_SCORE = {4: 80.0, 8: 700.0}


def softplus_and_sigmoid(scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return log(1 + exp(score)) and its derivative 1/(1 + exp(−score)); the scores' memory is used."""
    exponentials = np.minimum(scores, LARGEST_SCORE[scores.itemsize], out=scores)
    np.exp(exponentials, out=exponentials)
    above = exponentials + 1
    exponentials /= above
    return np.log(above, out=above), exponentials


def squared_lengths(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the squared lengths of vectors, (…, dim) to (…,)."""
    squares: NDArray[Any] = np.einsum("...j,...j->...", rows, rows)
    return squares
