"""The comparison with gensim and fastText, on a text that takes no time. Nothing looks at who is better."""

import cProfile
import io
import json
import lzma
import mmap
import os
import pstats
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import benchmark  # noqa: E402
from benchmarks.child import anonymous_memory, shared_out_memory  # noqa: E402
from benchmarks.peers import command, fast_text, match  # noqa: E402
from benchmarks.peers.order import FAST_TEXT, GENSIM, OURS, Order  # noqa: E402
from benchmarks.peers.pairings import PAIRINGS, Pairing  # noqa: E402
from benchmarks.peers.picture import draw_scaling  # noqa: E402
from benchmarks.peers.results import FILE, Results  # noqa: E402
from benchmarks.peers.scaling import Scaling  # noqa: E402
from benchmarks.peers.split import Split, own_seconds  # noqa: E402
from benchmarks.peers.tables import scaling_table, split_table  # noqa: E402
from benchmarks.peers.text import plain_text  # noqa: E402
from benchmarks.peers.training import Trained, plan_of, train  # noqa: E402
from benchmarks.peers.verdict import bars, speed  # noqa: E402
from benchmarks.peers.zipf import write_zipf_text  # noqa: E402
from claim.contenders import Gensim, embeddings_of  # noqa: E402
from claim.results import Point, Score  # noqa: E402

from w2v_exp.errors import UserError  # noqa: E402
from w2v_exp.experiment.inputs import read_corpus  # noqa: E402

LINUX = pytest.mark.skipif(not anonymous_memory("self"), reason="memory is read from /proc")
PLAIN = ("labels=counts", "tokenizer=whitespace", "dtype=float32", "bounds=false")
TINY = Pairing(
    "skipgram", "skip-gram, one core", 1, PLAIN, {"sg": 1, "workers": 1}, {"model": "skipgram"}, 2.5, 4
)
IN_TIME = replace(TINY, name="hierarchical", title="hierarchical, one core", quality_in_time=True)


@cache
def words():
    steps = np.cumsum(np.random.default_rng(5).integers(-2, 3, 2_000))
    return [f"w{min(abs(step) % 40, 29)}" for step in steps]


@pytest.fixture
def folder(tmp_path):
    """A folder with a text and evaluation sets."""
    (tmp_path / "it's text.txt").write_text(" ".join(words()))
    (tmp_path / "pairs.tsv").write_text("".join(f"w0\tw{number}\t{30 - number}\n" for number in range(1, 30)))
    (tmp_path / "questions.txt").write_text(": gram1\nw0 w1 w2 w3\nw3 w4 w4 w5\n")
    return tmp_path


def overrides(folder, *more):
    sets = [f"evaluation.word_pairs=[{folder}/pairs.tsv]", f"evaluation.analogies=[{folder}/questions.txt]"]
    fixed = ["corpus=file", "evaluation=standard", "tracking=none", *PLAIN, "vocabulary.min_count=5", "dim=6"]
    return [*fixed, *sets, *more]


# ---------------------------------------------------------------- the text


@pytest.mark.parametrize("size", [None, 1, 3, 500, 10**9])
def test_a_text_is_cut_at_the_end_of_a_word(folder, size):
    packed = folder / "text.xz"
    packed.write_bytes(lzma.compress(" ".join(words()).encode()))
    for path in (folder / "it's text.txt", packed):
        with plain_text(path, size) as text:
            cut = text.path.read_text().split()
            assert cut == words()[: len(cut)]
            whole = len(" ".join(words()))
            assert min(size or whole, whole) - 3 <= len(" ".join(cut)) <= (size or whole)


def test_a_text_that_is_not_there_is_named(folder):
    with pytest.raises(UserError, match="no such file"), plain_text(folder / "absent.txt", 10):
        pass


# ---------------------------------------------------------------- memory


@LINUX
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_memory_that_processes_share_is_counted_once():
    before = shared_out_memory()
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
        assert 25e6 < shared_out_memory() - before < 45e6
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


# ---------------------------------------------------------------- one training


