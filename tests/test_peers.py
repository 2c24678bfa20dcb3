"""The comparison with gensim and fastText, on a small text. Neither speed nor quality is asserted."""

import json
import lzma
import math
import mmap
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import compare_peers  # noqa: E402
from peers import contenders, matches, training  # noqa: E402
from peers.contenders import FAST_TEXT, GENSIM, OURS, Clock, Point, Score, limited_to_cores, score_embeddings  # noqa: E402
from peers.matches import EXACT, SAMPLED, Match, moments, plain_text, sampled_match  # noqa: E402
from peers.training import FILE, Order, Results, Trained, plan_of, resident_memory, train  # noqa: E402
from peers.verdict import Figure, bars  # noqa: E402

from w2v_exp.embeddings import Embeddings  # noqa: E402
from w2v_exp.embeddings.analogies import AnalogySection, AnalogySet  # noqa: E402
from w2v_exp.embeddings.evaluation import StandardEvaluation  # noqa: E402
from w2v_exp.embeddings.word_pairs import WordPairSet  # noqa: E402
from w2v_exp.errors import UserError  # noqa: E402
from w2v_exp.text.corpus import TextCorpus  # noqa: E402
from w2v_exp.text.encoding import encode_text  # noqa: E402
from w2v_exp.text.tokenizers import WhitespaceTokenizer  # noqa: E402
from w2v_exp.text.vocabulary import VocabularyRule  # noqa: E402

LINUX = pytest.mark.skipif(not resident_memory(), reason="memory is read from /proc")
WORDS = [f"w{number}" for number in range(30)]
TEXT = "text, and more's.txt"  # a name that Hydra would read something into


@cache
def words():
    """Return words whose neighbours are near to them in number."""
    steps = np.cumsum(np.random.default_rng(5).integers(-2, 3, 3_000))
    return [WORDS[min(abs(step) % 40, 29)] for step in steps]


def encoded(rule=None):
    return encode_text(TextCorpus(" ".join(words())), WhitespaceTokenizer(), rule or VocabularyRule())


@cache
def tiny_plan():
    """Return the experiment's plan, small; its text is not looked at."""
    fixed = ["evaluation=none", "corpus=file", "dim=6", "threads=1", "vocabulary.min_count=1"]
    return plan_of(["experiment=sotu_softmax", *fixed], str(SCRIPTS.parent / "README.md"), "absent")


