"""Pictures of a sweep."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from w2v_exp.errors import shown
from w2v_exp.machine import MEGABYTE, readable_bytes
from w2v_exp.metrics import MORE, QUALITIES, Metric, Ranking, heading_of, metric_of
from w2v_exp.reporting import style
from w2v_exp.reporting.comparison import SPREAD, Comparison, Group, Layout, layout_of, pareto_front
from w2v_exp.reporting.style import EndLabel, label_ends, label_points

EXPLAINED, MEMORY, TIME = "information_explained", "peak_memory_mb", "train_seconds"


FOCUS = len(style.COLOURS)  # curves that colour can distinguish; of more, only the best have a colour
LABELLED_POINTS = 12  # of more, only the Pareto front has labels


def draw_cost_curves(comparison: Comparison, path: Path | str, metric: str = "cost") -> bool:
    """Draw a cost of all finished runs by epoch: mean over seeds, with a band of ± one standard deviation.

    Of more curves than colour can distinguish, the best configurations are coloured and labelled, the others are grey.
    The cost floor is drawn if all runs train on the same pairs.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    metric : str
        The cost, one of `CURVES`; runs without this curve are omitted.

    Returns
    -------
    bool
        Whether there was anything to draw.
    """
    curves = [(group, *_mean_curve(group, metric)) for group in comparison.groups]
    curves = [curve for curve in curves if np.isfinite(curve[2]).any()]
    if not curves:
        return False
    focus = FOCUS if len(curves) <= FOCUS else FOCUS - 1
    with style.drawing(path) as figure:
        axes = figure.add_subplot()
        values, ends = [], []
        for rank, (group, epochs, means, deviations) in reversed(list(enumerate(curves))):
            colour = style.COLOURS[rank] if rank < focus else style.PALE
            style.draw_curve(axes, epochs, means, colour, 1.6 if rank < focus else 0.9)
            if rank < focus:
                axes.fill_between(
                    epochs, means - deviations, means + deviations, color=colour, alpha=0.2, lw=0
                )
                end = float(means[np.isfinite(means)][-1])
                qualifier = f" {group.qualifier(metric)}".rstrip()
                ends.append(EndLabel(end, f"{comparison.name_of(group)}  {end:.4f}{qualifier}", colour))
            values += means[np.isfinite(means)].tolist()
        if metric == "cost" and math.isfinite(floor := comparison.common_floor):
            ends.append(style.draw_level(axes, "cost floor ", floor))
            values.append(floor)
        style.show_epochs(axes, max(float(epochs[-1]) for _, epochs, _, _ in curves))
        style.show_values(axes, f"{heading_of(metric)}, nats per pair", values)
        title = f"{heading_of(metric)} by epoch".capitalize()
        style.add_title(axes, title, _curves_sentence(metric, len(curves), focus, comparison))
        label_ends(figure, {axes: ends})
    return True


def _mean_curve(
    group: Group, metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the epochs common to all seeds, and mean and standard deviation of a metric over the seeds."""
    costs = [dict(run.curves.get(metric, [])) for run in group.runs]
    epochs = sorted(set.intersection(*map(set, costs)))
    table = np.array([[run[epoch] for epoch in epochs] for run in costs]).reshape(len(costs), len(epochs))
    deviations = table.std(axis=0, ddof=1) if len(costs) > 1 else np.zeros(len(epochs))
    return np.array(epochs, np.float64), table.mean(axis=0), deviations


def _curves_sentence(metric: str, curves: int, focus: int, comparison: Comparison) -> str:
    same = "pairs" if metric == "cost" else "objective and pairs"
    sentences = [f"Comparable only for the same {same}."]
    if any(len(group.runs) > 1 for group in comparison.groups):
        sentences.append("Bands: ± std over seeds.")
    if curves > focus:
        sentences.append(f"Colour: the best {focus} of {curves}.")
    return " ".join(sentences)


