"""Pictures of a sweep show all its runs and stay readable for many of them."""

import math

import numpy as np
import pytest
from matplotlib import image

from w2v_exp.reporting.comparison import PANELS, compare
from w2v_exp.reporting.plots import (
    draw_cost_curves,
    draw_explained_by_memory,
    draw_explained_by_time,
    draw_heat_map,
)
from w2v_exp.results import RunResult

DRAWERS = [draw_cost_curves, draw_explained_by_memory, draw_heat_map]


def run(swept, explained, seed=0, memory=1.0, costs=((0, 2.5), (10, 2.0)), status="FINISHED", **metrics):
    metrics |= {"information_explained": explained, "peak_memory_mb": memory}
    return RunResult("", swept, seed, status, "", metrics, {"cost": list(costs)})


def grid(rows=2, columns=2, seeds=1):
    """Windows by dims; the more of both, the more is explained, with more memory."""
    return [
        run({"window": str(w), "objective.dim": str(d)}, (w * d) / 200 + seed / 100, seed, float(w * d))
        for w in range(1, rows + 1)
        for d in range(1, columns + 1)
        for seed in range(seeds)
    ]


def test_a_few_cost_curves_are_all_named_with_where_they_end(tmp_path, texts_in):
    runs = [run({"window": w}, 0.5, costs=[(0, 2.5), (9, end)]) for w, end in (("3", 1.75), ("5", 2.125))]
    assert draw_cost_curves(compare(runs), tmp_path / "c.svg")
    texts = texts_in(tmp_path / "c.svg")
    assert {"window=3  1.7500", "window=5  2.1250"} <= set(texts)
    assert any("Comparable only for the same pairs." in text for text in texts)


def test_of_many_cost_curves_the_best_are_named_and_the_others_counted(tmp_path, texts_in):
    runs = [run({"window": str(i)}, i / 40, costs=[(0, 2.5), (9, 2.5 - i / 40)]) for i in range(40)]
    assert draw_cost_curves(compare(runs), tmp_path / "c.svg")
    texts = texts_in(tmp_path / "c.svg")
    named = sorted(
        int(text.split()[0].removeprefix("window=")) for text in texts if text.startswith("window=")
    )
    assert named == [34, 35, 36, 37, 38, 39]
    assert any("Colour: the best 6 of 40." in text for text in texts)


def test_the_longest_subtitle_of_curves_fits_into_the_picture(tmp_path):
    runs = [
        RunResult("", {"k": str(i)}, seed, "FINISHED", "", {}, {"objective_cost": [(0, 2.5), (9, i / 99)]})
        for i in range(99)
        for seed in range(2)
    ]
    assert draw_cost_curves(compare(runs), tmp_path / "c.png", "objective_cost")
    title = image.imread(tmp_path / "c.png")[:100]
    assert title[:, -8:].min() == 1 > title.min()  # white at the right edge


def test_curves_of_several_seeds_are_one_with_their_mean(tmp_path, texts_in):
    runs = [run({"window": "3"}, 0.5, seed, costs=[(0, 2.5), (9, 1.0 + seed)]) for seed in range(3)]
    assert draw_cost_curves(compare(runs), tmp_path / "c.svg")
    texts = texts_in(tmp_path / "c.svg")
    assert [text for text in texts if "2.0000" in text] == ["all runs  2.0000"]
    assert any("std over seeds" in text for text in texts)


def test_the_floor_is_drawn_only_where_all_runs_have_the_same(tmp_path, texts_in):
    same = [run({"dim": d}, 0.5, cost_floor=1.25, cost_gap=0.5) for d in "12"]
    draw_cost_curves(compare(same), tmp_path / "c.svg")
    assert "cost floor  1.2500" in texts_in(tmp_path / "c.svg")
    other = [run({"dim": d}, 0.5, cost_floor=float(d), cost_gap=0.5) for d in "12"]
    of_sampled_pairs = [run({"dim": d}, 0.5, cost_floor=1.25) for d in "12"]
    for runs in (other, of_sampled_pairs):
        draw_cost_curves(compare(runs), tmp_path / "c.svg")
        assert not [text for text in texts_in(tmp_path / "c.svg") if "cost floor" in text]


