"""A picture of lines, dots, rectangles and texts, drawn by NumPy and Pillow.

Matplotlib takes 0.35 s to import and 0.15 s a picture, most of it for ticks, layout and letters. A run of a few
epochs takes less, and a sweep has hundreds of runs; so the pictures of a run are drawn here, in 0.01 s each.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from w2v_exp.files import replacing

INK = "#222222"
GREY = "#767676"  # the lightest grey for small text on white (contrast 4.5:1)
PALE = "#d4d4d4"
GRID = "#ececec"

DPI = 200
WIDTH = 8 * DPI  # pixels; shown half as wide
POINT = DPI / 72  # pixels
SMALL = 9.0  # points
MIDDLE = 0.32  # of the size of a text: height of its middle above the baseline
TEXT_HEIGHT = 1.17  # of the size of a text: from the lowest descender to the highest accent
DASHES = (4.0, 3.0)  # points of stroke and of gap
RGB = tuple[int, int, int]


class Line(NamedTuple):
    """A polyline; see `Canvas.line`."""

    points: NDArray[np.float64]
    colour: str
    width: float
    is_dashed: bool


class Dots(NamedTuple):
    """Discs; see `Canvas.dots`."""

    points: NDArray[np.float64]
    colour: str
    radius: float


class Box(NamedTuple):
    """A filled rectangle; see `Canvas.box`."""

    left: int
    top: int
    right: int
    bottom: int
    colour: str


class Label(NamedTuple):
    """A text; see `Canvas.text`."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    is_bold: bool
    anchor: str
    is_vertical: bool


class Canvas:
    """A list of shapes and texts, written as PNG or SVG. Pixels are counted from the top left.

    Texts lie above shapes, shapes in the order of their calls. The same calls give the same bytes.

    Parameters
    ----------
    height : float
        In inches, of 200 pixels; the width is 8 inches.
    """

    def __init__(self, height: float) -> None:
        self.height = round(height * DPI)
        self._shapes: list[Line | Dots | Box] = []
        self._labels: list[Label] = []

    def line(self, x: ArrayLike, y: ArrayLike, colour: str, width: float, *, is_dashed: bool = False) -> None:
        """Draw a line of `width` points through points; one that is not finite leaves a gap."""
        points = np.column_stack(np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64)))
        broken = np.flatnonzero(~np.isfinite(points).all(axis=1))
        for part in np.split(points, broken):
            whole = part[np.isfinite(part).all(axis=1)]
            if len(whole):
                self._shapes.append(Line(whole, colour, width, is_dashed))

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, radius: float) -> None:
        """Draw discs with a radius of `radius` points."""
        self._shapes.append(Dots(np.column_stack([x, y]).astype(np.float64), colour, radius))

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """Fill a rectangle inside the picture; its edges are rounded to whole pixels."""
        self._shapes.append(Box(round(left), round(top), round(right), round(bottom), colour))

    def frame(self, left: float, top: float, right: float, bottom: float, colour: str, width: float) -> None:
        """Draw the outline of a rectangle, `width` points wide, inside it."""
        stroke = max(1, round(width * POINT))
        left, top, right, bottom = (round(edge) for edge in (left, top, right, bottom))
        self.box(left, top, right, top + stroke, colour)
        self.box(left, bottom - stroke, right, bottom, colour)
        self.box(left, top + stroke, left + stroke, bottom - stroke, colour)
        self.box(right - stroke, top + stroke, right, bottom - stroke, colour)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = SMALL,
        colour: str = INK,
        is_bold: bool = False,
        anchor: str = "start",
        is_vertical: bool = False,
    ) -> None:
        """Write a text on a baseline.

        Parameters
        ----------
        x, y : float
            The point of the baseline at `anchor`.
        text : str
            One line, without control characters.
        size : float
            In points.
        colour : str
            As ``#rrggbb``.
        is_bold : bool
            Whether letters are bold.
        anchor : {"start", "middle", "end"}
            The part of the text that is at the point.
        is_vertical : bool
            Whether the text runs upwards.
        """
        self._labels.append(Label(x, y, text, size, colour, is_bold, anchor, is_vertical))

    @property
    def texts(self) -> list[str]:
        """The texts, in the order of their calls."""
        return [label.text for label in self._labels]

    def write(self, path: Path | str) -> None:
        """Write the picture as ``.png`` or ``.svg``.

        Raises
        ------
        ValueError
            If the path has another suffix.
        """
        kind = Path(path).suffix.lower()
        if kind not in {".png", ".svg"}:
            raise ValueError(f"{path}: pictures are written as .png or .svg.")
        content = self._svg().encode() if kind == ".svg" else self._png()
        with replacing(path, "wb", durable=False) as stream:
            stream.write(content)

    def pixels(self) -> NDArray[np.uint8]:
        """Return the picture, shape (height, 1600, 3)."""
        image, palette = self._indexed()
        pixels: NDArray[np.uint8] = palette.colours()[image]
        return pixels

    def _indexed(self) -> tuple[NDArray[np.uint8], _Palette]:
        """Return the picture as numbers of colours, shape (height, 1600), with the colours."""
        image, palette = np.zeros((self.height, WIDTH), np.uint8), _Palette()
        # First of all the colours that must be exact, so that only those where lines cross can be too many.
        for colour in dict.fromkeys(item.colour for item in (*self._labels, *self._shapes)):
            palette.number(_rgb(colour))
        smooth = (*self._labels, *(shape for shape in self._shapes if not isinstance(shape, Box)))
        for colour in dict.fromkeys(item.colour for item in smooth):
            for level in range(1, LEVELS):
                palette.mixed(level, _rgb(colour))
        for shape in self._shapes:
            if isinstance(shape, Box):
                left, top, right, bottom, colour = shape
                image[top:bottom, left:right] = palette.number(_rgb(colour))
            else:
                _stamp(image, shape, palette)
        for label in self._labels:
            _write_text(image, label, palette)
        return image, palette

    def _png(self) -> bytes:
        image, palette = self._indexed()
        return png(image, palette.colours())

    def _svg(self) -> str:
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH // 2}" '
            f'font-family="DejaVu Sans, Verdana, sans-serif">',
            f'<rect width="{WIDTH}" height="{self.height}" fill="#ffffff"/>',
        ]
        parts += [_svg_shape(shape) for shape in self._shapes]
        parts += [_svg_text(label) for label in self._labels]
        return "\n".join([*parts, "</svg>\n"])


