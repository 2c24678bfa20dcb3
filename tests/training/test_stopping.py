"""What ends training before its last epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.training.callbacks import Stopping, StopRule, epochs_since_lowest
from w2v_exp.training.trainer import Trainer

IDS = np.arange(40, dtype=np.int32) % 4


def stopped(rule: StopRule, costs: dict[int, float], epochs: int = 10, batch_size: int = 100) -> Trainer:
    """Train with held-out costs that are known beforehand, and return the trainer."""
    examples = Examples(window_pairs(IDS, 1, 4), batch_size=batch_size)
    trainer = Trainer(examples, ArticleInitialization()(4, 3, np.random.default_rng(0)), epochs=epochs)
    trainer.add_callback(
        Stopping(rule, trainer, lambda: {e: cost for e, cost in costs.items() if e < len(trainer.records)})
    )
    trainer.train()
    return trainer


@pytest.mark.parametrize(
    ("patience", "costs", "epochs", "ended_by"),
    [
        (2, [5, 4, 3, 4, 4, 1], 5, "patience"),
        (2, [5, 4, 3, 3, 3], 5, "patience"),  # as low is not lower
        (3, [5, 4, 3, 4, 4, 1], 10, ""),
        (1, [1, 2], 2, "patience"),
        (1, [9, 8, 7, 6, 5, 4, 3, 2, 1, 2], 10, ""),  # after the last epoch there is nothing to stop
        (None, [1, 2, 3, 4, 5], 10, ""),
    ],
)
def test_patience_ends_with_the_cost(
    patience: int | None, costs: list[float], epochs: int, ended_by: str
) -> None:
    known = dict(enumerate([*costs, *np.linspace(0.9, 0.1, 10 - len(costs))]))
    trainer = stopped(StopRule(patience=patience), known)
    assert (len(trainer.records), trainer.ended_by) == (epochs, ended_by)


def test_patience_counts_epochs_where_costs_are_rarer() -> None:
    trainer = stopped(StopRule(patience=3), {0: 5.0, 2: 4.0, 4: 4.5, 6: 4.6, 8: 4.7})
    assert len(trainer.records) == 7


def test_time_ends_in_the_middle_of_an_epoch_whose_record_is_of_its_steps() -> None:
    trainer = stopped(StopRule(minutes=1e-9), {}, batch_size=5)
    assert trainer.ended_by == "minutes"
    (record,) = trainer.records
    assert trainer.pairs_done == 5
    assert record.cost == pytest.approx(np.log(4), abs=0.01)


def test_without_a_rule_all_epochs_are_trained() -> None:
    assert len(stopped(StopRule(), {0: 1.0, 1: 2.0}).records) == 10


@given(st.dictionaries(st.integers(0, 30), st.integers(0, 4).map(float), min_size=1))
def test_epochs_since_the_lowest_are_those_of_a_plain_loop(costs: dict[int, float]) -> None:
    best, best_epoch = np.inf, -1
    for epoch in sorted(costs):
        if costs[epoch] < best:
            best, best_epoch = costs[epoch], epoch
    assert epochs_since_lowest(costs) == max(costs) - best_epoch


@pytest.mark.parametrize("wrong", [{"patience": 0}, {"minutes": 0}, {"minutes": float("nan")}])
def test_what_is_no_limit_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        StopRule(**wrong)
