"""Counted pairs: what listing the pairs and counting them would give."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.errors import CorpusError
from w2v_exp.examples import counts as counts_module
from w2v_exp.examples.counts import (
    PairCounter,
    PairCounts,
    cost_floor,
    count_window_pairs,
    unigram_cost,
)
from w2v_exp.examples.pairs import window_pairs

V = 6
TEXTS = st.lists(st.integers(0, V - 1), max_size=60).map(lambda ids: np.array(ids, np.int32))


def table(counts):
    dense = np.zeros((V, V))
    centres, contexts, values = counts.distinct()
    dense[centres, contexts] = values
    return dense


def listed(ids, window):
    dense = np.zeros((V, V))
    pairs = window_pairs(ids, window, V)
    np.add.at(dense, (pairs.centres, pairs.contexts), 1)
    return dense


@property_settings(deadline=None)
@given(TEXTS, st.integers(1, 7), st.sampled_from([1, 2, 5, 1 << 20]), st.sampled_from([1, 3, 64]))
def test_counts_are_those_of_the_listed_pairs(ids, window, chunk, ranges):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "CHUNK_TOKENS", chunk)
        patch.setattr(counts_module, "RANGES", ranges)
        counts = count_window_pairs([ids], window, V, threads=1)
    np.testing.assert_array_equal(table(counts), listed(ids, window))
    np.testing.assert_array_equal(counts.by_centre(), listed(ids, window).sum(axis=1))
    np.testing.assert_array_equal(counts.by_context(), listed(ids, window).sum(axis=0))
    assert counts.total == len(window_pairs(ids, window, V))


@property_settings(deadline=None)
@given(TEXTS, st.integers(1, 7), st.sampled_from([3, 1 << 20]))
def test_weighted_counts_are_sums_over_distances(ids, window, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "CHUNK_TOKENS", chunk)
        counts = count_window_pairs([ids], window, V, shrinking=True, threads=1)
    # A drawn window is each of 1 … window with the same chance: the weights are the mean over them.
    expected = sum(listed(ids, drawn) for drawn in range(1, window + 1)) / window
    np.testing.assert_allclose(table(counts), expected, rtol=1e-5)


def test_windows_do_not_cross_from_one_text_to_the_next():
    one, other = np.array([0, 1], np.int32), np.array([2, 3], np.int32)
    counts = table(count_window_pairs([one, other], 3, V))
    assert counts[1, 2] == 0
    assert counts[0, 1] == counts[2, 3] == 1


@property_settings(deadline=None)
@given(st.lists(TEXTS, max_size=8), st.integers(1, 4), st.sampled_from([2, 7, 1 << 20]), st.booleans())
def test_windows_do_not_cross_segments(texts, window, chunk, shrinking):
    segments = np.cumsum([0, *map(len, texts)])
    whole = np.concatenate([*texts, np.empty(0, np.int32)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "CHUNK_TOKENS", chunk)
        of_segments = count_window_pairs(
            [whole], window, V, shrinking=shrinking, segments=segments, threads=1
        )
    np.testing.assert_array_equal(
        table(of_segments), table(count_window_pairs(texts, window, V, shrinking=shrinking, threads=1))
    )


@property_settings(deadline=None)
@given(TEXTS, st.lists(st.integers(0, 60), max_size=5), st.integers(1, 4))
def test_a_text_may_come_in_pieces(ids, cuts, window):
    counter = PairCounter(window, V, threads=1)
    for piece in np.split(ids, np.sort(cuts)):
        counter.add(piece)
    np.testing.assert_array_equal(table(counter.finish()), listed(ids, window))


def test_keys_of_a_large_vocabulary_are_divided_so_that_they_fit():
    size = 1_000_000
    ids = np.random.default_rng(0).integers(0, size, 3000).astype(np.int32)
    pairs = window_pairs(ids, 2, size)
    expected = np.unique(pairs.centres.astype(np.int64) * size + pairs.contexts, return_counts=True)
    centres, contexts, counts = count_window_pairs([ids], 2, size).distinct()
    np.testing.assert_array_equal(centres.astype(np.int64) * size + contexts, expected[0])
    np.testing.assert_array_equal(counts, expected[1])


def test_the_counts_do_not_depend_on_the_threads():
    ids = np.random.default_rng(1).integers(0, 500, 20_000).astype(np.int32)
    tables = []
    for threads in (1, 3):
        counter = PairCounter(5, 500, shrinking=True, threads=threads)
        counter.add(ids)
        counts = counter.finish()
        tables.append((counts.starts.tobytes(), counts.contexts.tobytes(), counts.counts.tobytes()))
    assert tables[0] == tables[1]


def test_a_text_whose_counts_could_outgrow_their_bits_is_refused(monkeypatch):
    monkeypatch.setattr(counts_module, "KEY_BITS", 12)
    with pytest.raises(CorpusError, match="too long to count"):
        count_window_pairs([np.zeros(3000, np.int32)], 1, 1)


def test_counts_have_the_bounds_of_the_listed_pairs():
    ids = np.random.default_rng(0).integers(0, V, 500).astype(np.int32)
    pairs, counts = window_pairs(ids, 3, V), count_window_pairs([ids], 3, V)
    assert cost_floor(counts) == pytest.approx(cost_floor(pairs), abs=1e-12)
    assert unigram_cost(counts) == pytest.approx(unigram_cost(pairs), abs=1e-12)


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_sums_by_centre_do_not_depend_on_spans(at_once, monkeypatch):
    generator = np.random.default_rng(0)
    starts = np.cumsum([0, 0, 3, 0, 40, 5, 1, 0, 0, 200, 2, 0])
    counts = (100 * generator.random(starts[-1])).astype(np.float32)
    pairs = PairCounts(starts, generator.integers(50, size=len(counts)).astype(np.int32), counts, 50)
    expected = [counts[start:stop].sum(dtype=np.float64) for start, stop in pairwise(starts)]
    whole = pairs.by_centre()
    np.testing.assert_allclose(whole, expected, rtol=1e-12)
    monkeypatch.setattr("w2v_exp.examples.counts.SUMMED_AT_ONCE", at_once)
    np.testing.assert_array_equal(pairs.by_centre(), whole)
