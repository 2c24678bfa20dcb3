"""Processes that help this one: spawned or copied, deaf to Ctrl-C, and gone when it is gone."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from threading import Thread, active_count
from time import sleep

HELD_BACK = {getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)}
SIGNAL_SECONDS = 0.5
SPAWN = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold


def may_be_copied() -> bool:
    """Return whether a copy of this process is safe: on Linux, while it has no other Python thread.

    What another thread has locked stays locked in a copy, where nobody would unlock it. Threads of BLAS do not matter:
    it ends them before, and starts them anew. On macOS, the system's own libraries do not bear being copied.
    """
    return sys.platform == "linux" and active_count() == 1


def lightest_context() -> BaseContext:
    """Return how to start processes so that they take the least memory: as copies where that is safe, or spawned.

    A copy has this process's pages, its modules among them, until one of the two writes to them; a spawned process
    loads all modules again.
    """
    return multiprocessing.get_context("fork") if may_be_copied() else SPAWN


@contextmanager
def pages_left_alone() -> Iterator[None]:
    """Write to as few pages of this process as possible, while copies of it share them.

    Memory that is free goes back to the system, or a copy would fill it, each page of it a page that is shared no more;
    and the garbage collector, which writes to every object that it looks at, looks at none of those there are.
    """
    gc.collect()
    gc.freeze()
    return_free_memory()
    try:
        yield
    finally:
        gc.unfreeze()


def return_free_memory() -> None:
    """Give the system what is free of this process's memory, where its C library can."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def start(process: BaseProcess) -> None:
    """Start a process that sees neither Ctrl-C nor the end of the terminal."""
    with interruptions_held_back(), warnings.catch_warnings():
        # That of copying a process which has threads: those of BLAS, by `may_be_copied`.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        process.start()


def begin_as_helper() -> None:
    """In a process that has been started: end by SIGTERM alone, which the parent sends, or when the parent has died.

    A copy has the parent's handlers, which end a run in order. Ctrl-C and the end of the terminal go to the parent as
    well.
    """
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in HELD_BACK:
            signal.signal(number, signal.SIG_IGN)
    end_with_parent()


def wait_for_own_signal() -> None:
    """Give a signal that has ended a helper process time to reach this process, where it raises an interruption.

    Whoever signals a group of processes one by one may reach the helpers first.
    """
    sleep(SIGNAL_SECONDS)


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
    """Hold Ctrl-C and the end of the terminal back for a moment.

    A process started meanwhile never sees them: its parent ends it. Nor does the process that Python starts to delete
    semaphores, which would stay in /dev/shm if the end of the terminal ended it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def may_start_processes() -> bool:
    """Return whether this process may start others: a daemon, as those of a multiprocessing.Pool are, may not."""
    return not multiprocessing.current_process().daemon
