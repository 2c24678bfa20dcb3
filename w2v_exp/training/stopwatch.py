"""A stopwatch: adds up the time in which something was done, pauses left out."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Adds up the seconds between each start and the next stop.

    Attributes
    ----------
    seconds : float
        Up to the last stop.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def start(self) -> None:
        """Let it run."""
        self._started = perf_counter()

    def stop(self) -> None:
        """Stop it, and add the time since it was started."""
        self.seconds += perf_counter() - self._started
