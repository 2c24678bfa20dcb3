"""Steps: gradients and updates of a batch or a block, on one core or several."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import ThreadpoolController

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.blocks import MOST_TOKENS, Block
from w2v_exp.examples.labels import SparseCounts
from w2v_exp.examples.statistics import BatchMemory, BatchShape
from w2v_exp.model.negative_sampling import NegativeSampling, RowGradients, SampledObjective
from w2v_exp.model.objective import Objective, ObjectiveRule
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax, Step, Workspace
from w2v_exp.scatter import add_scaled_rows
from w2v_exp.training.optimizers import ALL_ROWS, Optimizer
from w2v_exp.work import Work

MapBlocks = Callable[[Callable[[slice], None], list[slice]], Iterable[None]]

SMALLEST_PART = 1 << 20  # scores; for fewer, cores would wait for each other longer than they work
BLOCK_ROWS = 2048  # of a matrix that is updated: with its gradient, they fit the second-level cache


class Stepper(Protocol):
    """What changes parameters by a batch at a time."""

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """What is remembered from step to step, by name; these arrays change with every step."""

    def step(self, batch: Any, learning_rate: float) -> tuple[float, float]:
        """Take a step and return the summed cost of the batch before it, and its article cost, or NaN.

        Nothing is changed if the cost is not a finite number.
        """


class Steps:
    """Takes steps, changing parameters in place.

    With several threads a large batch is divided by centres, a part for each. So all passes over the scores are shared
    out, exponentials and sums as well as products, where BLAS by itself would share out the products only.

    Parameters
    ----------
    objective : Objective
        Cost and gradients of a batch.
    optimizer : Optimizer
        What a step does with a gradient.
    parameters : Parameters
        What is changed.
    threads : int
        How many cores work on a step.
    """

    def __init__(
        self, objective: Objective, optimizer: Optimizer, parameters: Parameters, threads: int = 1
    ) -> None:
        self._objective = objective
        self._optimizer = optimizer
        self._parameters = parameters
        self._threads = threads
        self._workspaces = [Workspace() for _ in range(threads)]
        self._blas = ThreadpoolController() if threads > 1 else None
        self._embedding_state = optimizer.initial_state(parameters.embedding)
        self._output_state = optimizer.initial_state(parameters.output)
        self._offset_state = {} if parameters.offset is None else optimizer.initial_state(parameters.offset)

    @staticmethod
    def memory(
        batch: BatchMemory,
        vocabulary_size: int,
        dim: int,
        dtype: DTypeLike,
        optimizer: Optimizer,
        threads: int = 1,
        objective: ObjectiveRule | NegativeSampling | None = None,
    ) -> int:
        """Return how many bytes steps with such batches take at the most, beside parameters and optimizer state."""
        row = dim * np.dtype(dtype).itemsize
        k, V = batch.centres, vocabulary_size
        parts = _parts(k * V, threads)
        scores = (objective or Softmax()).scores_memory(batch, V, dtype)
        gradients = (k + V * parts) * row
        if optimizer.rows_are_independent:
            updating = optimizer.passing * max(k, min(V, BLOCK_ROWS)) * row
        else:
            updating = optimizer.passing * V * row
        products = 2 * k * row  # the centres' rows, and what the output gradient is made of
        # The scores' memory stays from step to step; a batch stays until the next one is there.
        return (
            scores
            + batch.labels
            + max(batch.gathering, batch.label_work, gradients + max(products, updating))
        )

    @staticmethod
    def work(
        batch: BatchShape,
        vocabulary_size: int,
        dim: int,
        optimizer: Optimizer,
        objective: ObjectiveRule | NegativeSampling,
    ) -> Work:
        """Return the operations of a step with such a batch."""
        rows = objective.output_rows(vocabulary_size) + batch.centres
        passes = 6 + 12 * optimizer.remembered
        bags = Work(
            passed=4.0 * batch.words * dim, gathered=4.0 * batch.words, calls=40.0 * (batch.words > 0)
        )
        updating = Work(passed=float(passes) * rows * dim, calls=20)
        return objective.step_work(batch, vocabulary_size, dim) + updating + bags

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """What the optimizer remembers of each parameter, as ``embedding.velocity``; changed by every step."""
        states = {
            "embedding": self._embedding_state,
            "output": self._output_state,
            "offset": self._offset_state,
        }
        return {f"{of}.{name}": array for of, state in states.items() for name, array in state.items()}

    def step(self, batch: Batch, learning_rate: float) -> tuple[float, float]:
        """Take a step and return the cost and the article cost of the batch before it.

        Nothing is changed if the cost is not a finite number.
        """
        parts = self._parts(batch)
        if parts == 1:
            step = self._objective.step(self._parameters, batch, self._workspaces[0])
            return self._finish(batch, [step], [1.0], learning_rate, map)
        assert self._blas is not None
        with self._blas.limit(limits=1, user_api="blas"), ThreadPoolExecutor(parts) as pool:
            batches = batch.parts(parts, len(self._parameters.output))
            steps = list(pool.map(self._objective.step, repeat(self._parameters), batches, self._workspaces))
            shares = [part.pairs / batch.pairs for part in batches]
            return self._finish(batch, steps, shares, learning_rate, pool.map)

    def _parts(self, batch: Batch) -> int:
        """Return how many parts a batch is divided into: one for each thread, if they are large enough."""
        if not isinstance(batch.labels, SparseCounts) or batch.bags is not None:
            return 1
        return _parts(len(batch.centres) * len(self._parameters.output), self._threads)

    def _finish(
        self,
        batch: Batch,
        steps: list[Step],
        shares: list[float],
        learning_rate: float,
        map_blocks: MapBlocks,
    ) -> tuple[float, float]:
        """Update the parameters by the sum of these steps' gradients; return the sum of their costs."""
        cost = sum(step.cost for step in steps)
        article_cost = sum(step.article_cost * share for step, share in zip(steps, shares, strict=True))
        if not math.isfinite(cost):
            return cost, article_cost
        parameters, update = self._parameters, self._optimizer.update
        embedding_gradient = steps[0].embedding_gradient
        if len(steps) > 1:
            embedding_gradient = np.concatenate([step.embedding_gradient for step in steps])
        update(parameters.embedding, self._embedding_state, batch.rows, embedding_gradient, learning_rate)

        def update_output(rows: slice) -> None:
            gradient = steps[0].output_gradient[rows]
            for step in steps[1:]:
                gradient += step.output_gradient[rows]
            update(parameters.output, self._output_state, rows, gradient, learning_rate)

        for _ in map_blocks(update_output, self._output_blocks()):
            pass
        if parameters.offset is not None and steps[0].offset_gradient is not None:
            gradients = [step.offset_gradient for step in steps if step.offset_gradient is not None]
            gradient = gradients[0] if len(gradients) == 1 else np.add.reduce(gradients)
            update(parameters.offset, self._offset_state, ALL_ROWS, gradient, learning_rate)
        return cost, article_cost

    def _output_blocks(self) -> list[slice]:
        """Return the rows that are updated at a time: all of them, unless the optimizer can do with some."""
        rows = len(self._parameters.output)
        if rows <= BLOCK_ROWS or not self._optimizer.rows_are_independent:
            return [ALL_ROWS]
        return [slice(start, min(start + BLOCK_ROWS, rows)) for start in range(0, rows, BLOCK_ROWS)]