def sets():
    return {
        "wordsim353": WordPairSet([("w0", "w1"), ("w0", "w9"), ("w2", "w3"), ("w4", "w29")], np.arange(4.0)),
        "analogies": AnalogySet(
            [AnalogySection("gram1", [("w0", "w1", "w2", "w3"), ("w0", "w1", "w28", "w29")])]
        ),
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Be in a folder with a text and evaluation sets."""
    monkeypatch.chdir(tmp_path)
    Path(TEXT).write_text(" ".join(words()))
    Path("pairs.tsv").write_text("".join(f"w0\tw{number}\t{30 - number}\n" for number in range(1, 30)))
    Path("questions.txt").write_text(": gram1\nw0 w1 w2 w3\nw3 w4 w4 w5\n")
    return tmp_path


OWN_SETS = ["evaluation.word_pairs=[pairs.tsv]", "evaluation.analogies=[questions.txt]"]
SMALL = ["tokenizer=whitespace", "vocabulary.min_count=1", "dim=6"]


# ---------------------------------------------------------------- the clock


def test_evaluation_is_not_in_the_time():
    def slow(embeddings):
        time.sleep(0.1)
        return []

    text = encoded()
    settings = contenders.gensim_settings(tiny_plan(), 1, {})
    plan = replace(tiny_plan(), epochs=2)
    for run, epochs in (
        (lambda clock: contenders.train_ours(plan, text, clock), [1, 2]),
        (lambda clock: contenders.train_gensim(settings, text, contenders.lines_of(text), 2, 0, clock), [2]),
    ):
        clock = Clock(slow, epochs)
        started = time.perf_counter()
        run(clock)
        taken = time.perf_counter() - started
        assert [point.epoch for point in clock.points] == epochs
        assert 0 < clock.points[0].seconds <= clock.points[-1].seconds <= clock.seconds
        assert clock.seconds <= taken - 0.1 * len(epochs)


def test_counting_is_in_our_time_and_building_a_vocabulary_is_not_in_gensims(monkeypatch):
    from gensim.models import Word2Vec

    started = []

    class Recording(Clock):
        def start(self):
            started.append("clock")
            super().start()

    def record(owner, name):
        call = getattr(owner, name)

        def recorded(*arguments, **named):
            started.append(name)
            return call(*arguments, **named)

        monkeypatch.setattr(owner, name, recorded)

    record(contenders, "build_examples")
    record(Word2Vec, "build_vocab")
    text, clock = encoded(), Recording(lambda _: [], [])
    contenders.train_ours(replace(tiny_plan(), epochs=1), text, clock)
    settings = contenders.gensim_settings(tiny_plan(), 1, {})
    contenders.train_gensim(settings, text, contenders.lines_of(text), 1, 0, clock)
    assert started == ["clock", "build_examples", "build_vocab", "clock"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be kept to cores here")
def test_a_contender_has_only_the_cores_it_is_given():
    before = os.sched_getaffinity(0)
    with limited_to_cores(1):
        assert len(os.sched_getaffinity(0)) == 1
        with ThreadPoolExecutor(1) as pool:  # those that are started by a contender, too
            assert len(pool.submit(os.sched_getaffinity, 0).result()) == 1
    assert os.sched_getaffinity(0) == before


@pytest.mark.usefixtures("starts_processes")
@LINUX
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_memory_that_processes_share_is_counted_once():
    before = resident_memory()
    shared = mmap.mmap(-1, 30_000_000)
    shared.write(b"x" * 30_000_000)
    ready, write = os.pipe()
    child = os.fork()
    if not child:
        shared[::4096]  # now it is in the child's memory, too
        os.write(write, b"x")
        os.read(os.pipe()[0], 1)  # for ever
    os.read(ready, 1)
    try:
        assert 25e6 < resident_memory() - before < 45e6
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


# ---------------------------------------------------------------- the same text and words for all


@pytest.mark.parametrize("size", [None, 1, 3, 500, 10**9])
def test_a_text_is_cut_at_the_end_of_a_word(folder, size):
    packed = folder / "text.xz"
    packed.write_bytes(lzma.compress(" ".join(words()).encode()))
    for path in (folder / TEXT, packed):
        with plain_text(path, size) as (file, _):
            cut = file.read_text().split()
            assert cut == words()[: len(cut)]
            whole = len(" ".join(words()))
            assert min(size or whole, whole) - 3 <= len(" ".join(cut)) <= (size or whole)


def test_gensim_is_given_the_words_of_the_vocabulary_in_their_order(monkeypatch):
    monkeypatch.setattr(contenders, "LINE_WORDS", 7)
    text = encoded(VocabularyRule(max_size=10))
    kept = [word for word in words() if word in text.vocabulary.ids]
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

    return Word2Vec(
        contenders.lines_of(text), **{"vector_size": 5, "min_count": 1, "sg": 1, "workers": 1} | settings
    )


def test_gensims_vectors_are_put_in_the_order_of_our_words():
    text = encoded()
    model = trained_by_gensim(text)
    embeddings = contenders.gensim_embeddings(model, text)
    assert embeddings.words == text.vocabulary.words
    for number, word in enumerate(embeddings.words):
        np.testing.assert_array_equal(embeddings.input[number], model.wv[word])
    theirs = [word for word, _ in model.wv.most_similar("w3", topn=5)]
    assert [word for word, _ in embeddings.most_similar("w3", topn=5)] == theirs


def test_gensim_with_other_words_or_counts_is_an_error():
    text = encoded()
    contenders.require_same_words(trained_by_gensim(text), text)
    with pytest.raises(ArithmeticError):
        contenders.require_same_words(trained_by_gensim(text, max_final_vocab=20), text)


@pytest.mark.parametrize("choices", [{}, {"hs": 1, "negative": 0}, {"sg": 0}])
def test_gensim_gets_our_window_size_and_cores_and_the_settings_of_the_match(choices):
    plan = replace(tiny_plan(), window=3, vocabulary=VocabularyRule(min_count=2))
    settings = contenders.gensim_settings(plan, 4, choices)
    expected = {"window": 3, "vector_size": 6, "min_count": 2, "workers": 4, "sample": 1e-4}
    assert settings == expected | {"negative": 5, "sg": 1} | choices
    assert len(
        contenders.gensim_embeddings(trained_by_gensim(encoded(), **settings | {"min_count": 1}), encoded())
    )


# ---------------------------------------------------------------- scores


def test_scores_are_those_of_embeddings():
    embeddings = Embeddings(WORDS, None, *np.random.default_rng(0).standard_normal((2, 30, 8)))
    pairs, analogies = score_embeddings(StandardEvaluation(), sets(), embeddings)
    expected = embeddings.evaluate_word_pairs(sets()["wordsim353"])
    assert pairs == Score("wordsim353", expected.spearman, 4, 4)
    expected = embeddings.evaluate_word_analogies(sets()["analogies"])
    assert analogies == Score("analogies", expected.all.accuracy, 2, 2)


@pytest.mark.parametrize(
    ("epochs", "expected"), [(1, [1]), (2, [1, 2]), (12, [1, 2, 5, 10, 12]), (100, None)]
)
def test_moments_end_with_the_last_epoch(epochs, expected):
    assert moments(epochs) == (expected or [1, 2, 5, 10, 20, 50, 100])


# ---------------------------------------------------------------- one training


@pytest.mark.usefixtures("starts_processes")
@LINUX
@pytest.mark.parametrize("kind", [OURS, GENSIM, FAST_TEXT])
def test_a_training_has_its_time_memory_and_scores(folder, kind):
    if kind == FAST_TEXT and not contenders.fast_text_is_installed():
        pytest.skip("fastText is not installed")
    settings = {FAST_TEXT: {"model": "skipgram", "thread": 1}}.get(kind, {})
    ours = [
        "experiment=sotu_softmax",
        "corpus=file",
        "evaluation=standard",
        "tracking=none",
        *OWN_SETS,
        *SMALL,
    ]
    order = Order("m", kind, 1, ours, 3, 7, settings, [1, 3])
    trained = train(order, str(folder / TEXT), str(folder), "digest")
    assert trained.order == order
    assert trained.words == 3_000
    assert trained.vocabulary == 30
    assert trained.rate == pytest.approx(9_000 / trained.seconds)
    assert min(trained.seconds, trained.cpu_seconds, trained.packages) > 0
    assert [point.epoch for point in trained.points] == ([1, 3] if kind == OURS else [3])
    assert trained.score("word_pairs_pairs") is not None
    assert Trained.from_json(json.loads(json.dumps(asdict(trained)))) == trained


@pytest.mark.usefixtures("starts_processes")
def test_a_training_that_fails_is_reported_by_its_last_line():
    with pytest.raises(UserError, match=r"ended with exit code 1: ModuleNotFoundError: .*'no_package'"):
        training.run_child("no_package")


# ---------------------------------------------------------------- the verdict


def trained(contender, seed=0, seconds=10.0, cpu=8.0, memory=100, scores=(0.5,), epochs=2):
    points = [
        Point(number + 1, seconds * (number + 1) / len(scores), [Score("simlex999", one, 9, 9)])
        for number, one in enumerate(scores)
    ]
    order = Order("skipgram", contender, 1, [], epochs, seed)
    return Trained(order, "digest", 1000, 30, seconds, cpu, memory, 0, points, {})


SIDES = {GENSIM: [2], OURS: [2]}
SKIPGRAM = Match("skipgram", "skip-gram", 1, [], SIDES, at_least=2.5, goal=4)
IN_TIME = replace(SKIPGRAM, quality_in_time=True)
PROMISED = replace(SKIPGRAM, name=EXACT, promised={"simlex999": 0.45})


def named(verdict):
    return {bar.what: bar for bar in verdict}


def test_words_are_counted_alike_whatever_the_epochs():
    found = named(bars(SKIPGRAM, [trained(GENSIM), trained(OURS, seconds=5.0, cpu=4.0, epochs=4)]))
    cpu, clock = (found[f"words per second by {how}, of gensim's"] for how in ("processor time", "wall time"))
    assert (cpu.value, clock.value) == (4, 4)
    assert (cpu.promised, cpu.goal, clock.promised) == (2.5, 4, None)


def test_a_ratio_is_the_median_over_seeds_that_both_have():
    theirs = [trained(GENSIM, seed, cpu=cpu) for seed, cpu in enumerate([8.0, 9.0, 4.0, 100.0])]
    ours = [trained(OURS, seed, cpu=1.0) for seed in (2, 0, 1)]
    assert bars(SKIPGRAM, [*theirs, *ours])[0].value == 8
    on_two = bars(replace(SKIPGRAM, cores=2), [*theirs, *ours])
    assert [bar.promised for bar in on_two[:2]] == [None, 2.5]


def test_nothing_is_promised_against_fast_text():
    found = bars(SKIPGRAM, [trained(OURS), trained(FAST_TEXT, cpu=80.0)])
    assert (found[0].value, [bar.promised for bar in found]) == (10, [None, None])


@pytest.mark.parametrize(("ours", "kept"), [(0.496, True), (0.494, False), (0.7, True)])
def test_quality_may_be_half_a_hundredth_below_gensims_in_the_median(ours, kept):
    theirs = [trained(GENSIM, 0, scores=[0.4]), trained(GENSIM, 1, scores=[0.6])]
    mine = [trained(OURS, seed, scores=[ours]) for seed in (0, 1)]
    *_, quality, memory = bars(SKIPGRAM, [*theirs, *mine])
    assert quality.kept is kept
    assert quality.value == pytest.approx(100 * (ours - 0.5))
    assert quality.what == "simlex999 above gensim's 0.500 (standard error 10.0)"
    assert memory.kept


@pytest.mark.parametrize(
    ("scores", "ratio"), [([0.1, 0.495, 0.6, 0.2], 4), ([0.1, 0.2, 0.3, 0.5], 2), ([0.4, 0.48], 0)]
)
def test_quality_in_the_same_time_is_that_of_the_first_look_that_has_it(scores, ratio):
    found = named(bars(IN_TIME, [trained(GENSIM), trained(OURS, seconds=5.0, scores=scores)]))
    in_time = found["gensim's time, of ours to its quality"]
    assert in_time.value == ratio
    assert in_time.kept is (ratio >= 1)
    assert found["our whole training, of gensim's time"].value == 0.5
    assert found["simlex999 above gensim's 0.500"].promised is None


def test_more_memory_than_gensims_is_a_bar_missed():
    assert not bars(SKIPGRAM, [trained(GENSIM), trained(OURS, memory=101)])[-1].kept


def test_a_promised_score_is_for_the_mean_over_the_seeds_of_the_longest_schedule():
    theirs = [trained(GENSIM, seed, seconds=12.0) for seed in (0, 1)]
    ours = [trained(OURS, seed, scores=[score]) for seed, score in enumerate((0.4, 0.5))]
    quality, in_time = bars(PROMISED, [*theirs, *ours])
    assert (quality.value, quality.promised, quality.kept) == (pytest.approx(0.45), 0.45, True)
    assert (in_time.value, in_time.kept) == (pytest.approx(10 / 12), True)
    better = trained(OURS, 0, scores=[0.9], epochs=1)
    quality, _ = bars(PROMISED, [*theirs, trained(OURS, 0, scores=[0.3]), better])
    assert not quality.kept


def test_more_time_than_gensims_is_a_bar_missed_and_what_is_not_known_keeps_none():
    quality, in_time = bars(PROMISED, [trained(GENSIM), trained(OURS, seconds=10.1, scores=[None])])
    assert not quality.kept
    assert not in_time.kept
    assert bars(replace(PROMISED, promised={}), [trained(GENSIM), trained(OURS)]) == []


def test_a_figure_has_the_deviation_of_a_sample():
    assert Figure.of([0.4, 0.5]) == Figure(pytest.approx(0.45), pytest.approx(math.sqrt(0.005)))
    assert Figure.of([0.4, None]) is None
    assert Figure.of([0.4]) == Figure(0.4, None)


# ---------------------------------------------------------------- results that are resumed


def test_trainings_are_found_by_order_and_text(tmp_path):
    one = trained(OURS)
    Results(tmp_path, resume=False).add(one)
    read = Results(tmp_path, resume=True)
    assert read.of(one.order, "digest") == one
    assert read.of(one.order, "another text") is None
    assert read.of(replace(one.order, seed=1), "digest") is None
    assert Results(tmp_path, resume=False).trainings == []


@pytest.mark.parametrize("line", ["{", "[]", '{"order": {}}'])
def test_a_file_that_is_none_of_results_is_named(tmp_path, line):
    (tmp_path / FILE).write_text(line + "\n")
    with pytest.raises(UserError, match=r"results.jsonl: cannot be read .* Start without --resume"):
        Results(tmp_path, resume=True)


# ---------------------------------------------------------------- all of it, tiny


def exact(*arguments):
    """Run the exact match in the current folder, on a text and sets of its own."""
    given = ["--text", TEXT, "--threads", "1", "--seeds", "2", "--output", "out"]
    schedules = ["--epochs", "1,2", "--gensim-epochs", "1,3"]
    return compare_peers.main([*given, *schedules, *OWN_SETS, *SMALL, *arguments])


def done():
    lines = [json.loads(line) for line in Path("out", FILE).read_text().splitlines()]
    return [(one["order"]["seed"], one["order"]["contender"], one["order"]["epochs"]) for one in lines], lines


@pytest.fixture
def in_process(monkeypatch):
    """Train in this process: one of its own takes seconds to start."""

    def here(order, text, cache_folder, digest):
        report = training.main(order, text, cache_folder)
        del report["began"], report["looked"]
        return Trained.from_json(
            report | {"digest": digest, "memory": 1, "made": {"date": "2026-11-29", "commit": "c"}}
        )

    monkeypatch.setattr(matches, "train", here)


@pytest.mark.usefixtures("folder", "in_process")
def test_everything_is_trained_scored_and_written(capsys):
    assert exact("--max-size", "20") == 0
    printed = capsys.readouterr().out
    found, lines = done()
    of_a_seed = [(OURS, 1), (OURS, 2), (GENSIM, 1), (GENSIM, 3)]
    assert found == [(seed, *one) for seed in range(2) for one in of_a_seed]
    assert [point["epoch"] for point in lines[3]["points"]] == [3]
    assert {one["vocabulary"] for one in lines} == {20}
    markdown = Path("out/report.md").read_text()
    assert "$" not in markdown
    assert "No bar was set." in markdown
    assert "19 of 29 of" in markdown
    assert "exact, gensim, seed 1: 3 epochs" in printed
    assert "No bar was set." in printed
    with Image.open("out/exact.png") as picture:
        assert picture.width == 1600


@pytest.mark.usefixtures("folder", "in_process")
def test_an_interrupted_comparison_is_resumed_and_a_missed_bar_is_an_exit_code(monkeypatch, capsys):
    given = ["--seeds", "1", "--bars", "word_pairs_pairs=1.0"]
    train_gensim, calls = training.train_gensim, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        train_gensim(*arguments)

    monkeypatch.setattr(training, "train_gensim", interrupted)
    assert exact(*given) == 130
    assert "Resume with --resume" in capsys.readouterr().err
    before, _ = done()
    assert [contender for _, contender, _ in before] == [OURS, OURS, GENSIM]
    assert exact(*given, "--resume") == 1
    assert done()[0] == [*before, (0, GENSIM, 3)]
    assert len(calls) == 3
    assert "of 2 bars missed: word_pairs_pairs" in Path("out/report.md").read_text().replace("\n", " ")
    assert json.loads(Path("out/report.json").read_text())["bars"][EXACT][0]["kept"] is False


@pytest.mark.usefixtures("folder", "in_process")
@LINUX
def test_sampled_matches_are_trained_on_both_sides(monkeypatch, capsys):
    ours = ["experiment=sotu_softmax", "labels.centres=8", "epochs=2"]
    monkeypatch.setattr(matches, "fast_text_is_installed", lambda: False)
    for name in ("skipgram", "hierarchical"):
        monkeypatch.setitem(SAMPLED, name, SAMPLED[name] | {OURS: ours})
    given = ["skipgram", "hierarchical", "--text", TEXT, "--output", "out", "--epochs", "2", "--seeds", "1"]
    assert compare_peers.main([*given, *OWN_SETS, *SMALL]) in (0, 1)
    assert [one["order"]["match"] for one in done()[1]] == ["skipgram"] * 2 + ["hierarchical"] * 2
    printed = capsys.readouterr().out
    for expected in (
        "skipgram, gensim, seed 0: 2 epochs",
        "of gensim's",
        "words per second",
        "memory, of gensim's",
    ):
        assert expected in printed
    assert {path.name for path in Path("out").glob("*.png")} == {"skipgram.png", "hierarchical.png"}


@pytest.mark.parametrize("name", SAMPLED)
def test_every_sampled_match_is_a_configuration_of_ours(folder, name):
    match, first = sampled_match(name, folder / TEXT, ["seed=3"], 5)
    assert first == 3
    orders = list(match.orders(range(3, 5)))
    ours = [order for order in orders if order.contender == OURS]
    assert [order.seed for order in ours] == [3, 4]
    assert {order.cores for order in orders} == {match.cores}
    assert {order.epochs for order in orders if order.contender == GENSIM} == {5}
    assert all((order.epochs == 5) or match.quality_in_time for order in ours)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--bars", "simlex999=0.2"],
            "--bars simlex999: no such evaluation set. Sets: word_pairs_pairs, analogies",
        ),
        (["--experiment", "sotu"], "labels=counts"),
        (["validation=held_out"], "leave out validation"),
        (["dim=1,2"], "several values make a sweep"),
        (["dimm=1"], "did you mean dim"),
        (["--text", "nowhere.txt"], "path=nowhere.txt: no such file"),
    ],
)
def test_a_mistake_is_named_before_anything_is_trained(capsys, arguments, message):
    assert exact(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "bad", [["--bars", "x"], ["--bars", "x=2"], ["--epochs", "1,,2"], ["--seeds", "0"], ["skipgrm"]]
)
def test_a_value_that_is_none_is_refused(bad):
    with pytest.raises(SystemExit, match="2"):
        compare_peers.parse(bad)


def test_the_promise_is_for_the_experiment_as_it_is():
    assert compare_peers.parse([]).bars == compare_peers.SOTU_BARS
    assert compare_peers.parse(["dim=50"]).bars == {}
    assert compare_peers.parse(["--text", "x"]).bars == {}
    assert compare_peers.parse(["--text", "x", "--bars", "analogies=0.4"]).bars == {"analogies": 0.4}
