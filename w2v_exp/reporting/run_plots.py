"""Pictures of a run: its costs, its embeddings on a map, and its softmax output.

They are drawn from a file by the process that uploads the run, so that matplotlib is imported beside the next run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from w2v_exp.errors import shown
from w2v_exp.examples.counts import information_explained
from w2v_exp.files import read_checked
from w2v_exp.metrics import heading_of
from w2v_exp.reporting import style
from w2v_exp.reporting.projections import SOFTMAX_WORDS
from w2v_exp.reporting.style import EndLabel, label_ends, label_points

# Left, right, below and above, in inches.
COST_MARGINS = 0.85, 2.25, 0.6, 0.75
MAP_MARGINS = 0.75, 0.15, 0.6, 0.75
# Metrics on the same axes: likelihoods together, the cost of another objective alone.
PANELS = [("article_cost", "validation_cost", "cost"), ("objective_cost",)]
LINES = {  # colour and width
    "cost": (style.COLOURS[0], 2.0),
    "validation_cost": (style.COLOURS[2], 1.6),
    "article_cost": (style.COLOURS[1], 1.2),
    "objective_cost": (style.COLOURS[3], 2.0),
}


def draw_costs(
    curves: Mapping[str, Mapping[int, float]],
    *,
    floor: float = np.nan,
    unigram: float = np.nan,
    estimated: bool = False,
    path: Path | str,
) -> None:
    """Draw the costs of a run by epoch, with the unigram cost and the cost floor.

    The cost of an objective other than the full softmax is another quantity, and has its own axes.

    Parameters
    ----------
    curves : mapping of str to mapping of int to float
        Values by epoch, by the name of the metric: ``cost``, ``validation_cost``, ``article_cost``,
        ``objective_cost``. Values that are not finite leave a gap.
    floor, unigram : float
        H(context | centre) and H(context) of the pairs, in nats; NaN, and not drawn, if unknown.
    estimated : bool
        Whether ``cost`` was measured on a sample of the text.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    """
    drawn = [names for names in PANELS if any(curves.get(name) for name in names)] or PANELS[:1]
    cost = list(curves.get("cost", {}).values())
    with style.drawing(path, height=1.0 + 3.6 * len(drawn), margins=COST_MARGINS) as figure:
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
                axes, "Objective cost by epoch", "The cost that training minimises; not comparable with cost."
            )
        label_ends(figure, ends)


def _draw_panel(
    axes: Axes,
    curves: Mapping[str, Mapping[int, float]],
    levels: Sequence[tuple[str, float]],
    estimated: bool,
) -> list[EndLabel]:
    """Draw curves and levels of one quantity, and return their labels."""
    values, ends = [level for _, level in levels], [style.draw_level(axes, *level) for level in levels]
    for name, curve in curves.items():
        finite = [value for value in curve.values() if np.isfinite(value)]
        if finite:
            colour, width = LINES[name]
            style.draw_curve(axes, list(curve), list(curve.values()), colour, width)
            ends.append(
                EndLabel(finite[-1], f"{heading_of(name, estimated=estimated)} {finite[-1]:.4f}", colour)
            )
            values += finite
    style.show_values(axes, "nats per pair", values)
    return ends


def _explained_sentence(costs: Sequence[float], unigram: float, floor: float, estimated: bool) -> str:
    if not len(costs) or not np.isfinite(costs[-1]):
        return "The last cost is not finite."
    if not (np.isfinite(unigram) and np.isfinite(floor)):
        return f"Last {heading_of('cost', estimated=estimated)}: {costs[-1]:.4f} nats per pair."
    explained = information_explained(costs[-1], unigram, floor)
    if not np.isfinite(explained):
        return "The cost floor is the unigram cost: the pairs contain no information beyond word frequencies."
    number = f"{explained:.3f}".replace("-", "−")
    return f"Information explained at the end: {number} (0: unigram cost, 1: cost floor)."


def draw_embedding_map(
    words: Sequence[str],
    positions: NDArray[np.float64],
    shares: Sequence[float],
    vocabulary_size: int,
    path: Path | str,
) -> None:
    """Draw the embeddings of the most frequent words in two dimensions.

    Parameters
    ----------
    words : sequence of str
        The words, the most frequent first, which are also labelled first. A dot whose label does not fit is pale.
    positions : ndarray, shape (len(words), 2)
        Their positions: see `map_positions`.
    shares : sequence of float, length 2
        The shares of the variance on both axes.
    vocabulary_size : int
        Number of words V.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    """
    with style.drawing(path, height=6.4, margins=MAP_MARGINS) as figure:
        map_embeddings(figure, words, positions, shares, vocabulary_size)


def map_embeddings(
    figure: Figure,
    words: Sequence[str],
    positions: NDArray[np.float64],
    shares: Sequence[float],
    vocabulary_size: int,
) -> list[Text | None]:
    """Draw the map into a figure; return the label of each dot, None if it does not fit."""
    axes = figure.add_subplot()
    axes.set_aspect("equal", adjustable="datalim")  # both axes have the same scale
    axes.margins(0.06)
    axes.grid(True)
    dots = axes.scatter(positions[::-1, 0], positions[::-1, 1], s=14, lw=0, zorder=3)  # frequent words on top
    for axis, number, share in zip((axes.xaxis, axes.yaxis), ("first", "second"), shares, strict=True):
        axis.set_label_text(f"{number} principal component ({share:.0%} of the variance)")
        axis.set_tick_params(length=0)
        axis.set_major_formatter("{x:g}")
    style.add_title(axes, "Embeddings in two dimensions", "-")
    labels = label_points(figure, axes, positions[:, 0], positions[:, 1], [shown(word) for word in words])
    dots.set_facecolor([style.PALE if label is None else style.COLOURS[0] for label in reversed(labels)])
    labelled = sum(label is not None for label in labels)
    axes.set_title(_map_sentence(vocabulary_size, len(words), labelled))
    return labels


def _map_sentence(words: int, drawn: int, labelled: int) -> str:
    if drawn == words == labelled:
        return "Every word of the vocabulary." if words > 1 else "The only word of the vocabulary."
    who = f"All {words:,} words" if drawn == words else f"The {drawn:,} most frequent of {words:,} words"
    return f"{who}. Pale dots: no room for the label."


def draw_softmax(
    words: Sequence[str], probabilities: NDArray[Any], true_neighbours: NDArray[np.bool_], path: Path | str
) -> None:
    """Draw the softmax output of each centre as a row of a heat map, with framed true neighbours.

    Parameters
    ----------
    words : sequence of str
        The vocabulary, at most 50 words.
    probabilities : ndarray, shape (V, C)
        p(context | centre), one row per centre.
    true_neighbours : ndarray of bool, shape (V, C)
        Whether the text contains the pair.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.

    Raises
    ------
    ValueError
        If there are more than 50 words.
    """
    size = len(words)
    if size > SOFTMAX_WORDS:
        raise ValueError(f"{size} words: a heat map shows at most {SOFTMAX_WORDS}.")
    room = 0.35 + 0.085 * max(min(len(word), 16) for word in words)  # inches, for names of words
    margins = room + 0.1, 0.05, room if size > 4 else 0.6, 0.75
    with style.drawing(path, height=min(7.6, 2.4 + 0.34 * size), margins=margins) as figure:
        axes = figure.add_subplot()
        heat = style.show_cells(axes, probabilities, words[: len(probabilities)], words)
        heat.set_clim(vmin=0)
        # The frame is inside the cell, so that the colour of the cell stays visible.
        corner = np.array([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)])
        frames = np.argwhere(true_neighbours)[:, None, ::-1] + corner
        axes.add_collection(
            PolyCollection(frames, fc="none", ec=style.COLOURS[1], lw=min(1.4, 20 / size)), autolim=False
        )
        axes.xaxis.set_tick_params(rotation=90 if size > 4 else 0)
        axes.set_xlabel("context")
        axes.set_ylabel("centre")
        style.show_scale(figure, axes, heat, "p(context | centre)")
        share = float(np.where(true_neighbours, probabilities, 0).sum(axis=1).mean())
        style.add_title(
            axes,
            "Softmax output by centre word",
            f"Framed: true neighbours in the text. Their mean share of the probability: {share:.1%}.",
        )


def draw_pictures(file: Path, folder: Path) -> None:
    """Write ``cost.png``, ``embedding_map.png`` and ``softmax.png``, as far as a file has data for them.

    Raises
    ------
    OSError
        If the file cannot be read, or a picture cannot be written.
    DamagedFileError
        If the file is not as `experiment.outputs.write_pictures` writes it.
    """
    values = read_checked(file)
    with style.styled():
        if values["curves"]:
            draw_costs(
                {name: dict(curve) for name, curve in values["curves"].items()},
                floor=values["floor"],
                unigram=values["unigram"],
                estimated=values["estimated"],
                path=folder / "cost.png",
            )
        positions = np.array(values["positions"], np.float64).reshape(-1, 2)
        map_path = folder / "embedding_map.png"
        draw_embedding_map(values["words"], positions, values["shares"], values["vocabulary_size"], map_path)
        if words := values["softmax_words"]:
            probabilities = np.array(values["probabilities"])
            neighbours = np.array(values["true_neighbours"], bool)
            draw_softmax(words, probabilities, neighbours, folder / "softmax.png")
