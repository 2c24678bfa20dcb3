"""Importance of swept keys: the share of the variance of a metric that each of them explains.

In a grid, the variance between runs is split by an analysis of variance (Fisher 1925): a part for each key (its main
effect), for combinations of keys (interactions) and, with several seeds, for the noise. Sums of squares contain noise
too, (number of values − 1) times its mean square, which is subtracted: Kelley's ε² (1935), the adjusted R² of a factor.
Runs outside of a grid, such as the trials of a search, are grouped by the values of one key at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from w2v_exp.embeddings.stability import jackknife_margins
from w2v_exp.metrics import Ranking
from w2v_exp.reporting.comparison import Comparison, Group, values_of

LEAST_SEEDS = 3  # for an interval
LEAST_TRIALS = 20  # outside of a grid
LEVELS = 4  # groups of equal size, for a numeric key outside of a grid with more than `MOST_VALUES` values
MOST_VALUES = 6
PARTS = 20  # of the trials, each left out once for the intervals
COMBINATIONS, NOISE = "combinations of keys", "noise between seeds"

ONE_SEED = (
    "Every configuration has a single seed: the noise between seeds is part of these shares, and their intervals are "
    "unknown; add repeats=5."
)
TWO_SEEDS = "Two seeds are too few for intervals of these shares; add repeats=5."


class Share(NamedTuple):
    """A part of the variance of a metric.

    Parameters
    ----------
    name : str
        The swept key, `COMBINATIONS` or `NOISE`.
    share : float
        Between 0 and 1; NaN for a key with too many values.
    low, high : float
        The 95 % confidence interval; NaN if it is unknown.
    is_key : bool
        Whether the part is that of a key.
    """

    name: str
    share: float
    low: float
    high: float
    is_key: bool


class Importance(NamedTuple):
    """The parts of the variance of a metric between the runs of a sweep.

    Parameters
    ----------
    metric : Ranking
        The metric.
    shares : list of Share
        The keys, the most important first, then the rest. Empty if there are not enough runs.
    note : str
        The runs that the shares are computed from, and the reason if shares or intervals are unknown.
    """

    metric: Ranking
    shares: list[Share]
    note: str


def importance(comparison: Comparison, metric: Ranking) -> Importance:
    """Return the share of the variance of a metric that each swept key explains.

    Of a grid with missing runs, the values with the most missing ones are left out until it is complete.
    """
    groups = [group for group in comparison.groups if group.ranks(metric.metric)]
    if len(comparison.keys) == 0 or len(groups) < 2:
        return Importance(metric, [], "Not enough runs: at least two configurations must have finished.")
    values = {key: values_of(key, comparison) for key in comparison.keys}
    grid = _complete_grid(groups, values)
    if grid is None:
        return _of_trials(groups, [*values], metric)
    return _of_grid(groups, grid, metric, sum(map(len, values.values())))


# ---------------------------------------------------------------- grids


def _complete_grid(
    groups: Sequence[Group], values: Mapping[str, Sequence[str]]
) -> dict[str, list[str]] | None:
    """Return the values of a grid of which every combination was run; None if it has less than half of the runs.

    Keys with a single value left have no part in it.
    """
    shape = [len(each) for each in values.values()]
    if math.prod(shape) > 4 * len(groups):
        return None
    is_run = np.zeros(shape, bool)
    for group in groups:
        is_run[tuple(each.index(group.swept.get(key, "")) for key, each in values.items())] = True
    kept = [list(each) for each in values.values()]
    while not is_run.all():
        # The share of combinations that were run, of every value of every key that can lose one.
        axes = range(is_run.ndim)
        shares = [
            (float(share), axis, i)
            for axis in axes
            if len(kept[axis]) > 1
            for i, share in enumerate(is_run.mean(axis=tuple(other for other in axes if other != axis)))
        ]
        _, axis, i = min(shares)
        is_run = np.delete(is_run, i, axis)
        del kept[axis][i]
    return dict(zip(values, kept, strict=True)) if 2 * is_run.size >= len(groups) else None


def _of_grid(
    groups: Sequence[Group], grid: Mapping[str, Sequence[str]], metric: Ranking, values: int
) -> Importance:
    places = {key: {value: i for i, value in enumerate(kept)} for key, kept in grid.items()}
    inside = {
        tuple(places[key][group.swept.get(key, "")] for key in grid): group
        for group in groups
        if all(group.swept.get(key, "") in places[key] for key in grid)
    }
    keys = [key for key, kept in grid.items() if len(kept) > 1]
    seeds = sorted(set.intersection(*({run.seed for run in group.runs} for group in inside.values())))
    shape = [len(kept) for kept in grid.values()]
    numbers = np.empty([*shape, max(1, len(seeds))])
    for place, group in inside.items():
        by_seed = {run.seed: run.metrics[metric.metric] for run in group.runs}
        numbers[place] = [by_seed[seed] for seed in seeds] if seeds else group.mean(metric.metric)
    if not keys:
        return Importance(metric, [], "Not enough runs: their values have no combinations in common.")
    if len(keys) == 1 and len(seeds) < 2:
        return Importance(metric, [], "Not enough runs: a single key needs several seeds; add repeats=5.")
    numbers = numbers.reshape([size for size in shape if size > 1] + [numbers.shape[-1]])
    shares = _split(numbers)
    if shares is None:
        return Importance(metric, [], "All runs have the same value.")
    margins = np.full(len(shares), np.nan)
    if len(seeds) >= LEAST_SEEDS:
        rest = [_split(np.delete(numbers, i, -1)) for i in range(len(seeds))]
        margins = jackknife_margins([shares if each is None else each for each in rest])
    names = [*keys, *[COMBINATIONS] * (len(keys) > 1), *[NOISE] * (len(seeds) > 1)]
    note = f"Of {len(inside)} configurations with {'one seed' if len(seeds) < 2 else f'{len(seeds)} seeds'} each."
    if sum(shape) < values:
        note += " Values without all combinations are left out."
    note += f" {TWO_SEEDS}" if len(seeds) == 2 else f" {ONE_SEED}" if len(seeds) < 2 else ""
    return Importance(metric, _listed(names, shares, margins, len(keys)), note)


def _split(numbers: np.ndarray) -> np.ndarray | None:
    """Return the shares of the variance of each axis but the last, of their combinations and of the noise.

    Parameters
    ----------
    numbers : ndarray
        A metric; the last axis are the seeds, whose own effect is removed first. With one seed there is no noise.

    Returns
    -------
    ndarray or None
        Shares that add up to 1, without combinations for a single key and without noise for a single seed. Those below
        the noise may be negative. None if there is no variance.
    """
    *shape, seeds = numbers.shape
    cells = math.prod(shape)
    every = tuple(range(len(shape)))
    centred = numbers - numbers.mean(axis=every)
    total = float(np.sum(centred**2))
    if total <= 1e-20 * float(np.sum(numbers**2)):
        return None
    means = centred.mean(-1)
    noise = float(np.sum((centred - means[..., None]) ** 2)) / max(1, (cells - 1) * (seeds - 1))
    squares = [
        seeds * cells / size * float(np.sum(means.mean(axis=tuple(o for o in every if o != axis)) ** 2))
        for axis, size in enumerate(shape)
    ]
    freedom = [size - 1 for size in shape]
    if len(shape) > 1:
        squares.append(seeds * float(np.sum(means**2)) - sum(squares))
        freedom.append(cells - 1 - sum(freedom))
    parts = [s - f * noise for s, f in zip(squares, freedom, strict=True)]
    if seeds > 1:
        parts.append(total - sum(parts))
    return np.array(parts) / total


# ---------------------------------------------------------------- other sweeps


def _of_trials(groups: Sequence[Group], keys: Sequence[str], metric: Ranking) -> Importance:
    if len(groups) < LEAST_TRIALS:
        few = f"Not enough runs: {len(groups)} configurations outside of a grid; at least {LEAST_TRIALS} are needed."
        return Importance(metric, [], few)
    numbers = np.array([group.mean(metric.metric) for group in groups])
    if np.ptp(numbers) == 0:
        return Importance(metric, [], "All runs have the same value.")
    levels = [_levels([group.swept.get(key, "") for group in groups]) for key in keys]

    def estimate(chosen: np.ndarray) -> np.ndarray:
        return np.array([_explained(numbers[chosen], level[chosen]) for level in levels])

    # Of trials in a row, which a sampler has proposed one after the other, each is in another part.
    part = np.arange(len(groups)) % PARTS
    margins = jackknife_margins([estimate(part != i) for i in range(PARTS)])
    note = (
        f"Of {len(groups)} configurations that are not a grid: the share of each key alone, among the values that were "
        f"run. Numeric keys with more than {MOST_VALUES} values are split into {LEVELS} groups."
    )
    return Importance(metric, _listed(keys, estimate(np.ones(len(groups), bool)), margins, len(keys)), note)


def _levels(values: Sequence[str]) -> np.ndarray:
    """Return the number of the group of each value; many numbers are split into groups of similar size."""
    distinct = sorted(set(values))
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        numbers = np.array([math.nan])
    if len(distinct) > MOST_VALUES and np.isfinite(numbers).all():
        edges = np.quantile(numbers, np.arange(1, LEVELS) / LEVELS)
        return np.searchsorted(np.unique(edges), numbers, side="left")
    return np.array([distinct.index(value) for value in values])


def _explained(numbers: np.ndarray, level: np.ndarray) -> float:
    """Return the share of the variance between groups, without the part of the noise; NaN for too many groups."""
    sizes = np.bincount(level)
    groups = np.count_nonzero(sizes)
    if 3 * groups > len(numbers):
        return math.nan
    centred = numbers - numbers.mean()
    total = float(np.sum(centred**2))
    sums = np.bincount(level, centred)[sizes > 0]
    between = float(np.sum(sums**2 / sizes[sizes > 0]))
    within = (total - between) / (len(numbers) - groups)
    return (between - (groups - 1) * within) / total if total else 0.0


# ---------------------------------------------------------------- both


def _listed(names: Sequence[str], shares: np.ndarray, margins: np.ndarray, keys: int) -> list[Share]:
    """Return the shares with their intervals, cut at 0 and 1: keys by falling share, then the rest."""
    listed = []
    for i, (name, share, margin) in enumerate(zip(names, shares.tolist(), margins.tolist(), strict=True)):
        low, high = math.nan, math.nan
        if math.isfinite(margin):
            low, high = max(share - margin, 0.0), min(share + margin, 1.0)
        cut = min(max(share, 0.0), 1.0) if math.isfinite(share) else share
        listed.append(Share(name, cut, min(low, cut), max(high, cut), i < keys))
    known = sorted(listed[:keys], key=lambda each: -each.share if math.isfinite(each.share) else math.inf)
    return [*known, *listed[keys:]]
