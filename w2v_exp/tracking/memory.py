"""Peak memory of one run, in a process that may have done others before."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from types import TracebackType

MEGABYTE = 1_000_000


class PeakMemory:
    """The most that a block of code has allocated at once, by tracemalloc: exact, on every platform, repeatable.

    It slows small operations down several times, so it is held to what must be measured.

    Attributes
    ----------
    megabytes : float
        The peak, in units of 10⁶ bytes, above what was allocated when the block began.
    """

    megabytes: float = 0.0

    def __enter__(self) -> PeakMemory:
        gc.collect()
        self._nested = tracemalloc.is_tracing()
        if not self._nested:
            tracemalloc.start()
        tracemalloc.reset_peak()
        self._before, _ = tracemalloc.get_traced_memory()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _, peak = tracemalloc.get_traced_memory()
        if not self._nested:
            tracemalloc.stop()
        self.megabytes = (peak - self._before) / MEGABYTE


class PeakResident:
    """By how much resident memory has grown at the most since this object was made.

    `ru_maxrss` never falls, so from the second run of a process on it tells of the largest run so far. Linux lets a
    process reset its own high-water mark; elsewhere there is no such number and the result is None.
    """

    def __init__(self) -> None:
        self._start: float | None = None
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._start = _status("VmRSS")
        except (OSError, KeyError):
            pass

    def megabytes(self) -> float | None:
        """Return the growth at its peak, in units of 10⁶ bytes."""
        return None if self._start is None else max(0.0, _status("VmHWM") - self._start)


def _status(field: str) -> float:
    """Return a field of /proc/self/status, in units of 10⁶ bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024 / MEGABYTE
