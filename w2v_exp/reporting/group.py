"""Runs that differ only in their seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2v_exp.metrics import ESTIMATED, QUALITIES, Metric, Ranking
from w2v_exp.runs import RunResult


@dataclass(frozen=True)
class Group:
    """Finished runs that differ only in their seed: a row of the table.

    Parameters
    ----------
    swept : dict of str to str
        The swept keys and their values.
    runs : list of RunResult
        At least one.
    """

    swept: dict[str, str]
    runs: list[RunResult]

    @property
    def status(self) -> str:
        """``SKIPPED`` if all runs had finished before, else ``FINISHED``."""
        return "SKIPPED" if all(run.finished_before for run in self.runs) else "FINISHED"

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the seeds; NaN if a run does not have it."""
        with np.errstate(invalid="ignore"):
            return float(np.mean(self._values(metric)))

    def deviation(self, metric: str) -> float:
        """Return the standard deviation over the seeds (n − 1 in the denominator); NaN for a single run."""
        if len(self.runs) < 2:
            return math.nan
        with np.errstate(invalid="ignore"):
            return float(np.std(self._values(metric), ddof=1))

    def written(self, column: Metric, *, with_deviation: bool = True) -> str:
        """Return the mean as text, ± the standard deviation if the seeds differ; – for what is not known."""
        mean, deviation = self.mean(column.name), self.deviation(column.name)
        if not math.isfinite(mean):
            return "–"
        decimals = column.decimals_for(mean)
        text = f"{mean:,.{decimals}f}"
        if with_deviation and math.isfinite(deviation) and deviation > 0:
            text += f" ± {deviation:,.{decimals}f}"
        return text

    def has(self, metric: str) -> bool:
        """Return whether all runs have a finite value of a metric."""
        return math.isfinite(self.mean(metric))

    def ranked_mean(self, metric: str) -> float:
        """Return the mean of a metric, if all runs can be ranked by it; else NaN."""
        return self.mean(metric) if all(run.ranks(metric) for run in self.runs) else math.nan

    def ranks(self, metric: str) -> bool:
        """Return whether the configuration can be ranked by a metric."""
        return math.isfinite(self.ranked_mean(metric))

    def least_known(self, metric: str) -> RunResult:
        """Return the run with the fewest known pairs or questions of an evaluation score."""
        return min(self.runs, key=lambda run: run.known(metric))

    def qualifier(self, metric: str) -> str:
        """Return what has to stand beside a value: the coverage of a score, or that a cost is an estimate."""
        if metric == "cost" and any(run.has_estimated_cost for run in self.runs):
            return ESTIMATED
        least = self.least_known(metric)
        return (
            f"({least.known(metric):.0f}/{least.total(metric)})" if math.isfinite(least.known(metric)) else ""
        )

    def _values(self, metric: str) -> list[float]:
        return [run.metrics.get(metric, math.nan) for run in self.runs]


def group_runs(results: Sequence[RunResult]) -> list[Group]:
    """Return the finished runs, grouped by their swept values, in the order of the results."""
    groups: dict[frozenset[tuple[str, str]], Group] = {}
    for run in results:
        if run.done:
            groups.setdefault(frozenset(run.swept.items()), Group(run.swept, [])).runs.append(run)
    return [*groups.values()]


def common_ranking(groups: Sequence[Group]) -> Ranking | None:
    """Return the first ranking by which all groups can be ranked, else the first for any of them."""
    for enough in (all, any):
        for quality in QUALITIES:
            if enough(group.ranks(quality.name) for group in groups):
                return quality.ranking if groups else None
    return None
