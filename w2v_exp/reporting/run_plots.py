"""Pictures of a run: its costs, its embeddings on a map, and its softmax output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v_exp.errors import shown
from w2v_exp.examples.counts import information_explained
from w2v_exp.metrics import heading_of
from w2v_exp.reporting.canvas import (
    GREY,
    GRID,
    MIDDLE,
    PALE,
    POINT,
    SMALL,
    TEXT_HEIGHT,
    WIDTH,
    Canvas,
    place_beside,
    spread,
    text_width,
    ticks,
    written,
)
from w2v_exp.reporting.pages import COLOURS
from w2v_exp.reporting.projections import principal_components

MAP_WORDS = 300  # more dots have hardly any labels
# Metrics on the same axes: likelihoods together, the cost of another objective alone.
PANELS = [("article_cost", "validation_cost", "cost"), ("objective_cost",)]
LINES = {  # colour and width
    "cost": (COLOURS[0], 2.0),
    "validation_cost": (COLOURS[2], 1.6),
    "article_cost": (COLOURS[1], 1.2),
    "objective_cost": (COLOURS[3], 2.0),
}
SOFTMAX_WORDS = 50  # more cells are too small to distinguish
# Matplotlib's Blues: ColorBrewer's nine, with the colours between them. Readable with any colour vision.
BLUES = [
    (247, 251, 255), (222, 235, 247), (198, 219, 239), (158, 202, 225), (107, 174, 214), (66, 146, 198),
    (33, 113, 181), (8, 81, 156), (8, 48, 107),
]  # fmt: skip

MARGIN = 6 * POINT  # around a picture
TITLE = 16.0  # points from the upper edge to the baseline of a title
SUBTITLE = 33.0
TOP = 43.0  # points above the axes: title and subtitle
TICK = 4.0  # points between a tick's label and the axis
BELOW = 32.0  # points below the axes: labels of ticks and axis
GAP = 26.0  # points between two panels


@dataclass(frozen=True)
class RunPictures:
    """The data of a run's pictures, of types that JSON has: for another process, or a later time.

    Parameters
    ----------
    curves : dict of str to list of (int, float)
        Costs by epoch, as `draw_costs` takes them as mappings; without any, there is no picture of the costs.
    unigram, floor : float
        Unigram cost and cost floor; NaN if unknown.
    estimated : bool
        Whether the cost was measured on a sample.
    vocabulary_size : int
        Number of words V of the vocabulary.
    words : list of str
        The words on the map, by falling count; see `map_positions`.
    positions : list of (float, float)
        Their positions on the map.
    shares : (float, float)
        Shares of the variance of both axes of the map.
    softmax_words : list of str
        The vocabulary, if it is small enough for a heat map; else empty.
    probabilities, true_neighbours : list of list of float or bool
        V rows of V numbers of the heat map, as `draw_softmax` takes them.
    """

    curves: dict[str, list[tuple[int, float]]]
    unigram: float
    floor: float
    estimated: bool
    vocabulary_size: int
    words: list[str]
    positions: list[tuple[float, float]]
    shares: tuple[float, float]
    softmax_words: list[str] = field(default_factory=list)
    probabilities: list[list[float]] = field(default_factory=list)
    true_neighbours: list[list[bool]] = field(default_factory=list)

    def draw(self, folder: Path) -> None:
        """Write ``cost.png``, ``embedding_map.png`` and ``softmax.png`` into a folder, as far as there is data."""
        if self.curves:
            draw_costs(
                {name: dict(curve) for name, curve in self.curves.items()},
                floor=self.floor,
                unigram=self.unigram,
                estimated=self.estimated,
                path=folder / "cost.png",
            )
        positions = np.array(self.positions, np.float64).reshape(-1, 2)
        picture = embedding_map(self.words, positions, self.shares, self.vocabulary_size)
        picture.write(folder / "embedding_map.png")
        if self.softmax_words:
            probabilities, true = np.array(self.probabilities), np.array(self.true_neighbours, bool)
            draw_softmax(self.softmax_words, probabilities, true, folder / "softmax.png")


def draw_costs(
    curves: Mapping[str, Mapping[int, float]],
    *,
    floor: float = math.nan,
    unigram: float = math.nan,
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
    last = max((epoch for curve in curves.values() for epoch in curve), default=0)
    canvas = Canvas(1.0 + 3.6 * len(drawn))
    panels = []
    for names in drawn:
        levels = [("unigram cost", unigram), ("cost floor", floor)] if "cost" in names else []
        finite_levels = {name: level for name, level in levels if math.isfinite(level)}
        panels.append(_Panel({name: curves.get(name, {}) for name in names}, finite_levels, estimated))
    left = MARGIN + (SMALL + TICK) * POINT + max(panel.room_left() for panel in panels)
    right = WIDTH - MARGIN - max(panel.room_right() for panel in panels)
    room = canvas.height - (TOP * len(panels) + GAP * (len(panels) - 1) + BELOW) * POINT - MARGIN / 2
    top = 0.0
    for number, panel in enumerate(panels):
        title, subtitle = "Cost by epoch", _explained_sentence(cost, unigram, floor, estimated)
        if number:
            title, subtitle = "Objective cost by epoch", OBJECTIVE_SENTENCE
        _add_title(canvas, left, top, title, subtitle)
        top += TOP * POINT
        bottom = top + room / len(panels)
        panel.draw(canvas, Area(left, top, right, bottom), last, has_epochs=number == len(panels) - 1)
        top = bottom + GAP * POINT
    canvas.write(path)


OBJECTIVE_SENTENCE = "The cost that training minimises; not comparable with cost."


class Area(NamedTuple):
    """The pixels of axes."""

    left: float
    top: float
    right: float
    bottom: float


class _End(NamedTuple):
    """A label at the right end of a line: last value, text, and the line's colour."""

    value: float
    text: str
    colour: str


