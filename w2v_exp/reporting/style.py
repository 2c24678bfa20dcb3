"""The style of pictures: settings, colours, labels without overlap."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import matplotlib
import numpy as np
import textalloc
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.markers import TICKDOWN
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray
from PIL import Image

from w2v_exp.errors import shown
from w2v_exp.files import replacing
from w2v_exp.reporting.pages import COLOURS as COLOURS  # pictures import it from here

INK = "#222222"
GREY = "#767676"  # the lightest grey for small text on white (contrast 4.5:1)
PALE = "#d4d4d4"
DASHES = (0, (4, 3))
HEAT = "Blues"  # one hue from light to dark, readable with any colour vision

WIDTH = 8.0  # inches; 1600 pixels at 200 per inch, shown 800 wide
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
    "axes.formatter.limits": (-6, 12),  # no power of ten above the axis, at the title
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
    "text.parse_math": False,  # a word of a corpus may contain two dollar signs
    "svg.hashsalt": "w2v_exp",  # the ids in an SVG are random without it
}

# DejaVu comes with matplotlib. It lacks some scripts; for these, fonts that may be installed.
_FALLBACK_FONTS = [
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Hiragino Sans", "PingFang SC",
    "Yu Gothic", "Microsoft YaHei", "WenQuanYi Zen Hei", "IPAGothic", "Arial Unicode MS",
    "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Nirmala UI",
]  # fmt: skip


@contextmanager
def styled() -> Iterator[None]:
    """Set the project's style for pictures within the block, independent of matplotlibrc.

    A glyph that no font has is drawn as a box, without a warning.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        # `rcdefaults` reads the files of all styles, in a tenth of the time of a first picture.
        defaults = dict(matplotlib.rcParamsDefault)
        del defaults["backend"]
        matplotlib.rcParams.update(defaults | _SETTINGS)
        installed = set(fontManager.get_font_names())
        matplotlib.rcParams["font.family"] = [
            "DejaVu Sans",
            *(font for font in _FALLBACK_FONTS if font in installed),
        ]
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@contextmanager
def drawing(
    path: Path | str, *, height: float = 5.0, margins: tuple[float, float, float, float] | None = None
) -> Iterator[Figure]:
    """Yield an empty figure in the project's style; write it to `path` unless the block raises.

    Parameters
    ----------
    path : path-like
        Ends in ``.png`` or ``.svg``. The same figure gives the same bytes: no date, no random ids.
    height : float
        Height of the figure in inches; its width is `WIDTH`.
    margins : tuple of float, optional
        Space left, right, below and above the axes, in inches. None: matplotlib measures all texts, in half the time
        of drawing a picture.

    Raises
    ------
    ValueError
        If the path has another suffix.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in {"png", "svg"}:
        raise ValueError(f"{path}: pictures are written as .png or .svg.")
    with styled():
        layout: Any = "none" if margins else None
        figure = _Figure(figsize=(WIDTH, height), layout=layout)
        canvas: Any = _Canvas(figure)
        if margins:
            left, right, below, above = margins
            figure.subplots_adjust(left / WIDTH, below / height, 1 - right / WIDTH, 1 - above / height)
        yield figure
        lay_out(figure)
        if margins:
            _simplify_ticks(figure)
        with replacing(path, "wb", durable=False) as stream:
            if kind == "svg":
                figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
            else:  # savefig would draw twice, and keep an alpha channel
                canvas.draw()
                _write_png(np.asarray(canvas.buffer_rgba()), stream)


_AGG: Any = RendererAgg  # has no types


class _Renderer(RendererAgg):
    """Agg that lays out and draws each text once; a third of the time, as pictures of all runs have the same texts."""

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: FontProperties, *rest: Any, **more: Any
    ) -> None:
        image, left, below = _text_image(s, prop.copy(), rest[0], self.dpi, gc.get_rgb())
        self.draw_image(gc, round(x) + left, round(self.height - y) - below, image)

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: object
    ) -> tuple[float, float, float]:
        return _text_size(s, prop.copy(), self.dpi)


class _Canvas(FigureCanvasAgg):
    renderer: Any = None

    def get_renderer(self) -> Any:
        new: Any = _Renderer
        self.renderer = self.renderer or new(*self.get_width_height(physical=True), self.figure.dpi)
        return self.renderer


class _Figure(Figure):
    def draw_without_rendering(self) -> None:
        """Settle the limits of axes for textalloc; the rest is laid out already."""
        for axes in self.axes:
            axes.apply_aspect()


@lru_cache(1000)
def _text_size(text: str, font: FontProperties, dpi: float) -> tuple[float, float, float]:
    """Return width, height and descent of a text, in pixels."""
    sizes: tuple[float, float, float] = _AGG(1, 1, dpi).get_text_width_height_descent(text, font, False)
    return sizes


@lru_cache(1000)
def _text_image(
    text: str, font: FontProperties, angle: float, dpi: float, colour: tuple[float, ...]
) -> tuple[NDArray[np.uint8], int, int]:
    """Return a text as pixels, the lowest row first, and how far their corner is right of its origin and below it."""
    width, height, descent = _text_size(text, font, dpi)
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    box = [(x, y) for x in (0, width) for y in (-descent, height - descent)]
    corners = np.array([(x * cosine - y * sine, x * sine + y * cosine) for x, y in box])
    left, low = np.floor(corners.min(axis=0)).astype(int).tolist()
    right, high = np.ceil(corners.max(axis=0)).astype(int).tolist()
    room = 3  # pixels, for slanted letters
    renderer = _AGG(right - left + 2 * room, high - low + 2 * room, dpi)
    gc = renderer.new_gc()
    gc.set_foreground(colour, isRGBA=True)
    renderer.draw_text(gc, room - left, room + high, text, font, angle)
    return np.asarray(renderer.buffer_rgba())[::-1].copy(), left - room, room - low


def _simplify_ticks(figure: Figure) -> None:
    """Replace ticks by texts and a collection of lines; a tick has five artists, which take a third of the time."""
    for axes in figure.axes:
        axes.apply_aspect()
    settings: Any = matplotlib.rcParams
    both = [(axes, axis) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    located = [axis.get_majorticklocs() for _, axis in both]  # of all axes, which may share a locator
    for (axes, axis), locations in zip(both, located, strict=True):
        is_x = axis is axes.xaxis
        look, side = axis.get_tick_params(), axis.get_ticks_position()
        low, high = sorted(axis.get_view_interval())
        places = [place for place in locations if low <= place <= high]
        labels = axis.get_major_formatter().format_ticks(places)
        axis.set_major_locator(NullLocator())
        along = axes.get_xaxis_transform() if is_x else axes.get_yaxis_transform()
        if look["gridOn"]:
            lines = [[(place, end) if is_x else (end, place) for end in (0, 1)] for place in places]
            colour, width = settings["grid.color"], settings["grid.linewidth"]
            grid = LineCollection(lines, color=colour, lw=width, transform=along, zorder=0.5)
            axes.add_collection(grid, autolim=False)
        length = look.get("length", settings["xtick.major.size"]) if is_x else 0
        if length:
            (marks,) = axes.plot(places, [0] * len(places), ls="", transform=along, clip_on=False)
            marks.set(marker=TICKDOWN, markersize=length, markeredgewidth=0.8, color=PALE)
        if not look.get(f"label{side}"):
            continue
        away = length + settings["xtick.major.pad"]  # points
        at, far = (1, away) if side == "right" else (0, -away)
        size, rotation = look.get("labelsize", SMALL), look.get("rotation", 0)
        text: dict[str, Any] = {
            "transform": offset_copy(along, figure, far * (not is_x), far * is_x, "points"),
            "ha": "center" if is_x else "left" if side == "right" else "right",
            "va": "top" if is_x else "center_baseline",
            "size": size,
            "rotation": rotation,
            "color": look.get("labelcolor", GREY),
        }
        for place, label in zip(places, labels, strict=True):
            axes.text(place if is_x else at, at if is_x else place, label, **text)
        font, is_flat = FontProperties(size=size), is_x and not rotation
        extents = [_text_size(label, font, figure.dpi)[is_flat] for label in (["lp"] if is_flat else labels)]
        axis.labelpad += away + max(extents, default=0) * 72 / figure.dpi


def _write_png(pixels: NDArray[np.uint8], stream: IO[bytes]) -> None:
    """Write a picture with a palette, if its colours differ in at most 256 ways by the first 6 or 5 bits.

    That takes a third of the time, because rows of a palette are not filtered, and half the bytes. The most frequent
    colour stands for those with the same bits.
    """
    picture = Image.frombuffer("RGBX", pixels.shape[1::-1], pixels, "raw", "RGBX", 0, 1).convert("RGB")
    counts: Any = picture.getcolors(4096)  # Pillow's table is as large; None: there are more
    for mask in (0xFC, 0xF8) if counts else ():
        colours = {tuple(level & mask for level in colour): colour for _, colour in sorted(counts)}
        if len(colours) <= 256:
            palette = Image.new("P", (1, 1))
            palette.putpalette([level for bits in colours for level in bits])
            if mask == 0xF8:  # Pillow looks colours up by 6 bits
                picture = picture.point([level & mask for level in range(256)] * 3)
            picture = picture.quantize(palette=palette, dither=Image.Dither.NONE)
            picture.putpalette([level for colour in colours.values() for level in colour])
            picture.save(stream, "png", compress_level=3)
            return
    picture.save(stream, "png", compress_level=1)


def lay_out(figure: Figure) -> None:
    """Compute the layout of a figure once, so that its parts can be measured; it takes long."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def add_title(axes: Axes, title: str, subtitle: str = "") -> None:
    """Write a title above the axes, flush left, and a subtitle below it."""
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
    """Set the horizontal axis to epochs, from 0 to the last."""
    if last > 0:
        axes.set_xlim(0, 1.001 * last)  # the last of 5,000 epochs is 4,999
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    else:
        axes.set_xlim(-0.5, 0.5)
        axes.xaxis.set_major_locator(FixedLocator([0]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("epoch")


def show_values(axes: Axes, label: str, values: list[float]) -> None:
    """Set the vertical axis to the range of finite values, with grid lines."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.05 * (high - low) if high - low > 1e-6 * max(1.0, abs(high)) else 0.5
    axes.set_ylim(low - room, high + room)
    axes.set_ylabel(label)
    axes.grid(axis="y")


def show_cells(axes: Axes, values: NDArray[Any], rows: Sequence[str], columns: Sequence[str]) -> QuadMesh:
    """Draw a heat map, the first row on top, with names of rows and columns. NaN is white."""
    heat = axes.pcolormesh(values, cmap=HEAT, edgecolors="white", lw=0.8)
    size = SMALL if max(len(rows), len(columns)) <= 30 else 7
    for axis, names in ((axes.xaxis, columns), (axes.yaxis, rows)):
        axis.set_major_locator(FixedLocator([place + 0.5 for place in range(len(names))]))
        axis.set_major_formatter(FixedFormatter([shown(name, 16) for name in names]))
    axes.invert_yaxis()
    axes.tick_params(length=0, labelcolor=INK, labelsize=size)
    axes.spines[:].set_visible(False)
    return heat


def show_scale(figure: Figure, axes: Axes, heat: QuadMesh, label: str) -> None:
    """Add a colour bar to the right of a heat map."""
    bar = figure.colorbar(heat, ax=axes, fraction=0.11, shrink=0.5, aspect=30, pad=0.02, label=label)
    bar.outline.set_visible(False)


def spread(wanted: Sequence[float], distance: float, low: float, high: float) -> NDArray[np.float64]:
    """Return positions at least `distance` apart, as near as possible to rising `wanted` positions.

    The moves are minimised in least squares: an isotonic regression, solved by pooling adjacent violators (Barlow et
    al. 1972). Positions stay between `low` and `high` if they fit.
    """
    groups: list[tuple[float, int]] = []
    for i, position in enumerate(wanted):
        mean, count = position - i * distance, 1
        while groups and groups[-1][0] > mean:
            other, others = groups.pop()
            mean, count = (other * others + mean * count) / (others + count), others + count
        groups.append((mean, count))
    steps = distance * np.arange(len(wanted), dtype=np.float64)
    starts = np.repeat([mean for mean, _ in groups], [count for _, count in groups])
    positions: NDArray[np.float64] = np.maximum(np.minimum(starts, high - steps[-1:]), low) + steps
    return positions


class EndLabel(NamedTuple):
    """A label at the right end of a line.

    Parameters
    ----------
    value : float
        The last value of the line, on the vertical axis.
    text : str
        The label.
    colour : str
        The colour of the line.
    """

    value: float
    text: str
    colour: str


def draw_curve(
    axes: Axes,
    epochs: Sequence[float] | NDArray[Any],
    values: Sequence[float] | NDArray[Any],
    colour: str,
    width: float,
) -> None:
    """Draw a curve; a single finite value is a dot."""
    lone = int(np.isfinite(values).sum()) == 1
    marker = "o" if lone else None  # not clipped: at an edge of the axes it would be cut in half
    axes.plot(epochs, values, color=colour, lw=width, marker=marker, clip_on=not lone)


def draw_level(axes: Axes, name: str, level: float) -> EndLabel:
    """Draw a horizontal line, and return its label."""
    axes.axhline(level, color=GREY, lw=1, ls=DASHES)
    return EndLabel(level, f"{name} {level:.4f}", GREY)


def label_ends(figure: Figure, labels: Mapping[Axes, Sequence[EndLabel]]) -> list[Text]:
    """Write labels without overlap to the right of axes, each tied to the end of its line.

    Call it last, after the limits of the vertical axes are set: it lays the figure out.
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
        positions = spread(heights, line / axes.get_window_extent().height, 0, 1)
        for text, label, height, position in zip(texts, in_order, heights, positions, strict=True):
            text.set_y(float(position))
            ends = [1.005, 1.035]
            tie = axes.plot(ends, [height, position], color=label.colour, lw=1.2, transform=axes.transAxes)
            tie[0].set_clip_on(False)
    return [text for _, _, _, texts in placed for text in texts]


def label_points(
    figure: Figure, axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], texts: Sequence[str]
) -> list[Text | None]:
    """Write labels beside points, without overlap; return the label of each text, None if it does not fit.

    Points are in the order of their importance: the first are labelled first. If there are fewer texts than points, the
    last points have none. Call it last: it lays the figure out.
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
        nbr_candidates=12,  # the positions that touch the point: a label further away could belong to another point
    )
    return [text if isinstance(text, Text) else None for text in placed]
