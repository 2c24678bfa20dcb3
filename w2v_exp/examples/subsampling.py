"""Subsampling of frequent words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def keep_probabilities(counts: NDArray[np.integer[Any]], threshold: float) -> NDArray[np.float64]:
    """Return the probability with which word2vec.c keeps an occurrence of each word: min(1, √(t/f) + t/f).

    f is the word's share of the text, t the threshold. (The paper, Mikolov et al. 2013b, equation 5, has √(t/f),
    without the second term.)

    Parameters
    ----------
    counts : ndarray of int, shape (V,)
        How often each word occurs.
    threshold : float
        Above 0; 1e-3 to 1e-5 are usual.

    Returns
    -------
    ndarray of float64, shape (V,)
        1 for words that do not occur.
    """
    shares = np.maximum(counts, 1) / max(counts.sum(), 1)
    ratio = threshold / shares
    return np.where(counts > 0, np.minimum(1, np.sqrt(ratio) + ratio), 1.0)
