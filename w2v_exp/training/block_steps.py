"""Steps on blocks: word2vec's learning rate, with a bound on what a row does in one step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.blocks import MOST_TOKENS, Block
from w2v_exp.examples.statistics import BatchMemory
from w2v_exp.model.block_gradients import BlockObjective
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.shared_noise import RowGradients
from w2v_exp.scatter import add_scaled_rows

SMALLEST = 1e-12  # of curvature · rate, whose exponential is 1 + it
# Of the bound of a row's curvature, which is met only where all other rows lie in one direction. All of it costs two
# points of analogies, none of it half a point, and a run that has words as frequent as in natural text diverges.
CURVATURE_SHARE = 0.3
# That is the share in blocks of MOST_TOKENS. In smaller ones it is smaller in proportion, as fewer gradients are taken
# at old parameters. The bound is of a row's own pairs as well: with .3 of it a word that occurs once in a block of 32
# centres is damped by a fifth, and a text of 49,000 words ends .04 higher in cost. But where there are few words, other
# rows do lie in one direction: for two words, blocks of 16 diverge without it.
FEW_WORDS = 128  # share of CURVATURE_SHARE is at least FEW_WORDS/V


class BlockSteps:
    """Takes steps of gradient descent on blocks, changing parameters in place.

    As in word2vec the learning rate is that of each pair, and gradients of a row are summed. Word2vec takes the next
    pair's gradient after the step of the one before; here all of a block are taken at the same parameters. Where a row
    has many of them, as a frequent word's, they would carry it too far, the further the more there are. Along a
    direction of curvature c, what remains of a distance to the optimum is exp(−rate·c) after many small steps with
    Σ c, and 1 − rate·c after their sum. So each row's step is multiplied by (1 − exp(−x))/x, x = rate·c: nearly 1 for
    small x, and never further than to where the optimum would be, whatever rate and block.

    Parameters
    ----------
    objective : BlockObjective
        Cost and gradients of a block.
    parameters : Parameters
        What is changed: C-contiguous matrices; they may lie in memory that is shared.
    generator : numpy.random.Generator
        Draws the negatives.
    tokens : int
        Centres per block. For blocks of fewer than 1,024, rows are bounded less: x is multiplied by tokens/1024, or
        by 128/V where that is more.
    """

    def __init__(
        self,
        objective: BlockObjective,
        parameters: Parameters,
        generator: np.random.Generator,
        tokens: int = MOST_TOKENS,
    ) -> None:
        self._objective = objective
        self._parameters = parameters
        self._generator = generator
        damped = max(tokens / MOST_TOKENS, FEW_WORDS / len(parameters.embedding))
        self._share = CURVATURE_SHARE * min(1.0, damped)
        self._sums = np.zeros((len(parameters.embedding), 1), parameters.embedding.dtype)

    @staticmethod
    def memory(
        batch: BatchMemory,
        vocabulary_size: int,
        dim: int,
        window: int,
        dtype: DTypeLike,
        rule: NegativeSampling,
        *,
        cbow: bool,
    ) -> int:
        """Return how many bytes steps on such blocks take at the most, beside the parameters."""
        own = BlockObjective.memory(batch.centres, vocabulary_size, dim, window, dtype, rule, cbow=cbow)
        return 8 * vocabulary_size + batch.labels + max(batch.gathering, own)

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Nothing: what a block does depends on the parameters alone, and on what is drawn."""
        return {}

    def take(self, batch: Block, learning_rate: float) -> tuple[float, float]:
        """Take a step and return the summed cost of the block before it; the article's cost, which is NaN.

        Nothing is changed if the cost is not a finite number.
        """
        negatives = self._objective.draw(batch, self._generator)
        cost, embedding, targets, noise = self._objective.gradients(self._parameters, batch, negatives)
        if math.isfinite(cost):
            self._descend(self._parameters.embedding, [embedding], learning_rate)
            self._descend(self._parameters.output, [targets, noise], learning_rate)
        return cost, math.nan

    def _descend(self, matrix: NDArray[np.floating], parts: list[RowGradients], learning_rate: float) -> None:
        """Subtract gradients from a matrix, each row's together so far as its curvature allows."""
        sums = self._sums
        for part in parts:
            sums[part.words] = 0
        for part in parts:
            ones = np.ones((len(part.words), 1), sums.dtype)
            add_scaled_rows(sums, part.words, ones, part.curvature)
        for part in parts:
            exponents = sums.take(part.words).astype(np.float64)
            exponents *= self._share * learning_rate
            np.maximum(exponents, SMALLEST, out=exponents)
            rates = np.expm1(-exponents)
            rates *= learning_rate
            rates /= exponents
            add_scaled_rows(matrix, part.words, part.gradient, rates.astype(matrix.dtype))
