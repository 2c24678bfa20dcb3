"""The full softmax: skip-gram's exact objective, the article's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import BatchMemory, BatchShape
from w2v_exp.model.exact_cost import exact_cost
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.scores import differentiate, exponentiate, transposed_product
from w2v_exp.model.workspace import Workspace
from w2v_exp.validation import check_number, require_choice
from w2v_exp.work import Work

UPDATES = ("accumulate", "overwrite")
EMBEDDING_GRADIENTS = ("sum", "mean")
OUTPUT_OFFSETS = ("none", "unigram", "learned")
RAREST_CONTEXT = 1e-12  # a share of the pairs, for words that are no context at all


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
    weight_decay : float
        λ of a penalty that each pair adds to the cost that is descended: λ/2 · (‖e‖² + the mean of ‖w‖² over all
        words), of its centre's embedding e and the output weights w. The cost that is reported is without it.
    """

    update: str = "accumulate"
    embedding_gradient: str = "sum"
    epsilon: float = 0.0
    output_offset: str = "none"
    weight_decay: float = 0.0

    cost_metric: ClassVar[str] = "cost"

    def __post_init__(self) -> None:
        require_choice("update", self.update, UPDATES)
        require_choice("embedding_gradient", self.embedding_gradient, EMBEDDING_GRADIENTS)
        check_number(self, "epsilon", at_least=0)
        require_choice("output_offset", self.output_offset, OUTPUT_OFFSETS)
        check_number(self, "weight_decay", at_least=0)

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch. Nothing is changed; the scores are made in the workspace."""
        embedding, output, labels = parameters.embedding, parameters.output, batch.labels
        hidden = batch.hidden(embedding)  # (k, dim)
        centres, has_prior = len(hidden), batch.prior is not None
        # The (k, V) matrix takes most of the time, and is passed over as seldom as can be: it becomes the scores, then
        # their exponentials less the labels. What it is to be divided by or multiplied with goes into small matrices.
        # A prior, the same row for all centres, is one more row of the products.
        table = (workspace or Workspace()).array((centres + has_prior, len(output)), hidden.dtype)
        scores = hidden.dot(output.T, table[:centres])
        overwrite = self.update == "overwrite"
        sums = differentiate(
            scores,
            labels,
            batch.weights,
            lambda rows: hidden[rows].dot(output.T, scores[rows]),
            offset=parameters.offset,
            epsilon=self.epsilon,
            subtract=not overwrite,
        )
        normalizer = sums.normalizer
        article_cost = sums.article_cost / batch.pairs if self.epsilon else math.nan

        # A row of scores is now normalizer · (p − the shares that labels have of the centre's pairs).
        if overwrite:  # of each centre's pairs only the last one counts
            embedding_gradient = scores.dot(output)
            embedding_gradient /= normalizer[:, None]
            embedding_gradient -= labels.last_rows(output)
            labels.subtract_from(scores, labels.scaled_shares(normalizer))
        else:
            if batch.prior:
                table[centres] = batch.prior.distribution
            products = table.dot(output)
            embedding_gradient = products[:centres]
            embedding_gradient *= (batch.centre_weights / normalizer)[:, None]
            if batch.prior:
                embedding_gradient -= np.outer(batch.centre_weights * batch.prior.shares, products[centres])
        if self.weight_decay:
            pairs = 1.0 if self.update == "overwrite" else batch.centre_weights[:, None]
            embedding_gradient += self.weight_decay * pairs * hidden
        if self.embedding_gradient == "mean":
            embedding_gradient /= batch.all_pairs
        factors = np.empty((len(table), hidden.shape[1]), hidden.dtype)
        np.multiply(hidden, (batch.shares / normalizer)[:, None], out=factors[:centres], casting="same_kind")
        if batch.prior:
            factors[centres] = -(batch.prior.shares * batch.shares) @ hidden
        output_gradient = transposed_product(table, factors)
        if self.weight_decay:
            output_gradient += (self.weight_decay * float(batch.shares.sum()) / len(output)) * output
        offset_gradient = None
        if self.output_offset == "learned":
            offset_gradient = self._offset_gradient(scores, normalizer, batch)
        return Step(
            sums.cost, article_cost, batch.by_row(embedding_gradient), output_gradient, offset_gradient
        )

    def prepared(self, examples: TrainingExamples) -> Softmax:
        """Return the objective for some examples: itself."""
        return self

    @staticmethod
    def output_rows(vocabulary_size: int) -> int:
        """Return how many rows the output weights have: one for each word."""
        return vocabulary_size

    def of_words(self, parameters: Parameters) -> Parameters:
        """Return the parameters: their output vectors are of words."""
        return parameters

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood of counted pairs, in nats a pair, whatever epsilon is."""
        return exact_cost(parameters, counts)

    @staticmethod
    def scores_memory(batch: BatchMemory, vocabulary_size: int, dtype: DTypeLike) -> int:
        """Return how many bytes the scores of such a batch take, a prior's row included."""
        return (batch.centres + 1) * vocabulary_size * np.dtype(dtype).itemsize

    @staticmethod
    def step_work(batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of cost and gradients of such a batch: three products of all scores."""
        scores = batch.centres * vocabulary_size
        return Work(
            products=6.0 * scores * dim,
            exponentials=scores,
            passed=2.0 * scores,
            gathered=4.0 * batch.cells,
            calls=60,
        )

    def initial_offset(self, context_shares: NDArray[np.float64], dtype: DTypeLike) -> NDArray[Any] | None:
        """Return the offset that training starts from, shape (V,), from what share of the pairs each context has."""
        if self.output_offset == "none":
            return None
        return np.log(np.maximum(context_shares, RAREST_CONTEXT)).astype(dtype)

    def _offset_gradient(self, scores: NDArray[Any], normalizer: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Return the gradient of the mean cost by the offset: Σ over centres of share · (p − labels), (V,)."""
        gradient: NDArray[Any] = (batch.shares / normalizer).astype(scores.dtype) @ scores
        if batch.prior:
            gradient -= (batch.prior.shares @ batch.shares) * batch.prior.distribution
        return gradient

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) for every word of the vocabulary: shape (len(centres), V)."""
        scores: NDArray[Any] = parameters.embedding[centres].dot(parameters.output.T)
        normalizer, _ = exponentiate(scores, parameters.offset)
        scores /= normalizer[:, None]
        return scores
