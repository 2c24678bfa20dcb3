"""Pictures of one run, as PNG or SVG: its costs, its embeddings, its softmax output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray

from w2v_exp.examples.counts import information_explained
from w2v_exp.metrics import heading_of
from w2v_exp.reporting import style
from w2v_exp.reporting.escape import shown
from w2v_exp.reporting.projections import principal_components
from w2v_exp.reporting.style import EndLabel, label_ends, label_points

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
