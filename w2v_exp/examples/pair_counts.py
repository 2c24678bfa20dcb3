"""How often each centre meets each context: the pairs of a text, counted instead of listed.

The gradient of the full softmax depends on the pairs only through these counts (Pennington et al. 2014 make the same
observation for GloVe), so training from them is exact, and costs what the distinct pairs cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.pairs import Pairs
from w2v_exp.representation import ShortRepr

SUMMED_AT_ONCE = 1 << 20


@dataclass(frozen=True, repr=False)
class PairCounts(ShortRepr):
    """Counts of (centre, context) pairs, by rows of centres (compressed sparse rows).

    Parameters
    ----------
    starts : ndarray of int64, shape (V + 1,)
        Row c is at ``starts[c]:starts[c + 1]`` of the other two.
    contexts : ndarray of int32, shape (n,)
        The contexts of each row, by rising id.
    counts : ndarray of float32, shape (n,)
        How often, or with what weight, each occurs. All above 0.
    """

    starts: NDArray[np.int64]
    contexts: NDArray[np.int32]
    counts: NDArray[Any]

    @classmethod
    def of(cls, pairs: Pairs) -> PairCounts:
        """Return the counts of listed pairs."""
        centres, contexts, counts = pairs.distinct()
        starts = np.searchsorted(centres, np.arange(pairs.vocabulary_size + 1))
        return cls(starts, contexts.astype(np.int32), counts.astype(np.float32))

    @staticmethod
    def memory(distinct: int, vocabulary_size: int) -> int:
        """Return how many bytes the counts of so many distinct pairs take."""
        return 8 * distinct + 8 * vocabulary_size

    @staticmethod
    def summing_memory(distinct: int) -> int:
        """Return how many bytes sums over so many counts take while they are computed, beside the counts."""
        # By centre a copy in float64, by context two copies of a part.
        return max(8 * distinct, 16 * min(distinct, SUMMED_AT_ONCE))

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.starts) - 1

    @property
    def total(self) -> float:
        """The number of pairs, or the sum of their weights."""
        return float(self.counts.sum(dtype=np.float64))

    def by_centre(self) -> NDArray[np.float64]:
        """Return the number of pairs of each centre, shape (V,)."""
        sums = np.zeros(self.vocabulary_size)
        filled = np.flatnonzero(np.diff(self.starts))
        if filled.size:
            sums[filled] = np.add.reduceat(self.counts, self.starts[filled], dtype=np.float64)
        return sums

    def by_context(self) -> NDArray[np.float64]:
        """Return the number of pairs of each context, shape (V,)."""
        sums = np.zeros(self.vocabulary_size)
        for start in range(
            0, len(self.contexts), SUMMED_AT_ONCE
        ):  # bincount first makes wider copies of both
            stretch = slice(start, start + SUMMED_AT_ONCE)
            sums += np.bincount(
                self.contexts[stretch], weights=self.counts[stretch], minlength=self.vocabulary_size
            )
        return sums

    def divided_by(self, number: float) -> PairCounts:
        """Return these counts, each divided by a number."""
        return PairCounts(self.starts, self.contexts, self.counts / number)

    def distinct(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any]]:
        """Return the distinct (centre, context) pairs and the count of each: three arrays of one length."""
        centres = np.repeat(np.arange(self.vocabulary_size, dtype=np.int32), np.diff(self.starts))
        return centres, self.contexts, self.counts
