"""What a swept value does is told apart from what another seed does."""

import math

import numpy as np
import pytest
from scipy import stats

from w2v_exp.metrics import Ranking
from w2v_exp.reporting.comparison import compare, pareto_front
from w2v_exp.reporting.effects import findings, key_effect
from w2v_exp.results import RunResult

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


def test_one_key_with_two_values_is_the_paired_test_of_the_seeds_that_both_have():
    three, five = [0.52, 0.55, 0.50, 0.57], [0.41, 0.50, 0.37]
    _, values = effects_of({("3",): three, ("5",): five})
    expected = stats.ttest_rel(three[:3], five).confidence_interval(0.95)
    behind, margin = values["5"].behind, values["5"].behind_margin
    assert behind == pytest.approx(np.mean(three[:3]) - np.mean(five))
    assert (behind - margin, behind + margin) == pytest.approx((expected.low, expected.high))
    assert values["3"].margin == pytest.approx(stats.t.ppf(0.975, 2) * stats.sem(three[:3]))
    assert (values["3"].behind, values["3"].behind_margin, values["3"].is_significant) == (0, 0, False)


@pytest.mark.parametrize("gap", [0.0, 0.005, 0.5])
def test_a_difference_exceeds_the_noise_when_its_interval_is_without_0(gap):
    noise = np.array([-0.01, 0.0, 0.01])
    _, values = effects_of({("3",): 0.5 + noise, ("5",): 0.5 - gap - noise})
    other = values["5"] if gap else min(values.values(), key=lambda value: value.runs)
    assert other.is_significant is (gap > 0.1)


def test_of_many_values_each_difference_must_be_larger_as_there_are_more_pairs():
    noise = np.array([[-0.01, 0.0, 0.01], [0.01, 0.0, 0.02], *[[0.0, 0.01, 0.0]] * 3])
    _, two = effects_of({(str(i),): 0.5 - 0.1 * i + noise[i] for i in range(2)})
    _, five = effects_of({(str(i),): 0.5 - 0.1 * i + noise[i] for i in range(5)})
    assert five["1"].behind == pytest.approx(two["1"].behind)
    widened = stats.t.ppf(1 - 0.025 / 10, 2) / stats.t.ppf(0.975, 2)
    assert five["1"].behind_margin == pytest.approx(widened * two["1"].behind_margin)


def test_noise_is_that_within_configurations_not_between_them():
    noise = np.array([-0.001, 0.0, 0.001])
    table = {(w, d): 0.1 * int(w) + 0.01 * int(d) + noise for w in "35" for d in "123456"}
    _, values = effects_of(table)
    assert values["3"].settings == 6
    assert values["3"].deviation == pytest.approx(0.001)
    assert values["3"].margin < 0.003
    assert values["3"].ahead == 6
    assert values["3"].is_significant


def test_the_intervals_of_a_grid_hold_as_often_as_they_say():
    generator = np.random.default_rng(5)
    inside, repeats = 0, 400
    for _ in range(repeats):
        # What a seed does to all of its runs, and what it does to each.
        noise = generator.normal(scale=0.05, size=3) + generator.normal(
            scale=[[0.01], [0.05], [0.01], [0.02]], size=(4, 3)
        )
        table = {(w, d): noise[2 * i + j] + j for i, w in enumerate("35") for j, d in enumerate("12")}
        effect, _ = effects_of(table)
        worse = effect.from_best[1]
        inside += not worse.is_significant
    assert 0.91 < inside / repeats <= 0.99


def test_a_failed_configuration_is_left_out_for_all_values():
    table = {("3", "10"): [0.9], ("3", "50"): [0.1], ("5", "10"): [0.8]}
    failed = run({"window": "5", "dim": "50"}, math.nan, status="FAILED")
    effect = key_effect(compare([*runs(table), failed]), "window", EXPLAINED)
    assert [value.settings for value in effect.values] == [1, 1]
    assert [(value.value, value.mean) for value in effect.from_best] == [("3", 0.9), ("5", 0.8)]


def test_a_single_seed_says_nothing_of_noise():
    effect, values = effects_of({("3",): [0.9], ("5",): [0.8]})
    assert math.isnan(values["5"].behind_margin)
    assert values["5"].is_significant is None
    assert math.isnan(values["3"].deviation)
    (_, finding) = findings(compare(runs({("3",): [0.9], ("5",): [0.8]})), [effect])
    assert "significance unknown (fewer than two shared seeds" in finding.sentence


