"""The metrics of runs as columns of a table for people, and those that say which runs are better."""

from __future__ import annotations

import math
from typing import NamedTuple


class Column(NamedTuple):
    """A metric as a column of a table for people.

    Parameters
    ----------
    metric : str
        Its name in the store.
    heading : str
        Its name in the table.
    decimals : int, optional
        How many to show; None for as many as make three digits.
    weight : int
        The greater, the sooner the column is left out on a narrow terminal.
    """

    metric: str
    heading: str
    decimals: int | None
    weight: int

    def decimals_for(self, value: float) -> int:
        """Return how many decimals to show of a value, and of what it is compared with."""
        if self.decimals is not None:
            return self.decimals
        return min(max(2 - math.floor(math.log10(abs(value))), 0), 9) if value else 0


class Ranking(NamedTuple):
    """A metric that says which runs are better.

    Parameters
    ----------
    metric : str
        Its name in the store.
    sign : int
        1 if more is better, −1 if less is.
    """

    metric: str
    sign: int


CURVES = (
    "cost",
    "objective_cost",
)  # metrics drawn by epoch, each on axes of its own: they are different quantities
ESTIMATED = "(sampled estimate)"  # stands behind "cost" where it is that of a sample

# The first that all runs have is taken. A cost of held-out pairs compares only runs that hold out the same ones.
RANKINGS = [
    Ranking("information_explained", 1),
    Ranking("validation_cost", -1),
    Ranking("wordsim353", 1),
    Ranking("simlex999", 1),
    Ranking("analogies", 1),
]

SCORES = (
    "wordsim353",
    "simlex999",
    "analogies",
)  # rankings that say little where few of a set's words are known

COLUMNS = [
    Column("information_explained", "information explained", 3, 0),
    Column("cost", "cost", 4, 1),
    Column("objective_cost", "objective cost", 4, 4),
    Column("validation_cost", "validation cost", 4, 2),
    Column("cost_gap", "gap", 4, 5),
    Column("neighbour_precision", "neighbour precision", 3, 2),
    Column("wordsim353", "WS-353", 3, 2),
    Column("simlex999", "SimLex", 3, 2),
    Column("analogies", "analogies", 3, 2),
    Column("peak_memory_mb", "peak MB", None, 3),
    Column("estimated_memory_mb", "estimated MB", None, 8),
    Column("train_seconds", "seconds", None, 4),
    Column("pairs_per_second", "pairs/s", 0, 6),
    Column("estimated_seconds", "estimated seconds", None, 9),
    Column("vocabulary_size", "words", 0, 7),
]


def column_of(metric: str) -> Column:
    """Return the column of a metric; one that the tables lack is called by its name."""
    own = Column(metric, metric.replace("_", " "), 4, 1)
    return next((column for column in COLUMNS if column.metric == metric), own)


def named(metric: str, *, estimated: bool = False) -> str:
    """Return what a metric is called beside its values; a cost on a sample is called an estimate.

    >>> named("cost"), named("cost", estimated=True), named("objective_cost", estimated=True)
    ('cost', 'cost (sampled estimate)', 'objective cost')
    """
    heading = column_of(metric).heading
    return f"{heading} {ESTIMATED}" if estimated and metric == "cost" else heading
