"""A sweep as one HTML page.

Texts, tables and heat maps are HTML; scripts of `web/summary` draw the charts as SVG, from the data in the page.
"""

from __future__ import annotations

import base64
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from w2v_exp.errors import shown
from w2v_exp.files import replacing
from w2v_exp.metrics import CURVES, QUALITIES, RESOURCES, Metric, Ranking, metric_of
from w2v_exp.reporting.comparison import (
    SPREAD,
    Comparison,
    Group,
    Layout,
    layout_of,
    pareto_front,
    values_of,
)
from w2v_exp.reporting.conclusions import (
    NEGATIVE,
    POSITIVE,
    RULE,
    Conclusion,
    Conclusions,
    conclusions_of,
)
from w2v_exp.reporting.effects import (
    Finding,
    KeyEffect,
    findings,
    key_effect,
    written_change,
    written_difference,
)
from w2v_exp.reporting.importance import Importance, importance
from w2v_exp.reporting.intervals import HEADINGS, score_intervals, scores_with_replicates
from w2v_exp.reporting.intervals import NOTE as INTERVALS
from w2v_exp.reporting.pages import COLOURS, WEB, render_page
from w2v_exp.reporting.stability import StabilityReport
from w2v_exp.results import RunResult

FILE = "summary.html"
SCRIPTS = (
    "chart.js",
    "focus.js",
    "curves.js",
    "points.js",
    "parallel.js",
    "effects.js",
    "table.js",
    "page.js",
    "live.js",
)
ROWS = 1000  # of the table; comparison.csv has all
SHADES = 20  # of a heat map
POINTS = 100_000  # of all curves of a metric together: half a megabyte
LONGEST = 60  # characters of a value
LARGEST = float(np.finfo(np.float32).max)
VERDICTS = {True: "significant", False: "not significant", None: "too few seeds"}


def ranked_metrics(comparison: Comparison) -> list[Ranking]:
    """Return the quality metrics that some configuration has; the one that ranks them is first."""
    first = [comparison.ranking] if comparison.ranking else []
    others = [quality.ranking for quality in QUALITIES if quality.ranking not in first]
    return [r for r in first + others if any(group.ranks(r.metric) for group in comparison.groups)]


def resources(comparison: Comparison) -> list[Ranking]:
    """Return the resource metrics that some configuration has: memory and time."""
    return [r.ranking for r in RESOURCES if any(group.has(r.name) for group in comparison.groups)]


def chart_data(
    comparison: Comparison, effects: Sequence[KeyEffect], shares: Sequence[Importance]
) -> dict[str, Any]:
    """Return the data of the charts, ready for JSON: None for NaN, texts without control characters.

    The ``group`` of a run is the row of its configuration in the table, −1 for an unfinished run.
    """
    metrics = [*ranked_metrics(comparison), *resources(comparison)]
    runs = [(row, run) for row, group in enumerate(comparison.groups) for run in group.runs]
    runs += [(-1, run) for run in comparison.unfinished]
    names = [metric.metric for metric in metrics]
    values = {
        key: {value: i for i, value in enumerate(values_of(key, comparison))} for key in comparison.keys
    }
    return {
        "keys": [
            {"name": shown(key, LONGEST), "values": [shown(value, LONGEST) for value in indices]}
            for key, indices in values.items()
        ],
        "metrics": [
            {"name": m.metric, "heading": comparison.heading_of(metric_of(m.metric)), "sign": m.sign}
            for m in metrics
        ],
        "groups": [
            {
                "name": comparison.name_of(group),
                "values": _value_indices(group.swept, values),
                "means": [_number(group.ranked_mean(name)) for name in names],
                "deviations": [_number(group.deviation(name)) for name in names],
            }
            for group in comparison.groups
        ],
        "runs": [
            {
                "group": row,
                "name": shown(run.name, LONGEST),
                "seed": run.seed,
                "values": _value_indices(run.swept, values),
                "metrics": [_number(run.metrics[name]) if run.ranks(name) else None for name in names],
            }
            for row, run in runs
        ],
        "curves": {metric: _curves([run for _, run in runs], metric) for metric in drawn_curves(comparison)},
        "estimated": [number for number, (_, run) in enumerate(runs) if run.has_estimated_cost],
        "floor": _number(comparison.common_floor),
        "colours": len(COLOURS),
        "fronts": _fronts(comparison, names),
        "effects": [_effect(effect, names, values) for effect in effects],
        "importance": [
            {
                "metric": names.index(each.metric.metric),
                "shares": [
                    [shown(s.name, LONGEST), _number(s.share), _number(s.low), _number(s.high), s.is_key]
                    for s in each.shares
                ],
            }
            for each in shares
        ],
    }