class _Panel:
    """Curves and levels of one quantity, with a label at the end of each."""

    def __init__(
        self, curves: Mapping[str, Mapping[int, float]], levels: Mapping[str, float], estimated: bool
    ) -> None:
        self._curves, self._levels = curves, levels
        self._ends = [_End(level, f"{name} {level:.4f}", GREY) for name, level in levels.items()]
        values = list(levels.values())
        for name, curve in curves.items():
            if finite := [value for value in curve.values() if math.isfinite(value)]:
                heading = heading_of(name, estimated=estimated)
                self._ends.append(_End(finite[-1], f"{heading} {finite[-1]:.4f}", LINES[name][0]))
                values += finite
        self._low, self._high = value_range(values)
        self._ticks, self._decimals = ticks(self._low, self._high, 6)

    def room_left(self) -> float:
        """Return the width of the ticks' labels."""
        widths = [text_width(written(tick, self._decimals)) for tick in self._ticks]
        return max(widths, default=0.0) + 2 * TICK * POINT

    def room_right(self) -> float:
        """Return the width of the labels of lines, with the strokes that tie them to their lines."""
        widths = [text_width(end.text, END_SIZE) for end in self._ends]
        return max(widths, default=0.0) + TIE_LENGTH * POINT

    def draw(self, canvas: Canvas, area: Area, last: int, *, has_epochs: bool) -> None:
        """Draw the panel, with epochs up to `last`."""
        first, end = (0.0, 1.001 * last) if last > 0 else (-0.5, 0.5)  # the last of 5,000 epochs is 4,999

        def to_x(epochs: ArrayLike) -> Any:
            return area.left + (np.asarray(epochs) - first) / (end - first) * (area.right - area.left)

        def to_y(values: ArrayLike) -> Any:
            share = (np.asarray(values) - self._low) / (self._high - self._low)
            return area.bottom - share * (area.bottom - area.top)

        for tick in self._ticks:
            y = float(to_y(tick))
            canvas.box(area.left, y - 1, area.right, y + 1, GRID)
            _write_tick(canvas, area.left, y, written(tick, self._decimals))
        middle = (area.top + area.bottom) / 2
        x_label = MARGIN + SMALL * POINT
        canvas.text(x_label, middle, "nats per pair", colour=GREY, anchor="middle", is_vertical=True)
        epoch_ticks = ticks(first, end, 6, is_whole=True)[0] if last > 0 else [0.0]
        for tick in epoch_ticks:
            x = float(to_x(tick))
            canvas.box(x - 1, area.bottom, x + 1, area.bottom + 3 * POINT, PALE)
            if has_epochs:
                y = area.bottom + (TICK + SMALL) * POINT
                canvas.text(x, y, f"{tick:,.0f}", colour=GREY, anchor="middle")
        if has_epochs:
            y = area.bottom + (2 * SMALL + 2 * TICK) * POINT
            canvas.text((area.left + area.right) / 2, y, "epoch", colour=GREY, anchor="middle")
        _add_axes(canvas, area)
        for level in self._levels.values():
            y = float(to_y(level))
            canvas.line([area.left, area.right], [y, y], GREY, 1.0, is_dashed=True)
        for name, curve in self._curves.items():
            colour, width = LINES[name]
            x, heights = to_x(list(curve)), to_y(list(curve.values()))
            seen = np.isfinite(heights)
            if seen.sum() == 1:
                canvas.dots(x[seen], heights[seen], colour, 3.0)
            elif seen.any():
                canvas.line(x, heights, colour, width)
        self._write_ends(canvas, area, to_y)

    def _write_ends(self, canvas: Canvas, area: Area, to_y: Any) -> None:
        """Write labels without overlap to the right of the axes, each tied to the end of its line."""
        ends = sorted(self._ends, key=lambda end: -end.value)
        heights = [float(to_y(end.value)) for end in ends]
        line = 1.15 * TEXT_HEIGHT * END_SIZE * POINT
        for end, height, y in zip(
            ends, heights, spread(heights, line, area.top, area.bottom).tolist(), strict=True
        ):
            x = area.right + TIE_LENGTH * POINT
            canvas.line([area.right + 2 * POINT, x - 3 * POINT], [height, y], end.colour, 1.2)
            canvas.text(x, y + MIDDLE * END_SIZE * POINT, end.text, size=END_SIZE)


