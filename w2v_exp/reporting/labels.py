"""Places for labels where they do not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import textalloc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from w2v_exp.reporting.style import INK, lay_out


def spread(wanted: Sequence[float], distance: float, low: float, high: float) -> NDArray[np.float64]:
    """Return places for rising `wanted` places, at least `distance` apart and as near to them as can be.

    The least squares of the moves are an isotonic regression, solved by pooling neighbours that collide
    (Barlow et al. 1972). Places stay between `low` and `high` as long as there is room.
    """
    groups: list[tuple[float, int]] = []
    for i, place in enumerate(wanted):
        mean, count = place - i * distance, 1
        while groups and groups[-1][0] > mean:
            other, others = groups.pop()
            mean, count = (other * others + mean * count) / (others + count), others + count
        groups.append((mean, count))
    steps = distance * np.arange(len(wanted), dtype=np.float64)
    starts = np.repeat([mean for mean, _ in groups], [count for _, count in groups])
    places: NDArray[np.float64] = np.maximum(np.minimum(starts, high - steps[-1:]), low) + steps
    return places


class EndLabel(NamedTuple):
    """A label for the right end of a line.

    Parameters
    ----------
    value : float
        Where the line ends, on the vertical axis.
    text : str
        What to write there.
    colour : str
        The line's.
    """

    value: float
    text: str
    colour: str


def label_ends(figure: Figure, labels: Mapping[Axes, Sequence[EndLabel]]) -> list[Text]:
    """Write labels to the right of axes, each tied to the end of its line and none on top of another.

    To be called last: the limits of the vertical axes have to be set, and the figure is laid out.
    """
    placed: list[tuple[Axes, list[EndLabel], list[float], list[Text]]] = []
    for axes, unordered in labels.items():
        low, high = axes.get_ylim()
        in_order = sorted(unordered, key=lambda label: label.value)
        heights = [(label.value - low) / (high - low) for label in in_order]
        texts = [
            axes.text(1.045, height, label.text, transform=axes.transAxes, va="center", size="small")
            for height, label in zip(heights, in_order, strict=True)
        ]
        placed.append((axes, in_order, heights, texts))
    lay_out(figure)
    for axes, in_order, heights, texts in placed:
        line = 1.15 * max((text.get_window_extent().height for text in texts), default=0.0)
        places = spread(heights, line / axes.get_window_extent().height, 0, 1)
        for text, label, height, place in zip(texts, in_order, heights, places, strict=True):
            text.set_y(float(place))
            ends = [1.005, 1.035]
            tie = axes.plot(ends, [height, place], color=label.colour, lw=1.2, transform=axes.transAxes)
            tie[0].set_clip_on(False)
    return [text for _, _, _, texts in placed for text in texts]


def label_points(
    figure: Figure, axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], texts: Sequence[str]
) -> list[Text | None]:
    """Write labels beside points, on no other label and no point, as long as there is room.

    Points come in the order of their importance: the first find room first. If there are fewer texts than
    points, the last points have none. To be called last: the figure is laid out. Returns each text's label,
    or None if it was left out.
    """
    labelled = len(texts)
    lay_out(figure)
    _, _, placed, _ = textalloc.allocate(
        axes,
        x[:labelled],
        y[:labelled],
        list(texts),
        x_scatter=x,
        y_scatter=y,
        textsize=8,
        textcolor=INK,
        va="bottom",  # so that textalloc's box is the text's, descenders included
        draw_all=False,
        draw_lines=False,
        margin=0.003,
        min_distance=0.006,
        nbr_candidates=12,  # the twelve places that touch the point: a label further off could be another's
    )
    return [text if isinstance(text, Text) else None for text in placed]