def _parts(scores: int, threads: int) -> int:
    """Return into how many parts a batch with so many scores is divided."""
    return threads if scores >= threads * SMALLEST_PART else 1


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
    objective : SampledObjective
        Cost and gradients of a block, and the draw of its negatives.
    parameters : Parameters
        What is changed: C-contiguous matrices; they may lie in memory that is shared.
    tokens : int
        Centres per block. For blocks of fewer than 1,024, rows are bounded less: x is multiplied by tokens/1024, or
        by 128/V where that is more.
    """

    def __init__(
        self,
        objective: SampledObjective,
        parameters: Parameters,
        tokens: int = MOST_TOKENS,
    ) -> None:
        self._objective = objective
        self._parameters = parameters
        damped = max(tokens / MOST_TOKENS, FEW_WORDS / len(parameters.embedding))
        self._share = CURVATURE_SHARE * min(1.0, damped)
        self._sums = np.zeros((len(parameters.embedding), 1), parameters.embedding.dtype)

    @staticmethod
    def memory(
        batch: BatchMemory, vocabulary_size: int, dim: int, dtype: DTypeLike, rule: NegativeSampling
    ) -> int:
        """Return the peak bytes of steps on such blocks, beside the parameters."""
        assert batch.block
        own = rule.block_memory(batch.block, vocabulary_size, dim, dtype)
        return 8 * vocabulary_size + batch.labels + max(batch.gathering, own)

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Nothing: what a block does depends on the parameters alone, and on what is drawn."""
        return {}

    def step(self, batch: Block, learning_rate: float) -> tuple[float, float]:
        """Take a step and return the summed cost of the block before it; the article's cost, which is NaN.

        Nothing is changed if the cost is not a finite number.
        """
        negatives = self._objective.draw(batch)
        cost, embedding, targets, noise = self._objective.block_gradients(self._parameters, batch, negatives)
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
