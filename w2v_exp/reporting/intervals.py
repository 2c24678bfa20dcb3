"""Intervals of a sweep's scores over documents, and of the differences between its configurations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.replicates import LEVEL, interval
from w2v_exp.metrics import QUALITIES, Metric, Ranking, metric_of
from w2v_exp.reporting.comparison import Comparison, Group

if TYPE_CHECKING:
    from rich.console import Console

MOST_PRINTED = 20  # configurations; the page has all

NOTE = (
    f"{100 * LEVEL:.0f} % intervals over documents: the scores that other documents in the same number may give. "
    "Differences are paired by replicate. An interval holds for itself; with many configurations, some exclude 0 by "
    "chance."
)
ENDS = f"{100 * LEVEL:.0f} % interval"  # the heading of a column
HEADINGS = ("value", ENDS, "behind the best", ENDS)


class ScoreInterval(NamedTuple):
    """The score of a configuration, and its difference from the best one.

    Parameters
    ----------
    group : Group
        The configuration.
    value : float
        Its score, the mean over seeds.
    ends : (float, float)
        The interval of the score.
    behind : float
        By how much the best configuration is better; 0 for itself.
    behind_ends : (float, float)
        The interval of this difference; NaN where the replicates of the two are not of the same documents.
    """

    group: Group
    value: float
    ends: tuple[float, float]
    behind: float
    behind_ends: tuple[float, float]

    def cells(self, column: Metric) -> list[str]:
        """Return value, interval, difference and its interval as text; empty cells for the best configuration."""
        decimals = column.decimals_for(self.value)
        cells = [number_text(self.value, decimals), written_interval(self.ends, decimals)]
        if self.behind == 0:
            return [*cells, "", ""]
        return [*cells, number_text(self.behind, decimals), written_interval(self.behind_ends, decimals)]


def number_text(value: float, decimals: int = 3) -> str:
    """Return a number with a true minus.

    >>> number_text(-0.5)
    '−0.500'
    """
    return f"{value:,.{decimals}f}".replace("-", "−")


def written_interval(ends: Sequence[float] | None, decimals: int = 3) -> str:
    """Return an interval as text; – if an end is unknown.

    >>> written_interval((-0.01, 0.256))
    '−0.010 to 0.256'
    """
    if ends is None or not all(map(math.isfinite, ends)):
        return "–"
    return " to ".join(number_text(end, decimals) for end in ends)


def scores_with_replicates(comparison: Comparison) -> list[Ranking]:
    """Return the scores with replicates that can rank a configuration; the one that ranks them is first."""
    known = [comparison.ranking] if comparison.ranking else []
    known += [quality.ranking for quality in QUALITIES]
    runs = [run for group in comparison.groups for run in group.runs]
    known += [
        metric_of(name).ranking for run in runs for name in run.replicates if name.startswith("word_pairs_")
    ]
    return [
        ranking
        for ranking in dict.fromkeys(known)
        if any(ranking.metric in run.replicates and run.ranks(ranking.metric) for run in runs)
    ]


def score_intervals(comparison: Comparison, ranking: Ranking) -> list[ScoreInterval]:
    """Return the intervals of a score, the best configuration first."""
    known = [group for group in comparison.groups if len(_replicates(group, ranking.metric)) > 1]
    known.sort(key=lambda group: -ranking.sign * group.mean(ranking.metric))
    found = []
    for group in known:
        values, best = (_replicates(one, ranking.metric) for one in (group, known[0]))
        value = group.mean(ranking.metric)
        behind = ranking.sign * (known[0].mean(ranking.metric) - value) + 0.0
        ends = math.nan, math.nan
        if group is not known[0] and len(values) == len(best):
            ends = interval(ranking.sign * (best - values), estimate=behind)
        found.append(ScoreInterval(group, value, interval(values, estimate=value), behind, ends))
    return found


def print_intervals(comparison: Comparison, console: Console) -> None:
    """Print a table of the intervals of each score, the best configurations first."""
    from rich.table import Table
    from rich.text import Text

    scores = scores_with_replicates(comparison)
    for ranking in scores:
        column = metric_of(ranking.metric)
        console.print(Text(f"{column.heading} over documents", style="bold"))
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("configuration", overflow="fold")
        for heading in HEADINGS:
            table.add_column(heading, justify="right", no_wrap=True)
        for found in score_intervals(comparison, ranking)[:MOST_PRINTED]:
            table.add_row(Text(comparison.name_of(found.group)), *found.cells(column))
        console.print(table)
    if scores:
        console.print(Text(NOTE, style="dim"))


def _replicates(group: Group, metric: str) -> NDArray[np.float64]:
    """Return the score of each replicate, the mean over seeds; empty if a run has none, or another number."""
    values: Sequence[Sequence[float]] = [run.replicates.get(metric, []) for run in group.runs]
    if len({len(each) for each in values}) > 1:
        return np.empty(0)
    found: NDArray[np.float64] = np.array(values, np.float64).mean(axis=0)
    return found
