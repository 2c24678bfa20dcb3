"""Directions of vectors, whose products are cosines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def directions(vectors: NDArray[Any]) -> NDArray[Any]:
    """Return vectors of length 1, shape (n, dim); zero stays zero.

    They are divided by their largest entry first, so that squares neither overflow nor vanish.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest, largest, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    scaled /= np.where(length, length, 1)
    return scaled