def test_what_a_seed_does_to_all_values_alike_is_no_noise_of_their_differences():
    seeds = np.array([-0.2, 0.0, 0.3])
    _, values = effects_of({("3",): 0.9 + seeds, ("5",): 0.8 + seeds + [0.0, 0.001, -0.001]})
    assert values["5"].margin > 0.5
    assert values["5"].behind_margin < 0.003
    assert values["5"].is_significant


def test_seeds_that_are_not_shared_say_nothing_of_noise():
    results = [*runs({("3",): [0.9, 0.8]}), *(run({"window": "5"}, 0.5, seed) for seed in (2, 3))]
    effect = key_effect(compare(results), "window", EXPLAINED)
    (best, other) = effect.from_best
    assert (best.mean, other.mean, other.behind) == pytest.approx((0.85, 0.5, 0.35))
    assert other.is_significant is None
    assert math.isnan(other.margin)


def changes(table):
    """Return the effect of changes of a base, given the values of their seeds by name."""
    results = [
        run({"change": name}, v, seed) for name, values in table.items() for seed, v in enumerate(values)
    ]
    comparison = compare(results)
    effect = key_effect(comparison, "change", EXPLAINED)
    return comparison, effect, {value.value: value for value in effect.values}


def test_changes_are_compared_each_with_the_base_and_with_no_other():
    table = {"base": [0.5, 0.6, 0.7], "up": [0.61, 0.7, 0.79], "down": [0.3, 0.55, 0.62], "once": [0.9]}
    comparison, effect, values = changes(table)
    assert (effect.reference, effect.from_best[0].value) == ("base", "once")
    expected = stats.ttest_rel(table["base"], table["up"]).confidence_interval(1 - 0.05 / 3)
    behind, margin = values["up"].behind, values["up"].behind_margin
    assert (behind - margin, behind + margin) == pytest.approx((expected.low, expected.high))
    assert values["up"].is_significant
    assert (values["once"].behind, values["once"].is_significant) == (pytest.approx(-0.4), None)
    assert (values["base"].behind, values["base"].behind_margin, values["base"].is_significant) == (
        0,
        0,
        False,
    )
    (_, finding) = findings(comparison, [effect])
    assert finding.sentence.startswith("1 of 3 differ significantly from base: up +0.100 ± 0.04")


def test_findings_on_changes_that_are_within_the_noise_or_whose_noise_is_not_known():
    comparison, effect, _ = changes({"base": [0.5, 0.6], "near": [0.7, 0.5], "nearer": [0.5, 0.61]})
    assert "no change differs significantly from base; the largest differences: near +0.050" in (
        findings(comparison, [effect])[1].sentence
    )
    comparison, effect, _ = changes({"base": [0.5], "low": [0.3]})
    assert findings(comparison, [effect])[1].sentence.startswith(
        "against base: low −0.200; significance unknown"
    )


def test_a_change_without_a_setting_in_common_with_the_base_is_absent():
    results = [run({"change": c, "dim": d}, 0.5) for c, d in (("base", "5"), ("a", "5"), ("b", "9"))]
    effect = key_effect(compare(results), "change", EXPLAINED)
    assert ([value.value for value in effect.values], effect.absent) == (["base", "a"], ["b"])


def test_settings_without_repeats_are_left_out_where_others_have_some():
    table = {("3", "1"): [0.9, 0.8], ("5", "1"): [0.7, 0.6], ("3", "2"): [0.5, 0.4], ("5", "2"): [0.9]}
    _, values = effects_of(table)
    assert (values["3"].settings, values["3"].runs, values["3"].mean) == (1, 2, pytest.approx(0.85))


def test_seeds_that_make_no_difference_leave_no_noise():
    _, values = effects_of({("3",): [0.5, 0.5], ("5",): [0.4, 0.4], ("9",): [0.5, 0.5]})
    assert values["5"].behind_margin == 0
    assert values["5"].is_significant
    assert values["9"].is_significant is False
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
    best, said = sentences({("3",): 0.9 + noise, ("5",): 0.8 - noise})
    assert best == "information explained 0.900 ± 0.001"
    assert said == "3 is best, better than 5 by 0.1000 ± 0.0050 (significant)."
    _, said = sentences({("3",): 0.9 + noise, ("5",): 0.8995 - noise, ("9",): 0.1 + noise})
    assert "better than 5 by 0.0005" in said
    assert "(not significant), and better than 9 by 0.800" in said
    _, said = sentences({("3",): [0.5], ("5",): [0.5]})
    assert said == "no effect."


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
