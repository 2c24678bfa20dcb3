"""Stability as tables on a terminal of 80 columns, as CSV and in the page; words are hostile texts."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.stability import ComparedRun, compare_runs
from w2v_exp.reporting.comparison import compare
from w2v_exp.reporting.escape import table_text
from w2v_exp.reporting.stability import StabilityReport
from w2v_exp.reporting.summary_page import Header, summary_page
from w2v_exp.results import RunResult

HOSTILE = [
    "</script><script>alert(1)</script>",
    "=1+1",
    "\u202eevil",
    "\x1b[31m",
    "{{ 7 * 7 }}",
    "a\nb",
    "[bold]",
    "",
]


def runs(seeds, configurations=1, words=150, extra=()):
    base = np.random.default_rng(7).standard_normal((words, 8))
    made = []
    for number in range(configurations):
        for seed in range(seeds):
            noise = np.random.default_rng([number, seed]).standard_normal(base.shape)
            names = [*HOSTILE, *(f"w{i}" for i in range(words - len(HOSTILE)))]
            if seed == 0:
                names[-len(extra) :] = extra or names[-len(extra) :]
            made.append(
                ComparedRun(number, seed, Embeddings(names, np.arange(words + 50, 50, -1), base + noise))
            )
    return made


def report(seeds=3, configurations=2, **more):
    return StabilityReport(
        compare_runs(runs(seeds, configurations, **more)), [f"window={i}" for i in range(configurations)]
    )


def printed(one, width=80):
    console = Console(file=io.StringIO(), width=width)
    one.print(console)
    return console.file.getvalue()


def test_the_tables_fit_eighty_columns():
    text = printed(report(configurations=3))
    assert max(map(len, text.splitlines())) <= 80
    for heading in ("common", "aligned", "correlation", "residual", "by chance", "1–100", "101–150"):
        assert heading in text


def test_hostile_words_are_shown_without_effect():
    text = printed(report(seeds=2, configurations=1, words=20))
    assert not {"\x1b", "\u202e"} & set(text)
    assert "[bold]" in text


def test_words_of_only_some_runs_are_named():
    assert (
        "Not compared: 4 words that only some of the runs have (only, \ufffdx, w140, w141)."
        in report(extra=("only", "\u202ex")).missing
    )
    assert report().missing == ""


def test_csv_holds_all_words(tmp_path):
    one = report()
    one.write_csv(tmp_path)
    with (tmp_path / "stability_words.csv").open(encoding="utf-8", newline="") as stream:
        rows = [*csv.DictReader(stream)]
    assert [table_text(row["word"]) for row in rows] == one.stability.words
    assert [float(row["overlap"]) for row in rows] == one.stability.by_word[0].tolist()
    assert list(rows[0])[-1] == "overlap window=0 – window=1"
    with (tmp_path / "stability.csv").open(encoding="utf-8", newline="") as stream:
        bands = [*csv.DictReader(stream)]
    assert len(bands) == 3 * 3
    assert float(bands[0]["overlap"]) == one.stability.agreements[0].means[0]
    assert float(bands[0]["overlap_margin"]) == one.stability.agreements[0].margins[0]
    assert bands[1]["overlap_margin"] == ""


def test_metrics_are_means_over_configurations():
    one = report()
    means = np.mean([each.means for each in one.stability.within], axis=0)
    assert [*one.metrics().values()] == pytest.approx(means.tolist())
    assert "of the 10 nearest neighbours of a word in common" in one.sentence()


def test_without_repeats_there_are_no_metrics_between_seeds():
    one = report(seeds=1)
    assert (one.metrics(), one.sentence()) == ({}, "")
    assert "paired by equal seed" in printed(one).replace("\n", " ")


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_page_has_the_tables_and_no_word_acts_in_it(seeds):
    one = report(seeds=seeds, words=20)
    results = [
        RunResult(f"window={i}", {"window": str(i)}, seed, "FINISHED", metrics={"cost": 1.0})
        for i in range(2)
        for seed in range(seeds)
    ]
    plain = summary_page(compare(results), Header("sweep", "w2v-exp", len(results)))
    page = summary_page(compare(results), Header("sweep", "w2v-exp", len(results)), one)
    assert 'id="stability"' in page
    assert 'id="stability"' not in plain
    assert page.count("<script") == plain.count("<script")
    assert "&lt;/script&gt;" in page
    assert ("by chance</td>" in page) == (seeds > 1)
    assert page.count('class="heat"') == plain.count('class="heat"') + 1
