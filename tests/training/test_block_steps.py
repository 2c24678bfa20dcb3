"""Steps on blocks: gradient descent where a step is small, and a bounded one where it would be too large."""

from __future__ import annotations

import numpy as np
import pytest

from w2v_exp.errors import TrainingDivergedError
from w2v_exp.examples.blocks import BlockExamples
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.parameters import Parameters, Word2VecInitialization
from w2v_exp.training import steps
from w2v_exp.training.steps import BlockSteps
from w2v_exp.training.trainer import Trainer

V, DIM, WINDOW = 200, 20, 5
# As frequent as words are in natural text: the most frequent one is a sixth of it.
SHARES = 1 / np.arange(1, V + 1) / (1 / np.arange(1, V + 1)).sum()
IDS = np.random.default_rng(0).choice(V, 20_000, p=SHARES).astype(np.int32)


def trainer_of(
    context: str | None = None,
    tokens: int = 1024,
    rate: float = 0.05,
    epochs: int = 4,
    dtype: type = np.float32,
) -> Trainer:
    generator = np.random.default_rng(3)
    parameters = Word2VecInitialization()(V, DIM, generator, dtype)
    rule = NegativeSampling(group=32, shared=32)
    examples = BlockExamples(IDS, WINDOW, V, tokens, passage=32, context=context)
    objective = rule.bind(examples, np.bincount(IDS, minlength=V), generator)
    steps = BlockSteps(objective, parameters)
    return Trainer(examples, parameters, steps=steps, epochs=epochs, learning_rate=rate, generator=generator)


@pytest.mark.parametrize("context", [None, "mean", "sum"])
@pytest.mark.parametrize("tokens", [1024, 8192])
def test_frequent_words_do_not_make_large_blocks_diverge(context: str | None, tokens: int) -> None:
    trainer = trainer_of(context, tokens, rate=0.05)
    records = trainer.train()
    # The costs of three blocks an epoch jump up and down, but stay.
    assert max(record.cost for record in records) < 1.1 * records[0].cost
    assert np.abs(trainer.parameters.embedding).max() < 10


def test_without_the_bound_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "CURVATURE_SHARE", 1e-9)
    trainer = trainer_of(tokens=8192, rate=0.05)
    records = trainer.train()
    assert records[-1].cost > 100
    assert np.abs(trainer.parameters.embedding).max() > 1000


def test_a_small_step_is_that_of_gradient_descent() -> None:
    trainer = trainer_of(dtype=np.float64, tokens=64)
    parameters = Parameters(*np.random.default_rng(1).standard_normal((2, V, DIM)))
    before = Parameters(parameters.embedding.copy(), parameters.output.copy())
    rule = NegativeSampling(sharing="all")
    generator = np.random.default_rng(0)
    objective = rule.bind(trainer.examples, np.ones(V, np.int64), generator)
    block = next(iter(trainer.examples.batches(generator)))
    gradients = objective.block_gradients(before, block, objective.draw(block))
    rate = 1e-9
    cost, _ = BlockSteps(objective, parameters).step(block, rate)
    assert cost == gradients.cost
    embedding, output = np.zeros((2, V, DIM))
    np.add.at(embedding, gradients.embedding.words, gradients.embedding.gradient)
    np.add.at(output, gradients.output.words, gradients.output.gradient)
    assert (before.embedding - parameters.embedding) / rate == pytest.approx(embedding, abs=1e-3)
    assert (before.output - parameters.output) / rate == pytest.approx(output, abs=1e-3)


def test_a_cost_that_is_not_finite_changes_nothing() -> None:
    trainer = trainer_of()
    parameters = trainer.parameters
    parameters.embedding[3] = np.nan
    before = parameters.output.copy()
    with pytest.raises(TrainingDivergedError, match="cost is nan"):
        trainer.train()
    assert (parameters.output == before).all()


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = trainer_of(epochs=1), trainer_of(epochs=1)
    first.train()
    second.train()
    assert first.parameters.embedding.tobytes() == second.parameters.embedding.tobytes()
    assert first.parameters.output.tobytes() == second.parameters.output.tobytes()


def test_rows_are_bounded_less_in_smaller_blocks_and_fewer_words() -> None:
    """The size that blocks are said to have decides how far a step on the same block moves rows."""

    def moved(tokens: int, words: int) -> float:
        trainer = trainer_of(dtype=np.float64)
        parameters = Parameters(*np.random.default_rng(1).standard_normal((2, words, DIM)))
        before = parameters.embedding.copy()
        generator = np.random.default_rng(0)
        objective = NegativeSampling().bind(trainer.examples, np.bincount(IDS, minlength=words), generator)
        steps = BlockSteps(objective, parameters, tokens)
        steps.step(next(iter(trainer.examples.batches(generator))), 0.05)
        return float(np.abs(parameters.embedding - before).sum())

    assert moved(32, 10_000) > 1.5 * moved(256, 10_000) > 2 * moved(1024, 10_000)
    assert moved(1024, 10_000) == moved(8192, 10_000)
    assert moved(32, 10_000) > moved(32, 1000) > moved(32, V) == moved(64, V) > moved(1024, V)