def draw_explained_by_memory(comparison: Comparison, path: Path | str) -> bool:
    """Draw the information explained against the peak memory, one point per configuration.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.

    Returns
    -------
    bool
        Whether there was anything to draw.
    """
    return _draw_explained(comparison, path, MEMORY, "peak memory, MB", "peak memory", "less memory")


def draw_explained_by_time(comparison: Comparison, path: Path | str) -> bool:
    """Draw the information explained against the training time; see `draw_explained_by_memory`."""
    return _draw_explained(comparison, path, TIME, "training time, s", "training time", "less time")


def _draw_explained(
    comparison: Comparison, path: Path | str, resource: str, label: str, title: str, saving: str
) -> bool:
    """Draw the information explained against a resource metric, with the Pareto front in colour.

    With several seeds, a point is their mean, with bars of ± one standard deviation. Configurations on the front are
    labelled first.
    """
    groups = [g for g in comparison.groups if math.isfinite(g.mean(EXPLAINED)) and g.mean(resource) > 0]
    if not groups:
        return False
    front = pareto_front(groups, Ranking(EXPLAINED, 1), resource)
    groups.sort(key=lambda group: group not in front)
    x = np.array([group.mean(resource) for group in groups])
    y = np.array([group.mean(EXPLAINED) for group in groups])
    bars = [np.nan_to_num([group.deviation(metric) for group in groups]) for metric in (resource, EXPLAINED)]
    colours = [style.COLOURS[0] if group in front else style.GREY for group in groups]
    with style.drawing(path) as figure:
        axes = figure.add_subplot()
        axes.errorbar(x, y, xerr=bars[0], yerr=bars[1], fmt="none", ecolor=style.GREY, elinewidth=1)
        axes.scatter(x, y, s=30, lw=0, zorder=3, color=colours)
        if x.max() > 30 * x.min():
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
            axes.minorticks_off()
        axes.margins(0.12)
        axes.grid(True)
        axes.set_xlabel(label)
        axes.set_ylabel("information explained")
        subtitle = f"Blue: the Pareto front; no other configuration explains as much with {saving}."
        style.add_title(axes, f"Information explained and {title}", subtitle)
        named = max(LABELLED_POINTS, len(front))
        label_points(figure, axes, x, y, [comparison.name_of(group) for group in groups[:named]])
    return True


ANNOTATED_COLUMNS = 12  # numbers that fit side by side; a wider heat map has a colour bar instead


class Shades(NamedTuple):
    """The colour scale of all panels.

    Parameters
    ----------
    metric : Metric
        The metric of the cells.
    palest, darkest : float
        The values with the palest and the darkest colour.
    """

    metric: Metric
    palest: float
    darkest: float


def heat_maps() -> dict[str, str]:
    """Return the names of heat maps with their metrics: the quality metrics of which more is better."""
    names = [metric.name for metric in QUALITIES if metric.better == MORE]
    return {"heat_map" if name == EXPLAINED else f"heat_map_{name}": name for name in names}


def draw_heat_map(comparison: Comparison, path: Path | str, metric: str = EXPLAINED) -> bool:
    """Draw a metric for every combination of two swept values, as a heat map.

    If three keys are swept, there is one panel for each value of the key with the fewest values.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    metric : str
        The name of the metric in the store, one of `heat_maps`.

    Returns
    -------
    bool
        False, and no picture, if `layout_of` has no layout for the sweep, or no run has the metric.
    """
    known = [value for group in comparison.groups if np.isfinite(value := group.ranked_mean(metric))]
    layout = layout_of(comparison)
    if layout is None or not known:
        return False
    best = max(known)
    shades = Shades(metric_of(metric), min(*known, best - SPREAD), best)
    with style.drawing(path, height=min(10.0, 1.9 + 0.55 * len(layout.rows))) as figure:
        all_axes = figure.subplots(1, len(layout.panels), squeeze=False)[0].tolist()
        for axes, panel in zip(all_axes, layout.panels, strict=True):
            _draw_cells(figure, axes, comparison, layout, panel, shades)
            axes.set_xlabel(shown(layout.column_key))
            axes.tick_params(labelleft=panel == layout.panels[0])
            if layout.panel_key:
                axes.set_title(shown(f"{layout.panel_key}={panel}"))
        all_axes[0].set_ylabel(shown(layout.row_key))
        explanation = "0: unigram cost, 1: cost floor of the pairs of a run." if metric == EXPLAINED else ""
        panel_title = shown(f"{layout.panel_key}={layout.panels[0]}") if layout.panel_key else ""
        coverage = comparison.heading_of(shades.metric).removeprefix(shades.metric.heading)
        title = shades.metric.title()
        style.add_title(all_axes[0], f"{title[0].upper()}{title[1:]}{coverage}", panel_title or explanation)
    return True


