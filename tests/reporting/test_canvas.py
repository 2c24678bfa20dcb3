"""Shapes and texts are where they should be, in PNG and SVG, and the same calls give the same bytes."""

import io
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from properties import examples

from w2v_exp.reporting.canvas import POINT, Canvas, place_beside, png, text_width, ticks, written

BLUE = "#0000ff"


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_a_png_has_the_pixels_that_it_is_made_of(pixels):
    with Image.open(io.BytesIO(png(pixels))) as image:
        image.load()
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), pixels)


def strength(canvas):
    """Return how blue each pixel is, from 0 to 1."""
    return 1 - canvas.pixels()[:, :, 0] / 255


def test_a_line_covers_its_length_times_its_width():
    canvas = Canvas(1.0)
    canvas.line([200, 500], [40, 160], BLUE, 2.0)
    covered = strength(canvas)
    width, length = 2 * POINT, np.hypot(300, 120)
    assert covered.sum() == pytest.approx(width * length + np.pi * (width / 2) ** 2, rel=0.02)
    rows, columns = np.nonzero(covered > 0.5)
    off = np.abs((columns + 0.5 - 200) * 120 - (rows + 0.5 - 40) * 300) / length
    assert off.max() < width / 2 + 0.5


def test_a_disc_is_round_and_where_it_should_be():
    canvas = Canvas(1.0)
    canvas.dots([300.25], [100.5], BLUE, 3.0)
    covered = strength(canvas)
    assert covered.sum() == pytest.approx(np.pi * (3 * POINT) ** 2, rel=0.01)
    rows, columns = np.indices(covered.shape)
    middle = (covered * (columns + 0.5)).sum() / covered.sum(), (covered * (rows + 0.5)).sum() / covered.sum()
    assert middle == pytest.approx((300.25, 100.5), abs=0.05)


def test_dashes_have_gaps_and_a_break_in_a_line_has_one():
    lines = {}
    for name, y, dashed in (
        ("whole", [50.0] * 5, False),
        ("dashed", [50.0] * 5, True),
        ("gap", [50, 50, np.nan, 50, 50], 0),
    ):
        canvas = Canvas(1.0)
        canvas.line([100, 200, 300, 400, 500], y, BLUE, 1.0, is_dashed=bool(dashed))
        lines[name] = strength(canvas)[50]
    assert (lines["whole"][100:500] == 1).all()
    assert 0.5 < lines["dashed"][100:500].mean() < 0.8
    assert lines["gap"][100:200].all()
    assert not lines["gap"][210:390].any()


