"""Negative sampling on blocks: windows as bands, negatives that groups of centres share.

A block of consecutive centres is taken in runs of `size`. The words that the windows of a run reach are
``size + 2·window`` consecutive ones, so all products of centres with their contexts are in one small matrix a run, of
which a band of 2·window + 1 diagonals is wanted:

        words →  0 1 2 3 4 5 6 7          offset −2 −1 0 1 2
    centre 0     x x . x x                       x  x  .  x  x
    centre 1       x x . x x                     x  x  .  x  x
    centre 2         x x . x x                   x  x  .  x  x
    centre 3           x x . x x                 x  x  .  x  x

The products that are not wanted are computed all the same: matrix products are so much faster than single ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.blocks import Block
from w2v_exp.model.negative_sampling import (
    NegativeSampling,
    NoiseDistribution,
    softplus_and_sigmoid,
    squared_lengths,
)
from w2v_exp.model.parameters import Parameters
from w2v_exp.work import Work


class Bands:
    """The bands of a block of ``runs · size`` centres.

    Parameters
    ----------
    runs, size : int
        How many runs, of how many centres each; `size` is at least ``2 · window``, so that only neighbours overlap.
    window : int
        The greatest window.
    """

    def __init__(self, runs: int, size: int, window: int) -> None:
        if size < 2 * window:
            raise ValueError("A run must be as long as both sides of a window.")
        self.runs, self.size, self.window = runs, size, window
        self.reach = size + 2 * window  # words of a run
        self.width = 2 * window + 1  # of the band

    @property
    def centres(self) -> int:
        """How many centres there are."""
        return self.runs * self.size

    def around(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of the words of each run: of (centres + 2·window, dim) a view (runs, reach, dim)."""
        step, within = rows.strides
        return as_strided(
            rows, (self.runs, self.reach, rows.shape[1]), (self.size * step, step, within), writeable=False
        )

    def of(self, matrices: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the bands, (runs, size, width), of matrices (runs, size, reach)."""
        run, centre, word = matrices.strides
        band: NDArray[Any] = as_strided(
            matrices, (self.runs, self.size, self.width), (run, centre + word, word)
        )
        return band

    def matrices(self, band: NDArray[Any]) -> NDArray[Any]:
        """Return matrices (runs, size, reach) with this band, of shape (centres, width), and zeros around it."""
        matrices = np.zeros((self.runs, self.size, self.reach), band.dtype)
        self.of(matrices)[...] = band.reshape(self.runs, self.size, self.width)
        return matrices

    def scores(self, rows: NDArray[Any], around: NDArray[Any]) -> NDArray[Any]:
        """Return the product of each centre's row with those of the words around it: shape (centres, width)."""
        products = np.matmul(rows.reshape(self.runs, self.size, -1), around.transpose(0, 2, 1))
        return np.ascontiguousarray(self.of(products)).reshape(self.centres, self.width)

    def to_centres(self, matrices: NDArray[Any], around: NDArray[Any]) -> NDArray[Any]:
        """Return for each centre the sum of the rows around it, weighted by its band: shape (centres, dim)."""
        summed: NDArray[Any] = np.matmul(matrices, around).reshape(self.centres, -1)
        return summed

    def to_words(self, matrices: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
        """Return for each word the sum of the centres' rows, weighted by their bands: (centres + 2·window, dim)."""
        pieces = np.matmul(matrices.transpose(0, 2, 1), rows.reshape(self.runs, self.size, -1))
        overlap, dim = 2 * self.window, rows.shape[1]
        summed = np.empty((self.centres + overlap, dim), rows.dtype)
        own = summed[: self.centres].reshape(self.runs, self.size, dim)
        own[:] = pieces[:, : self.size]
        own[1:, :overlap] += pieces[:-1, self.size :]
        summed[self.centres :] = pieces[-1, self.size :]
        return summed

    def sum_to_words(self, band: NDArray[Any]) -> NDArray[Any]:
        """Return for each word the sum of what the bands have for it: of (centres, width), (centres + 2·window,)."""
        summed = np.zeros(self.centres + 2 * self.window, band.dtype)
        for offset, diagonal in enumerate(np.ascontiguousarray(band.T)):
            summed[offset : offset + self.centres] += diagonal
        return summed


def window_masks(window: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return the bands of all windows, shape ((window + 1)², 2·window + 1): 1 for a context, 0 for the others.

    Row ``before · (window + 1) + after`` is that of a centre with so many contexts before and after it.
    """
    return masks_of(*np.divmod(np.arange((window + 1) ** 2), window + 1), window, dtype)


def masks_of(
    before: NDArray[np.int64], after: NDArray[np.int64], window: int, dtype: DTypeLike
) -> NDArray[Any]:
    """Return the bands of centres with so many contexts before and after each: shape (centres, 2·window + 1)."""
    offsets = np.arange(-window, window + 1)
    inside = (offsets >= -before[:, None]) & (offsets <= after[:, None]) & (offsets != 0)
    masks: NDArray[Any] = inside.astype(dtype)
    return masks


class RowGradients(NamedTuple):
    """Gradients for some rows of a matrix; a row may be named several times.

    Parameters
    ----------
    words : ndarray of int32, shape (m,)
        The rows.
    gradient : ndarray, shape (m, dim)
        Of the block's summed cost.
    curvature : ndarray, shape (m,)
        A bound of the second derivative of that cost in any direction: Σ |derivative by the score| · ‖other row‖²,
        since σ(1 − σ) is less than either of σ and 1 − σ.
    """

    words: NDArray[np.int32]
    gradient: NDArray[Any]
    curvature: NDArray[Any]


class NoiseGradients(NamedTuple):
    """What the negatives add to a block's gradients: to its hidden vectors', and for rows of their own."""

    cost: float
    hidden_gradient: NDArray[Any]
    hidden_curvature: NDArray[Any]
    rows: RowGradients


class SharedNoise:
    """What the negatives of a block add to its cost and gradients.

    Parameters
    ----------
    rule : NegativeSampling
        How many negatives, and which centres share them.
    noise : NoiseDistribution
        What they are drawn from.
    pairs_by_centre : int
        How many pairs a centre has at the most, where each of them has negatives of its own.
    """

    def __init__(self, rule: NegativeSampling, noise: NoiseDistribution, pairs_by_centre: int) -> None:
        self._rule = rule
        self._noise = noise
        self._pairs_by_centre = pairs_by_centre

    def draw(self, groups: int, generator: np.random.Generator) -> NDArray[np.int32]:
        """Return the negatives of so many groups of centres, shape (groups, shared)."""
        rule = self._rule
        if rule.sharing == "all":
            return np.arange(len(self._noise), dtype=np.int32)[None]
        shared = rule.negatives * self._pairs_by_centre if rule.sharing == "pair" else rule.shared
        return self._noise.draw(generator, groups * shared).reshape(groups, shared)

    def gradients(
        self,
        parameters: Parameters,
        hidden: NDArray[Any],
        negatives: NDArray[np.int32],
        pairs: NDArray[Any],
    ) -> NoiseGradients:
        """Return what the negatives of all groups do; `pairs`, (centres, …), is 1 for each pair that there is."""
        groups, shared = negatives.shape
        dim = hidden.shape[1]
        by_group = hidden.reshape(groups, -1, dim)
        rows = parameters.output.take(negatives.reshape(-1), axis=0).reshape(groups, shared, dim)
        costs, residuals = softplus_and_sigmoid(np.matmul(by_group, rows.transpose(0, 2, 1)))
        weights = self._weights(pairs).reshape(groups, by_group.shape[1], -1)
        cost = np.einsum("gck,gck->gc", costs, np.broadcast_to(weights, costs.shape)).sum(dtype=np.float64)
        residuals *= weights
        across = residuals.transpose(0, 2, 1)
        curvature = np.matmul(residuals, squared_lengths(rows)[:, :, None])
        rows_curvature = np.matmul(across, squared_lengths(by_group)[:, :, None])
        return NoiseGradients(
            float(cost),
            np.matmul(residuals, rows).reshape(hidden.shape),
            curvature.reshape(-1),
            RowGradients(
                negatives.reshape(-1),
                np.matmul(across, by_group).reshape(-1, dim),
                rows_curvature.reshape(-1),
            ),
        )

    def _weights(self, pairs: NDArray[Any]) -> NDArray[Any]:
        """Return how often each negative counts for each centre, (centres, shared) or what broadcasts to it."""
        rule = self._rule
        if rule.sharing == "pair":
            return np.repeat(pairs, rule.negatives, axis=1)
        by_centre: NDArray[Any] = pairs.dot(np.ones((pairs.shape[1], 1), pairs.dtype))
        if rule.sharing == "group":
            by_centre *= rule.negatives / rule.shared
            return by_centre
        weights: NDArray[Any] = by_centre * (rule.negatives * self._noise.probabilities).astype(pairs.dtype)
        return weights


WIDEST_IN_TABLE = (
    16  # whose masks, one for each pair of sides, are 76 kB; of a window of 1,000 they would be 16 GB
)
SHORTEST_RUN = 16  # centres; the words around shorter runs overlap more than they save products


class BlockGradients(NamedTuple):
    """What a block gives, at the parameters before the step.

    Parameters
    ----------
    cost : float
        The summed cost of its pairs: the objective's, in nats.
    embedding : RowGradients
        For rows of the embedding.
    targets, noise : RowGradients
        For rows of the output weights: those of the text's words, and those of the negatives.
    """

    cost: float
    embedding: RowGradients
    targets: RowGradients
    noise: RowGradients


class PaddedBlock(NamedTuple):
    """A block's words, which contexts its centres have as bands, (centres, width), and the layout of these."""

    words: NDArray[np.int32]
    mask: NDArray[Any]
    bands: Bands

    @property
    def centres(self) -> NDArray[np.int32]:
        """The words in the middle, without margins."""
        return self.words[self.bands.window : self.bands.window + self.bands.centres]


class BlockObjective:
    """Negative sampling, skip-gram or cbow, on blocks.

    Each word's rows are gathered once a block. Scores of positive pairs are bands of small matrices (`Bands`);
    those of negatives are a matrix for each group of centres that shares them.

    Parameters
    ----------
    rule : NegativeSampling
        How many negatives, and which centres share them.
    noise : NoiseDistribution
        What they are drawn from.
    window : int
        The greatest window.
    context : {"mean", "sum"}, optional
        cbow: what the hidden vector is of the words around a centre. None: skip-gram.
    """

    def __init__(
        self, rule: NegativeSampling, noise: NoiseDistribution, window: int, context: str | None = None
    ) -> None:
        self._noise = SharedNoise(rule, noise, 1 if context else 2 * window + 1)
        self._window = window
        self._context = context
        self._masks = window_masks(window, np.float64) if window <= WIDEST_IN_TABLE else None
        self._group, self._run = _group_and_run(rule, window)

    @staticmethod
    def memory(
        centres: int,
        vocabulary_size: int,
        dim: int,
        window: int,
        dtype: DTypeLike,
        rule: NegativeSampling,
        *,
        cbow: bool,
    ) -> int:
        """Return how many bytes the gradients of a block of so many centres take at the most."""
        group, run = _group_and_run(rule, window)
        centres += -centres % max(group, run)
        reach, width = run + 2 * window, 2 * window + 1
        by_centre, negatives = _noise_size(rule, centres, group, vocabulary_size, 1 if cbow else width)
        # First what the negatives take, then, beside their gradients, what the sums for words do.
        sampling = (3 * centres + 2 * negatives) * dim + centres * (3 * by_centre + 3 * width)
        summing = ((4 + cbow + reach / run) * centres + negatives) * dim + centres * (reach + 4 * width)
        return int(max(sampling, summing)) * np.dtype(dtype).itemsize + 24 * negatives

    @staticmethod
    def step_work(
        centres: int, vocabulary_size: int, dim: int, window: int, rule: NegativeSampling, *, cbow: bool
    ) -> Work:
        """Return the operations of the gradients of a block: three products each, of bands and of noise."""
        group, run = _group_and_run(rule, window)
        centres += -centres % max(group, run)
        reach, width = run + 2 * window, 2 * window + 1
        by_centre, rows = _noise_size(rule, centres, group, vocabulary_size, 1 if cbow else width)
        scores = centres * (by_centre + width)
        return Work(
            stacked_products=6.0 * centres * (reach + by_centre) * dim,
            exponentials=2.0 * scores,
            passed=8.0 * scores + 12.0 * (3 * centres + 2 * rows) * dim,
            gathered=1.0 * rows,
            calls=150,
        )

    def draw(self, block: Block, generator: np.random.Generator) -> NDArray[np.int32]:
        """Return the negatives of a block: those of one group after those of the other, shape (groups, shared)."""
        groups = (len(block.before) + self._padding(block)) // self._group
        return self._noise.draw(groups, generator)

    def gradients(self, parameters: Parameters, block: Block, negatives: NDArray[np.int32]) -> BlockGradients:
        """Return cost and gradients of a block with these negatives; nothing is changed.

        Parameters
        ----------
        parameters : Parameters
            Of the same dtype, float32 or float64, both.
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
        self, parameters: Parameters, text: PaddedBlock, negatives: NDArray[np.int32]
    ) -> BlockGradients:
        """Return what a block gives where a centre's embedding is to predict each word around it."""
        bands, mask = text.bands, text.mask
        hidden = parameters.embedding.take(text.centres, axis=0)
        contexts = parameters.output.take(text.words, axis=0)
        around = bands.around(contexts)
        costs, residuals = softplus_and_sigmoid(-bands.scores(hidden, around))
        residuals *= mask  # 1 − σ of each pair's score
        matrices = bands.matrices(residuals)
        noise = self._noise.gradients(parameters, hidden, negatives, mask)
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
        self, parameters: Parameters, text: PaddedBlock, negatives: NDArray[np.int32]
    ) -> BlockGradients:
        """Return what a block gives where the mean or sum of the embeddings around a centre is to predict it."""
        bands, mask = text.bands, text.mask
        contexts = mask.dot(np.ones((bands.width, 1), mask.dtype))
        bag = mask / np.maximum(contexts, 1) if self._context == "mean" else mask
        matrices = bands.matrices(bag)
        around = bands.around(parameters.embedding.take(text.words, axis=0))
        hidden = bands.to_centres(matrices, around)
        there = (contexts > 0).astype(mask.dtype)  # a centre without context is no example
        targets = parameters.output.take(text.centres, axis=0)
        costs, residuals = softplus_and_sigmoid(-np.einsum("ij,ij->i", hidden, targets)[:, None])
        residuals *= there
        noise = self._noise.gradients(parameters, hidden, negatives, there)
        hidden_gradient = noise.hidden_gradient
        hidden_gradient -= residuals * targets
        hidden_curvature = noise.hidden_curvature + residuals[:, 0] * squared_lengths(targets)
        # Where the embeddings of a bag move together, the hidden vector moves by the sum of its weights as much.
        weight = contexts[:, 0] if self._context == "sum" else there[:, 0]
        together = weight * hidden_curvature
        return BlockGradients(
            noise.cost + float(np.vdot(costs, there)),
            RowGradients(
                text.words,
                bands.to_words(matrices, hidden_gradient),
                bands.sum_to_words(bag * together[:, None]),
            ),
            RowGradients(text.centres, -residuals * hidden, residuals[:, 0] * squared_lengths(hidden)),
            noise.rows,
        )

    def _pad(self, block: Block, dtype: DTypeLike) -> PaddedBlock:
        """Return a block with as many centres as groups and runs need, those that are added without context."""
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
        return PaddedBlock(words, mask, Bands(centres // self._run, self._run, window))

    def _padding(self, block: Block) -> int:
        """Return how many centres are to be added to those of a block."""
        return -len(block.before) % max(self._group, self._run)


def _noise_size(
    rule: NegativeSampling, centres: int, group: int, vocabulary_size: int, pairs: int
) -> tuple[int, int]:
    """Return the number of negatives that meet a centre, and that of a block; a centre has at most so many pairs."""
    if rule.sharing == "all":
        return vocabulary_size, vocabulary_size
    if rule.sharing == "pair":
        by_centre = rule.negatives * pairs
        return by_centre, by_centre * centres
    return rule.shared, rule.shared * centres // group


def _group_and_run(rule: NegativeSampling, window: int) -> tuple[int, int]:
    """Return how many centres share negatives and how many make a run; one number divides the other."""
    group = rule.group if rule.sharing == "group" else 1
    shortest = max(SHORTEST_RUN, 2 * window)
    if group <= shortest:
        return group, -(-shortest // group) * group
    return group, next(run for run in range(shortest, group + 1) if group % run == 0)