def _svg_shape(shape: Line | Dots | Box) -> str:
    if isinstance(shape, Box):
        left, top, right, bottom, colour = shape
        return f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="{colour}"/>'
    if isinstance(shape, Dots):
        radius = f'r="{shape.radius * POINT:.2f}" fill="{shape.colour}"'
        return "\n".join(f'<circle cx="{x:.2f}" cy="{y:.2f}" {radius}/>' for x, y in shape.points.tolist())
    dashes = ""
    if shape.is_dashed:
        dashes = f' stroke-dasharray="{" ".join(f"{length * POINT:.2f}" for length in DASHES)}"'
    return (
        f'<polyline points="{" ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points.tolist())}" fill="none" '
        f'stroke="{shape.colour}" stroke-width="{shape.width * POINT:.2f}" stroke-linejoin="round"{dashes}/>'
    )


def _svg_text(label: Label) -> str:
    weight = ' font-weight="bold"' if label.is_bold else ""
    turn = f' transform="rotate(-90 {label.x:.2f} {label.y:.2f})"' if label.is_vertical else ""
    return (
        f'<text x="{label.x:.2f}" y="{label.y:.2f}" font-size="{label.size * POINT:.2f}" '
        f'fill="{label.colour}" text-anchor="{label.anchor}"{weight}{turn}>{escape(label.text)}</text>'
    )


SPACING = 0.5  # of the radius, between the discs of a line: its edge is uneven by a tenth of a pixel
STAMPED = 4096  # discs at a time: their pixels stay in the cache