@pytest.mark.parametrize(
    "costs",
    [[(0, 2.5)], [(0, 2.5), (1, math.nan)], [(0, 2.0), (5, 2.0)], [(0, 1e9), (4999, 2.0)]],
    ids=["one epoch", "nan", "flat", "spike"],
)
def test_odd_cost_curves_are_drawn(costs, tmp_path):
    assert draw_cost_curves(compare([run({"window": "3"}, 0.5, costs=costs)]), tmp_path / "c.png")
    assert image.imread(tmp_path / "c.png").shape[:2] == (1000, 1600)


def test_seeds_whose_epochs_differ_meet_where_all_have_a_cost(tmp_path, texts_in):
    runs = [run({}, 0.5, 0, costs=[(0, 2.0), (5, 1.0)]), run({}, 0.5, 1, costs=[(0, 4.0), (7, 1.0)])]
    assert draw_cost_curves(compare(runs), tmp_path / "c.svg")
    assert "all runs  3.0000" in texts_in(tmp_path / "c.svg")


def test_points_of_quality_against_memory_are_named(tmp_path, texts_in):
    assert draw_explained_by_memory(compare(grid(seeds=3)), tmp_path / "m.svg")
    names = {f"window={w} dim={d}" for w in "12" for d in "12"}
    assert names <= set(texts_in(tmp_path / "m.svg"))


def test_what_no_other_configuration_beats_is_named_among_many(tmp_path, texts_in):
    beaten = [run({"k": f"beaten{i}"}, 0.1 + i / 1000, memory=50.0 + i) for i in range(60)]
    front = [run({"k": f"front{i}"}, 0.2 + i / 20, memory=1.0 + 10 * i) for i in range(5)]
    assert draw_explained_by_memory(compare(beaten + front), tmp_path / "m.svg")
    texts = set(texts_in(tmp_path / "m.svg"))
    assert {f"k=front{i}" for i in range(5)} <= texts
    assert len([text for text in texts if text.startswith("k=beaten")]) <= 7


def test_memory_from_small_to_large_is_drawn_by_orders_of_magnitude(tmp_path, texts_in):
    runs = [run({"k": str(i)}, 0.5, memory=0.1 * 10**i) for i in range(6)]
    draw_explained_by_memory(compare(runs), tmp_path / "m.svg")
    assert {"0.1", "1", "10", "100", "1,000", "10,000"} <= set(texts_in(tmp_path / "m.svg"))


@pytest.mark.parametrize("memory", [math.nan, 0.0])
def test_without_memory_or_quality_nothing_is_drawn(memory, tmp_path):
    runs = [run({"k": "1"}, 0.5, memory=memory), run({"k": "2"}, math.nan)]
    assert not draw_explained_by_memory(compare(runs), tmp_path / "m.png")
    assert not list(tmp_path.iterdir())


def test_points_of_quality_against_time_leave_out_what_was_not_trained(tmp_path, texts_in):
    runs = [run({"k": "slow"}, 0.5, train_seconds=9.0), run({"k": "fast"}, 0.4, train_seconds=1.0)]
    assert draw_explained_by_time(compare([*runs, run({"k": "untrained"}, 0.3)]), tmp_path / "t.svg")
    texts = set(texts_in(tmp_path / "t.svg"))
    assert {"k=slow", "k=fast", "training time, s"} <= texts
    assert "k=untrained" not in texts


def test_a_heat_map_has_a_figure_in_each_cell(tmp_path, texts_in):
    runs = [*grid(2, 3, seeds=2), run({"window": "3", "objective.dim": "1"}, math.nan, status="FAILED")]
    assert draw_heat_map(compare(runs), tmp_path / "h.svg")
    texts = texts_in(tmp_path / "h.svg")
    assert [texts.count(str(window)) for window in (1, 2, 3)] == [
        2,
        2,
        2,
    ]  # a row and a column, or two of one
    assert {"0.010", "0.015", "0.020", "0.025", "0.035"} <= set(texts)
    assert texts.count("± 0.007") == 6
    assert texts.count("failed") == 1


