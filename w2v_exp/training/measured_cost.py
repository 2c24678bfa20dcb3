"""A cost that training does not take itself, measured while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection

from w2v_exp.training.observers import EpochRecord


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
