"""The training loop, its state and its observers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from w2v_exp.cores import MOST_CORES
from w2v_exp.errors import SettingError, TrainingDivergedError
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.blocks import Block
from w2v_exp.model.objective import Objective
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.representation import ShortRepr, short
from w2v_exp.training.optimizers import GradientDescent, Optimizer
from w2v_exp.training.schedules import Constant, Schedule
from w2v_exp.training.steps import Steps, TakesSteps
from w2v_exp.validation import require_kind, require_methods, require_number, require_whole


class Stopwatch:
    """Adds up the seconds between each start and the next stop.

    Attributes
    ----------
    seconds : float
        Up to the last stop.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def start(self) -> None:
        """Let it run."""
        self._started = perf_counter()

    def stop(self) -> None:
        """Stop it, and add the time since it was started."""
        self.seconds += perf_counter() - self._started


DIVERGED = (
    "training diverged. "
    "Try a smaller learning_rate, a smaller batch_size (labels.tokens with blocks) or "
    "objective.embedding_gradient=mean."
)


def require_finite_cost(cost: float, epoch: int, learning_rate: float) -> None:
    """See that the cost of a step is a number.

    Raises
    ------
    TrainingDivergedError
        If it is not finite.
    """
    if not math.isfinite(cost):
        raise TrainingDivergedError(
            f"The training cost is {cost} in epoch {epoch} (learning rate {learning_rate:.4g}): {DIVERGED}"
        )


def require_finite_parameters(parameters: Parameters) -> None:
    """Look at what the last step has done: its cost was taken before it.

    Raises
    ------
    TrainingDivergedError
        If a matrix has an entry that is not finite.
    """
    for matrix in (parameters.embedding, parameters.output):
        if not np.isfinite(matrix).all():
            raise TrainingDivergedError(f"The last step left parameters that are not finite: {DIVERGED}")


class EpochRecord(NamedTuple):
    """One epoch, as it was.

    Parameters
    ----------
    epoch : int
        Its number, from 0.
    cost : float
        Mean cost per pair of the training objective in nats, epsilon 0, over this epoch's steps as they were taken;
        `ObjectiveRule.cost_metric` names it.
    learning_rate : float
        At its last step.
    article_cost : float
        The article's figure, the sum over batches of their mean cost with epsilon; NaN where epsilon is 0.
    train_seconds : float
        Time spent in training from the first epoch to the end of this one; observers are not in it.
    """

    epoch: int
    cost: float
    learning_rate: float
    article_cost: float
    train_seconds: float


class Observer(Protocol):
    """Someone who is told of every epoch."""

    def on_epoch(self, record: EpochRecord) -> None:
        """Take note of an epoch that has ended."""


@runtime_checkable
class StepObserver(Observer, Protocol):
    """An observer that is told of every step as well, since an epoch of a large corpus takes minutes."""

    def on_step(self, pairs_done: float) -> None:
        """Take note of how many pairs have been trained on since training began."""


GeneratorState = Mapping[str, Any]  # as `numpy.random.BitGenerator.state`


