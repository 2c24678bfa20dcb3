"""Steps: gradients and updates of a batch or a block."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise, repeat
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import ThreadpoolController

from w2v_exp.examples.batch import Batch, SparseCounts
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.blocks import MOST_TOKENS, Block
from w2v_exp.examples.statistics import BatchMemory, BatchShape
from w2v_exp.machine import Work
from w2v_exp.model.negative_sampling import RowGradients, SampledObjective
from w2v_exp.model.objective import Objective, ObjectiveRule
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.sampled_softmax import SLICES_OF_ROUND, Round, SampledSoftmax, SamplingSoftmax
from w2v_exp.model.softmax import Softmax, Step, Workspace
from w2v_exp.scatter import add_scaled_rows
from w2v_exp.training.optimizers import ALL_ROWS, Optimizer

MapBlocks = Callable[[Callable[[slice], None], list[slice]], Iterable[None]]

SMALLEST_PART = 1 << 20  # scores of a thread; with fewer, synchronization takes longer than the work
BLOCK_ROWS = 2048  # rows updated at a time: with their gradient, they fit the second-level cache


class Stepper(Protocol):
    """Updates parameters by the gradients of a batch."""

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Arrays kept from step to step, by name; changed in place."""

    def step(self, batch: Any, learning_rate: float) -> tuple[float, float]:
        """Update the parameters; return the batch's summed cost before that.

        The second value is the batch's article cost, or NaN.

        The parameters stay as they are if the cost is not finite.
        """


class Steps:
    """Updates parameters by an objective's gradients and an optimizer.

    With several threads, a large batch is divided by centres into a part per thread. That parallelizes all passes over
    the scores, exponentials and sums as well as products; BLAS by itself would parallelize the products only.

    Parameters
    ----------
    objective : Objective
        Cost and gradients of a batch.
    optimizer : Optimizer
        Updates a matrix by its gradient.
    parameters : Parameters
        Updated in place.
    threads : int
        Number of cores for a step.
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
        self._updates_by_block = len(parameters.output) > BLOCK_ROWS and optimizer.rows_are_independent
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
        objective: ObjectiveRule | None = None,
    ) -> int:
        """Return the largest memory of a step, in bytes.

        Parameters and the state of the optimizer are not included.
        """
        row = dim * np.dtype(dtype).itemsize
        k, V = batch.centres, vocabulary_size
        parts = _parts(k * V, threads)
        scores = (objective or Softmax()).scores_memory(batch, V, dim, dtype)
        gradients = (k + V * parts) * row
        if optimizer.rows_are_independent:
            updating = optimizer.temporary_matrices * max(k, min(V, BLOCK_ROWS)) * row
        else:
            updating = optimizer.temporary_matrices * V * row
        products = 2 * k * row  # the centres' rows, and the factor of the output gradient
        # The scores' memory is kept from step to step, a batch until the next one is made.
        return (
            scores
            + batch.labels
            + max(batch.next_batch, batch.temporary, gradients + max(products, updating))
        )

    @staticmethod
    def work(
        batch: BatchShape,
        vocabulary_size: int,
        dim: int,
        optimizer: Optimizer,
        objective: ObjectiveRule,
    ) -> Work:
        """Return the operations of a step."""
        rows = objective.output_rows(vocabulary_size) + batch.centres
        passes = 6 + 12 * optimizer.state_matrices
        averaging = Work(  # context embeddings, of cbow
            passed=4.0 * batch.words * dim, gathered=4.0 * batch.words, calls=40.0 * (batch.words > 0)
        )
        updating = Work(passed=float(passes) * rows * dim, calls=20)
        return objective.step_work(batch, vocabulary_size, dim) + updating + averaging

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """The optimizer's arrays for each matrix, as ``embedding.velocity``."""
        states = {
            "embedding": self._embedding_state,
            "output": self._output_state,
            "offset": self._offset_state,
        }
        return {f"{of}.{name}": array for of, state in states.items() for name, array in state.items()}

    def step(self, batch: Batch, learning_rate: float) -> tuple[float, float]:
        """Update the parameters; return the batch's costs before that."""
        parts = 1
        if self._threads > 1 and isinstance(batch.labels, SparseCounts) and batch.context_matrix is None:
            parts = _parts(len(batch.centres) * len(self._parameters.output), self._threads)
        if parts == 1:
            step = self._objective.step(self._parameters, batch, self._workspaces[0])
            if self._updates_by_block:
                return self._finish(batch, [step], [1.0], learning_rate, map)
            return self._finish_small(batch, step, learning_rate)
        assert self._blas is not None
        with self._blas.limit(limits=1, user_api="blas"), ThreadPoolExecutor(parts) as pool:
            batches = batch.parts(parts, len(self._parameters.output))
            steps = list(pool.map(self._objective.step, repeat(self._parameters), batches, self._workspaces))
            shares = [part.pairs / batch.pairs for part in batches]
            return self._finish(batch, steps, shares, learning_rate, pool.map)

    def _finish_small(self, batch: Batch, step: Step, learning_rate: float) -> tuple[float, float]:
        """Do the same as `_finish` for a step in one part with few rows, whose time is that of calls."""
        if math.isfinite(step.cost):
            parameters, update = self._parameters, self._optimizer.update
            update(
                parameters.embedding,
                self._embedding_state,
                batch.rows,
                step.embedding_gradient,
                learning_rate,
            )
            update(parameters.output, self._output_state, ALL_ROWS, step.output_gradient, learning_rate)
            if parameters.offset is not None and step.offset_gradient is not None:
                update(parameters.offset, self._offset_state, ALL_ROWS, step.offset_gradient, learning_rate)
        return step.cost, step.article_cost

    def _finish(
        self,
        batch: Batch,
        steps: list[Step],
        shares: list[float],
        learning_rate: float,
        map_blocks: MapBlocks,
    ) -> tuple[float, float]:
        """Update by the summed gradients of a batch's parts; return their costs."""
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

        rows, blocks = len(parameters.output), [ALL_ROWS]
        if self._updates_by_block:
            blocks = [slice(first, min(first + BLOCK_ROWS, rows)) for first in range(0, rows, BLOCK_ROWS)]
        for _ in map_blocks(update_output, blocks):
            pass
        if parameters.offset is not None and steps[0].offset_gradient is not None:
            gradients = [step.offset_gradient for step in steps if step.offset_gradient is not None]
            gradient = gradients[0] if len(gradients) == 1 else np.add.reduce(gradients)
            update(parameters.offset, self._offset_state, ALL_ROWS, gradient, learning_rate)
        return cost, article_cost


