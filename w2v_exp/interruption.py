"""Ctrl-C, SIGTERM and SIGHUP (the terminal was closed): all end a run in order.

The first of them raises a `KeyboardInterrupt`, and what there is of the run is recorded. Further ones within
`IGNORED_SECONDS` are ignored: a closing terminal, `timeout` and impatient users send several, which should not break
the orderly end. A later one interrupts that, too, for instance where a store does not respond. A signal that was
ignored when the process started stays ignored (`nohup`, background jobs).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

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
