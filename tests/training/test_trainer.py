"""The training loop: what it tells, when it stops, and that it can be repeated to the byte."""

import hashlib
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from w2v_exp.errors import TrainingDivergedError
from w2v_exp.examples.batches import ORDERS, Examples
from w2v_exp.examples.counts import cost_floor
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.model.parameters import ArticleInitialization, Word2VecInitialization
from w2v_exp.model.softmax import Softmax
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.optimizers import Adam
from w2v_exp.training.schedules import Linear
from w2v_exp.training.trainer import Trainer

TEXT = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
PAIRS = window_pairs(TEXT.ids, 3, len(TEXT.vocabulary))


class Notes:
    """A callback that keeps the records."""

    def __init__(self):
        self.records = []

    def on_epoch(self, record):
        self.records.append(record)


def make_trainer(
    *,
    labels="sparse",
    batch_size=20,
    order="corpus",
    dtype=np.float64,
    initialization=ArticleInitialization(),  # noqa: B008  frozen
    **choices,
):
    parameters = initialization(len(TEXT.vocabulary), 8, np.random.default_rng(0), dtype)
    examples = Examples(PAIRS, labels=labels, batch_size=batch_size, order=order, dtype=dtype)
    return Trainer(examples, parameters, **choices)


# ---------------------------------------------------------------- what it tells


def test_callbacks_are_called_after_every_epoch_once_and_in_order():
    first, second = Notes(), Notes()
    trainer = make_trainer(epochs=12, callbacks=[first, second])
    records = trainer.train()
    assert [record.epoch for record in records] == list(range(12))
    assert first.records == second.records == records == trainer.records


