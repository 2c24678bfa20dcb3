"""An exact epoch by plain formulas: what the fast one is compared with before it is timed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.counts import PairCounts
from w2v_exp.model.parameters import Parameters


def plain_epoch(
    parameters: Parameters,
    counts: PairCounts,
    slices: Iterable[NDArray[np.int32]],
    *,
    learning_rate: float,
    epsilon: float,
) -> float:
    """Train one epoch in place by Adagrad, in float64, and return its mean cost a pair, in nats.

    For a slice of centres c with counts n(c, o), of N pairs in all, and p = softmax(E·Wᵀ + b):
    cost = −Σ n·log p / N, dE = G·W and dW = Gᵀ·E with G = (n(c)·p − n) / N. Every slice is a step.

    Parameters
    ----------
    parameters : Parameters
        Of float64, with an offset b that stays as it is.
    counts : PairCounts
        The pairs.
    slices : iterable of ndarray of int
        The centres of each step.
    learning_rate, epsilon : float
        Adagrad's: θ −= rate · g / (√Σg² + epsilon).
    """
    embedding, output, offset = parameters.embedding, parameters.output, parameters.offset
    embedding_squares, output_squares = np.zeros_like(embedding), np.zeros_like(output)
    total, cost = counts.total, 0.0
    for centres in slices:
        n = dense_rows(counts, centres)
        logits = embedding[centres] @ output.T + offset
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        cost -= float((n * log_p).sum())
        G = (n.sum(axis=1, keepdims=True) * np.exp(log_p) - n) / total
        d_embedding, d_output = G @ output, G.T @ embedding[centres]
        embedding_squares[centres] += d_embedding**2
        output_squares += d_output**2
        embedding[centres] -= learning_rate * d_embedding / (np.sqrt(embedding_squares[centres]) + epsilon)
        output -= learning_rate * d_output / (np.sqrt(output_squares) + epsilon)
    return cost / total


def dense_rows(counts: PairCounts, centres: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the counts of some centres as a matrix of shape (k, V)."""
    rows = np.zeros((len(centres), counts.vocabulary_size))
    for row, centre in zip(rows, centres.tolist(), strict=True):
        place = slice(counts.starts[centre], counts.starts[centre + 1])
        row[counts.contexts[place]] = counts.counts[place]
    return rows
