"""What the cost of a set of pairs can be: from knowing only word frequencies down to the floor."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.examples.pairs import Pairs
from w2v_exp.validation import require_kind

SUMMED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """The two ends of what pairs can cost, in nats a pair.

    Parameters
    ----------
    unigram_cost : float
        See the function of this name.
    cost_floor : float
        See the function of this name.
    """

    unigram_cost: float
    cost_floor: float

    @classmethod
    def of(cls, pairs: Pairs | PairCounts) -> Bounds:
        """Return the bounds of these pairs."""
        return cls(unigram_cost(pairs), cost_floor(pairs))


def unigram_cost(pairs: Pairs | PairCounts) -> float:
    """Return H(context), in nats: the least cost of a model that knows only how frequent words are."""
    require_kind("pairs", pairs, (Pairs, PairCounts), "pairs, listed or counted")
    return _entropy(pairs.by_context())


def cost_floor(pairs: Pairs | PairCounts) -> float:
    """Return H(context | centre) = H(centre, context) − H(centre), in nats: no model costs less."""
    require_kind("pairs", pairs, (Pairs, PairCounts), "pairs, listed or counted")
    counts = pairs.counts if isinstance(pairs, PairCounts) else pairs.distinct()[2]
    return _entropy(counts) - _entropy(pairs.by_centre())


def information_explained(cost: float, unigram: float, floor: float) -> float:
    """Return how far a cost has come from `unigram` (0: knows only word frequencies) to `floor` (1).

    It compares runs whose pairs differ, as neither the cost nor its distance from the floor does. Where the
    floor is as high as the unigram cost there is nothing to explain, and the result is NaN.
    """
    for key, value in (("cost", cost), ("unigram", unigram), ("floor", floor)):
        require_kind(key, value, Real, "a number")
    return (unigram - cost) / (unigram - floor) if unigram - floor > 1e-12 else float("nan")


def _entropy(counts: NDArray[Any]) -> float:
    """Return the entropy of counts, in stretches: what is worked with is wider than they are."""
    total, entropy = counts.sum(dtype=np.float64), 0.0
    for start in range(0, len(counts), SUMMED_AT_ONCE):
        stretch = counts[start : start + SUMMED_AT_ONCE]
        shares = stretch[stretch > 0] / total
        entropy -= float((shares * np.log(shares)).sum())
    return entropy
