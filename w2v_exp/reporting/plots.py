"""Pictures of a run and of a sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from w2v_exp.errors import shown
from w2v_exp.examples.counts import information_explained
from w2v_exp.metrics import MORE, QUALITIES, Metric, Ranking, heading_of, metric_of
from w2v_exp.reporting import style
from w2v_exp.reporting.comparison import SPREAD, Comparison, Group, Layout, layout_of, pareto_front
from w2v_exp.reporting.projections import principal_components
from w2v_exp.reporting.style import EndLabel, label_ends, label_points

EXPLAINED, MEMORY, TIME = "information_explained", "peak_memory_mb", "train_seconds"
ANNOTATED_COLUMNS = 12  # so many figures fit side by side; a heat map of more has a scale instead


class Shades(NamedTuple):
    """What the colours of all panels mean.

    Parameters
    ----------
    metric : Metric
        What is shown.
    palest, darkest : float
        Between which values the colours are.
    """

    metric: Metric
    palest: float
    darkest: float


def heat_maps() -> dict[str, str]:
    """Return the metrics with heat maps by the names of these: the qualities of which more is better."""
    names = [metric.name for metric in QUALITIES if metric.better == MORE]
    return {"heat_map" if name == EXPLAINED else f"heat_map_{name}": name for name in names}


def draw_heat_map(comparison: Comparison, path: Path | str, metric: str = EXPLAINED) -> bool:
    """Draw a metric of every combination of two swept values, as a heat map.

    Where three keys are swept, there is one for each value of the key that has the fewest.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    metric : str
        Its name in the store, one of those of `heat_maps`.

    Returns
    -------
    bool
        False, and nothing is drawn, if `layout_of` has no layout for the sweep, or no run has the metric.
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
        said = "0: knows only word frequencies, 1: the floor of a run's pairs."
        panel_title = shown(f"{layout.panel_key}={layout.panels[0]}") if layout.panel_key else ""
        told = panel_title or (said if metric == EXPLAINED else "")
        coverage = comparison.heading_of(shades.metric).removeprefix(shades.metric.heading)
        title = shades.metric.title()
        style.add_title(all_axes[0], f"{title[0].upper()}{title[1:]}{coverage}", told)
    return True


def _draw_cells(
    figure: Figure, axes: Axes, comparison: Comparison, layout: Layout, panel: str, shades: Shades
) -> None:
    """Draw the runs of a panel."""
    metric, palest, darkest = shades
    means, texts = np.full((len(layout.rows), len(layout.columns)), np.nan), {}
    for run in comparison.unfinished:
        if layout.is_in(panel, run.swept):
            texts[layout.place(run.swept)] = run.status.lower()
    for group in comparison.groups:
        if layout.is_in(panel, group.swept):
            means[layout.place(group.swept)] = group.ranked_mean(metric.name)
            texts[layout.place(group.swept)] = comparison.written(group, metric).replace(" ± ", "\n± ")
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


MAP_WORDS = 300  # more dots than that are a cloud without words
# Metrics that are drawn on the same axes: likelihoods together, the cost of another objective alone.
PANELS = [("article_cost", "validation_cost", "cost"), ("objective_cost",)]
LINES = {  # colour and width
    "cost": (style.COLOURS[0], 2.0),
    "validation_cost": (style.COLOURS[2], 1.6),
    "article_cost": (style.COLOURS[1], 1.2),
    "objective_cost": (style.COLOURS[3], 2.0),
}
SOFTMAX_WORDS = 50  # more cells than that are no longer seen one by one


