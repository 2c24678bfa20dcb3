"""The full softmax: skip-gram's exact objective, the article's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batches import Batch
from w2v_exp.model.parameters import Parameters
from w2v_exp.validation import require_choice, require_number

UPDATES = ("accumulate", "overwrite")
EMBEDDING_GRADIENTS = ("sum", "mean")
OUTPUT_OFFSETS = ("none", "unigram", "learned")
RAREST_CONTEXT = 1e-12  # a share of the pairs, for words that are no context at all
FEW_SCORES = 4096  # looking at each row for its largest one then takes longer than the arithmetic
SMALL_PRODUCT = 1_000_000  # multiplications
SHORTEST_BLOCK = 128  # words; shorter ones cost more in calls than they save


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
    offset_gradient : ndarray, shape (V,), optional
        For the offset, where it is learned.
    """

    cost: float
    article_cost: float
    embedding_gradient: NDArray[Any]
    output_gradient: NDArray[Any]
    offset_gradient: NDArray[Any] | None = None


@dataclass(frozen=True)
class Softmax:
    """Cost −log p(context | centre), p = softmax(W·e) over all V words (Mikolov et al. 2013a, equation 2).

    Parameters
    ----------
    update : {"accumulate", "overwrite"}
        What becomes of several gradients for one embedding row in a batch. ``accumulate`` sums them.
        ``overwrite`` keeps the last one only: the article's ``E[ids] -= …``, where NumPy's fancy indexing
        loses the others.
    embedding_gradient : {"sum", "mean"}
        ``sum``: the embedding follows the gradient of the summed cost while the output weights follow that of
        the mean cost (the article's choice and argument). ``mean``: both follow the mean cost.
    epsilon : float
        0, or a constant that is added to the sum of exponentials and inside the logarithm (the article:
        0.001). With it the article's p − Y is kept, although it then is no longer the gradient of its cost.
    output_offset : {"none", "unigram", "learned"}
        What is added to the score of a context word whatever the centre. ``none``: nothing, as in the article.
        ``unigram``: log p(context), fixed, so that the matrices have only the departure from word frequencies to
        model. ``learned``: a parameter that starts there.
    """

    update: str = "accumulate"
    embedding_gradient: str = "sum"
    epsilon: float = 0.0
    output_offset: str = "none"

    def __post_init__(self) -> None:
        require_choice("update", self.update, UPDATES)
        require_choice("embedding_gradient", self.embedding_gradient, EMBEDDING_GRADIENTS)
        require_number("epsilon", self.epsilon, at_least=0)
        require_choice("output_offset", self.output_offset, OUTPUT_OFFSETS)

    def step(self, parameters: Parameters, batch: Batch) -> Step:
        """Return cost and gradients of a batch. Nothing is changed."""
        embedding, output, labels = parameters.embedding, parameters.output, batch.labels
        hidden = embedding[batch.rows]  # (k, dim)
        scores = parameters.scores(hidden)  # (k, V); turned in place into what is needed next
        largest = _largest_scores(scores)
        if largest is not None:
            scores -= largest
        label_score = labels.counts.dot(labels.gather(scores))
        np.exp(scores, out=scores)
        normalizer = np.add.reduce(scores, axis=1)
        cost = float(batch.weights.dot(np.log(normalizer)) - label_score)

        if self.epsilon:
            normalizer += self.epsilon if largest is None else self.epsilon * np.exp(-largest[:, 0])
        scores /= normalizer[:, None]  # p
        article_cost = self._article_cost(scores, batch) if self.epsilon else math.nan

        # p − Y, summed over a centre's pairs, is its weight times (p − the labels' shares of its pairs). The
        # weights, and 1/m, are multiplied into small matrices, not into the (k, V) one.
        if self.update == "overwrite":  # of each centre's pairs only the last one counts
            embedding_gradient = scores.dot(output)
            embedding_gradient -= labels.last_rows(output)
            labels.subtract_from(scores, labels.shares)
        else:
            labels.subtract_from(scores, labels.shares)
            embedding_gradient = scores.dot(output)
            if (
                batch.prior
            ):  # its share of the labels is the same row for all centres: a product of two vectors
                embedding_gradient -= np.outer(batch.prior.shares, batch.prior.distribution @ output)
            embedding_gradient *= batch.centre_weights[:, None]
        if self.embedding_gradient == "mean":
            embedding_gradient /= batch.all_pairs
        shares = batch.shares.astype(hidden.dtype, copy=False)
        weighted_hidden = hidden * shares
        output_gradient = transposed_product(scores, weighted_hidden)
        if batch.prior:
            prior_hidden = batch.prior.shares.astype(hidden.dtype, copy=False) @ weighted_hidden
            output_gradient -= np.outer(batch.prior.distribution, prior_hidden)
        offset_gradient = (
            self._offset_gradient(scores, shares, batch) if self.output_offset == "learned" else None
        )
        return Step(cost, article_cost, embedding_gradient, output_gradient, offset_gradient)

    def initial_offset(self, context_shares: NDArray[np.float64], dtype: DTypeLike) -> NDArray[Any] | None:
        """Return the offset that training starts from, shape (V,), from what share of the pairs each context has."""
        if self.output_offset == "none":
            return None
        return np.log(np.maximum(context_shares, RAREST_CONTEXT)).astype(dtype)

    def _offset_gradient(self, scores: NDArray[Any], shares: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Return the gradient of the mean cost by the offset: Σ over centres of share · (p − labels), (V,)."""
        gradient: NDArray[Any] = shares[:, 0] @ scores
        if batch.prior:
            gradient -= (batch.prior.shares @ batch.shares[:, 0]) * batch.prior.distribution
        return gradient

    def _article_cost(self, probabilities: NDArray[Any], batch: Batch) -> float:
        likelihoods = batch.labels.gather(probabilities) + self.epsilon
        return -float(batch.labels.counts.dot(np.log(likelihoods))) / batch.pairs

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) for every word of the vocabulary: shape (len(centres), V)."""
        scores = parameters.scores(parameters.embedding[centres])
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores


def _largest_scores(scores: NDArray[Any]) -> NDArray[Any] | None:
    """Return the largest score of each row, (k, 1), to be subtracted lest `exp` overflow, or None.

    Nothing needs to be subtracted where no score is beyond ±50. If there are few, the sum of their squares
    shows that at the price of one call.
    """
    if scores.size <= FEW_SCORES:
        flat = scores.reshape(-1)
        if flat.dot(flat) < 50**2:
            return None
    largest: NDArray[Any] = np.maximum.reduce(scores, axis=1, keepdims=True)
    return largest


def transposed_product(scores: NDArray[Any], hidden: NDArray[Any]) -> NDArray[Any]:
    """Return scoresᵀ · hidden, shape (V, dim), by blocks of words.

    OpenBLAS has a kernel for products of up to 10⁶ multiplications that does without copying the factors into
    an order of its own. With as few rows as a batch has distinct centres, copying is half of the work.
    """
    vocabulary_size, dim = scores.shape[1], hidden.shape[1]
    block = SMALL_PRODUCT // hidden.size
    if not SHORTEST_BLOCK <= block < vocabulary_size:
        whole: NDArray[Any] = scores.T.dot(hidden)
        return whole
    product = np.empty((vocabulary_size, dim), hidden.dtype)
    for start in range(0, vocabulary_size, block):
        np.matmul(scores[:, start : start + block].T, hidden, out=product[start : start + block])
    return product


OBJECTIVES = {"softmax": Softmax}