def test_the_schedule_is_asked_before_every_step_and_the_last_rate_is_told():
    asked = []

    def schedule(step, total_steps, epoch, epochs):
        asked.append((step, total_steps, epoch, epochs))
        return 1 / (1 + step)

    records = make_trainer(epochs=3, schedule=schedule, learning_rate=0.5).train()
    assert asked == [(step, 15, step // 5, 3) for step in range(15)]  # 84 pairs by 20: five steps an epoch
    assert [record.learning_rate for record in records] == [0.5 / 5, 0.5 / 10, 0.5 / 15]


def test_the_first_cost_is_that_of_knowing_nothing():
    (record,) = make_trainer(epochs=1, batch_size=84, initialization=Word2VecInitialization()).train()
    assert record.cost == pytest.approx(math.log(13), abs=1e-14)
    assert math.isnan(record.article_cost)


@pytest.mark.parametrize("labels", ["dense", "sparse"])
def test_the_first_cost_of_the_article_is_the_known_one(labels):
    """−ln(1 / (V + 0.001) + 0.001), and the sum over batches of it."""
    known = -math.log(1 / 13.001 + 0.001)
    assert known == pytest.approx(2.5521, abs=1e-4)
    choices = {
        "labels": labels,
        "initialization": Word2VecInitialization(),
        "objective": Softmax(epsilon=0.001),
    }
    (record,) = make_trainer(epochs=1, batch_size=84, **choices).train()
    assert record.article_cost == pytest.approx(known, abs=1e-12)
    (record,) = make_trainer(epochs=1, batch_size=20, learning_rate=1e-12, **choices).train()
    assert record.article_cost == pytest.approx(5 * known, abs=1e-9)


def test_the_cost_falls_towards_the_floor_and_not_below():
    records = make_trainer(epochs=400, batch_size=84, learning_rate=0.5).train()
    costs = [record.cost for record in records]
    assert min(costs) > cost_floor(PAIRS)
    assert costs[-1] < cost_floor(PAIRS) + 0.05


def test_the_time_of_epoch_callbacks_is_not_training_time():
    class Slow:
        def on_epoch(self, record):
            time.sleep(0.02)

    started = time.perf_counter()
    records = make_trainer(epochs=5, callbacks=[Slow()]).train()
    elapsed = time.perf_counter() - started
    seconds = [record.train_seconds for record in records]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] <= elapsed - 0.1


def test_what_has_been_recorded_survives_an_interruption():
    class Impatient:
        def on_epoch(self, record):
            if record.epoch == 2:
                raise KeyboardInterrupt

    trainer = make_trainer(epochs=9, callbacks=[Impatient()])
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert [record.epoch for record in trainer.records] == [0, 1, 2]


def test_a_dry_run_takes_the_first_steps_of_a_run():
    tried, trained = make_trainer(epochs=2, batch_size=42), make_trainer(epochs=1, batch_size=42)
    tried.dry_run(99)  # more than an epoch has
    trained.train()
    np.testing.assert_array_equal(tried.parameters.embedding, trained.parameters.embedding)
    assert tried.records == []
    one_step = make_trainer(epochs=2, batch_size=42)
    one_step.dry_run(1)
    assert (one_step.parameters.output != tried.parameters.output).any()


def test_a_dry_run_does_not_count_the_time_in_which_other_processes_run(monkeypatch):
    trainer = make_trainer(epochs=2, batch_size=42)
    step = trainer._step

    def delayed(*given):
        time.sleep(0.3)  # takes no processor time
        return step(*given)

    monkeypatch.setattr(trainer, "_step", delayed)
    assert trainer.dry_run(1) < 0.3


# ---------------------------------------------------------------- when it stops


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("labels", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_cost_that_is_no_number_stops_training_and_keeps_what_was(labels, dtype):
    notes = Notes()
    choices = {"labels": labels, "dtype": dtype, "callbacks": [notes]}
    trainer = make_trainer(batch_size=84, epochs=100, learning_rate=1e6, **choices)
    with pytest.raises(TrainingDivergedError) as stop:
        trainer.train()
    assert 1 <= len(trainer.records) < 100
    assert all(math.isfinite(record.cost) for record in trainer.records)
    assert notes.records == trainer.records
    message = re.match(
        r"The training cost is (?:nan|inf) in epoch (\d+) \(learning rate 1e\+06\)", str(stop.value)
    )
    assert int(message[1]) == len(trainer.records)
    assert "smaller learning_rate" in str(stop.value)


def test_divergence_is_told_by_the_error_alone():
    """Warnings are errors in these tests; a user would see them printed."""
    with pytest.raises(TrainingDivergedError):
        make_trainer(batch_size=84, epochs=100, learning_rate=1e6, dtype=np.float32).train()


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_run_whose_very_last_step_diverges_is_no_success():
    """The cost of a step is taken before it; none is taken after the last one."""
    trainer = make_trainer(batch_size=84, epochs=1, learning_rate=1e42, dtype=np.float32)
    with pytest.raises(TrainingDivergedError):
        trainer.train()


# ---------------------------------------------------------------- repeated to the byte

PROGRAM = """
import hashlib, sys
sys.path.insert(0, {folder!r})
from test_trainer import fingerprint
print(fingerprint({order!r}, seed=3))
"""


def fingerprint(order, seed):
    """Return the SHA-256 of the trained parameters of a run with as much chance in it as there can be."""
    generator = np.random.default_rng(seed)
    parameters = ArticleInitialization()(len(TEXT.vocabulary), 8, generator)
    examples = Examples(PAIRS, labels="sparse", batch_size=20, order=order)
    choices = {"optimizer": Adam(), "schedule": Linear(), "learning_rate": 0.01}
    Trainer(examples, parameters, epochs=20, generator=generator, **choices).train()
    return hashlib.sha256(parameters.embedding.tobytes() + parameters.output.tobytes()).hexdigest()


@pytest.mark.parametrize("order", ORDERS)
def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(order):
    assert fingerprint(order, seed=3) == fingerprint(order, seed=3)
    assert fingerprint(order, seed=3) != fingerprint(order, seed=4)


@pytest.mark.usefixtures("starts_processes")
def test_a_fresh_process_with_another_hash_seed_gives_the_same_bytes():
    for hash_seed in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(folder=str(Path(__file__).parent), order="shuffled")],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert process.stdout.strip() == fingerprint("shuffled", seed=3)
