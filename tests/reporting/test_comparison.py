"""A comparison groups runs by what was swept, puts the best first, and reads well wherever it is shown."""

import csv
import dataclasses
import io
import math
import statistics
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from w2v_exp.metrics import COLUMNS, QUALITIES, Ranking
from w2v_exp.reporting.comparison import compare, pareto_front
from w2v_exp.reporting.effects import findings, key_effect
from w2v_exp.reporting.escape import table_text
from w2v_exp.results import RunResult


def run(explained, seed=0, status="FINISHED", reason="", swept=None, **metrics):
    swept = {"window": "3"} if swept is None else swept
    name = " ".join(f"{key}={value}" for key, value in swept.items())
    return RunResult(name, swept, seed, status, reason, {"information_explained": explained, **metrics})


def sweep(**scores):
    """Two windows, two dims, three seeds each; one more window that failed and one run that was stopped."""
    quality = {("3", "10"): 0.97, ("3", "50"): 0.98, ("5", "10"): 0.72, ("5", "50"): 0.75}
    everything = {
        "cost": 1.7, "cost_gap": 0.1, "neighbour_precision": 1.0, "peak_memory_mb": 0.2151,
        "train_seconds": 12.345, "pairs_per_second": 1234567.8, "vocabulary_size": 13.0, "pairs": 84.0,
    }  # fmt: skip
    runs = [
        run(explained + seed / 1000, seed, swept={"window": window, "dim": dim}, **everything, **scores)
        for (window, dim), explained in quality.items()
        for seed in range(3)
    ]
    failed = run(
        math.nan, 0, "FAILED", "The cost is nan in epoch 3: training diverged.", {"window": "9", "dim": "10"}
    )
    stopped = run(math.nan, 3, "KILLED", "stopped by Ctrl-C", {"window": "3", "dim": "50"})
    return [failed, *runs, stopped]


def printed(comparison, width=80):
    stream = io.StringIO()
    comparison.print_table(Console(file=stream, width=width, force_terminal=False))
    return stream.getvalue()


def rows_of(comparison, tmp_path):
    comparison.write_csv(tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_runs_that_differ_only_in_seed_are_one_row_with_mean_and_deviation():
    (group,) = compare([run(value, seed) for seed, value in enumerate([0.5, 0.6, 0.8])]).groups
    assert group.mean("information_explained") == pytest.approx(statistics.mean([0.5, 0.6, 0.8]))
    assert group.deviation("information_explained") == pytest.approx(statistics.stdev([0.5, 0.6, 0.8]))
    assert group.written(COLUMNS[0]) == "0.633 ± 0.153"


def test_the_order_of_swept_keys_does_not_make_another_configuration():
    first, second = (
        run(0.5, 0, swept={"window": "3", "dim": "9"}),
        run(0.6, 1, swept={"dim": "9", "window": "3"}),
    )
    assert len(compare([first, second]).groups) == 1


def test_a_single_run_has_no_deviation():
    (group,) = compare([run(0.5)]).groups
    assert math.isnan(group.deviation("information_explained"))
    assert group.written(COLUMNS[0]) == "0.500"


def test_the_best_comes_first_and_what_is_not_known_last():
    explained = [0.1, math.nan, 0.9, -2.0, 0.9]
    comparison = compare([run(value, swept={"k": str(i)}) for i, value in enumerate(explained)])
    assert [group.swept["k"] for group in comparison.groups] == ["2", "4", "0", "3", "1"]


def swept_runs(**metrics):
    """Runs of which each metric has these values, in their order; None: a run does not have it."""
    found = []
    for number, row in enumerate(zip(*metrics.values(), strict=True)):
        known = {name: value for name, value in zip(metrics, row, strict=True) if value is not None}
        explained = known.pop("information_explained", math.nan)
        found.append(run(explained, swept={"k": str(number)}, **known))
    return found


@pytest.mark.parametrize(
    ("metrics", "order", "said"),
    [
        ({"validation_cost": [2.0, 1.0, 3.0]}, "102", "Ranked by validation cost, lowest first."),
        ({"wordsim353": [0.2, 0.1, 0.3]}, "201", "Ranked by WS-353, highest first."),
        (  # what all runs have goes before what one of them lacks
            {"validation_cost": [2.0, None, 3.0], "analogies": [0.1, 0.2, 0.3]},
            "210",
            "Ranked by analogies, highest first.",
        ),
        (
            {"information_explained": [0.1, 0.2, 0.3], "validation_cost": [1.0, 2.0, 3.0]},
            "210",
            "Ranked by information explained, highest first.",
        ),
        (
            {"validation_cost": [2.0, 1.0, None], "analogies": [None, 0.2, 0.3]},
            "102",
            "Ranked by validation cost, lowest first.",
        ),
        ({"cost": [3.0, 1.0, 2.0]}, "012", "Not ranked: no quality metric is known for all runs."),
    ],
)
def test_runs_are_ranked_by_what_all_of_them_have_and_the_note_says_by_what(metrics, order, said):
    comparison = compare(swept_runs(**metrics))
    assert [group.swept["k"] for group in comparison.groups] == list(order)
    assert comparison.note.startswith(said)
    assert said in comparison.to_markdown()


def test_a_single_configuration_is_not_ranked():
    assert "anked" not in compare([run(0.5, 0), run(0.6, 1)]).note


def test_a_metric_that_one_seed_lacks_is_not_known_of_the_group():
    (group,) = compare([run(0.5, 0, cost=1.0), run(0.6, 1)]).groups
    assert math.isnan(group.mean("cost"))
    assert group.written(COLUMNS[1]) == "–"


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_values_that_are_not_finite_are_shown_as_unknown_without_a_warning(value):
    comparison = compare([run(value, 0), run(value, 1), run(0.5, swept={"window": "5"})])
    assert [group.written(COLUMNS[0]) for group in comparison.groups] == ["0.500", "–"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.21518, "0.215"),
        (0.0757, "0.0757"),
        (12.345, "12.3"),
        (420123.4, "420,123"),
        (0.0, "0"),
        (999.96, "1,000"),
    ],
)
def test_memory_has_three_digits(value, text):
    column = next(column for column in COLUMNS if column.name == "peak_memory_mb")
    (group,) = compare([run(0.5, peak_memory_mb=value)]).groups
    assert group.written(column) == text


