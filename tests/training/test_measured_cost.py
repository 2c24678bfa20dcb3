"""The cost of held-out pairs while training goes on."""

import numpy as np
import pytest

from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.held_out import ValidationRule
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.softmax import exact_cost
from w2v_exp.training.callbacks import MeasuredCost
from w2v_exp.training.trainer import Trainer

V, WINDOW, EPOCHS = 12, 2, 6
IDS = np.minimum(np.random.default_rng(1).geometric(0.25, 300) - 1, V - 1).astype(np.int32)
RULE = ValidationRule(0.25, block=20, every=4)
TRAINING, HELD_OUT = RULE.split(TextPart(IDS), np.random.default_rng(0))
PAIRS = window_pairs(TRAINING.ids, WINDOW, V, segments=TRAINING.segments)
HELD_OUT_PAIRS = count_window_pairs([HELD_OUT.ids], WINDOW, V, segments=HELD_OUT.segments)

EXAMPLES = {
    "dense": lambda: Examples(PAIRS, labels="dense", batch_size=len(PAIRS)),
    "sparse": lambda: Examples(PAIRS, labels="sparse", batch_size=len(PAIRS)),
    "counts": lambda: CountedExamples(
        count_window_pairs([TRAINING.ids], WINDOW, V, segments=TRAINING.segments), CountsRule(centres=V)
    ),
}


def train(labels, *callbacks, epochs=EPOCHS):
    parameters = ArticleInitialization(scale=0.3)(V, 5, np.random.default_rng(1))
    for callback in callbacks:
        callback.watched = parameters
    trainer = Trainer(EXAMPLES[labels](), parameters, epochs=epochs, learning_rate=0.01, callbacks=callbacks)
    return trainer.train(), parameters


class Watching(MeasuredCost):
    """It is given the parameters when they are made."""

    def __init__(self):
        super().__init__(lambda: exact_cost(self.watched, HELD_OUT_PAIRS), RULE.validated_epochs(EPOCHS))


@pytest.mark.parametrize("labels", EXAMPLES)
def test_the_cost_is_that_of_the_parameters_after_the_epoch(labels):
    validation = Watching()
    train(labels, validation)
    assert list(validation.costs) == [3, 5]
    for epoch, cost in validation.costs.items():
        _, parameters = train(labels, epochs=epoch + 1)
        assert cost == exact_cost(parameters, HELD_OUT_PAIRS)


def test_every_encoding_has_the_same():
    costs = []
    for labels in EXAMPLES:
        validation = Watching()
        train(labels, validation)
        costs.append(list(validation.costs.values()))
    np.testing.assert_allclose(costs, [costs[0]] * len(costs), rtol=0, atol=1e-10)


@pytest.mark.parametrize("labels", EXAMPLES)
def test_watching_changes_nothing(labels):
    watched_records, watched = train(labels, Watching())
    records, parameters = train(labels)
    np.testing.assert_array_equal(watched.embedding, parameters.embedding)
    assert [record.cost for record in watched_records] == [record.cost for record in records]


def test_what_is_memorised_does_not_hold_for_what_was_held_out():
    """Trained for long on a text of chance, the model learns its pairs by heart."""
    validation = MeasuredCost(lambda: exact_cost(parameters, HELD_OUT_PAIRS), range(600))
    parameters = ArticleInitialization(scale=0.3)(V, 12, np.random.default_rng(1))
    records = Trainer(
        EXAMPLES["sparse"](), parameters, epochs=600, learning_rate=0.01, callbacks=[validation]
    ).train()
    best = min(validation.costs, key=lambda epoch: validation.costs[epoch])
    assert 0 < best < 500
    assert validation.costs[599] > validation.costs[best] + 0.01
    assert records[599].cost < records[best].cost - 0.01