@LINUX
@pytest.mark.parametrize("side", [OURS, GENSIM, FAST_TEXT])
def test_a_training_is_told_with_its_time_memory_and_quality(folder, side):
    if side == FAST_TEXT and not fast_text.is_installed():
        pytest.skip("fastText is not installed")
    settings = {OURS: {}, GENSIM: {"sg": 1, "workers": 1}, FAST_TEXT: {"model": "skipgram", "thread": 1}}[
        side
    ]
    order = Order("skipgram", side, 1, overrides(folder), 3, 7, settings, [1, 3])
    trained = train(order, str(folder / "it's text.txt"), str(folder), "digest")
    assert trained.order == order
    assert trained.words == 2_000
    assert trained.vocabulary == 30
    assert trained.rate == pytest.approx(6_000 / trained.seconds)
    assert min(trained.seconds, trained.cpu_seconds, trained.packages) > 0
    assert [point.epoch for point in trained.points] == ([3] if side == FAST_TEXT else [1, 3])
    assert set(trained.scores) >= {"word_pairs_pairs", "analogies_questions"}
    assert Trained.from_json(json.loads(json.dumps(trained.as_dict()))) == trained


@pytest.mark.parametrize("choices", [{"sg": 1, "hs": 1, "negative": 0}, {"sg": 0}])
def test_gensim_is_told_which_model_to_train(folder, choices):
    from gensim.models import Word2Vec

    plan = plan_of(overrides(folder), str(folder / "it's text.txt"), str(folder))
    text = read_corpus(plan)
    gensim = Gensim("gensim", plan, text, [1], choices)
    assert gensim.settings["vector_size"] == 6
    assert gensim.settings | choices == gensim.settings
    model = Word2Vec(gensim.lines, **gensim.settings)
    embeddings = embeddings_of(model, text)
    assert (embeddings.output is None) == ("hs" in choices)
    np.testing.assert_array_equal(embeddings.input[0], model.wv[text.vocabulary.words[0]])


# ---------------------------------------------------------------- the verdict


def trained(side, seed=0, seconds=10.0, cpu=8.0, memory=100, scores=(0.5,), epochs=2, counting=0.0):
    points = [
        Point(
            number + 1, seconds * (number + 1) / len(scores), [Score("simlex999", "input", "own", one, 9, 9)]
        )
        for number, one in enumerate(scores)
    ]
    order = Order("skipgram", side, 1, [], epochs, seed)
    return Trained(order, "digest", 1000, 30, seconds, cpu, counting, memory, 0, points)


def test_words_are_counted_alike_whatever_the_epochs():
    sides = {GENSIM: [trained(GENSIM)], OURS: [trained(OURS, seconds=5.0, cpu=4.0, epochs=4)]}
    cpu, clock = speed(TINY, sides)
    assert (cpu.ratio, clock.ratio) == (4, 4)
    assert clock.baseline_rate == 200
    assert clock.our_rate == 800 == sides[OURS][0].rate


def test_the_ratio_is_the_median_over_seeds_that_both_have():
    theirs = [trained(GENSIM, seed, cpu=cpu) for seed, cpu in enumerate([8.0, 9.0, 4.0, 100.0])]
    ours = [trained(OURS, seed, cpu=1.0) for seed in (2, 0, 1)]
    cpu, clock = speed(TINY, {GENSIM: theirs, OURS: ours, FAST_TEXT: []})
    assert cpu.ratio == 8
    assert (cpu.at_least, cpu.goal, clock.at_least) == (2.5, 4, None)
    on_two = speed(replace(TINY, cores=2), {GENSIM: theirs, OURS: ours})
    assert [one.at_least for one in on_two] == [None, 2.5]


def test_nothing_is_promised_of_fast_text():
    sides = {GENSIM: [], OURS: [trained(OURS)], FAST_TEXT: [trained(FAST_TEXT, cpu=80.0)]}
    cpu, _ = speed(TINY, sides)
    assert (cpu.ratio, cpu.at_least) == (10, None)
    assert bars(TINY, sides) == []


@pytest.mark.parametrize(("ours", "kept"), [(0.491, True), (0.489, False), (0.7, True)])
def test_quality_may_be_a_hundredth_below_gensims_mean(ours, kept):
    theirs = [trained(GENSIM, 0, scores=[0.4]), trained(GENSIM, 1, scores=[0.6])]
    mine = [trained(OURS, seed, scores=[ours]) for seed in (0, 1)]
    quality, memory = bars(TINY, {GENSIM: theirs, OURS: mine})
    assert quality.kept is kept
    assert quality.value == pytest.approx(100 * (ours - 0.5))
    assert memory.kept


