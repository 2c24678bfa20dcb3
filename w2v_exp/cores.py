"""How many cores there are to work with."""

from __future__ import annotations

import os

MOST_CORES = 1024  # that threads, processes or runs at once may be asked for


def available_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
