"""The full softmax: skip-gram's exact objective, the article's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.batches import Batch
from w2v_exp.model.parameters import Parameters
from w2v_exp.validation import require_choice, require_number

UPDATES = ("accumulate", "overwrite")
EMBEDDING_GRADIENTS = ("sum", "mean")


class Step(NamedTuple):
    """What one batch gives, at the parameters before the step.

    Parameters
    ----------
    cost : float
        The summed negative log-likelihood of the batch's pairs, in nats, with epsilon 0.
    article_cost : float
        The article's figure, the batch mean of −log(p + epsilon); NaN where epsilon is 0.
    embedding_gradient : ndarray, shape (k, dim)
        For the rows of the embedding matrix that are the batch's distinct centres.
    output_gradient : ndarray, shape (V, dim)
        For the output weights.
    """

    cost: float
    article_cost: float
    embedding_gradient: NDArray[Any]
    output_gradient: NDArray[Any]


@dataclass(frozen=True)
class Softmax:
    """Cost −log p(context | centre) with p = softmax(W·e) over all V words (Mikolov et al. 2013a, equation 2).

    Parameters
    ----------
    update : {"accumulate", "overwrite"}
        What becomes of several gradients for one embedding row in a batch. ``accumulate`` sums them. ``overwrite``
        keeps the last one only: the article's ``E[ids] -= …``, where NumPy's fancy indexing loses the others.
    embedding_gradient : {"sum", "mean"}
        ``sum``: the embedding follows the gradient of the summed cost while the output weights follow that of the
        mean cost (the article's choice and argument). ``mean``: both follow the mean cost.
    epsilon : float
        0, or a constant that is added to the sum of exponentials and inside the logarithm (the article: 0.001). With
        it the article's p − Y is kept, although it is then not the gradient of the article's cost any more.
    """

    update: str = "accumulate"
    embedding_gradient: str = "sum"
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        require_choice("update", self.update, UPDATES)
        require_choice("embedding_gradient", self.embedding_gradient, EMBEDDING_GRADIENTS)
        require_number("epsilon", self.epsilon, at_least=0)

    def step(self, parameters: Parameters, batch: Batch) -> Step:
        """Return cost and gradients of a batch. Nothing is changed."""
        hidden = parameters.embedding[batch.centres]  # (k, dim)
        scores = hidden @ parameters.output.T  # (k, V); turned in place into what is needed next
        largest = scores.max(axis=1, keepdims=True)
        scores -= largest
        label_scores = batch.labels.gather(scores).astype(np.float64)
        np.exp(scores, out=scores)
        normalizer = scores.sum(axis=1, keepdims=True)
        cost = batch.weights @ np.log(normalizer[:, 0]) - np.vdot(batch.labels.counts, label_scores)

        article_cost = math.nan
        if self.epsilon:
            normalizer += self.epsilon * np.exp(-largest)
            label_probabilities = np.exp(label_scores) / batch.labels.gather(np.broadcast_to(normalizer, scores.shape))
            article_cost = (
                -np.vdot(batch.labels.counts, np.log(label_probabilities + self.epsilon)) / batch.pairs
            )

        if self.update == "overwrite":  # of each centre's pairs only the last one counts
            scores /= normalizer
            embedding_gradient = scores @ parameters.output - batch.labels.last_rows(parameters.output)
            scores *= batch.weights[:, None]
            batch.labels.subtract_from(scores)
        else:
            scores *= (batch.weights[:, None] / normalizer).astype(scores.dtype)
            batch.labels.subtract_from(scores)  # Σ over the centre's pairs of p − Y
            embedding_gradient = scores @ parameters.output
        if self.embedding_gradient == "mean":
            embedding_gradient /= batch.pairs
        hidden /= batch.pairs  # scales the product by 1/m where the matrix is smallest
        return Step(float(cost), float(article_cost), embedding_gradient, scores.T @ hidden)

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) for every word of the vocabulary: shape (len(centres), V)."""
        scores = parameters.embedding[centres] @ parameters.output.T
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores


OBJECTIVES = {"softmax": Softmax}
