"""The test of change: its statistic, p-values and rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from w2v_exp.slices.change import (
    Change,
    false_discovery_rates,
    permutation_p,
    permuted_labels,
    score_statistics,
)


def test_statistics_equal_the_definition():
    """Slice by slice and document by document."""
    generator = np.random.default_rng(0)
    scores, pairs = generator.normal(size=(9, 4)), generator.uniform(1, 5, 9)
    labels = permuted_labels(np.arange(9) % 3, 5, generator)
    found = score_statistics(scores, pairs, labels, 3, smoothing=2.0)
    for row, statistic in zip(labels, found, strict=True):
        expected = 0.0
        for number in range(3):
            inside = row == number
            expected += (scores[inside].sum(axis=0) ** 2).sum() / (pairs[inside].sum() + 2)
        assert statistic == pytest.approx(expected, rel=1e-5)


def test_permutations_keep_sizes_and_documents_without_a_slice():
    """The first row is the observed one."""
    of_documents = np.array([0, -1, 1, 1, 2, -1, 0])
    labels = permuted_labels(of_documents, 50, np.random.default_rng(0))
    assert (labels[0] == of_documents).all()
    assert (labels[:, [1, 5]] == -1).all()
    assert (np.sort(labels, axis=1) == np.sort(of_documents)).all()
    assert (labels[1:] != labels[0]).any()


def test_p_values_are_uniform_without_change():
    """Also the small ones, of the gamma distribution: sums of squares of whole documents."""
    generator = np.random.default_rng(1)
    of_documents = np.arange(60) % 4
    p = []
    labels = permuted_labels(of_documents, 200, generator)
    for _ in range(2000):
        scores = generator.normal(size=(60, 5)) * generator.gamma(0.5, size=(60, 1))
        p.append(permutation_p(score_statistics(scores, np.ones(60), labels, 4, smoothing=1.0)))
    for level, error in ((0.5, 0.04), (0.1, 0.025), (0.01, 0.007), (0.002, 0.003)):
        assert np.mean(np.array(p) <= level) == pytest.approx(level, abs=error)


def test_a_large_change_has_a_small_p_value_and_none_has_one_half():
    """Beyond what the number of permutations can show."""
    permuted = np.random.default_rng(2).gamma(3, size=200)
    assert permutation_p(np.append(100.0, permuted)) == 1e-6
    assert permutation_p(np.append(np.median(permuted), permuted)) == pytest.approx(0.5, abs=0.02)
    assert permutation_p(np.ones(20)) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_false_discovery_rates_are_scipys(p):
    """By Benjamini & Hochberg."""
    np.testing.assert_allclose(false_discovery_rates(np.array(p)), false_discovery_control(p), atol=1e-12)


def test_words_that_explain_nothing_have_a_finite_change():
    """Their effect is divided by a bound."""
    change = Change(np.array([0.02, 0.02, np.nan]), np.array([-1.0, 0.5, np.nan]), np.ones(3), np.ones(3))
    assert change.relative[:2].tolist() == pytest.approx([2.0, 0.02 / 0.51])
    assert np.isnan(change.relative[2])
    change = Change(np.array([0.2, 0.2, 0.2]), np.array([0.1, 0.3, 0.5]), np.ones(3), np.ones(3))
    assert change.relative.tolist() == pytest.approx([0.5, 0.2 / 0.6, 0.25])
    assert np.isnan(Change.none(2).relative).all()
