"""Correlations, against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from w2v_exp.embeddings.word_pairs import average_ranks, pearson, spearman

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda number: round(number, 3))
TWO_LISTS = st.integers(2, 30).flatmap(
    lambda size: st.tuples(*[st.lists(NUMBERS, min_size=size, max_size=size)] * 2)
)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_equal_values_share_the_mean_of_their_ranks(values):
    assert average_ranks(np.array(values)).tolist() == stats.rankdata(values).tolist()


@given(TWO_LISTS)
def test_correlations_are_scipys(lists):
    a, b = np.array(lists[0]), np.array(lists[1])
    if len(set(lists[0])) == 1 or len(set(lists[1])) == 1:
        assert np.isnan([pearson(a, b), spearman(a, b)]).all()
    else:
        assert pearson(a, b) == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-9)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-9)


def test_ends_of_the_range():
    rising = np.array([1.0, 2.0, 4.0])
    assert spearman(rising, rising**3) == 1
    assert spearman(rising, -(rising**3)) == -1
    assert pearson(rising, 3 * rising + 1) == 1
    assert pearson(rising, rising**3) < 1


def test_a_single_value_does_not_correlate():
    assert np.isnan(pearson(np.array([1.0]), np.array([2.0])))
    assert np.isnan(spearman(np.array([]), np.array([])))
