"""What is known of a run once it is over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DONE = ("FINISHED", "SKIPPED")
LEAST_KNOWN = 30  # pairs or questions: a score of fewer ranks nothing
Points = Sequence[tuple[int, float]]  # values by epoch


@dataclass(frozen=True)
class RunResult:
    """A run of a sweep, as tables and pictures need it.

    Parameters
    ----------
    name : str
        The run's name: the swept values, such as ``window=3 dim=10``.
    swept : dict of str to str
        The swept keys and their values in this run, in the order of the command; the seed is not among them.
    seed : int
        The run's seed.
    status : str
        ``FINISHED``, ``FAILED`` or ``KILLED``; ``SKIPPED``, if the same run had finished before, or ``RUNNING``, if it
        is being run by another process.
    reason : str
        One line that says why a run did not come to its end, or why the store does not have all of one that finished;
        otherwise empty.
    metrics : dict of str to float
        The last value of each metric.
    curves : mapping of str to list of (int, float)
        Values by epoch, thinned, by the name of their metric: ``cost``, and ``objective_cost`` of an objective that is
        no likelihood.
    ended_by : str
        What has ended training: ``epochs``, ``patience`` or ``minutes``; empty if it was interrupted or failed.
    run_id : str
        The run in the store; of one that was skipped, that which had finished. Empty where nothing is tracked.
    similar : dict of str to list of str
        The probe words, and the words nearest to each; empty for one that is not known.
    explorer : str
        What became of the explorer's page, in a line; empty if none was asked for.
    """

    name: str
    swept: dict[str, str]
    seed: int
    status: str
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    curves: Mapping[str, Points] = field(default_factory=dict)
    ended_by: str = ""
    run_id: str = ""
    similar: dict[str, list[str]] = field(default_factory=dict)
    explorer: str = ""

    @property
    def done(self) -> bool:
        """Whether there is a result, be it of now or of before."""
        return self.status in DONE

    @property
    def finished_before(self) -> str:
        """The run in the store that made running this one again needless; empty if there was none."""
        return self.run_id if self.status == "SKIPPED" else ""

    @property
    def has_estimated_cost(self) -> bool:
        """Whether the metric ``cost`` was measured on a sample of the text: see `RunCosts.prepare`."""
        return "cost_pairs" in self.metrics and self.metrics.get("cost_sample_share", 0.0) < 1.0

    def known(self, metric: str) -> float:
        """Return of how many pairs or questions an evaluation score is; infinite for every other metric."""
        return self.metrics.get(f"{metric}_known", math.inf)

    def total(self, metric: str) -> int:
        """Return how many pairs or questions the evaluation set of a score has."""
        coverage = self.metrics.get(f"{metric}_coverage", 0.0)
        return round(self.known(metric) / coverage) if coverage else 0

    def ranks(self, metric: str) -> bool:
        """Return whether the run can be ranked by a metric."""
        return metric in self.metrics and self.known(metric) >= LEAST_KNOWN
