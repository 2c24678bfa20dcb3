"""Negative sampling: settings, noise, and gradients of batches and blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError, check_number, check_whole, require_choice
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples, TrainingOptions
from w2v_exp.examples.blocks import Block
from w2v_exp.examples.counted import CountedExamples
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import BatchMemory, BatchShape, BlockShape
from w2v_exp.machine import Work
from w2v_exp.model.bands import Bands, masks_of, window_masks
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax, Step, Workspace, exact_cost

# Largest score whose exponential is finite, by the bytes of a number; larger scores are clipped to it.
LARGEST_SCORE = {4: 80.0, 8: 700.0}


def softplus_and_sigmoid(scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return log(1 + exp(score)) and its derivative, overwriting `scores`."""
    exponentials = np.minimum(scores, LARGEST_SCORE[scores.itemsize], out=scores)
    np.exp(exponentials, out=exponentials)
    above = exponentials + 1
    exponentials /= above
    return np.log(above, out=above), exponentials


def squared_lengths(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the squared lengths of vectors, (…, dim) to (…,)."""
    squares: NDArray[Any] = np.einsum("...j,...j->...", rows, rows)
    return squares


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
WIDEST_IN_TABLE = 16  # window whose masks are precomputed: 76 kB for 16 words, 16 GB for 1,000
SHORTEST_RUN = 16  # centres; shorter runs overlap more than they save products


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
    group: int = 32
    shared: int = 32

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
        noise = NoiseDistribution(word_counts, self.exponent)
        if (block := examples.block) is None:
            return SampledObjective(self, noise, generator)
        return SampledObjective(self.in_blocks(block.tokens), noise, generator, block.window, block.context)

    def in_blocks(self, centres: int) -> NegativeSampling:
        """Return the settings for blocks of `centres` centres.

        There are at least four groups in each.

        The negatives of a single group dominate the steps of a small block: on 58,000 words blocks of 32 centres end
        .004 lower with groups of 8 than of 32, and diverge at larger rates.
        """
        return replace(self, group=min(self.group, max(1, centres // 4)))

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
        layout = _Layout.of(self.in_blocks(block.tokens), block, vocabulary_size)
        centres, negatives, width = layout.centres, layout.negatives, layout.width
        # The peak is at the gradients of the negatives, or at the sums by word with those gradients kept.
        sampling = (3 * centres + 2 * negatives) * dim + centres * (3 * layout.by_centre + 3 * width)
        summing = ((4 + (block.context is not None) + layout.reach / layout.run) * centres + negatives) * dim
        summing += centres * (layout.reach + 4 * width)
        return int(max(sampling, summing)) * size + 24 * negatives

    def step_work(self, batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of cost and gradients.

        In a `Batch` all words count, in a block the negatives only.
        """
        if batch.block:
            return self._block_work(batch.block, vocabulary_size, dim)
        scores = batch.centres * vocabulary_size
        return Work(
            products=6.0 * scores * dim,
            exponentials=2.0 * scores,
            passed=12.0 * scores,
            gathered=6.0 * batch.cells,
            calls=80,
        )

    def _block_work(self, block: BlockShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of the gradients of a block.

        They are three products each, of bands and of negatives.
        """
        layout = _Layout.of(self.in_blocks(block.tokens), block, vocabulary_size)
        centres, rows = layout.centres, layout.negatives
        scores = centres * (layout.by_centre + layout.width)
        return Work(
            stacked_products=6.0 * centres * (layout.reach + layout.by_centre) * dim,
            exponentials=2.0 * scores,
            passed=8.0 * scores + 12.0 * (3 * centres + 2 * rows) * dim,
            gathered=1.0 * rows,
            calls=150,
        )


class _Layout(NamedTuple):
    """Sizes of a block's matrices.

    Padded centres, negatives of a centre and of the block, centres and words of a run, band width.
    """

    centres: int
    by_centre: int
    negatives: int
    run: int
    reach: int
    width: int

    @classmethod
    def of(cls, rule: NegativeSampling, block: BlockShape, vocabulary_size: int) -> _Layout:
        """Return the sizes for a block."""
        group, run = _group_and_run(rule, block.window)
        centres = block.centres + -block.centres % max(group, run)
        width = 2 * block.window + 1
        if rule.sharing == "all":
            by_centre = negatives = vocabulary_size
        elif rule.sharing == "pair":
            by_centre = rule.negatives * (width if block.context is None else 1)
            negatives = by_centre * centres
        else:
            by_centre, negatives = rule.shared, rule.shared * centres // group
        return cls(centres, by_centre, negatives, run, run + 2 * block.window, width)


def _group_and_run(rule: NegativeSampling, window: int) -> tuple[int, int]:
    """Return the centres that share negatives, and the centres of a run.

    One number divides the other.
    """
    group = rule.group if rule.sharing == "group" else 1
    shortest = max(SHORTEST_RUN, 2 * window)
    if group <= shortest:
        return group, -(-shortest // group) * group
    return group, next(run for run in range(shortest, group + 1) if group % run == 0)


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


class BlockGradients(NamedTuple):
    """Cost and gradients of a block, at the parameters before the step.

    Parameters
    ----------
    cost : float
        The summed cost of its pairs, in nats.
    embedding : RowGradients
        For rows of the embedding.
    targets, noise : RowGradients
        For rows of the output weights: those of the text's words, and those of the negatives.
    """

    cost: float
    embedding: RowGradients
    targets: RowGradients
    noise: RowGradients


class _NoiseGradients(NamedTuple):
    """Contribution of the negatives to a block's cost and gradients."""

    cost: float
    hidden_gradient: NDArray[Any]
    hidden_curvature: NDArray[Any]
    rows: RowGradients


class _PaddedBlock(NamedTuple):
    """A block's words, its contexts as bands, and the bands' layout."""

    words: NDArray[np.int32]
    mask: NDArray[Any]
    bands: Bands

    @property
    def centres(self) -> NDArray[np.int32]:
        """The words in the middle, without margins."""
        return self.words[self.bands.window : self.bands.window + self.bands.centres]


class SampledObjective:
    """Negative sampling of a text, with its noise and its generator.

    Batches give the gradients of a dense matrix of scores, blocks those of bands and of groups of shared negatives.
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
    window : int, optional
        Largest distance between centre and context in blocks; None: batches only.
    context : {"mean", "sum"}, optional
        cbow on blocks: how context embeddings are combined. None: skip-gram.
    """

    def __init__(
        self,
        rule: NegativeSampling,
        noise: NoiseDistribution,
        generator: np.random.Generator,
        window: int | None = None,
        context: str | None = None,
    ) -> None:
        self.rule = rule
        self.noise = noise
        self._generator = generator
        self._context = context
        self._window = window or 0
        self._pairs_by_centre = 1 if context else 2 * self._window + 1
        self._masks = window_masks(self._window, np.float64) if self._window <= WIDEST_IN_TABLE else None
        self._group, self._run = _group_and_run(rule, self._window)

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch; parameters stay unchanged."""
        hidden, output, labels = batch.hidden(parameters.embedding), parameters.output, batch.labels
        scores = (workspace or Workspace()).array((len(hidden), len(output)), hidden.dtype)
        hidden.dot(output.T, scores)
        label_scores = labels.gather(scores).astype(np.float64)
        label_costs, misses = softplus_and_sigmoid(-label_scores)
        costs, by_score = softplus_and_sigmoid(scores)
        weights = self._weights_by_word(batch).astype(hidden.dtype)
        by_score *= weights
        cost = float(labels.counts.dot(label_costs)) + float(np.vdot(costs, weights))
        labels.subtract_from(by_score, labels.counts * misses)
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
        """Return the negatives of a block, (groups, shared)."""
        rule = self.rule
        if rule.sharing == "all":
            return np.arange(len(self.noise), dtype=np.int32)[None]
        groups = (len(block.before) + self._padding(block)) // self._group
        shared = rule.negatives * self._pairs_by_centre if rule.sharing == "pair" else rule.shared
        return self.noise.draw(self._generator, groups * shared).reshape(groups, shared)

    def block_gradients(
        self, parameters: Parameters, block: Block, negatives: NDArray[np.int32]
    ) -> BlockGradients:
        """Return cost and gradients of a block; parameters stay unchanged.

        Parameters
        ----------
        parameters : Parameters
            Both matrices of the same dtype, float32 or float64.
        block : Block
            With margins of this objective's window.
        negatives : ndarray of int32, shape (groups, shared)
            As `draw` returns them.
        """
        text = self._pad(block, parameters.embedding.dtype)
        if self._context is None:
            return self._skipgram(parameters, text, negatives)
        return self._cbow(parameters, text, negatives)

    def _skipgram(
        self, parameters: Parameters, text: _PaddedBlock, negatives: NDArray[np.int32]
    ) -> BlockGradients:
        """Return cost and gradients where centres predict contexts."""
        bands, mask = text.bands, text.mask
        hidden = parameters.embedding.take(text.centres, axis=0)
        contexts = parameters.output.take(text.words, axis=0)
        around = bands.around(contexts)
        costs, residuals = softplus_and_sigmoid(-bands.scores(hidden, around))
        residuals *= mask  # 1 − σ of each pair's score
        matrices = bands.matrices(residuals)
        noise = self._noise_gradients(parameters, hidden, negatives, mask)
        # Gradients of the pairs' own costs have the opposite sign of those of the negatives.
        hidden_gradient = noise.hidden_gradient
        hidden_gradient -= bands.to_centres(matrices, around)
        targets_gradient = bands.to_words(matrices, hidden)
        np.negative(targets_gradient, out=targets_gradient)
        by_context = sliding_window_view(squared_lengths(contexts), bands.width)
        hidden_curvature = noise.hidden_curvature + np.einsum("io,io->i", residuals, by_context)
        targets_curvature = bands.sum_to_words(residuals * squared_lengths(hidden)[:, None])
        return BlockGradients(
            noise.cost + float(np.vdot(costs, mask)),
            RowGradients(text.centres, hidden_gradient, hidden_curvature),
            RowGradients(text.words, targets_gradient, targets_curvature),
            noise.rows,
        )

    def _cbow(
        self, parameters: Parameters, text: _PaddedBlock, negatives: NDArray[np.int32]
    ) -> BlockGradients:
        """Return cost and gradients where contexts, combined, predict centres."""
        bands, mask = text.bands, text.mask
        contexts = mask.dot(np.ones((bands.width, 1), mask.dtype))
        shares = mask / np.maximum(contexts, 1) if self._context == "mean" else mask
        matrices = bands.matrices(shares)
        around = bands.around(parameters.embedding.take(text.words, axis=0))
        hidden = bands.to_centres(matrices, around)
        is_example = (contexts > 0).astype(mask.dtype)  # a centre without context is none
        targets = parameters.output.take(text.centres, axis=0)
        costs, residuals = softplus_and_sigmoid(-np.einsum("ij,ij->i", hidden, targets)[:, None])
        residuals *= is_example
        noise = self._noise_gradients(parameters, hidden, negatives, is_example)
        hidden_gradient = noise.hidden_gradient
        hidden_gradient -= residuals * targets
        hidden_curvature = noise.hidden_curvature + residuals[:, 0] * squared_lengths(targets)
        # If all context embeddings move together, the hidden vector moves by the sum of its weights times that.
        weight = contexts[:, 0] if self._context == "sum" else is_example[:, 0]
        together = weight * hidden_curvature
        return BlockGradients(
            noise.cost + float(np.vdot(costs, is_example)),
            RowGradients(
                text.words,
                bands.to_words(matrices, hidden_gradient),
                bands.sum_to_words(shares * together[:, None]),
            ),
            RowGradients(text.centres, -residuals * hidden, residuals[:, 0] * squared_lengths(hidden)),
            noise.rows,
        )

    def _noise_gradients(
        self,
        parameters: Parameters,
        hidden: NDArray[Any],
        negatives: NDArray[np.int32],
        pairs: NDArray[Any],
    ) -> _NoiseGradients:
        """Return cost and gradients of all groups' negatives.

        `pairs`, (centres, …), is 1 for each existing pair.
        """
        groups, shared = negatives.shape
        dim = hidden.shape[1]
        by_group = hidden.reshape(groups, -1, dim)
        rows = parameters.output.take(negatives.reshape(-1), axis=0).reshape(groups, shared, dim)
        costs, residuals = softplus_and_sigmoid(np.matmul(by_group, rows.transpose(0, 2, 1)))
        weights = self._weights_by_negative(pairs).reshape(groups, by_group.shape[1], -1)
        cost = np.einsum("gck,gck->gc", costs, np.broadcast_to(weights, costs.shape)).sum(dtype=np.float64)
        residuals *= weights
        across = residuals.transpose(0, 2, 1)
        curvature = np.matmul(residuals, squared_lengths(rows)[:, :, None])
        rows_curvature = np.matmul(across, squared_lengths(by_group)[:, :, None])
        return _NoiseGradients(
            float(cost),
            np.matmul(residuals, rows).reshape(hidden.shape),
            curvature.reshape(-1),
            RowGradients(
                negatives.reshape(-1),
                np.matmul(across, by_group).reshape(-1, dim),
                rows_curvature.reshape(-1),
            ),
        )

    def _weights_by_negative(self, pairs: NDArray[Any]) -> NDArray[Any]:
        """Return the weights of negatives, broadcastable to (centres, shared)."""
        rule = self.rule
        if rule.sharing == "pair":
            return np.repeat(pairs, rule.negatives, axis=1)
        by_centre: NDArray[Any] = pairs.dot(np.ones((pairs.shape[1], 1), pairs.dtype))
        if rule.sharing == "group":
            by_centre *= rule.negatives / rule.shared
            return by_centre
        weights: NDArray[Any] = by_centre * (rule.negatives * self.noise.probabilities).astype(pairs.dtype)
        return weights

    def _pad(self, block: Block, dtype: DTypeLike) -> _PaddedBlock:
        """Return a block padded to a multiple of groups and runs."""
        padding, window = self._padding(block), self._window
        centres = len(block.before) + padding
        before, after = block.before, block.after
        if padding:
            before, after = (np.pad(side, (0, padding)) for side in (before, after))
        if self._masks is None:
            mask = masks_of(before, after, window, dtype)
        else:
            if self._masks.dtype != dtype:
                self._masks = self._masks.astype(dtype)
            mask = self._masks.take(before * (window + 1) + after, axis=0)
        words = np.concatenate([block.words, np.zeros(padding, np.int32)]) if padding else block.words
        return _PaddedBlock(words, mask, Bands(centres // self._run, self._run, window))

    def _padding(self, block: Block) -> int:
        """Return the number of centres to add to a block."""
        return -len(block.before) % max(self._group, self._run)

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
