"""A sample of a text's examples, on which costs are measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.examples.cbow import CbowContexts
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.held_out import sample_cbow, sample_pairs, sample_text
from w2v_exp.examples.sampling import SampledText, TextPart, TextSampler

V = 30
IDS = np.random.default_rng(0).integers(0, V, 12_345).astype(np.int32)


def test_a_short_text_is_taken_as_it_is():
    part = TextPart(IDS[:500], np.array([0, 100, 500]))
    assert sample_text(part, 500, np.random.default_rng(0)) is part


@given(st.integers(0, 1000), st.booleans())
def test_a_sample_is_of_spans_that_windows_do_not_leave(seed, with_segments):
    text = TextPart(
        np.arange(12_345, dtype=np.int32), np.array([0, 5, 2990, 3010, 12_345]) if with_segments else None
    )
    sample = sample_text(text, 4000, np.random.default_rng(seed))
    assert 3000 < len(sample.ids) <= 4000
    assert (sample.segments[0], sample.segments[-1]) == (0, len(sample.ids))
    assert (np.diff(sample.segments) > 0).all()
    # Inside of a segment of the sample, words are neighbours in the text, and of one of its segments.
    inside = np.setdiff1d(np.arange(1, len(sample.ids)), sample.segments)
    assert (np.diff(sample.ids)[inside - 1] == 1).all()
    if with_segments:
        assert not np.isin(sample.ids[inside], text.segments).any()


def test_the_same_generator_draws_the_same_sample():
    samples = [sample_text(TextPart(IDS), 3000, np.random.default_rng(7)).ids for _ in range(2)]
    np.testing.assert_array_equal(*samples)
    other = sample_text(TextPart(IDS), 3000, np.random.default_rng(8)).ids
    assert not np.array_equal(samples[0], other)


@pytest.mark.parametrize("shrinking", [False, True])
def test_all_of_a_text_is_all_of_its_pairs(shrinking):
    sample = sample_pairs(TextPart(IDS), 3, V, np.random.default_rng(0), shrinking_window=shrinking)
    expected = count_window_pairs([IDS], 3, V, shrinking=shrinking)
    np.testing.assert_array_equal(sample.counts.counts, expected.counts)
    assert sample.context_matrix is None


def test_dropped_words_are_in_no_pair():
    keep = np.ones(V)
    keep[:10] = 0
    sample = sample_pairs(TextPart(IDS), 3, V, np.random.default_rng(0), keep=keep)
    assert not sample.counts.by_centre()[:10].any()
    assert sample.counts.total > 0


@pytest.mark.parametrize("mean", [True, False])
def test_bags_have_the_words_around_a_word(mean):
    ids = np.array([3, 1, 3, 2, 4, 0], np.int32)
    sample = sample_cbow(TextPart(ids, np.array([0, 4, 5, 6])), 1, 5, np.random.default_rng(0), mean=mean)
    share = 0.5 if mean else 1.0
    expected = np.zeros((4, 5))  # the segments of a single word have none
    expected[0, 1] = expected[3, 3] = 1
    expected[1, 3] = 2 * share
    expected[2, [1, 2]] = share
    np.testing.assert_array_equal(sample.context_matrix.toarray(), expected)
    np.testing.assert_array_equal(sample.counts.contexts, ids[:4])
    assert sample.counts.total == 4


@given(st.integers(0, 1000), st.integers(1, 4))
def test_bags_are_the_pairs_by_place(seed, window):
    draw = TextSampler(IDS[:200], window, np.random.default_rng(seed), shrinking_window=True)
    drawn: SampledText = draw.span(50, 120)
    bags, (centres, contexts) = CbowContexts.of(drawn), drawn.pairs()
    pairs = bags.pairs(V)
    np.testing.assert_array_equal(pairs.centres, centres)
    np.testing.assert_array_equal(pairs.contexts, contexts)
    assert len(bags) == drawn.count_cbow_examples() == 70
