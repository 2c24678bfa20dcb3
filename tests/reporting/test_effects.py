"""What a swept value does is told apart from what another seed does."""

import math

import numpy as np
import pytest
from scipy import stats

from w2v_exp.metrics import Ranking
from w2v_exp.reporting.comparison import compare, pareto_front
from w2v_exp.reporting.effects import findings, key_effect
from w2v_exp.runs import RunResult

EXPLAINED = Ranking("information_explained", 1)


def run(swept, explained, seed=0, status="FINISHED", **metrics):
    return RunResult("", swept, seed, status, "", {"information_explained": explained, **metrics})


def runs(table):
    """Runs of a table of settings to the values of their seeds."""
    return [
        run(dict(zip(("window", "dim"), setting, strict=False)), value, seed)
        for setting, values in table.items()
        for seed, value in enumerate(values)
    ]


def effects_of(table, key="window", metric=EXPLAINED):
    effect = key_effect(compare(runs(table)), key, metric)
    return effect, {value.value: value for value in effect.values}


def test_one_key_with_two_values_is_welchs_test():
    three, five = [0.52, 0.55, 0.50, 0.57], [0.41, 0.50, 0.37]
    _, values = effects_of({("3",): three, ("5",): five})
    expected = stats.ttest_ind(three, five, equal_var=False).confidence_interval(0.95)
    behind, margin = values["5"].behind, values["5"].behind_margin
    assert behind == pytest.approx(np.mean(three) - np.mean(five))
    assert (behind - margin, behind + margin) == pytest.approx((expected.low, expected.high))
    assert values["3"].margin == pytest.approx(stats.t.ppf(0.975, 3) * stats.sem(three))
    assert (values["3"].behind, values["3"].behind_margin, values["3"].exceeds_noise) == (0, 0, False)


@pytest.mark.parametrize("gap", [0.0, 0.005, 0.5])
def test_a_difference_exceeds_the_noise_when_its_interval_is_without_0(gap):
    noise = np.array([-0.01, 0.0, 0.01])
    _, values = effects_of({("3",): 0.5 + noise, ("5",): 0.5 - gap + noise})
    other = values["5"] if gap else min(values.values(), key=lambda value: value.runs)
    assert other.exceeds_noise is (gap > 0.1)


def test_of_many_values_each_difference_must_be_larger_as_there_are_more_pairs():
    noise = np.array([-0.01, 0.0, 0.01])
    _, two = effects_of({(str(i),): 0.5 - 0.01 * i + noise for i in range(2)})
    _, five = effects_of({(str(i),): 0.5 - 0.01 * i + noise for i in range(5)})
    assert five["1"].behind == pytest.approx(two["1"].behind)
    widened = stats.t.ppf(1 - 0.025 / 10, 4) / stats.t.ppf(0.975, 4)
    assert five["1"].behind_margin == pytest.approx(widened * two["1"].behind_margin)


def test_noise_is_that_within_configurations_not_between_them():
    noise = np.array([-0.001, 0.0, 0.001])
    table = {(w, d): 0.1 * int(w) + 0.01 * int(d) + noise for w in "35" for d in "123456"}
    effect, values = effects_of(table)
    assert effect.settings == 6
    assert values["3"].deviation == pytest.approx(0.001)
    assert values["3"].margin < 0.001
    assert values["3"].ahead == 6
    assert values["3"].exceeds_noise


def test_the_intervals_of_a_grid_hold_as_often_as_they_say():
    generator = np.random.default_rng(5)
    inside, repeats = 0, 400
    for _ in range(repeats):
        noise = generator.normal(scale=[[0.01], [0.05], [0.01], [0.02]], size=(4, 3))
        table = {(w, d): noise[2 * i + j] + j for i, w in enumerate("35") for j, d in enumerate("12")}
        effect, _ = effects_of(table)
        worse = effect.from_best[1]
        inside += not worse.exceeds_noise
    assert 0.91 < inside / repeats <= 0.99


