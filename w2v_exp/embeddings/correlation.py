"""How far two lists of numbers agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pearson(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return Pearson's correlation of two arrays of shape (n,); NaN where it has no meaning.

    It has none for fewer than two values, or where all values of one array are equal.
    """
    if len(a) < 2 or (a == a[0]).all() or (b == b[0]).all():
        return math.nan
    a, b = _centred(a), _centred(b)
    correlation = (a @ b) / np.sqrt((a @ a) * (b @ b))
    return float(np.clip(correlation, -1, 1))  # rounding can lead out of the range


def spearman(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return Spearman's rank correlation of two arrays of shape (n,): Pearson's of their ranks."""
    return pearson(average_ranks(a), average_ranks(b))


def average_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rank of each value, from 1; equal values share the mean of their ranks.

    >>> average_ranks(np.array([20, 10, 20, 30])).tolist()
    [2.5, 1.0, 2.5, 4.0]
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[places]
    return ranks


def _centred(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return values with mean 0, and with 1 as the largest magnitude, so that squares neither overflow nor vanish."""
    centred = values.astype(np.float64) - values.mean(dtype=np.float64)
    return centred / np.abs(centred).max()  # type: ignore[no-any-return]
