"""Memory that steps use again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SMALLEST_KEPT = 1 << 16  # bytes; allocating less costs nothing


class Workspace:
    """One array that every step shapes as it needs it.

    The system hands out large arrays page by page, cleared, at first touch; for the scores of a step that takes as
    long as their exponentials.
    """

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of this shape with anything in it. It is good until the next one is asked for."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < SMALLEST_KEPT:
            return np.empty(shape, dtype)
        if len(self._memory) < size:
            self._memory = np.empty(0, np.uint8)  # let go of the old one before there is a new one
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size].view(dtype).reshape(shape)
