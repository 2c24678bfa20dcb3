"""The full softmax: cost and gradients of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError, check_number, require_choice
from w2v_exp.examples.batch import Batch, LabelCounts
from w2v_exp.examples.batches import TrainingExamples, TrainingOptions
from w2v_exp.examples.counted import CountedExamples
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import BatchMemory, BatchShape
from w2v_exp.machine import Work
from w2v_exp.model.parameters import Parameters

SMALLEST_KEPT = 1 << 16  # bytes; allocating less costs little


class Workspace:
    """A buffer that the large arrays of all steps share.

    New memory is cleared page by page at first access, which takes as long as the exponentials of a step's scores.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)
        self._small = np.empty(0)  # the last small array

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an uninitialized array, valid until the next call."""
        if self._small.shape == shape and self._small.dtype == dtype:
            return self._small
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < SMALLEST_KEPT:
            self._small = np.empty(shape, dtype)
            return self._small
        if len(self._memory) < size:
            self._memory = np.empty(0, np.uint8)  # free the old one before a new one is allocated
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size].view(dtype).reshape(shape)


SAFE_SCORE = 50  # exp of it, and sums of many of them, are far from the ends of float32
SMALLEST_SUM, LARGEST_SUM = 1e-25, 1e35  # of exponentials in float32 that have lost nothing that counts
FEW_SCORES = 4096  # below, a call takes longer than its arithmetic
CACHED_SCORES = 1 << 21  # stay in the third-level cache; with smaller blocks, threads wait for each other
SMALL_PRODUCT = 1_000_000  # multiplications
SHORTEST_BLOCK = 128  # words; shorter ones cost more in calls than they save


class ScoreSums(NamedTuple):
    """Sums over the exponentials of a batch's scores.

    Parameters
    ----------
    normalizer : ndarray, shape (k,)
        The sum of exponentials of each centre, plus epsilon.
    cost : float
        The summed negative log-likelihood of the labels, in nats, with epsilon 0.
    article_cost : float
        The sum of −log(p + epsilon); 0 where epsilon is 0.
    log_normalizer : ndarray, shape (k,)
        The logarithm of each sum of exponentials of scores, without epsilon, and without the subtraction of the
        largest score that `normalizer` may have.
    """

    normalizer: NDArray[Any]
    cost: float
    article_cost: float
    log_normalizer: NDArray[Any]


def differentiate(
    scores: NDArray[Any],
    labels: LabelCounts,
    weights: NDArray[np.float64],
    compute: Callable[[slice], object],
    *,
    offset: NDArray[Any] | None = None,
    epsilon: float = 0.0,
    subtract: bool = True,
    terms: NDArray[Any] | None = None,
) -> ScoreSums:
    """Replace scores by normalizer · (p − label shares); return sums.

    Label shares are those of a centre's pairs. That is the gradient of a centre's mean cost by its scores, not yet
    divided by the normalizer, which is left to smaller matrices. All passes over a block of rows are made while it is
    in the cache.

    Parameters
    ----------
    scores : ndarray, shape (k, V)
        Changed in place.
    labels : LabelCounts
        The labels of the k centres.
    weights : ndarray of float64, shape (k,)
        Number of labels of each centre.
    compute : callable
        Recomputes the scores of some rows, whose exponentials were too large or too small.
    offset : ndarray, shape (V,), optional
        Added to the scores.
    epsilon : float
        Added to the normalizer, and to likelihoods in `article_cost`.
    subtract : bool
        False leaves the exponentials as they are.
    terms : ndarray, shape (k,), optional
        Added to the sums of exponentials.
    """
    if scores.size <= CACHED_SCORES:
        return _differentiate_block(
            scores, labels, weights, lambda: compute(ALL_ROWS), offset, epsilon, subtract, 0.0, 0.0, terms
        )
    normalizer, logs = np.empty((2, len(scores)), scores.dtype)
    cost = article_cost = 0.0
    for rows in _cached_rows(scores):
        normalizer[rows], cost, article_cost, logs[rows] = _differentiate_block(
            scores[rows],
            labels.part(rows, scores.shape[1]),
            weights[rows],
            partial(compute, rows),
            offset,
            epsilon,
            subtract,
            cost,
            article_cost,
            None if terms is None else terms[rows],
        )
    return ScoreSums(normalizer, cost, article_cost, logs)


ALL_ROWS = slice(None)


def _differentiate_block(
    block: NDArray[Any],
    labels: LabelCounts,
    weights: NDArray[np.float64],
    compute: Callable[[], object],
    offset: NDArray[Any] | None,
    epsilon: float,
    subtract: bool,
    cost: float,
    article_cost: float,
    terms: NDArray[Any] | None,
) -> ScoreSums:
    """Do so for some rows, and add to the sums of the rows before them."""
    if offset is not None:
        block += offset
    cost -= float(labels.counts.dot(labels.gather(block)))
    sums = _quick_exponentials(block)
    if sums is not None:
        if terms is not None:
            sums += terms
        logs = np.log(sums)
        if epsilon:
            sums += epsilon
    else:
        compute()
        sums, largest = exponentiate(block, offset)
        if terms is not None:
            sums += terms * np.exp(-largest)
        logs = np.log(sums) + largest
        if epsilon:
            sums += epsilon * np.exp(-largest)
    cost += float(weights.dot(logs))
    if epsilon:
        likelihoods = labels.gather(block) / labels.by_centre(sums)
        likelihoods += epsilon
        article_cost -= float(labels.counts.dot(np.log(likelihoods, likelihoods)))
    if subtract:
        labels.subtract_from(block, labels.scaled_shares(sums))
    return ScoreSums(sums, cost, article_cost, logs)


def exponentiate(
    scores: NDArray[Any], offset: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[Any] | float]:
    """Replace scores by exp(score + offset − largest); return row sums.

    `largest` is returned as well.

    `largest`, by row, shape (k,), is the row's largest score where `exp` of one could overflow, or be zero for a whole
    row; elsewhere it is 0, for nothing needs to be subtracted from scores within ±50. In a large matrix some rows at a
    time are done, so that they stay in the cache from one pass to the next.

    Parameters
    ----------
    scores : ndarray, shape (k, V)
        Changed in place.
    offset : ndarray, shape (V,), optional
        Added to the scores.
    """
    normalizer, largest = np.empty(len(scores), scores.dtype), np.zeros(len(scores), scores.dtype)
    for rows in _cached_rows(scores):
        block = scores[rows]
        if offset is not None:
            block += offset
        highest = np.maximum.reduce(block, axis=1)
        if not (np.minimum.reduce(highest) > -SAFE_SCORE and np.maximum.reduce(highest) < SAFE_SCORE):
            block -= highest[:, None]
            largest[rows] = highest
        np.exp(block, out=block)
        np.add.reduce(block, axis=1, out=normalizer[rows])
    return normalizer, largest


def transposed_product(scores: NDArray[Any], hidden: NDArray[Any]) -> NDArray[Any]:
    """Return scoresᵀ · hidden, shape (V, dim), by blocks of words.

    OpenBLAS has a kernel for products of up to 10⁶ multiplications that does not copy the factors into its own
    order. With the few rows of a batch's distinct centres, copying is half of the work.
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


