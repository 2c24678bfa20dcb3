"""Ctrl-C and SIGTERM: both end a run cleanly."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""


@contextmanager
def termination_as_exception() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that it is handled where Ctrl-C is: without this it leaves a run RUNNING."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