def test_too_many_mixed_colours_become_their_nearest(tmp_path):
    """Lines that cross mix more colours than a palette holds; each colour by itself stays exact."""
    canvas, colours = Canvas(2.0), ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
    for number, colour in enumerate(colours):
        canvas.line(np.arange(40, 1200, 7), 200 + 150 * np.sin(np.arange(166) * (1 + number)), colour, 1.5)
        canvas.box(1300, 50 * number, 1400, 50 * number + 40, colour)
    canvas.text(1420, 200, "text", colour="#222222")
    canvas.write(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert len(image.getcolors(257)) == 256
        pixels = np.asarray(image.convert("RGB")).astype(int)
    for number, colour in enumerate(colours):
        assert "#{:02x}{:02x}{:02x}".format(*pixels[50 * number + 20, 1350]) == colour
    letters = pixels[150:230, 1410:1600].reshape(-1, 3)
    assert (letters.max(axis=1) == letters.min(axis=1)).all()  # grey
    assert np.array_equal(pixels, canvas.pixels())


def test_shapes_outside_the_picture_are_cut_off():
    canvas = Canvas(0.1)
    canvas.line([-1e5, 1e5], [-50, 70], BLUE, 3.0)
    canvas.dots([-2, 1700], [-2, 5], BLUE, 3.0)
    canvas.text(1590, 30, "cut off", colour=BLUE)
    canvas.text(-20, 5, "cut off", colour=BLUE, is_vertical=True)
    assert canvas.pixels().shape == (20, 1600, 3)


@pytest.mark.parametrize("anchor", ["start", "middle", "end"])
@pytest.mark.parametrize("vertical", [False, True])
def test_texts_are_anchored_at_their_point(anchor, vertical):
    canvas = Canvas(2.0)
    canvas.text(600, 200, "HIH", colour=BLUE, anchor=anchor, is_vertical=vertical)
    rows, columns = np.nonzero(strength(canvas) > 0.3)
    width = text_width("HIH")
    before = {"start": 0, "middle": width / 2, "end": width}[anchor]
    if vertical:
        found = (rows.max() + 1, rows.min(), columns.max() + 1)
        wanted = (200 + before, 200 + before - width, 600)
    else:
        found = (columns.min(), columns.max() + 1, rows.max() + 1)
        wanted = (600 - before, 600 - before + width, 200)
    assert found == pytest.approx(wanted, abs=4)


@settings(max_examples=examples(20))
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12))
def test_any_text_is_drawn_and_is_the_same_in_svg(text):
    canvas = Canvas(0.2)
    canvas.text(20, 30, text)
    assert canvas.pixels().shape == (40, 1600, 3)
    root = ElementTree.fromstring(canvas._svg())
    assert [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")] == [text]


@given(
    arrays(np.float64, st.tuples(st.integers(0, 12), st.just(2)), elements=st.floats(0, 300)),
    st.floats(1, 80),
    st.floats(1, 30),
)
def test_placed_labels_are_inside_beside_their_point_and_on_nothing(points, width, height):
    places = place_beside(points, np.full((len(points), 2), (width, height)), (0, 0, 300, 300), 6)
    found = [(*place, place[0] + width, place[1] + height) for place in places if place]
    for left, top, right, bottom in found:
        assert 0 <= left < right <= 300 + 1e-9
        assert 0 <= top < bottom <= 300 + 1e-9
        assert not ((points > (left, top)) & (points < (right, bottom))).all(axis=1).any()
    for number, (left, top, right, bottom) in enumerate(found):
        assert not [
            o for o in found[:number] if left < o[2] and o[0] < right and top < o[3] and o[1] < bottom
        ]
    for point, place in zip(points, places, strict=True):
        if place:
            nearest = np.clip(point, place, (place[0] + width, place[1] + height))
            assert np.hypot(*(point - nearest)) <= 6 * 2**0.5 + 1e-6


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(1, 10))
def test_ticks_are_in_range_evenly_spaced_and_not_too_many(low, extent, most):
    found, decimals = ticks(low, low + extent, most)
    assert len(found) <= most + 1
    assert all(low - 1e-5 * extent <= tick <= low + extent * (1 + 1e-5) for tick in found)
    texts = [written(tick, decimals) for tick in found]
    assert len(set(texts)) == len(texts)
    assert [float(text.replace("−", "-").replace(",", "")) for text in texts] == pytest.approx(
        found, rel=1e-6, abs=1e-9
    )


def test_ticks_of_known_ranges_are_the_round_numbers():
    assert ticks(0, 5000, 6) == ([0, 1000, 2000, 3000, 4000, 5000], 0)
    assert ticks(0, 1.001, 6, is_whole=True)[0] == [0, 1]
    assert ticks(0, 4.004, 6, is_whole=True)[0] == [0, 1, 2, 3, 4]
    assert ([round(tick, 9) for tick in ticks(1.68, 2.6, 6)[0]], 1) == (
        [1.8, 2.0, 2.2, 2.4, 2.6],
        ticks(1.68, 2.6, 6)[1],
    )


@pytest.mark.usefixtures("starts_processes")
def test_pictures_of_a_run_do_not_load_matplotlib(tmp_path):
    """Its import takes as long as twenty pictures."""
    program = (
        "import sys, pathlib\n"
        "from w2v_exp.reporting.run_plots import RunPictures\n"
        "curves = {'cost': [(0, 2.5), (1, 1.5)]}\n"
        "words, at = ['être', 'мир', 'λόγος'], [(0.0, 0.0), (1.0, 0.0), (2.0, 1.0)]\n"
        "RunPictures(curves, 2.0, 1.0, False, 3, words, at, (0.9, 0.1)).draw(pathlib.Path())\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "False"
