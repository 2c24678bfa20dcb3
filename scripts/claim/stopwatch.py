"""A clock that can be stopped: looking at what is trained is no part of training it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stopwatch:
    """Seconds on the clock, without those in which it stood. It stands until it is started."""

    def __init__(self) -> None:
        self._gone = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has run so far."""
        return self._gone if self._since is None else self._gone + perf_counter() - self._since

    def start(self) -> None:
        """Let it run; nothing happens if it does already."""
        if self._since is None:
            self._since = perf_counter()

    def stop(self) -> None:
        """Let it stand."""
        self._gone, self._since = self.seconds, None

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Let it stand within the block, and run again after it."""
        self.stop()
        yield
        self.start()
