"""Processes: signals that end them in order, helper processes, and exit codes.

The first of them raises a `KeyboardInterrupt`, and what there is of the run is recorded. Further ones within
`IGNORED_SECONDS` are ignored: a closing terminal, `timeout` and impatient users send several, which should not break
the orderly end. A later one interrupts that, too, for instance where a store does not respond. A signal that was
ignored when the process started stays ignored (`nohup`, background jobs).
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread, active_count
from time import monotonic, sleep
from types import FrameType
from typing import Any, NoReturn, TextIO

from w2v_exp.errors import visible

IGNORED_SECONDS = 3.0


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""

    exit_code = 143  # 128 and the number of the signal, as shells have it


class HungUp(Terminated):
    """The terminal of the process was closed (SIGHUP)."""

    exit_code = 129


_EXCEPTIONS: dict[str, type[KeyboardInterrupt]] = {
    "SIGINT": KeyboardInterrupt,
    "SIGTERM": Terminated,
    "SIGHUP": HungUp,  # not on Windows
}


class _State:
    """What this process has received, while `termination_as_exception` lasts."""

    is_handled = False
    is_deferred = False
    received_at: float | None = None  # the last one that was not ignored
    deferred: KeyboardInterrupt | None = None

    def begin(self) -> None:
        """Forget what was received before."""
        self.is_handled, self.is_deferred, self.received_at, self.deferred = True, False, None, None


_state = _State()


@contextmanager
def termination_as_exception() -> Iterator[None]:
    """Turn signals into exceptions, so that they are handled where Ctrl-C is: else they leave a run RUNNING.

    Within another one of its kind, and in other threads than the main one, this does nothing.
    """
    if _state.is_handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = {name: getattr(signal, name) for name in _EXCEPTIONS if hasattr(signal, name)}
    before = {number: signal.getsignal(number) for number in numbers.values()}
    handled = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    _state.begin()
    try:
        for number in handled:
            signal.signal(number, _receive)
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
        _state.is_handled = False


@contextmanager
def interruptions_deferred() -> Iterator[None]:
    """Raise the first interruption after the block: what it does is to be whole, or not there.

    A second one, if it is not ignored, is raised in the block.
    """
    before, _state.is_deferred = _state.is_deferred, True
    try:
        yield
    except KeyboardInterrupt:
        _state.deferred = None  # this one serves for it
        raise
    finally:
        _state.is_deferred = before
        if not before:
            _raise_deferred()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise interruptions at once within this part of a block where they are deferred."""
    before, _state.is_deferred = _state.is_deferred, False
    try:
        _raise_deferred()
        yield
    finally:
        _state.is_deferred = before


def _receive(number: int, frame: FrameType | None) -> None:
    now, last = monotonic(), _state.received_at
    if last is not None and now - last < IGNORED_SECONDS:
        return
    _state.received_at = now
    interruption = _EXCEPTIONS[signal.Signals(number).name]()
    if _state.is_deferred and last is None:
        _state.deferred = interruption
        return
    raise interruption


def _raise_deferred() -> None:
    interruption, _state.deferred = _state.deferred, None
    if interruption is not None:
        raise interruption


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


class VisibleStream:
    """A text stream that replaces control characters, for messages with names and values from outside.

    Parameters
    ----------
    stream : TextIO
        Target of the text. Rich, whose consoles replace such characters themselves (see
        `reporting.escape.visible_console`), writes its own control sequences to it directly: it looks for the
        attribute ``rich_proxied_file``.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write a text, and return its number of characters."""
        self.rich_proxied_file.write(visible(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


class _StandardErrorHandler(logging.Handler):
    """Writes messages, and nothing else, to the standard error of the moment: a progress bar replaces it."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a full disk, or no reader any more: a run does not end for that
            print(visible(self.format(record)), file=sys.stderr, flush=True)


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """Show what the package logs as lines of the standard error, as a command does; of other packages only errors.

    Elsewhere, as in a notebook, the loggers ``w2v_exp.…`` are as Python has them: warnings are shown, and can be
    silenced, redirected or captured. Within another one of its kind this does nothing.
    """
    logger, root = logging.getLogger("w2v_exp"), logging.getLogger()
    if any(isinstance(handler, _StandardErrorHandler) for handler in logger.handlers):
        yield
        return
    handler = _StandardErrorHandler()
    levels, propagate = (logger.level, root.level), logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    root.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(levels[0])
        root.setLevel(levels[1])
        logger.propagate = propagate


INTERRUPTED = 130  # by Ctrl-C: 128 and the signal's number, as shells have it


def exit_with(command: Callable[[list[str]], int]) -> NoReturn:
    """Run a command with the arguments of this process, and exit with the code that it returns."""
    sys.stdout, sys.stderr = VisibleStream(sys.stdout), VisibleStream(sys.stderr)
    try:
        Path.cwd()
    except FileNotFoundError:
        sys.exit("The current folder has been deleted. Change to a folder that exists.")
    try:
        code = command(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the exit
        code = 1
    except KeyboardInterrupt as interruption:
        print("Interrupted.", file=sys.stderr)
        code = getattr(interruption, "exit_code", INTERRUPTED)
    for name in (
        "SIGINT",
        "SIGTERM",
        "SIGHUP",
    ):  # all is done: whoever does not want to wait for the rest need not
        if (number := getattr(signal, name, None)) and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code))
    sys.exit(code)