def test_a_failed_configuration_is_left_out_for_all_values():
    table = {("3", "10"): [0.9], ("3", "50"): [0.1], ("5", "10"): [0.8]}
    failed = run({"window": "5", "dim": "50"}, math.nan, status="FAILED")
    effect = key_effect(compare([*runs(table), failed]), "window", EXPLAINED)
    assert effect.settings == 1
    assert [(value.value, value.mean) for value in effect.from_best] == [("3", 0.9), ("5", 0.8)]


def test_a_single_seed_says_nothing_of_noise():
    effect, values = effects_of({("3",): [0.9], ("5",): [0.8]})
    assert math.isnan(values["5"].behind_margin)
    assert values["5"].exceeds_noise is None
    assert math.isnan(values["3"].deviation)
    (_, finding) = findings(compare(runs({("3",): [0.9], ("5",): [0.8]})), [effect])
    assert "noise is not known" in finding.sentence


def test_settings_without_repeats_are_left_out_where_others_have_some():
    table = {("3", "1"): [0.9, 0.8], ("5", "1"): [0.7, 0.6], ("3", "2"): [0.5, 0.4], ("5", "2"): [0.9]}
    effect, values = effects_of(table)
    assert (effect.settings, values["3"].runs, values["3"].mean) == (1, 2, pytest.approx(0.85))


def test_seeds_that_make_no_difference_leave_no_noise():
    _, values = effects_of({("3",): [0.5, 0.5], ("5",): [0.4, 0.4], ("9",): [0.5, 0.5]})
    assert values["5"].behind_margin == 0
    assert values["5"].exceeds_noise
    assert values["9"].exceeds_noise is False
    assert not math.copysign(1, values["9"].behind) < 0


def test_values_that_share_no_setting_are_not_compared():
    effect, _ = effects_of({("3", "10"): [0.9], ("5", "50"): [0.8]})
    assert (effect.values, effect.absent) == ([], [])
    table = {("3", "10"): [0.9], ("5", "10"): [math.nan]}
    assert effects_of(table)[0].absent == ["5"]


def test_of_a_cost_the_least_is_best():
    comparison = compare(
        [run({"window": w}, math.nan, validation_cost=c) for w, c in (("3", 2.5), ("5", 2.25))]
    )
    effect = key_effect(comparison, "window", Ranking("validation_cost", -1))
    assert [(value.value, value.behind) for value in effect.from_best] == [("5", 0), ("3", 0.25)]


def sentences(table):
    comparison = compare(runs(table))
    return [sentence for _, sentence in findings(comparison, [key_effect(comparison, "window", EXPLAINED)])]


def test_findings_say_what_is_best_and_what_is_noise():
    noise = np.array([-0.001, 0.0, 0.001])
    best, said = sentences({("3",): 0.9 + noise, ("5",): 0.8 + noise})
    assert best == "information explained 0.900 ± 0.001"
    assert said == "3 is best, ahead of 5 by 0.1000 ± 0.0023, more than the noise."
    _, said = sentences({("3",): 0.9 + noise, ("5",): 0.8995 + noise, ("9",): 0.1 + noise})
    assert "ahead of 5 by 0.0005" in said
    assert "within the noise; ahead of 9 by 0.800" in said
    _, said = sentences({("3",): [0.5], ("5",): [0.5]})
    assert said == "makes no difference."


def test_one_configuration_has_no_findings():
    assert findings(compare([run({}, 0.5)]), []) == []


def test_the_front_is_what_no_other_beats():
    points = {
        "a": (0.5, 2.0),
        "b": (0.6, 3.0),
        "c": (0.5, 3.0),
        "d": (0.7, 9.0),
        "e": (0.7, 10.0),
        "f": (0.4, 1.0),
    }
    results = [run({"k": name}, y, peak_memory_mb=x) for name, (y, x) in points.items()]
    results.append(run({"k": "unknown"}, math.nan, peak_memory_mb=0.1))
    front = pareto_front(compare(results).groups, EXPLAINED, "peak_memory_mb")
    assert [group.swept["k"] for group in front] == ["f", "a", "b", "d"]
    turned = pareto_front(compare(results).groups, Ranking("information_explained", -1), "peak_memory_mb")
    assert [group.swept["k"] for group in turned] == ["f"]
