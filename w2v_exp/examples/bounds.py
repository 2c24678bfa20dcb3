"""What the cost of a set of pairs can be: from knowing only word frequencies down to the floor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.examples.pairs import Pairs


def unigram_cost(pairs: Pairs | PairCounts) -> float:
    """Return H(context), in nats: the least cost of a model that knows only how frequent words are."""
    return _entropy(pairs.by_context())


def cost_floor(pairs: Pairs | PairCounts) -> float:
    """Return H(context | centre) = H(centre, context) − H(centre), in nats: no model costs less."""
    _, _, counts = pairs.distinct()
    return _entropy(counts) - _entropy(pairs.by_centre())


def information_explained(cost: float, unigram: float, floor: float) -> float:
    """Return how far a cost has come from `unigram` (0: knows only word frequencies) to `floor` (1).

    It compares runs whose pairs differ, as neither the cost nor its distance from the floor does. Where the
    floor is as high as the unigram cost there is nothing to explain, and the result is NaN.
    """
    return (unigram - cost) / (unigram - floor) if unigram - floor > 1e-12 else float("nan")


def _entropy(counts: NDArray[Any]) -> float:
    shares = counts[counts > 0] / counts.sum(dtype=np.float64)
    return float(-(shares * np.log(shares)).sum())
