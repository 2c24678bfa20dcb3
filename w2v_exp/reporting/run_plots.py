"""Pictures of one run, as PNG or SVG: its costs, its embeddings, its softmax output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray

from w2v_exp.examples.bounds import information_explained
from w2v_exp.reporting import style
from w2v_exp.reporting.labels import EndLabel, label_ends, label_points
from w2v_exp.reporting.projections import principal_components
from w2v_exp.reporting.words import shown

MAP_WORDS = 300  # more dots than that are a cloud without words
SOFTMAX_WORDS = 50  # more cells than that are no longer seen one by one


def draw_costs(
    epochs: Sequence[int],
    costs: Sequence[float],
    *,
    floor: float = np.nan,
    unigram: float = np.nan,
    article_costs: Sequence[float] | None = None,
    validation_costs: Mapping[int, float] | None = None,
    path: Path | str,
) -> None:
    """Draw the cost by epoch, between what knowing only word frequencies costs and the floor.

    Parameters
    ----------
    epochs : sequence of int
        Which epochs the costs belong to; all of them, or thinned.
    costs : sequence of float
        Mean nats a pair. Those that are not finite leave a gap.
    floor, unigram : float
        H(context | centre) and H(context) of the pairs, in nats; NaN, and not drawn, where they are not known.
    article_costs : sequence of float, optional
        The article's figure, drawn beside the cost; of the same length.
    validation_costs : mapping of int to float, optional
        By epoch, the cost of held-out pairs, drawn beside that of training.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    """
    series = [("cost", epochs, costs, style.COLOURS[0], 2.0)]
    if validation_costs:
        held_out = (list(validation_costs), list(validation_costs.values()))
        series.insert(0, ("validation cost", *held_out, style.COLOURS[2], 1.6))
    if article_costs is not None:
        series.insert(0, ("article_cost", epochs, article_costs, style.COLOURS[1], 1.2))
    levels = [(name, v) for name, v in (("unigram cost", unigram), ("cost floor", floor)) if np.isfinite(v)]
    with style.drawing(path, height=4.6) as figure:
        axes = figure.add_subplot()
        values, ends = [v for _, v in levels], []
        for name, level in levels:
            axes.axhline(level, color=style.GREY, lw=1, ls=style.DASHES)
            ends.append(EndLabel(level, f"{name} {level:.4f}", style.GREY))
        for name, places, curve, colour, width in series:
            finite = [(epoch, cost) for epoch, cost in zip(places, curve, strict=True) if np.isfinite(cost)]
            if finite:
                axes.plot(places, curve, color=colour, lw=width, marker="o" if len(finite) == 1 else None)
                ends.append(EndLabel(finite[-1][1], f"{name} {finite[-1][1]:.4f}", colour))
                values += [cost for _, cost in finite]
        style.show_epochs(axes, max(epochs, default=0))
        style.show_values(axes, "nats per pair", values)
        style.add_title(axes, "Cost by epoch", _explained_sentence(costs, unigram, floor))
        label_ends(figure, axes, ends)


def _explained_sentence(costs: Sequence[float], unigram: float, floor: float) -> str:
    if not len(costs) or not np.isfinite(costs[-1]):
        return "The run did not come to a finite cost."
    if not (np.isfinite(unigram) and np.isfinite(floor)):
        return f"Ends with {costs[-1]:.4f} nats a pair."
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
        rows, columns = np.nonzero(true_neighbours)
        axes.scatter(columns + 0.5, rows + 0.5, s=min(24.0, 9000 / size**2), color=style.COLOURS[1], lw=0)
        axes.xaxis.set_tick_params(rotation=90 if size > 4 else 0)
        axes.set_xlabel("context")
        axes.set_ylabel("centre")
        style.show_scale(figure, axes, heat, "p(context | centre)")
        share = float(np.where(true_neighbours, probabilities, 0).sum(axis=1).mean())
        style.add_title(
            axes,
            "Softmax output by centre word",
            f"Dots: true neighbours in the text. They get {share:.1%} of a centre's probability, on average.",
        )
