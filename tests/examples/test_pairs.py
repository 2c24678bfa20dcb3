"""Pairs of a centre and a context word, against the plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.examples import pairs as pairs_module
from w2v_exp.examples.pairs import count_pairs, window_pairs
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule


def loop_pairs(ids, window, segments=None):
    """The article's loop: for each word, every other one in its window, from left to right.

    The window is a number, or one for each centre.
    """
    segment = (
        np.zeros(len(ids)) if segments is None else np.repeat(range(len(segments) - 1), np.diff(segments))
    )
    return [
        (ids[centre], ids[context])
        for centre, reach in enumerate(np.broadcast_to(window, len(ids)).tolist())
        for context in range(max(0, centre - reach), min(len(ids), centre + reach + 1))
        if context != centre and segment[context] == segment[centre]
    ]


def article_text():
    return encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())


def as_tuples(pairs):
    return list(zip(pairs.centres.tolist(), pairs.contexts.tolist(), strict=True))


@property_settings(deadline=None, max_examples=examples(400))
@given(
    ids=st.lists(st.integers(0, 9), min_size=2, max_size=40),
    window=st.one_of(st.integers(1, 8), st.sampled_from([39, 40, 41, 500])),
    chunk=st.integers(1, 60),
)
def test_pairs_are_those_of_the_plain_loop_in_its_order(ids, window, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_module, "SPAN_PAIRS", chunk)
        pairs = window_pairs(np.array(ids, np.int32), window, 10)
    assert as_tuples(pairs) == loop_pairs(ids, window)
    assert len(pairs) == count_pairs(len(ids), window)
    assert pairs.centres.dtype == pairs.contexts.dtype == np.int32
    assert pairs.vocabulary_size == 10


@property_settings(deadline=None, max_examples=examples(400))
@given(
    ids=st.lists(st.integers(0, 9), max_size=30),
    window=st.integers(1, 8),
    chunk=st.integers(1, 60),
    data=st.data(),
)
def test_each_centre_may_have_a_window_and_a_segment_of_its_own(ids, window, chunk, data):
    cuts = data.draw(st.lists(st.integers(0, len(ids)), max_size=6), "cuts")  # some segments are empty
    segments = np.array([0, *sorted(cuts), len(ids)], np.int64)
    windows = data.draw(st.lists(st.integers(1, window), min_size=len(ids), max_size=len(ids)), "windows")
    text, windows = np.array(ids, np.int32), np.array(windows, np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_module, "SPAN_PAIRS", chunk)
        both = window_pairs(text, windows, 10, segments)
        cut = window_pairs(text, window, 10, segments)
        drawn = window_pairs(text, windows, 10)
    assert as_tuples(both) == loop_pairs(ids, windows, segments)
    assert as_tuples(cut) == loop_pairs(ids, window, segments)
    assert as_tuples(drawn) == loop_pairs(ids, windows)
    assert len(cut) == count_pairs(len(ids), window, segments)


@pytest.mark.parametrize("ids", [[], [0]])
@pytest.mark.parametrize("window", [1, 5])
def test_a_text_of_no_word_or_of_one_has_no_pairs(ids, window):
    pairs = window_pairs(np.array(ids, np.int32), window, 1)
    assert len(pairs) == count_pairs(len(ids), window) == 0
    assert pairs.centres.dtype == pairs.contexts.dtype == np.int32


@pytest.mark.parametrize("length", [-1, 0, 1])
@pytest.mark.parametrize("window", [1, 5])
def test_chunks_of_the_usual_size_meet_without_a_seam(length, window):
    ids = np.arange(pairs_module.SPAN_PAIRS // window + length, dtype=np.int32)  # two spans
    pairs = window_pairs(ids, window, len(ids))
    assert as_tuples(pairs) == loop_pairs(ids.tolist(), window)


@property_settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 70))
def test_pairs_are_counted_without_being_made(tokens, window):
    assert count_pairs(tokens, window) == len(loop_pairs(range(tokens), window))


@pytest.mark.parametrize(("window", "pairs"), [(1, 30), (2, 58), (3, 84), (5, 130)])
def test_the_article_has_its_published_number_of_pairs(window, pairs):
    text = article_text()
    assert len(window_pairs(text.ids, window, len(text.vocabulary))) == pairs


def test_the_article_example_has_its_ten_pairs():
    text = article_text()
    words = text.vocabulary.words
    pairs = window_pairs(text.ids, 5, len(words))
    contexts = [words[context] for centre, context in as_tuples(pairs) if words[centre] == "investing"]
    assert " ".join(contexts) == "deduction of the costs of beating the stock market is"


def test_pairs_are_made_for_every_window_of_a_text_of_one_word_repeated():
    assert as_tuples(window_pairs(np.zeros(3, np.int32), 1, 1)) == [(0, 0)] * 4