END_SIZE = 8.3  # points
TIE_LENGTH = 17.0


def value_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis around finite values."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.05 * (high - low) if high - low > 1e-6 * max(1.0, abs(high)) else 0.5
    return low - room, high + room


def _add_title(canvas: Canvas, left: float, top: float, title: str, subtitle: str) -> None:
    canvas.text(left, top + TITLE * POINT, title, size=12, is_bold=True)
    canvas.text(left, top + SUBTITLE * POINT, subtitle, colour=GREY)


def _add_axes(canvas: Canvas, area: Area) -> None:
    """Draw the left and the lower edge of axes."""
    canvas.box(area.left - 1, area.top, area.left + 1, area.bottom + 1, PALE)
    canvas.box(area.left - 1, area.bottom - 1, area.right, area.bottom + 1, PALE)


def _write_tick(canvas: Canvas, x: float, y: float, text: str) -> None:
    """Write the label of a tick to the left of a vertical axis."""
    canvas.text(x - TICK * POINT, y + MIDDLE * SMALL * POINT, text, colour=GREY, anchor="end")


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


def map_positions(
    words: Sequence[str], vectors: NDArray[Any], counts: ArrayLike
) -> tuple[list[str], NDArray[np.float64], tuple[float, float]]:
    """Return the words of a map, their positions by principal components, and the shares of the variance.

    Parameters
    ----------
    words : sequence of str
        The vocabulary.
    vectors : ndarray, shape (V, dim)
        Their embeddings. Words whose vectors are not finite are omitted.
    counts : array-like, shape (V,)
        Occurrences of each word. At most 300 words are on the map, the most frequent.
    """
    finite = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    chosen = finite[np.argsort(-np.asarray(counts)[finite], kind="stable")][:MAP_WORDS]
    if not len(chosen):
        return [], np.zeros((0, 2)), (0.0, 0.0)
    positions, shares = principal_components(np.asarray(vectors, np.float64)[chosen])
    return [words[i] for i in chosen], positions, (float(shares[0]), float(shares[1]))


