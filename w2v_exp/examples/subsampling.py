"""Subsampling of frequent words: with what probability an occurrence of each word is kept.

f is a word's share of the text, t the threshold; 1e-3 to 1e-5 are usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.counting import count_ids
from w2v_exp.validation import check_number


class Subsampling(Protocol):
    """How frequent words are thinned out."""

    def keep_probabilities(self, counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return the probability of keeping an occurrence of each word, (V,), from how often each occurs, (V,).

        It is 1 for words that do not occur.
        """


@dataclass(frozen=True)
class NoSubsampling:
    """Every word is kept."""

    def keep_probabilities(self, counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return 1 for every word."""
        return np.ones(len(counts))


@dataclass(frozen=True)
class Word2VecSubsampling:
    """min(1, √(t/f) + t/f): what word2vec.c does, and gensim after it.

    Parameters
    ----------
    threshold : float
        t, above 0 and below 1.
    """

    threshold: float = 1e-4

    def __post_init__(self) -> None:
        check_number(self, "threshold", above=0, below=1)

    def keep_probabilities(self, counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return the probabilities, (V,).

        >>> Word2VecSubsampling(0.01).keep_probabilities(np.array([36, 64, 0])).round(4)
        array([0.1944, 0.1406, 1.    ])
        """
        ratio = _threshold_by_share(self.threshold, counts)
        return np.minimum(1, np.sqrt(ratio) + ratio)


@dataclass(frozen=True)
class PaperSubsampling:
    """min(1, √(t/f)): as published (Mikolov et al. 2013b, equation 5, which has the probability of dropping).

    Parameters
    ----------
    threshold : float
        t, above 0 and below 1.
    """

    threshold: float = 1e-4

    def __post_init__(self) -> None:
        check_number(self, "threshold", above=0, below=1)

    def keep_probabilities(self, counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return the probabilities, (V,).

        >>> PaperSubsampling(0.01).keep_probabilities(np.array([36, 64, 0])).round(4)
        array([0.1667, 0.125 , 1.    ])
        """
        return np.minimum(1, np.sqrt(_threshold_by_share(self.threshold, counts)))


def keep_probabilities(
    subsampling: Subsampling, ids: NDArray[np.int32], vocabulary_size: int
) -> NDArray[np.float64] | None:
    """Return with what probability each word of a text is kept, (V,), or None if all of them are."""
    probabilities = subsampling.keep_probabilities(count_ids(ids, vocabulary_size))
    return None if (probabilities >= 1).all() else probabilities


def _threshold_by_share(threshold: float, counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return t/f of each word; 1 or more, which keeps it, for words that do not occur."""
    shares: NDArray[np.float64] = counts / max(counts.sum(), 1)
    shares[counts == 0] = threshold
    return threshold / shares


SUBSAMPLINGS = {"none": NoSubsampling, "word2vec": Word2VecSubsampling, "paper": PaperSubsampling}
