"""Processes: signals that end them in order, helper processes, and exit codes.

The first signal raises a `KeyboardInterrupt`, and the partial results of the run are recorded. Further signals within
`IGNORED_SECONDS` are ignored, because a closing terminal, `timeout` and impatient users send several. A later one
interrupts the recording as well, for example if a store does not respond. A signal that was ignored when the process
started stays ignored (`nohup`, background jobs).
"""

from __future__ import annotations

import gc
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

from w2v_exp.errors import visible, wrapped
from w2v_exp.machine import freeze

IGNORED_SECONDS = 3.0


class Terminated(KeyboardInterrupt):
    """The process received SIGTERM."""

    exit_code = 143  # 128 plus the number of the signal, as in shells


class HungUp(Terminated):
    """The terminal of the process was closed (SIGHUP)."""

    exit_code = 129


_EXCEPTIONS: dict[str, type[KeyboardInterrupt]] = {
    "SIGINT": KeyboardInterrupt,
    "SIGTERM": Terminated,
    "SIGHUP": HungUp,  # not on Windows
}


class _State:
    """Signals that this process has received within `termination_as_exception`."""

    is_handled = False
    is_deferred = False
    received_at: float | None = None  # the last one that was not ignored
    deferred: KeyboardInterrupt | None = None

    def begin(self) -> None:
        """Reset the state."""
        self.is_handled, self.is_deferred, self.received_at, self.deferred = True, False, None, None


_state = _State()


@contextmanager
def termination_as_exception(*, only_default: bool = False) -> Iterator[None]:
    """Turn signals into exceptions that are handled as Ctrl-C is; otherwise they would leave a run RUNNING.

    Nested in itself, and in other threads than the main one, this has no effect. With `only_default`, handlers of the
    program that calls w2v_exp stay in place.
    """
    if _state.is_handled or not _in_main_thread():
        yield
        return
    numbers = {name: getattr(signal, name) for name in _EXCEPTIONS if hasattr(signal, name)}
    before = {number: signal.getsignal(number) for number in numbers.values()}
    handled = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    if only_default:
        default = (signal.SIG_DFL, signal.default_int_handler)
        handled = [number for number in handled if before[number] in default]
    _state.begin()
    try:
        for number in handled:
            signal.signal(number, _receive)
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
        _state.is_handled = False


def _in_main_thread() -> bool:
    """Return whether this is the thread that Python runs signal handlers in."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def interruptions_deferred() -> Iterator[None]:
    """Raise the first interruption after the block, which is then complete.

    A second interruption that is not ignored is raised in the block. Other threads than the main one are never
    interrupted.
    """
    if not _in_main_thread():
        yield
        return
    before, _state.is_deferred = _state.is_deferred, True
    try:
        yield
    except KeyboardInterrupt:
        _state.deferred = None  # this one replaces it
        raise
    finally:
        _state.is_deferred = before
        if not before:
            _raise_deferred()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise interruptions at once in this part of a block that defers them."""
    if not _in_main_thread():
        yield
        return
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
# For workers that use one core each. BLAS reads it when it is loaded: by default it starts one thread per core.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")


def may_be_copied() -> bool:
    """Return whether this process can be forked safely: on Linux, while it has no other Python thread.

    A lock held by another thread would stay locked in the copy. Threads of BLAS do not matter: it ends them before a
    fork and starts them again. On macOS, the system's own libraries do not support forks.
    """
    return sys.platform == "linux" and active_count() == 1


def lightest_context() -> BaseContext:
    """Return the start method that takes the least memory: fork if that is safe, otherwise spawn.

    A forked process shares the pages of this one, including its modules, until one of the two writes to them; a spawned
    process loads all modules again.
    """
    return multiprocessing.get_context("fork") if may_be_copied() else SPAWN


def start(process: BaseProcess) -> None:
    """Start a process that receives neither Ctrl-C nor the end of the terminal."""
    with interruptions_held_back(), warnings.catch_warnings():
        # The warning of forking a process with threads: by `may_be_copied` they are those of BLAS.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        process.start()