def drawn_curves(comparison: Comparison) -> list[str]:
    """Return the metrics whose curves are drawn, each on its own axes.

    A metric with a single point per run is drawn only if there is no curve of another one: the cost of negative
    sampling is measured at the end by default.
    """
    runs = [run for group in comparison.groups for run in group.runs] + comparison.unfinished
    longest = {metric: max((len(run.curves.get(metric, [])) for run in runs), default=0) for metric in CURVES}
    lines = [metric for metric, points in longest.items() if points > 1]
    return lines or [metric for metric, points in longest.items() if points][:1]


def _value_indices(swept: Mapping[str, str], values: Mapping[str, Mapping[str, int]]) -> list[int]:
    """Return the index of the value of each key."""
    return [indices[swept.get(key, "")] for key, indices in values.items()]


def _curves(runs: Sequence[RunResult], metric: str) -> dict[str, Any]:
    """Return the curves of a metric: heading, distinct lists of epochs, values of each run as float32 in base64."""
    kept = max(2, POINTS // max(1, len(runs)))
    epochs: dict[tuple[int, ...], int] = {}
    values = []
    for run in runs:
        points = [(epoch, value) for epoch, value in run.curves.get(metric, []) if abs(value) < LARGEST]
        if len(points) > kept:
            chosen = np.unique(np.linspace(0, len(points) - 1, kept).round().astype(int))
            points = [points[i] for i in chosen]
        which = epochs.setdefault(tuple(epoch for epoch, _ in points), len(epochs))
        packed = np.array([value for _, value in points], "<f4").tobytes()
        values.append([which, base64.b64encode(packed).decode("ascii")])
    return {"heading": metric_of(metric).heading, "epochs": [list(each) for each in epochs], "values": values}


def _fronts(comparison: Comparison, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the Pareto front of each quality metric against each resource, where there is one."""
    rows = {id(group): row for row, group in enumerate(comparison.groups)}
    return [
        {
            "metric": names.index(ranking.metric),
            "resource": names.index(resource.metric),
            "front": [rows[id(group)] for group in front],
        }
        for ranking in ranked_metrics(comparison)
        for resource in resources(comparison)
        if (front := pareto_front(comparison.groups, ranking, resource.metric))
    ]


def _effect(
    effect: KeyEffect, names: Sequence[str], values: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    indices = values[effect.key]
    return {
        "key": [*values].index(effect.key),
        "metric": names.index(effect.metric.metric),
        "values": [
            [indices[value.value], _number(value.mean), _number(value.margin)] for value in effect.values
        ],
    }


def _number(value: float) -> float | None:
    """Return a number with more digits than a chart shows; None if it is not finite."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


@dataclass(frozen=True)
class Running:
    """State of a running sweep: its page shows how far it is, and loads itself again.

    Parameters
    ----------
    written : str
        Time at which the page is written.
    reload_seconds : int
        Time after which the page loads itself again.
    folder : str
        The sweep's folder.
    """

    written: str
    reload_seconds: int
    folder: str


@dataclass(frozen=True)
class Header:
    """The header of a page: the request for its runs.

    Parameters
    ----------
    name : str
        Name of the sweep, or a description of the selected runs.
    command : str
        The command line.
    total : int, optional
        Number of requested runs, if known.
    changes : mapping of str to list of str
        Overrides of each change, for a sweep of changes.
    running : Running, optional
        State of the sweep, for a page that is written while it runs.
    """

    name: str
    command: str
    total: int | None = None
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    running: Running | None = None


def write_summary_page(
    comparison: Comparison, header: Header, path: Path | str, stability: StabilityReport | None = None
) -> None:
    """Write the page of a sweep."""
    page = summary_page(comparison, header, stability)
    with replacing(path, durable=False) as stream:
        stream.write(page)


def summary_page(comparison: Comparison, header: Header, stability: StabilityReport | None = None) -> str:
    """Return the page of a sweep; the same sweep gives the same bytes."""
    ranked, used = ranked_metrics(comparison), resources(comparison)
    effects = [key_effect(comparison, key, m) for m in [*ranked, *used] for key in comparison.keys]
    shares = [importance(comparison, m) for m in [*ranked, *used]]
    columns, data = comparison.columns, chart_data(comparison, effects, shares)
    runs = [run for group in comparison.groups for run in group.runs] + comparison.unfinished
    return render_page(
        WEB / "summary",
        SCRIPTS,
        data,
        shades=SHADES,
        name=shown(header.name, 200),
        command="\n".join(shown(line, 20_000) for line in header.command.split("\n")),
        changes=[
            (shown(name), shown(shlex.join(texts), 500)) for name, texts in header.changes.items() if texts
        ],
        comparison=comparison,
        headline=_headline(comparison, runs),
        running=header.running,
        ended=f"{len(runs)} of {header.total} runs" if header.total else f"{len(runs)} runs",
        sweep_folder=shown(shlex.quote(header.running.folder), 500) if header.running else "",
        title=" × ".join(shown(key.rpartition(".")[2]) for key in comparison.keys) or "one configuration",
        varied=[(shown(k, LONGEST), _listed(values_of(k, comparison))) for k in comparison.keys],
        seeds=_listed([str(seed) for seed in sorted({run.seed for run in runs})]),
        missing=0 if header.running else max(0, (header.total or 0) - len(runs)),
        findings=_findings(comparison, effects[: len(comparison.keys)], shares[0]) if ranked else [],
        headings=[(comparison.heading_of(column), column.priority) for column in columns],
        rows=[_row(group, comparison, columns) for group in comparison.groups[:ROWS]],
        repeated=any(len(group.runs) > 1 for group in comparison.groups),
        associations=[_association(comparison, test) for test in conclusions_of(comparison)],
        association_rule=RULE,
        curves=[
            (metric, f"{metric_of(metric).heading} by epoch".capitalize(), metric_of(metric).note)
            for metric in drawn_curves(comparison)
        ],
        estimated=any(run.has_estimated_cost for run in runs),
        intervals=[_intervals(comparison, ranking) for ranking in scores_with_replicates(comparison)],
        intervals_note=INTERVALS,
        fronts=bool(data["fronts"]),
        metrics=bool(data["metrics"]),
        effects=[_effect_table(comparison, each, effects) for each in shares],
        of_changes=any(effect.of_changes for effect in effects),
        heat_maps=_heat_maps(comparison, ranked),
        stability=stability.page() if stability else None,
        skipped=[_ended(run) for run in comparison.skipped],
        unfinished=[_ended(run) for run in comparison.unfinished],
    )


def _intervals(comparison: Comparison, ranking: Ranking) -> dict[str, Any]:
    """Return the intervals of a score over documents, as a table."""
    column = metric_of(ranking.metric)
    found = score_intervals(comparison, ranking)[:ROWS]
    return {
        "heading": comparison.heading_of(column),
        "headings": HEADINGS,
        "rows": [(comparison.name_of(each.group), each.cells(column)) for each in found],
    }


def _findings(comparison: Comparison, effects: Sequence[KeyEffect], shares: Importance) -> list[Finding]:
    """Return the main findings; a key whose effect cannot be estimated, as in a search, has its importance."""
    known = {share.name: share for share in shares.shares if share.is_key and math.isfinite(share.low)}
    found = findings(comparison, effects)
    for i, effect in enumerate(effects[: len(found) - 1], 1):
        if not effect.values and (share := known.get(effect.key)):
            interval = f"95 % interval {_percent(share.low)} to {_percent(share.high)}"
            explained = f"explains {_percent(share.share)} of the variance between runs ({interval})."
            found[i] = found[i]._replace(sentence=explained)
    return found


def _headline(comparison: Comparison, runs: Sequence[RunResult]) -> str:
    """Return the numbers of configurations and runs, and of those that ended before their last epoch."""
    early = Counter(run.ended_by for run in runs if run.ended_by not in ("", "epochs"))
    return shown(", ".join([comparison.headline, *(f"{n} ended by {how}" for how, n in early.items())]), 300)


def _listed(values: Sequence[str]) -> str:
    """Return values separated by commas; of more than 30, the first 20 and the last 3."""
    texts = [shown(value, LONGEST) for value in values]
    return ", ".join(texts if len(texts) <= 30 else [*texts[:20], "…", *texts[-3:]])


def _row(group: Group, comparison: Comparison, columns: Sequence[Metric]) -> dict[str, Any]:
    """Return a configuration as a row of the table: texts, and numbers to sort by."""
    numbers = [(_breakable(comparison.written(group, column)), group.mean(column.name)) for column in columns]
    return {
        "name": comparison.name_of(group),
        "settings": [shown(group.swept.get(key, ""), LONGEST) for key in comparison.keys],
        "runs": len(group.runs),
        "numbers": [(text, repr(mean) if math.isfinite(mean) else "") for text, mean in numbers],
    }


AXIS = 200.0  # length of the axis of intervals, in pixels


def _association(comparison: Comparison, test: Conclusions) -> dict[str, Any]:
    """Return the conclusions from an association test as a table: texts, and positions on an axis."""
    known = [conclusion for conclusion in test.conclusions if math.isfinite(conclusion.mean)]
    means = [0.0, *(conclusion.mean for conclusion in known)]
    spread = max(means) - min(means) or 1.0  # intervals of two seeds can be far wider; they are cut
    ends = [end for each in known for end in (each.low, each.high) if math.isfinite(end)]
    low = max(min(means + ends), min(means) - spread)
    high = max(min(max(means + ends), max(means) + spread), low + spread / 2)

    def position(value: float) -> str:
        share = (min(max(value, low), high) - low) / (high - low)
        return f"{6 + (AXIS - 12) * share:.1f}"

    def row(conclusion: Conclusion) -> dict[str, Any]:
        ends = (conclusion.low, conclusion.high)
        return {
            "settings": [shown(conclusion.group.swept.get(key, ""), LONGEST) for key in comparison.keys],
            "numbers": conclusion.written(test.metric),
            "ends": [position(end) for end in ends] if math.isfinite(conclusion.low) else None,
            "spot": position(conclusion.mean) if conclusion in known else None,
            "conclusion": conclusion.outcome,
            "shown": conclusion.verdict in (POSITIVE, NEGATIVE),
        }

    return {
        "name": test.name,
        "summary": test.summary.capitalize(),
        "zero": position(0.0),
        "axis": f"{AXIS:.0f}",
        "rows": [row(conclusion) for conclusion in test.conclusions[:ROWS]],
        "keys": [(shown(key, LONGEST), sentence) for key, sentence in test.keys],
    }


def _breakable(text: str) -> str:
    """Return a number whose deviation is in the next line where the column is narrow."""
    return text.replace("± ", "±\u00a0")


def _effect_table(comparison: Comparison, shares: Importance, effects: Sequence[KeyEffect]) -> dict[str, Any]:
    """Return the importance of all keys for a metric, and the effects of their values, as tables."""
    metric = shares.metric
    column = metric_of(metric.metric)
    return {
        "heading": comparison.heading_of(column),
        "better": "higher" if metric.sign > 0 else "lower",
        "importance": {
            "note": shares.note,
            "rows": [
                {
                    "name": shown(share.name, LONGEST),
                    "share": _percent(share.share),
                    "interval": f"{_percent(share.low)} to {_percent(share.high)}" if share.low >= 0 else "–",
                }
                for share in shares.shares
            ],
        },
        "keys": [_key_table(effect, column) for effect in effects if effect.metric == metric],
    }


def _percent(share: float) -> str:
    return f"{100 * share:.{1 if share < 0.1 else 0}f} %" if math.isfinite(share) else "too many values"


def _key_table(effect: KeyEffect, column: Metric) -> dict[str, Any]:
    rows = []
    for value in effect.from_best:
        decimals = column.decimals_for(value.mean)
        spread = "" if math.isnan(value.deviation) else f"{value.deviation:,.{decimals + 1}f}"
        is_reference = value.value == effect.reference
        written = (
            written_change(value, effect, column) if effect.of_changes else written_difference(value, column)
        )
        rows.append(
            {
                "value": shown(value.value, LONGEST),
                "runs": value.runs,
                "mean": f"{value.mean:,.{decimals}f}",
                "spread": spread or "–",
                "behind": ("–" if effect.of_changes else "best") if is_reference else _breakable(written),
                "verdict": "" if is_reference else VERDICTS[value.is_significant],
                "significant": value.is_significant,
                "worse": "" if is_reference else f"{value.ahead} of {value.settings}",
            }
        )
    return {
        "key": shown(effect.key, LONGEST),
        "rows": rows,
        "difference": ("difference", f"from {effect.reference}")
        if effect.of_changes
        else ("behind", "the best"),
        "absent": _listed(effect.absent),
    }


def _heat_maps(comparison: Comparison, metrics: Sequence[Ranking]) -> list[dict[str, Any]]:
    """Return a heat map of each metric for two swept keys, or several for three; none if there is no layout."""
    layout = layout_of(comparison)
    if layout is None:
        return []
    return [
        {
            "heading": comparison.heading_of(metric_of(metric.metric)),
            "layout": layout,
            "rows": [shown(value, LONGEST) for value in layout.rows],
            "columns": [shown(value, LONGEST) for value in layout.columns],
            "row_key": shown(layout.row_key, LONGEST),
            "column_key": shown(layout.column_key, LONGEST),
            "panels": [
                {
                    "name": shown(f"{layout.panel_key}={panel}", LONGEST) if layout.panel_key else "",
                    "cells": _cells(comparison, layout, panel, metric),
                }
                for panel in layout.panels
            ],
        }
        for metric in metrics
    ]


def _cells(
    comparison: Comparison, layout: Layout, panel: str, metric: Ranking
) -> list[list[tuple[str, int | None]]]:
    """Return the texts of the cells of a heat map with their shades, 0 for the worst and `SHADES` for the best."""
    column = metric_of(metric.metric)
    known = [
        metric.sign * group.ranked_mean(metric.metric)
        for group in comparison.groups
        if group.ranks(metric.metric)
    ]
    low = min(*known, max(known) - SPREAD)
    cells: list[list[tuple[str, int | None]]] = [[("", None) for _ in layout.columns] for _ in layout.rows]
    for run in comparison.unfinished:
        if layout.is_in(panel, run.swept):
            row, cell = layout.position(run.swept)
            cells[row][cell] = (shown(run.status.lower()), None)
    for group in comparison.groups:
        if layout.is_in(panel, group.swept):
            row, cell = layout.position(group.swept)
            share = (metric.sign * group.ranked_mean(metric.metric) - low) / (max(known) - low)
            shade = round(SHADES * share) if math.isfinite(share) else None
            cells[row][cell] = (comparison.written(group, column), shade)
    return cells


def _ended(run: RunResult) -> dict[str, str]:
    name = " ".join(f"{key}={value}" for key, value in run.swept.items()) or run.name
    return {
        "name": shown(name, 200),
        "seed": str(run.seed),
        "status": shown(run.status.lower()),
        "reason": shown(run.reason, 2000),
        "run_id": shown(run.run_id, 60),
    }
