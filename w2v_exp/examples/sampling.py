"""Subsampling of frequent words, and sampled windows.

f is a word's share of the text, t the threshold; 1e-3 to 1e-5 are usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import ShortRepr, check_number, require_whole
from w2v_exp.examples.pairs import (
    Window,
    context_sizes,
    count_ids,
    count_span_pairs,
    effective_window,
    span_pairs,
)


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


SAMPLED_AT_ONCE = 1 << 16
PHILOX_NUMBERS = 4  # that each count gives


@dataclass(frozen=True, repr=False)
class SampledText(ShortRepr):
    """A span of a text as it was drawn, with as much of the text around it as its windows reach.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The words that were kept.
    start, stop : int
        The words of the span itself, the centres, are ``ids[start:stop]``.
    window : int or ndarray of int32, shape (stop − start,)
        The window of all centres, or of each.
    segments : ndarray of int64, shape (p + 1,), optional
        As in `window_pairs`, of `ids`.
    """

    ids: NDArray[np.int32]
    start: int
    stop: int
    window: Window
    segments: NDArray[np.int64] | None

    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the centres and the contexts of the span's pairs."""
        return span_pairs(self.ids, self.start, self.stop, self.window, self.segments)

    def count_pairs(self) -> int:
        """Return how many pairs the span has."""
        return count_span_pairs(len(self.ids), self.start, self.stop, self.window, self.segments)

    def count_cbow_examples(self) -> int:
        """Return how many of the span's centres have a context."""
        left, right = context_sizes(len(self.ids), self.start, self.stop, self.window, self.segments)
        return int(np.count_nonzero(left + right))


class TextSampler:
    """One draw of a text: its frequent words thinned out, and a window for each centre.

    Words are dropped before they are paired, so windows reach further than in the text itself, as in word2vec. What
    is decided of a position depends on the position and the draw alone: whoever asks for parts of the text, in whatever
    order, gets parts of the same drawn text.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text; it may be mapped from a file.
    window : int
        The greatest window, at least 1.
    generator : numpy.random.Generator
        What the draw depends on.
    keep : ndarray of float64, shape (V,), optional
        With what probability an occurrence of each word is kept; None keeps all.
    shrinking_window : bool
        Whether the window of each centre is drawn from 1 … window, evenly, as in word2vec.
    segments : ndarray of int64, shape (p + 1,), optional
        As in `window_pairs`.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        window: int,
        generator: np.random.Generator,
        *,
        keep: NDArray[np.float64] | None = None,
        shrinking_window: bool = False,
        segments: NDArray[np.int64] | None = None,
    ) -> None:
        self._ids = ids
        self._drawn_from = require_whole("window", window, at_least=1)
        self._window = effective_window(window, len(ids), segments)
        self._keep = keep
        self._shrinking_window = shrinking_window
        self._segments = segments
        self._keep_key, self._window_key = generator.integers(2**64, size=(2, 2), dtype=np.uint64)

    def whole(self) -> SampledText:
        """Return all of the drawn text, in memory, unless nothing was dropped."""
        return self.span(0, len(self._ids))

    def span(self, start: int, stop: int) -> SampledText:
        """Return what was drawn of the positions from start to stop, with the words that their windows reach."""
        begin, end = self._word_before(start), self._word_after(stop)
        ids, segments = self._ids[begin:end], self._segments_between(begin, end)
        window = self._windows(start, stop)
        if self._keep is None:
            return SampledText(ids, start - begin, stop - begin, window, segments)
        kept = self._kept(self._keep, begin, end)
        own = kept[start - begin : stop - begin]
        first = np.count_nonzero(kept[: start - begin])
        return SampledText(
            ids[kept],
            int(first),
            int(first + np.count_nonzero(own)),
            window if isinstance(window, int) else window[own],
            None if segments is None else np.concatenate([[0], np.cumsum(kept)])[segments],
        )

    def _kept(self, keep: NDArray[np.float64], start: int, stop: int) -> NDArray[np.bool_]:
        """Return whether the words at these positions are kept."""
        kept = np.empty(stop - start, bool)
        for first in range(start, stop, SAMPLED_AT_ONCE):
            last = min(first + SAMPLED_AT_ONCE, stop)
            numbers = _numbers(self._keep_key, first, last)
            np.less(numbers, keep[self._ids[first:last]], out=kept[first - start : last - start])
        return kept

    def _word_before(self, position: int) -> int:
        """Return the position of a word that no window from `position` on goes beyond, or the text's first."""
        reach = self._window
        if self._keep is not None:
            while (
                reach < position and self._kept(self._keep, position - reach, position).sum() < self._window
            ):
                reach *= 2
        return max(0, position - reach)

    def _word_after(self, position: int) -> int:
        """Return the position after a word that no window before `position` goes beyond, or after the text."""
        reach, length = self._window, len(self._ids)
        if self._keep is not None:
            while (
                position + reach < length
                and self._kept(self._keep, position, position + reach).sum() < self._window
            ):
                reach *= 2
        return min(position + reach, length)

    def _windows(self, start: int, stop: int) -> Window:
        """Return the window of all centres, or of the centre at each of these positions."""
        if not self._shrinking_window:
            return self._window
        windows = np.empty(stop - start, np.int32)
        for first in range(start, stop, SAMPLED_AT_ONCE):
            last = min(first + SAMPLED_AT_ONCE, stop)
            drawn = 1 + self._drawn_from * _numbers(self._window_key, first, last)
            # A window beyond the longest segment is as good as one that reaches over it.
            windows[first - start : last - start] = np.minimum(drawn, self._window)
        return windows

    def _segments_between(self, begin: int, end: int) -> NDArray[np.int64] | None:
        """Return the segments that have a part between two positions, as positions counted from the first."""
        if self._segments is None:
            return None
        first, last = self._segments.searchsorted(begin, "right") - 1, self._segments.searchsorted(end)
        return self._segments[first : last + 1].clip(begin, end) - begin


def _numbers(key: NDArray[np.uint64], start: int, stop: int) -> NDArray[np.float64]:
    """Return the random numbers from 0 to 1 that belong to these positions, (stop − start,).

    Philox (Salmon et al. 2011) makes each number from a key and a count, not from the number before it.
    """
    count, skipped = divmod(start, PHILOX_NUMBERS)
    generator = np.random.Generator(np.random.Philox(key=key, counter=count))
    return generator.random(skipped + stop - start)[skipped:]
