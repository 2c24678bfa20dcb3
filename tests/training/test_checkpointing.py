"""When checkpoints are written."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.training.checkpoints import (
    CheckpointRule,
    EpochCheckpointing,
    StepCheckpointing,
    checkpointing,
    parse_every,
)
from w2v_exp.training.trainer import Trainer

UNITS = {"s": 1, "min": 60, "h": 3600}


@given(st.integers(1, 10**6), st.sampled_from([*UNITS, "epoch", "epochs"]), st.sampled_from(["", " ", "  "]))
def test_a_time_or_a_number_of_epochs_is_understood(number: int, unit: str, gap: str) -> None:
    rule = CheckpointRule(f"{number}{gap}{unit}")
    if unit in UNITS:
        assert (rule.seconds, rule.epochs) == (number * UNITS[unit], None)
    else:
        assert (rule.seconds, rule.epochs) == (math.inf, number)


@given(st.text(max_size=8))
def test_whatever_else_is_said_is_answered_with_what_is_allowed(text: str) -> None:
    try:
        number, unit = parse_every(text)
    except SettingError as error:
        assert "60s, 5min, 2h, 5 epochs" in str(error)
    else:
        assert number > 0
        assert unit in {*UNITS, "epochs"}


@pytest.mark.parametrize("text", ["0s", "-1s", "1", "s", "1.5 epochs", "1e3s", "nans", "60 s 1", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="must be a time or a number of epochs above 0"):
        CheckpointRule(text)


def test_without_a_time_there_are_none() -> None:
    assert (CheckpointRule().seconds, CheckpointRule().epochs) == (math.inf, None)


def trained(
    rule: CheckpointRule, *, write_seconds: float = 0.0, epochs: int = 6, batch_size: int = 5
) -> list[tuple]:
    """Train, and return what was done of the training when checkpoints were written: epochs and steps."""
    ids = np.arange(40, dtype=np.int32) % 4
    examples = Examples(window_pairs(ids, 1, 4), batch_size=batch_size)
    trainer = Trainer(examples, ArticleInitialization()(4, 3, np.random.default_rng(0)), epochs=epochs)
    written = []

    def write(state):
        written.append((len(state.records), state.sums.steps))
        time.sleep(write_seconds)

    trainer.add_callback(checkpointing(rule, trainer, write))
    trainer.train()
    return written


def test_every_so_many_epochs() -> None:
    assert trained(CheckpointRule("2 epochs")) == [(2, 0), (4, 0), (6, 0)]


def test_after_a_time_it_is_the_next_step_that_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2v_exp.training.checkpoints.COST_SHARE", math.inf)
    written = trained(CheckpointRule("0.000001s"), epochs=2)
    assert {(0, 1), (0, 15), (1, 0), (1, 16)} <= set(written)


def test_they_take_no_more_than_a_hundredth_of_the_time() -> None:
    started = time.monotonic()
    written = trained(CheckpointRule("0.000001s"), write_seconds=0.005, epochs=300)
    assert len(written) - 1 <= (time.monotonic() - started) / 0.5


def test_only_where_there_are_several_steps_these_are_watched() -> None:
    ids = np.arange(40, dtype=np.int32) % 4
    for batch_size, rule, expected in (
        (5, "60s", StepCheckpointing),
        (100, "60s", EpochCheckpointing),
        (5, "2 epochs", EpochCheckpointing),
    ):
        examples = Examples(window_pairs(ids, 1, 4), batch_size=batch_size)
        trainer = Trainer(examples, ArticleInitialization()(4, 3, np.random.default_rng(0)))
        assert type(checkpointing(CheckpointRule(rule), trainer, print)) is expected
