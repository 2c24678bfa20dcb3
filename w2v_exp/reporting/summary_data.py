"""What the charts of a sweep's page are drawn from: curves, points, fronts and effects, small enough to be sent."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from w2v_exp.reporting.colours import COLOURS
from w2v_exp.reporting.columns import CURVES, RANKINGS, Ranking, column_of
from w2v_exp.reporting.comparison import Comparison
from w2v_exp.reporting.effects import KeyEffect
from w2v_exp.reporting.layout import values_of
from w2v_exp.reporting.pareto_front import pareto_front
from w2v_exp.reporting.results import RunResult
from w2v_exp.reporting.words import shown

EFFORTS = [Ranking("peak_memory_mb", -1), Ranking("train_seconds", -1)]
POINTS = 100_000  # of all curves of a metric together: half a megabyte
LONGEST = 60  # characters of a value
LARGEST = float(np.finfo(np.float32).max)


def ranked_metrics(comparison: Comparison) -> list[Ranking]:
    """Return the measures of quality that some configuration has, the one that ranks them first."""
    first = [comparison.ranking] if comparison.ranking else []
    others = [ranking for ranking in RANKINGS if ranking not in first]
    return [r for r in first + others if any(group.ranks(r.metric) for group in comparison.groups)]


def efforts(comparison: Comparison) -> list[Ranking]:
    """Return the measures of what a run takes that some configuration has."""
    return [r for r in EFFORTS if any(group.has(r.metric) for group in comparison.groups)]


def chart_data(comparison: Comparison, effects: Sequence[KeyEffect]) -> dict[str, Any]:
    """Return what the charts show as JSON has it: no NaN, no text that is not fit to be shown.

    Runs say which configuration they are of by its place in the table, −1 for one that did not finish.
    """
    metrics = [*ranked_metrics(comparison), *efforts(comparison)]
    runs = [(place, run) for place, group in enumerate(comparison.groups) for run in group.runs]
    runs += [(-1, run) for run in comparison.unfinished]
    names = [metric.metric for metric in metrics]
    values = {
        key: {value: place for place, value in enumerate(values_of(key, comparison))}
        for key in comparison.keys
    }
    return {
        "keys": [
            {"name": shown(key, LONGEST), "values": [shown(value, LONGEST) for value in places]}
            for key, places in values.items()
        ],
        "metrics": [
            {"name": m.metric, "heading": comparison.heading_of(column_of(m.metric)), "sign": m.sign}
            for m in metrics
        ],
        "groups": [
            {
                "name": comparison.name_of(group),
                "values": _places(group.swept, values),
                "means": [_number(group.ranked_mean(name)) for name in names],
                "deviations": [_number(group.deviation(name)) for name in names],
            }
            for group in comparison.groups
        ],
        "runs": [
            {
                "group": place,
                "name": shown(run.name, LONGEST),
                "seed": run.seed,
                "values": _places(run.swept, values),
                "metrics": [_number(run.metrics[name]) if run.ranks(name) else None for name in names],
            }
            for place, run in runs
        ],
        "curves": {metric: _curves([run for _, run in runs], metric) for metric in drawn_curves(comparison)},
        "estimated": [number for number, (_, run) in enumerate(runs) if run.has_estimated_cost],
        "floor": _number(comparison.common_floor),
        "colours": len(COLOURS),
        "fronts": _fronts(comparison, names),
        "effects": [_effect(effect, names, values) for effect in effects],
    }


def drawn_curves(comparison: Comparison) -> list[str]:
    """Return the metrics whose curves are drawn, each on axes of its own.

    Where a cost was measured only at the end of all runs, as that of negative sampling is, another metric's curves say
    more than its dots.
    """
    runs = [run for group in comparison.groups for run in group.runs] + comparison.unfinished
    longest = {metric: max((len(run.curves.get(metric, [])) for run in runs), default=0) for metric in CURVES}
    lines = [metric for metric, points in longest.items() if points > 1]
    return lines or [metric for metric, points in longest.items() if points][:1]


def _places(swept: Mapping[str, str], values: Mapping[str, Mapping[str, int]]) -> list[int]:
    """Return which of its values each key has."""
    return [places[swept.get(key, "")] for key, places in values.items()]


def _curves(runs: Sequence[RunResult], metric: str) -> dict[str, Any]:
    """Return a metric's curves: heading, distinct lists of epochs, and each run's values as base64 of float32."""
    kept = max(2, POINTS // max(1, len(runs)))
    epochs: dict[tuple[int, ...], int] = {}
    values = []
    for run in runs:
        points = [(epoch, value) for epoch, value in run.curves.get(metric, []) if abs(value) < LARGEST]
        if len(points) > kept:
            places = np.unique(np.linspace(0, len(points) - 1, kept).round().astype(int))
            points = [points[place] for place in places]
        which = epochs.setdefault(tuple(epoch for epoch, _ in points), len(epochs))
        packed = np.array([value for _, value in points], "<f4").tobytes()
        values.append([which, base64.b64encode(packed).decode("ascii")])
    return {"heading": column_of(metric).heading, "epochs": [list(each) for each in epochs], "values": values}


def _fronts(comparison: Comparison, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return, for each measure of quality and each of what it takes, the configurations that no other beats, if any."""
    places = {id(group): place for place, group in enumerate(comparison.groups)}
    return [
        {
            "metric": names.index(ranking.metric),
            "effort": names.index(effort.metric),
            "front": [places[id(group)] for group in front],
        }
        for ranking in ranked_metrics(comparison)
        for effort in efforts(comparison)
        if (front := pareto_front(comparison.groups, ranking, effort.metric))
    ]


def _effect(
    effect: KeyEffect, names: Sequence[str], values: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    places = values[effect.key]
    return {
        "key": [*values].index(effect.key),
        "metric": names.index(effect.metric.metric),
        "values": [
            [places[value.value], _number(value.mean), _number(value.margin)] for value in effect.values
        ],
    }


def _number(value: float) -> float | None:
    """Return a number as JSON can have it, with more digits than a chart shows."""
    return float(f"{value:.7g}") if math.isfinite(value) else None
