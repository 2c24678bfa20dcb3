"""Counts with fewer centres than contexts: the first rows of those of all words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.examples import counts as counts_module
from w2v_exp.examples.counts import Bounds, PairCounts, count_window_pairs
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.examples.sampling import PaperSubsampling
from w2v_exp.examples.statistics import PairStatistics

WORDS = 6
TEXTS = st.lists(st.integers(0, WORDS - 1), max_size=60).map(lambda ids: np.array(ids, np.int32))


def first_rows(counts, rows):
    """The rows of the first centres."""
    end = counts.starts[rows]
    return PairCounts(counts.starts[: rows + 1], counts.contexts[:end], counts.counts[:end], WORDS)


@property_settings(deadline=None)
@given(
    st.lists(TEXTS, max_size=4),
    st.integers(1, 80),
    st.integers(1, WORDS + 2),
    st.booleans(),
    st.sampled_from([1, 3, 1 << 20]),
)
def test_counts_of_some_centres_are_rows_of_the_counts_of_all(texts, window, centre_words, shrinking, chunk):
    segments = np.cumsum([0, *map(len, texts)])
    ids = np.concatenate([*texts, np.empty(0, np.int32)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "CHUNK_TOKENS", chunk)
        square, some = (
            count_window_pairs(
                [ids],
                window,
                WORDS,
                shrinking=shrinking,
                segments=segments,
                threads=1,
                centre_words=number,
            )
            for number in (None, centre_words)
        )
    rows = min(centre_words, WORDS)
    expected = first_rows(square, rows)
    for name in ("starts", "contexts", "counts"):
        np.testing.assert_array_equal(getattr(some, name), getattr(expected, name))
    assert (some.rows, some.vocabulary_size) == (rows, WORDS)
    assert (some.by_centre().shape, some.by_context().shape) == ((rows,), (WORDS,))
    np.testing.assert_array_equal(some.by_centre(), square.by_centre()[:rows])


def test_bounds_are_those_of_the_listed_pairs_of_these_centres():
    ids = np.random.default_rng(0).integers(0, WORDS, 500).astype(np.int32)
    pairs = window_pairs(ids, 3, WORDS)
    is_centre = pairs.centres < 2
    listed = Bounds.of(Pairs(pairs.centres[is_centre], pairs.contexts[is_centre], WORDS))
    counted = Bounds.of(count_window_pairs([ids], 3, WORDS, centre_words=2))
    assert vars(counted) == pytest.approx(vars(listed), abs=1e-12)


@property_settings(deadline=None, max_examples=30)
@given(TEXTS, st.integers(1, 4), st.integers(1, WORDS), st.booleans(), st.sampled_from([0.05, 0.99]))
def test_statistics_are_those_of_these_centres(ids, window, centre_words, shrinking, threshold):
    def of(number):
        return PairStatistics(
            ids,
            window,
            WORDS,
            np.random.default_rng(0),
            subsampling=PaperSubsampling(threshold),
            shrinking_window=shrinking,
            segments=np.array([0, len(ids) // 2, len(ids)]),
            centre_words=number,
        )

    some, all_words = of(centre_words), of(None)
    np.testing.assert_array_equal(some.distinct_by_centre, all_words.distinct_by_centre[:centre_words])
    sampled = all_words._samplers[0].whole()
    centres, _ = sampled.pairs()
    assert some.pairs == np.count_nonzero(centres < centre_words)
    np.testing.assert_array_equal(some.frequencies, all_words.frequencies)
