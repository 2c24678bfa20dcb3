"""The comparison with gensim, on a text that takes no time. Nothing here looks at who is faster or better."""

import json
import math
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import exact_softmax  # noqa: E402
from claim import contenders, report  # noqa: E402
from claim.comparison import BASELINE, GENSIM, GENSIM_FULL, OURS, OURS_DRAWN, plan_of  # noqa: E402
from claim.cores import limited_to_cores  # noqa: E402
from claim.results import Figure, Point, Results, Score, Training  # noqa: E402
from claim.stopwatch import Stopwatch  # noqa: E402
from claim.verdict import TIME, bars  # noqa: E402
from claim.witness import Examiner, Witness, first_words, moments  # noqa: E402

from w2v_exp.embeddings.analogies import AnalogySection, AnalogySet  # noqa: E402
from w2v_exp.embeddings.embeddings import Embeddings  # noqa: E402
from w2v_exp.embeddings.evaluation import StandardEvaluation  # noqa: E402
from w2v_exp.embeddings.word_pairs import WordPairSet  # noqa: E402
from w2v_exp.errors import UserError  # noqa: E402
from w2v_exp.text.corpus import TextCorpus  # noqa: E402
from w2v_exp.text.encoding import encode_text  # noqa: E402
from w2v_exp.text.tokenizers import WhitespaceTokenizer  # noqa: E402
from w2v_exp.text.vocabulary import VocabularyRule  # noqa: E402

WORDS = [f"w{number}" for number in range(30)]


def zipf_text(tokens=3_000):
    """Return words whose neighbours are near to them in number."""
    generator = np.random.default_rng(5)
    steps = np.cumsum(generator.integers(-2, 3, tokens))
    return " ".join(WORDS[min(abs(step) % 40, 29)] for step in steps)


def encoded(rule=None):
    return encode_text(TextCorpus(zipf_text()), WhitespaceTokenizer(), rule or VocabularyRule())


@cache
def tiny_plan():
    """Return the experiment's plan, small; its text is not looked at."""
    fixed = ["corpus=text", "corpus.text=a", "dim=6", "threads=1", "vocabulary.min_count=1"]
    return plan_of(["experiment=sotu_softmax", "evaluation=none", *fixed])[0]


def sets():
    return {
        "wordsim353": WordPairSet([("w0", "w1"), ("w0", "w9"), ("w2", "w3"), ("w4", "w29")], np.arange(4.0)),
        "analogies": AnalogySet(
            [AnalogySection("gram1", [("w0", "w1", "w2", "w3"), ("w0", "w1", "w28", "w29")])]
        ),
    }


def examiner(shared):
    return Examiner(StandardEvaluation(), sets(), shared)


# ---------------------------------------------------------------- the clock


def test_a_clock_that_stands_does_not_go_on():
    clock = Stopwatch()
    time.sleep(0.02)
    assert clock.seconds == 0
    clock.start()
    with clock.standing():
        before = clock.seconds
        time.sleep(0.02)
        assert clock.seconds == before
    time.sleep(0.02)
    clock.stop()
    assert before + 0.02 <= clock.seconds == clock.seconds


def test_evaluation_is_not_in_the_time():
    class Slow:
        def scores(self, embeddings):
            time.sleep(0.1)
            return []

    text = encoded()
    for contender in (
        contenders.Planned("ours", tiny_plan(), text, [2]),
        contenders.Gensim("theirs", tiny_plan(), text, [2]),
    ):
        witness = Witness(Slow(), [1, 2])
        started = time.perf_counter()
        contender.train(2, 0, witness)
        taken = time.perf_counter() - started
        assert [point.epoch for point in witness.points] == [1, 2]
        assert 0 < witness.points[0].seconds < witness.points[1].seconds <= witness.clock.seconds
        assert witness.clock.seconds <= taken - 0.2
        assert witness.counting_seconds < witness.points[0].seconds


def test_counting_is_in_our_time_and_building_a_vocabulary_is_not_in_gensims(monkeypatch):
    from gensim.models import Word2Vec

    ours, theirs = Witness(examiner([]), []), Witness(examiner([]), [])
    clocks = {}

    def watch(owner, name, witness):
        call = getattr(owner, name)

        def watched(*arguments, **named):
            returned = call(*arguments, **named)
            clocks[name] = witness.clock.seconds
            return returned

        monkeypatch.setattr(owner, name, watched)

    watch(contenders, "build_examples", ours)
    watch(Word2Vec, "build_vocab", theirs)
    contenders.Planned("ours", tiny_plan(), encoded(), [1]).train(1, 0, ours)
    contenders.Gensim("theirs", tiny_plan(), encoded(), [1]).train(1, 0, theirs)
    assert 0 < clocks["build_examples"] < ours.counting_seconds < ours.clock.seconds
    assert clocks["build_vocab"] == 0 < theirs.clock.seconds


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be kept to cores here")
def test_a_contender_has_only_the_cores_it_is_given():
    before = os.sched_getaffinity(0)
    with limited_to_cores(1):
        assert len(os.sched_getaffinity(0)) == 1
        with ThreadPoolExecutor(1) as pool:  # those that are started by a contender, too
            assert len(pool.submit(os.sched_getaffinity, 0).result()) == 1
    assert os.sched_getaffinity(0) == before


