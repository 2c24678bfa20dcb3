"""Negative sampling: settings, noise, and gradients of batches and blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError, check_number, check_whole, require_choice
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples, TrainingOptions
from w2v_exp.examples.blocks import PASSAGE, Block
from w2v_exp.examples.counted import CountedExamples
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import BatchMemory, BatchShape, BlockShape
from w2v_exp.machine import Work
from w2v_exp.model.logistic import logistic_cost
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax, Step, Workspace, exact_cost


def squared_lengths(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the squared lengths of vectors, (…, dim) to (…,)."""
    squares: NDArray[Any] = np.vecdot(rows, rows)
    return squares


def _sums(by_score: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Return the curvature bound of each row of scores: Σ |derivative| · ‖other vector‖²."""
    sums: NDArray[Any] = np.matvec(np.abs(by_score), squared_lengths(others))
    return sums


class NoiseDistribution:
    """q(v) ∝ count(v)^exponent, sampled exactly in constant time.

    Source: Mikolov et al. 2013b, section 2.2.

    word2vec and gensim round q to a table of word ids; here samples follow q to the last bits of float64, by Walker's
    alias method: every word has a column of height 1/V, and the part of its column that a rare word does not fill
    belongs to a frequent one.

    Parameters
    ----------
    counts : ndarray, shape (V,)
        Frequency of each word. A word of frequency 0 is never drawn, unless all are 0.
    exponent : float
        1: as frequent as in the text; 0: uniform; word2vec's is 0.75. Any finite number.
    """

    def __init__(self, counts: NDArray[Any], exponent: float = 0.75) -> None:
        counts = np.asarray(counts, np.float64)
        occurring = counts > 0
        if not occurring.any():
            counts, occurring = np.ones(len(counts)), np.ones(len(counts), bool)
        powers = counts[occurring]
        if not 0 <= exponent <= 1:  # with the largest power at 1, none overflows and not all underflow
            powers /= powers.max() if exponent > 0 else powers.min()
        powers **= exponent
        weights = np.zeros(len(counts))
        weights[occurring] = powers
        self.probabilities: NDArray[np.float64] = weights / weights.sum()
        self._share, self._alias = alias_table(self.probabilities)

    def __len__(self) -> int:
        """Return V."""
        return len(self.probabilities)

    def draw(self, generator: np.random.Generator, count: int) -> NDArray[np.int32]:
        """Return `count` words, drawn independently, (count,)."""
        positions = generator.random(count)
        positions *= len(self)
        columns = positions.astype(np.int32)
        positions -= columns
        return np.where(positions < self._share.take(columns), columns, self._alias.take(columns))

    @staticmethod
    def memory(vocabulary_size: int) -> int:
        """Return the peak bytes while it is built; half of them stay."""
        return 72 * vocabulary_size


def alias_table(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return each word's share of its column, and the owner of the rest.

    Both have the shape (V,).

    Vose's sweep, without a loop (Hübschle-Schneider & Sanders 2022, section 4): words that do not fill their columns
    lack Σ(1 − V·p) of them, those that overflow have the same amount to give. Laid end to end, the deficits and the
    surpluses are two divisions of the same line, and a search in cumulative sums pairs them. A column is filled by the
    surplus at its start. Where that surplus ends within the column, its word has given more than it had: it keeps less
    than a column itself, and the next surplus fills the rest. Words that fill their columns exactly are not changed.

    A loop takes 106 ms for 330,000 words instead of 13, and pairs other words.

    >>> alias_table(np.array([0.5, 0.25, 0.25]))
    (array([1.  , 0.75, 0.75]), array([0, 0, 0], dtype=int32))
    """
    heights = probabilities * len(probabilities)
    share, alias = np.ones(len(heights)), np.arange(len(heights), dtype=np.int32)
    lacking, giving = np.flatnonzero(heights < 1), np.flatnonzero(heights > 1)
    if not len(lacking) or not len(giving):  # all equal; to rounding, all may lie on one side of 1
        return share, alias
    ends, given = np.cumsum(1 - heights[lacking]), np.cumsum(heights[giving] - 1)
    # A column starts where the previous one ends, to the bit: else a surplus that ends there would count for both.
    starts = np.concatenate([[0.0], ends[:-1]])
    last = len(giving) - 1
    share[lacking] = heights[lacking]
    alias[lacking] = giving[np.minimum(given.searchsorted(starts, "right"), last)]
    # The column within which each surplus ends; by rounding, the last ones may end in none. The last one has the rest.
    ends_within = ends.searchsorted(given[:last], "left")
    ending = np.flatnonzero(ends_within < len(lacking))
    share[giving[ending]] = np.clip(1 - (ends[ends_within[ending]] - given[ending]), 0, 1)
    alias[giving[ending]] = giving[ending + 1]
    return share, alias


SHARINGS = ("pair", "group", "all")


@dataclass(frozen=True)
class NegativeSampling:
    """Cost −log σ(w_c·h) − Σ over negatives v of log σ(−w_v·h) of a pair.

    Source: Mikolov et al. 2013b, equation 4.

    h is the embedding of the centre, or for cbow the mean or sum of the context embeddings, and w are output weights.
    The optimum is w_c·h = PMI − log negatives, with the noise in place of the contexts' distribution (Levy & Goldberg
    2014).

    word2vec and gensim skip a negative that equals the pair's own context. Here it stays: so the expectation over the
    samples is the same linear function of `negatives`·q for every sharing, and ``sharing=all`` is that expectation
    itself.

    Parameters
    ----------
    negatives : int
        Number of negatives per pair; with shared negatives, the sum of their weights.
    exponent : float
        The noise is q(v) ∝ count(v)^exponent. Negative ones draw rare words more often than frequent ones
        (Caselles-Dupré, Lesaint & Royo-Letelier 2018 use them for recommendations).
    sharing : {"pair", "group", "all"}
        ``pair``: each pair has its own negatives, as in word2vec. ``group``: `group` consecutive centres share
        `shared` ones, each weighted by negatives/shared times the centre's pairs, so the expected gradient is the same;
        scores are matrix products then. ``all``: nothing is drawn, all V words count with weights negatives·q(v).
    group, shared : int
        See ``sharing=group``. With labels=blocks a group is at most a quarter of a block.
    """

    negatives: int = 5
    exponent: float = 0.75
    sharing: str = "group"
    group: int = PASSAGE
    shared: int = 30  # 22 lose .004 of SimLex-999 and a point of analogies; 88 gain as much in twice the time

    cost_metric: ClassVar[str] = "objective_cost"
    accepts_blocks: ClassVar[bool] = True
    allows_fewer_centres: ClassVar[bool] = False
    is_sampled: ClassVar[bool] = True
    samples_centres: ClassVar[bool] = False
    gains_from_threads: ClassVar[bool] = False
    counted_examples: ClassVar[type[CountedExamples]] = CountedExamples

    def __post_init__(self) -> None:
        check_whole(self, "negatives", at_least=1, at_most=10_000)
        check_number(self, "exponent")
        require_choice("sharing", self.sharing, SHARINGS)
        check_whole(self, "group", at_least=1, at_most=1_000_000)
        check_whole(self, "shared", at_least=1, at_most=1_000_000)

    def check(self, options: TrainingOptions) -> None:
        """Raise `SettingError` for smoothed counts: a label is one word here."""
        if smoothing := getattr(options.labels, "smoothing", 0):
            raise SettingError(
                "labels.smoothing",
                smoothing,
                "must be 0 with objective=negative_sampling; it smooths softmax labels.",
            )

    def bind(
        self,
        examples: TrainingExamples,
        word_counts: NDArray[np.int64] | None = None,
        generator: np.random.Generator | None = None,
    ) -> SampledObjective:
        """Return the objective with a text's noise, and its generator.

        Parameters
        ----------
        examples : TrainingExamples
            Batches or blocks.
        word_counts : ndarray, shape (V,)
            Frequency of each word in the text.
        generator : numpy.random.Generator
            Draws the negatives.

        Raises
        ------
        ValueError
            If one of the latter two is missing.
        """
        if word_counts is None or generator is None:
            raise ValueError("Negative sampling needs the counts of the text's words, and a generator.")
        return SampledObjective(
            self, NoiseDistribution(word_counts, self.exponent), generator, examples.block
        )

    def passage_size(self, tokens: int) -> int:
        """Return the consecutive centres that share negatives, in blocks of `tokens` centres.

        There are at least four groups in each: the negatives of a single group dominate the steps of a small block. On
        58,000 words blocks of 32 centres end .004 lower with groups of 8 than of 32, and diverge at larger rates.
        """
        return {"pair": 1, "group": min(self.group, max(1, tokens // 4)), "all": tokens}[self.sharing]

    @staticmethod
    def memory(vocabulary_size: int) -> int:
        """Return the bytes beside parameters and examples: those of the noise."""
        return NoiseDistribution.memory(vocabulary_size)

    @staticmethod
    def output_rows(vocabulary_size: int) -> int:
        """Return the rows of the output weights: one for each word."""
        return vocabulary_size

    def scores_memory(self, batch: BatchMemory, vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return the bytes of a batch's scores, or of a block's gradients."""
        block, size = batch.block, np.dtype(dtype).itemsize
        if block is None:
            return batch.centres * vocabulary_size * (3 * size + 8)
        passage, reach = block.passage, block.passage + 2 * block.window
        negatives = self.drawn(block, vocabulary_size)
        if block.context is None:  # vectors and gradients, of centres and of the words of their passages
            vectors, scores = 2 + 2 * (reach + negatives) / passage, reach + negatives
        else:  # of hidden vectors, targets and negatives, these twice while they are joined; gradients of contexts
            vectors, scores = 5 + (reach + 2 * negatives) / passage, 1 + negatives
        return int(block.centres * (vectors * dim + 2 * scores + reach) * size)

    def step_work(self, batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of cost and gradients.

        In a `Batch` all words count, in a block the words of its passages and the negatives.
        """
        if (block := batch.block) is None:
            scores = batch.centres * vocabulary_size
            return Work(
                products=6.0 * scores * dim,
                exponentials=1.0 * scores,
                passed=12.0 * scores,
                gathered=6.0 * batch.cells,
                calls=80,
            )
        columns = block.passage + 2 * block.window + self.drawn(block, vocabulary_size)
        scores, rows = block.centres * columns, (1 + columns / block.passage) * block.centres
        return Work(
            stacked_products=6.0 * scores * dim,
            exponentials=1.0 * scores,
            passed=8.0 * scores + 4.0 * rows * dim,
            gathered=2.0 * rows,
            calls=80,
        )

    def drawn(self, block: BlockShape, vocabulary_size: int) -> int:
        """Return the number of negatives of a passage."""
        pairs = 1 if block.context else 2 * block.window + 1
        return {"pair": self.negatives * pairs, "group": self.shared, "all": vocabulary_size}[self.sharing]


class RowGradients(NamedTuple):
    """Gradients for some rows of a matrix; a row may occur several times.

    Parameters
    ----------
    words : ndarray of int32, shape (m,)
        The rows.
    gradient : ndarray, shape (m, dim)
        Of the block's summed cost.
    curvature : ndarray, shape (m,)
        An upper bound of the second derivative of that cost in any direction: Σ |derivative by the score| · ‖other
        row‖², since σ(1 − σ) is less than σ and than 1 − σ.
    """

    words: NDArray[np.int32]
    gradient: NDArray[Any]
    curvature: NDArray[Any]

    @classmethod
    def of(cls, words: NDArray[np.int32], gradient: NDArray[Any], curvature: NDArray[Any]) -> RowGradients:
        """Return the gradients of passages, with the passages joined."""
        return cls(words.reshape(-1), gradient.reshape(-1, gradient.shape[-1]), curvature.reshape(-1))


class BlockGradients(NamedTuple):
    """Cost and gradients of a block, at the parameters before the step.

    Parameters
    ----------
    cost : float
        The summed cost of its pairs, in nats.
    embedding, output : RowGradients
        For rows of the two matrices.
    """

    cost: float
    embedding: RowGradients
    output: RowGradients


class SampledObjective:
    """Negative sampling of a text, with its noise and its generator.

    Batches give the gradients of a dense matrix of scores, blocks those of passages and their negatives.
    Gradients are those of the summed cost, for both matrices, as in word2vec.

    Parameters
    ----------
    rule : NegativeSampling
        Number of negatives, and which centres share them. A batch lists its centres once, by rising id, so a group
        there is of distinct centres; in a block it is of consecutive words.
    noise : NoiseDistribution
        Distribution of the negatives.
    generator : numpy.random.Generator
        Draws them.
    block : BlockShape, optional
        The size of a block; None: batches only.
    """

    def __init__(
        self,
        rule: NegativeSampling,
        noise: NoiseDistribution,
        generator: np.random.Generator,
        block: BlockShape | None = None,
    ) -> None:
        self.rule = rule
        self.noise = noise
        self._generator = generator
        self._context: str | None = None
        if block is not None:
            self._context, self._drawn = block.context, rule.drawn(block, len(noise))
            # Which words of a passage are before a centre, and after it, by its place and its number of contexts there:
            # a row of zeros and ones each. To take them needs a sixth of the time of comparing positions.
            window, reach = block.window, block.passage + 2 * block.window
            offsets = np.arange(reach) - window - np.arange(block.passage)[:, None, None]
            most = np.arange(window + 1)[:, None]
            before, after = (offsets < 0) & (offsets >= -most), (offsets > 0) & (offsets <= most)
            self._before, self._after = (
                side.reshape(-1, reach).astype(np.float32) for side in (before, after)
            )
            self._places = np.arange(0, block.passage * (window + 1), window + 1)

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch; parameters stay unchanged."""
        hidden, output, labels = batch.hidden(parameters.embedding), parameters.output, batch.labels
        scores = (workspace or Workspace()).array((len(hidden), len(output)), hidden.dtype)
        hidden.dot(output.T, scores)
        weights = self._weights_by_word(batch)
        balances = weights.astype(hidden.dtype)
        labels.subtract_from(balances)
        labels.subtract_from(weights, -labels.counts)  # adds them
        weights = weights.astype(hidden.dtype, copy=False)
        cost, by_score = logistic_cost(scores, weights, balances)
        by_score *= (batch.centre_weights / batch.weights).astype(hidden.dtype)[:, None]
        return Step(cost, math.nan, batch.by_row(by_score.dot(output)), by_score.T.dot(hidden))

    def _weights_by_word(self, batch: Batch) -> NDArray[np.float64]:
        """Return the weight of each word as a negative, (k, V)."""
        rule, centres, words = self.rule, len(batch.weights), len(self.noise)
        if rule.sharing == "all":
            return np.outer(batch.weights, rule.negatives * self.noise.probabilities)
        weights = np.zeros((centres, words))
        if rule.sharing == "pair":
            rows = np.repeat(np.arange(centres), np.rint(rule.negatives * batch.weights).astype(np.int64))
            np.add.at(weights, (rows, self.noise.draw(self._generator, len(rows))), 1)
            return weights
        groups = -(-centres // rule.group)
        drawn = self.noise.draw(self._generator, groups * rule.shared).reshape(groups, rule.shared)
        rows = np.arange(centres)
        np.add.at(weights, (rows[:, None], drawn[rows // rule.group]), rule.negatives / rule.shared)
        weights *= batch.weights[:, None]
        return weights

    def draw(self, block: Block) -> NDArray[np.int32]:
        """Return the negatives of a block, (passages, number)."""
        passages, number = len(block.words), self._drawn
        if self.rule.sharing == "all":
            return np.broadcast_to(np.arange(number, dtype=np.int32), (passages, number))
        return self.noise.draw(self._generator, passages * number).reshape(passages, number)

    def block_gradients(
        self, parameters: Parameters, block: Block, negatives: NDArray[np.int32]
    ) -> BlockGradients:
        """Return cost and gradients of a block; parameters stay unchanged.

        A passage's centres have their scores with all of its words and negatives in one small product, of which its
        pairs are a band: cells beside it have the weight 0. A dense product is much faster than separate dot products.

        Parameters
        ----------
        parameters : Parameters
            Both matrices of the same dtype, float32 or float64.
        block : Block
            Of this objective's size.
        negatives : ndarray of int32, shape (passages, number)
            As `draw` returns them.
        """
        contexts = self._before.take(self._places + block.before, axis=0)
        contexts += self._after.take(self._places + block.after, axis=0)
        contexts = contexts.astype(parameters.embedding.dtype, copy=False)
        if self._context is None:
            return self._skipgram(parameters, block, contexts, negatives)
        return self._cbow(parameters, block, contexts, negatives)

    def _skipgram(
        self, parameters: Parameters, block: Block, contexts: NDArray[Any], negatives: NDArray[np.int32]
    ) -> BlockGradients:
        """Return cost and gradients where centres predict contexts, which are ones in a band of zeros."""
        words = np.concatenate([block.words, negatives], axis=1)
        hidden = parameters.embedding.take(block.centres, axis=0)
        rows = parameters.output.take(words, axis=0)
        balances = np.empty((*hidden.shape[:2], words.shape[1]), hidden.dtype)
        np.negative(contexts, out=balances[:, :, : contexts.shape[2]])
        pairs = (block.before + block.after).astype(hidden.dtype)[:, :, None]
        balances[:, :, contexts.shape[2] :] = self._weights_by_negative(contexts, pairs)
        scores = np.matmul(hidden, rows.transpose(0, 2, 1))
        cost, by_score = logistic_cost(scores, np.abs(balances), balances)
        hidden_gradient = np.matmul(by_score, rows)
        rows_gradient = np.matmul(by_score.transpose(0, 2, 1), hidden)
        return BlockGradients(
            cost,
            RowGradients.of(block.centres, hidden_gradient, _sums(by_score, rows)),
            RowGradients.of(words, rows_gradient, _sums(by_score.transpose(0, 2, 1), hidden)),
        )

    def _cbow(
        self, parameters: Parameters, block: Block, contexts: NDArray[Any], negatives: NDArray[np.int32]
    ) -> BlockGradients:
        """Return cost and gradients where contexts, combined, predict centres."""
        number = (block.before + block.after).astype(contexts.dtype)[:, :, None]
        is_example = np.minimum(number, 1)  # a centre without context is none
        shares = contexts / np.maximum(number, 1) if self._context == "mean" else contexts
        hidden = np.matmul(shares, parameters.embedding.take(block.words, axis=0))
        targets = parameters.output.take(block.centres, axis=0)
        rows = parameters.output.take(negatives, axis=0)
        scores = np.empty((*hidden.shape[:2], 1 + negatives.shape[1]), hidden.dtype)
        np.vecdot(hidden, targets, out=scores[:, :, 0])
        np.matmul(hidden, rows.transpose(0, 2, 1), out=scores[:, :, 1:])
        balances = np.empty_like(scores)
        balances[:, :, :1] = -is_example
        balances[:, :, 1:] = self._weights_by_negative(is_example, is_example)
        cost, by_score = logistic_cost(scores, np.abs(balances), balances)
        by_target, by_negative = by_score[:, :, :1], by_score[:, :, 1:]
        hidden_gradient = np.matmul(by_negative, rows)
        hidden_gradient += by_target * targets
        curvature = _sums(by_negative, rows)
        curvature -= by_target[:, :, 0] * squared_lengths(targets)
        # If all context embeddings move together, the hidden vector moves by the sum of its weights times that.
        together = curvature[:, :, None] * (number if self._context == "sum" else is_example)
        back = shares.transpose(0, 2, 1)
        across = by_negative.transpose(0, 2, 1)
        parts = (
            RowGradients.of(block.centres, by_target * hidden, -by_target[:, :, 0] * squared_lengths(hidden)),
            RowGradients.of(negatives, np.matmul(across, hidden), _sums(across, hidden)),
        )
        return BlockGradients(
            cost,
            RowGradients.of(block.words, np.matmul(back, hidden_gradient), np.matmul(back, together)),
            RowGradients(*(np.concatenate(each) for each in zip(*parts, strict=True))),
        )

    def _weights_by_negative(self, pairs: NDArray[Any], examples: NDArray[Any]) -> NDArray[Any]:
        """Return the weight of each negative for each centre, broadcastable to (passages, size, number)."""
        rule = self.rule
        if rule.sharing == "pair":
            return np.repeat(pairs, rule.negatives, axis=2)
        if rule.sharing == "group":
            return examples * (rule.negatives / rule.shared)
        weights: NDArray[Any] = examples * (rule.negatives * self.noise.probabilities).astype(examples.dtype)
        return weights

    def softmax_parameters(self, parameters: Parameters) -> Parameters:
        """Return parameters of the implied full softmax.

        It is p(context | centre) ∝ q(context) · exp(score).

        The best score is log(p/q) − log negatives (Levy & Goldberg 2014, with the noise q).
        """
        noise = np.maximum(self.noise.probabilities, np.finfo(np.float64).tiny)
        offset = np.log(noise).astype(parameters.output.dtype)
        return Parameters(parameters.embedding, parameters.output, offset)

    def initial_parameters(
        self, drawn: Parameters, examples: TrainingExamples, *, of_words: bool = False
    ) -> Parameters:
        """Return the drawn parameters."""
        return drawn

    def to_word_vectors(self, parameters: Parameters) -> Parameters:
        """Return the parameters unchanged: their output vectors are of words."""
        return parameters

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood under that softmax, in nats."""
        return exact_cost(self.softmax_parameters(parameters), counts)

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) under that softmax, (len(centres), V)."""
        return Softmax().probabilities(self.softmax_parameters(parameters), centres)
