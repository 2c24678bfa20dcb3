"""Words that stand between white space, numbered by NumPy: without a Python object for every token.

A text is taken as bytes. Eight of them make a block, and a block is a number: most words are one, so that equal words
are equal numbers; of longer ones the first blocks are compared first, then the next. Nothing depends on a hash
being free of collisions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from w2v_exp.text.numbered_piece import NumberedPiece
from w2v_exp.text.passages import places_of_ends

LONGEST = 256  # bytes of a word; longer ones are rare, and would take a turn of the loop for every block
_BLOCK = 8  # bytes
# By the length of what is left of a word: which bits of a block are its own.
_OWN_BITS = np.array([(1 << 8 * length) - 1 for length in range(_BLOCK + 1)], np.uint64)
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio (Knuth, TAOCP 3, section 6.4)

_LAST_SPACE = 0x3000  # of Unicode's white space
_SPACES = [character for character in map(chr, range(_LAST_SPACE + 1)) if character.isspace()]
_WIDE_SPACES = [space for space in _SPACES if not space.isascii()]
_NARROW_SPACES = bytes(ord(space) for space in _SPACES if space.isascii())
# White space becomes the byte 0, which so ends a word; the character that is 0 itself is written as a space.
_SPACE_TO_ZERO = bytes.maketrans(b"\0" + _NARROW_SPACES, b" " + bytes(len(_NARROW_SPACES)))


def number_spaced_words(text: str, passage_end: str) -> NumberedPiece | None:
    """Return a text as the numbers of the words that `str.split` finds in it, with the ends of passages.

    Returns None for a text with a word of more than `LONGEST` bytes.
    """
    if not text.isascii():
        for space in _WIDE_SPACES:
            text = text.replace(space, " ")
    content = text.encode()
    # Blocks are read beyond the last word.
    zero_ended = content.translate(_SPACE_TO_ZERO) + bytes(_BLOCK)
    starts, lengths = _find_words(zero_ended)
    if lengths.max(initial=0) > LONGEST:
        return None
    first = _first_places_of_words(zero_ended, starts, lengths)
    is_first = first == np.arange(len(first))
    numbers = (np.cumsum(is_first, dtype=np.int32) - np.int32(1))[first]
    distinct = zip(starts[is_first].tolist(), (starts + lengths)[is_first].tolist(), strict=True)
    words = [content[start:end].decode() for start, end in distinct]
    return NumberedPiece(words, numbers, starts.searchsorted(places_of_ends(content, passage_end)))


def _find_words(zero_ended: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each word starts, and its length in bytes."""
    zeros = np.flatnonzero(np.frombuffer(zero_ended, np.uint8) == 0)
    starts = np.concatenate([[0], zeros[:-1] + 1])
    lengths = zeros - starts
    words = lengths > 0
    return starts[words], lengths[words]


def _first_places_of_words(
    zero_ended: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each word the place, among the words, of the first that is the same."""
    # One block for each byte: the one that begins with it.
    blocks = np.ndarray(len(zero_ended) - _BLOCK + 1, "<u8", zero_ended, strides=(1,))
    first = _first_places(blocks[starts] & _OWN_BITS.take(lengths, mode="clip"))
    done = _BLOCK
    # A word of just one block goes on with an empty one, which tells it from a longer one that begins like it.
    longer = np.flatnonzero(lengths >= done)
    while longer.size:
        next_blocks = blocks[starts[longer] + done] & _OWN_BITS.take(lengths[longer] - done, mode="clip")
        # Words are the same up to here if they are up to the block before and in this one.
        same = first[longer] << 32 | _first_places(next_blocks)
        first[longer] = longer[_first_places(same.view(np.uint64))]
        done += _BLOCK
        longer = longer[lengths[longer] >= done]
    return first


def _first_places(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each key the place of the first that equals it: a hash table, all at once.

    Of several keys with the same slot the first one gets it; those that are others have another try among themselves.
    """
    hashes = keys * _ODD  # reversible: they are equal where the keys are
    bits = len(keys).bit_length()
    slots = (hashes >> np.uint64(64 - bits)).view(np.int64)
    table = np.empty(1 << bits, np.int64)
    table[slots[::-1]] = np.arange(len(keys))[::-1]  # the last that is written stays: the first of the keys
    first: NDArray[np.int64] = table[slots]
    del slots, table  # no need for the most memory of all in what follows
    others = np.flatnonzero(hashes[first] != hashes)
    if others.size:  # fewer than before, as one key at least has its slot
        first[others] = others[_first_places(hashes[others])]
    return first