# ---------------------------------------------------------------- the same text and words for both


def test_gensim_is_given_the_words_of_the_vocabulary_in_their_order(monkeypatch):
    monkeypatch.setattr(contenders, "LINE_WORDS", 7)
    text = encoded(VocabularyRule(max_size=10))
    kept = [word for word in zipf_text().split() if word in text.vocabulary.ids]
    lines = contenders.lines_of(text)
    assert [word for line in lines for word in line] == kept
    assert {len(line) for line in lines[:-1]} == {7}
    assert 0 < len(kept) < 3_000


def test_gensims_windows_end_where_a_segment_does(monkeypatch):
    monkeypatch.setattr(contenders, "LINE_WORDS", 3)
    text = encode_text(TextCorpus("a b c d e f g h i"), WhitespaceTokenizer(), VocabularyRule())
    cut = replace(text, segments=np.array([0, 4, 6, 9]))
    expected = ["a b c", "d", "e f", "g h i"]
    assert contenders.lines_of(cut) == [line.split() for line in expected]


def test_a_line_is_what_gensim_trains_at_once():
    from gensim.models.word2vec import MAX_WORDS_IN_BATCH

    assert contenders.LINE_WORDS == MAX_WORDS_IN_BATCH  # it would leave out what is beyond


def trained_by_gensim(text, **settings):
    from gensim.models import Word2Vec

    return Word2Vec(contenders.lines_of(text), vector_size=5, min_count=1, sg=1, workers=1, **settings)


def test_gensims_vectors_are_put_in_the_order_of_our_words():
    text = encoded()
    model = trained_by_gensim(text)
    embeddings = contenders.embeddings_of(model, text)
    assert embeddings.words == text.vocabulary.words
    for number, word in enumerate(embeddings.words):
        np.testing.assert_array_equal(embeddings.input[number], model.wv[word])
        np.testing.assert_array_equal(embeddings.output[number], model.syn1neg[model.wv.key_to_index[word]])
    theirs = [word for word, _ in model.wv.most_similar("w3", topn=5)]
    assert [word for word, _ in embeddings.most_similar("w3", topn=5)] == theirs


def test_gensim_with_other_words_or_counts_is_an_error():
    text = encoded()
    contenders.require_same_words(trained_by_gensim(text), text)
    with pytest.raises(ArithmeticError):
        contenders.require_same_words(trained_by_gensim(text, max_final_vocab=20), text)


def test_gensim_gets_our_window_size_and_cores():
    plan = replace(tiny_plan(), window=3, vocabulary=VocabularyRule(min_count=2), threads=4)
    settings = contenders.Gensim("theirs", plan, encoded(), [1]).settings
    expected = {"window": 3, "vector_size": 6, "min_count": 2, "workers": 4, "sample": 1e-4}
    assert settings == expected | {"negative": 5, "sg": 1}


# ---------------------------------------------------------------- looking at what is trained


def test_the_same_vectors_score_as_embeddings_do():
    generator = np.random.default_rng(0)
    embeddings = Embeddings(WORDS, None, *generator.standard_normal((2, 30, 8)))
    scores = {(score.set, score.vectors): score for score in examiner(WORDS).scores(embeddings)}
    for vectors in ("input", "sum"):
        chosen, read = embeddings.using(vectors), sets()
        pairs = chosen.evaluate_word_pairs(read["wordsim353"])
        analogies = chosen.evaluate_word_analogies(read["analogies"])
        score = scores["wordsim353", vectors]
        assert (score.value, score.known, score.total) == (pairs.spearman, 4, 4)
        assert scores["analogies", vectors].value == analogies.all.accuracy
        assert scores["analogies_syntactic", vectors].known == 2
        assert scores["analogies_semantic", vectors].value is None


def test_more_words_than_the_others_have_are_scored_with_and_without():
    generator = np.random.default_rng(0)
    embeddings = Embeddings(WORDS, None, *generator.standard_normal((2, 30, 8)))
    scores = {(one.set, one.vectors, one.words): one for one in examiner(WORDS[:10]).scores(embeddings)}
    assert scores["wordsim353", "sum", "own"].known == 4
    assert scores["wordsim353", "sum", "shared"].known == 3
    cut = first_words(embeddings, 10).using("sum").evaluate_word_pairs(sets()["wordsim353"])
    assert scores["wordsim353", "sum", "shared"].value == cut.spearman