def draw_embedding_map(
    words: Sequence[str], vectors: NDArray[Any], counts: ArrayLike, path: Path | str
) -> None:
    """Draw the embeddings of the most frequent words in two dimensions; see `map_positions`.

    The most frequent words are labelled first. A dot whose label does not fit is pale.
    """
    embedding_map(*map_positions(words, vectors, counts), len(words)).write(path)


LABEL_SIZE = 8.0  # points
DOT = 1.9  # points
MAP_MARGIN = 0.06  # of the extent, beside the outermost dots


def embedding_map(
    words: Sequence[str],
    positions: NDArray[np.float64],
    shares: tuple[float, float],
    vocabulary_size: int,
) -> Canvas:
    """Return the picture of a map; see `map_positions`."""
    canvas = Canvas(6.4)
    area = Area(MARGIN + 66 * POINT, TOP * POINT, WIDTH - MARGIN, canvas.height - (BELOW + 4) * POINT)
    size = np.array([area.right - area.left, area.bottom - area.top])
    extent = positions if len(positions) else np.zeros((1, 2))
    low, high = extent.min(axis=0), extent.max(axis=0)
    # Both axes have the same scale.
    scale = float(((high - low) * (1 + 2 * MAP_MARGIN) / size).max())
    centre = (low + high) / 2
    scale = scale or 0.1 / float(size.min())  # all dots in one place
    first, last = centre - scale * size / 2, centre + scale * size / 2
    points = np.column_stack(
        [
            area.left + (positions[:, 0] - first[0]) / scale,
            area.bottom - (positions[:, 1] - first[1]) / scale,
        ]
    )
    for tick, text in _map_ticks(first[0], last[0], 8):
        x = area.left + (tick - first[0]) / scale
        canvas.box(x - 1, area.top, x + 1, area.bottom, GRID)
        canvas.text(x, area.bottom + (TICK + SMALL) * POINT, text, colour=GREY, anchor="middle")
    for tick, text in _map_ticks(first[1], last[1], 10):
        y = area.bottom - (tick - first[1]) / scale
        canvas.box(area.left, y - 1, area.right, y + 1, GRID)
        _write_tick(canvas, area.left, y, text)
    _add_axes(canvas, area)
    names = [
        f"{number} principal component ({share:.0%} of the variance)"
        for number, share in zip(("first", "second"), shares, strict=True)
    ]
    y = area.bottom + (2 * SMALL + 2 * TICK) * POINT
    canvas.text((area.left + area.right) / 2, y, names[0], colour=GREY, anchor="middle")
    canvas.text(
        MARGIN + SMALL * POINT,
        (area.top + area.bottom) / 2,
        names[1],
        colour=GREY,
        anchor="middle",
        is_vertical=True,
    )
    labels = [shown(word) for word in words]
    height = TEXT_HEIGHT * LABEL_SIZE * POINT
    sizes = np.array([(text_width(label, LABEL_SIZE), height) for label in labels]).reshape(-1, 2)
    places = place_beside(points, sizes, area, (DOT + 0.6) * POINT)
    named = np.array([place is not None for place in places], bool)
    for chosen, colour in ((~named, PALE), (named, COLOURS[0])):
        canvas.dots(points[chosen, 0], points[chosen, 1], colour, DOT)
    _add_title(
        canvas,
        area.left,
        0,
        "Embeddings in two dimensions",
        _map_sentence(vocabulary_size, len(words), int(named.sum())),
    )
    for label, place in zip(labels, places, strict=True):
        if place is not None:
            canvas.text(place[0], place[1] + 0.8 * height, label, size=LABEL_SIZE)
    return canvas


