"""The training loop, its state and its callbacks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter, process_time
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import (
    SettingError,
    ShortRepr,
    TrainingDivergedError,
    require_kind,
    require_methods,
    require_number,
    require_whole,
    short,
)
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.blocks import Block
from w2v_exp.machine import MOST_CORES
from w2v_exp.model.objective import Objective
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.training.optimizers import GradientDescent, Optimizer
from w2v_exp.training.schedules import Constant, Schedule
from w2v_exp.training.steps import Stepper, build_stepper

DIVERGED = (
    "training diverged. "
    "Try a smaller learning_rate, a smaller batch_size (labels.tokens with blocks) or "
    "objective.embedding_gradient=mean."
)


class EpochRecord(NamedTuple):
    """The figures of a finished epoch.

    Parameters
    ----------
    epoch : int
        Its number, from 0.
    cost : float
        Mean training cost, nats per pair, with epsilon 0. Each step's cost is computed before its update;
        `ObjectiveRule.cost_metric` names the metric.
    learning_rate : float
        Of the last step.
    article_cost : float
        The article's cost: the sum over batches of their mean cost with epsilon; NaN where epsilon is 0.
    train_seconds : float
        Training time from the start of the first epoch to the end of this one, without callbacks.
    """

    epoch: int
    cost: float
    learning_rate: float
    article_cost: float
    train_seconds: float


class Callback(Protocol):
    """An object that a trainer calls after every epoch."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Handle the end of an epoch."""


@runtime_checkable
class StepCallback(Callback, Protocol):
    """A callback that is called after every step as well.

    An epoch of a large corpus takes minutes.
    """

    def on_step(self, pairs_done: float) -> None:
        """Handle the end of a step; `pairs_done` is counted over all epochs."""


class StatefulCallback(Protocol):
    """A callback whose state belongs in a checkpoint."""

    def state(self) -> Any:
        """Return the state, as a value that JSON can hold."""

    def restore(self, state: Any) -> None:
        """Restore a state that `state` returned."""


GeneratorState = Mapping[str, Any]  # as `numpy.random.BitGenerator.state`


@dataclass
class EpochSums:
    """Sums over the steps of an epoch.

    Parameters
    ----------
    cost : float
        Negative log-likelihood of the pairs, in nats.
    article_cost : float
        The article's cost, or NaN.
    pairs : float
        Number of pairs.
    learning_rate : float
        Of the last step (not a sum).
    steps : int
        Number of steps.
    """

    cost: float = 0.0
    article_cost: float = 0.0
    pairs: float = 0.0
    learning_rate: float = 0.0
    steps: int = 0

    def add(self, cost: float, article_cost: float, pairs: float, learning_rate: float) -> None:
        """Add a step."""
        self.cost += cost
        self.article_cost += article_cost
        self.pairs += pairs
        self.learning_rate = learning_rate
        self.steps += 1


@dataclass(frozen=True, repr=False)
class TrainingState(ShortRepr):
    """Snapshot of a training between two steps.

    A trainer that is built alike and restores it trains on to the same parameters, to the byte.

    Parameters
    ----------
    records : list of EpochRecord
        Of the finished epochs.
    sums : EpochSums
        Of the current epoch; without steps between two epochs.
    pairs_done, train_seconds : float
        Since training began.
    ended_by : str
        Reason for which training was stopped; empty while it runs.
    epoch_generator : dict
        Generator state at the start of the current epoch, which determines the epoch's batches.
    generator : dict
        Generator state now.
    arrays : mapping of str to ndarray
        The parameters and the optimizer's arrays. In a state from `Trainer.state` they are the trainer's own, and
        change when it trains on.
    """

    records: list[EpochRecord]
    sums: EpochSums
    pairs_done: float
    train_seconds: float
    ended_by: str
    epoch_generator: GeneratorState
    generator: GeneratorState
    arrays: Mapping[str, NDArray[Any]]


class Timer:
    """Adds up the seconds from each start to the next stop."""

    def __init__(self) -> None:
        self.seconds = 0.0  # up to the last stop
        self._started = 0.0

    def start(self) -> None:
        """Start measuring."""
        self._started = perf_counter()

    def stop(self) -> None:
        """Add the time since the last start."""
        self.seconds += perf_counter() - self._started


