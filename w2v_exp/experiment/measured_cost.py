"""Costs that are measured beside a run's training: those of held-out pairs, and of a sample under the full softmax."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from w2v_exp.choices import MlflowTracking
from w2v_exp.examples.counts import PairCounts
from w2v_exp.plan import Plan
from w2v_exp.tracking.mlflow_run import MlflowRun, kept_epochs
from w2v_exp.training.callbacks import MeasuredCost
from w2v_exp.training.trainer import EpochRecord


class RunCost:
    """Takes a cost and logs it by epoch; a callback of a run's training.

    Parameters
    ----------
    metric : str
        What it is called.
    cost : callable
        Gives the mean cost with the parameters as they are.
    epochs : sequence of int
        After which it is taken, counted from 0.
    plan : Plan
        Says how many points of a curve are stored.
    tracked : MlflowRun, optional
        Where the costs are logged.
    pairs : PairCounts
        What the cost is of.
    """

    def __init__(
        self,
        metric: str,
        cost: Callable[[], float],
        epochs: Sequence[int],
        plan: Plan,
        tracked: MlflowRun | None,
        pairs: PairCounts,
    ) -> None:
        points = plan.tracking.points if isinstance(plan.tracking, MlflowTracking) else 0
        self.metric = metric
        self.pairs = pairs
        self.take = cost
        self._kept = {epochs[number] for number in kept_epochs(len(epochs), points)}
        self._tracked = tracked
        self._measured = MeasuredCost(cost, epochs)

    @property
    def costs(self) -> dict[int, float]:
        """Mean nats a pair, by epoch."""
        return self._measured.costs

    def on_epoch(self, record: EpochRecord) -> None:
        """Take the cost, if it is time to."""
        self._measured.on_epoch(record)
        if record.epoch in self._kept:
            self._log(record.epoch)

    def take_at_end(self, epoch: int) -> None:
        """Take the cost of the last epoch, if that has come before it was time to."""
        if epoch not in self.costs:
            self.costs[epoch] = self.take()

    def restore(self, costs: Mapping[int, float]) -> None:
        """Remember the costs that were taken before an interruption."""
        self.costs.update(costs)
        for epoch in self.costs.keys() & self._kept:
            self._log(epoch)

    def last(self) -> dict[str, float]:
        """Return the last cost as a metric."""
        return {self.metric: self.costs[max(self.costs)]} if self.costs else {}

    def finish(self) -> None:
        """Log the last cost also where the run ended after an epoch whose point is not stored."""
        if self.costs and (last := max(self.costs)) not in self._kept:
            self._log(last)

    def _log(self, epoch: int) -> None:
        cost = self.costs[epoch]
        if self._tracked and math.isfinite(cost):
            self._tracked.log_metrics({self.metric: cost}, step=epoch)
