"""Observers of training: early stopping, and costs measured after epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from w2v_exp.training.trainer import EpochRecord, Trainer
from w2v_exp.validation import check_number, check_whole

PATIENCE, MINUTES, EPOCHS = "patience", "minutes", "epochs"  # what ends training


@dataclass(frozen=True)
class StopRule:
    """What ends training, if its last epoch does not.

    Parameters
    ----------
    patience : int, optional
        So many epochs in which the cost of held-out pairs has not fallen below its lowest (Goodfellow, Bengio &
        Courville 2016, "Deep Learning", algorithm 7.1). The parameters are those of the last epoch, not of the best.
    minutes : float, optional
        Time spent in training, that before an interruption included; what is measured beside it does not count. The
        epoch that is under way ends with the step that is.
    """

    patience: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.patience is not None:
            check_whole(self, "patience", at_least=1)
        if self.minutes is not None:
            check_number(self, "minutes", above=0)


class Stopping:
    """Stops training when its rule says so; an observer of it, to be told after those that measure costs.

    Parameters
    ----------
    rule : StopRule
        What ends it.
    trainer : Trainer
        What is trained.
    validation_costs : callable
        Gives the costs of held-out pairs up to now, by epoch.
    """

    def __init__(
        self, rule: StopRule, trainer: Trainer, validation_costs: Callable[[], Mapping[int, float]]
    ) -> None:
        self._patience = rule.patience
        self._seconds = math.inf if rule.minutes is None else 60 * rule.minutes
        self._trainer = trainer
        self._validation_costs = validation_costs

    def on_step(self, pairs_done: float) -> None:
        """Stop, if the time is up."""
        if self._trainer.train_seconds >= self._seconds:
            self._trainer.stop(MINUTES)

    def on_epoch(self, record: EpochRecord) -> None:
        """Stop, if the cost has not fallen for long, or the time is up."""
        if record.epoch + 1 == self._trainer.epochs:
            return
        if record.train_seconds >= self._seconds:
            self._trainer.stop(MINUTES)
        costs = self._validation_costs()
        if self._patience is not None and costs and epochs_since_lowest(costs) >= self._patience:
            self._trainer.stop(PATIENCE)


def epochs_since_lowest(costs: Mapping[int, float]) -> int:
    """Return how many epochs the last cost is behind the lowest, by epoch; the first one of equal costs counts.

    >>> epochs_since_lowest({0: 3.0, 2: 2.5, 4: 2.5, 6: 2.6})
    4
    """
    return max(costs) - min(costs, key=lambda epoch: (costs[epoch], epoch))


class MeasuredCost:
    """Takes the cost of pairs after epochs; an observer of training, in whose time it is not counted.

    Of pairs that are held out: while a model learns what holds for other texts as well, their cost falls with that of
    training; where it rises again, the model memorises its own.

    Parameters
    ----------
    cost : callable
        Gives the mean cost, nats a pair, with the parameters as they are: see `Objective.exact_cost`.
    epochs : collection of int
        After which epochs, counted from 0; see `measured_epochs`.

    Attributes
    ----------
    costs : dict of int to float
        Mean nats a pair, by epoch: the cost of the parameters at its end. (The training cost of an epoch is a mean
        over its steps, each at the parameters before it, so it is that of a slightly younger model.)
    """

    def __init__(self, cost: Callable[[], float], epochs: Collection[int]) -> None:
        self._cost = cost
        self._epochs = epochs
        self.costs: dict[int, float] = {}

    def on_epoch(self, record: EpochRecord) -> None:
        """Take the cost, if it is time to."""
        if record.epoch in self._epochs:
            self.costs[record.epoch] = self._cost()