def _stamp(image: NDArray[np.uint8], shape: Line | Dots, palette: _Palette) -> None:
    """Draw discs, or a line as a row of discs: a pixel's coverage is that of the nearest one."""
    if isinstance(shape, Dots):
        centres, radius = shape.points, shape.radius * POINT
    else:
        radius = 0.5 * shape.width * POINT
        centres = _along(shape.points, SPACING * radius)
        if shape.is_dashed:
            stroke, gap = (length * POINT / (SPACING * radius) for length in DASHES)
            centres = centres[np.arange(len(centres)) % (stroke + gap) < stroke]
    reach = math.ceil(radius + 0.5)
    height, width = image.shape
    inside = (centres > -reach).all(axis=1) & (centres < (width + reach, height + reach)).all(axis=1)
    centres = centres[inside].astype(np.float32)
    if not len(centres):
        return
    # A mask of all pixels that the discs may touch.
    pixels = np.floor(centres).astype(np.intp)
    first = pixels.min(axis=0) - reach
    columns, rows = pixels.max(axis=0) + reach + 1 - first
    mask = np.zeros(columns * rows, np.float32)
    offsets = np.arange(-reach, reach + 1)
    around = (offsets[:, None] * columns + offsets).reshape(-1)
    places = (pixels - first) @ np.array([1, columns])
    middles = (offsets + 0.5).astype(np.float32)
    distances = (pixels.astype(np.float32) - centres)[:, :, None] + middles
    distances *= distances
    for start in range(0, len(centres), STAMPED):
        some = slice(start, start + STAMPED)
        across, down = distances[some, 0, None, :], distances[some, 1, :, None]
        coverage = np.sqrt(down + across)
        np.subtract(np.float32(radius + 0.5), coverage, out=coverage)
        np.maximum.at(mask, (places[some, None] + around).reshape(-1), coverage.reshape(-1))
    touched = np.flatnonzero(mask > 0)
    down_by, across_by = np.divmod(touched, columns)
    _mix(image, down_by + first[1], across_by + first[0], _levels(mask[touched]), shape.colour, palette)


