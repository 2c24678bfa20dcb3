"""Sentences: counted, selected and encoded as a loop would do it, from memory and from files."""

import bz2
import gzip
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import CorpusError, SettingError, UserError
from w2v_exp.word2vec import LineSentence, PathLineSentences
from w2v_exp.word2vec.sentences import (
    DEFAULT,
    DISCARD,
    KEEP,
    HeldText,
    KnownWords,
    SentencesError,
    WordSelection,
    encode,
    encode_sentences,
)

LINES = [["a", "b", "a"], [], ["c"], ["b", "a", "d", "d"]]


def selection(min_count=0, max_final=None, is_sorted=True, rule=None, known=None):
    return WordSelection(min_count, max_final, is_sorted, rule, known)


def words_of(text):
    """Return the sentences of encoded text, as words."""
    words = np.array(text.vocabulary.words, object)
    return [words[text.ids[a:b]].tolist() for a, b in zip(text.segments, text.segments[1:], strict=False)]


words = st.text("abcdé ", min_size=0, max_size=2)


@settings(max_examples=examples(50))
@given(st.lists(st.lists(words, max_size=6), max_size=6), st.integers(0, 3), st.booleans())
def test_encoded_sentences_are_those_of_a_loop(sentences, min_count, is_sorted):
    counts = Counter(chain.from_iterable(sentences))
    kept = {word for word, count in counts.items() if count >= min_count}
    if not counts:
        with pytest.raises(CorpusError, match="has no word"):
            encode_sentences(sentences, selection())
        return
    text, number = encode_sentences(iter(map(tuple, sentences)), selection(min_count, is_sorted=is_sorted))
    assert number == len(sentences)
    assert text.tokens == sum(map(len, sentences))
    expected = [[word for word in sentence if word in kept] for sentence in sentences]
    assert words_of(text) == [sentence for sentence in expected if sentence]
    assert dict(zip(text.vocabulary.words, text.vocabulary.counts.tolist(), strict=True)) == {
        word: counts[word] for word in kept
    }
    order = sorted(sorted(kept), key=counts.__getitem__, reverse=True) if is_sorted else list(counts)
    assert text.vocabulary.words == [word for word in order if word in kept]


def test_more_sentences_than_are_read_at_once(monkeypatch):
    whole, _ = encode_sentences(LINES * 7, selection())
    monkeypatch.setattr("w2v_exp.word2vec.sentences.SENTENCES_AT_ONCE", 3)
    parts, number = encode_sentences(LINES * 7, selection())
    assert parts.ids.tolist() == whole.ids.tolist()
    assert parts.segments.tolist() == whole.segments.tolist()
    assert number == 28


def test_a_final_size_raises_the_smallest_count():
    choice = selection(min_count=1, max_final=2)
    text, _ = encode_sentences(LINES, choice)
    # a: 3, b: 2, d: 2, c: 1. Two words cannot be had without splitting equal counts.
    assert (text.vocabulary.words, choice.effective_min_count) == (["a"], 3)
    assert encode_sentences(LINES, selection(max_final=4))[0].vocabulary.words == ["a", "b", "d", "c"]


def test_the_rarest_words_are_forgotten_where_there_are_too_many():
    sentences = [["graph", "system"]] * 2 + [["system", "eps"], ["graph", "system"]]
    text, _ = encode_sentences(sentences, selection(), max_words=2)
    assert dict(zip(text.vocabulary.words, text.vocabulary.counts, strict=True)) == {"system": 4, "graph": 3}
    assert words_of(text) == [["graph", "system"]] * 2 + [["system"], ["graph", "system"]]


def test_a_rule_keeps_and_drops_words():
    decisions = {"a": DISCARD, "c": KEEP, "b": DEFAULT, "d": None}
    seen = []

    def rule(word, count, min_count):
        seen.append((word, count, min_count))
        return decisions[word]

    text, _ = encode_sentences(LINES, selection(2, rule=rule))
    assert text.vocabulary.words == ["b", "d", "c"]
    assert sorted(seen) == [("a", 3, 2), ("b", 2, 2), ("c", 1, 2), ("d", 2, 2)]


def test_new_words_follow_known_ones_and_counts_are_added():
    first, _ = encode_sentences([["x", "b", "b"]], selection())
    text, _ = encode_sentences(LINES, selection(min_count=2, known=first.vocabulary))
    assert text.vocabulary.words == ["b", "x", "a", "d"]
    assert text.vocabulary.counts.tolist() == [4, 1, 3, 2]
    other, _ = encode_sentences([["new", "a"]], KnownWords(text.vocabulary))
    assert words_of(other) == [["a"]]


