"""Training from counts: the same model, exactly."""

import itertools

import numpy as np
import pytest
from counted_cost import check_gradients, table_of

from w2v_exp.errors import CorpusError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.sampling import PaperSubsampling, TextSampler, Word2VecSubsampling
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.softmax import OUTPUT_OFFSETS, Softmax
from w2v_exp.training.optimizers import OPTIMIZERS
from w2v_exp.training.trainer import Trainer

V, DIM, WINDOW = 30, 5, 3
IDS = np.minimum(np.random.default_rng(1).geometric(0.12, 400) - 1, V - 1).astype(np.int32)


def parameters_for(examples, objective, scale=0.3):
    drawn = ArticleInitialization(scale)(V, DIM, np.random.default_rng(0))
    return Parameters(
        drawn.embedding, drawn.output, objective.initial_offset(examples.context_shares, np.float64)
    )


def train(examples, objective, optimizer):
    parameters = parameters_for(examples, objective)
    records = Trainer(
        examples, parameters, objective=objective, optimizer=optimizer, epochs=7, learning_rate=0.01
    ).train()
    return parameters, [record.cost for record in records]


@pytest.mark.parametrize(
    ("optimizer", "gradient", "offset"), list(itertools.product(OPTIMIZERS, ("sum", "mean"), OUTPUT_OFFSETS))
)
def test_one_slice_of_all_centres_is_one_full_batch_of_sparse_labels(optimizer, gradient, offset):
    objective = Softmax(embedding_gradient=gradient, output_offset=offset)
    pairs = window_pairs(IDS, WINDOW, V)
    listed, listed_costs = train(Examples(pairs, batch_size=len(pairs)), objective, OPTIMIZERS[optimizer]())
    counts = count_window_pairs([IDS], WINDOW, V)
    counted, counted_costs = train(
        CountedExamples(counts, CountsRule(centres=V)), objective, OPTIMIZERS[optimizer]()
    )
    np.testing.assert_allclose(counted.embedding, listed.embedding, rtol=0, atol=1e-10)
    np.testing.assert_allclose(counted.output, listed.output, rtol=0, atol=1e-10)
    np.testing.assert_allclose(counted_costs, listed_costs, rtol=0, atol=1e-10)
    if offset != "none":
        np.testing.assert_allclose(counted.offset, listed.offset, rtol=0, atol=1e-10)


@pytest.mark.parametrize("order", ["corpus", "blocks", "shuffled"])
def test_slices_share_out_all_pairs_and_divide_by_all_of_them(order):
    counts = count_window_pairs([IDS], WINDOW, V)
    examples = CountedExamples(counts, CountsRule(centres=7), order=order)
    batches = list(examples.batches(np.random.default_rng(0)))
    assert len(batches) == examples.batches_per_epoch
    centres = np.concatenate([batch.centres for batch in batches])
    assert sorted(centres.tolist()) == sorted(set(IDS.tolist()))
    assert sum(batch.pairs for batch in batches) == counts.total == examples.pairs_per_epoch
    assert {batch.all_pairs for batch in batches} == {counts.total}
    # At fixed parameters the slices' gradients add up to the full one.
    objective = Softmax()
    parameters = parameters_for(examples, objective)
    (whole,) = CountedExamples(counts, CountsRule(centres=V)).batches(np.random.default_rng(0))
    full = objective.step(parameters, whole)
    sliced = [objective.step(parameters, batch) for batch in batches]
    np.testing.assert_allclose(sum(step.output_gradient for step in sliced), full.output_gradient, atol=1e-14)
    assert sum(step.cost for step in sliced) == pytest.approx(full.cost)


@pytest.mark.parametrize("rule", [CountsRule(V), CountsRule(V, smoothing=4.0), CountsRule(V, 4.0, 0.6, 0.75)])
@pytest.mark.parametrize("offset", OUTPUT_OFFSETS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_gradients_are_those_of_the_smoothed_and_weighted_cost(rule, offset, weight_decay):
    examples = CountedExamples(count_window_pairs([IDS], WINDOW, V), rule)
    objective = Softmax(embedding_gradient="mean", output_offset=offset, weight_decay=weight_decay)
    check_gradients(objective, examples, parameters_for(examples, objective), tolerance=1e-9)


def test_the_cost_is_that_of_the_pairs_whatever_is_smoothed():
    counts = count_window_pairs([IDS], WINDOW, V)
    objective = Softmax()
    costs = []
    for rule in (CountsRule(V), CountsRule(V, 10.0, 0.5, 0.5)):
        examples = CountedExamples(counts, rule)
        (batch,) = examples.batches(np.random.default_rng(0))
        costs.append(objective.step(parameters_for(examples, objective), batch).cost)
    assert costs[0] == pytest.approx(costs[1])


def test_sampled_counts_are_means_over_the_samples():
    exact = CountsRule().count(IDS, WINDOW, V, np.random.default_rng(0))
    subsampling, passes = PaperSubsampling(0.01), 4
    sampled = CountsRule(sampled_passes=passes).count(
        IDS, WINDOW, V, np.random.default_rng(0), subsampling=subsampling, shrinking_window=True
    )
    generator = np.random.default_rng(0)
    keep = subsampling.keep_probabilities(np.bincount(IDS, minlength=V))
    texts = [TextSampler(IDS, WINDOW, generator, keep=keep).whole().ids for _ in range(passes)]
    expected = sum(table_of(count_window_pairs([text], WINDOW, V, shrinking=True)) for text in texts) / passes
    np.testing.assert_allclose(table_of(sampled), expected, rtol=1e-6)
    assert sampled.total < exact.total


def test_a_threshold_that_keeps_every_word_leaves_counts_exact():
    exact = CountsRule().count(IDS, WINDOW, V, np.random.default_rng(0))
    kept_all = CountsRule().count(
        IDS, WINDOW, V, np.random.default_rng(0), subsampling=Word2VecSubsampling(0.99)
    )
    np.testing.assert_array_equal(table_of(kept_all), table_of(exact))


def test_counts_do_not_cross_segments():
    segments = np.array([0, 7, 7, 250, len(IDS)])
    counts = CountsRule().count(IDS, WINDOW, V, np.random.default_rng(0), segments=segments)
    centres, contexts, expected = window_pairs(IDS, WINDOW, V, segments).distinct()
    assert counts.total == expected.sum()
    np.testing.assert_array_equal(table_of(counts)[centres, contexts], expected)


def test_a_text_without_pairs_is_refused():
    with pytest.raises(CorpusError, match="no pair to train on"):
        CountedExamples(count_window_pairs([IDS[:1]], WINDOW, V))
