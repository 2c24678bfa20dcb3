"""The same number of cores for every contender, whatever it uses them by."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def limited_to_cores(count: int) -> Iterator[None]:
    """Use so many cores within the block: BLAS, and the threads that are started in it.

    Where the system cannot keep threads to cores (it can on Linux), only BLAS is limited.
    """
    if not hasattr(os, "sched_setaffinity"):
        with threadpool_limits(count, "blas"):
            yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        with threadpool_limits(count, "blas"):
            yield
    finally:
        os.sched_setaffinity(0, before)
