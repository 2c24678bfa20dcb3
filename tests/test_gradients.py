"""The gradients of the full softmax: by finite differences, and against the article's formulas, pair by pair.

Gradients are read off a real step of the trainer: plain descent at learning rate 1 moves every parameter by
its gradient.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.pairs import Pairs
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.training.trainer import EpochRecord, Trainer

LABELS = ("dense", "sparse")
UPDATES = ("accumulate", "overwrite")
EMBEDDING_GRADIENTS = ("sum", "mean")
DIFFERENCE = 1e-5  # central differences of a smooth function in float64 are then right to about 1e-10


class StepTaken(NamedTuple):
    record: EpochRecord
    embedding_gradient: np.ndarray
    output_gradient: np.ndarray


def random_pairs(seed, pairs=20, vocabulary_size=6):
    """Pairs among few words: centres, labels and whole pairs repeat, and the last word is no centre."""
    generator = np.random.default_rng(seed)
    centres = generator.integers(0, vocabulary_size - 1, pairs).astype(np.int32)
    contexts = generator.integers(0, vocabulary_size, pairs).astype(np.int32)
    centres[-1], contexts[-1] = centres[0], contexts[0]
    return Pairs(centres, contexts, vocabulary_size)


def random_parameters(seed, vocabulary_size=6, dim=3, scale=0.7, dtype=np.float64):
    generator = np.random.default_rng([seed, 1])
    embedding, output = generator.standard_normal((2, vocabulary_size, dim)) * scale
    return Parameters(embedding.astype(dtype), output.astype(dtype))


def take_step(pairs, parameters, labels="sparse", **objective):
    """Take one full-batch step at learning rate 1; the parameters that are given stay as they are."""
    trained = Parameters(parameters.embedding.copy(), parameters.output.copy())
    examples = Examples(
        pairs, labels=labels, batch_size=len(pairs), order="corpus", dtype=parameters.embedding.dtype
    )
    (record,) = Trainer(
        examples, trained, objective=Softmax(**objective), epochs=1, learning_rate=1.0
    ).train()
    return StepTaken(record, parameters.embedding - trained.embedding, parameters.output - trained.output)


def plain_step(pairs, parameters, update="accumulate", embedding_gradient="sum", epsilon=0.0):
    """The article: Z = W·h, p = exp(Z) / (Σ exp(Z) + ε), cost −log(p + ε), dZ = p − Y; pair by pair."""
    embedding, output, m = parameters.embedding, parameters.output, len(pairs)
    cost = article_cost = 0.0
    d_embedding, d_output = np.zeros_like(embedding), np.zeros_like(output)
    for centre, context in zip(pairs.centres, pairs.contexts, strict=True):
        scores = output @ embedding[centre]
        cost += (np.logaddexp.reduce(scores) - scores[context]) / m
        p = np.exp(scores) / (np.exp(scores).sum() + epsilon)
        article_cost -= np.log(p[context] + epsilon) / m
        p[context] -= 1
        d_output += np.outer(p, embedding[centre]) / m
        d_hidden = output.T @ p
        if embedding_gradient == "mean":
            d_hidden /= m
        if update == "accumulate":
            d_embedding[centre] += d_hidden
        else:
            d_embedding[centre] = d_hidden
    return cost, article_cost, d_embedding, d_output


def differences(pairs, parameters, labels, wanted):
    """Return the central differences of the mean cost with respect to every number of a matrix."""
    matrix = getattr(parameters, wanted)
    gradient = np.empty_like(matrix)
    for place in np.ndindex(*matrix.shape):
        costs = []
        for sign in (1, -1):
            moved = Parameters(parameters.embedding.copy(), parameters.output.copy())
            getattr(moved, wanted)[place] += sign * DIFFERENCE
            costs.append(take_step(pairs, moved, labels).record.cost)
        gradient[place] = (costs[0] - costs[1]) / (2 * DIFFERENCE)
    return gradient


# ---------------------------------------------------------------- finite differences, epsilon 0


@pytest.mark.parametrize(("labels", "seed"), [*product(LABELS, range(3))])
def test_the_output_gradient_is_that_of_the_mean_cost(labels, seed):
    pairs, parameters = random_pairs(seed), random_parameters(seed)
    expected = differences(pairs, parameters, labels, "output")
    assert np.abs(expected).max() > 0.01
    for update, embedding_gradient in product(UPDATES, EMBEDDING_GRADIENTS):
        step = take_step(pairs, parameters, labels, update=update, embedding_gradient=embedding_gradient)
        np.testing.assert_allclose(step.output_gradient, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("labels", "seed"), [*product(LABELS, range(3))])
def test_the_embedding_gradient_is_that_of_the_mean_or_of_the_summed_cost(labels, seed):
    pairs, parameters = random_pairs(seed), random_parameters(seed)
    expected = differences(pairs, parameters, labels, "embedding")
    assert np.abs(expected[:-1]).max() > 0.01
    assert not expected[-1].any()  # the last word is no centre
    mean = take_step(pairs, parameters, labels, embedding_gradient="mean")
    summed = take_step(pairs, parameters, labels, embedding_gradient="sum")
    np.testing.assert_allclose(mean.embedding_gradient, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(summed.embedding_gradient, len(pairs) * expected, rtol=0, atol=2e-8)


# ---------------------------------------------------------------- the article's formulas

EVERY_WORD = Pairs(np.arange(60, dtype=np.int32) % 6, np.arange(60, dtype=np.int32) ** 2 % 6, 6)
SHAPES = {
    "small": (random_pairs(7), random_parameters(7)),
    "one pair": (random_pairs(7, pairs=1), random_parameters(7)),
    "every word a centre": (EVERY_WORD, random_parameters(7)),
    "many words": (
        random_pairs(7, pairs=64, vocabulary_size=3000),
        random_parameters(7, vocabulary_size=3000, dim=20, scale=0.3),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("epsilon", [0.0, 0.001, 0.3])
@pytest.mark.parametrize(("labels", "update", "mean"), [*product(LABELS, UPDATES, EMBEDDING_GRADIENTS)])
def test_a_step_is_that_of_the_plain_formulas(labels, update, mean, epsilon, shape):
    pairs, parameters = SHAPES[shape]
    choice = {"update": update, "embedding_gradient": mean, "epsilon": epsilon}
    step = take_step(pairs, parameters, labels, **choice)
    cost, article_cost, d_embedding, d_output = plain_step(pairs, parameters, **choice)
    assert step.record.cost == pytest.approx(cost, abs=1e-12)
    if epsilon:
        assert step.record.article_cost == pytest.approx(article_cost, abs=1e-12)
    else:
        assert np.isnan(step.record.article_cost)
    np.testing.assert_allclose(step.embedding_gradient, d_embedding, rtol=0, atol=1e-12)
    np.testing.assert_allclose(step.output_gradient, d_output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("labels", LABELS)
def test_overwrite_is_what_numpy_makes_of_repeated_ids(labels):
    pairs, parameters = random_pairs(3), random_parameters(3)
    ids = pairs.centres
    hidden = parameters.embedding[ids]
    scores = np.exp(hidden @ parameters.output.T)
    d_scores = scores / (scores.sum(axis=1, keepdims=True) + 0.001)
    d_scores[np.arange(len(pairs)), pairs.contexts] -= 1
    expected = parameters.embedding.copy()
    expected[ids] -= d_scores @ parameters.output  # the article's line
    step = take_step(pairs, parameters, labels, update="overwrite", epsilon=0.001)
    np.testing.assert_allclose(step.embedding_gradient, parameters.embedding - expected, rtol=0, atol=1e-12)
    kept = take_step(pairs, parameters, labels, update="accumulate", epsilon=0.001)
    assert np.abs(kept.embedding_gradient - step.embedding_gradient).max() > 0.1  # the others are lost


def test_overwrite_loses_nothing_where_no_centre_repeats():
    pairs = Pairs(np.array([2, 0, 4], np.int32), np.array([1, 1, 5], np.int32), 6)
    parameters = random_parameters(0)
    kept, lost = (take_step(pairs, parameters, update=update) for update in UPDATES)
    np.testing.assert_allclose(kept.embedding_gradient, lost.embedding_gradient, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("labels", "update"), [*product(LABELS, UPDATES)])
def test_training_in_batches_follows_the_plain_formulas(labels, update):
    pairs, parameters = random_pairs(5, pairs=23), random_parameters(5)
    expected = Parameters(parameters.embedding.copy(), parameters.output.copy())
    examples = Examples(pairs, labels=labels, batch_size=5, order="corpus")
    objective = Softmax(update=update, epsilon=0.001)
    trainer = Trainer(examples, parameters, objective=objective, epochs=7, learning_rate=0.3)
    for record in trainer.train():
        costs, article_cost = 0.0, 0.0
        for start in range(0, 23, 5):
            batch = Pairs(pairs.centres[start : start + 5], pairs.contexts[start : start + 5], 6)
            cost, batch_article_cost, d_embedding, d_output = plain_step(
                batch, expected, update, "sum", 0.001
            )
            expected.embedding[:] -= 0.3 * d_embedding
            expected.output[:] -= 0.3 * d_output
            costs += cost * len(batch)
            article_cost += batch_article_cost
        assert record.cost == pytest.approx(costs / 23, abs=1e-11)
        assert record.article_cost == pytest.approx(article_cost, abs=1e-11)
    np.testing.assert_allclose(parameters.embedding, expected.embedding, rtol=0, atol=1e-11)
    np.testing.assert_allclose(parameters.output, expected.output, rtol=0, atol=1e-11)


# ---------------------------------------------------------------- large scores, float32


@pytest.mark.parametrize("labels", LABELS)
def test_scores_beyond_the_range_of_exp_do_no_harm(labels):
    pairs, parameters = random_pairs(1), random_parameters(1, scale=60)
    scores = parameters.embedding @ parameters.output.T
    assert scores.max() > 1000
    assert scores.min() < -1000
    log_normalizers = np.logaddexp.reduce(scores, axis=1)
    expected = np.mean(log_normalizers[pairs.centres] - scores[pairs.centres, pairs.contexts])
    step = take_step(pairs, parameters, labels)
    assert step.record.cost == pytest.approx(expected, rel=1e-12)
    assert np.isfinite(step.embedding_gradient).all()
    assert np.isfinite(step.output_gradient).all()


@pytest.mark.parametrize(("labels", "update"), [*product(LABELS, UPDATES)])
def test_float32_gives_the_same_gradients_to_its_precision(labels, update):
    pairs, parameters = random_pairs(2, pairs=200), random_parameters(2)
    rounded = Parameters(parameters.embedding.astype(np.float32), parameters.output.astype(np.float32))
    exact = take_step(pairs, parameters, labels, update=update, epsilon=0.001)
    step = take_step(pairs, rounded, labels, update=update, epsilon=0.001)
    assert step.embedding_gradient.dtype == step.output_gradient.dtype == np.float32
    assert step.record.cost == pytest.approx(exact.record.cost, rel=1e-6)
    assert step.record.article_cost == pytest.approx(exact.record.article_cost, rel=1e-6)
    scale = np.abs(exact.embedding_gradient).max()
    np.testing.assert_allclose(step.embedding_gradient, exact.embedding_gradient, rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(step.output_gradient, exact.output_gradient, rtol=0, atol=1e-5)


# ---------------------------------------------------------------- probabilities and settings


def test_probabilities_are_the_softmax_of_the_scores():
    parameters = random_parameters(4, scale=60)
    centres = np.array([3, 0, 3])
    probabilities = Softmax().probabilities(parameters, centres)
    scores = parameters.embedding[centres] @ parameters.output.T
    expected = np.exp(scores - np.logaddexp.reduce(scores, axis=1)[:, None])
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"update": "overwritten"}, "update=overwritten: not an option, did you mean overwrite?"),
        ({"embedding_gradient": "summed"}, "embedding_gradient=summed: not an option, did you mean sum?"),
        ({"epsilon": -0.001}, "epsilon=-0.001: must be a number at least 0."),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(SettingError) as refusal:
        Softmax(**setting)
    assert str(refusal.value).startswith(message)