def test_keys_with_one_value_are_no_column_but_are_in_the_csv(tmp_path):
    comparison = compare([run(0.5, swept={"window": w, "epochs": "9"}) for w in "35"])
    assert comparison.keys == ["window"]
    assert [row["epochs"] for row in rows_of(comparison, tmp_path)] == ["9", "9"]


def test_the_csv_has_every_metric_with_all_digits_and_the_unfinished_below(tmp_path):
    rows = rows_of(compare(sweep()), tmp_path)
    assert [(row["window"], row["dim"]) for row in rows[:4]] == [
        ("3", "50"),
        ("3", "10"),
        ("5", "50"),
        ("5", "10"),
    ]
    values = [0.98, 0.981, 0.982]
    assert float(rows[0]["information_explained"]) == pytest.approx(statistics.mean(values), rel=1e-15)
    assert float(rows[0]["information_explained_std"]) == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert (rows[0]["runs"], rows[0]["seeds"], rows[0]["pairs"]) == ("3", "0 1 2", "84.0")
    assert [(row["status"], row["seeds"], row["information_explained"]) for row in rows[4:]] == [
        ("FAILED", "0", ""),
        ("KILLED", "3", ""),
    ]
    assert rows[4]["reason"] == "The cost is nan in epoch 3: training diverged."


def test_a_csv_survives_what_is_in_its_values(tmp_path):
    text = 'a,b "c"\nd|é日\x00'
    rows = rows_of(compare([run(0.5, swept={"text": text}), run(0.4, swept={"text": "x"})]), tmp_path)
    assert table_text(rows[0]["text"]) == text


def test_the_markdown_is_a_table_of_all_columns():
    scores = {"wordsim353": 0.45, "simlex999": 0.2, "analogies": 0.07}
    estimated = {"estimated_memory_mb": 0.3, "estimated_seconds": 2.0}
    comparison = compare(sweep(**scores, **estimated, validation_cost=1.8, objective_cost=2.0))
    html = MarkdownIt("commonmark").enable("table").render(comparison.to_markdown())
    assert html.count("<tr>") == 5
    assert html.count("</th>") == 2 + 1 + len(COLUMNS)
    assert "0.981 ± 0.001" in html
    assert "12 finished runs of 4 configurations, 1 failed, 1 killed" in html
    assert "comparable only between runs with the same pairs" in html
    assert "window=9 dim=10 seed=0: FAILED, The cost is nan in epoch 3: training diverged." in html


