"""The benchmark runs, and its baseline is the article's recipe. Nothing here looks at the time it takes."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from benchmarks import baseline, machine, steps, workloads  # noqa: E402
from benchmarks.report import Report  # noqa: E402
from benchmarks.sizes import TINY  # noqa: E402
from benchmarks.timing import Comparison, alternate  # noqa: E402
from benchmarks.training import Training, require_equal  # noqa: E402

from w2v_exp.examples.pairs import window_pairs  # noqa: E402
from w2v_exp.model.softmax import Softmax  # noqa: E402
from w2v_exp.text.corpus import ArticleCorpus  # noqa: E402
from w2v_exp.text.encoding import encode_text  # noqa: E402
from w2v_exp.text.tokenizers import ArticleTokenizer  # noqa: E402
from w2v_exp.text.vocabulary import VocabularyRule  # noqa: E402

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
    trainer = training.trainer(steps.AS_PUBLISHED, labels=labels)
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
    assert Report(command_seconds=[0.9]).kept
    assert not Report(command_seconds=[1.1]).kept


# ---------------------------------------------------------------- all of it, tiny


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("part", [workloads.article_training, steps.steps_at_a_real_vocabulary])
def test_training_is_compared(part, threads):
    comparisons = part(TINY, threads)
    assert len(comparisons) >= 3
    for one in comparisons:
        assert len(one.baseline_seconds) == len(one.our_seconds) == TINY.repeats
        assert min(one.our_seconds) > 0
        assert (one.at_least is None) == (threads == 2 or "dense" in one.variant)
        assert (one.difference is None) == ("no update lost" in one.variant)


def test_pair_generation_is_compared():
    from_ids, from_words = workloads.pair_generation(TINY)
    assert from_ids.amount == from_words.amount == 2 * (5 * 500 - 15)
    assert from_ids.difference == 0
    assert from_ids.our_seconds != from_words.our_seconds


def test_a_whole_command_is_measured():
    (seconds,) = workloads.command_seconds(repeats=1)
    assert seconds > 0.05  # a Python with NumPy takes longer than that to start


@pytest.mark.slow
def test_the_machine_is_measured():
    for one in machine.anatomy(TINY, threads=1):
        assert min(one.gemm_rate, one.exponential_rate, one.copy_rate, one.product_rate) > 0
        assert one.step_seconds > 0
        assert one.product_operations == pytest.approx(6 * one.distinct_centres * 300 * 50)


def test_the_script_prints_tables_and_writes_every_repeat(tmp_path):
    written = tmp_path / "speed.json"
    command = [sys.executable, str(SCRIPTS / "benchmark.py"), "--tiny", "--threads", "1", "--repeats", "3"]
    only = ["--only", "article", "pairs", "machine", "--json", str(written)]
    process = subprocess.run([*command, *only], cwd=tmp_path, capture_output=True, text=True, check=True)
    for expected in ("The article's training, 1 thread", "Pairs of real text", "GFLOP/s", "NumPy"):
        assert expected in process.stdout
    report = json.loads(written.read_text())
    assert {one["workload"] for one in report["comparisons"]} == {
        "the article's training",
        "pairs of real text",
    }
    assert all(len(one["our_seconds"]) == 3 and one["ratio"] > 0 for one in report["comparisons"])
    assert len(report["anatomies"]) == 2
    assert report["machine"]["numpy"] == np.__version__
