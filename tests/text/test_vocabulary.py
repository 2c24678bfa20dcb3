"""Which words are kept, and their ids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.errors import SettingError
from w2v_exp.text.vocabulary import GivenVocabulary, VocabularyRule

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


# ---------------------------------------------------------------- given words


@pytest.mark.parametrize(
    "content", ["a\nb\nabsent\n\n", "b\r\na\r\nabsent", "id\tword\tcount\n0\tb\t9\n1\ta\t3\n2\tabsent\t1\n"]
)
def test_given_words_that_occur_are_kept(content, tmp_path):
    (tmp_path / "words").write_text(content)
    rule = GivenVocabulary(path=str(tmp_path / "words"))
    vocabulary = rule.select({"a": 1, "b": 2, "c": 7})
    assert vocabulary.words == ["b", "a"]
    assert vocabulary.counts.tolist() == [2, 1]
    assert GivenVocabulary(min_count=2, path=rule.path).select({"a": 1, "b": 2}).words == ["b"]
    assert GivenVocabulary(max_frequency=0.2, path=rule.path).select({"a": 1, "b": 2, "c": 7}).words == [
        "b",
        "a",
    ]


def test_a_rule_is_described_by_the_words_and_not_by_the_path(tmp_path):
    described = []
    for name, content in (("one", "a\nb"), ("two", "b\na\n"), ("three", "a")):
        (tmp_path / name).write_text(content)
        described.append(GivenVocabulary(path=str(tmp_path / name)).described())
    assert described[0] == described[1] != described[2]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\n", "has no word"),
        (b"\xff", "cannot be read"),
        (b"id\tword\tcount\n0\n", "line 2 has no word"),
        (b"id\tword\tcount\n0\ta\t1\n1\t'=b\t1\n", "line 3 has no word, or one with escaped characters"),
    ],
)
def test_a_file_without_words_is_refused(content, problem, tmp_path):
    (tmp_path / "words").write_bytes(content)
    with pytest.raises(SettingError, match=problem):
        GivenVocabulary(path=str(tmp_path / "words"))
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        GivenVocabulary(path=str(tmp_path / "absent"))