def _draw_cells(
    figure: Figure, axes: Axes, comparison: Comparison, layout: Layout, panel: str, shades: Shades
) -> None:
    """Draw the cells of a panel."""
    metric, palest, darkest = shades
    means, texts = np.full((len(layout.rows), len(layout.columns)), np.nan), {}
    for run in comparison.unfinished:
        if layout.is_in(panel, run.swept):
            texts[layout.position(run.swept)] = run.status.lower()
    for group in comparison.groups:
        if layout.is_in(panel, group.swept):
            means[layout.position(group.swept)] = group.ranked_mean(metric.name)
            texts[layout.position(group.swept)] = comparison.written(group, metric).replace(" ± ", "\n± ")
    heat: QuadMesh = style.show_cells(axes, means, layout.rows, layout.columns)
    heat.set_clim(palest, darkest)
    if len(layout.columns) > ANNOTATED_COLUMNS:
        style.show_scale(figure, axes, heat, "")
        return
    size = style.SMALL if len(layout.columns) > 6 else 11
    for (row, column), text in texts.items():
        dark = means[row, column] > palest + 0.55 * (darkest - palest)
        colour = "white" if dark else style.INK if np.isfinite(means[row, column]) else style.GREY
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, size=size)


LABELS = "labels"
ENCODINGS = ("dense", "sparse", "counts", "streamed")  # by memory; each has its colour in every picture
NEAR = 1e3  # ratio of numbers of pairs below which labels would overlap
FURTHEST = 3e3  # times the pairs of the longest text: end of the extrapolated lines


class Rung(NamedTuple):
    """A run with a label encoding.

    Parameters
    ----------
    pairs : float
        Number of pairs of its text.
    estimated, measured : float
        Peak memory in MB; ``measured`` is NaN if the run was refused or failed.
    available : float
        Available memory in MB; NaN if unknown.
    """

    pairs: float
    estimated: float
    measured: float
    available: float


def draw_memory_ladder(comparison: Comparison, path: Path | str) -> bool:
    """Draw measured and estimated peak memory against the number of pairs, one line per label encoding.

    Both axes are logarithmic. Lines are estimates, points measured peaks, filled crosses refused runs. A thin cross
    marks the intersection with the available memory. Beyond the longest text, lines are extrapolated and dashed.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.

    Returns
    -------
    bool
        False, and no picture, unless label encodings were swept over texts with different numbers of pairs.
    """
    rungs = _rungs(comparison)
    lengths = {rung.pairs for line in rungs.values() for rung in line}
    if len(rungs) < 2 or len(lengths) < 2:
        return False
    found = [rung.available for line in rungs.values() for rung in line if math.isfinite(rung.available)]
    limit = float(np.median(found)) if found else math.inf
    with style.drawing(path, height=5.4) as figure:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = []
        for encoding, line in rungs.items():
            colour = style.COLOURS[_rank(encoding)]
            ends.append((*_draw_rungs(axes, line, limit, FURTHEST * max(lengths), colour), encoding, colour))
        if math.isfinite(limit):
            axes.axhline(limit, color=style.INK, lw=1.2)
            axes.annotate(
                f"{readable_bytes(limit * MEGABYTE)} available",
                (0, limit),
                (4, -4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="top",
            )
        _label_lines(axes, ends, limit)
        axes.xaxis.set_major_locator(LogLocator(10, numticks=20))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _readable_number(value)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: readable_bytes(value * MEGABYTE)))
        axes.minorticks_off()
        axes.grid(True)
        axes.set_xlabel("pairs in the text")
        axes.set_ylabel("peak memory")
        subtitle = "Lines: estimated. Points: measured. Filled crosses: refused runs. Dashed: extrapolated."
        style.add_title(axes, "Peak memory of the label encodings", subtitle)
    return True