@pytest.mark.parametrize(
    ("scores", "ratio"), [([0.1, 0.495, 0.6, 0.2], 4), ([0.1, 0.2, 0.3, 0.5], 2), ([0.4, 0.48], 0)]
)
def test_quality_in_the_same_time_is_that_of_the_first_look_that_has_it(scores, ratio):
    sides = {GENSIM: [trained(GENSIM)], OURS: [trained(OURS, seconds=5.0, scores=scores)]}
    in_time, *_ = bars(IN_TIME, sides)
    assert in_time.value == ratio
    assert in_time.kept is (ratio >= 1)


def test_what_ours_scores_in_the_end_is_told_beside_its_time():
    theirs = [trained(GENSIM, seed, scores=[0.5]) for seed in (0, 1)]
    ours = [trained(OURS, seed, seconds=5.0, scores=[0.4, 0.6]) for seed in (0, 1)]
    _, lasts, quality, _ = bars(IN_TIME, {GENSIM: theirs, OURS: ours})
    assert lasts.value == 0.5
    assert quality.value == pytest.approx(10)
    assert (lasts.promised, quality.promised) == (None, None)


def test_counting_is_in_the_time_and_an_epoch_without_it_is_told():
    sides = {GENSIM: [trained(GENSIM)], OURS: [trained(OURS, seconds=5.0, counting=3.0)]}
    cpu, clock, epochs = speed(IN_TIME, sides)
    assert (clock.ratio, epochs.ratio) == (2, 5)
    assert (cpu.at_least, clock.at_least, epochs.at_least) == (2.5, None, None)


def test_more_memory_than_gensims_is_a_bar_missed():
    sides = {GENSIM: [trained(GENSIM)], OURS: [trained(OURS, memory=101)]}
    assert not bars(TINY, sides)[-1].kept


# ---------------------------------------------------------------- results that are gone on with


def test_trainings_are_found_by_order_and_text(tmp_path):
    one = trained(OURS)
    Results(tmp_path, resume=False).add(one)
    read = Results(tmp_path, resume=True)
    assert read.of(one.order, "digest") == one
    assert read.of(one.order, "another text") is None
    assert read.of(replace(one.order, seed=1), "digest") is None
    assert Results(tmp_path, resume=False).trainings == []


@pytest.mark.parametrize("line", ["{", "[]", '{"order": {}}'])
def test_a_file_that_is_none_of_results_is_told(tmp_path, line):
    (tmp_path / FILE).write_text(line + "\n")
    with pytest.raises(UserError, match="cannot be gone on with"):
        Results(tmp_path, resume=True)


# ---------------------------------------------------------------- scaling


@pytest.mark.parametrize(("distinct", "tokens"), [(1, 5), (50, 50), (200, 3_000)])
def test_a_made_up_text_has_as_many_words_as_are_wanted(tmp_path, distinct, tokens):
    for name in ("one", "again"):
        write_zipf_text(tmp_path / name, distinct, tokens)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "again").read_bytes()
    written = Counter((tmp_path / "one").read_text().split())
    assert (len(written), written.total()) == (distinct, tokens)


def test_frequencies_of_a_made_up_text_are_zipfs(tmp_path):
    write_zipf_text(tmp_path / "text", 100, 50_000)
    counts = Counter((tmp_path / "text").read_text().split())
    assert counts["w0"] / counts["w9"] == pytest.approx(10, rel=0.1)


def test_built_in_functions_are_their_callers_time():
    profiler = cProfile.Profile()
    profiler.runcall(sorted_numbers)
    seconds = own_seconds(pstats.Stats(profiler))
    assert list(seconds) == ["test_peers.sorted_numbers", "others"]
    assert seconds["test_peers.sorted_numbers"] > 0


def sorted_numbers():
    return sorted(range(100_000), key=(-1).__mul__)


@pytest.mark.slow
@LINUX
def test_our_time_is_split_by_functions(folder):
    small = ["experiment=wikipedia_sgns", "vocabulary.min_count=1"]
    found = Scaling({}, small, folder / "it's text.txt", 1).split()
    assert found.seconds == pytest.approx(sum(found.functions.values()), rel=1e-3)
    assert "scatter.add_scaled_rows" in found.functions
    assert min(found.products, found.exponentials, found.traffic) > 0
    assert found.floor_share < 1


