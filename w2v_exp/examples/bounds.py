"""What the cost of a set of pairs can be: from knowing only word frequencies down to the floor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.pairs import Pairs


def distinct_pairs(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct (centre, context) pairs and how often each occurs: three arrays of one length."""
    keys = pairs.centres.astype(np.int64) * pairs.vocabulary_size + pairs.contexts
    keys, counts = np.unique(keys, return_counts=True)
    return keys // pairs.vocabulary_size, keys % pairs.vocabulary_size, counts


def unigram_cost(pairs: Pairs) -> float:
    """Return H(context), in nats: the least cost of a model that knows only how frequent words are."""
    return _entropy(np.bincount(pairs.contexts))


def cost_floor(pairs: Pairs) -> float:
    """Return H(context | centre) = H(centre, context) − H(centre), in nats: no model costs less."""
    _, _, counts = distinct_pairs(pairs)
    return _entropy(counts) - _entropy(np.bincount(pairs.centres))


def information_explained(cost: float, unigram: float, floor: float) -> float:
    """Return how far a cost has come from `unigram` (0: knows only word frequencies) to `floor` (1).

    It compares runs whose pairs differ, as neither the cost nor its distance from the floor does. Where the
    floor is as high as the unigram cost there is nothing to explain, and the result is NaN.
    """
    return (unigram - cost) / (unigram - floor) if unigram - floor > 1e-12 else float("nan")


def _entropy(counts: NDArray[np.integer[Any]]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
