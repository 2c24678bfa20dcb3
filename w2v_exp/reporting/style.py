"""The look of pictures: style, colours, labels without overlap."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import textalloc
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from w2v_exp.errors import shown
from w2v_exp.files import replacing
from w2v_exp.reporting.colours import COLOURS as COLOURS  # pictures have it from here
from w2v_exp.reporting.colours import GREY as GREY
from w2v_exp.reporting.colours import INK as INK
from w2v_exp.reporting.colours import PALE as PALE


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


DASHES = (0, (4, 3))
HEAT = "Blues"  # one hue, so that dark means much to every eye

WIDTH = 8.0  # inches; at 200 dots an inch 1600 pixels, shown 800 wide
SMALL = 9.0  # points

_SETTINGS: dict[Any, Any] = {
    "figure.dpi": 200,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "font.size": 10,
    "axes.titlesize": SMALL,
    "axes.titlecolor": GREY,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titley": 1.0,
    "axes.labelsize": SMALL,
    "axes.labelcolor": GREY,
    "axes.edgecolor": PALE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-6, 12),  # no power of ten above the axis, where the title is
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": PALE,
    "ytick.color": PALE,
    "xtick.labelcolor": GREY,
    "ytick.labelcolor": GREY,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "text.parse_math": False,  # a word from a corpus may have two dollar signs
    "svg.hashsalt": "w2v_exp",  # the ids in an SVG are random without it
}

# DejaVu comes with matplotlib; for scripts that it lacks, whichever of these the machine has.
_FALLBACK_FONTS = [
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Hiragino Sans", "PingFang SC",
    "Yu Gothic", "Microsoft YaHei", "WenQuanYi Zen Hei", "IPAGothic", "Arial Unicode MS",
    "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Nirmala UI",
]  # fmt: skip


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the project's style within the block, whatever matplotlibrc says.

    A glyph that no font has is drawn as a box and is no warning.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        installed = set(fontManager.get_font_names())
        matplotlib.rcParams["font.family"] = [
            "DejaVu Sans",
            *(font for font in _FALLBACK_FONTS if font in installed),
        ]
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@contextmanager
def drawing(path: Path | str, *, height: float = 5.0) -> Iterator[Figure]:
    """Give an empty figure, in the project's style, and write it to `path` if the block ends well.

    Parameters
    ----------
    path : path-like
        Ends in ``.png`` or ``.svg``. The same picture gives the same bytes: no date, no random ids.
    height : float
        Of the figure, in inches; its width is `WIDTH`.

    Raises
    ------
    ValueError
        If the path ends in something else.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in {"png", "svg"}:
        raise ValueError(f"{path}: pictures are written as .png or .svg.")
    with styled():
        figure = Figure(figsize=(WIDTH, height))
        canvas: Any = FigureCanvasAgg(figure)
        yield figure
        lay_out(figure)
        with replacing(path, "wb", durable=False) as stream:
            if kind == "svg":
                figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
            else:  # savefig would draw twice, and keep an alpha channel that is not needed
                canvas.draw()
                pixels = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
                Image.fromarray(pixels).save(stream, "png", compress_level=1)  # twice as fast, a fifth larger


def lay_out(figure: Figure) -> None:
    """Give everything in the figure its final place, so that it can be measured; once, as it takes long."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def add_title(axes: Axes, title: str, subtitle: str = "") -> None:
    """Write a title above the axes, flush left, and below it what the reader should know."""
    axes.set_title(subtitle)
    axes.annotate(
        title,
        (0, 1),
        (0, 28 if subtitle else 10),
        xycoords="axes fraction",
        textcoords="offset points",
        size=12,
        weight="bold",
        va="baseline",
    )


def show_epochs(axes: Axes, last: float) -> None:
    """Make the horizontal axis one of epochs, from 0 to the last."""
    if last > 0:
        axes.set_xlim(0, 1.001 * last)  # the last of 5,000 epochs is 4,999
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    else:
        axes.set_xlim(-0.5, 0.5)
        axes.xaxis.set_major_locator(FixedLocator([0]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("epoch")


def show_values(axes: Axes, label: str, values: list[float]) -> None:
    """Make the vertical axis hold all these values, which are finite, with lines to read them by."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.05 * (high - low) if high - low > 1e-6 * max(1.0, abs(high)) else 0.5
    axes.set_ylim(low - room, high + room)
    axes.set_ylabel(label)
    axes.grid(axis="y")


def show_cells(axes: Axes, values: NDArray[Any], rows: Sequence[str], columns: Sequence[str]) -> QuadMesh:
    """Fill the axes with a heat map, the first row on top, and name its rows and columns. NaN stays white."""
    heat = axes.pcolormesh(values, cmap=HEAT, edgecolors="white", lw=0.8)
    size = SMALL if max(len(rows), len(columns)) <= 30 else 7
    axes.set_xticks(np.arange(len(columns)) + 0.5, [shown(name, 16) for name in columns], size=size)
    axes.set_yticks(np.arange(len(rows)) + 0.5, [shown(name, 16) for name in rows], size=size)
    axes.invert_yaxis()
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    return heat


def show_scale(figure: Figure, axes: Axes, heat: QuadMesh, label: str) -> None:
    """Add the scale of a heat map on its right."""
    bar = figure.colorbar(heat, ax=axes, shrink=0.5, aspect=30, pad=0.02, label=label)
    bar.outline.set_visible(False)
