"""Callbacks of training: early stopping, and costs measured after epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from w2v_exp.errors import check_number, check_whole
from w2v_exp.training.trainer import EpochRecord, Trainer

PATIENCE, MINUTES, EPOCHS = "patience", "minutes", "epochs"  # reasons for which training ends


@dataclass(frozen=True)
class StopRule:
    """When training ends before its last epoch.

    Parameters
    ----------
    patience : int, optional
        Number of epochs without a new lowest held-out cost (Goodfellow, Bengio & Courville 2016, "Deep Learning",
        algorithm 7.1). The last epoch's parameters are kept, not the best epoch's.
    minutes : float, optional
        Training time, including that before an interruption and excluding callbacks. The current epoch ends with
        the current step.
    """

    patience: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.patience is not None:
            check_whole(self, "patience", at_least=1)
        if self.minutes is not None:
            check_number(self, "minutes", above=0)


class Stopping:
    """Callback that stops training by a rule.

    Register it after the callbacks that measure costs.

    Parameters
    ----------
    rule : StopRule
        The rule.
    trainer : Trainer
        The trainer to stop.
    validation_costs : callable
        Returns the held-out costs measured so far, by epoch.
    """

    def __init__(
        self, rule: StopRule, trainer: Trainer, validation_costs: Callable[[], Mapping[int, float]]
    ) -> None:
        self._patience = rule.patience
        self._seconds = math.inf if rule.minutes is None else 60 * rule.minutes
        self._trainer = trainer
        self._validation_costs = validation_costs

    def on_step(self, pairs_done: float) -> None:
        """Stop when the time is up."""
        if self._trainer.train_seconds >= self._seconds:
            self._trainer.stop(MINUTES)

    def on_epoch(self, record: EpochRecord) -> None:
        """Stop when the time or the patience is exhausted."""
        if record.epoch + 1 == self._trainer.epochs:
            return
        if record.train_seconds >= self._seconds:
            self._trainer.stop(MINUTES)
        costs = self._validation_costs()
        if self._patience is not None and costs and epochs_since_lowest(costs) >= self._patience:
            self._trainer.stop(PATIENCE)


def epochs_since_lowest(costs: Mapping[int, float]) -> int:
    """Return the number of epochs since the (first) lowest cost.

    >>> epochs_since_lowest({0: 3.0, 2: 2.5, 4: 2.5, 6: 2.6})
    4
    """
    return max(costs) - min(costs, key=lambda epoch: (costs[epoch], epoch))


class MeasuredCost:
    """Callback that computes a cost after chosen epochs.

    A held-out cost falls with the training cost while the model learns what holds for other texts as well; where it
    rises again, the model memorises its own.

    Parameters
    ----------
    cost : callable
        Returns the mean cost of the current parameters, nats per pair: see `Objective.exact_cost`.
    epochs : collection of int
        The epochs, from 0; see `measured_epochs`.

    Attributes
    ----------
    costs : dict of int to float
        Mean nats per pair at the end of each of these epochs. (The training cost of an epoch is a mean over its
        steps, each before its update, so it is that of slightly older parameters.)
    """

    def __init__(self, cost: Callable[[], float], epochs: Collection[int]) -> None:
        self._cost = cost
        self._epochs = epochs
        self.costs: dict[int, float] = {}

    def on_epoch(self, record: EpochRecord) -> None:
        """Compute the cost if this is one of the epochs."""
        if record.epoch in self._epochs:
            self.costs[record.epoch] = self._cost()
