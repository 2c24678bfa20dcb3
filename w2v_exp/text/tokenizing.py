"""Pieces of text as words and numbers, in this process or in several."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, count

import numpy as np

from w2v_exp.cores import available_cores
from w2v_exp.errors import UserError
from w2v_exp.processes import (
    SPAWN,
    begin_as_helper,
    interruptions_held_back,
    may_start_processes,
    wait_for_own_signal,
)
from w2v_exp.text.numbered_piece import NumberedPiece
from w2v_exp.text.passages import split_at_passages
from w2v_exp.text.spaced_words import number_spaced_words
from w2v_exp.text.tokenizer import ArticleTokenizer, Tokenizer, WhitespaceTokenizer, WordTokenizer

# So many are tokenized at a time: their words then stay in the processor's cache, which is 15 % faster than 1 MB.
PART_CHARACTERS = 1 << 16
MOST_PROCESSES = 8  # one process reads for all of them, and has enough to do for this many
_SPACES = re.compile(r"\s+")
_WORD_BY_WORD = (ArticleTokenizer, WordTokenizer)  # a word does not depend on its neighbours
_LINE_END = "w2vexplineend"  # each of these takes it for one word, and lower case changes nothing in it


def number_words(tokenizer: Tokenizer, text: str, passage_end: str = "corpus") -> NumberedPiece:
    """Return a text as numbers, with the ends of passages in it (see `w2v_exp.text.passages`)."""
    if type(tokenizer) is WhitespaceTokenizer and (
        spaced := number_spaced_words(tokenizer.prepare(text), passage_end)
    ):
        return spaced
    if (
        passage_end == "line"
        and type(tokenizer) in _WORD_BY_WORD
        and (marked := _number_marked(tokenizer, text))
    ):
        return marked
    ids: defaultdict[str, int] = defaultdict(count().__next__)
    numbers, ends = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    done = 0
    for part in _parts(text):
        stretches = [
            tokenizer(stretch) if stretch else [] for stretch in split_at_passages(part, passage_end)
        ]
        places = done + np.cumsum([len(words) for words in stretches], dtype=np.int64)
        ends.append(places[:-1])
        numbers.append(np.fromiter(map(ids.__getitem__, chain.from_iterable(stretches)), np.int32))
        done = int(places[-1])
    return NumberedPiece(list(ids), np.concatenate(numbers), np.concatenate(ends))


def _number_marked(tokenizer: Tokenizer, text: str) -> NumberedPiece | None:
    """Do what `number_words` does line by line with a word put at each line end: by half of the time lines take.

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
    return NumberedPiece(list(ids)[1:], np.concatenate(numbers), np.concatenate(ends))


def number_pieces(
    tokenizer: Tokenizer, pieces: Iterable[str], processes: int = 1, passage_end: str = "corpus"
) -> Generator[NumberedPiece, None, None]:
    """Yield what `number_words` makes of each piece, in their order, whatever the number of processes.

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
        yield from (number_words(tokenizer, piece, passage_end) for piece in pieces)
        return
    pool = _pool_for(tokenizer, processes)
    waiting: deque[Future[NumberedPiece]] = deque()
    try:
        for piece in pieces:
            with interruptions_held_back():  # the first of these starts the processes
                waiting.append(pool.submit(number_words, tokenizer, piece, passage_end))
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
    """Yield a text in stretches that end where a run of white space ends; a short one as it is."""
    start = 0
    while start < len(text):
        spaces = _SPACES.search(text, start + PART_CHARACTERS)
        end = spaces.end() if spaces else len(text)
        yield text[start:end]
        start = end
