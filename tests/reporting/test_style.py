"""Pictures are the same bytes for the same data, and leave nothing behind in matplotlib."""

import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from PIL import Image

from w2v_exp.reporting import style


def draw_a_line(path):
    with style.drawing(path) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [1, 2])
        style.show_epochs(axes, 1)
        style.show_values(axes, "$nats_", [1, 2])
        style.add_title(axes, "A title", "and more")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_picture_has_the_same_bytes_whatever_matplotlibrc_says(tmp_path, suffix):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    draw_a_line(first)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.hashsalt": None}):
        draw_a_line(second)
    assert first.read_bytes() == second.read_bytes()


def test_pictures_are_twice_the_size_they_are_shown_in(tmp_path):
    draw_a_line(tmp_path / "a.png")
    assert image.imread(tmp_path / "a.png").shape[:2] == (1000, 1600)


@pytest.mark.parametrize(("count", "mode"), [(16, "P"), (200, "P"), (400, "RGB")])
def test_a_picture_has_its_colours_with_and_without_a_palette(tmp_path, count, mode):
    colours = np.random.default_rng(0).random((count // 8, 8, 3))
    with style.drawing(tmp_path / "a.png", margins=(0, 0, 0, 0)) as figure:
        axes = figure.add_subplot()
        axes.imshow(colours, aspect="auto", interpolation="nearest")
        axes.set_axis_off()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == mode
    pixels = image.imread(tmp_path / "a.png")[:, :, :3]
    rows, columns = (
        ((np.arange(n) + 0.5) * size / n).astype(int)
        for n, size in zip(colours.shape, pixels.shape, strict=True)
        if n != 3
    )
    np.testing.assert_allclose(pixels[np.ix_(rows, columns)], colours, atol=0.005)


def test_a_picture_depends_on_no_picture_before_it(tmp_path):
    """Texts are drawn once by a process."""
    for name, text, turned in (("a", "abc", 0), ("b", "def", 90), ("c", "abc", 90), ("d", "abc", 0)):
        with style.drawing(tmp_path / f"{name}.png", margins=(1, 1, 1, 1)) as figure:
            axes = figure.add_subplot()
            axes.xaxis.set_tick_params(rotation=turned)
            style.add_title(axes, text)
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in "abcd"]
    assert pictures[0] == pictures[3]
    assert len(set(pictures)) == 3


def test_texts_are_where_matplotlib_draws_them(tmp_path):
    """They are drawn as images, to the next pixel."""
    boxes = []
    for kind in (style._Canvas, FigureCanvasAgg):
        with style.styled():
            figure = Figure(figsize=(4, 4), layout="none")
            canvas = kind(figure)
            for angle, place in ((0, 0.2), (90, 0.5), (45, 0.8)):
                figure.text(place, place, "Ég_j", rotation=angle, color="red", ha="right")
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())[..., 1] < 128
        parts = [pixels[:, first : first + 267] for first in (0, 267, 534)]
        boxes.append([(np.argwhere(part).min(axis=0), np.argwhere(part).max(axis=0)) for part in parts])
    np.testing.assert_allclose(*boxes, atol=1)


def test_ticks_without_measured_margins_are_those_of_matplotlib(tmp_path, texts_in):
    for name, margins in (("ours", (1, 1, 1, 1)), ("theirs", None)):
        with style.drawing(tmp_path / f"{name}.svg", margins=margins) as figure:
            upper, lower = figure.subplots(2, 1, sharex=True)
            style.show_epochs(lower, 40)
            upper.tick_params(labelbottom=False)
            style.show_values(upper, "cost", [1.0, 2.0])
            style.show_values(lower, "cost", [3.0, 7.0])
            for axes in (upper, lower):
                axes.yaxis.set_major_locator(MultipleLocator(0.5))
    ours, theirs = (sorted(texts_in(tmp_path / f"{name}.svg")) for name in ("ours", "theirs"))
    assert ours == theirs
    assert {"0", "40", "1.5", "6.5", "epoch"} <= set(ours)


def test_an_svg_is_sound_and_has_no_date(tmp_path):
    draw_a_line(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "<dc:date>" not in text


def test_other_kinds_of_picture_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        draw_a_line(tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_a_picture_that_fails_leaves_the_old_one_and_no_other_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), style.drawing(path):
        1 / 0  # noqa: B018
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_settings_are_as_before_after_drawing(tmp_path):
    before = dict(matplotlib.rcParams)
    draw_a_line(tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.usefixtures("starts_processes")
def test_drawing_never_loads_pyplot():
    program = (
        "import sys, w2v_exp.reporting.plots, w2v_exp.reporting.plots\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("last", "ticks"),
    [
        (0, ["0"]),
        (1, ["0", "1"]),
        (4, ["0", "1", "2", "3", "4"]),
        (4999, ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]),
    ],
)
def test_epochs_have_whole_numbers_as_ticks(tmp_path, last, ticks):
    with style.drawing(tmp_path / "a.png") as figure:
        axes = figure.add_subplot()
        style.show_epochs(axes, last)
        low, high = axes.get_xlim()
        shown = [axes.xaxis.get_major_formatter()(t) for t in axes.get_xticks() if low <= t <= high]
    assert shown == ticks


@pytest.mark.parametrize("values", [[], [0.0], [1.5, 1.5], [1e6, 2.0], [1.0, 1.0 + 1e-15]])
def test_the_axis_of_values_always_has_an_extent_with_all_of_them_inside(tmp_path, values):
    with style.drawing(tmp_path / "a.png") as figure:
        axes = figure.add_subplot()
        style.show_values(axes, "cost", values)
        low, high = axes.get_ylim()
    assert high - low > 0.04
    assert all(low < value < high for value in values)


def test_the_palette_stays_apart_for_the_commonest_kind_of_colour_blindness():
    # Viénot, Brettel & Mollon 1999: what a deuteranope sees, in linear RGB
    deuteranope = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    colours = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in style.COLOURS])
    seen = (colours**2.2 @ deuteranope.T).clip(0, 1) ** (1 / 2.2)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(len(seen), 1)]
    assert distances.min() > 0.1
