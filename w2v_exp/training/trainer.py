"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from time import perf_counter
from typing import NamedTuple

import numpy as np

from w2v_exp.errors import TrainingDivergedError
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.block import Block
from w2v_exp.model.objective import Objective
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.training.observers import EpochRecord, Observer, StepObserver
from w2v_exp.training.optimizers import GradientDescent, Optimizer
from w2v_exp.training.schedules import Constant, Schedule
from w2v_exp.training.steps import Steps, TakesSteps

DIVERGED = (
    "training diverged. "
    "Try a smaller learning_rate, a smaller batch_size (labels.tokens with blocks) or "
    "objective.embedding_gradient=mean."
)


class EpochSums(NamedTuple):
    """What the steps of an epoch add up to.

    Parameters
    ----------
    cost : float
        The negative log-likelihood of its pairs.
    article_cost : float
        The article's figure, or NaN.
    pairs : float
        How many there were.
    learning_rate : float
        At its last step.
    """

    cost: float
    article_cost: float
    pairs: float
    learning_rate: float


class Trainer:
    """Trains a word2vec model, step by step.

    Parameters
    ----------
    examples : TrainingExamples
        What to train on.
    parameters : Parameters
        Trained in place.
    objective : Objective
        Cost and gradients of a batch.
    optimizer : Optimizer
        What a step does with a gradient.
    steps : TakesSteps, optional
        What takes a step instead of these two, where batches are of a kind of their own.
    schedule : Schedule
        The factor of the learning rate at each step.
    epochs : int
        Passes over the examples; 0 leaves the parameters as they are.
    learning_rate : float
        Multiplied by the schedule's factor.
    generator : numpy.random.Generator
        Decides the order of the pairs, if chance has a part in it.
    observers : sequence of Observer
        Told of every epoch, and those that are a `StepObserver` of every step, outside the time that is measured.
    threads : int
        How many cores work on a large step; BLAS has its own setting.
    """

    def __init__(
        self,
        examples: TrainingExamples,
        parameters: Parameters,
        *,
        objective: Objective | None = None,
        optimizer: Optimizer | None = None,
        steps: TakesSteps | None = None,
        schedule: Schedule | None = None,
        epochs: int = 5000,
        learning_rate: float = 0.05,
        generator: np.random.Generator | None = None,
        observers: Sequence[Observer] = (),
        threads: int = 1,
    ) -> None:
        self.examples = examples
        self.parameters = parameters
        self.objective: Objective = objective or Softmax()
        self.optimizer = optimizer or GradientDescent()
        self.schedule = schedule or Constant()
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.generator = generator or np.random.default_rng(0)
        self.observers: list[Observer] = []
        self._step_observers: list[StepObserver] = []
        for observer in observers:
            self.watch(observer)
        self._seconds_told = 0.0
        self._seconds_to_start = 0.0
        self._steps_per_epoch = examples.batches_per_epoch
        self.total_steps = epochs * self._steps_per_epoch
        self.pairs_done = 0.0
        self.records: list[EpochRecord] = []
        self._steps: TakesSteps = steps or Steps(self.objective, self.optimizer, parameters, threads)

    def watch(self, observer: Observer) -> None:
        """Tell one more of every epoch, and of every step if it is a `StepObserver`."""
        self.observers.append(observer)
        if isinstance(observer, StepObserver):
            self._step_observers.append(observer)

    def train(self) -> list[EpochRecord]:
        """Train for all epochs and return a record of each.

        Raises
        ------
        TrainingDivergedError
            As soon as the cost of a step is not a finite number, or if the parameters are not finite after
            the last step. Records up to there are kept in `records`.
        """
        train_seconds = self._seconds_to_start
        # A run that diverges is told of by its cost; NumPy need not warn as well.
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch in range(self.epochs):
                started, self._seconds_told = perf_counter(), 0.0
                sums = self.train_epoch(epoch)
                train_seconds += perf_counter() - started - self._seconds_told
                cost = sums.cost / sums.pairs
                record = EpochRecord(epoch, cost, sums.learning_rate, sums.article_cost, train_seconds)
                self.records.append(record)
                for observer in self.observers:
                    observer.on_epoch(record)
        self._require_finite_parameters()
        return self.records

    def train_epoch(self, epoch: int) -> EpochSums:
        """Take the steps of one epoch; `train` does it for all of them.

        Raises
        ------
        TrainingDivergedError
            As soon as the cost of a step is not a finite number.
        """
        cost, article_cost, rate, pairs_before = 0.0, 0.0, self.learning_rate, self.pairs_done
        for number, batch in enumerate(self.examples.batches(self.generator)):
            rate = self._rate(epoch, number)
            batch_cost, batch_article_cost = self._step(batch, rate, epoch)
            cost += batch_cost
            article_cost += batch_article_cost
            self.pairs_done += batch.pairs
            self._tell_step()
        return EpochSums(cost, article_cost, self.pairs_done - pairs_before, rate)

    def _tell_step(self) -> None:
        """Tell those who want to know of every step; the time they take is not training."""
        if not self._step_observers:
            return
        started = perf_counter()
        for observer in self._step_observers:
            observer.on_step(self.pairs_done)
        self._seconds_told += perf_counter() - started

    @property
    def word_parameters(self) -> Parameters:
        """The parameters as they are now, with an output vector for each word: see `Objective.of_words`."""
        return self.objective.of_words(self.parameters)

    def rehearse(self, steps: int) -> None:
        """Take the first steps, so that their memory can be measured. The trainer is of no use afterwards."""
        with np.errstate(over="ignore", invalid="ignore"):
            for number, batch in enumerate(islice(self.examples.batches(self.generator), steps)):
                self._step(batch, self._rate(0, number), 0)

    def _rate(self, epoch: int, number: int) -> float:
        """Return the learning rate of a step, by its number in its epoch.

        Where the batches of an epoch are drawn, there may be fewer or more than expected. Each epoch begins where
        the schedule expects it; one that is too long stays at its last step, so the schedule never goes past its end.
        """
        step = epoch * self._steps_per_epoch + min(number, self._steps_per_epoch - 1)
        return self.learning_rate * self.schedule(step, self.total_steps, epoch, self.epochs)

    def _step(self, batch: Batch | Block, rate: float, epoch: int) -> tuple[float, float]:
        cost, article_cost = self._steps.take(batch, rate)
        if not math.isfinite(cost):
            raise TrainingDivergedError(
                f"The cost is {cost} in epoch {epoch} (learning rate {rate:.4g}): {DIVERGED}"
            )
        return cost, article_cost

    def _require_finite_parameters(self) -> None:
        """Look at what the last step has done: its cost was taken before it."""
        for matrix in (self.parameters.embedding, self.parameters.output):
            if not np.isfinite(matrix).all():
                raise TrainingDivergedError(f"The last step left parameters that are not finite: {DIVERGED}")
