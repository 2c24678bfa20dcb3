"""Pictures of a sweep, as PNG or SVG: cost curves; information explained against memory, and against time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from w2v_exp.metrics import Ranking, heading_of
from w2v_exp.reporting import style
from w2v_exp.reporting.comparison import Comparison
from w2v_exp.reporting.group import Group
from w2v_exp.reporting.pareto_front import pareto_front
from w2v_exp.reporting.style import EndLabel, label_ends, label_points

FOCUS = len(style.COLOURS)  # so many curves are told apart by colour; of more, the best are, among grey ones
EXPLAINED, MEMORY, TIME = "information_explained", "peak_memory_mb", "train_seconds"
LABELLED_POINTS = 12  # of more, only those that no other beats have a label


def draw_cost_curves(comparison: Comparison, path: Path | str, metric: str = "cost") -> bool:
    """Draw a cost of all finished runs by epoch: mean over seeds, in a band of ± a standard deviation.

    Of more curves than can be told apart by colour, those that explain most are coloured and labelled, the
    others grey. Where all runs have the same cost floor, and train on the pairs that it is of, it is drawn as well.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    metric : str
        The cost, one of `CURVES`; runs that do not have it by epoch are left out.

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
            lone = np.isfinite(means).sum() == 1
            marker = "o" if lone else None  # at an edge, where it would be cut in half
            width = 1.6 if rank < focus else 0.9
            axes.plot(epochs, means, color=colour, lw=width, marker=marker, clip_on=not lone)
            if rank < focus:
                axes.fill_between(
                    epochs, means - deviations, means + deviations, color=colour, alpha=0.2, lw=0
                )
                end = float(means[np.isfinite(means)][-1])
                qualifier = f" {group.qualifier(metric)}".rstrip()
                ends.append(EndLabel(end, f"{comparison.name_of(group)}  {end:.4f}{qualifier}", colour))
            values += means[np.isfinite(means)].tolist()
        if metric == "cost" and math.isfinite(floor := comparison.common_floor):
            axes.axhline(floor, color=style.GREY, lw=1, ls=style.DASHES)
            ends.append(EndLabel(floor, f"cost floor  {floor:.4f}", style.GREY))
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
    """Return epochs, and mean and standard deviation of a metric over the seeds, where all have it."""
    costs = [dict(run.curves.get(metric, [])) for run in group.runs]
    epochs = sorted(set.intersection(*map(set, costs)))
    table = np.array([[run[epoch] for epoch in epochs] for run in costs]).reshape(len(costs), len(epochs))
    deviations = table.std(axis=0, ddof=1) if len(costs) > 1 else np.zeros(len(epochs))
    return np.array(epochs, np.float64), table.mean(axis=0), deviations


def _curves_sentence(metric: str, curves: int, focus: int, comparison: Comparison) -> str:
    same = "pairs" if metric == "cost" else "objective and pairs"
    sentences = [f"Costs compare only runs with the same {same}."]
    if any(len(group.runs) > 1 for group in comparison.groups):
        sentences.append("Bands: ± standard deviation over seeds.")
    if curves > focus:
        sentences.append(f"The {focus} that explain most in colour, {curves - focus} in grey.")
    return " ".join(sentences)


def draw_explained_by_memory(comparison: Comparison, path: Path | str) -> bool:
    """Draw the information explained against the peak memory, a point for each configuration.

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
    return _draw_explained(comparison, path, MEMORY, "peak memory, MB", "peak memory", "with less memory")


def draw_explained_by_time(comparison: Comparison, path: Path | str) -> bool:
    """Draw the information explained against the seconds of training, likewise. Runs without training have none."""
    return _draw_explained(comparison, path, TIME, "seconds of training", "time", "in less time")


def _draw_explained(
    comparison: Comparison, path: Path | str, effort: str, label: str, title: str, saving: str
) -> bool:
    """Draw the information explained against a metric of which less is better.

    Where there are several seeds, a point is their mean with bars of ± a standard deviation. Configurations
    that no other beats in both respects are coloured, and find room for their label first.
    """
    groups = [g for g in comparison.groups if math.isfinite(g.mean(EXPLAINED)) and g.mean(effort) > 0]
    if not groups:
        return False
    front = pareto_front(groups, Ranking(EXPLAINED, 1), effort)
    groups.sort(key=lambda group: group not in front)
    x = np.array([group.mean(effort) for group in groups])
    y = np.array([group.mean(EXPLAINED) for group in groups])
    bars = [np.nan_to_num([group.deviation(metric) for group in groups]) for metric in (effort, EXPLAINED)]
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
        subtitle = f"Blue: no other configuration explains as much {saving}."
        style.add_title(axes, f"Information explained and {title}", subtitle)
        named = max(LABELLED_POINTS, len(front))
        label_points(figure, axes, x, y, [comparison.name_of(group) for group in groups[:named]])
    return True
