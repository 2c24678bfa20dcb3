"""Ranges of centres, each of which is counted by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def centre_ranges(frequency: NDArray[np.int64], ranges: int, most: int) -> NDArray[np.int64]:
    """Divide the vocabulary into ranges of words that occur about as often, all in all.

    Parameters
    ----------
    frequency : ndarray of int64, shape (V,)
        How often each word occurs.
    ranges : int
        How many there should be. A word that is more frequent than a range should be has one to itself.
    most : int
        Words that a range may have; where it would have more there are more ranges.

    Returns
    -------
    ndarray of int64
        The first word of each range, rising, and V.
    """
    before = np.cumsum(frequency) - frequency
    share = before * ranges // max(1, frequency.sum())
    bounds = [0]
    for first in [*np.flatnonzero(np.diff(share)) + 1, len(frequency)]:
        bounds += range(bounds[-1] + most, int(first), most)
        bounds.append(int(first))
    return np.array(bounds)
