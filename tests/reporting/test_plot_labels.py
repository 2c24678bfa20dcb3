"""Labels do not overlap, and are no further from their place than that takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from w2v_exp.reporting import style
from w2v_exp.reporting.style import EndLabel, label_ends, label_points, spread

places = st.lists(st.floats(0, 1), min_size=1, max_size=12).map(sorted)


@given(places, st.floats(0.001, 0.08))
def test_spread_places_are_apart_in_order_and_inside(wanted, distance):
    found = spread(wanted, distance, 0, 1)
    assert (np.diff(found) >= distance - 1e-9).all()
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-9


@given(places, st.floats(0.001, 0.3))
def test_spread_places_are_the_nearest_there_are(wanted, distance):
    steps = distance * np.arange(len(wanted))
    best = isotonic_regression(np.array(wanted) - steps).x + steps
    np.testing.assert_allclose(spread(wanted, distance, -10, 10), best, atol=1e-9)


def test_places_that_are_apart_are_kept_and_none_is_no_error():
    assert spread([0.1, 0.5, 0.9], 0.2, 0, 1).tolist() == [0.1, 0.5, 0.9]
    assert spread([], 0.2, 0, 1).tolist() == []


def overlaps(texts):
    """Return how many pairs of drawn texts overlap."""
    boxes = [text.get_window_extent() for text in texts]
    return sum(boxes[i].overlaps(boxes[j]) for i in range(len(boxes)) for j in range(i))


@pytest.mark.parametrize("values", [[2.0] * 5, [1.0, 1.01, 1.02, 2.0], [1.0], []])
def test_labels_of_lines_that_end_together_are_readable(tmp_path, values):
    with style.drawing(tmp_path / "a.png") as figure:
        axes = figure.add_subplot()
        style.show_values(axes, "cost", [1.0, 2.0])
        texts = label_ends(figure, {axes: [EndLabel(value, f"gjy {value}", style.INK) for value in values]})
        assert overlaps(texts) == 0
        inside = figure.get_window_extent()
        assert all(inside.x1 >= text.get_window_extent().x1 for text in texts)
    assert [text.get_text() for text in texts] == [f"gjy {value}" for value in values]


def test_labels_of_points_are_on_no_label_and_no_point(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(2, 120))
    with style.drawing(tmp_path / "a.png") as figure:
        axes = figure.add_subplot()
        axes.scatter(x, y)
        texts = [text for text in label_points(figure, axes, x, y, ["gjy"] * 120) if text]
        points = axes.transData.transform(np.column_stack([x, y]))
        assert overlaps(texts) == 0
        boxes = [text.get_window_extent() for text in texts]
        assert not any(box.contains(*point) for box in boxes for point in points)
    assert len(texts) > 60


def test_the_first_points_find_room_first_and_the_last_may_have_no_text(tmp_path):
    with style.drawing(tmp_path / "a.png") as figure:
        axes = figure.add_subplot()
        axes.scatter([0.0] * 30, [0.0] * 30)
        texts = label_points(figure, axes, np.zeros(30), np.zeros(30), [f"word{i}" for i in range(20)])
    shown = [text is not None for text in texts]
    assert shown == [True] * sum(shown) + [False] * (20 - sum(shown))
    assert 0 < sum(shown) < 20
