"""A piece of a text as numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class NumberedPiece(NamedTuple):
    """A piece of a text as numbers.

    Parameters
    ----------
    words : list of str
        Its distinct words, in the order in which they turn up.
    numbers : ndarray of int32, shape (tokens,)
        For each token the number of its word among them.
    ends : ndarray of int64
        How many of the tokens stand before each end of a passage.
    """

    words: list[str]
    numbers: NDArray[np.int32]
    ends: NDArray[np.int64]
