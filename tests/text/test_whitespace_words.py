"""Words between white space, numbered by NumPy: what `str.split` finds, numbered one by one."""

import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.text import tokenizers, word_bytes
from w2v_exp.text.chunks import SEGMENT_ENDS
from w2v_exp.text.tokenizers import LONGEST, WhitespaceTokenizer, encode_chunk, encode_whitespace_words


def one_by_one(text, segment_end="corpus"):
    """Number with a tokenizer that nothing is known of."""
    return encode_chunk(lambda span: span.split(), text, segment_end)


def assert_same(ours, expected):
    assert ours.words == expected.words
    assert ours.numbers.dtype == np.int32
    np.testing.assert_array_equal(ours.numbers, expected.numbers)
    assert ours.ends.dtype == np.int64
    np.testing.assert_array_equal(ours.ends, expected.ends)


# Of the lengths at which a block of eight bytes ends; zeros and marks, that could be taken for the end of a word.
words = st.text(alphabet="ab", max_size=2).flatmap(
    lambda end: st.sampled_from(
        ["", "a", "aaaaaa", "aaaaaaaaaaaaaa", "Ä", "\0", "\0\0\0\0\0\0\0", "日本", "😀"]
    ).map(lambda start: start + end)
)
spaces = st.sampled_from(
    ["\n", " ", "\n\n", "\n \x1c\n", "\r", "\x1f\t", "\x85", "\xa0", "\n\u3000\n", "\u2028"]
)


@pytest.mark.parametrize("segment_end", SEGMENT_ENDS)
@given(st.lists(words | spaces, max_size=40).map("".join))
@example("")
@example("\n \n")
@example("word")
@example("\0")
@property_settings(max_examples=examples(150), deadline=None)
def test_words_numbers_and_ends_are_those_of_split(segment_end, text):
    assert_same(encode_whitespace_words(text, segment_end), one_by_one(text, segment_end))


def test_white_space_is_all_that_unicode_has():
    characters = map(chr, range(sys.maxunicode + 1))
    assert [character for character in characters if character.isspace()] == tokenizers._SPACES


@pytest.mark.parametrize("length", [1, 2, 3])
def test_many_words_that_begin_or_end_alike_are_told_apart(length):
    middles = map("".join, product("abcdefghijklmnopqrstuvwxyz0123456789", repeat=length))
    several = " ".join(f"{middle} the {middle}beginning beginning{middle}" for middle in middles)
    text = f"{several} {several}"
    assert_same(encode_whitespace_words(text, "corpus"), one_by_one(text))


def test_keys_that_all_have_one_slot_are_told_apart():
    inverse = pow(int(word_bytes._ODD), -1, 2**64)
    keys = np.array([slot * inverse % 2**64 for slot in range(500)] * 2, np.uint64)
    assert len(set(keys.tolist())) == 500
    np.testing.assert_array_equal(word_bytes._first_positions(keys), np.tile(np.arange(500), 2))


def test_a_text_with_a_very_long_word_is_left_to_others():
    fits, too_long = "x" * LONGEST, "é" * (LONGEST // 2) + "x"
    assert encode_whitespace_words(f"a {fits} b {fits}", "corpus").words == ["a", fits, "b"]
    text = f"a {too_long} b\n{too_long}"
    assert encode_whitespace_words(text, "line") is None
    assert_same(encode_chunk(WhitespaceTokenizer(), text, "line"), one_by_one(text, "line"))


def test_lower_case_is_taken_before():
    numbered = encode_chunk(WhitespaceTokenizer(lower=True), "ÄÖ Äö ΣΑΣ σας")
    assert numbered.words == ["äö", "σας"]
    assert numbered.numbers.tolist() == [0, 0, 1, 1]