def draw_costs(
    curves: Mapping[str, Mapping[int, float]],
    *,
    floor: float = np.nan,
    unigram: float = np.nan,
    estimated: bool = False,
    path: Path | str,
) -> None:
    """Draw the costs of a run by epoch; those that are likelihoods between the unigram cost and the floor.

    The cost of another objective is another quantity, and has axes of its own.

    Parameters
    ----------
    curves : mapping of str to mapping of int to float
        By the name of a metric, its values by epoch: ``cost``, ``validation_cost``, ``article_cost``,
        ``objective_cost``. Values that are not finite leave a gap.
    floor, unigram : float
        H(context | centre) and H(context) of the pairs, in nats; NaN, and not drawn, where they are not known.
    estimated : bool
        Whether ``cost`` was measured on a sample of the text.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    """
    drawn = [names for names in PANELS if any(curves.get(name) for name in names)] or PANELS[:1]
    cost = list(curves.get("cost", {}).values())
    with style.drawing(path, height=1.0 + 3.6 * len(drawn)) as figure:
        all_axes = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0].tolist()
        ends: dict[Axes, list[EndLabel]] = {}
        for axes, names in zip(all_axes, drawn, strict=True):
            levels = [("unigram cost", unigram), ("cost floor", floor)] if "cost" in names else []
            shown_levels = [(name, level) for name, level in levels if np.isfinite(level)]
            panel = {name: curves.get(name, {}) for name in names}
            ends[axes] = _draw_panel(axes, panel, shown_levels, estimated)
        style.show_epochs(
            all_axes[-1], max((epoch for curve in curves.values() for epoch in curve), default=0)
        )
        for axes in all_axes[:-1]:
            axes.tick_params(labelbottom=False)
        style.add_title(all_axes[0], "Cost by epoch", _explained_sentence(cost, unigram, floor, estimated))
        for axes in all_axes[1:]:
            style.add_title(
                axes, "Objective cost by epoch", "What training descends: another quantity than cost."
            )
        label_ends(figure, ends)


def _draw_panel(
    axes: Axes,
    curves: Mapping[str, Mapping[int, float]],
    levels: Sequence[tuple[str, float]],
    estimated: bool,
) -> list[EndLabel]:
    """Draw curves and levels of one quantity, and return the labels of their ends."""
    values, ends = [level for _, level in levels], []
    for name, level in levels:
        axes.axhline(level, color=style.GREY, lw=1, ls=style.DASHES)
        ends.append(EndLabel(level, f"{name} {level:.4f}", style.GREY))
    for name, curve in curves.items():
        finite = [value for value in curve.values() if np.isfinite(value)]
        if finite:
            colour, width = LINES[name]
            lone = len(finite) == 1
            marker = "o" if lone else None  # at an edge, where it would be cut in half
            line = list(curve.values())
            axes.plot(list(curve), line, color=colour, lw=width, marker=marker, clip_on=not lone, zorder=3)
            ends.append(
                EndLabel(finite[-1], f"{heading_of(name, estimated=estimated)} {finite[-1]:.4f}", colour)
            )
            values += finite
    style.show_values(axes, "nats per pair", values)
    return ends


def _explained_sentence(costs: Sequence[float], unigram: float, floor: float, estimated: bool) -> str:
    if not len(costs) or not np.isfinite(costs[-1]):
        return "The run did not come to a finite cost."
    if not (np.isfinite(unigram) and np.isfinite(floor)):
        return f"Ends with a {heading_of('cost', estimated=estimated)} of {costs[-1]:.4f} nats per pair."
    explained = information_explained(costs[-1], unigram, floor)
    if not np.isfinite(explained):
        return "These pairs have nothing to learn beyond word frequencies: the floor is the unigram cost."
    number = f"{explained:.3f}".replace("-", "−")
    return (
        f"Ends with {number} of the information explained "
        "(0: knows only word frequencies, 1: the floor of these pairs)."
    )


def draw_embedding_map(
    words: Sequence[str], vectors: NDArray[Any], counts: ArrayLike, path: Path | str
) -> None:
    """Draw the embeddings of the most frequent words in two dimensions, by principal components.

    Parameters
    ----------
    words : sequence of str
        The vocabulary.
    vectors : ndarray, shape (V, dim)
        Their embeddings. A word whose vector is not finite is left out.
    counts : array-like, shape (V,)
        How often each word occurs: the most frequent are drawn, at most 300, and the most frequent of these
        find room for their label first. A dot without room for a label is pale.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    """
    with style.drawing(path, height=6.4) as figure:
        map_embeddings(figure, words, vectors, counts)