def begin_as_helper() -> None:
    """Let a started process end only by SIGTERM, which the parent sends, or when the parent dies.

    A forked process has the parent's handlers, which would record a run. The parent also receives Ctrl-C and the end of
    the terminal.
    """
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in HELD_BACK:
            signal.signal(number, signal.SIG_IGN)
    end_with_parent()


def wait_for_own_signal() -> None:
    """Wait for a signal that has ended a helper process to reach this process and interrupt it.

    A group of processes may be signalled one by one, the helpers first.
    """
    sleep(SIGNAL_SECONDS)


def end_with_parent() -> None:
    """End this process when its parent dies: it would wait for work forever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def interruptions_held_back() -> Iterator[None]:
    """Block Ctrl-C and the end of the terminal for a moment.

    A process started in the block never receives them: its parent ends it. Nor does the process that Python starts to
    remove semaphores, which would stay in /dev/shm if the end of the terminal ended it.
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
    """Return whether this process may start others: daemons, as in a multiprocessing.Pool, may not."""
    return not multiprocessing.current_process().daemon


def fitted(text: str, stream: TextIO) -> str:
    """Return a message with its lines broken at words if the stream is a terminal (see `errors.wrapped`)."""
    with suppress(
        OSError, ValueError, AttributeError
    ):  # a closed stream, or one of a program that has no such methods
        if stream.isatty():
            columns = os.environ.get("COLUMNS", "")
            given = int(columns) if columns.isdecimal() else 0
            return wrapped(text, given or os.get_terminal_size(stream.fileno()).columns or 80)
    return text


class VisibleStream:
    """A text stream that replaces control characters, for messages with names and values from outside.

    Parameters
    ----------
    stream : TextIO
        Target of the text. Rich, whose consoles replace such characters themselves (see
        `reporting.escape.visible_console`), writes its own control sequences to it directly: it looks for the
        attribute ``rich_proxied_file``.
    wraps : bool
        Whether its lines are messages, which are broken at words in a terminal.
    """

    def __init__(self, stream: TextIO, wraps: bool = False) -> None:
        self.rich_proxied_file = stream
        self._wraps = wraps

    def write(self, text: str) -> int:
        """Write a text, and return its number of characters."""
        shown = visible(text)
        self.rich_proxied_file.write(fitted(shown, self.rich_proxied_file) if self._wraps else shown)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


class _StandardErrorHandler(logging.Handler):
    """Writes messages to the current `sys.stderr`, which a progress bar may have replaced.

    Parameters
    ----------
    over_bar : bool
        Whether another process may show a bar on the same terminal. A message replaces it.
    """

    def __init__(self, over_bar: bool) -> None:
        super().__init__()
        self._over_bar = over_bar

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a full disk, or no reader any more: no reason to end a run
            start = "\r\x1b[K" if self._over_bar and sys.stderr.isatty() else ""
            print(start + fitted(visible(self.format(record)), sys.stderr), file=sys.stderr, flush=True)


@contextmanager
def messages_on_stderr(over_bar: bool = False) -> Iterator[None]:
    """Print log messages of the package, and errors of other packages, on standard error.

    `over_bar` is for a process beside the one that shows progress on the same terminal.


    Commands use it. In a notebook the loggers ``w2v_exp.…`` have Python's defaults: warnings are shown, and can be
    silenced, redirected or captured. Nested in itself this has no effect.
    """
    logger, root = logging.getLogger("w2v_exp"), logging.getLogger()
    if any(isinstance(handler, _StandardErrorHandler) for handler in logger.handlers):
        yield
        return
    handler = _StandardErrorHandler(over_bar)
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


def collect_garbage() -> None:
    """Enable the garbage collector, which a command disables while it starts, and exempt the objects so far."""
    if not gc.isenabled():
        freeze()
        gc.enable()


INTERRUPTED = 130  # by Ctrl-C: 128 plus the number of the signal, as in shells


def exit_with(command: Callable[[list[str]], int]) -> NoReturn:
    """Run a command with the arguments of this process, and exit with the code that it returns."""
    sys.stdout, sys.stderr = VisibleStream(sys.stdout), VisibleStream(sys.stderr, wraps=True)
    try:
        Path.cwd()
    except FileNotFoundError:
        sys.exit("The current folder has been deleted. Change to a folder that exists.")
    try:
        code = command(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
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
