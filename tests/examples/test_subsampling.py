"""With what probability a word is kept."""

import re

import numpy as np
import pytest

from w2v_exp.errors import SettingError
from w2v_exp.examples.sampling import (
    SUBSAMPLINGS,
    NoSubsampling,
    PaperSubsampling,
    Word2VecSubsampling,
    keep_probabilities,
)

COUNTS = np.array([900, 99, 1, 0])


def test_word2vecs_probabilities_of_keeping_a_word():
    kept = Word2VecSubsampling(0.001).keep_probabilities(COUNTS)
    # As word2vec.c writes it: (sqrt(cn / (sample * words)) + 1) * (sample * words) / cn
    expected = (np.sqrt(COUNTS[:2] / (0.001 * 1000)) + 1) * (0.001 * 1000) / COUNTS[:2]
    np.testing.assert_allclose(kept[:2], expected)
    assert kept[2:].tolist() == [1, 1]


def test_the_papers_probabilities_of_keeping_a_word():
    kept = PaperSubsampling(0.001).keep_probabilities(COUNTS)
    np.testing.assert_allclose(kept, [np.sqrt(0.001 / 0.9), np.sqrt(0.001 / 0.099), 1, 1])


def test_a_word_as_frequent_as_the_threshold_is_always_kept():
    assert PaperSubsampling(0.5).keep_probabilities(np.array([1, 1])).tolist() == [1, 1]


@pytest.mark.parametrize("name", SUBSAMPLINGS)
def test_words_of_a_text_are_counted_for_their_probabilities(name):
    subsampling = SUBSAMPLINGS[name]()
    ids = np.repeat(np.arange(3), COUNTS[:3]).astype(np.int32)
    kept = keep_probabilities(subsampling, ids, 4)
    expected = subsampling.keep_probabilities(COUNTS)
    if isinstance(subsampling, NoSubsampling):
        assert kept is None
        assert expected.tolist() == [1, 1, 1, 1]
    else:
        np.testing.assert_array_equal(kept, expected)


@pytest.mark.parametrize("threshold", [0, 1, -1e-4, float("nan")])
@pytest.mark.parametrize("made", [Word2VecSubsampling, PaperSubsampling])
def test_a_threshold_out_of_range_is_refused(made, threshold):
    with pytest.raises(SettingError, match=re.escape("must be a number above 0 and below 1.")):
        made(threshold)
