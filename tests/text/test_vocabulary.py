"""Which words are kept, and their ids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.errors import SettingError
from w2v_exp.text.vocabulary import VocabularyRule

COUNTS = {"b": 2, "rare": 1, "the": 5, "a": 2}


def test_ids_go_by_falling_count_then_by_the_word():
    vocabulary = VocabularyRule().select(COUNTS)
    assert vocabulary.words == ["the", "a", "b", "rare"]
    assert vocabulary.counts.tolist() == [5, 2, 2, 1]
    assert vocabulary.counts.dtype == np.int64
    assert dict(vocabulary.ids) == {"the": 0, "a": 1, "b": 2, "rare": 3}
    assert len(vocabulary) == 4


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"min_count": 2}, ["the", "a", "b"]),
        ({"min_count": 6}, []),
        ({"max_size": 2}, ["the", "a"]),
        ({"max_size": 99}, ["the", "a", "b", "rare"]),
        ({"max_frequency": 0.5}, ["the", "a", "b", "rare"]),  # `the` is half of the tokens, not more
        ({"max_frequency": 0.4999}, ["a", "b", "rare"]),
        ({"stop_words": ["the", "b", "unheard"]}, ["a", "rare"]),
        ({"stop_words": ["THE"]}, ["the", "a", "b", "rare"]),
        ({"stop_words": ["the"], "max_size": 2}, ["a", "b"]),
        ({"max_frequency": 0.3, "max_size": 1, "min_count": 2}, ["a"]),
    ],
)
def test_rules(rule, words):
    assert VocabularyRule(**rule).select(COUNTS).words == words


@pytest.mark.parametrize("hundredths", range(1, 101))
def test_a_word_with_exactly_the_greatest_share_is_kept(hundredths):
    counts = {"word": hundredths} | {f"other{i}": 1 for i in range(100 - hundredths)}
    assert "word" in VocabularyRule(max_frequency=hundredths / 100).select(counts).ids
    if hundredths > 1:
        assert "word" not in VocabularyRule(max_frequency=hundredths / 100 - 1e-9).select(counts).ids


@property_settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.integers(1, 4), max_size=12), st.randoms())
def test_ids_do_not_depend_on_the_order_in_which_words_turn_up(counts, random):
    entries = list(counts.items())
    random.shuffle(entries)
    assert VocabularyRule().select(dict(entries)).words == VocabularyRule().select(counts).words


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("min_count", 0),
        ("min_count", 1.5),
        ("max_size", 0),
        ("max_frequency", 0.0),
        ("max_frequency", 1.01),
        ("max_frequency", float("nan")),
    ],
)
def test_rules_out_of_range_are_refused(setting, value):
    with pytest.raises(SettingError, match=f"^{setting}={value}: must be"):
        VocabularyRule(**{setting: value})