def hostile():
    swept = {
        "tokenizer.callable": "<script>alert(1)</script>",
        "corpus.text": "a|b `x` [red]\n*b* $y$ \x1b[31m",
    }
    finished = run(0.5, swept=swept)
    other = run(0.4, swept={"tokenizer.callable": "k.k", "corpus.text": "b"})
    failed = dataclasses.replace(run(0.1, status="FAILED", reason="[/red] <b>|\n# h \x1b[2J"), name="[bold]y")
    return compare([finished, other, failed])


def test_hostile_values_are_only_text_in_markdown():
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(hostile().to_markdown())
    assert "<script>" not in html
    assert "<td>a|b `x` [red]�*b* $y$ �[31m</td>" in html
    assert "<b>" not in html
    assert html.count("<h1>") == 0


def test_hostile_values_are_only_text_on_a_terminal():
    text = printed(hostile(), 120)
    assert "<script>alert(1)</scrip…" in text
    assert "FAILED [bold]y seed=0: [/red] <b>|�# h �[2J" in text
    assert "\x1b" not in text


def test_runs_that_ended_alike_share_a_line():
    ended = [
        run(0.1, swept={"dim": str(dim)}, status="FAILED", reason="training diverged.") for dim in range(5)
    ]
    other = run(0.1, swept={"dim": "5"}, status="KILLED", reason="interrupted")
    text = " ".join(printed(compare([*ended, other]), 200).split())
    assert (
        "FAILED dim=0 seed=0, dim=1 seed=0, dim=2 seed=0 and 2 more: training diverged. KILLED dim=5" in text
    )
    assert text.count("training diverged.") == 1


def test_the_table_fits_80_columns_with_the_most_telling_ones():
    lines = printed(compare(sweep())).splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for heading in ("window", "dim", "runs", "information", "cost", "neighbour", "peak"):
        assert heading in text
    assert "0.981 ± 0.001" in text
    assert "Columns hidden (terminal too narrow): pairs/s, words." in text
    assert "comparable only between" in text


def test_scores_of_evaluation_sets_come_before_memory_and_speed():
    text = printed(
        compare(
            sweep(
                wordsim353=0.45, simlex999=0.2, analogies=0.07, estimated_memory_mb=0.3, estimated_seconds=2.0
            )
        )
    )
    assert "WS-353" in text
    assert "0.450" in text
    assert "peak MB" in text[text.index("Columns hidden") :]


