"""Processes that help this one: spawned, deaf to Ctrl-C, and gone when it is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from threading import Thread

SPAWN = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold


def end_with_parent() -> None:
    """End this process when its parent has died without a word: it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def interruptions_held_back() -> Iterator[None]:
    """Hold Ctrl-C back for a moment. A process started meanwhile never sees it: its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def may_start_processes() -> bool:
    """Return whether this process may start others: a daemon, as those of a multiprocessing.Pool are, may not."""
    return not multiprocessing.current_process().daemon