def _parts(scores: int, threads: int) -> int:
    """Return the number of parts of a batch with this number of scores."""
    return threads if scores >= threads * SMALLEST_PART else 1


class SampledSoftmaxSteps(Steps):
    """Updates parameters by descent on rounds, with samples of rare contexts and centres.

    Each slice of a round updates the embeddings of its centres and the output weights of the frequent contexts; the
    round then updates the output weights of the rare ones, by the gradients of all its centres at the embeddings of
    its beginning, as its normalizers are.
    """

    @staticmethod
    def round_memory(
        batch: BatchMemory,
        vocabulary_size: int,
        dim: int,
        dtype: DTypeLike,
        optimizer: Optimizer,
        threads: int,
        objective: SampledSoftmax,
    ) -> int:
        """Return the largest memory of a step, in bytes, beside parameters and the optimizer's state."""
        row = dim * np.dtype(dtype).itemsize
        columns = min(vocabulary_size, objective.frequent_words + objective.sampled_words)
        slices = objective.scores_memory(batch, vocabulary_size, dim, dtype)
        slices += (columns * (1 + 2 * threads) + 4 * batch.centres) * row
        in_round = min(1.0, SLICES_OF_ROUND * batch.centres / vocabulary_size)
        rare = threads * BLOCK_ROWS * (round(in_round * columns) * np.dtype(dtype).itemsize + 4 * row)
        return batch.labels + max(batch.temporary + slices + rare, batch.next_batch)

    def step(self, batch: Any, learning_rate: float) -> tuple[float, float]:
        """Update the parameters; return the round's summed cost, each slice's before its update, and NaN."""
        if self._blas is None:
            return self._step(batch, learning_rate, map), math.nan
        with self._blas.limit(limits=1, user_api="blas"), ThreadPoolExecutor(self._threads) as pool:
            return self._step(batch, learning_rate, pool.map), math.nan

    def _step(self, batch: Round, learning_rate: float, run: Callable[..., Iterable[Any]]) -> float:
        objective, parameters, update = self._objective, self._parameters, self._optimizer.update
        assert isinstance(objective, SamplingSoftmax)
        embedding, output, frequent = parameters.embedding, parameters.output, objective.frequent
        hidden = embedding[batch.centres]
        rare = objective.rare_pairs(batch, hidden, output)
        cost, logs = 0.0, list[NDArray[Any]]()
        for start in range(0, len(batch.centres), batch.size):
            stop = min(start + batch.size, len(batch.centres))
            edges = np.linspace(start, stop, min(self._threads, stop - start) + 1).astype(int).tolist()
            columns = objective.draw_contexts(output)
            steps: list[Step] = list(
                run(
                    partial(objective.centre_step, parameters, columns),
                    [batch.part(*ends) for ends in pairwise(edges)],
                    [rare.part(*ends) for ends in pairwise(edges)],
                    self._workspaces,
                )
            )
            cost += sum(step.cost for step in steps)
            if not math.isfinite(cost):
                return cost
            gradient = np.concatenate([step.embedding_gradient for step in steps])
            update(embedding, self._embedding_state, batch.centres[start:stop], gradient, learning_rate)
            gradient = steps[0].output_gradient
            for step in steps[1:]:
                gradient += step.output_gradient
            update(output, self._output_state, slice(0, frequent), gradient, learning_rate)
            logs += [step.log_normalizer for step in steps if step.log_normalizer is not None]
        if frequent == len(output):
            return cost
        sample = objective.draw_centres(batch, hidden, rare, np.concatenate(logs))

        def update_rare(rows: slice) -> None:
            gradient = objective.rare_gradient(output, rows, sample)
            update(output, self._output_state, rows, gradient, learning_rate)

        starts = range(frequent, len(output), BLOCK_ROWS)
        deque(run(update_rare, [slice(first, min(first + BLOCK_ROWS, len(output))) for first in starts]), 0)
        return cost


