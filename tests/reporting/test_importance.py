"""Importance of keys: the parts of the variance, against a least-squares fit and by their properties."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.metrics import Ranking
from w2v_exp.reporting.comparison import compare
from w2v_exp.reporting.importance import COMBINATIONS, NOISE, importance
from w2v_exp.results import RunResult

METRIC = Ranking("information_explained", 1)


def run(swept, value, seed=0, status="FINISHED"):
    metrics = {"information_explained": float(value)} if status == "FINISHED" else {}
    return RunResult("", {key: str(v) for key, v in swept.items()}, seed, status, "", metrics)


def grid(numbers):
    """Return the runs of a grid: the last axis are the seeds."""
    return [
        run({f"k{axis}": i for axis, i in enumerate(place[:-1])}, number, place[-1])
        for place, number in np.ndenumerate(np.asarray(numbers, float))
    ]


def shares_of(runs):
    found = importance(compare(runs), METRIC)
    return {share.name: share.share for share in found.shares}, found


def test_keys_that_add_up_explain_all_by_their_variances():
    numbers = np.add.outer([0.0, 3.0, 6.0], [0.0, 2.0])[..., None]
    shares, found = shares_of(grid(numbers))
    assert shares == {"k0": pytest.approx(6 / 7), "k1": pytest.approx(1 / 7), COMBINATIONS: pytest.approx(0)}
    assert "add repeats=5" in found.note
    assert all(math.isnan(share.low) for share in found.shares)


def test_keys_whose_effects_are_opposite_explain_in_combination():
    shares, _ = shares_of(grid([[[0.0], [1.0]], [[1.0], [0.0]]]))
    assert shares == {"k0": pytest.approx(0), "k1": pytest.approx(0), COMBINATIONS: pytest.approx(1)}


@settings(max_examples=examples(20), deadline=None)
@given(
    st.integers(2, 4),
    st.integers(2, 3),
    st.integers(2, 5),
    st.integers(0, 2**31),
    st.sampled_from([0.01, 1.0]),
)
def test_shares_are_those_of_least_squares(first, second, seeds, seed, noise):
    generator = np.random.default_rng(seed)
    numbers = np.add.outer(generator.random(first), generator.random(second))[..., None]
    numbers = numbers + noise * generator.random((first, second, seeds))
    shares, found = shares_of(grid(numbers))
    # The residual sum of squares of a fit by indicators of seeds, and then of each key, and of every cell.
    places = list(itertools.product(range(first), range(second), range(seeds)))
    y = np.array([numbers[place] for place in places])

    def residual(*codes):
        design = np.hstack([np.eye(max(code) + 1)[list(code)] for code in codes])
        return float(np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2))

    a, b, s = zip(*places, strict=True)
    cell = [i * second + j for i, j in zip(a, b, strict=True)]
    total, within = residual(s), residual(s, cell)
    mean_square = within / ((first * second - 1) * (seeds - 1))
    for name, code, size in (("k0", a, first), ("k1", b, second)):
        expected = (total - residual(s, code) - (size - 1) * mean_square) / total
        assert shares[name] == pytest.approx(max(0.0, expected), abs=1e-9)
    assert [share.name for share in found.shares[2:]] == [COMBINATIONS, NOISE]
    assert found.shares[0].share >= found.shares[1].share
    for share in found.shares:
        assert math.isnan(share.low) == (seeds < 3)
        assert math.isnan(share.low) or 0 <= share.low <= share.share <= share.high <= 1
    # Neither the unit of the metric nor an effect of the seeds changes a share.
    moved, _ = shares_of(grid(5 - 3 * numbers + generator.random(seeds)))
    assert moved == pytest.approx(shares, abs=1e-6)


def test_a_single_key_is_compared_with_the_noise():
    shares, _ = shares_of(grid([[0.0, 0.1, 0.2], [1.0, 1.1, 1.2]]))
    assert shares == {"k0": pytest.approx(1), NOISE: pytest.approx(0, abs=1e-9)}
    assert "Not enough runs" in importance(compare(grid([[0.0], [1.0]])), METRIC).note


def test_values_with_missing_runs_are_left_out():
    runs = grid(np.add.outer([0.0, 1.0, 5.0], [0.0, 2.0])[..., None])
    failed = [*runs[:-1], run({"k0": 2, "k1": 1}, 0, status="FAILED")]
    shares, found = shares_of(failed)
    assert shares["k0"] == pytest.approx(0.2)
    assert found.note.startswith("Of 4 configurations with one seed each. Values without all combinations")


def test_runs_without_a_difference_have_no_importance():
    assert importance(compare(grid(np.ones((2, 2, 3)))), METRIC) == (
        METRIC,
        [],
        "All runs have the same value.",
    )
    assert importance(compare(grid([[[1.0]]])), METRIC).shares == []


def test_runs_that_share_no_values_have_no_importance():
    runs = [run({"k0": i, "k1": i}, i) for i in range(2)]
    assert importance(compare(runs), METRIC).note.startswith("Not enough runs: their values have no")


def trials(count):
    generator = np.random.default_rng(1)
    rows = [(generator.random(), generator.random(), "ab"[i % 2]) for i in range(count)]
    return [
        run({"rate": rate, "idle": idle, "kind": kind, "name": f"n{i}"}, 4 * rate + (kind == "a"))
        for i, (rate, idle, kind) in enumerate(rows)
    ]


def test_trials_of_a_search_are_grouped_by_one_key_at_a_time():
    found = importance(compare(trials(200)), METRIC)
    shares = {share.name: share for share in found.shares}
    assert [*shares][:3] == ["rate", "kind", "idle"]
    assert shares["rate"].low > 0.6
    assert shares["kind"].low < 0.25 / (16 / 12 + 0.25) < shares["kind"].high
    assert shares["idle"].low == 0
    assert math.isnan(shares["name"].share)
    assert COMBINATIONS not in shares


def test_few_trials_have_no_importance():
    assert importance(compare(trials(19)), METRIC).note.startswith("Not enough runs: 19 configurations")
