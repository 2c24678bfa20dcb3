"""A block: consecutive words with their windows, whose pairs are not listed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2v_exp.representation import ShortRepr


@dataclass(frozen=True, repr=False)
class Block(ShortRepr):
    """Consecutive centres, with the words around them.

    Parameters
    ----------
    words : ndarray of int32, shape (window + n + window,)
        The n centres and as many words before and after them as a window can reach. Places beyond the end of the text,
        which no window reaches, hold some word.
    before, after : ndarray of int64, shape (n,)
        How many contexts each centre has before it, and after it; at most `window`.
    pairs : float
        The pairs there are; or the bags, one for each centre that has a context.
    """

    words: NDArray[np.int32]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    pairs: float

    @property
    def window(self) -> int:
        """How many words there are before the first centre, and after the last one."""
        return (len(self.words) - len(self.before)) // 2
