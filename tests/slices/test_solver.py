"""Input vectors for frozen output weights: derivatives, and one optimum from any start."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from w2v_exp.errors import CorpusError
from w2v_exp.slices.solver import FrozenSoftmax, _Problem, solve

RIDGE = 0.01


def problem(seed=0, vocabulary=40, dim=5, k=6):
    """Return a softmax, and targets of random pairs of k words, two for each of three owners."""
    generator = np.random.default_rng(seed)
    softmax = FrozenSoftmax(generator.normal(size=(vocabulary, dim)), generator.normal(size=vocabulary))
    counts = generator.poisson(0.5, (k, vocabulary)) + np.eye(k, vocabulary)
    targets = counts @ softmax.output / counts.sum(axis=1, keepdims=True)
    owners = np.arange(k) // 2
    inverses = np.linalg.inv(softmax.covariances(np.zeros((owners[-1] + 1, dim))) + RIDGE * np.eye(dim))
    return softmax, targets, owners, inverses


def test_gradients_and_covariances_equal_finite_differences():
    """Of the cost with its ridge, and of the gradient."""
    softmax, targets, _, _ = problem()
    generator = np.random.default_rng(1)
    vectors, anchors = generator.normal(size=(2, *targets.shape))
    checked = _Problem(softmax, targets, RIDGE, anchors)
    rows = np.arange(len(targets))
    _, gradients = checked.evaluate(rows, vectors)
    covariances = softmax.covariances(vectors)
    for column in range(softmax.dim):
        step = np.zeros(softmax.dim)
        step[column] = 1e-6
        (up, steeper), (down, flatter) = (
            checked.evaluate(rows, vectors + step),
            checked.evaluate(rows, vectors - step),
        )
        np.testing.assert_allclose((up - down) / 2e-6, gradients[:, column], atol=1e-8)
        hessian_column = (steeper - flatter) / 2e-6 - RIDGE * (step / 1e-6)
        np.testing.assert_allclose(hessian_column, covariances[:, column], rtol=1e-4, atol=1e-5)


def test_expectations_are_those_of_the_softmax_also_for_large_scores():
    """Without overflow."""
    softmax, _, _, _ = problem()
    vectors = np.random.default_rng(2).normal(size=(4, softmax.dim)) * [[1], [10], [300], [1000]]
    scores = vectors @ softmax.output.T + softmax.offset
    expected = softmax.expect(vectors)
    np.testing.assert_allclose(expected.log_normalizer, logsumexp(scores, axis=1), rtol=1e-12)
    shares = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    np.testing.assert_allclose(expected.mean, shares @ softmax.output, rtol=1e-9)


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 100.0])
def test_the_optimum_is_the_same_from_any_start(scale):
    """To 1e-6 in the cosines of all vectors with each other, which are not squared errors."""
    softmax, targets, owners, inverses = problem(k=12)
    anchors = np.random.default_rng(3).normal(size=targets.shape)
    found = solve(softmax, targets, np.zeros_like(targets), inverses, owners, ridge=RIDGE, anchors=anchors)
    starts = scale * np.random.default_rng(4).normal(size=targets.shape)
    other = solve(softmax, targets, starts, inverses, owners, ridge=RIDGE, anchors=anchors)
    one, two = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (found, other))
    assert abs(one @ one.T - two @ two.T).max() < 1e-6
    np.testing.assert_allclose(found, other, atol=1e-6)


def test_the_optimum_equals_scipys():
    """By BFGS, problem by problem."""
    softmax, targets, owners, inverses = problem()
    found = solve(softmax, targets, np.zeros_like(targets), inverses, owners, ridge=RIDGE)
    for vector, target in zip(found, targets, strict=True):

        def cost(e, target=target):
            return logsumexp(softmax.output @ e + softmax.offset) - e @ target + RIDGE / 2 * e @ e

        best = minimize(cost, np.zeros(softmax.dim), method="BFGS", options={"gtol": 1e-9})
        np.testing.assert_allclose(vector, best.x, atol=1e-5)


def test_a_target_of_the_model_itself_has_its_own_vector_as_optimum():
    """So a word whose pairs in a slice are those of the whole text does not move."""
    softmax, targets, owners, inverses = problem()
    vectors = np.random.default_rng(5).normal(size=targets.shape)
    own = softmax.expect(vectors).mean
    found = solve(softmax, own, np.zeros_like(vectors), inverses, owners, ridge=RIDGE, anchors=vectors)
    np.testing.assert_allclose(found, vectors, atol=1e-6)


def test_collinear_output_vectors_have_one_optimum_by_the_ridge():
    """As with fewer words than dimensions."""
    generator = np.random.default_rng(6)
    softmax = FrozenSoftmax(generator.normal(size=(3, 8)))
    targets = softmax.output[:2]
    inverses = np.linalg.inv(softmax.covariances(np.zeros((1, 8))) + RIDGE * np.eye(8))
    owners = np.zeros(2, np.intp)
    found = solve(softmax, targets, np.zeros((2, 8)), inverses, owners, ridge=RIDGE)
    other = solve(softmax, targets, generator.normal(size=(2, 8)), inverses, owners, ridge=RIDGE)
    np.testing.assert_allclose(found, other, atol=1e-6)


def test_weights_that_are_not_finite_are_an_error():
    """Instead of vectors of NaN."""
    softmax = FrozenSoftmax(np.full((3, 2), np.nan))
    one = np.ones((1, 2))
    with pytest.raises(CorpusError, match="not finite"):
        solve(softmax, one, one, np.eye(2)[None], np.zeros(1, np.intp), ridge=RIDGE)
