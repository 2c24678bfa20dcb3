"""The hierarchical softmax: probabilities, cost and gradients, against the definition and by finite differences."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.sparse import csc_array

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.pairs import Pairs
from w2v_exp.model import hierarchical_softmax
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax, TreeSoftmax
from w2v_exp.model.huffman import HuffmanTree, left_matrix, path_matrix
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.tree_counts import TreeTop, label_matrix, lower_counts
from w2v_exp.training.optimizers import OPTIMIZERS
from w2v_exp.training.trainer import Trainer

V, DIM = 13, 3
DIFFERENCE = 1e-5


def random_pairs(seed=0, pairs=60, words=V):
    """Pairs that repeat, and frequencies that differ; the last word is no centre, and the second no context."""
    generator = np.random.default_rng(seed)
    centres, contexts = np.minimum(generator.geometric(0.2, (2, pairs)) - 1, words - 1).astype(np.int32)
    centres[centres == words - 1] = 0
    contexts[contexts == 1] = 0
    return Pairs(centres, contexts, words)


def random_parameters(seed=0, words=V, dim=DIM, scale=0.7, dtype=np.float64):
    generator = np.random.default_rng([seed, 1])
    embedding = generator.standard_normal((words, dim)) * scale
    nodes = generator.standard_normal((max(0, words - 1), dim)) * scale
    return Parameters(embedding.astype(dtype), nodes.astype(dtype))


def copied(parameters):
    return Parameters(parameters.embedding.copy(), parameters.output.copy())


def examples_of(labels, pairs, dtype=np.float64, **rule):
    if labels == "counts":
        rule = CountsRule(**({"centres": pairs.vocabulary_size} | rule))
        return CountedExamples(PairCounts.of(pairs), rule, order="corpus", dtype=dtype)
    return Examples(pairs, labels=labels, batch_size=len(pairs), dtype=dtype)


def step_of(labels, pairs, parameters, embedding_gradient="mean", **rule):
    examples = examples_of(labels, pairs, parameters.output.dtype, **rule)
    (batch,) = examples.batches(np.random.default_rng(0))
    return batch, HierarchicalSoftmax(embedding_gradient).bind(examples).step(parameters, batch)


def plain(pairs, parameters):
    """The definition, pair by pair and node by node: the mean cost, and its gradients."""
    tree, m = HuffmanTree.of(pairs.by_context()), len(pairs)
    cost, by_embedding, by_node = 0.0, np.zeros_like(parameters.embedding), np.zeros_like(parameters.output)
    for centre, context in zip(pairs.centres, pairs.contexts, strict=True):
        path = slice(tree.starts[context], tree.starts[context + 1])
        for node, turn in zip(tree.nodes[path], tree.branches[path].astype(float), strict=True):
            score = parameters.embedding[centre] @ parameters.output[node]
            cost += np.logaddexp(0, -turn * score) / m
            by_score = -turn / (1 + np.exp(turn * score)) / m
            by_embedding[centre] += by_score * parameters.output[node]
            by_node[node] += by_score * parameters.embedding[centre]
    return cost, by_embedding, by_node


# ---------------------------------------------------------------- probabilities


@pytest.mark.parametrize("words", [1, 2, 3, 50, 700])
def test_probabilities_sum_to_one(words):
    counts = np.random.default_rng(words).integers(0, 1000, words)
    objective, parameters = TreeSoftmax(HuffmanTree.of(counts)), random_parameters(words=words, scale=2.0)
    probabilities = objective.probabilities(parameters, np.arange(words))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert probabilities.shape == (words, words)
    assert (probabilities > 0).all()


def test_the_cost_is_that_of_the_probabilities():
    pairs, parameters = random_pairs(), random_parameters()
    objective = TreeSoftmax(HuffmanTree.of(pairs.by_context()))
    probabilities = objective.probabilities(parameters, np.arange(V))
    expected = -np.log(probabilities[pairs.centres, pairs.contexts]).mean()
    batch, step = step_of("sparse", pairs, parameters)
    assert step.cost / batch.pairs == pytest.approx(expected, abs=1e-12)
    assert objective.exact_cost(parameters, PairCounts.of(pairs)) == pytest.approx(expected, abs=1e-12)


def test_the_exact_cost_does_not_depend_on_how_much_is_done_at_once(monkeypatch):
    pairs, parameters = random_pairs(), random_parameters()
    objective = TreeSoftmax(HuffmanTree.of(pairs.by_context()))
    expected = objective.exact_cost(parameters, PairCounts.of(pairs))
    monkeypatch.setattr("w2v_exp.model.hierarchical_softmax.CHUNK_LABELS", 20)
    assert objective.exact_cost(parameters, PairCounts.of(pairs)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("scale", [100.0, 1e4])
def test_scores_beyond_the_exponential_cost_what_they_are(scale):
    pairs = random_pairs()
    with np.errstate(all="raise", under="ignore"):
        parameters = random_parameters(scale=scale)
        batch, step = step_of("sparse", pairs, parameters)
    cost, by_embedding, by_node = plain_without_overflow(pairs, parameters)
    assert step.cost / batch.pairs == pytest.approx(cost, rel=1e-12)
    np.testing.assert_allclose(step.embedding_gradient, by_embedding[batch.centres], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(step.output_gradient, by_node, rtol=1e-9, atol=1e-9)


def plain_without_overflow(pairs, parameters):
    with np.errstate(over="ignore"):
        return plain(pairs, parameters)


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize(("labels", "seed"), [*product(("dense", "sparse", "counts"), range(2))])
def test_gradients_are_differences_of_the_mean_cost(labels, seed):
    pairs, parameters = random_pairs(seed), random_parameters(seed)
    batch, step = step_of(labels, pairs, parameters)
    gradients = np.zeros_like(parameters.embedding), step.output_gradient
    gradients[0][batch.centres] = step.embedding_gradient
    for name, gradient in zip(("embedding", "output"), gradients, strict=True):
        for place in np.ndindex(*gradient.shape):
            costs = []
            for sign in (1, -1):
                moved = copied(parameters)
                getattr(moved, name)[place] += sign * DIFFERENCE
                costs.append(step_of(labels, pairs, moved)[1].cost / batch.pairs)
            assert gradient[place] == pytest.approx((costs[0] - costs[1]) / (2 * DIFFERENCE), abs=1e-9)


@pytest.mark.parametrize("labels", ["dense", "sparse", "counts"])
@pytest.mark.parametrize("width", [1, 5, V - 1])
def test_a_step_is_that_of_the_definition_however_nodes_are_divided(labels, width, monkeypatch):
    pairs, parameters = random_pairs(3, pairs=150), random_parameters(3)
    numbers = {
        "CENTRES": 4,
        "PASSES": 1e9,
        "SMALLEST_TOP": width,
        "GATHERED_SCORES": 7,
        "BLOCK_NODES": 3,
        "CACHED_SCORES": 20,
    }
    for name, number in numbers.items():
        monkeypatch.setattr(hierarchical_softmax, name, number)
    batch, step = step_of(labels, pairs, parameters)
    cost, by_embedding, by_node = plain(pairs, parameters)
    assert step.cost / batch.pairs == pytest.approx(cost, abs=1e-12)
    np.testing.assert_allclose(step.embedding_gradient, by_embedding[batch.centres], rtol=0, atol=1e-12)
    np.testing.assert_allclose(step.output_gradient, by_node, rtol=0, atol=1e-12)


def test_the_sum_is_the_mean_times_the_pairs():
    pairs, parameters = random_pairs(), random_parameters()
    _, mean = step_of("sparse", pairs, parameters, "mean")
    _, summed = step_of("sparse", pairs, parameters, "sum")
    np.testing.assert_allclose(summed.embedding_gradient, mean.embedding_gradient * len(pairs), rtol=1e-13)
    np.testing.assert_array_equal(summed.output_gradient, mean.output_gradient)


def test_weight_decay_is_the_gradient_of_its_penalty():
    pairs, parameters = random_pairs(), random_parameters()
    examples = examples_of("sparse", pairs)
    (batch,) = examples.batches(np.random.default_rng(0))
    steps = [HierarchicalSoftmax("mean", decay).bind(examples).step(parameters, batch) for decay in (0, 0.1)]
    assert steps[0].cost == steps[1].cost
    weights = np.bincount(pairs.centres, minlength=V)[batch.centres] / len(pairs)
    np.testing.assert_allclose(
        steps[1].embedding_gradient - steps[0].embedding_gradient,
        0.1 * weights[:, None] * parameters.embedding[batch.centres],
        rtol=0,
        atol=1e-14,
    )
    np.testing.assert_allclose(
        steps[1].output_gradient - steps[0].output_gradient,
        0.1 / (V - 1) * parameters.output,
        rtol=0,
        atol=1e-14,
    )


def test_one_word_costs_nothing():
    pairs = Pairs(np.zeros(4, np.int32), np.zeros(4, np.int32), 1)
    for labels in ("dense", "sparse", "counts"):
        _, step = step_of(labels, pairs, random_parameters(words=1))
        assert step.cost == 0
        assert not step.embedding_gradient.any()
        assert step.output_gradient.shape == (0, DIM)


def test_single_precision_is_near_double():
    pairs = random_pairs(1, pairs=400)
    _, double = step_of("counts", pairs, random_parameters(1))
    _, single = step_of("counts", pairs, random_parameters(1, dtype=np.float32))
    assert single.embedding_gradient.dtype == single.output_gradient.dtype == np.float32
    assert single.cost == pytest.approx(double.cost, rel=1e-6)
    np.testing.assert_allclose(single.embedding_gradient, double.embedding_gradient, rtol=0, atol=1e-6)
    np.testing.assert_allclose(single.output_gradient, double.output_gradient, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- training


@pytest.mark.parametrize("embedding_gradient", ["sum", "mean"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_slice_of_all_centres_takes_the_steps_of_one_full_batch(optimizer, embedding_gradient):
    pairs, trained = random_pairs(2, pairs=200), []
    for labels in ("dense", "sparse", "counts"):
        parameters, examples = random_parameters(2), examples_of(labels, pairs)
        rate = 0.002 if embedding_gradient == "sum" else 0.1
        objective = HierarchicalSoftmax(embedding_gradient).bind(examples)
        Trainer(
            examples,
            parameters,
            objective=objective,
            optimizer=OPTIMIZERS[optimizer](),
            epochs=20,
            learning_rate=rate,
        ).train()
        trained.append(parameters)
    for parameters in trained[1:]:
        np.testing.assert_allclose(parameters.embedding, trained[0].embedding, rtol=0, atol=1e-10)
        np.testing.assert_allclose(parameters.output, trained[0].output, rtol=0, atol=1e-10)


@pytest.mark.parametrize("order", ["corpus", "blocks", "shuffled"])
def test_the_slices_of_an_epoch_add_up_to_all_pairs(order):
    pairs, parameters = random_pairs(4, pairs=300), random_parameters(4)
    cost, by_embedding, by_node = plain(pairs, parameters)
    examples = CountedExamples(PairCounts.of(pairs), CountsRule(centres=4), order=order)
    objective = HierarchicalSoftmax("mean").bind(examples)
    steps = [
        (batch, objective.step(parameters, batch)) for batch in examples.batches(np.random.default_rng(5))
    ]
    assert len(steps) > 1
    assert sum(step.cost for _, step in steps) / len(pairs) == pytest.approx(cost, abs=1e-12)
    gradient = np.zeros_like(parameters.embedding)
    for batch, step in steps:
        gradient[batch.centres] = step.embedding_gradient
    np.testing.assert_allclose(gradient, by_embedding, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        np.sum([step.output_gradient for _, step in steps], axis=0), by_node, rtol=0, atol=1e-12
    )


def test_damped_counts_decide_the_gradient_and_undamped_ones_the_cost():
    pairs, parameters = random_pairs(6, pairs=300), random_parameters(6)
    rule = CountsRule(centres=V, count_exponent=0.6)
    _, exact = step_of("counts", pairs, parameters)
    _, damped = step_of("counts", pairs, parameters, **vars(rule))
    counts = PairCounts.of(pairs)
    powers = replace(counts, counts=counts.counts**0.6)
    restored = np.repeat(counts.by_centre() / np.maximum(powers.by_centre(), 1e-9), np.diff(counts.starts))
    equal = CountedExamples(
        replace(counts, counts=powers.counts * restored), CountsRule(centres=V), order="corpus"
    )
    (batch,) = equal.batches(np.random.default_rng(0))
    tree = HuffmanTree.of(pairs.by_context())
    expected = TreeSoftmax(tree, HierarchicalSoftmax("mean")).step(parameters, batch)
    assert damped.cost == exact.cost
    np.testing.assert_allclose(damped.embedding_gradient, expected.embedding_gradient, rtol=0, atol=1e-7)
    np.testing.assert_allclose(damped.output_gradient, expected.output_gradient, rtol=0, atol=1e-7)


@pytest.mark.parametrize("words", [2, 3, 40])
def test_counts_of_a_tree_are_those_of_its_paths(words):
    generator = np.random.default_rng(words)
    pairs = random_pairs(8, pairs=500, words=words)
    tree = HuffmanTree.of(generator.integers(0, 100, words))
    (batch,) = examples_of("sparse", pairs).batches(generator)
    labels = label_matrix(batch, batch.labels.counts, words)
    passing, left = ((labels @ matrix(tree, np.float64)).toarray() for matrix in (path_matrix, left_matrix))
    expected = passing, passing - 2 * left
    for width in range(1, words):
        top = TreeTop(tree, width)
        lower = lower_counts(tree, labels, top.rests[labels.indices])
        upper = top.branch_counts(top.counts(labels), slice(0, width))
        below = np.abs(lower.data), -lower.data
        for one, numbers, dense in zip(expected, below, upper, strict=True):
            found = csc_array((numbers, lower.indices, lower.indptr), shape=lower.shape).toarray()
            np.testing.assert_array_equal(dense.T, one[:, :width])
            assert not found[:, :width].any()
            np.testing.assert_array_equal(found[:, width:], one[:, width:])


def test_parts_of_a_batch_add_up_to_it():
    pairs, parameters = random_pairs(7, pairs=300), random_parameters(7)
    examples = examples_of("counts", pairs, count_exponent=0.5)
    objective = HierarchicalSoftmax("mean").bind(examples)
    (batch,) = examples.batches(np.random.default_rng(0))
    whole = objective.step(parameters, batch)
    parts = [objective.step(parameters, part) for part in batch.parts(3, V)]
    assert sum(part.cost for part in parts) == pytest.approx(whole.cost, rel=1e-12)
    np.testing.assert_allclose(
        np.concatenate([part.embedding_gradient for part in parts]),
        whole.embedding_gradient,
        rtol=0,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        np.sum([part.output_gradient for part in parts], axis=0), whole.output_gradient, rtol=0, atol=1e-12
    )


def test_smoothing_is_refused():
    with pytest.raises(SettingError, match="every node"):
        HierarchicalSoftmax().bind(CountedExamples(PairCounts.of(random_pairs()), CountsRule(smoothing=1.0)))
