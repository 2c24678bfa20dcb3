"""Negative sampling by its definition, one pair after the other: the reference of the fast paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.model.parameters import Parameters


class PairGradients(NamedTuple):
    """Summed cost of some pairs, and the gradients of that sum, shape (V, dim) each."""

    cost: float
    embedding: NDArray[Any]
    output: NDArray[Any]


def pair_by_pair(
    parameters: Parameters,
    inputs: Sequence[NDArray[np.int32]],
    targets: NDArray[np.int32],
    negatives: NDArray[np.int32],
    weights: NDArray[Any],
    mean: bool = True,
) -> PairGradients:
    """Return cost and gradients of m pairs.

    Parameters
    ----------
    parameters : Parameters
        Embedding and output weights.
    inputs : sequence of m ndarrays of int
        Words of each hidden vector: the centre, or for cbow the context words.
    targets : ndarray of int, shape (m,)
        Words to predict.
    negatives : ndarray of int, shape (m, K)
        Negatives of each pair.
    weights : ndarray, shape (m, K)
        Weight of each negative.
    mean : bool
        Whether hidden vectors are means of the inputs' embeddings, or sums.
    """
    embedding, output = parameters.embedding, parameters.output
    cost, embedding_gradient, output_gradient = 0.0, np.zeros_like(embedding), np.zeros_like(output)
    for words, target, drawn, weight in zip(inputs, targets, negatives, weights, strict=True):
        share = 1 / len(words) if mean else 1.0
        hidden = share * embedding[words].sum(axis=0)
        scored = np.array([target, *drawn])
        signs = np.array([1.0, *[-1.0] * len(drawn)])
        importance = np.array([1.0, *weight])
        agreement = signs * (output[scored] @ hidden)
        cost += float(importance @ np.logaddexp(0, -agreement))
        by_score = -importance * signs / (1 + np.exp(agreement))  # derivative of the cost by each score
        np.add.at(output_gradient, scored, np.outer(by_score, hidden))
        np.add.at(embedding_gradient, words, share * (by_score @ output[scored]))
    return PairGradients(cost, embedding_gradient, output_gradient)