class Trainer:
    """Trains a word2vec model.

    Parameters
    ----------
    examples : TrainingExamples
        The training examples.
    parameters : Parameters
        Trained in place.
    objective : Objective
        Cost and gradients of a batch.
    optimizer : Optimizer
        Updates the parameters by a gradient.
    steps : Stepper, optional
        Replaces objective and optimizer where batches are of another kind, such as blocks.
    schedule : Schedule
        The factor of the learning rate at each step.
    epochs : int
        Passes over the examples; 0 leaves the parameters as they are.
    learning_rate : float
        Multiplied by the schedule's factor.
    generator : numpy.random.Generator
        Source of all randomness, such as the order of the pairs.
    callbacks : sequence of Callback
        Called in this order after every epoch, each `StepCallback` after every step as well. Their time does not
        count as training time.
    threads : int
        Cores for a large step; BLAS has its own setting.

    Raises
    ------
    SettingError
        For the first invalid argument.
    """

    def __init__(
        self,
        examples: TrainingExamples,
        parameters: Parameters,
        *,
        objective: Objective | None = None,
        optimizer: Optimizer | None = None,
        steps: Stepper | None = None,
        schedule: Schedule | None = None,
        epochs: int = 5000,
        learning_rate: float = 0.05,
        generator: np.random.Generator | None = None,
        callbacks: Sequence[Callback] = (),
        threads: int = 1,
    ) -> None:
        require_kind("examples", examples, TrainingExamples, "examples, such as Examples(pairs)")
        require_kind("parameters", parameters, Parameters, "parameters, as an initialization returns them")
        for key, value, method, description in (
            ("objective", objective, "step", "an objective, such as Softmax()"),
            ("optimizer", optimizer, "update", "an optimizer, such as GradientDescent()"),
            ("schedule", schedule, "__call__", "a schedule, such as Constant()"),
        ):
            if value is not None:
                require_methods(key, value, method, description=description)
        if generator is not None:
            require_kind("generator", generator, np.random.Generator, "a generator, such as default_rng(0)")
        require_kind("callbacks", callbacks, Sequence, "a list of callbacks")
        epochs = require_whole("epochs", epochs, at_least=0)
        threads = require_whole("threads", threads, at_least=1, at_most=MOST_CORES)
        learning_rate = require_number("learning_rate", learning_rate, above=0)
        if len(parameters.embedding) != examples.centre_words:
            raise SettingError(
                "parameters",
                short(parameters),
                f"must have a row for each of the {examples.centre_words:,} words.",
            )
        self.examples = examples
        self.parameters = parameters
        self.objective: Objective = objective or Softmax()
        self.optimizer = optimizer or GradientDescent()
        self.schedule = schedule or Constant()
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.generator = generator or np.random.default_rng(0)
        self.callbacks: list[Callback] = []
        self._step_callbacks: list[StepCallback] = []
        for callback in callbacks:
            self.add_callback(callback)
        self._steps_per_epoch = examples.batches_per_epoch
        self.total_steps = epochs * self._steps_per_epoch
        self.pairs_done = 0.0
        self.records: list[EpochRecord] = []
        self.ended_by = ""
        self._stepper: Stepper = steps or build_stepper(
            examples, self.objective, self.optimizer, parameters, threads
        )
        self._timer = Timer()
        self._sums = EpochSums()  # of the current epoch
        self._epoch_generator: GeneratorState = {}  # at the start of the current epoch

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(examples={self.examples!r}, parameters={self.parameters!r}, "
            f"objective={type(self.objective).__name__}, optimizer={self.optimizer!r}, schedule={self.schedule!r}, "
            f"epochs={self.epochs}, learning_rate={self.learning_rate})"
        )

    def add_callback(self, callback: Callback) -> None:
        """Call `callback` after every epoch; a `StepCallback` after steps as well."""
        self.callbacks.append(callback)
        if isinstance(callback, StepCallback):
            self._step_callbacks.append(callback)

    def train(self) -> list[EpochRecord]:
        """Train for the remaining epochs and return the records of all.

        Raises
        ------
        TrainingDivergedError
            As soon as the cost of a step is not finite, or if the parameters are not finite after the last step.
            The records up to there stay in `records`.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # divergence raises an error of its own
            while len(self.records) < self.epochs and not self.ended_by:
                epoch = len(self.records)
                self._timer.start()
                sums = self.train_epoch(epoch)
                self._timer.stop()
                cost = sums.cost / sums.pairs
                record = EpochRecord(epoch, cost, sums.learning_rate, sums.article_cost, self.train_seconds)
                self.records.append(record)
                for callback in self.callbacks:
                    callback.on_epoch(record)
        for matrix in (self.parameters.embedding, self.parameters.output):
            if not np.isfinite(matrix).all():  # a step's cost is computed before its update
                raise TrainingDivergedError(f"The last step left parameters that are not finite: {DIVERGED}")
        return self.records

    def train_epoch(self, epoch: int) -> EpochSums:
        """Train for an epoch, or the rest of a restored one; return its sums.

        Raises
        ------
        TrainingDivergedError
            As soon as the cost of a step is not finite.
        """
        sums, generator = self._sums, self.generator.bit_generator
        if not sums.steps:
            if self._step_callbacks:  # only they can take a state within an epoch; this takes 2 µs of 35
                self._epoch_generator = generator.state
            batches = iter(self.examples.batches(self.generator))
        else:  # restored: generate the epoch's batches again, and skip those that have been trained on
            now, generator.state = generator.state, self._epoch_generator
            batches = iter(self.examples.batches(self.generator))
            deque(islice(batches, sums.steps), maxlen=0)
            generator.state = now  # steps may have drawn since, as negatives
        for batch in batches:
            rate = self._rate(epoch, sums.steps)
            cost, article_cost = self._step(batch, rate, epoch)
            sums.add(cost, article_cost, batch.pairs, rate)
            self.pairs_done += batch.pairs
            if self._step_callbacks:
                self._call_step_callbacks()
            if self.ended_by:
                break
        self._sums = EpochSums()
        return sums

    @property
    def train_seconds(self) -> float:
        """Training time up to the last step, in seconds, without callbacks."""
        return self._timer.seconds

    def stop(self, reason: str) -> None:
        """End training after the current step; for callbacks.

        The epoch's record covers the steps up to there. The first reason stays in `ended_by`.
        """
        self.ended_by = self.ended_by or reason

    def state(self) -> TrainingState | None:
        """Return the current state; for callbacks.

        None while it cannot be saved, as within the epochs of `HogwildTrainer`.
        """
        now: GeneratorState = self.generator.bit_generator.state
        return TrainingState(
            records=self.records,
            sums=self._sums,
            pairs_done=self.pairs_done,
            train_seconds=self.train_seconds,
            ended_by=self.ended_by,
            epoch_generator=self._epoch_generator if self._sums.steps else now,
            generator=now,
            arrays=self._arrays(),
        )

    def restore(self, state: TrainingState) -> None:
        """Restore a state before training, so that training continues from it.

        Raises
        ------
        ValueError
            If an array of this training is missing in the state, or of another shape or dtype there.
        """
        for name, array in self._arrays().items():
            saved = state.arrays.get(name)
            if saved is None or (saved.shape, saved.dtype) != (array.shape, array.dtype):
                raise ValueError(f"The state is of another training: its array {name} does not fit this one.")
            np.copyto(array, saved)
        self.records[:] = state.records
        self.pairs_done = state.pairs_done
        self.ended_by = state.ended_by
        self._timer.seconds = state.train_seconds
        self._sums = EpochSums(**vars(state.sums))
        self._epoch_generator = state.epoch_generator
        self.generator.bit_generator.state = state.generator

    @property
    def word_parameters(self) -> Parameters:
        """The parameters with an output vector per word.

        See `Objective.to_word_vectors`.
        """
        return self.objective.to_word_vectors(self.parameters)

    def dry_run(self, steps: int) -> float:
        """Take the first steps, to measure memory; return the fastest's seconds.

        Of the time and the processor time of a step, the shorter one counts: other processes can make a step of a
        millisecond take a hundred times as long, and threads take more processor time. The trainer cannot be used
        afterwards.
        """
        seconds = math.inf
        with np.errstate(over="ignore", invalid="ignore"):
            began, processor_began = perf_counter(), process_time()
            for number, batch in enumerate(islice(self.examples.batches(self.generator), steps)):
                self._step(batch, self._rate(0, number), 0)
                seconds = min(seconds, perf_counter() - began, process_time() - processor_began)
                began, processor_began = perf_counter(), process_time()
        return seconds

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Return every array that steps change, by name."""
        named = vars(self.parameters) | dict(self._stepper.state)
        return {name: array for name, array in named.items() if array is not None}

    def _call_step_callbacks(self) -> None:
        """Call the step callbacks, with the timer stopped."""
        self._timer.stop()
        for callback in self._step_callbacks:
            callback.on_step(self.pairs_done)
        self._timer.start()

    def _rate(self, epoch: int, number: int) -> float:
        """Return the learning rate of a step, by its number in its epoch.

        Where an epoch's batches are sampled, their number differs from the expected one. Each epoch starts where the
        schedule expects it, and surplus steps get the rate of the last expected one.
        """
        step = epoch * self._steps_per_epoch + min(number, self._steps_per_epoch - 1)
        return self.learning_rate * self.schedule(step, self.total_steps, epoch, self.epochs)

    def _step(self, batch: Batch | Block, rate: float, epoch: int) -> tuple[float, float]:
        cost, article_cost = self._stepper.step(batch, rate)
        if not math.isfinite(cost):
            raise TrainingDivergedError(
                f"The training cost is {cost} in epoch {epoch} (learning rate {rate:.4g}): {DIVERGED}"
            )
        return cost, article_cost