@dataclass
class EpochSums:
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
    steps : int
        How many there were.
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
    """What a training is between two steps.

    Parameters
    ----------
    records : list of EpochRecord
        The epochs that are over.
    sums : EpochSums
        Of the epoch that is under way; of no step between two epochs.
    pairs_done, train_seconds : float
        Since training began.
    ended_by : str
        Who has asked training to stop; empty while it goes on.
    epoch_generator : dict
        The state of the generator when that epoch began: all that chance decides of its batches comes from there.
    generator : dict
        Its state now.
    arrays : mapping of str to ndarray
        The parameters, and what the optimizer remembers. Those of `Trainer.state` are the trainer's own: they change as
        it goes on.
    """

    records: list[EpochRecord]
    sums: EpochSums
    pairs_done: float
    train_seconds: float
    ended_by: str
    epoch_generator: GeneratorState
    generator: GeneratorState
    arrays: Mapping[str, NDArray[Any]]

    def copy_into(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy the values of all arrays into those of a training that is to become this one.

        Raises
        ------
        ValueError
            If one of them is not there, or of another shape or dtype.
        """
        for name, array in arrays.items():
            saved = self.arrays.get(name)
            if saved is None or (saved.shape, saved.dtype) != (array.shape, array.dtype):
                raise ValueError(f"The state of another training: its array {name} is not like this one's.")
            np.copyto(array, saved)


SHORT_EPOCH = 0.01  # seconds


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

    Raises
    ------
    SettingError
        For the first argument that cannot be used.
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
        require_kind("observers", observers, Sequence, "a list of observers")
        epochs = require_whole("epochs", epochs, at_least=0)
        threads = require_whole("threads", threads, at_least=1, at_most=MOST_CORES)
        learning_rate = require_number("learning_rate", learning_rate, above=0)
        if len(parameters.embedding) != examples.vocabulary_size:
            raise SettingError(
                "parameters",
                short(parameters),
                f"must have a row for each of the {examples.vocabulary_size:,} words.",
            )
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
        self._steps_per_epoch = examples.batches_per_epoch
        self.total_steps = epochs * self._steps_per_epoch
        self.pairs_done = 0.0
        self.records: list[EpochRecord] = []
        self.ended_by = ""
        self._steps: TakesSteps = steps or Steps(self.objective, self.optimizer, parameters, threads)
        self._stopwatch = Stopwatch()
        self._sums = EpochSums()  # of the epoch that is under way
        self._epoch_generator: GeneratorState | None = None  # as it was when that began
        self._epoch_seconds = math.inf  # that the last one took; the first may be long
        self._restored_generator: GeneratorState = {}  # as it was when a state was taken in that

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(examples={self.examples!r}, parameters={self.parameters!r}, "
            f"objective={type(self.objective).__name__}, optimizer={self.optimizer!r}, schedule={self.schedule!r}, "
            f"epochs={self.epochs}, learning_rate={self.learning_rate})"
        )

    def watch(self, observer: Observer) -> None:
        """Tell one more of every epoch, and of every step if it is a `StepObserver`."""
        self.observers.append(observer)
        if isinstance(observer, StepObserver):
            self._step_observers.append(observer)

    def train(self) -> list[EpochRecord]:
        """Train for all epochs, or those that are left of them, and return a record of each.

        Raises
        ------
        TrainingDivergedError
            As soon as the cost of a step is not a finite number, or if the parameters are not finite after
            the last step. Records up to there are kept in `records`.
        """
        # A run that diverges is told of by its cost; NumPy need not warn as well.
        with np.errstate(over="ignore", invalid="ignore"):
            while len(self.records) < self.epochs and not self.ended_by:
                epoch, before = len(self.records), self.train_seconds
                self._stopwatch.start()
                sums = self.train_epoch(epoch)
                self._stopwatch.stop()
                self._epoch_seconds = self.train_seconds - before
                cost = sums.cost / sums.pairs
                record = EpochRecord(epoch, cost, sums.learning_rate, sums.article_cost, self.train_seconds)
                self.records.append(record)
                for observer in self.observers:
                    observer.on_epoch(record)
        require_finite_parameters(self.parameters)
        return self.records

    def train_epoch(self, epoch: int) -> EpochSums:
        """Take the steps of one epoch; `train` does it for all of them.

        Raises
        ------
        TrainingDivergedError
            As soon as the cost of a step is not a finite number.
        """
        sums = self._sums
        for batch in self._batches_to_come():
            rate = self._rate(epoch, sums.steps)
            sums.add(*self._step(batch, rate, epoch), batch.pairs, rate)
            self.pairs_done += batch.pairs
            self._tell_step()
            if self.ended_by:
                break
        self._sums = EpochSums()
        return sums

    @property
    def train_seconds(self) -> float:
        """Time spent in training up to now, as observers are told it: without what they take."""
        return self._stopwatch.seconds

    def stop(self, reason: str) -> None:
        """End training after the step that is under way; for observers. The epoch's record is of its steps up to there.

        What was asked first stays in `ended_by`.
        """
        self.ended_by = self.ended_by or reason

    def state(self) -> TrainingState | None:
        """Return what training is now; for observers. None within an epoch that is over in a moment: ask at its end.

        A trainer that is made alike and restores it goes on to the same parameters, to the byte.
        """
        now: GeneratorState = self.generator.bit_generator.state
        began = self._epoch_generator if self._sums.steps else now
        if began is None:
            return None
        return TrainingState(
            records=self.records,
            sums=self._sums,
            pairs_done=self.pairs_done,
            train_seconds=self.train_seconds,
            ended_by=self.ended_by,
            epoch_generator=began,
            generator=now,
            arrays=self._arrays(),
        )

    def restore(self, state: TrainingState) -> None:
        """Become what the trainer was whose state this is; to be called before training.

        Raises
        ------
        ValueError
            If it is the state of another training: its arrays are not those of this one.
        """
        state.copy_into(self._arrays())
        self.records[:] = state.records
        self.pairs_done = state.pairs_done
        self.ended_by = state.ended_by
        self._stopwatch.seconds = state.train_seconds
        self._sums = EpochSums(**vars(state.sums))
        self.generator.bit_generator.state = state.epoch_generator
        self._restored_generator = state.generator

    @property
    def word_parameters(self) -> Parameters:
        """The parameters as they are now, with an output vector for each word: see `Objective.of_words`."""
        return self.objective.of_words(self.parameters)

    def rehearse(self, steps: int) -> float:
        """Take the first steps, so that their memory can be measured; return the seconds of the fastest one.

        The trainer is of no use afterwards.
        """
        seconds = math.inf
        with np.errstate(over="ignore", invalid="ignore"):
            began = perf_counter()
            for number, batch in enumerate(islice(self.examples.batches(self.generator), steps)):
                self._step(batch, self._rate(0, number), 0)
                seconds, began = min(seconds, perf_counter() - began), perf_counter()
        return seconds

    def _batches_to_come(self) -> Iterator[Any]:
        """Return the batches of the epoch that is under way, those left out that have been trained on.

        They are made once more, from the generator as it was when the epoch began. Whatever else has been drawn since
        then was drawn by steps, so afterwards it is set to what it was after the last of these.
        """
        # To ask for it takes a thirtieth of the time of the article's epochs.
        is_long = self._epoch_seconds > SHORT_EPOCH
        self._epoch_generator = self.generator.bit_generator.state if is_long else None
        batches = iter(self.examples.batches(self.generator))
        if self._sums.steps:
            deque(islice(batches, self._sums.steps), maxlen=0)
            self.generator.bit_generator.state = self._restored_generator
        return batches

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that steps change, by name."""
        named = vars(self.parameters) | dict(self._steps.state)
        return {name: array for name, array in named.items() if array is not None}

    def _tell_step(self) -> None:
        """Tell those who want to know of every step; the time they take is not training."""
        if not self._step_observers:
            return
        self._stopwatch.stop()
        for observer in self._step_observers:
            observer.on_step(self.pairs_done)
        self._stopwatch.start()

    def _rate(self, epoch: int, number: int) -> float:
        """Return the learning rate of a step, by its number in its epoch.

        Where the batches of an epoch are drawn, there may be fewer or more than expected. Each epoch begins where
        the schedule expects it; one that is too long stays at its last step, so the schedule never goes past its end.
        """
        step = epoch * self._steps_per_epoch + min(number, self._steps_per_epoch - 1)
        return self.learning_rate * self.schedule(step, self.total_steps, epoch, self.epochs)

    def _step(self, batch: Batch | Block, rate: float, epoch: int) -> tuple[float, float]:
        cost, article_cost = self._steps.take(batch, rate)
        require_finite_cost(cost, epoch, rate)
        return cost, article_cost
