"""Pieces of text as words and numbers, in this process or in several."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import wait
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from w2v_exp.cores import available_cores
from w2v_exp.errors import UserError
from w2v_exp.text.tokenizer import Tokenizer

# So many are tokenized at a time: their words then stay in the processor's cache, which is 15 % faster than 1 MB.
PART_CHARACTERS = 1 << 16
MOST_PROCESSES = 8  # one process reads for all of them, and has enough to do for this many
_SPACE = re.compile(r"\s")

# The distinct words of a piece in the order in which they turn up, and for each token the number of its word.
NumberedPiece = tuple[list[str], NDArray[np.int32]]


def number_words(tokenizer: Tokenizer, text: str) -> NumberedPiece:
    """Return the distinct words of a text, and for each of its tokens the number of its word among them."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    tokens = [np.fromiter(map(numbers.__getitem__, tokenizer(part)), np.int32) for part in _parts(text)]
    return list(numbers), np.concatenate(tokens) if tokens else np.zeros(0, np.int32)


def number_pieces(
    tokenizer: Tokenizer, pieces: Iterable[str], processes: int = 1
) -> Generator[NumberedPiece, None, None]:
    """Yield what `number_words` makes of each piece, in their order, whatever the number of processes.

    Processes are worth their start (a third of a second) from some 20 MB of text on. They are spawned: a script that
    asks for more than one needs the usual ``if __name__ == "__main__":``, and its tokenizer a module to be
    imported from.

    Raises
    ------
    UserError
        What the tokenizer raises; or if a process dies, as one does that the system kills for its memory.
    """
    if processes == 1:
        yield from (number_words(tokenizer, piece) for piece in pieces)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent)
    waiting: deque[Future[NumberedPiece]] = deque()
    try:
        for piece in pieces:
            with _interruptions_held_back():  # the first of these starts the processes
                waiting.append(pool.submit(number_words, tokenizer, piece))
            if len(waiting) > 2 * processes:  # enough to keep all busy; more would only fill the memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            f"One of {processes} processes that tokenize has died: killed for want of memory, or never started "
            "because the calling script lacks if __name__ == '__main__'. With processes=1 there is none to die."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def available_processes() -> int:
    """Return how many processes tokenizing can use: one a core that this process may run on, eight at most."""
    if multiprocessing.current_process().daemon:  # those of a multiprocessing.Pool may not start others
        return 1
    return min(available_cores(), MOST_PROCESSES)


def _parts(text: str) -> Iterator[str]:
    """Yield a text in stretches that end at white space; a short one as it is."""
    start = 0
    while start < len(text):
        space = _SPACE.search(text, start + PART_CHARACTERS)
        end = space.end() if space else len(text)
        yield text[start:end]
        start = end


def _end_with_parent() -> None:
    """End this process when its parent has died without a word: it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _interruptions_held_back() -> Iterator[None]:
    """Hold Ctrl-C back for a moment. A process started meanwhile never sees it: its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