def test_the_best_cell_is_the_darkest(tmp_path):
    assert draw_heat_map(compare(grid(2, 2)), tmp_path / "h.png")
    picture = image.imread(tmp_path / "h.png").sum(axis=2)
    height, width = picture.shape
    halves = (slice(height // 3, height // 2), slice(height // 2 + 40, height - 180))
    sides = (slice(200, width // 2 - 60), slice(width // 2 + 60, width - 60))
    darkness = np.array([[-np.median(picture[rows, columns]) for columns in sides] for rows in halves])
    assert darkness.argmax() == 3
    assert darkness.argmin() == 0


def test_a_third_swept_value_makes_several_heat_maps(tmp_path, texts_in):
    runs = [
        run({"window": w, "dim": d, "objective.negatives": n}, math.nan, simlex999=int(w + d + n) / 1000)
        for w in "123"
        for d in "456"
        for n in "78"
    ]
    assert not draw_heat_map(compare(runs), tmp_path / "h.svg")
    assert draw_heat_map(compare(runs), tmp_path / "h.svg", "simlex999")
    texts = texts_in(tmp_path / "h.svg")
    assert texts.count("objective.negatives=7") == texts.count("objective.negatives=8") == 1
    assert {f"0.{w}{d}{n}" for w in "123" for d in "456" for n in "78"} <= set(texts)
    assert [texts.count(window) for window in "123"] == [
        1,
        1,
        1,
    ]  # the second one shares the first one's rows
    assert [texts.count(dim) for dim in "456"] == [2, 2, 2]


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [run({"window": "3"}, 0.5), run({"window": "5"}, 0.6)],
        [run({key: str(i) for key in "abcd"}, 0.5) for i in range(2)],
        [run({key: str(i) for key in "abc"}, 0.5) for i in range(PANELS + 1)],
        [run({"a": str(i), "b": str(i)}, math.nan) for i in range(3)],
        [run({"a": str(i), "b": "1"}, 0.5) for i in range(3)],
        [run({"a": str(i), "b": str(i)}, 0.5) for i in range(3)],
    ],
    ids=[
        "none",
        "one key",
        "four keys",
        "too many panels",
        "nothing known",
        "one key with one value",
        "3 of 9",
    ],
)
def test_without_two_or_three_swept_values_no_heat_map_is_drawn(runs, tmp_path):
    assert not draw_heat_map(compare(runs), tmp_path / "h.png")
    assert not list(tmp_path.iterdir())


def test_half_of_the_combinations_make_a_heat_map(tmp_path):
    runs = [run({"a": a, "b": b}, 0.5) for a, b in ("11", "12", "21", "33", "34")] + [
        run({"a": "2", "b": "4"}, math.nan, status="FAILED")
    ]
    assert draw_heat_map(compare(runs), tmp_path / "six_of_12.png")
    assert not draw_heat_map(compare(runs[:-1]), tmp_path / "five_of_12.png")


def test_values_of_a_heat_map_are_in_the_order_of_their_size(tmp_path, texts_in):
    runs = [
        run({"lr": lr, "schedule": s}, 0.5) for lr in ("0.5", "1e-3", "10", "9") for s in ("step", "cosine")
    ]
    draw_heat_map(compare(runs), tmp_path / "h.svg")
    texts = [
        text for text in texts_in(tmp_path / "h.svg") if text in {"0.5", "1e-3", "10", "9", "step", "cosine"}
    ]
    assert texts == ["step", "cosine", "1e-3", "0.5", "9", "10"]


def test_a_heat_map_of_many_columns_has_a_scale_instead_of_figures(tmp_path, texts_in):
    assert draw_heat_map(compare(grid(3, 20)), tmp_path / "h.svg")
    assert "0.150" not in texts_in(tmp_path / "h.svg")


@pytest.mark.parametrize("drawer", DRAWERS)
def test_hostile_values_are_only_text(drawer, tmp_path, texts_in):
    runs = [
        run({"tokenizer.callable": "<script>alert(1)</script>", "$x_1$": "$\\frac{1}$"}, 0.5),
        run({"tokenizer.callable": "-->", "$x_1$": "a\u202eb\x00"}, 0.6, memory=2.0),
    ]
    assert drawer(compare(runs), tmp_path / "p.svg")
    assert any("$\\frac{1}$" in text for text in texts_in(tmp_path / "p.svg"))


@pytest.mark.parametrize("drawer", DRAWERS)
def test_the_same_sweep_has_the_same_bytes(drawer, tmp_path):
    for name in ("a.png", "b.png"):
        assert drawer(compare(grid(seeds=2)), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_keys_that_end_alike_keep_their_groups(tmp_path, texts_in):
    runs = [run({"optimizer.decay": d, "schedule.decay": d}, 0.5, memory=float(d)) for d in "12"]
    draw_explained_by_memory(compare(runs), tmp_path / "m.svg")
    assert "optimizer.decay=1 schedule.decay=1" in texts_in(tmp_path / "m.svg")