def _along(points: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Return points along a polyline."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    distances = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.arange(0, distances[-1] + spacing / 2, spacing)
    return np.column_stack([np.interp(wanted, distances, points[:, axis]) for axis in (0, 1)])


LEVELS = 16  # of coverage, from none to whole; few enough for all mixed colours to fit a palette


def _levels(coverage: NDArray[np.float32]) -> NDArray[np.intp]:
    levels: NDArray[np.intp] = np.rint(np.minimum(coverage, 1) * np.float32(LEVELS - 1)).astype(np.intp)
    return levels


class _Palette:
    """Up to 256 colours by number; 0 is white. With one byte a pixel, a picture takes half of the time."""

    def __init__(self) -> None:
        self._colours: list[RGB] = []
        self._numbers: dict[RGB, int] = {}
        self._mixed: dict[tuple[int, RGB], int] = {}
        self.number((255, 255, 255))

    def number(self, colour: RGB) -> int:
        """Return the number of a colour; of the nearest one if there are too many."""
        if colour not in self._numbers:
            if len(self._colours) == 256:
                distances = np.abs(np.array(self._colours) - colour).sum(axis=1)
                return int(distances.argmin())
            self._numbers[colour] = len(self._colours)
            self._colours.append(colour)
        return self._numbers[colour]

    def mixed(self, key: int, colour: RGB) -> int:
        """Return the number of a mixture, for key = LEVELS · number of the colour below + level."""
        if (key, colour) not in self._mixed:
            below, level = divmod(key, LEVELS)
            red, green, blue = (
                round(old + (new - old) * level / (LEVELS - 1))
                for old, new in zip(self._colours[below], colour, strict=True)
            )
            self._mixed[key, colour] = self.number((red, green, blue))
        return self._mixed[key, colour]

    def colours(self) -> NDArray[np.uint8]:
        """Return the colours, shape (n, 3)."""
        return np.array(self._colours, np.uint8)


def _mix(
    image: NDArray[np.uint8],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    levels: NDArray[np.intp],
    colour: str,
    palette: _Palette,
) -> None:
    """Mix a colour into some pixels by levels of coverage; pixels outside the picture are left out."""
    height, width = image.shape
    if not len(rows):
        return
    if rows.min() < 0 or columns.min() < 0 or rows.max() >= height or columns.max() >= width:
        inside = (rows >= 0) & (columns >= 0) & (rows < height) & (columns < width)
        rows, columns, levels = rows[inside], columns[inside], levels[inside]
    keys = LEVELS * image[rows, columns].astype(np.intp)
    keys += levels
    rgb, mixed = _rgb(colour), np.zeros(256 * LEVELS, np.uint8)
    for key in np.flatnonzero(np.bincount(keys)).tolist():
        mixed[key] = palette.mixed(key, rgb)
    image[rows, columns] = mixed[keys]


@lru_cache
def _rgb(colour: str) -> RGB:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def text_width(text: str, size: float = SMALL, *, is_bold: bool = False) -> float:
    """Return the width of a text in pixels."""
    return sum(_font(path, size).getlength(part) for part, path in _by_font(text, is_bold))


def _write_text(image: NDArray[np.uint8], label: Label, palette: _Palette) -> None:
    down, across, levels = _text_pixels(label.text, label.size, label.is_bold)
    share = {"start": 0.0, "middle": 0.5, "end": 1.0}[label.anchor]
    before = share * text_width(label.text, label.size, is_bold=label.is_bold)
    if label.is_vertical:
        rows, columns = round(label.y + before) - 1 - across, round(label.x) + down
    else:
        rows, columns = round(label.y) + down, round(label.x - before) + across
    _mix(image, rows, columns, levels, label.colour, palette)


@lru_cache(512)  # the runs of a sweep have most texts in common
def _text_pixels(
    text: str, size: float, is_bold: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the pixels of a text, down and across from the start of its baseline, and their levels of coverage."""
    parts = _by_font(text, is_bold)
    fonts = [_font(path, size) for _, path in parts]
    boxes, x = [], 0.0
    for (part, _), font in zip(parts, fonts, strict=True):
        left, top, right, bottom = font.getbbox(part, anchor="ls")
        boxes.append((left + x, top, right + x, bottom))
        x += font.getlength(part)
    first, highest = (math.floor(min(box[side] for box in boxes)) for side in (0, 1))
    last, lowest = (math.ceil(max(box[side] for box in boxes)) for side in (2, 3))
    tile = Image.new("L", (max(1, last - first + 1), max(1, lowest - highest + 1)))
    draw, x = ImageDraw.Draw(tile), -float(first)
    for (part, _), font in zip(parts, fonts, strict=True):
        draw.text((x, -highest), part, fill=255, font=font, anchor="ls")
        x += font.getlength(part)
    levels = _levels(np.asarray(tile).astype(np.float32) / np.float32(255))
    rows, columns = np.nonzero(levels)
    return rows + highest, columns + first, levels[rows, columns]


@lru_cache(64)
def _font(path: str, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size * POINT)


def _by_font(text: str, is_bold: bool) -> list[tuple[str, str]]:
    """Return the parts of a text with the file of the first font that has their characters.

    DejaVu Sans has all Latin, Greek and Cyrillic letters, and comes with matplotlib.
    """
    own = str(_dejavu() / ("DejaVuSans-Bold.ttf" if is_bold else "DejaVuSans.ttf"))
    if all(c < "\u0500" or c in "…−–" for c in text):
        return [(text or " ", own)]
    parts: list[tuple[str, str]] = []
    for character in text:
        found = next((path for path in (own, *_fallback_fonts()) if ord(character) in _characters(path)), own)
        if parts and (parts[-1][1] == found):
            parts[-1] = (parts[-1][0] + character, found)
        else:
            parts.append((character, found))
    return parts


@lru_cache
def _dejavu() -> Path:
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("matplotlib, which has the font of all pictures, is not installed.")
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


# Fonts that may be installed, for scripts that DejaVu lacks.
FALLBACK_FONTS = [
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Hiragino Sans", "PingFang SC",
    "Yu Gothic", "Microsoft YaHei", "WenQuanYi Zen Hei", "IPAGothic", "Arial Unicode MS",
    "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Nirmala UI",
]  # fmt: skip


@lru_cache
def _fallback_fonts() -> tuple[str, ...]:
    """Return the files of those fallback fonts that are installed; importing matplotlib takes time."""
    from matplotlib.font_manager import fontManager

    files = {entry.name: entry.fname for entry in reversed(fontManager.ttflist)}
    return tuple(files[name] for name in FALLBACK_FONTS if name in files)


@lru_cache
def _characters(path: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(path).get_charmap())


def png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    """Return a picture as PNG, without date.

    Each row is stored as the difference to the row above it, mostly zeros: a third of Pillow's time.

    Parameters
    ----------
    pixels : ndarray, shape (height, width, 3), or (height, width) with a palette
        Red, green and blue, or numbers of colours.
    palette : ndarray, shape (n, 3), optional
        The colours.
    """
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 2  # the filter "Up"
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2 if palette is None else 3, 0, 0, 0))]
    if palette is not None:
        chunks.append((b"PLTE", palette.tobytes()))
    chunks += [(b"IDAT", zlib.compress(filtered.data, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def ticks(low: float, high: float, most: int, *, is_whole: bool = False) -> tuple[list[float], int]:
    """Return round numbers from `low` to `high`, at most `most + 1`, and the number of their decimals."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    if is_whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [i * step for i in range(first, last + 1)], max(0, -math.floor(math.log10(step * (1 + 1e-9))))


def written(value: float, decimals: int) -> str:
    """Return the text of a tick.

    >>> written(-0.5, 1), written(5000.0, 0), written(1e30, 0)
    ('−0.5', '5,000', '1e+30')
    """
    if abs(value) >= 1e12 or decimals > 6:
        return f"{value:.6g}".replace("-", "−")
    return f"{0.0 if value == 0 else value:,.{decimals}f}".replace("-", "−")


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


def place_beside(
    points: NDArray[np.float64],
    sizes: NDArray[np.float64],
    area: tuple[float, float, float, float],
    gap: float,
) -> list[tuple[float, float] | None]:
    """Place rectangles beside points so that none lies on another or on a point; the first are placed first.

    A rectangle touches its own point, but for `gap`: one further away could belong to another point.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        All points.
    sizes : ndarray, shape (m, 2), m at most n
        Width and height of the rectangles of the first points.
    area : tuple of float
        Left, top, right and bottom edge, which rectangles stay within.
    gap : float
        Distance of a rectangle from points; that from other rectangles is a third of it.

    Returns
    -------
    list of m tuples of float or None
        Left and top edge of each rectangle; None if it does not fit.
    """
    taken = np.empty((len(sizes), 4))
    count = 0
    found: list[tuple[float, float] | None] = []
    for (x, y), (width, height) in zip(points[: len(sizes)].tolist(), sizes.tolist(), strict=True):
        left, right, above, below = x - gap - width, x + gap, y - gap - height, y + gap
        middle_x, middle_y = x - width / 2, y - height / 2
        starts = np.array(
            [
                (right, above), (left, above), (right, below), (left, below), (right, middle_y), (left, middle_y),
                (middle_x, above), (middle_x, below),
                (x - width / 4, above), (x - 3 * width / 4, above), (x - width / 4, below), (x - 3 * width / 4, below),
            ]
        )  # fmt: skip
        ends = starts + np.array([width, height])
        fits = (starts >= area[:2]).all(axis=1) & (ends <= area[2:]).all(axis=1)
        low, high = starts[:, None], ends[:, None]
        near = 0.9 * gap
        fits &= ~((points > low - near) & (points < high + near)).all(axis=2).any(axis=1)
        near = gap / 3
        fits &= ~((taken[:count, :2] < high + near) & (taken[:count, 2:] > low - near)).all(axis=2).any(
            axis=1
        )
        best = int(fits.argmax())
        if fits[best]:
            taken[count] = (*starts[best], *ends[best])
            count += 1
        found.append((float(starts[best, 0]), float(starts[best, 1])) if fits[best] else None)
    return found
