"""Sentences given in Python, as ids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp import SentenceCorpus, TextCorpus, UserError, VocabularyRule, WhitespaceTokenizer, encode_text

WORD = st.text("abAB<é", min_size=1, max_size=2)
SENTENCES = st.lists(st.lists(WORD, max_size=5), max_size=6).filter(any)


@given(SENTENCES, st.integers(1, 3), st.none() | st.integers(1, 4))
def test_sentences_are_encoded_as_lines_of_words(sentences, min_count, max_size):
    rule = VocabularyRule(min_count=min_count, max_size=max_size)
    text = TextCorpus("\n".join(map(" ".join, sentences)) + "\n", boundaries="line")
    expected = encode_text(text, WhitespaceTokenizer(), rule)
    found = SentenceCorpus.read(iter(sentences)).encode(rule)
    assert found.vocabulary.words == expected.vocabulary.words
    assert found.tokens == expected.tokens
    for name in ("ids", "segments"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == getattr(expected, name).dtype
    np.testing.assert_array_equal(found.vocabulary.counts, expected.vocabulary.counts)


ANY = st.lists(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=4), max_size=4
)


@given(ANY.filter(any))
def test_words_of_any_characters_are_kept(sentences):
    text = SentenceCorpus.read(sentences).encode(VocabularyRule())
    words = [text.vocabulary.words[number] for number in text.ids]
    assert words == [word for sentence in sentences for word in sentence]
    lengths = [len(sentence) for sentence in sentences if sentence]
    assert np.diff(text.segments).tolist() == lengths


@pytest.mark.second_tier
@given(ANY.filter(any), ANY.filter(any))
def test_the_digest_is_that_of_the_sentences(one, other):
    digests = [SentenceCorpus.read(sentences).digest for sentences in (one, map(tuple, one), other)]
    assert digests[0] == digests[1]
    assert (digests[0] == digests[2]) == (one == other)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ("a text", "sentences='a text': must be an iterable of lists of words, not str"),
        (3, "sentences=3: must be an iterable"),
        ([], "they have no word"),
        ([[], []], "they have no word"),
        (["a text"], r"sentences\[0\]='a text': is not a list of strings"),
        ([["a"], 3], r"sentences\[1\]=3: is not a list of strings"),
        ([["a"], [b"a"]], r"sentences\[1\]: b'a' is a word of type bytes"),
        ([["\ud800"]], r"sentences\[0\]: '\\ud800' has half of a surrogate pair"),
        ([[["a"]]], r"sentences\[0\]=\[\['a'\]\]: is not a list of strings"),
    ],
)
def test_what_is_not_sentences_is_refused(sentences, message):
    with pytest.raises(UserError, match=message):
        SentenceCorpus.read(sentences)


def test_numpy_strings_are_words():
    assert SentenceCorpus.read(np.array([["a", "b"], ["b", "c"]])).words == ["a", "b", "c"]
