"""The held-out part of a run's text: chosen before training, its cost taken while it goes on."""

from __future__ import annotations

import math
from collections.abc import Callable

from w2v_exp.config import MlflowTracking, Plan
from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.tracking.mlflow_run import MlflowRun, kept_epochs
from w2v_exp.training.observers import EpochRecord
from w2v_exp.training.validation_cost import ValidationCost

METRIC = "validation_cost"


class RunValidation:
    """Takes the cost of held-out pairs and logs it by epoch; an observer of a run's training.

    Parameters
    ----------
    plan : Plan
        Says after which epochs, and how many points of a curve are stored.
    pairs : PairCounts
        Held out.
    cost : callable
        Gives the cost of counted pairs with the parameters as they are.
    tracked : MlflowRun, optional
        Where the costs are logged.
    """

    def __init__(
        self,
        plan: Plan,
        pairs: PairCounts,
        cost: Callable[[PairCounts], float],
        tracked: MlflowRun | None,
    ) -> None:
        epochs = plan.validation.validated_epochs(plan.epochs)
        points = plan.tracking.points if isinstance(plan.tracking, MlflowTracking) else len(epochs)
        self._kept = {epochs[number] for number in kept_epochs(len(epochs), points)}
        self._tracked = tracked
        self._cost = ValidationCost(pairs, cost, epochs)
        self.pairs = pairs

    @property
    def costs(self) -> dict[int, float]:
        """Mean nats a pair, by epoch."""
        return self._cost.costs

    def on_epoch(self, record: EpochRecord) -> None:
        """Take the cost, if it is time to."""
        self._cost.on_epoch(record)
        if record.epoch in self._kept:
            self._log(record.epoch)

    def finish(self) -> dict[str, float]:
        """Return the last cost as a metric, logged also where a run ended before its last epoch."""
        if not self.costs:
            return {}
        last = max(self.costs)
        if last not in self._kept:
            self._log(last)
        return {METRIC: self.costs[last]}

    def _log(self, epoch: int) -> None:
        cost = self.costs[epoch]
        if self._tracked and math.isfinite(cost):
            self._tracked.log_metrics({METRIC: cost}, step=epoch)
