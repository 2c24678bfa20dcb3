"""A plain implementation of the article's recipe, the baseline of speed ratios.

"Word2vec from Scratch with NumPy" (Ivan Chen, 2019) in its own layout: pairs by a Python loop, a column for each pair,
a softmax of every column, labels as ids (its second, faster version), updates by fancy indexing. It is neither slowed
down nor tuned. It trains the same model as ``Softmax(update="overwrite", epsilon=0.001)``, which the benchmark checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPSILON = 0.001


def make_pairs(
    words: Sequence[str], word_to_id: Mapping[str, int], window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of centres and contexts of all pairs: two arrays of shape (1, m)."""
    centres, contexts = [], []
    for i in range(len(words)):
        before = range(max(0, i - window), i)
        after = range(i + 1, min(len(words), i + window + 1))
        for j in [*before, *after]:
            centres.append(word_to_id[words[i]])
            contexts.append(word_to_id[words[j]])
    return np.array(centres)[np.newaxis, :], np.array(contexts)[np.newaxis, :]


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Return exp(Z) / (Σ exp(Z) + 0.001), column by column."""
    exponentials = np.exp(logits)
    return exponentials / (np.sum(exponentials, axis=0, keepdims=True) + EPSILON)  # type: ignore[no-any-return]


def step(
    embedding: NDArray[Any], dense: NDArray[Any], X: NDArray[Any], Y: NDArray[Any], learning_rate: float
) -> float:
    """Train one batch in place and return its cost.

    Parameters
    ----------
    embedding, dense : ndarray, shape (V, dim)
        The word embedding and the weights of the dense layer.
    X, Y : ndarray of int, shape (1, m)
        The ids of centres and contexts.
    learning_rate : float
        The rate.
    """
    m = X.shape[1]
    word_vectors = embedding[X.flatten(), :].T  # (dim, m)
    logits = np.dot(dense, word_vectors)  # (V, m)
    probabilities = softmax(logits)
    label_cells = Y.flatten(), np.arange(m)
    cost = -(1 / m) * np.sum(np.log(probabilities[label_cells] + EPSILON))

    d_logits = probabilities
    d_logits[label_cells] -= 1.0
    d_dense = (1 / m) * np.dot(d_logits, word_vectors.T)
    d_word_vectors = np.dot(dense.T, d_logits)
    embedding[X.flatten(), :] -= learning_rate * d_word_vectors.T  # of a repeated word the last one stays
    dense -= learning_rate * d_dense
    return float(cost)


def train(
    embedding: NDArray[Any],
    dense: NDArray[Any],
    X: NDArray[Any],
    Y: NDArray[Any],
    *,
    epochs: int,
    learning_rate: float = 0.05,
    batch_size: int = 128,
) -> list[float]:
    """Train in place and return the cost of each epoch: the sum of its batches' costs."""
    costs = []
    for epoch in range(epochs):
        cost = 0.0
        for start in range(0, X.shape[1], batch_size):
            batch = slice(start, start + batch_size)
            cost += step(embedding, dense, X[:, batch], Y[:, batch], learning_rate)
        costs.append(cost)
        if epoch % max(1, epochs // 100) == 0:
            learning_rate *= 0.98
    return costs
