"""The cost of counted pairs under the full softmax, at parameters that stay as they are."""

from __future__ import annotations

import numpy as np

from w2v_exp.examples.counts import PairCounts
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.scores import exponentiate

SCORES_AT_ONCE = 1 << 22  # 32 MB in float64


def exact_cost(parameters: Parameters, counts: PairCounts) -> float:
    """Return the mean negative log-likelihood of these pairs, in nats a pair.

    It is the cost of the pairs themselves, without a constant in the logarithm (epsilon) and whatever training
    smooths or weights. One product of matrices gives the scores of a slice of centres; so it takes a third of an
    exact epoch of the same pairs, and 50 MB besides the parameters (or two rows of scores, where these are more).

    Parameters
    ----------
    parameters : Parameters
        With their offset, if there is one.
    counts : PairCounts
        At least one pair. Its rows are those of the embedding, whatever these are of: words, or bags of them.
    """
    centres = np.flatnonzero(np.diff(counts.starts))
    at_once = max(1, SCORES_AT_ONCE // len(parameters.output))
    cost = 0.0
    for first in range(0, len(centres), at_once):
        chosen = centres[first : first + at_once]
        # Centres without pairs have no entries, so those of the chosen ones lie side by side.
        entries = slice(counts.starts[chosen[0]], counts.starts[chosen[-1] + 1])
        rows = np.repeat(np.arange(len(chosen)), np.diff(counts.starts)[chosen])
        weights = counts.counts[entries].astype(np.float64, copy=False)
        contexts = counts.contexts[entries]
        scores = parameters.embedding[chosen].dot(parameters.output.T)
        labelled = scores[rows, contexts]
        if parameters.offset is not None:
            labelled += parameters.offset[contexts]
        normalizer, largest = exponentiate(scores, parameters.offset)
        cost += float(np.bincount(rows, weights) @ (np.log(normalizer) + largest) - weights @ labelled)
    return cost / counts.total