def test_a_held_text_is_that_of_its_object_or_file():
    text, _ = encode_sentences(LINES, selection())
    held = HeldText(LINES, None, text)
    assert held.of(LINES, None) is text
    assert held.of(list(LINES), None) is None
    assert held.of(None, "file") is None
    assert HeldText(None, "file", text).of(None, "file") is text


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(("suffix", "opened"), [("", open), (".gz", gzip.open), (".bz2", bz2.open)])
def test_lines_of_a_file_are_sentences(tmp_path, suffix, opened):
    file = tmp_path / f"text{suffix}"
    with opened(file, "wb") as stream:
        stream.write("one  zwei\tdrei\n\nvier é\n".encode())
    sentences = LineSentence(str(file))
    assert list(sentences) == list(sentences) == [["one", "zwei", "drei"], ["vier", "é"]]
    assert list(LineSentence(file, max_sentence_length=2)) == [["one", "zwei"], ["drei"], ["vier", "é"]]
    assert list(LineSentence(file, limit=1)) == [["one", "zwei", "drei"]]
    with opened(file, "rb") as stream:
        assert list(LineSentence(stream)) == list(sentences)
    assert repr(sentences) == f"LineSentence({str(file)!r})"


def test_files_of_a_folder_are_read_by_name(tmp_path):
    (tmp_path / "b").write_text("three\n")
    (tmp_path / "a").write_text("one\ntwo\n")
    (tmp_path / "folder").mkdir()
    assert list(PathLineSentences(tmp_path)) == [["one"], ["two"], ["three"]]
    assert list(PathLineSentences(str(tmp_path / "b"))) == [["three"]]


@pytest.mark.parametrize("max_words", [None, 10])
def test_a_file_of_lines_is_encoded_as_its_sentences(tmp_path, max_words):
    file = tmp_path / "text"
    file.write_text("\n".join(" ".join(line) for line in LINES))
    text, number = encode(None, file, selection(1), max_words)
    expected, _ = encode_sentences(LINES, selection(1))
    assert words_of(text) == words_of(expected)
    assert text.vocabulary.words == expected.vocabulary.words
    assert number == 3


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ("a text", "sentences='a text': must be an iterable of lists of words"),
        (5, "sentences=5: must be an iterable"),
        ([["a"], 3], "sentences: 3 is not a list of words"),
        ([["a", 5]], "sentences: 5 is not a word, but int"),
        ([["a", float("nan")]], "sentences: nan is not a word, but float"),
        ([[["a"], ["b"]]], "sentences: ['a'] is not a word, but list"),
        ([b"bytes"], "sentences: 98 is not a word, but int"),
    ],
)
def test_sentences_that_are_not_lists_of_words_are_refused(sentences, message):
    with pytest.raises(SentencesError) as caught:
        encode_sentences(sentences, selection())
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, TypeError)


def test_a_string_in_place_of_a_list_is_taken_as_characters_with_a_warning():
    with pytest.warns(UserWarning, match="'human' is a string, of which each character is taken as a word"):
        text, _ = encode_sentences(["human", ["x"], "machine"], selection())
    assert words_of(text) == [list("human"), ["x"], list("machine")]


def test_an_iterator_that_has_been_consumed_is_named():
    consumed = iter(LINES)
    list(consumed)
    with pytest.raises(CorpusError, match="If it is an iterator, it may have been consumed"):
        encode_sentences(consumed, selection())


def test_a_missing_file_is_named_by_its_parameter(tmp_path):
    with pytest.raises(SettingError, match=r"^corpus_file=.*none: no such file"):
        encode(None, tmp_path / "none", selection(), None)


def test_one_source_is_needed():
    for arguments in ((None, None), (LINES, "file")):
        with pytest.raises(TypeError, match="sentences, corpus_file: give one of the two"):
            encode(*arguments, selection(), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n\xff b\n", r"line 2: is not UTF-8"),
        (b"PK\x03\x04", "is a zip archive"),
        (b"\x1f\x8bxx", "is damaged"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, content, message):
    file = tmp_path / "text"
    file.write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        list(LineSentence(file))
    with pytest.raises(CorpusError, match="No such file"):
        list(LineSentence(tmp_path / "none"))
    with pytest.raises(UserError, match="no such folder or file"):
        PathLineSentences(tmp_path / "none")
