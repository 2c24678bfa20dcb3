"""The costs of a run: the one that it trains on, and those that are measured beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from w2v_exp.examples.counts import PairCounts, unigram_cost
from w2v_exp.examples.held_out import CostSample, MeasuredEpochs
from w2v_exp.examples.pairs import Pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.build import build_cost_sample, held_out_sample
from w2v_exp.experiment.measured_cost import RunCost
from w2v_exp.metrics import COST, VALIDATION_COST
from w2v_exp.plan import Plan
from w2v_exp.tracking.mlflow_run import MlflowRun
from w2v_exp.training.trainer import EpochRecord, Trainer


class RunCosts:
    """The costs of a run.

    Parameters
    ----------
    plan : Plan
        Says what is trained on, and what is measured beside it after which epochs.
    tracked : MlflowRun, optional
        Where measured costs are logged.
    trainer : callable
        Gives the run's trainer, whose parameters costs are of.

    Attributes
    ----------
    trained : str
        What the cost that is trained on is called.
    measured : list of RunCost
        The costs that training does not compute itself; callbacks.
    """

    def __init__(self, plan: Plan, tracked: MlflowRun | None, trainer: Callable[[], Trainer]) -> None:
        self.trained = plan.objective.cost_metric
        self.measured: list[RunCost] = []
        self._plan = plan
        self._tracked = tracked
        self._trainer = trainer

    def prepare(
        self, training: TextPart, held_out: TextPart | None, vocabulary_size: int
    ) -> dict[str, float]:
        """Draw what costs are measured on beside training; return how many pairs that is, as metrics.

        ``cost_sample_share`` is the share of the text's words that ``cost`` is measured on: below 1 it is an estimate.
        """
        plan = self._plan
        metrics: dict[str, float] = {}
        if held_out:
            sample = held_out_sample(plan, held_out, vocabulary_size)
            self._measure(VALIDATION_COST, sample, plan.validation.validated_epochs(plan.epochs))
            metrics["validation_pairs"] = sample.counts.total
        if self.trained != COST:
            sample = build_cost_sample(plan, training, vocabulary_size)
            self._measure(COST, sample, MeasuredEpochs(plan.cost_every, plan.epochs))
            metrics |= {"cost_pairs": sample.counts.total, "cost_sample_share": sample.share}
        return metrics

    def untrained(self, pairs: Pairs | PairCounts) -> dict[str, float]:
        """Return what the parameters of a run without epochs cost: they are those that it starts from."""
        costs = {measured.metric: measured.take() for measured in self.measured}
        if COST not in costs:
            counts = PairCounts.of(pairs) if isinstance(pairs, Pairs) else pairs
            costs[COST] = self._cost_of(CostSample(counts))
        return costs

    def state(self) -> dict[str, Any]:
        """Return the costs measured up to now, for a checkpoint: of each, epochs with costs."""
        return {measured.metric: [*measured.costs.items()] for measured in self.measured}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what was measured before an interruption."""
        for measured in self.measured:
            measured.restore(dict(state.get(measured.metric, [])))

    def take_at_end(self, epoch: int) -> None:
        """Measure the costs after the epoch that training has ended with, though more were to come."""
        for measured in self.measured:
            measured.take_at_end(epoch)

    def last(self) -> dict[str, float]:
        """Return the last of each measured cost as metrics."""
        return {name: cost for measured in self.measured for name, cost in measured.last().items()}

    def finish(self) -> None:
        """Log the last of each measured cost, whichever epoch it is of: no further ones follow."""
        for measured in self.measured:
            measured.finish()

    def validation_bound(self) -> dict[str, float]:
        """Return what held-out pairs cost by the frequencies of words alone, if any are held out."""
        for measured in self.measured:
            if measured.metric == VALIDATION_COST:
                return {"validation_unigram_cost": unigram_cost(measured.pairs)}
        return {}

    def logged_by_epoch(self, records: Sequence[EpochRecord]) -> list[str]:
        """Return the metrics that have been logged by epoch."""
        return [self.trained, "article_cost", *(cost.metric for cost in self.measured)] if records else []

    def curves(self, records: Sequence[EpochRecord]) -> dict[str, dict[int, float]]:
        """Return every cost by epoch, by the name of its metric."""
        curves = {measured.metric: dict(measured.costs) for measured in self.measured}
        curves[self.trained] = {record.epoch: record.cost for record in records}
        return {metric: curve for metric, curve in curves.items() if curve}

    def validation_curve(self) -> dict[int, float]:
        """Return the held-out costs, by epoch."""
        return next((cost.costs for cost in self.measured if cost.metric == VALIDATION_COST), {})

    def _measure(self, metric: str, sample: CostSample, epochs: Sequence[int]) -> None:
        cost = RunCost(
            metric, lambda: self._cost_of(sample), epochs, self._plan, self._tracked, sample.counts
        )
        self.measured.append(cost)

    def _cost_of(self, sample: CostSample) -> float:
        """Return what examples cost with the parameters as they are, as a negative log-likelihood."""
        trainer = self._trainer()
        parameters = trainer.parameters
        if sample.context_matrix is not None:
            hidden = (sample.context_matrix @ parameters.embedding).astype(parameters.embedding.dtype)
            parameters = replace(parameters, embedding=hidden)
        return trainer.objective.exact_cost(parameters, sample.counts)