def _map_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    found, _ = ticks(low, high, most)
    return [(tick, f"{tick:g}".replace("-", "−") if tick else "0") for tick in found]


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
    probabilities : ndarray, shape (V, V)
        p(context | centre), one row per centre.
    true_neighbours : ndarray of bool, shape (V, V)
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
    canvas = Canvas(min(7.6, 2.4 + 0.34 * size))
    names = [shown(word, 16) for word in words]
    letters = SMALL if size <= 30 else 7.0
    longest = max((text_width(name, letters) for name in names), default=0.0)
    is_vertical = size > 4
    below = longest if is_vertical else letters * POINT
    left = MARGIN + (SMALL + 3 * TICK) * POINT + longest
    area = Area(left, TOP * POINT, WIDTH - 62 * POINT, canvas.height - below - (SMALL + 4 * TICK) * POINT)
    columns = np.linspace(area.left, area.right, size + 1).round()
    rows = np.linspace(area.top, area.bottom, size + 1).round()
    highest = float(np.nanmax(probabilities, initial=0.0))
    share = np.nan_to_num(np.asarray(probabilities, np.float64)) / (highest or 1.0)
    stroke = min(1.4, 20 / size) if size else 1.0
    for i, row in enumerate(share.tolist()):
        middle = (rows[i] + rows[i + 1]) / 2 + MIDDLE * letters * POINT
        canvas.text(area.left - TICK * POINT, middle, names[i], size=letters, anchor="end")
        for j, value in enumerate(row):
            cell = (columns[j] + 1, rows[i] + 1, columns[j + 1] - 1, rows[i + 1] - 1)
            canvas.box(*cell, _blue(value))
            # The frame is inside the cell, so that the colour of the cell stays visible.
            if true_neighbours[i, j]:
                inset = (0.1 * (cell[2] - cell[0]), 0.1 * (cell[3] - cell[1]))
                inner = (cell[0] + inset[0], cell[1] + inset[1], cell[2] - inset[0], cell[3] - inset[1])
                canvas.frame(*inner, COLOURS[1], stroke)
    for j, name in enumerate(names):
        x, y = (columns[j] + columns[j + 1]) / 2, area.bottom + TICK * POINT
        if is_vertical:
            x += MIDDLE * letters * POINT
            canvas.text(x, y, name, size=letters, anchor="end", is_vertical=True)
        else:
            canvas.text(x, y + letters * POINT, name, size=letters, anchor="middle")
    canvas.text((area.left + area.right) / 2, canvas.height - MARGIN, "context", colour=GREY, anchor="middle")
    middle = (area.top + area.bottom) / 2
    canvas.text(MARGIN + SMALL * POINT, middle, "centre", colour=GREY, anchor="middle", is_vertical=True)
    _add_scale(canvas, area, highest, "p(context | centre)")
    mean = float(np.where(true_neighbours, probabilities, 0).sum(axis=1).mean())
    sentence = f"Framed: true neighbours in the text. Their mean share of the probability: {mean:.1%}."
    _add_title(canvas, area.left, 0, "Softmax output by centre word", sentence)
    canvas.write(path)


SHADES = 128  # of a colour scale


@lru_cache(SHADES)
def _shade(number: int) -> str:
    at = number / (SHADES - 1) * (len(BLUES) - 1)
    lower = min(int(at), len(BLUES) - 2)
    red, green, blue = (
        round(one + (at - lower) * (other - one))
        for one, other in zip(BLUES[lower], BLUES[lower + 1], strict=True)
    )
    return f"#{red:02x}{green:02x}{blue:02x}"


def _blue(share: float) -> str:
    """Return the colour of a number from 0, pale, to 1."""
    return _shade(round(min(1.0, max(0.0, share)) * (SHADES - 1)))


def _add_scale(canvas: Canvas, area: Area, highest: float, label: str) -> None:
    """Draw a colour scale from 0 to `highest` to the right of a heat map."""
    middle, half = (area.top + area.bottom) / 2, 0.25 * (area.bottom - area.top)
    bottom, left = middle + half, area.right + 10 * POINT
    for shade in range(SHADES):
        upper, lower = (bottom - 2 * half * part / SHADES for part in (shade + 1, shade))
        canvas.box(left, upper, left + 7 * POINT, lower, _shade(shade))
    found, decimals = ticks(0.0, highest or 1.0, 8)
    for tick in found:
        y = bottom - tick / (highest or 1.0) * 2 * half
        canvas.text(left + 11 * POINT, y + MIDDLE * SMALL * POINT, written(tick, decimals), colour=GREY)
    canvas.text(WIDTH - MARGIN / 2, middle, label, colour=GREY, anchor="middle", is_vertical=True)
