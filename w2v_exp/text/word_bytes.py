"""Words as bytes: equal words among millions, and their order.

Eight bytes make a block, and a block is a number: most words are one block, so equal words are equal numbers; longer
words are compared block by block. No result depends on hashes without collisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import UserError

BLOCK = 8  # bytes
# By the number of bytes left of a word: the bits of a block that belong to it.
_OWN_BITS = np.array([(1 << 8 * length) - 1 for length in range(BLOCK + 1)], np.uint64)
_FIRST_BITS = _OWN_BITS.byteswap()  # likewise, of a block whose first byte has the highest value
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio (Knuth, TAOCP 3, section 6.4)


def find_words(zero_ended: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the start and length of each word, in bytes."""
    zeros = np.flatnonzero(np.frombuffer(zero_ended, np.uint8) == 0)
    starts = np.concatenate([[0], zeros[:-1] + 1])
    lengths = zeros - starts
    words = lengths > 0
    return starts[words], lengths[words]


def first_positions_of_words(
    zero_ended: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each word the index of the first equal word."""
    # A block for each byte, which begins with it.
    blocks = np.ndarray(len(zero_ended) - BLOCK + 1, "<u8", zero_ended, strides=(1,))
    first = _first_positions(blocks[starts] & _OWN_BITS.take(lengths, mode="clip"))
    done = BLOCK
    # A word of exactly one block gets an empty second one, which distinguishes it from a longer word.
    longer = np.flatnonzero(lengths >= done)
    while longer.size:
        next_blocks = blocks[starts[longer] + done] & _OWN_BITS.take(lengths[longer] - done, mode="clip")
        # Words are equal so far if they are equal up to the block before and in this one.
        same = first[longer] << 32 | _first_positions(next_blocks)
        first[longer] = longer[_first_positions(same.view(np.uint64))]
        done += BLOCK
        longer = longer[lengths[longer] >= done]
    return first


def _first_positions(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each key the index of the first equal key, by a hash table that is filled in one step.

    Of several keys with the same slot the first one gets it; different ones are tried again among themselves.
    """
    hashes = keys * _ODD  # reversible: equal only for equal keys
    bits = len(keys).bit_length()
    slots = (hashes >> np.uint64(64 - bits)).view(np.int64)
    table = np.empty(1 << bits, np.int64)
    table[slots[::-1]] = np.arange(len(keys))[::-1]  # the last write stays: that of the first key
    first: NDArray[np.int64] = table[slots]
    del slots, table  # the largest arrays are not needed below
    others = np.flatnonzero(hashes[first] != hashes)
    if others.size:  # fewer than before: at least one key has its slot
        first[others] = others[_first_positions(hashes[others])]
    return first


def order_of_words(
    zero_ended: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the indices of distinct words in the order of their bytes."""
    blocks = np.ndarray(len(zero_ended) - BLOCK + 1, ">u8", zero_ended, strides=(1,))

    def keys(words: NDArray[np.int64], done: int) -> NDArray[np.uint64]:
        own = _FIRST_BITS.take(lengths[words] - done, mode="clip")
        return blocks[starts[words] + done].astype(np.uint64) & own

    first = keys(np.arange(len(starts)), 0)
    order, done = np.argsort(first), BLOCK
    groups = _group_numbers(first[order])
    tied = _tied(groups)
    groups = groups[tied]
    while tied.size:  # words that are equal so far; one without further bytes is the first of its group
        words = order[tied]
        ranks = np.unique(keys(words, done), return_inverse=True)[1]
        merged = groups << 32 | ranks
        sorting = np.argsort(merged)
        order[tied] = words[sorting]
        groups = _group_numbers(merged[sorting])
        still = _tied(groups)
        tied, groups, done = tied[still], groups[still], done + BLOCK
    return order


def _group_numbers(ordered: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return for each of some sorted values the number of smaller distinct ones."""
    return np.cumsum(np.append(False, ordered[1:] != ordered[:-1]), dtype=np.int64)[: len(ordered)]


def _tied(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of groups with other members."""
    same = groups[1:] == groups[:-1]
    return np.flatnonzero(np.append(same, False) | np.append(False, same))[: len(groups)]


class Words(Sequence[str]):
    """Words in one array of bytes: a million of them take 10 MB.

    Parameters
    ----------
    content : ndarray of uint8
        The words in UTF-8, each followed by a line end.
    """

    def __init__(self, content: NDArray[np.uint8]) -> None:
        self.content = content

    @classmethod
    def of(cls, words: Sequence[str]) -> Words:
        """Return these words.

        Raises
        ------
        UserError
            If a word is empty or has a line end.
        """
        text = "\n".join([*words, ""])
        made = cls(np.frombuffer(text.encode(errors="surrogatepass"), np.uint8))
        if text.count("\n") != len(words) or len(made) != len(words):
            raise UserError(
                "The tokenizer returned a word that is empty or has a line end: it must have neither."
            )
        return made

    @classmethod
    def of_spans(cls, content: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Words:
        """Return words that are spans of bytes."""
        at, ends = _span_positions(starts, lengths + 1)
        found = np.frombuffer(content, np.uint8).take(at, mode="clip")
        found[ends - 1] = ord("\n")
        return cls(found)

    @classmethod
    def joined(cls, several: Iterable[Words]) -> Words:
        """Return the words of several one after the other."""
        return cls(np.concatenate([np.empty(0, np.uint8), *(words.content for words in several)]))

    @cached_property
    def _zero_ended(self) -> bytes:
        return self.content.tobytes().translate(_LINE_END_TO_ZERO) + bytes(BLOCK)

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return find_words(self._zero_ended)

    def __len__(self) -> int:
        return len(self._places[0])

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> Words: ...
    def __getitem__(self, number: int | slice) -> str | Words:
        starts, lengths = self._places
        if isinstance(number, slice):
            first, last, step = number.indices(len(self))
            if step != 1:
                raise ValueError("Words can be sliced in steps of one only.")
            begin = int(starts[first]) if first < len(starts) else len(self.content)
            end = int(starts[last]) if last < len(starts) else len(self.content)
            return Words(self.content[begin : max(begin, end)])
        start, length = int(starts[number]), int(lengths[number])
        return self.content[start : start + length].tobytes().decode(errors="surrogatepass")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Words):
            return np.array_equal(self.content, other.content)
        return isinstance(other, list) and self.strings() == other

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[str]:
        return iter(self.strings())

    def starts(self) -> NDArray[np.int64]:
        """Return the position of the first byte of each word."""
        return self._places[0]

    def strings(self) -> list[str]:
        """Return the words as strings."""
        return self.content.tobytes().decode(errors="surrogatepass").split("\n")[:-1]

    def take(self, numbers: NDArray[np.int64]) -> Words:
        """Return the words of these indices, in this order."""
        starts, lengths = self._places
        return Words(self.content[_span_positions(starts[numbers], lengths[numbers] + 1)[0]])

    def order(self) -> NDArray[np.int64]:
        """Return the indices of distinct words in the order of their bytes."""
        return order_of_words(self._zero_ended, *self._places)

    def first_positions(self) -> NDArray[np.int64]:
        """Return for each word the index of the first equal word."""
        return first_positions_of_words(self._zero_ended, *self._places)


def _span_positions(
    starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions in all spans, span by span, and the end of each among these."""
    ends = np.cumsum(lengths)
    at = np.repeat(starts - ends + lengths, lengths)
    at += np.arange(len(at))
    return at, ends


# A line end becomes the byte 0, which ends a word; the character 0, which a word may have, becomes a line end.
_LINE_END_TO_ZERO = bytes.maketrans(b"\n\0", b"\0\n")
