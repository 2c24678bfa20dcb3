"""The cost of pairs that are not trained on, taken while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection

from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.training.observers import EpochRecord


class ValidationCost:
    """Takes the cost of held-out pairs after epochs; an observer of training, in whose time it is not counted.

    While a model learns what holds for other texts as well, the held-out cost falls with that of training; where
    it rises again, the model memorises its own.

    Parameters
    ----------
    pairs : PairCounts
        Held out: all of them, never sampled.
    cost : callable
        Gives the mean cost of counted pairs with the parameters as they are: see `Objective.exact_cost`.
    epochs : collection of int
        After which epochs, counted from 0; see `ValidationRule.validated_epochs`.

    Attributes
    ----------
    costs : dict of int to float
        Mean nats a pair, by epoch: the cost of the parameters at its end. (The training cost of an epoch is a mean
        over its steps, each at the parameters before it, so it is that of a slightly younger model.)
    """

    def __init__(
        self, pairs: PairCounts, cost: Callable[[PairCounts], float], epochs: Collection[int]
    ) -> None:
        self._pairs = pairs
        self._cost = cost
        self._epochs = frozenset(epochs)
        self.costs: dict[int, float] = {}

    def on_epoch(self, record: EpochRecord) -> None:
        """Take the cost, if it is time to."""
        if record.epoch in self._epochs:
            self.costs[record.epoch] = self._cost(self._pairs)