def map_embeddings(
    figure: Figure, words: Sequence[str], vectors: NDArray[Any], counts: ArrayLike
) -> list[Text | None]:
    """Draw the map into a figure; return the label of each dot, by falling count, None if it has none."""
    finite = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    chosen = finite[np.argsort(-np.asarray(counts)[finite], kind="stable")][:MAP_WORDS]
    places, shares = principal_components(np.asarray(vectors, np.float64)[chosen])
    axes = figure.add_subplot()
    axes.set_aspect("equal", adjustable="datalim")  # a distance is as long in one direction as in the other
    axes.margins(0.06)
    axes.grid(True)
    dots = axes.scatter(places[::-1, 0], places[::-1, 1], s=14, lw=0, zorder=3)  # frequent words on top
    for axis, number, share in zip((axes.xaxis, axes.yaxis), ("first", "second"), shares, strict=True):
        axis.set_label_text(f"{number} principal component ({share:.0%} of the variance)")
        axis.set_tick_params(length=0)
        axis.set_major_formatter("{x:g}")
    style.add_title(axes, "Embeddings in two dimensions", "-")
    labels = label_points(figure, axes, places[:, 0], places[:, 1], [shown(words[i]) for i in chosen])
    dots.set_facecolor([style.PALE if label is None else style.COLOURS[0] for label in reversed(labels)])
    axes.set_title(_map_sentence(len(words), len(chosen), sum(label is not None for label in labels)))
    return labels


def _map_sentence(words: int, drawn: int, labelled: int) -> str:
    if drawn == words == labelled:
        return "Every word of the vocabulary." if words > 1 else "The only word of the vocabulary."
    who = f"All {words:,} words" if drawn == words else f"The {drawn:,} most frequent of {words:,} words"
    return f"{who}. Pale dots had no room for a label; frequent words come first."


def draw_softmax(
    words: Sequence[str], probabilities: NDArray[Any], true_neighbours: NDArray[np.bool_], path: Path | str
) -> None:
    """Draw what the model gives for each centre as a row of a heat map, with the true neighbours marked.

    Parameters
    ----------
    words : sequence of str
        The vocabulary, at most 50 words.
    probabilities : ndarray, shape (V, V)
        p(context | centre), a row for each centre.
    true_neighbours : ndarray of bool, shape (V, V)
        Whether the text has the pair.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.

    Raises
    ------
    ValueError
        If there are more words than can be shown.
    """
    size = len(words)
    if size > SOFTMAX_WORDS:
        raise ValueError(f"{size} words are more than the {SOFTMAX_WORDS} a heat map can show.")
    with style.drawing(path, height=min(7.6, 2.4 + 0.34 * size)) as figure:
        axes = figure.add_subplot()
        heat = style.show_cells(axes, probabilities, words, words)
        heat.set_clim(vmin=0)
        # A frame within the cell leaves the value to be seen: its colour is that of the whole cell.
        for row, column in np.argwhere(true_neighbours):
            axes.add_patch(
                Rectangle(
                    (column + 0.1, row + 0.1),
                    0.8,
                    0.8,
                    fill=False,
                    ec=style.COLOURS[1],
                    lw=min(1.4, 20 / size),
                )
            )
        axes.xaxis.set_tick_params(rotation=90 if size > 4 else 0)
        axes.set_xlabel("context")
        axes.set_ylabel("centre")
        style.show_scale(figure, axes, heat, "p(context | centre)")
        share = float(np.where(true_neighbours, probabilities, 0).sum(axis=1).mean())
        style.add_title(
            axes,
            "Softmax output by centre word",
            f"Framed: true neighbours in the text. They get {share:.1%} of a centre's probability, on average.",
        )


FOCUS = len(style.COLOURS)  # so many curves are told apart by colour; of more, the best are, among grey ones
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