@pytest.mark.parametrize(
    ("epochs", "expected"), [(1, [1]), (2, [1, 2]), (12, [1, 2, 5, 10, 12]), (100, None)]
)
def test_moments_end_with_the_last_epoch(epochs, expected):
    assert moments(epochs) == (expected or [1, 2, 5, 10, 20, 50, 100])


# ---------------------------------------------------------------- the verdict


def training(contender, epochs, seed, seconds, score):
    scores = [Score("wordsim353", vectors, "own", score, 3, 4) for vectors in ("input", "sum")]
    return Training(contender, epochs, seed, 0.5, [Point(epochs, seconds, scores)])


def results(ours, theirs, our_seconds=10.0, their_seconds=12.0):
    trainings = [training(OURS, 5, seed, our_seconds, score) for seed, score in enumerate(ours)]
    trainings += [training(GENSIM, 2, seed, their_seconds, score) for seed, score in enumerate(theirs)]
    conditions = {
        "text": {"vocabulary": {OURS: 30, GENSIM: 30}},
        "sets": {"wordsim353": "word pairs"},
        GENSIM: {"workers": 1},
        BASELINE: {},
    }
    return Results(conditions, {}, trainings)


def test_a_bar_is_for_the_mean_over_the_seeds():
    quality, in_time = bars(results([0.4, 0.5], [0.3, 0.4]), {"wordsim353": 0.45}, "sum")
    assert quality.kept
    assert quality.obtained == Figure(pytest.approx(0.45), pytest.approx(math.sqrt(0.005)))
    assert quality.gensim["input"].mean == pytest.approx(0.35)
    assert (in_time.what, in_time.bound, in_time.kept) == (TIME, 12, True)
    (missed, _) = bars(results([0.4, 0.499], [0.3]), {"wordsim353": 0.45}, "sum")
    assert not missed.kept


def test_more_time_than_gensims_is_a_bar_missed():
    one = results([0.5], [0.3], our_seconds=12.1)
    quality, in_time = bars(one, {"wordsim353": 0.45}, "sum")
    assert quality.kept
    assert not in_time.kept
    headline = report.headline(one, [quality, in_time], "sum")
    assert "1 of 2 bars missed: time 12.1 s (at most gensim's 12.0 s)" in headline


def test_the_longest_schedule_counts_not_the_best():
    one = results([0.3], [0.3])
    one.trainings.append(training(OURS, 4, 0, 5.0, 0.9))
    assert not bars(one, {"wordsim353": 0.45}, "sum")[0].kept


def test_what_is_not_known_keeps_no_bar():
    assert not bars(results([0.5, None], [0.3]), {"wordsim353": 0.45}, "sum")[0].kept


def test_no_bar_where_nothing_is_promised():
    assert bars(results([0.5], [0.3]), {}, "sum") == []


# ---------------------------------------------------------------- results that are gone on with


def test_results_are_read_as_they_were_written(tmp_path):
    one = results([0.5, None], [0.3])
    one.write(tmp_path)
    assert Results.read(tmp_path, one.conditions, {}) == one


