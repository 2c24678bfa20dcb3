"""Words in one array of bytes: the strings that they were made of, sorted and compared as Python does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.errors import UserError
from w2v_exp.text.word_bytes import Words

# Prefixes of one another, of lengths around eight bytes; with the characters 0 and of two to four bytes.
words = st.text("ab\0é日😀", min_size=1, max_size=26)


def in_order(word: str) -> bytes:
    return word.encode().replace(b"\0", b"\n")


@given(st.lists(words, unique=True))
def test_words_are_stored_and_sorted_by_their_bytes(listed: list[str]) -> None:
    made = Words.of(listed)
    assert len(made) == len(listed)
    assert list(made) == made.strings() == [made[i] for i in range(len(made))] == listed
    assert made == listed
    ordered = made.take(made.order())
    assert ordered.strings() == sorted(listed, key=in_order)
    assert ordered[1:3].strings() == ordered.strings()[1:3]
    assert ordered[2:2].strings() == ordered[len(made) :].strings() == []


@given(st.lists(words), st.lists(words))
def test_equal_words_have_one_first_position(one: list[str], other: list[str]) -> None:
    both = one + other
    joined = Words.joined([Words.of(one), Words.of(other)])
    assert joined.strings() == both
    assert joined.first_positions().tolist() == [both.index(word) for word in both]


@pytest.mark.parametrize("listed", [[""], ["a", ""], ["a\nb"]])
def test_words_that_cannot_be_told_apart_are_refused(listed: list[str]) -> None:
    with pytest.raises(UserError, match="empty or has a line end"):
        Words.of(listed)
