"""The benchmark runs, and its baseline is the article's recipe. Nothing here looks at the time it takes."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import benchmark  # noqa: E402
from benchmarks import baseline, commands, recipe  # noqa: E402
from benchmarks.measure import Bar, alternate, bar_table, speed_ratio  # noqa: E402
from benchmarks.recipe import ARTICLE_VARIANTS, Training, Variant, require_equal  # noqa: E402

from w2v_exp.examples.pairs import window_pairs  # noqa: E402
from w2v_exp.model.softmax import Softmax  # noqa: E402
from w2v_exp.text.corpus import ArticleCorpus  # noqa: E402
from w2v_exp.text.encoding import encode_text  # noqa: E402
from w2v_exp.text.tokenizers import ArticleTokenizer  # noqa: E402
from w2v_exp.text.vocabulary import VocabularyRule  # noqa: E402

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


@pytest.mark.parametrize("variant", ARTICLE_VARIANTS[:2], ids=lambda variant: variant.labels)
@pytest.mark.parametrize("batch_size", [128, 20])
def test_the_baseline_and_the_trainer_are_the_same_training(variant, batch_size):
    training = article_training(epochs=300, batch_size=batch_size)
    expected = training.parameters()
    costs = training.baseline(expected)()
    trainer = training.trainer(variant)
    records = trainer.train()
    assert costs == pytest.approx([record.article_cost for record in records], abs=1e-11)
    np.testing.assert_allclose(trainer.parameters.embedding, expected.embedding, rtol=0, atol=1e-9)
    np.testing.assert_allclose(trainer.parameters.output, expected.output, rtol=0, atol=1e-9)
    assert np.abs(expected.embedding - training.parameters().embedding).max() > 0.1
    assert np.abs(expected.output - training.parameters().output).max() > 0.01


def test_different_results_are_an_error():
    with pytest.raises(
        ArithmeticError, match=r"parameters of the baseline and ours differ by .*1e-09 is allowed"
    ):
        article_training().difference(Variant("all updates", Softmax(epsilon=0.001), tolerance=1e-9))
    with pytest.raises(ArithmeticError):
        require_equal("results", math.nan, 1e-9)


# ---------------------------------------------------------------- how it measures


def test_work_alternates_and_its_preparation_is_not_timed():
    done = []

    def kind(name):
        def prepare():
            done.append(f"prepare {name}")
            return lambda: done.append(name)

        return prepare

    seconds = alternate([kind("baseline"), kind("ours")], repeats=2, threads=1)
    assert done == ["prepare baseline", "baseline", "prepare ours", "ours"] * 3  # the first is not counted
    assert [len(taken) for taken in seconds] == [2, 2]


def test_a_ratio_is_the_median_of_neighbours():
    one = speed_ratio("w", [4.0, 8.0, 4.0], [2.0, 2.0, 4.0], 10, "steps", difference=1e-10)
    assert one.value == 2
    assert one.note == "2 → 5 steps/s, results differ by 1e-10"
    assert speed_ratio("w", [2.0], [1.0], 10, "steps", promised=2).kept
    assert not speed_ratio("w", [2.0], [1.0], 10, "steps", promised=2.1).kept


def test_a_bar_is_kept_from_its_side():
    assert Bar("memory", 1.5, "GB", promised=1.5).kept
    assert not Bar("memory", 1.6, "GB", promised=1.5).kept
    assert Bar("share", 50, "%", promised=50, at_most=False).kept
    assert not Bar("share", 49, "%", promised=50, at_most=False).kept
    assert Bar("seconds", 1e9, "s").kept


def test_a_table_shows_names_as_they_are_and_missed_promises():
    console = Console(width=140)
    with console.capture() as printed:
        console.print(bar_table([Bar("of [b]x", 2, "GB", promised=1), Bar("y", 3, "s", goal=4)]))
    shown = printed.get()
    for expected in ("of [b]x", "≤ 1 missed", "≤ 4"):
        assert expected in shown


# ---------------------------------------------------------------- all of it, tiny


@pytest.mark.second_tier
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=SLOW)])
def test_training_is_compared(threads):
    bars = recipe.article_training(threads, **benchmark.TINY["article"])
    assert len(bars) == 3
    for bar in bars:
        assert bar.value > 0
        assert (bar.promised is None) == (threads == 2 or "dense" in bar.what)
        assert ("differ by" in bar.note) == ("as published" in bar.what)


@pytest.mark.second_tier
def test_steps_of_real_text_are_compared():
    bars = recipe.real_steps(1, **benchmark.TINY["steps"])
    assert [bar.promised for bar in bars] == [8, 15, 8, 15]
    assert all(bar.value > 0 for bar in bars)


@pytest.mark.second_tier
def test_an_exact_epoch_is_compared_with_the_recipe_and_the_machine():
    ratio, share = recipe.exact_epoch(1, **benchmark.TINY["epoch"])
    assert (ratio.promised, ratio.goal) == (4000, 8000)
    assert (share.promised, share.goal, share.at_most) == (50, 70, False)
    assert min(ratio.value, share.value) > 0


@pytest.mark.second_tier
def test_pair_generation_is_compared():
    from_ids, from_words = recipe.pair_generation(**benchmark.TINY["pairs"])
    assert (from_ids.promised, from_words.promised) == (40, None)
    assert all("differ by 0e+00" in bar.note for bar in (from_ids, from_words))


@SLOW
def test_the_start_of_a_run_is_measured():
    seconds, ratio = commands.start_of_a_run(repeats=1)
    assert seconds.value > 0.05  # a Python with NumPy takes longer than that to start
    assert ratio.value > 1  # a run imports what it is compared with


@SLOW
def test_sweeps_are_measured_against_a_script_by_hand():
    bars = commands.sweeps(epochs=20, runs=2, repeats=1)
    assert [bar.unit for bar in bars] == ["×", "×", "s", "×", "%"]
    assert all(bar.promised for bar in bars)


def test_the_script_by_hand_trains_on_the_sentence_of_the_article():
    assert f'TEXT = "{ArticleCorpus.sentence}"' in Path(commands.BY_HAND[1]).read_text()


@pytest.mark.second_tier
def test_the_script_prints_a_table_and_writes_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--tiny", "--threads", "1", "--only", "article", "pairs", "--json", "speed.json"]
    assert benchmark.main(given) == 0
    printed = capsys.readouterr().out
    for expected in ("the article's training: as published", "pairs of real text", "NumPy"):
        assert expected in printed
    report = json.loads(Path("speed.json").read_text())
    assert len(report["bars"]) == 5
    assert report["bars"][0]["kept"] in (True, False)
    assert report["machine"]["numpy"] == np.__version__