def test_results_of_other_conditions_are_refused(tmp_path):
    one = results([0.5], [0.3])
    one.write(tmp_path)
    with pytest.raises(UserError, match=r"other conditions \(sets\); begin without --resume"):
        Results.read(tmp_path, one.conditions | {"sets": {}}, {})


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"conditions": {}}', '{"conditions": {}, "trainings": [{}]}']
)
def test_a_file_that_is_none_of_results_is_told(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(UserError, match="cannot be gone on with"):
        Results.read(tmp_path, {}, {})


# ---------------------------------------------------------------- all of it, tiny


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run the script in an empty folder, on a text and sets of its own."""
    monkeypatch.chdir(tmp_path)
    Path("text, and more's.txt").write_text(zipf_text())  # a name that Hydra would read something into
    Path("pairs.tsv").write_text("".join(f"w0\tw{number}\t{30 - number}\n" for number in range(1, 30)))
    Path("questions.txt").write_text(": gram1\nw0 w1 w2 w3\nw3 w4 w4 w5\n")

    def run(*arguments):
        given = ["--text", "text, and more's.txt", "--threads", "1", "--seeds", "2", "--output", "out"]
        schedules = ["--epochs", "1,2", "--gensim-epochs", "1,3"]
        chosen = ["evaluation.word_pairs=[pairs.tsv]", "evaluation.analogies=[questions.txt]", "cache=none"]
        own = ["tokenizer=whitespace", "vocabulary.min_count=1", "dim=6"]
        return exact_softmax.main([*given, *schedules, *chosen, *own, *arguments])

    return run


def test_everything_is_trained_scored_and_written(command, capsys):
    assert command("--max-size", "20") == 0
    printed = capsys.readouterr().out
    written = json.loads(Path("out/results.json").read_text())
    done = [(one["seed"], one["contender"], one["epochs"]) for one in written["trainings"]]
    of_a_seed = [(OURS, 1), (OURS, 2), (GENSIM, 1), (GENSIM, 3), (GENSIM_FULL, 1), (GENSIM_FULL, 3)]
    of_a_seed.append((BASELINE, 0))
    assert done == [(seed, *one) for seed in range(2) for one in of_a_seed]
    assert [point["epoch"] for point in written["trainings"][3]["points"]] == [1, 2, 3]
    assert [point["epoch"] for point in written["trainings"][2]["points"]] == [1]
    vocabulary = written["conditions"]["text"]["vocabulary"]
    assert vocabulary == {OURS: 20, GENSIM: 20, GENSIM_FULL: 30}
    markdown = Path("out/report.md").read_text()
    assert "$" not in markdown
    for expected in ("gensim, 20 words", "gensim, all 30 words, same pairs", "29 of 29", "19 of 29"):
        assert expected in markdown
        assert expected in printed
    with Image.open("out/curves.png") as picture:
        assert picture.width == 1600


def test_what_is_done_is_kept_when_it_is_interrupted_and_not_done_again(command, monkeypatch, capsys):
    trained = []
    train = contenders.Gensim.train

    def interrupted(self, epochs, seed, witness):
        trained.append((epochs, seed))
        if len(trained) == 2:
            raise KeyboardInterrupt
        train(self, epochs, seed, witness)

    monkeypatch.setattr(contenders.Gensim, "train", interrupted)
    assert command() == 130
    assert "--resume goes on" in capsys.readouterr().err
    before = json.loads(Path("out/results.json").read_text())["trainings"]
    assert [one["contender"] for one in before] == [OURS, OURS, GENSIM]
    assert command("--resume") == 0
    after = json.loads(Path("out/results.json").read_text())["trainings"]
    assert after[:3] == before
    assert len(after) == 10
    assert trained == [(1, 0), (3, 0), (3, 0), (1, 1), (3, 1)]


def test_the_exit_code_tells_of_a_bar_that_is_missed(command, capsys):
    assert command("--seeds", "1", "--bars", "word_pairs_pairs=1.0") == 1
    assert "missed: word pairs pairs" in " ".join(capsys.readouterr().out.split())
    assert "| missed |" in Path("out/report.md").read_text()
    written = json.loads(Path("out/results.json").read_text())
    assert {one["contender"] for one in written["trainings"]} == {
        OURS,
        GENSIM,
        BASELINE,
    }  # as no word was cut off


def test_who_starts_from_the_baseline_is_trained_from_a_drawn_start_too(command):
    assert command("--seeds", "1", "--experiment", "sotu_ppmi_svd") == 0
    written = json.loads(Path("out/results.json").read_text())
    contenders = {one["contender"]: one["points"][-1] for one in written["trainings"]}
    assert set(contenders) == {OURS, OURS_DRAWN, GENSIM, BASELINE}
    assert contenders[BASELINE]["epoch"] == 0
    assert contenders[BASELINE]["seconds"] > 0
    assert contenders[OURS]["scores"] != contenders[OURS_DRAWN]["scores"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--bars", "simlex999=0.2"],
            "--bars simlex999: no such evaluation set; there are word_pairs_pairs, analogies",
        ),
        (["--experiment", "sotu"], "labels=counts"),
        (["validation=held_out"], "leave out validation"),
        (["dim=1,2"], "several values make a sweep"),
        (["dimm=1"], "did you mean dim"),
        (["--text", "nowhere.txt"], "corpus.path=nowhere.txt"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(command, capsys, arguments, said):
    assert command(*arguments) == 2
    assert said in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("bad", [["--bars", "x"], ["--bars", "x=2"], ["--epochs", "1,,2"], ["--seeds", "0"]])
def test_a_value_that_is_none_is_refused(command, bad):
    with pytest.raises(SystemExit, match="2"):
        command(*bad)


def test_the_promise_is_for_the_experiment_as_it_is():
    assert exact_softmax.parse([]).bars == exact_softmax.SOTU_BARS
    assert exact_softmax.parse(["dim=50"]).bars == {}
    assert exact_softmax.parse(["--text", "x"]).bars == {}
    assert exact_softmax.parse(["--text", "x", "--bars", "analogies=0.4"]).bars == {"analogies": 0.4}
