"""The picture of the schedules in the documentation is what the script draws now."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb

from w2v_exp.reporting import style
from w2v_exp.training.schedules import SCHEDULES, Exponential

ROOT = Path(__file__).parent.parent.parent
COMMITTED = ROOT / "docs" / "schedules.png"


@pytest.fixture
def draw_schedules():
    return runpy.run_path(str(ROOT / "docs" / "draw_schedules.py"))["draw_schedules"]


def heights(path):
    """Return how high each curve is at some columns: (schedules, columns) pixels, NaN where it is covered."""
    picture = image.imread(path)[:, 150:1300:10]  # inside the axes, with some room for them to be elsewhere
    rows = np.arange(len(picture))[:, None]
    found = []
    for colour in style.COLOURS[: len(SCHEDULES)]:
        mask = np.abs(picture - to_rgb(colour)).max(axis=2) < 0.05
        thickness = mask.sum(axis=0)
        found.append(np.where(thickness > 0, (rows * mask).sum(axis=0) / np.maximum(thickness, 1), np.nan))
    return np.array(found)


def same_curves(path, other):
    """Return whether two pictures have the same curves, however the letters around them are drawn."""
    distances = np.abs(heights(path) - heights(other))
    return np.nanpercentile(distances, 99, axis=1).max() < 6 and np.isnan(distances).mean() < 0.1


def test_the_committed_picture_is_up_to_date(draw_schedules, tmp_path, texts_in):
    draw_schedules(tmp_path / "now.png")
    assert same_curves(tmp_path / "now.png", COMMITTED)
    draw_schedules(tmp_path / "now.svg")
    assert set(SCHEDULES) <= set(texts_in(tmp_path / "now.svg"))


def test_letters_may_differ_but_curves_may_not(draw_schedules, tmp_path, monkeypatch):
    path = tmp_path / "other.png"
    with monkeypatch.context() as patch:  # as another version of matplotlib may do it
        patch.setitem(style._SETTINGS, "text.hinting", "none")
        patch.setitem(style._SETTINGS, "font.size", 10.2)
        draw_schedules(path)
        assert same_curves(path, COMMITTED)
    monkeypatch.setitem(SCHEDULES, "exponential", lambda: Exponential(final=0.08))
    draw_schedules(path)
    assert not same_curves(path, COMMITTED)