def _rungs(comparison: Comparison) -> dict[str, list[Rung]]:
    """Return the runs of each encoding, by rising number of pairs."""
    runs = [*(run for group in comparison.groups for run in group.runs), *comparison.unfinished]
    rungs: dict[str, list[Rung]] = defaultdict(list)
    for run in runs:
        names = ("pairs", "estimated_memory_mb", "peak_memory_mb", "memory_available_mb")
        rung = Rung(*(run.metrics.get(name, math.nan) for name in names))
        if LABELS in run.swept and rung.pairs > 0 and rung.estimated > 0:
            rungs[run.swept[LABELS]].append(rung)
    return {name: sorted(rungs[name]) for name in sorted(rungs, key=_rank)}


def _rank(encoding: str) -> int:
    return ENCODINGS.index(encoding) if encoding in ENCODINGS else len(ENCODINGS)


def _draw_rungs(
    axes: Axes, line: Sequence[Rung], limit: float, furthest: float, colour: str
) -> tuple[float, float]:
    """Draw the memory of an encoding; return the point where it exceeds the limit, else the end of its line."""
    pairs, estimated = np.array([rung[:2] for rung in line]).T
    refused = estimated > limit
    axes.plot(pairs, estimated, color=colour)
    axes.plot(pairs, [rung.measured for rung in line], "o", color=colour, ms=6)
    axes.plot(pairs[refused], estimated[refused], "X", color=colour, ms=9, mec="white")
    if refused.any():
        end = float(np.exp(np.interp(math.log(limit), np.log(estimated), np.log(pairs))))
    elif len(line) > 1 and math.isfinite(limit):
        slope = math.log(estimated[-1] / estimated[-2]) / math.log(pairs[-1] / pairs[-2])
        end = furthest
        if slope > 0:
            end = float(min(furthest, pairs[-1] * (limit / estimated[-1]) ** (1 / slope)))
        height = estimated[-1] * (end / pairs[-1]) ** slope
        axes.plot([pairs[-1], end], [estimated[-1], height], color=colour, lw=1.2, ls=style.DASHES)
        if end == furthest:
            return end, height
    else:
        return float(pairs[-1]), float(estimated[-1])
    axes.plot(end, limit, "x", color=colour, ms=9, mew=1.8)
    return end, limit


def _label_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]], limit: float) -> None:
    """Write the name of each encoding at its end, with the number of pairs if it ends at the memory limit."""
    before, raised = 0.0, False
    for pairs, height, encoding, colour in sorted(ends):
        ending = height == limit
        if ending:
            raised = pairs < NEAR * before and not raised
            before = pairs
        axes.annotate(
            f"{encoding}: {_readable_number(pairs)} pairs" if ending else encoding,
            (pairs, height),
            (-7, 20 if raised else 6) if ending else (0, -26),
            textcoords="offset points",
            color=colour,
            weight="bold",
            ha="right",
        )


def _readable_number(number: float) -> str:
    """Return a number of pairs in words.

    >>> _readable_number(84), _readable_number(2_000_000), _readable_number(3.14e9)
    ('84', '2 million', '3.1 billion')
    """
    for size, name in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= 0.9999 * size:
            return f"{number / size:.2g}{name}" if number < 99.5 * size else f"{number / size:.0f}{name}"
    return f"{number:.0f}"
