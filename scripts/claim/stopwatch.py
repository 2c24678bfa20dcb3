"""A clock that can be stopped: looking at what is trained is no part of training it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, perf_counter


class Stopwatch:
    """Seconds on the clock, and of the processor, without those in which it stood. It stands until it is started."""

    def __init__(self) -> None:
        self._gone = self._cpu_gone = 0.0
        self._since: float | None = None
        self._cpu_since = 0.0
        self.first_stop: float | None = None  # by `time.monotonic`

    @property
    def seconds(self) -> float:
        """How long it has run so far."""
        return self._gone if self._since is None else self._gone + perf_counter() - self._since

    @property
    def cpu_seconds(self) -> float:
        """How long processors have worked meanwhile for this process, and for those of its children that have ended."""
        return self._cpu_gone if self._since is None else self._cpu_gone + cpu_seconds() - self._cpu_since

    def start(self) -> None:
        """Let it run; nothing happens if it does already."""
        if self._since is None:
            self._since, self._cpu_since = perf_counter(), cpu_seconds()

    def stop(self) -> None:
        """Let it stand."""
        self._gone, self._cpu_gone, self._since = self.seconds, self.cpu_seconds, None
        self.first_stop = self.first_stop or monotonic()

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Let it stand within the block, and run again after it."""
        self.stop()
        yield
        self.start()


def cpu_seconds() -> float:
    """Return the processor time of this process, its threads, and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