SMALLEST = 1e-12  # lower limit of rate · curvature: avoids 0/0; (1 − exp(−x))/x is 1 − 5e-13 there
# Share of the upper bound of a row's curvature, which is reached only where all other rows are parallel. A share of 1
# costs two points of analogies; a share of 0 costs half a point and diverges with word frequencies of natural text.
CURVATURE_SHARE = 0.3
# In blocks smaller than MOST_TOKENS, the share is proportionally smaller, as fewer gradients are computed at old
# parameters. (The bound includes a row's own pairs: a share of .3 would damp a word that occurs once in a block of 32
# centres by a fifth, and raise the final cost on a text of 49,000 words by .04.) In a small vocabulary, however, other
# rows are parallel: with two words, blocks of 16 diverge without a share of at least FEW_WORDS / V of CURVATURE_SHARE.
FEW_WORDS = 128


def curvature_share(size: int, vocabulary_size: int) -> float:
    """Return the share of the curvature's bound for steps of a size: centres of a block, or pairs of a batch."""
    return CURVATURE_SHARE * min(1.0, max(size / MOST_TOKENS, FEW_WORDS / vocabulary_size))


def bounded_rates(curvatures: NDArray[Any], share: float, learning_rate: float) -> NDArray[np.float64]:
    """Return the learning rate of each row, negative and bounded by its curvature: see `BlockSteps`.

    Parameters
    ----------
    curvatures : ndarray
        Upper bounds, summed over the gradients of each row.
    share : float
        From `curvature_share`.
    learning_rate : float
        Of a row without curvature.
    """
    exponents: NDArray[np.float64] = curvatures.astype(np.float64)
    exponents *= share * learning_rate
    np.maximum(exponents, SMALLEST, out=exponents)
    rates: NDArray[np.float64] = np.expm1(-exponents)
    rates *= learning_rate
    rates /= exponents
    return rates