def test_a_wide_terminal_shows_every_column():
    text = printed(compare(sweep()), 160)
    assert "Columns hidden" not in text
    assert "1,234,568" in text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_the_table_shows_what_was_swept_and_explained_in_any_width(width):
    text = printed(compare(sweep()), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert text.index("50") < text.index("10")


def test_the_best_row_is_printed_first_and_failed_runs_last():
    lines = printed(compare(sweep())).splitlines()
    first = next(i for i, line in enumerate(lines) if "0.981 ± 0.001" in line)
    last = next(i for i, line in enumerate(lines) if "0.721 ± 0.001" in line)
    failed = next(
        i for i, line in enumerate(lines) if line.startswith("FAILED window=9 dim=10 seed=0: The cost")
    )
    assert first < last < failed
    assert any(line.startswith("KILLED window=3 dim=50 seed=3: stopped by Ctrl-C") for line in lines)


def test_runs_without_seeds_to_average_have_no_column_and_no_word_on_them():
    text = printed(compare([run(0.5, cost=1.0), run(0.4, cost=1.1, swept={"window": "5"})]))
    assert "runs" not in text.splitlines()[2]
    assert "±" not in text


def test_a_sweep_in_which_nothing_finished_says_so(tmp_path):
    comparison = compare([run(math.nan, status="FAILED", reason="no memory")])
    assert printed(comparison).splitlines() == [
        "No run finished, 1 failed",
        "FAILED window=3 seed=0: no memory",
    ]
    assert comparison.to_markdown().startswith("**No run finished, 1 failed**\n")
    assert len(rows_of(comparison, tmp_path)) == 1


def test_no_runs_at_all_are_no_error(tmp_path):
    comparison = compare([])
    assert printed(comparison) == "No run finished\n"
    assert rows_of(comparison, tmp_path) == []


def test_repeats_alone_are_one_row():
    comparison = compare([run(0.5, seed, swept={}) for seed in range(3)])
    assert comparison.keys == []
    assert "3 finished runs of 1 configuration" in printed(comparison)


@pytest.mark.usefixtures("starts_processes")
def test_comparing_loads_neither_matplotlib_nor_mlflow():
    program = (
        "import sys, w2v_exp.reporting.comparison; print({'matplotlib', 'mlflow', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def scored(k, known, score=0.5, metric="wordsim353", total=353, **metrics):
    scores = {metric: score, f"{metric}_known": known, f"{metric}_coverage": known / total, **metrics}
    return RunResult(f"k={k}", {"k": k}, 0, "FINISHED", metrics=scores)


@pytest.mark.parametrize("metric", [quality.name for quality in QUALITIES if quality.items])
@given(known=st.lists(st.integers(1, 60), min_size=2, max_size=4))
def test_a_score_of_fewer_than_30_known_pairs_ranks_nothing_and_says_so(metric, known):
    runs = [scored(str(i), known[i], score=0.5 - i / 10, metric=metric) for i in range(len(known))]
    comparison = compare(runs)
    ranked = [str(i) for i in range(len(known)) if known[i] >= 30]
    assert [group.swept["k"] for group in comparison.groups][: len(ranked)] == ranked
    effect = key_effect(comparison, "k", Ranking(metric, 1))
    assert {value.value for value in effect.values} == (set(ranked) if len(ranked) > 1 else set())
    said = findings(comparison, [effect])
    assert bool(said) == bool(ranked)
    if said:
        assert said[0].about == f"Best: k={ranked[0]}"
        assert f"({known[int(ranked[0])]}/353)" in said[0].sentence
    assert {g.swept["k"] for g in pareto_front(comparison.groups, Ranking(metric, 1), metric)} <= set(ranked)
    what = "questions" if metric == "analogies" else "pairs"
    below = [number for number in known if number < 30]
    for text in (comparison.note, " ".join(printed(comparison, 400).split())):
        explained = f"{max(below)} of 353 {what} are known, fewer than 30." if below else "fewer than 30"
        assert (explained in text) == bool(below)
        assert ("ranks no configuration" in text) == (not ranked)


def test_coverage_stands_in_the_heading_where_it_is_the_same_and_else_in_the_cells():
    same = compare([scored("1", 203), scored("2", 203)])
    assert "WS-353 (203/353)" in same.to_markdown()
    assert "(203/353) |" in same.to_markdown()
    assert "0.500 (" not in same.to_markdown()
    other = compare([scored("1", 203), scored("2", 3)])
    assert "| 0.500 (203/353) |" in other.to_markdown()
    assert "| 0.500 (3/353) |" in other.to_markdown()
    assert "Ranked by WS-353, highest first. WS-353 does not rank k=2: 3 of 353 pairs" in other.note


def test_a_score_that_is_not_there_since_no_pair_is_known_is_explained_as_well():
    nothing = [scored(k, 0) for k in "12"]
    for result in nothing:
        del result.metrics["wordsim353"]
    assert "WS-353 ranks no configuration: no pairs are known, fewer than 30." in compare(nothing).note


def test_what_a_search_is_for_ranks_nothing_either_where_too_few_is_known():
    runs = [scored(str(i), 29, metric="word_pairs_own", information_explained=i / 10) for i in range(3)]
    comparison = compare(runs, Ranking("word_pairs_own", 1))
    assert comparison.ranking == Ranking("information_explained", 1)
    assert (
        "word pairs own ranks no configuration: 29 of 353 pairs are known, fewer than 30." in comparison.note
    )


KEYS = [
    "objective.embedding_gradient",
    "learning_rate",
    "initialization.scale",
    "vocabulary.min_count",
    "window",
]


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("keys", range(1, 6))
@pytest.mark.parametrize("metric", ["validation_cost", "objective_cost", "analogies_semantic", "simlex999"])
def test_swept_values_and_the_ranked_column_are_the_last_to_go(width, keys, metric):
    runs = [
        run(
            0.1 * i,
            swept={key: f"{i}.{place}" for place, key in enumerate(KEYS[:keys])},
            **{**{column.name: 1234.5678 for column in COLUMNS[1:]}, metric: 7.25 + i},
        )
        for i in range(3)
    ]
    text = printed(compare(runs, Ranking(metric, -1)), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    for i in range(3):
        (row,) = [line.split() for line in lines if line.split()[:1] == [f"{i}.0"]]
        assert row[:keys] == [f"{i}.{place}" for place in range(keys)]
        assert any(cell.startswith(f"{7.25 + i:.2f}") for cell in row[keys:])
