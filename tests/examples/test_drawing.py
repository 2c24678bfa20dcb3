"""Draws of a text: words are kept and windows reach as often as they are to, and parts are parts of a whole."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.sampling import SUBSAMPLINGS, TextSampler

V = 6


@st.composite
def draws(draw):
    """Return a draw of a text; its length; positions that cut it into spans."""
    ids = np.array(draw(st.lists(st.integers(0, V - 1), max_size=80)), np.int32)
    cuts = st.lists(st.integers(0, len(ids)), max_size=6)
    keep = draw(st.none() | st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=V, max_size=V))
    segments = draw(
        st.none() | cuts.map(lambda positions: np.array([0, *sorted(positions), len(ids)], np.int64))
    )
    text_draw = TextSampler(
        ids,
        draw(st.integers(1, 6)),
        np.random.default_rng(draw(st.integers(0, 99))),
        keep=None if keep is None else np.array(keep),
        shrinking_window=draw(st.booleans()),
        segments=segments,
    )
    return text_draw, [0, *sorted(draw(cuts)), len(ids)]


def as_tuples(pairs):
    centres, contexts = pairs
    return list(zip(centres.tolist(), contexts.tolist(), strict=True))


@property_settings(deadline=None, max_examples=examples(150))
@given(draws(), st.sampled_from([3, 1 << 16]))
def test_spans_have_the_pairs_of_the_whole_text(case, drawn_at_once):
    text_draw, cuts = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("w2v_exp.examples.sampling.CHUNK_TOKENS", drawn_at_once)
        spans = [text_draw.span(start, stop) for start, stop in pairwise(cuts)]
        whole = text_draw.whole()
    of_spans = [pair for span in spans for pair in as_tuples(span.pairs())]
    assert of_spans == as_tuples(whole.pairs())
    assert sum(span.count_pairs() for span in spans) == len(of_spans) == whole.count_pairs()
    listed = window_pairs(whole.ids, whole.window, V, whole.segments)
    assert of_spans == as_tuples((listed.centres, listed.contexts))


def test_words_are_dropped_before_they_are_paired():
    """So that the words on both sides of a dropped one are neighbours, unless a segment ends between them."""
    ids, keep = np.array([1, 0, 0, 2, 0, 3], np.int32), np.array([0.0, 1.0, 1.0, 1.0])
    generator = np.random.default_rng(0)
    assert as_tuples(TextSampler(ids, 1, generator, keep=keep).whole().pairs()) == [
        (1, 2),
        (2, 1),
        (2, 3),
        (3, 2),
    ]
    cut = TextSampler(ids, 1, generator, keep=keep, segments=np.array([0, 2, 6]))
    assert as_tuples(cut.whole().pairs()) == [(2, 3), (3, 2)]
    assert as_tuples(cut.span(3, 4).pairs()) == [(2, 3)]


@pytest.mark.parametrize("name", ["word2vec", "paper"])
def test_words_are_kept_as_often_as_they_are_to_be(name):
    ids = np.minimum(np.random.default_rng(1).geometric(0.5, 200_000) - 1, V - 1).astype(np.int32)
    counts = np.bincount(ids, minlength=V)
    keep = SUBSAMPLINGS[name](0.01).keep_probabilities(counts)
    kept = np.bincount(TextSampler(ids, 5, np.random.default_rng(2), keep=keep).whole().ids, minlength=V)
    deviation = np.sqrt(counts * keep * (1 - keep))
    assert (np.abs(kept - counts * keep) <= 4 * deviation).all()  # four: missed by chance once in 3,000 texts
    assert (deviation[:4] > 0).all()


def test_drawn_windows_pair_words_as_often_as_the_shrinking_weights_say():
    """The mean over draws is the weighted count of every pair of words, within four deviations of that mean."""
    ids = np.random.default_rng(3).integers(0, V, 40).astype(np.int32)
    window, draws_made = 4, 2000
    centres, contexts, expected = count_window_pairs([ids], window, V, shrinking=True).distinct()
    generator = np.random.default_rng(4)
    drawn = np.zeros((draws_made, V, V))
    for table in drawn:
        pairs = TextSampler(ids, window, generator, shrinking_window=True).whole().pairs()
        np.add.at(table, pairs, 1)
    allowed = 4 * drawn.std(axis=0) / np.sqrt(draws_made) + 1e-6
    difference = np.abs(drawn.mean(axis=0)[centres, contexts] - expected)
    assert (difference <= allowed[centres, contexts]).all()
    assert drawn.sum() == pytest.approx(draws_made * expected.sum(), rel=0.01)


def test_each_window_is_drawn_as_often():
    ids = np.zeros(60_000, np.int32)
    windows = TextSampler(ids, 3, np.random.default_rng(0), shrinking_window=True).whole().window
    counts = np.bincount(windows)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:], 20_000, rtol=0.03)


def test_draws_differ_and_repeat_with_their_generator():
    ids, keep = np.zeros(200, np.int32), np.array([0.5])

    def draw(seed, times=1):
        generator = np.random.default_rng(seed)
        return [TextSampler(ids, 5, generator, keep=keep).whole().count_pairs() for _ in range(times)]

    assert draw(0, 3) == draw(0, 3)
    assert len(set(draw(0, 3) + draw(1, 3))) > 3


def test_a_text_that_nothing_is_drawn_of_is_not_copied():
    ids = np.arange(10, dtype=np.int32)
    assert np.shares_memory(TextSampler(ids, 2, np.random.default_rng(0)).whole().ids, ids)
