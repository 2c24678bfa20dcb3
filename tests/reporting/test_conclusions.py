"""Conclusions of association tests over a sweep: signs, intervals over seeds, and which keys change them."""

import io

import pytest
from rich.console import Console
from scipy import stats

from w2v_exp.reporting.comparison import compare
from w2v_exp.reporting.conclusions import RULE, conclusions_of, print_conclusions
from w2v_exp.reporting.summary_page import Header, summary_page
from w2v_exp.results import RunResult

TEST = "association_own"
SHOWN, WEAK, BELOW = ([0.9, 1.0, 1.1], 0.01), ([0.9, 1.0, 1.1], 0.2), ([-0.9, -1.0, -1.1], 0.01)
NOISY, LOST = ([-1.0, 0.5, 2.0], 0.01), ([None, None, None], 1)


def runs(cells):
    """Runs of a sweep of window and dim: effects by seed and p of each setting."""
    return [
        RunResult("", {"window": window, "dim": dim}, seed, "FINISHED", metrics={
            **({} if effect is None else {TEST: effect, f"p_{TEST}": p}), f"words_{TEST}": 30.0, "cost": 1.0,
        })
        for (window, dim), (effects, p) in cells.items()
        for seed, effect in enumerate(effects)
    ]  # fmt: skip


def conclusions(cells):
    (found,) = conclusions_of(compare(runs(cells)))
    return found


def test_each_configuration_has_a_sign_an_interval_and_a_reason():
    found = conclusions({("2", "10"): SHOWN, ("2", "50"): WEAK, ("5", "10"): BELOW, ("5", "50"): NOISY})
    assert [one.outcome for one in found.conclusions] == [
        "positive",
        "not shown (words)",
        "negative",
        "not shown (seeds)",
    ]
    expected = stats.t.interval(0.95, 2, loc=1, scale=stats.sem(SHOWN[0]))
    assert (found.conclusions[0].low, found.conclusions[0].high) == pytest.approx(expected)
    assert found.conclusions[0].written(found.metric) == ("1.000", "0.752 to 1.248", "0.010")
    assert found.conclusions[2].written(found.metric)[0] == "−1.000"
    assert found.summary == "positive in 1, negative in 1, not shown in 2 of 4 configurations."
    assert found.name == "own"


def test_the_largest_p_of_the_seeds_counts():
    given = runs({("2", "10"): SHOWN, ("5", "10"): SHOWN})
    given[1].metrics[f"p_{TEST}"] = 0.06
    (found,) = conclusions_of(compare(given))
    assert [one.outcome for one in found.conclusions] == ["not shown (words)", "positive"]


def test_intervals_over_documents_count_where_runs_have_them():
    given = runs({("2", "10"): SHOWN, ("5", "10"): SHOWN})
    for run, low in zip(given, [0.1, 0.2, -0.1, 0.1, 0.2, 0.3], strict=True):
        run.metrics.update(
            {f"{TEST}_low": low, f"{TEST}_high": 1.9, f"p_{TEST}_low": 0.0, f"p_{TEST}_high": 1.0}
        )
    (found,) = conclusions_of(compare(given))
    assert [one.outcome for one in found.conclusions] == ["not shown (documents)", "positive"]
    assert [column.name for column in compare(given).columns if "association" in column.name] == [TEST]


def test_keys_that_change_the_conclusion_are_named():
    found = conclusions({("2", "10"): SHOWN, ("2", "50"): SHOWN, ("5", "10"): BELOW, ("5", "50"): SHOWN})
    keys = dict(found.keys)
    assert keys["window"].startswith(
        "the conclusion changes in 1 of 2 settings of the other keys; the effect is larger by 1.0"
    )
    assert "with 2 than with 5 (significant)" in keys["window"]
    assert keys["dim"].startswith("the conclusion changes in 1 of 2 settings")


def test_the_only_key_has_no_settings_of_others():
    found = conclusions({("2", "10"): SHOWN, ("5", "10"): SHOWN})
    assert found.keys == [("window", "the conclusion does not change; the effect is the same.")]


def test_one_seed_shows_nothing_and_asks_for_more():
    found = conclusions({("2", "10"): ([1.0], 0.01), ("5", "10"): ([1.5], 0.01)})
    assert [one.outcome for one in found.conclusions] == ["too few seeds"] * 2
    assert found.keys[0][1] == (
        "the effect is larger by 0.500 with 5 than with 2 (significance unknown (fewer than two shared seeds: add "
        "repeats=5))."
    )


def test_tests_that_lack_words_are_not_computed():
    found = conclusions({("2", "10"): LOST, ("5", "10"): SHOWN})
    assert [one.outcome for one in found.conclusions] == ["not computed (unknown words)", "positive"]
    assert found.conclusions[0].written(found.metric) == ("–",) * 3
    assert found.summary == "positive in 1, not computed in 1 of 2 configurations."
    assert found.keys == [("window", "the effects cannot be compared.")]
    assert conclusions({("2", "10"): LOST}).summary == "not computed in 1 of 1 configuration."


def test_a_sweep_without_associations_has_no_conclusions():
    assert conclusions_of(compare([RunResult("", {}, 0, "FINISHED", metrics={"cost": 1.0})])) == []
    assert conclusions_of(compare([])) == []


def printed(cells):
    stream = io.StringIO()
    print_conclusions(compare(runs(cells)), Console(file=stream, width=80, force_terminal=False))
    return stream.getvalue()


def test_the_terminal_has_a_table_of_eighty_columns():
    text = printed({("2", "10"): SHOWN, ("5", "10"): BELOW})
    assert text.splitlines()[0] == "own: positive in 1, negative in 1 of 2 configurations."
    assert text.splitlines()[2].split() == ["2", "1.000", "0.752", "to", "1.248", "0.010", "positive"]
    assert max(map(len, text.splitlines())) <= 80
    many = printed({(str(window), "10"): SHOWN for window in range(30)})
    assert "… and 10 more: see the page." in many


def test_the_page_has_a_section_with_intervals():
    cells = {("2", "10"): SHOWN, ("2", "50"): WEAK, ("5", "10"): LOST, ("5", "50"): ([1.0], 0.01)}
    page = summary_page(compare(runs(cells)), Header("s", "c"))
    assert RULE.split(",", maxsplit=1)[0] in page
    assert "<h3>own</h3>" in page
    assert "Positive in 1, not shown in 1, too few seeds in 1, not computed in 1 of 4 configurations." in page
    assert page.count('<svg class="forest"') == 4
    assert page.count('<line class="mean"') == 2
    assert '<tr><td>2</td><td>10</td><td class="n">1.000</td><td class="n">0.752 to 1.248</td>' in page


def test_a_page_without_associations_has_no_such_section():
    page = summary_page(compare([RunResult("", {}, 0, "FINISHED", metrics={"cost": 1.0})]), Header("s", "c"))
    assert "associations-title" not in page


@pytest.mark.parametrize("effects", [[0.0, 0.0], [1e3, -1e3], [5.0, 5.0], [1e-300, 0.0]])
def test_any_effects_have_a_page(effects):
    assert "forest" in summary_page(compare(runs({("2", "10"): (effects, 0.5)})), Header("s", "c"))