@pytest.mark.slow
@LINUX
def test_series_are_trained_on_both_sides_and_drawn(folder):
    series = {"window": (1, 2, 3), "vocabulary": (50,)}
    small = [*overrides(folder)[3:-2], "window=1"]
    scaling = Scaling(series, small, folder / "it's text.txt", 1, tokens=400)
    results = Results(folder, resume=False)
    done = list(scaling.trainings(results))
    assert [one.order.side for one in done] == [GENSIM, OURS] * 4
    assert [one.vocabulary for one in done] == [30] * 6 + [50] * 2
    assert {one.order.epochs for one in done} == {1}
    assert list(scaling.trainings(results)) == []
    for place in scaling.places:
        assert min(scaling.rate(results, place, side) for side in (GENSIM, OURS)) > 0
    console = Console(width=140, record=True, file=io.StringIO())
    split = Split(2.0, {"bands.scores": 1.0, "others": 1.0}, 0.1, 0.2, 0.3)
    assert split.floor_share == pytest.approx(0.3)
    console.print(scaling_table(scaling, results), split_table(split))
    shown = console.export_text()
    for expected in ("window 3", "vocabulary 50", "bands.scores", "rows read and written"):
        assert expected in shown
    draw_scaling(folder / "scaling.png", scaling, results, split)
    with Image.open(folder / "scaling.png") as picture:
        assert picture.width == 1600
        assert len(set(picture.convert("L").tobytes())) > 20


# ---------------------------------------------------------------- all of it, tiny


def test_pairings_name_what_there_is():
    assert [one.name for one in PAIRINGS] == ["skipgram", "two-cores", "hierarchical", "cbow"]
    assert [(one.at_least, one.goal) for one in PAIRINGS] == [(2.5, 4), (2.5, 4), (1, 3), (1, 1.5)]


@pytest.mark.parametrize("pairing", PAIRINGS, ids=lambda pairing: pairing.name)
def test_every_pairing_is_a_configuration_of_ours(folder, pairing):
    choice = match.Choice([pairing], ["seed=3"], 5, 2)
    with plain_text(folder / "it's text.txt", None) as text:
        orders = match.Match(choice, text).orders
    ours = [order for order in orders if order.side == OURS]
    assert [order.seed for order in ours] == [3, 4]
    assert {order.cores for order in orders} == {pairing.cores}
    assert {order.epochs for order in orders if order.side == GENSIM} == {5}
    assert all((order.epochs == 5) or pairing.quality_in_time for order in ours)


@LINUX
def test_all_sides_are_trained_and_an_interrupted_comparison_goes_on(folder, monkeypatch, capsys):
    monkeypatch.setattr(command, "PAIRINGS", (TINY, IN_TIME))
    monkeypatch.setattr(fast_text, "is_installed", lambda: False)
    given = [
        "peers",
        "--text",
        str(folder / "it's text.txt"),
        "--output",
        str(folder / "out"),
        "--epochs",
        "2",
    ]
    given += ["--only", "skipgram", "--seeds", "1", *overrides(folder)[-3:], "epochs=2"]
    assert benchmark.main(given) in (0, 1)
    shown = capsys.readouterr().out
    for expected in (
        "skipgram, gensim, seed 0: 2 epochs",
        "against gensim",
        "words a second",
        "memory, of gensim's",
    ):
        assert expected in shown
    lines = (folder / "out" / FILE).read_text().splitlines()
    assert len(lines) == 2
    assert benchmark.main([*given, "--resume"]) in (0, 1)
    assert (folder / "out" / FILE).read_text().splitlines() == lines
    assert json.loads((folder / "out" / "report.json").read_text())["comparisons"]


def test_what_cannot_be_compared_is_told_before_anything_is_trained(folder, monkeypatch, capsys):
    monkeypatch.setattr(command, "PAIRINGS", (TINY,))
    given = [
        "peers",
        "--text",
        str(folder / "it's text.txt"),
        "--output",
        str(folder / "out"),
        "--only",
        "skipgram",
    ]
    assert benchmark.main([*given, "validation.share=0.5"]) == 2
    assert "leave out validation" in capsys.readouterr().err
    assert not (folder / "out" / FILE).exists()
