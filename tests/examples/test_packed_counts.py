"""Counts that are packed into numbers, against a dictionary."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.examples.counts import count_sorted, merge, pairs_of, weights_of

KEYS = st.lists(st.tuples(st.integers(0, (1 << 29) - 1), st.integers(1, 7)), min_size=1, max_size=30)
BITS = 3


def as_dictionary(packed):
    assert packed.dtype == np.uint64
    pairs = pairs_of(packed).tolist()
    assert pairs == sorted(set(pairs))
    return dict(zip(pairs, weights_of(packed).tolist(), strict=True))


def counted(keys):
    return count_sorted(np.sort(np.array([pair << BITS | weight for pair, weight in keys], np.uint32)), BITS)


def summed(keys):
    total = Counter()
    for pair, weight in keys:
        total[pair] += weight
    return dict(total)


@given(KEYS)
def test_weights_of_equal_pairs_are_added(keys):
    assert as_dictionary(counted(keys)) == summed(keys)


@given(st.lists(st.integers(0, (1 << 32) - 1) | st.integers(0, 3), min_size=1))
def test_without_weights_pairs_are_counted(pairs):
    assert as_dictionary(count_sorted(np.sort(np.array(pairs, np.uint32)), 0)) == dict(Counter(pairs))


@given(st.lists(KEYS | st.lists(st.tuples(st.integers(0, 3), st.integers(1, 7)), min_size=1), max_size=4))
def test_runs_are_merged_as_if_counted_at_once(runs):
    merged = merge([counted(keys) for keys in runs])
    assert as_dictionary(merged) == summed([key for keys in runs for key in keys])


def test_the_greatest_pair_and_weight_keep_to_their_halves():
    greatest = (1 << 32) - 1
    packed = np.array([greatest << 32 | greatest - 1, 5 << 32 | 1], np.uint64)[::-1].copy()
    more = count_sorted(np.array([5, greatest], np.uint32), 0)
    assert as_dictionary(merge([packed, more])) == {5: 2, greatest: greatest}
