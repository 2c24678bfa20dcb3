"""The least that the article's cost can be: lower than the entropy of the pairs, because of its epsilon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.pairs import Pairs


def attainable_cost(pairs: Pairs, epsilon: float) -> float:
    """Return the least value of −(1/m) Σ log(p(context | centre) + epsilon) over all p, in nats.

    The centres are independent of each other. For one of them, with shares q of its context words, the
    minimum of −Σ q log(p + epsilon) under Σ p = 1 and p ≥ 0 is where p + epsilon is q / λ for the words that get
    any probability (Karush, Kuhn and Tucker), and λ makes them sum to 1: information theory's water-filling.
    """
    centres, _, counts = pairs.distinct()
    total = 0.0
    for centre in np.unique(centres):
        of_centre = counts[centres == centre]
        total += of_centre.sum() * _least_cost(of_centre / of_centre.sum(), epsilon)
    return float(total / len(pairs))


def _least_cost(shares: NDArray[np.float64], epsilon: float) -> float:
    """Return the minimum of −Σ q log(p + epsilon) for shares q above 0 that sum to 1."""
    falling = np.sort(shares)[::-1]
    numbers = np.arange(1, len(falling) + 1)
    scale = (1 + numbers * epsilon) / np.cumsum(falling)  # 1/λ, were the first n words those with probability
    served = int(np.flatnonzero(falling * scale > epsilon)[-1])
    shifted = np.maximum(falling * scale[served], epsilon)  # p + epsilon
    return float(-(falling * np.log(shifted)).sum())
