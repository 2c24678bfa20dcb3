"""How long a run is expected to train: its operations, their times at given rates, and what would be faster."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from plans import plan_of

from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment import cli
from w2v_exp.experiment.build import build_examples, pair_statistics
from w2v_exp.experiment.estimate import (
    ALTERNATIVES,
    FASTER,
    LONG,
    Alternative,
    epoch_work,
    estimate_seconds,
    faster_alternatives,
    long_run_message,
    long_run_warning,
    readable_seconds,
)
from w2v_exp.machine import Rates, Work, measure_rates
from w2v_exp.processes import messages_on_stderr
from w2v_exp.text.corpus import FileCorpus

V = 300
SHARES = 1 / (np.arange(V) + 2.7)
IDS = np.random.default_rng(0).choice(V, 4000, p=SHARES / SHARES.sum()).astype(np.int32)
TEXT = TextPart(IDS, np.append(np.arange(0, 4000, 190), 4000))
RATES = Rates(2e-11, 4e-11, 1e-9, 3e-10, 5e-9, 1e-6)  # of an ordinary core
WAYS = [
    "labels=dense",
    "labels=sparse",
    "labels=sparse order=shuffled",
    "labels=counts",
    "labels=counts labels.centres=64 order=shuffled",
    "labels=counts labels.centre_words=100 labels.smoothing=5",
    "labels=streamed",
    "labels=sparse model=cbow batch_size=32",
    "labels=streamed model=cbow",
    "labels=sparse objective=hierarchical_softmax",
    "labels=counts objective=hierarchical_softmax",
    "labels=sparse objective=negative_sampling",
    "labels=blocks objective=negative_sampling",
    "labels=blocks objective=negative_sampling model=cbow",
    "labels=blocks objective=negative_sampling objective.sharing=pair",
    "labels=blocks objective=negative_sampling objective.sharing=all",
]


def seconds(plan, rates=RATES):
    return estimate_seconds(plan, pair_statistics(plan, TEXT, V), rates)


@pytest.mark.parametrize("way", WAYS)
def test_the_steps_of_an_epoch_are_those_of_the_examples(way):
    plan = plan_of(*way.split())
    steps, work = epoch_work(plan, pair_statistics(plan, TEXT, V))
    examples = build_examples(plan, IDS, V, TEXT.segments)
    assert steps == pytest.approx(examples.batches_per_epoch, abs=1)
    assert all(number >= 0 for number in astuple(work))
    assert work.calls > 0


@pytest.mark.parametrize("order", ["corpus", "blocks", "shuffled"])
@pytest.mark.parametrize(
    "way", ["labels=sparse batch_size=500", "labels=counts labels.centres=50", "labels=streamed"]
)
def test_the_products_of_a_softmax_are_three_for_each_centre_and_word(way, order):
    plan = plan_of(*way.split(), f"order={order}", "dim=7")
    steps, work = epoch_work(plan, pair_statistics(plan, TEXT, V))
    batches = build_examples(plan, IDS, V, TEXT.segments).batches(np.random.default_rng(0))
    centres = sum(len(batch.centres) for batch in batches)
    assert steps * work.products == pytest.approx(2 * 3 * centres * V * 7, rel=0.25)


@pytest.mark.parametrize("way", WAYS)
def test_time_grows_with_epochs_and_dimensions_and_with_every_rate(way):
    plan = plan_of(*way.split(), "epochs=10", "dim=8")
    expected = seconds(plan)
    assert seconds(replace(plan, epochs=30)) == pytest.approx(3 * expected)
    assert seconds(replace(plan, dim=80)) > expected
    assert seconds(replace(plan, epochs=0)) == 0
    _, work = epoch_work(plan, pair_statistics(plan, TEXT, V))
    for name, number in vars(work).items():
        slower = seconds(plan, replace(RATES, **{name: 2 * getattr(RATES, name)}))
        assert (slower > expected) == (number > 0)


def test_work_adds_up_and_takes_its_time():
    work = Work(products=10, calls=2) + Work(calls=1, gathered=4) * 2
    assert work == Work(products=10, gathered=8, calls=4)
    assert work.seconds(Rates(1, 100, 100, 100, 2, 3)) == 10 + 16 + 12


def test_workers_and_threads_share_the_work():
    blocks = plan_of("labels=blocks", "objective=negative_sampling", "epochs=3")
    assert seconds(replace(blocks, workers=2)) <= seconds(blocks)
    assert seconds(plan_of("threads=64")) == seconds(plan_of())  # steps of so few scores have one thread


def test_rates_are_measured_once():
    rates = measure_rates("float32", 20)
    assert all(rate > 0 for rate in astuple(rates))
    assert measure_rates("float32", 20) is rates


@pytest.mark.parametrize("way", WAYS)
def test_what_is_faster_is_named_in_the_order_of_its_time(way):
    plan = plan_of(*way.split(), "epochs=5000")
    expected = seconds(plan)
    found = faster_alternatives(plan, TEXT, V, expected, lambda dtype, dim: RATES)
    times = [alternative.seconds for alternative in found]
    assert times == sorted(times)
    assert all(time <= FASTER * expected for time in times)
    for alternative in found:
        assert alternative.seconds == seconds(ALTERNATIVES[alternative.overrides](plan))
    assert "epochs=20" in [alternative.overrides for alternative in found]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_named_can_be_added_to_the_command_line(way):
    plan = plan_of(*way.split(), "epochs=5000")
    found = faster_alternatives(plan, TEXT, V, seconds(plan), lambda dtype, dim: RATES)
    for alternative in found:
        added = alternative.overrides.split()
        groups = {override.split("=")[0] for override in added}
        kept = [override for override in way.split() if override.split("=")[0].split(".")[0] not in groups]
        assert plan_of(*kept, *added) is not None


def test_a_file_is_given_the_experiment_for_files(tmp_path):
    (tmp_path / "a, b.txt").write_text("a b c d")
    plan = replace(plan_of("epochs=5000"), corpus=FileCorpus(str(tmp_path)))
    found = faster_alternatives(plan, TEXT, V, seconds(plan), lambda dtype, dim: RATES)
    assert "experiment=file_softmax" in [alternative.overrides for alternative in found]


def test_a_long_run_is_warned_of_with_its_time_and_those_of_alternatives():
    faster = [Alternative("labels=counts", 60.0), Alternative("epochs=20", 7200.0)]
    assert long_run_warning(plan_of(), TEXT, V, LONG) == ""
    assert long_run_message(5000 * 3600, faster) == (
        "Training will take about 210 days. Faster: labels=counts (1 min); epochs=20 (2 h)."
    )
    assert "vocabulary" in long_run_message(LONG + 1, [])


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 ms"),
        (0.0123, "12 ms"),
        (1, "1 s"),
        (59.9, "60 s"),
        (90, "1.5 min"),
        (3600, "1 h"),
        (100_000, "28 h"),
        (10**6, "12 days"),
        (1e10, "320 years"),
        (1e20, "3,200,000,000,000 years"),
    ],
)
def test_times_are_shown_in_two_digits(number, text):
    assert readable_seconds(number) == text


def test_what_is_ended_by_the_clock_takes_no_longer():
    plan = plan_of("epochs=1000000000", "stop.minutes=2")
    assert seconds(plan) == 120
    assert seconds(plan_of("epochs=10", "stop.minutes=1000000")) == seconds(plan_of("epochs=10"))


CHOICES = ["tracking=none", "explorer=none", "checkpoint=none", "bounds=false"]


def test_the_estimates_of_a_run_of_hours_end_in_what_would_be_faster(capsys):
    # A thousand million epochs, of some 20 microseconds each.
    assert cli.run([*CHOICES, "epochs=1000000000", "estimate=true"]) == 0
    shown = capsys.readouterr().out
    assert "Training will take about " in shown
    assert "epochs=20" in shown


def test_a_long_run_prints_what_would_be_faster_before_it_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("w2v_exp.experiment.estimate.LONG", 1e-9)
    with messages_on_stderr():
        assert cli.run([*CHOICES, "epochs=100"]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("Training will take about ")
    assert "epochs=20" in shown.err
    assert "estimated training time, seconds" in shown.out


def test_a_short_run_prints_nothing_of_its_time_before_it_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with messages_on_stderr():
        assert cli.run([*CHOICES, "epochs=2"]) == 0
    assert "Training will take" not in capsys.readouterr().err
