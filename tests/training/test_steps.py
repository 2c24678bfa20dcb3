"""A step on several cores is the step on one."""

import itertools

import numpy as np
import pytest

from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.model import softmax as scores_module
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.softmax import OUTPUT_OFFSETS, Softmax, Workspace, exponentiate
from w2v_exp.training import steps
from w2v_exp.training.optimizers import OPTIMIZERS
from w2v_exp.training.steps import Steps

V, DIM, WINDOW = 30, 5, 3
IDS = np.minimum(np.random.default_rng(1).geometric(0.12, 400) - 1, V - 1).astype(np.int32)


@pytest.fixture
def _small_parts(monkeypatch):
    monkeypatch.setattr(steps, "SMALLEST_PART", 1)
    monkeypatch.setattr(steps, "BLOCK_ROWS", 4)


def taken(examples, objective, optimizer, threads):
    """Return costs and parameters after all steps of an epoch."""
    drawn = ArticleInitialization(0.3)(V, DIM, np.random.default_rng(0))
    offset = objective.initial_offset(examples.context_shares, np.float64)
    parameters = Parameters(drawn.embedding, drawn.output, offset)
    stepper = Steps(objective, optimizer, parameters, threads)
    costs = [stepper.step(batch, 0.01) for batch in examples.batches(np.random.default_rng(0))]
    left = [parameters.embedding, parameters.output, [] if parameters.offset is None else parameters.offset]
    return [np.array(costs), *left]


@pytest.mark.cases(every=4)
@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize(("optimizer", "offset"), list(itertools.product(OPTIMIZERS, OUTPUT_OFFSETS)))
@pytest.mark.parametrize("centres", [V, 7])
def test_threads_share_a_slice_of_counts(optimizer, offset, centres):
    rule = CountsRule(centres=centres, smoothing=3.0, centre_exponent=0.8)
    examples = CountedExamples(count_window_pairs([IDS], WINDOW, V), rule)
    objective = Softmax(output_offset=offset, weight_decay=0.1)
    expected = taken(examples, objective, OPTIMIZERS[optimizer](), threads=1)
    for threads in (2, 3):
        for value, alone in zip(
            taken(examples, objective, OPTIMIZERS[optimizer](), threads), expected, strict=True
        ):
            np.testing.assert_allclose(value, alone, rtol=1e-11, atol=1e-12)


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("update", ["accumulate", "overwrite"])
@pytest.mark.parametrize("epsilon", [0.0, 0.001])
def test_threads_share_a_batch_of_listed_pairs(update, epsilon):
    examples = Examples(window_pairs(IDS, WINDOW, V), batch_size=100)
    objective = Softmax(update=update, epsilon=epsilon)
    expected = taken(examples, objective, OPTIMIZERS["adagrad"](), threads=1)
    for value, alone in zip(
        taken(examples, objective, OPTIMIZERS["adagrad"](), threads=2), expected, strict=True
    ):
        np.testing.assert_allclose(value, alone, rtol=1e-11, atol=1e-12)


@pytest.mark.usefixtures("_small_parts")
def test_dense_labels_are_left_to_one_thread():
    dense, sparse = (
        Examples(window_pairs(IDS, WINDOW, V), labels=labels, batch_size=100)
        for labels in ("dense", "sparse")
    )
    for value, other in zip(
        taken(dense, Softmax(), OPTIMIZERS["sgd"](), threads=2),
        taken(sparse, Softmax(), OPTIMIZERS["sgd"](), threads=2),
        strict=True,
    ):
        np.testing.assert_allclose(value, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0.0, 100.0, -200.0, 1000.0])
@pytest.mark.parametrize("cached", [1, 7 * V, 1 << 20])
def test_exponentials_survive_scores_of_any_size(monkeypatch, dtype, shift, cached):
    monkeypatch.setattr(scores_module, "CACHED_SCORES", cached)
    monkeypatch.setattr(scores_module, "FEW_SCORES", 0)
    generator = np.random.default_rng(0)
    raw = generator.normal(0, 5, (20, V))
    raw[3] += shift  # one row only: its block is shifted, the others are not
    offset = generator.normal(0, 1, V)
    scores = raw.astype(dtype)
    normalizer, largest = exponentiate(scores, offset.astype(dtype))
    expected = raw + offset
    expected -= expected.max(axis=1, keepdims=True)
    shares = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        scores / normalizer[:, None], shares, rtol=2e-3 if dtype == np.float32 else 1e-10
    )
    logs = np.log(np.exp(expected).sum(axis=1)) + (raw + offset).max(axis=1)
    np.testing.assert_allclose(np.log(normalizer) + largest, logs, rtol=1e-4)


@pytest.mark.parametrize("epsilon", [0.0, 1e-3])
@pytest.mark.parametrize("shift", [0.0, 100.0, -200.0, 1000.0])
@pytest.mark.parametrize(("cached", "few"), [(1, 0), (7 * V, 0), (1 << 20, 0), (1 << 20, 1 << 20)])
def test_differences_survive_scores_of_any_size(monkeypatch, cached, few, shift, epsilon):
    monkeypatch.setattr(scores_module, "CACHED_SCORES", cached)
    monkeypatch.setattr(scores_module, "FEW_SCORES", few)
    generator = np.random.default_rng(0)
    raw = generator.normal(0, 5, (20, V))
    raw[3] += shift  # one row only: its block is computed again, the others are not
    offset = generator.normal(0, 1, V)
    batch = next(iter(Examples(window_pairs(IDS, WINDOW, V), batch_size=100).batches(generator)))
    centres = len(batch.centres)
    raw = raw[:centres]
    scores = raw.copy()

    def compute(rows: slice) -> None:
        scores[rows] = raw[rows]

    sums = scores_module.differentiate(
        scores, batch.labels, batch.weights, compute, offset=offset, epsilon=epsilon
    )
    counts = np.zeros((centres, V))
    np.add.at(counts.reshape(-1), batch.labels.cells, batch.labels.counts)
    largest = (raw + offset).max(axis=1, keepdims=True)
    exponents = np.exp(raw + offset - largest)
    likelihoods = exponents / exponents.sum(axis=1, keepdims=True)
    with_epsilon = exponents / (exponents.sum(axis=1, keepdims=True) + epsilon * np.exp(-largest))
    expected = with_epsilon - counts / batch.weights[:, None]
    np.testing.assert_allclose(scores / sums.normalizer[:, None], expected, atol=1e-9)
    np.testing.assert_allclose(sums.cost, -(counts * np.log(likelihoods)).sum(), rtol=1e-10)
    if epsilon:
        np.testing.assert_allclose(sums.article_cost, -(counts * np.log(with_epsilon + epsilon)).sum())


def test_a_workspace_gives_the_same_memory_again():
    workspace = Workspace()
    first = workspace.array((300, 300), np.float64)
    smaller = workspace.array((200, 300), np.float32)
    assert np.shares_memory(first, smaller)
    assert smaller.shape == (200, 300)
    assert workspace.array((400, 300), np.float64).shape == (400, 300)
    small = workspace.array((2, 2), np.float64)
    assert workspace.array((2, 2), np.float64) is small
    other = workspace.array((2, 2), np.float32)
    assert (other.shape, other.dtype) == ((2, 2), np.float32)
    assert workspace.array((3, 2), np.float32).shape == (3, 2)
