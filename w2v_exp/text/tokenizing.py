"""Chunks of text as words and numbers, in one process or several.

A text is taken as bytes. Eight of them make a block, and a block is a number: most words are one, so that equal words
are equal numbers; of longer ones the first blocks are compared first, then the next. Nothing depends on a hash
being free of collisions.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import UserError
from w2v_exp.machine import available_cores
from w2v_exp.processes import (
    SPAWN,
    begin_as_helper,
    interruptions_held_back,
    may_start_processes,
    wait_for_own_signal,
)
from w2v_exp.text.chunks import end_positions, split_into_segments
from w2v_exp.text.tokenizers import ArticleTokenizer, Tokenizer, WhitespaceTokenizer, WordTokenizer


class EncodedChunk(NamedTuple):
    """A chunk of a text as numbers.

    Parameters
    ----------
    words : list of str
        Its distinct words, in the order in which they turn up.
    numbers : ndarray of int32, shape (tokens,)
        For each token the number of its word among them.
    ends : ndarray of int64
        How many of the tokens stand before each end of a segment.
    """

    words: list[str]
    numbers: NDArray[np.int32]
    ends: NDArray[np.int64]


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


def encode_whitespace_words(text: str, segment_end: str) -> EncodedChunk | None:
    """Return a text as the numbers of the words that `str.split` finds in it, with the ends of segments.

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
    first = _first_positions_of_words(zero_ended, starts, lengths)
    is_first = first == np.arange(len(first))
    numbers = (np.cumsum(is_first, dtype=np.int32) - np.int32(1))[first]
    distinct = zip(starts[is_first].tolist(), (starts + lengths)[is_first].tolist(), strict=True)
    words = [content[start:end].decode() for start, end in distinct]
    return EncodedChunk(words, numbers, starts.searchsorted(end_positions(content, segment_end)))