class BlockSteps:
    """Updates parameters by descent on blocks, with bounded row updates.

    As in word2vec, the learning rate applies to each pair, and the gradients of a row are summed. Word2vec computes
    the gradient of a pair after the update by the previous one; here, all gradients of a block are computed at the
    same parameters. The summed update of a row with many pairs, that of a frequent word, would overshoot. Along a
    direction of curvature c, the distance to the optimum shrinks by the factor exp(−rate·c) in many small steps, but
    1 − rate·c in their sum. So each row's update is multiplied by (1 − exp(−x))/x with x = rate·c: nearly 1 for small
    x, and never beyond the optimum, whatever rate and block.

    Parameters
    ----------
    objective : SampledObjective
        Cost and gradients of a block, and the draw of its negatives.
    parameters : Parameters
        Updated in place: C-contiguous matrices, in shared memory or not.
    tokens : int
        Centres per block. Below 1,024, x is multiplied by tokens/1024, or by 128/V if that is more.
    embedding_rate : float
        Factor of the learning rate for the embedding, above 0.
    """

    def __init__(
        self,
        objective: SampledObjective,
        parameters: Parameters,
        tokens: int = MOST_TOKENS,
        embedding_rate: float = 1.0,
    ) -> None:
        self._objective = objective
        self._embedding_rate = embedding_rate
        self._parameters = parameters
        self._share = curvature_share(tokens, len(parameters.embedding))
        self._curvatures = np.zeros(len(parameters.embedding), parameters.embedding.dtype)

    @staticmethod
    def memory(
        batch: BatchMemory, vocabulary_size: int, dim: int, dtype: DTypeLike, objective: ObjectiveRule
    ) -> int:
        """Return the largest memory of a step, in bytes, beside the parameters."""
        gradients = objective.scores_memory(batch, vocabulary_size, dim, dtype)
        return 8 * vocabulary_size + batch.labels + max(batch.next_batch, gradients)

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Empty: nothing but parameters and generator changes."""
        return {}

    def step(self, batch: Block, learning_rate: float) -> tuple[float, float]:
        """Update the parameters; return the block's summed cost before, and NaN."""
        negatives = self._objective.draw(batch)
        cost, embedding, output = self._objective.block_gradients(self._parameters, batch, negatives)
        if math.isfinite(cost):
            self._descend(self._parameters.embedding, embedding, learning_rate * self._embedding_rate)
            self._descend(self._parameters.output, output, learning_rate)
        return cost, math.nan

    def _descend(self, matrix: NDArray[np.floating], rows: RowGradients, learning_rate: float) -> None:
        """Subtract gradients from a matrix, bounded by each row's curvature."""
        curvatures, words = self._curvatures, rows.words.astype(np.intp)
        curvatures[words] = 0
        np.add.at(curvatures, words, rows.curvature)
        rates = bounded_rates(curvatures.take(words), self._share, learning_rate)
        add_scaled_rows(matrix, rows.words, rows.gradient, rates.astype(matrix.dtype))


def build_stepper(
    examples: TrainingExamples,
    objective: Objective,
    optimizer: Optimizer,
    parameters: Parameters,
    threads: int = 1,
) -> Stepper:
    """Return the stepper of these examples and this objective."""
    if examples.block and isinstance(objective, SampledObjective):
        return BlockSteps(objective, parameters, examples.block.tokens)
    if isinstance(objective, SamplingSoftmax):
        return SampledSoftmaxSteps(objective, optimizer, parameters, threads)
    return Steps(objective, optimizer, parameters, threads)


def step_memory(
    batch: BatchMemory,
    vocabulary_size: int,
    dim: int,
    dtype: DTypeLike,
    optimizer: Optimizer,
    threads: int,
    objective: ObjectiveRule,
) -> int:
    """Return the largest memory of a step with such batches, in bytes."""
    if isinstance(objective, SampledSoftmax):
        return SampledSoftmaxSteps.round_memory(
            batch, vocabulary_size, dim, dtype, optimizer, threads, objective
        )
    if batch.block is None:
        return Steps.memory(batch, vocabulary_size, dim, dtype, optimizer, threads, objective)
    return BlockSteps.memory(batch, vocabulary_size, dim, dtype, objective)


def step_work(
    batch: BatchShape, vocabulary_size: int, dim: int, optimizer: Optimizer, objective: ObjectiveRule
) -> Work:
    """Return the operations of a step of the stepper for such batches."""
    if batch.block is None:
        return Steps.work(batch, vocabulary_size, dim, optimizer, objective)
    return objective.step_work(batch, vocabulary_size, dim)
