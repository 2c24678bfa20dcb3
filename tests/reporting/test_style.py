"""Pictures are the same bytes for the same data, and leave nothing behind in matplotlib."""

import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import image

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
    assert image.imread(tmp_path / "a.png").shape == (1000, 1600, 3)


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
