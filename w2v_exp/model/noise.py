"""The noise distribution: which words negative sampling draws, and how often."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class NoiseDistribution:
    """q(v) ∝ count(v)^exponent (Mikolov et al. 2013b, section 2.2), with exact draws in constant time each.

    word2vec and gensim round q to a table of places; here draws follow q to the last bits of float64, by Walker's alias
    method: every word has a column of height 1/V, and what a rare word leaves of its column belongs to a frequent one.

    Parameters
    ----------
    counts : ndarray, shape (V,)
        How often each word occurs. A word that does not occur is never drawn, unless no word occurs.
    exponent : float
        1: as frequent as in the text; 0: all alike; word2vec's is 0.75.
    """

    def __init__(self, counts: NDArray[Any], exponent: float = 0.75) -> None:
        counts = np.asarray(counts, np.float64)
        if not counts.any():
            counts = np.ones(len(counts))
        weights = np.where(counts > 0, counts**exponent, 0.0)
        self.probabilities: NDArray[np.float64] = weights / weights.sum()
        self._share, self._alias = alias_table(self.probabilities)

    def __len__(self) -> int:
        """Return V."""
        return len(self.probabilities)

    def draw(self, generator: np.random.Generator, count: int) -> NDArray[np.int32]:
        """Return so many words, drawn independently, (count,)."""
        places = generator.random(count)
        places *= len(self)
        columns = places.astype(np.int32)
        places -= columns
        return np.where(places < self._share.take(columns), columns, self._alias.take(columns))

    @staticmethod
    def memory(vocabulary_size: int) -> int:
        """Return how many bytes it takes while it is made; half of them stay."""
        return 72 * vocabulary_size


def alias_table(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return what share of its column each word has, and whose the rest is: shape (V,) each.

    Vose's sweep, without a loop (Hübschle-Schneider & Sanders 2022, section 4): words that do not fill their columns
    lack Σ(1 − V·p) of them, those that overflow have as much to give. Laid end to end, what is lacked and what is given
    are two divisions of the same line, so a search in sums tells who gives to whom. A word that has given all, and a
    part of its own column besides, is itself given the rest by the one after it.

    >>> alias_table(np.array([0.5, 0.25, 0.25]))
    (array([1.  , 0.75, 0.75]), array([0, 0, 0], dtype=int32))
    """
    heights = probabilities * len(probabilities)
    share, alias = np.ones(len(heights)), np.arange(len(heights), dtype=np.int32)
    lacking, giving = np.flatnonzero(heights < 1), np.flatnonzero(heights >= 1)
    lacked, given = np.cumsum(1 - heights[lacking]), np.cumsum(heights[giving] - 1)
    last = len(giving) - 1
    before = lacked - (1 - heights[lacking])
    share[lacking] = heights[lacking]
    alias[lacking] = giving[np.minimum(given.searchsorted(before, "right"), last)]
    # The one with whom each giver goes below its own column, but for those who, to rounding, never do.
    ends_with = lacked.searchsorted(given, "left")
    ending = np.flatnonzero(ends_with < len(lacking))
    ending = ending[ending < last]
    share[giving[ending]] = np.clip(1 - (lacked[ends_with[ending]] - given[ending]), 0, 1)
    alias[giving[ending]] = giving[ending + 1]
    return share, alias