def _cached_rows(scores: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of rows that stay in the cache from one pass to the next."""
    rows = max(1, CACHED_SCORES // scores.shape[1])
    return (slice(start, min(start + rows, len(scores))) for start in range(0, len(scores), rows))


def _quick_exponentials(block: NDArray[Any]) -> NDArray[Any] | None:
    """Replace scores by exponentials; return row sums, None if out of range.

    The largest score is not looked for.

    Sums show whether an exponential was too large, or all of a row's too small. Looking for the largest score takes
    half as long as the exponentials.
    """
    if block.size <= FEW_SCORES:
        flat = block.reshape(-1)
        if flat.dot(flat) < SAFE_SCORE**2:
            np.exp(block, out=block)
            few: NDArray[Any] = np.add.reduce(block, axis=1)
            return few
    with np.errstate(over="ignore", invalid="ignore"):
        np.exp(block, out=block)
        sums: NDArray[Any] = block.dot(np.ones(block.shape[1], block.dtype))
    if np.minimum.reduce(sums) > SMALLEST_SUM and np.maximum.reduce(sums) < LARGEST_SUM:
        return sums
    return None


CHUNK_SCORES = 1 << 22  # 32 MB in float64


def exact_cost(parameters: Parameters, counts: PairCounts) -> float:
    """Return the mean negative log-likelihood of these pairs, in nats a pair.

    It is the cost of the pairs themselves, without the constant in the logarithm (epsilon), smoothing and weights of
    training. One matrix product gives the scores of a slice of centres; so it takes a third of an exact epoch of the
    same pairs, and 50 MB besides the parameters (or two rows of scores, where these are more).

    Parameters
    ----------
    parameters : Parameters
        With their offset, if they have one.
    counts : PairCounts
        At least one pair. Its rows are those of the embedding: words, or examples of cbow.
    """
    return float(centre_costs(parameters, counts).sum()) / counts.total


def centre_costs(parameters: Parameters, counts: PairCounts) -> NDArray[np.float64]:
    """Return the summed negative log-likelihood of the pairs of each centre, in nats, (V,)."""
    centres = np.flatnonzero(np.diff(counts.starts))
    at_once = max(1, CHUNK_SCORES // len(parameters.output))
    costs = np.zeros(counts.rows)
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
        costs[chosen] = np.bincount(rows, weights) * (np.log(normalizer) + largest)
        costs[chosen] -= np.bincount(rows, weights * labelled)
    return costs


UPDATES = ("accumulate", "overwrite")
EMBEDDING_GRADIENTS = ("sum", "mean")
OUTPUT_OFFSETS = ("none", "unigram", "learned")
RAREST_CONTEXT = 1e-12  # a share of the pairs, for words that are no context at all


class Step(NamedTuple):
    """Cost and gradients of a batch, at the parameters before the step.

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
    log_normalizer : ndarray, shape (k,), optional
        Logarithm of the sum of exponentials of each centre's scores; of a softmax.
    """

    cost: float
    article_cost: float
    embedding_gradient: NDArray[Any]
    output_gradient: NDArray[Any]
    offset_gradient: NDArray[Any] | None = None
    log_normalizer: NDArray[Any] | None = None


@dataclass(frozen=True)
class Softmax:
    """Cost −log p(context | centre), p = softmax(W·e) over all V words.

    Source: Mikolov et al. 2013a, equation 2.

    Parameters
    ----------
    update : {"accumulate", "overwrite"}
        Treatment of several gradients for one embedding row in a batch. ``accumulate`` sums them.
        ``overwrite`` keeps the last one only: the article's ``E[ids] -= …``, where NumPy's fancy indexing
        loses the others.
    embedding_gradient : {"sum", "mean"}
        ``sum``: the embedding follows the gradient of the summed cost while the output weights follow that of
        the mean cost (the article's choice and argument). ``mean``: both follow the mean cost.
    epsilon : float
        0, or a constant that is added to the sum of exponentials and inside the logarithm (the article:
        0.001). With it the article's p − Y is kept, although it then is no longer the gradient of its cost.
    output_offset : {"none", "unigram", "learned"}
        Addend to the score of a context word with every centre. ``none``: nothing, as in the article.
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
    accepts_blocks: ClassVar[bool] = False
    allows_fewer_centres: ClassVar[bool] = True
    is_sampled: ClassVar[bool] = False
    samples_centres: ClassVar[bool] = False
    gains_from_threads: ClassVar[bool] = True
    counted_examples: ClassVar[type[CountedExamples]] = CountedExamples

    def __post_init__(self) -> None:
        require_choice("update", self.update, UPDATES)
        require_choice("embedding_gradient", self.embedding_gradient, EMBEDDING_GRADIENTS)
        check_number(self, "epsilon", at_least=0)
        require_choice("output_offset", self.output_offset, OUTPUT_OFFSETS)
        check_number(self, "weight_decay", at_least=0)

    def check(self, options: TrainingOptions) -> None:
        """Raise `SettingError` for ``update=overwrite`` without ordered pairs."""
        if self.update == "overwrite" and options.labels.counts_pairs:
            raise SettingError(
                "objective.update",
                "overwrite",
                f"needs the order of the pairs, which labels={options.option('labels')} does not keep; use "
                "labels=sparse.",
            )
        if self.update == "overwrite" and options.model.context is not None:
            raise SettingError(
                "objective.update",
                "overwrite",
                f"overwrites a centre's embedding, and is not supported with model={options.option('model')}; use "
                "objective.update=accumulate.",
            )

    def step(
        self,
        parameters: Parameters,
        batch: Batch,
        workspace: Workspace | None = None,
        output_rows: int | None = None,
        terms: NDArray[Any] | None = None,
    ) -> Step:
        """Return cost and gradients of a batch; parameters stay unchanged.

        With `output_rows`, the gradient by the output weights is that of their first rows only. `terms`, (k,), are
        added to the sums of exponentials: those of contexts that are not among the output weights.
        """
        output, labels, prior = parameters.output, batch.labels, batch.prior
        hidden = batch.hidden(parameters.embedding)  # (k, dim)
        centres, has_prior = len(hidden), prior is not None
        # The (k, V) matrix takes most of the time, so passes over it are few: it becomes the scores, then their
        # exponentials less the labels. Divisors and factors go into small matrices. A prior, the same row for all
        # centres, is one more row of the products.
        table = (workspace or Workspace()).array((centres + has_prior, len(output)), hidden.dtype)
        scores = hidden.dot(output.T, table[:centres] if has_prior else table)
        overwrite = self.update == "overwrite"
        sums = differentiate(
            scores,
            labels,
            batch.weights,
            lambda rows: hidden[rows].dot(output.T, scores[rows]),
            offset=parameters.offset,
            epsilon=self.epsilon,
            subtract=not overwrite,
            terms=terms,
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
            if prior is not None:
                table[centres] = prior.distribution
            products = table.dot(output)
            embedding_gradient = products[:centres] if has_prior else products
            embedding_gradient *= (batch.centre_weights / normalizer)[:, None]
            if prior is not None:
                embedding_gradient -= np.outer(batch.centre_weights * prior.shares, products[centres])
        if self.weight_decay:
            pairs = 1.0 if overwrite else batch.centre_weights[:, None]
            embedding_gradient += self.weight_decay * pairs * hidden
        if self.embedding_gradient == "mean":
            embedding_gradient /= batch.all_pairs
        factors = np.empty((len(table), hidden.shape[1]), hidden.dtype)
        of_centres = factors[:centres] if has_prior else factors
        np.multiply(hidden, (batch.shares / normalizer)[:, None], of_centres)
        if prior is not None:
            factors[centres] = -(prior.shares * batch.shares) @ hidden
        output_gradient = transposed_product(table[:, :output_rows], factors)
        if self.weight_decay:
            decay = self.weight_decay * float(batch.shares.sum()) / len(output)
            output_gradient += decay * output[:output_rows]
        offset_gradient = None
        if self.output_offset == "learned":
            offset_gradient = self._offset_gradient(scores, normalizer, batch)
        return Step(
            sums.cost,
            article_cost,
            batch.by_row(embedding_gradient),
            output_gradient,
            offset_gradient,
            sums.log_normalizer,
        )

    def bind(
        self,
        examples: TrainingExamples,
        word_counts: NDArray[np.int64] | None = None,
        generator: np.random.Generator | None = None,
    ) -> Softmax:
        """Return the objective itself: nothing of it depends on the text."""
        return self

    def initial_parameters(
        self, drawn: Parameters, examples: TrainingExamples, *, of_words: bool = False
    ) -> Parameters:
        """Return drawn parameters with the initial offset."""
        offset = self.initial_offset(examples.context_shares, drawn.output.dtype)
        return Parameters(drawn.embedding, drawn.output, offset)

    @staticmethod
    def memory(vocabulary_size: int) -> int:
        """Return the bytes beside parameters and examples: none."""
        return 0

    @staticmethod
    def output_rows(vocabulary_size: int) -> int:
        """Return the rows of the output weights: one for each word."""
        return vocabulary_size

    def to_word_vectors(self, parameters: Parameters) -> Parameters:
        """Return the parameters unchanged: their output vectors are of words."""
        return parameters

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood of pairs, without epsilon."""
        return exact_cost(parameters, counts)

    def scores_memory(self, batch: BatchMemory, vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return the bytes of a batch's scores, a prior's row included."""
        return (batch.centres + 1) * vocabulary_size * np.dtype(dtype).itemsize

    def step_work(self, batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of a batch: three products of all scores."""
        scores = batch.centres * vocabulary_size
        return Work(
            products=6.0 * scores * dim,
            exponentials=scores,
            passed=2.0 * scores,
            gathered=4.0 * batch.cells,
            calls=60,
        )

    def initial_offset(self, context_shares: NDArray[np.float64], dtype: DTypeLike) -> NDArray[Any] | None:
        """Return the initial offset, (V,), from context shares; or None."""
        if self.output_offset == "none":
            return None
        return np.log(np.maximum(context_shares, RAREST_CONTEXT)).astype(dtype)

    def _offset_gradient(self, scores: NDArray[Any], normalizer: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Return the gradient of the mean cost by the offset, (V,).

        It is Σ over centres of share · (p − labels).
        """
        gradient: NDArray[Any] = (batch.shares / normalizer).astype(scores.dtype) @ scores
        if batch.prior:
            gradient -= (batch.prior.shares @ batch.shares) * batch.prior.distribution
        return gradient

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) of every word, (len(centres), V)."""
        scores: NDArray[Any] = parameters.embedding[centres].dot(parameters.output.T)
        normalizer, _ = exponentiate(scores, parameters.offset)
        scores /= normalizer[:, None]
        return scores
