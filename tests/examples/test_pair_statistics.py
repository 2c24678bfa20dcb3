"""What is known of the pairs of a text before they are made, against the pairs."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.examples.batches import Examples
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.examples.sampling import NoSubsampling, TextSampler, Word2VecSubsampling, keep_probabilities
from w2v_exp.examples.statistics import SAMPLED_PAIRS, PairStatistics

V = 50


def words(tokens: int, vocabulary_size: int = V, seed: int = 0) -> np.ndarray:
    """Return a text whose words are as unevenly frequent as those of a language (Zipf)."""
    shares = 1 / (np.arange(vocabulary_size) + 2.7)
    return (
        np.random.default_rng(seed).choice(vocabulary_size, tokens, p=shares / shares.sum()).astype(np.int32)
    )


def drawn_pairs(ids, window, seed, subsampling, shrinking, segments) -> Pairs:
    drawn = TextSampler(
        ids,
        window,
        np.random.default_rng(seed),
        keep=keep_probabilities(subsampling, ids, V),
        shrinking_window=shrinking,
        segments=segments,
    ).whole()
    return window_pairs(drawn.ids, drawn.window, V, drawn.segments)


@property_settings(deadline=None, max_examples=examples(60))
@given(
    tokens=st.integers(2, 300),
    window=st.integers(1, 12),
    seed=st.integers(0, 99),
    dropping=st.booleans(),
    shrinking=st.booleans(),
    cut=st.none() | st.integers(1, 100),
)
def test_of_a_short_text_everything_is_known_exactly(tokens, window, seed, dropping, shrinking, cut):
    ids = words(tokens, seed=seed)
    subsampling = Word2VecSubsampling(0.01) if dropping else NoSubsampling()
    segments = None if cut is None else np.array([0, min(cut, tokens), tokens])
    pairs = drawn_pairs(ids, window, seed, subsampling, shrinking, segments)
    statistics = PairStatistics(
        ids,
        window,
        V,
        np.random.default_rng(seed),
        subsampling=subsampling,
        shrinking_window=shrinking,
        segments=segments,
    )
    assert statistics.pairs == len(pairs)
    centres, _, _ = pairs.distinct()
    assert np.array_equal(statistics.distinct_by_centre, np.bincount(centres, minlength=V))


def test_distinct_pairs_of_several_draws_are_counted_together():
    ids, seen = words(2000), set()
    generator = np.random.default_rng(3)
    keep = keep_probabilities(Word2VecSubsampling(0.01), ids, V)
    for _ in range(3):
        drawn = TextSampler(ids, 2, generator, keep=keep).whole()
        pairs = window_pairs(drawn.ids, 2, V)
        seen |= set(zip(pairs.centres.tolist(), pairs.contexts.tolist(), strict=True))
    statistics = PairStatistics(
        ids, 2, V, np.random.default_rng(3), subsampling=Word2VecSubsampling(0.01), passes=3
    )
    assert statistics.distinct_by_centre.sum() == len(seen)


def test_of_a_long_text_a_sample_tells_the_distinct_pairs_to_a_few_per_cent():
    ids = words(300_000, 5000)
    pairs = window_pairs(ids, 5, 5000)
    assert len(pairs) > 8 * SAMPLED_PAIRS
    centres, _, _ = pairs.distinct()
    statistics = PairStatistics(ids, 5, 5000, np.random.default_rng(0))
    del pairs
    tracemalloc.start()
    estimated = statistics.distinct_by_centre
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert estimated.sum() == pytest.approx(len(centres), rel=0.02)
    assert estimated[:500].sum() == pytest.approx((centres < 500).sum(), rel=0.03)
    assert peak < 12e6  # a sixth of the pairs


@pytest.mark.parametrize("order", ["corpus", "blocks", "shuffled"])
@pytest.mark.parametrize("batch_size", [64, 1000, 10_000_000])
def test_the_centres_of_a_batch_are_told_from_a_few(order, batch_size):
    ids = words(20_000, 2000)
    statistics = PairStatistics(ids, 3, 2000, np.random.default_rng(0))
    examples = Examples(window_pairs(ids, 3, 2000), batch_size=batch_size, order=order)
    batches = examples.batches(np.random.default_rng(0))
    most = max(len(batch.centres) for batch, _ in zip(batches, range(8), strict=False))
    assert statistics.distinct_centres(batch_size, order) == pytest.approx(most, rel=0.2)


def test_the_distinct_pairs_of_a_large_batch_are_told():
    ids = words(50_000)
    statistics = PairStatistics(ids, 4, V, np.random.default_rng(0))
    pairs = window_pairs(ids[:12_500], 4, V)
    distinct = len(pairs.distinct()[0])
    assert statistics.distinct_in_batch(len(pairs), "corpus") == pytest.approx(distinct, rel=0.05)
    distinct = len(window_pairs(ids, 4, V).distinct()[0])
    assert statistics.distinct_in_batch(statistics.pairs, "corpus") == pytest.approx(distinct, rel=0.05)
