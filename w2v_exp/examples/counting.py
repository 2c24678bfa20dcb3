"""Counting equal numbers, many times, for few numbers each time."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Integer = TypeVar("Integer", bound=np.integer[Any])


def count_distinct(values: NDArray[Integer]) -> tuple[NDArray[Integer], NDArray[np.float64]]:
    """Return the distinct values, by size, and how often each occurs: two arrays of one length.

    ``np.unique`` does the same and takes twice as long for the few hundred pairs of a batch, in many calls.
    """
    ordered = np.sort(values)
    is_first = np.ones(len(ordered) + 1, bool)  # the end counts as the first of what would follow
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:-1])
    starts = is_first.nonzero()[0]
    return ordered[starts[:-1]], (starts[1:] - starts[:-1]).astype(np.float64)
