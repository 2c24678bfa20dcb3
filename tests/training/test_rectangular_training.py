"""The exact softmax with fewer centres than contexts: gradients, costs, and equality with the square model."""

import numpy as np
import pytest
from counted_cost import check_gradients, table_of
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.errors import SettingError
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.softmax import OUTPUT_OFFSETS, Softmax, exact_cost
from w2v_exp.training.optimizers import OPTIMIZERS, Adagrad
from w2v_exp.training.trainer import Trainer

V, C, DIM, WINDOW = 9, 30, 5, 3
IDS = np.minimum(np.random.default_rng(1).geometric(0.12, 400) - 1, C - 1).astype(np.int32)
FULL = CountsRule(C)
WEIGHTED = CountsRule(C, smoothing=4.0, centre_exponent=0.6, count_exponent=0.75)


def counts_of(centres=V):
    return count_window_pairs([IDS], WINDOW, C, shrinking=True, centre_words=centres)


def drawn(objective, examples):
    parameters = ArticleInitialization(0.3)(C, DIM, np.random.default_rng(0)).of_centres(
        examples.centre_words
    )
    return objective.initial_parameters(parameters, examples)


@pytest.mark.parametrize("rule", [FULL, WEIGHTED])
@pytest.mark.parametrize("offset", OUTPUT_OFFSETS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_gradients_are_those_of_finite_differences(rule, offset, weight_decay):
    examples = CountedExamples(counts_of(), rule)
    objective = Softmax(embedding_gradient="mean", output_offset=offset, weight_decay=weight_decay)
    check_gradients(objective, examples, drawn(objective, examples), tolerance=1e-8)


@property_settings(deadline=None, max_examples=40)
@given(st.integers(1, C + 3), st.integers(1, C), st.sampled_from(["corpus", "blocks", "shuffled"]))
def test_slices_share_out_the_pairs_of_the_centres(centres, size, order):
    counts = counts_of(centres)
    examples = CountedExamples(counts, CountsRule(size, smoothing=2.0), order=order)
    objective = Softmax(output_offset="unigram")
    parameters = drawn(objective, examples)
    steps, done = [], []
    for batch in examples.batches(np.random.default_rng(0)):
        steps.append(objective.step(parameters, batch))
        done += batch.centres.tolist()
    assert sorted(done) == np.flatnonzero(counts.by_centre()).tolist()
    cost = sum(step.cost for step in steps) / counts.total
    assert cost == pytest.approx(exact_cost(parameters, counts))
    scores = parameters.embedding @ parameters.output.T + parameters.offset
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    assert cost == pytest.approx(-(table_of(counts) * log_p).sum() / counts.total)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_are_those_of_all_words_in_which_other_centres_have_no_pairs(optimizer):
    """The same slices of a square model whose other rows are empty."""
    some = counts_of()
    ends = np.append(some.starts, np.full(C - V, some.starts[-1]))
    padded = type(some)(ends, some.contexts, some.counts)
    trained = []
    for counts in (some, padded):
        examples = CountedExamples(counts, CountsRule(4, smoothing=3.0), order="corpus")
        objective = Softmax(output_offset="learned", weight_decay=0.01, embedding_gradient="mean")
        parameters = drawn(objective, examples)
        Trainer(
            examples,
            parameters,
            objective=objective,
            optimizer=OPTIMIZERS[optimizer](),
            epochs=5,
            learning_rate=0.05,
        ).train()
        trained.append(parameters)
    assert trained[0].embedding.shape == (V, DIM)
    np.testing.assert_array_equal(trained[0].embedding, trained[1].embedding[:V])
    np.testing.assert_array_equal(trained[0].output, trained[1].output)
    np.testing.assert_array_equal(trained[0].offset, trained[1].offset)


@pytest.mark.parametrize("threads", [1, 3])
def test_all_words_as_centres_give_the_same_bytes(threads, monkeypatch):
    monkeypatch.setattr("w2v_exp.training.steps.SMALLEST_PART", 10)
    trained = []
    for rule in (CountsRule(7), CountsRule(7, centre_words=C), CountsRule(7, centre_words=C + 1)):
        counts = rule.count(IDS, WINDOW, C, np.random.default_rng(0), shrinking_window=True)
        examples = CountedExamples(counts, rule)
        parameters = drawn(Softmax(), examples)
        Trainer(
            examples, parameters, optimizer=Adagrad(), epochs=3, learning_rate=0.1, threads=threads
        ).train()
        trained.append(parameters.embedding.tobytes() + parameters.output.tobytes())
    assert trained[0] == trained[1] == trained[2]


def test_threads_share_out_few_centres(monkeypatch):
    monkeypatch.setattr("w2v_exp.training.steps.SMALLEST_PART", 10)
    trained = []
    for threads in (1, 3):
        examples = CountedExamples(counts_of(), CountsRule(5))
        parameters = drawn(Softmax(), examples)
        Trainer(
            examples, parameters, optimizer=Adagrad(), epochs=3, learning_rate=0.1, threads=threads
        ).train()
        trained.append(parameters)
    np.testing.assert_allclose(trained[0].embedding, trained[1].embedding, atol=1e-12)
    np.testing.assert_allclose(trained[0].output, trained[1].output, atol=1e-12)


def test_parameters_must_have_a_row_for_each_centre():
    examples = CountedExamples(counts_of())
    square = Parameters(np.zeros((C, DIM)), np.zeros((C, DIM)))
    with pytest.raises(SettingError, match=r"must have a row for each of the 9 words"):
        Trainer(examples, square)