def _find_words(zero_ended: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each word starts, and its length in bytes."""
    zeros = np.flatnonzero(np.frombuffer(zero_ended, np.uint8) == 0)
    starts = np.concatenate([[0], zeros[:-1] + 1])
    lengths = zeros - starts
    words = lengths > 0
    return starts[words], lengths[words]


def _first_positions_of_words(
    zero_ended: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each word the position, among the words, of the first that is the same."""
    # One block for each byte: the one that begins with it.
    blocks = np.ndarray(len(zero_ended) - _BLOCK + 1, "<u8", zero_ended, strides=(1,))
    first = _first_positions(blocks[starts] & _OWN_BITS.take(lengths, mode="clip"))
    done = _BLOCK
    # A word of just one block goes on with an empty one, which tells it from a longer one that begins like it.
    longer = np.flatnonzero(lengths >= done)
    while longer.size:
        next_blocks = blocks[starts[longer] + done] & _OWN_BITS.take(lengths[longer] - done, mode="clip")
        # Words are the same up to here if they are up to the block before and in this one.
        same = first[longer] << 32 | _first_positions(next_blocks)
        first[longer] = longer[_first_positions(same.view(np.uint64))]
        done += _BLOCK
        longer = longer[lengths[longer] >= done]
    return first


def _first_positions(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each key the position of the first that equals it: a hash table, all at once.

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
        first[others] = others[_first_positions(hashes[others])]
    return first


# So many are tokenized at a time: their words then stay in the processor's cache, which is 15 % faster than 1 MB.
PART_CHARACTERS = 1 << 16
MOST_PROCESSES = 8  # one process reads for all of them, and has enough to do for this many
_WHITE_SPACE = re.compile(r"\s+")
_WORD_BY_WORD = (ArticleTokenizer, WordTokenizer)  # a word does not depend on its neighbours
_LINE_END = "w2vexplineend"  # each of these takes it for one word, and lower case changes nothing in it


def encode_chunk(tokenizer: Tokenizer, text: str, segment_end: str = "corpus") -> EncodedChunk:
    """Return a text as numbers, with the ends of segments in it (see `w2v_exp.text.chunks`)."""
    if type(tokenizer) is WhitespaceTokenizer and (
        spaced := encode_whitespace_words(tokenizer.prepare(text), segment_end)
    ):
        return spaced
    if (
        segment_end == "line"
        and type(tokenizer) in _WORD_BY_WORD
        and (marked := _encode_marked(tokenizer, text))
    ):
        return marked
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    numbers, ends = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    done = 0
    for part in _parts(text):
        spans = [tokenizer(span) if span else [] for span in split_into_segments(part, segment_end)]
        positions = done + np.cumsum([len(words) for words in spans], dtype=np.int64)
        ends.append(positions[:-1])
        numbers.append(np.fromiter(map(ids.__getitem__, chain.from_iterable(spans)), np.int32))
        done = int(positions[-1])
    return EncodedChunk(list(ids), np.concatenate(numbers), np.concatenate(ends))


def _encode_marked(tokenizer: Tokenizer, text: str) -> EncodedChunk | None:
    """Do what `encode_chunk` does line by line with a word put at each line end: by half of the time lines take.

    Returns None for the rare text that has this word itself.
    """
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    line_end = ids[_LINE_END]
    numbers, ends = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    done = 0
    for part in _parts(text):
        tokens = tokenizer(part.replace("\n", f"\n{_LINE_END}\n"))
        with_ends = np.fromiter(map(ids.__getitem__, tokens), np.int32, len(tokens))
        at = np.flatnonzero(with_ends == line_end)
        if len(at) != part.count("\n"):
            return None
        ends.append(done + at - np.arange(len(at)))
        numbers.append(with_ends[with_ends != line_end] - 1)  # the others come after it
        done += len(numbers[-1])
    return EncodedChunk(list(ids)[1:], np.concatenate(numbers), np.concatenate(ends))


def encode_chunks(
    tokenizer: Tokenizer, chunks: Iterable[str], processes: int = 1, segment_end: str = "corpus"
) -> Generator[EncodedChunk, None, None]:
    """Yield what `encode_chunk` makes of each chunk, in their order, whatever the number of processes.

    Processes are worth their start (a third of a second) from some 20 MB of text on. They are spawned: a script that
    asks for more than one needs the usual ``if __name__ == "__main__":``, and its tokenizer a module to be
    imported from. With `WhitespaceTokenizer` they are threads of this process instead: NumPy does its work, and lets
    others run meanwhile.

    Raises
    ------
    UserError
        What the tokenizer raises; or if a process dies, as one does that the system kills for its memory.
    """
    if processes == 1:
        yield from (encode_chunk(tokenizer, chunk, segment_end) for chunk in chunks)
        return
    pool = _pool_for(tokenizer, processes)
    waiting: deque[Future[EncodedChunk]] = deque()
    try:
        for chunk in chunks:
            with interruptions_held_back():  # the first of these starts the processes
                waiting.append(pool.submit(encode_chunk, tokenizer, chunk, segment_end))
            if len(waiting) > 2 * processes:  # enough to keep all busy; more would only fill the memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        wait_for_own_signal()
        raise UserError(
            f"One of {processes} processes that tokenize has died: killed for want of memory, or never started "
            "because the calling script lacks if __name__ == '__main__'. With processes=1 there is none to die."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _pool_for(tokenizer: Tokenizer, processes: int) -> Executor:
    if type(tokenizer) is WhitespaceTokenizer:
        return ThreadPoolExecutor(processes)
    with interruptions_held_back():  # its semaphores start the process that deletes them
        return ProcessPoolExecutor(processes, mp_context=SPAWN, initializer=begin_as_helper)


def available_processes() -> int:
    """Return how many processes tokenizing can use: one a core that this process may run on, eight at most."""
    return min(available_cores(), MOST_PROCESSES) if may_start_processes() else 1


def _parts(text: str) -> Iterator[str]:
    """Yield a text in spans that end where a run of white space ends; a short one as it is."""
    start = 0
    while start < len(text):
        spaces = _WHITE_SPACE.search(text, start + PART_CHARACTERS)
        end = spaces.end() if spaces else len(text)
        yield text[start:end]
        start = end
