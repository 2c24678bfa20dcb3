"""What training tells those who watch it."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


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
