"""Parts of a text, and samples of them, with subsampling and windows.

f is a word's share of the text, t the threshold; 1e-3 to 1e-5 are usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

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


@dataclass(frozen=True, repr=False)
class TextPart(ShortRepr):
    """A text's ids, and the segments that windows do not cross.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        In the order of the text; may be mapped from a file.
    segments : ndarray of int64, shape (p + 1,), optional
        Segment k is ``ids[segments[k]:segments[k + 1]]``; None: a single segment.
    documents : ndarray of int64, shape (d + 1,), optional
        As in `EncodedText`; None: not known.
    """

    ids: NDArray[np.int32]
    segments: NDArray[np.int64] | None = None
    documents: NDArray[np.int64] | None = None


class Subsampling(Protocol):
    """A choice of the group ``subsampling``: probabilities of keeping words."""

    @property
    def drops_words(self) -> bool:
        """Whether any word may be dropped."""

    def keep_probabilities(self, counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return the probability of keeping each word, (V,), from counts, (V,).

        It is 1 for words that do not occur.
        """


@dataclass(frozen=True)
class NoSubsampling:
    """Every word is kept."""

    drops_words: ClassVar[bool] = False

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

    drops_words: ClassVar[bool] = True

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
    """min(1, √(t/f)), as published.

    Mikolov et al. 2013b, equation 5, has the probability of dropping.

    Parameters
    ----------
    threshold : float
        t, above 0 and below 1.
    """

    threshold: float = 1e-4

    drops_words: ClassVar[bool] = True

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
    """Return the probability of keeping each word, (V,); None if all are 1."""
    probabilities = subsampling.keep_probabilities(count_ids(ids, vocabulary_size))
    return None if (probabilities >= 1).all() else probabilities


def _threshold_by_share(threshold: float, counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return t/f of each word; 1 or more for words that do not occur."""
    shares: NDArray[np.float64] = counts / max(counts.sum(), 1)
    shares[counts == 0] = threshold
    return threshold / shares


SUBSAMPLINGS = {"none": NoSubsampling, "word2vec": Word2VecSubsampling, "paper": PaperSubsampling}

CHUNK_TOKENS = 1 << 16  # whose random numbers are made at a time
PHILOX_NUMBERS = 4  # per counter value


@dataclass(frozen=True, repr=False)
class SampledText(ShortRepr):
    """A span of a sampled text, with the words that its windows cover.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The words that were kept.
    start, stop : int
        The centres are ``ids[start:stop]``.
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
        """Return centres and contexts of the span's pairs."""
        return span_pairs(self.ids, self.start, self.stop, self.window, self.segments)

    def context_sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the contexts before and after each centre, (stop − start,)."""
        return context_sizes(len(self.ids), self.start, self.stop, self.window, self.segments)

    def count_pairs(self) -> int:
        """Return the number of pairs."""
        return count_span_pairs(len(self.ids), self.start, self.stop, self.window, self.segments)

    def count_cbow_examples(self) -> int:
        """Return the number of centres that have a context."""
        left, right = self.context_sizes()
        return int(np.count_nonzero(left + right))


class TextSampler:
    """A sample of a text: words dropped, and a window for each centre.

    Words are dropped before they are paired, so windows reach further than in the text itself, as in word2vec. The
    random numbers of a position depend on the position and the sample alone: spans of the text, in whatever order they
    are taken, are spans of the same sampled text.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text; may be mapped from a file.
    window : int
        The largest window, at least 1.
    generator : numpy.random.Generator
        Seeds the sample.
    keep : ndarray of float64, shape (V,), optional
        Probability of keeping an occurrence of each word; None keeps all.
    shrinking_window : bool
        Whether the window of each centre is drawn uniformly from 1 … window, as in word2vec.
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
        self._largest_window = require_whole("window", window, at_least=1)
        self._window = effective_window(window, len(ids), segments)
        self._keep = keep
        self._shrinking_window = shrinking_window
        self._segments = segments
        self._keep_key, self._window_key = generator.integers(2**64, size=(2, 2), dtype=np.uint64)

    def whole(self) -> SampledText:
        """Return the whole sampled text, in memory if words were dropped."""
        return self.span(0, len(self._ids))

    def span(self, start: int, stop: int) -> SampledText:
        """Return the sample of a span, with the words that its windows cover."""
        begin, end = self._first_covered(start), self._last_covered(stop)
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
        """Return whether the words at these positions are kept, (stop − start,)."""
        kept = np.empty(stop - start, bool)
        for first in range(start, stop, CHUNK_TOKENS):
            last = min(first + CHUNK_TOKENS, stop)
            numbers = _random_numbers(self._keep_key, first, last)
            np.less(numbers, keep[self._ids[first:last]], out=kept[first - start : last - start])
        return kept

    def _first_covered(self, position: int) -> int:
        """Return a lower bound of the positions covered from `position` on."""
        distance = self._window
        if self._keep is not None:
            while distance < position and (
                self._kept(self._keep, position - distance, position).sum() < self._window
            ):
                distance *= 2
        return max(0, position - distance)

    def _last_covered(self, position: int) -> int:
        """Return an upper bound of the positions covered before `position`."""
        distance, length = self._window, len(self._ids)
        if self._keep is not None:
            while position + distance < length and (
                self._kept(self._keep, position, position + distance).sum() < self._window
            ):
                distance *= 2
        return min(position + distance, length)

    def _windows(self, start: int, stop: int) -> Window:
        """Return the window of all centres, or of each at these positions."""
        if not self._shrinking_window:
            return self._window
        windows = np.empty(stop - start, np.int32)
        for first in range(start, stop, CHUNK_TOKENS):
            last = min(first + CHUNK_TOKENS, stop)
            drawn = 1 + self._largest_window * _random_numbers(self._window_key, first, last)
            # A window wider than the longest segment covers all of it.
            windows[first - start : last - start] = np.minimum(drawn, self._window)
        return windows

    def _segments_between(self, begin: int, end: int) -> NDArray[np.int64] | None:
        """Return the edges of segments between two positions, from the first."""
        if self._segments is None:
            return None
        first, last = self._segments.searchsorted(begin, "right") - 1, self._segments.searchsorted(end)
        return self._segments[first : last + 1].clip(begin, end) - begin


def _random_numbers(key: NDArray[np.uint64], start: int, stop: int) -> NDArray[np.float64]:
    """Return the random numbers in [0, 1) of these positions, (stop − start,).

    Philox (Salmon et al. 2011) makes each number from a key and a counter, not from the previous number.
    """
    counter, skipped = divmod(start, PHILOX_NUMBERS)
    generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
    return generator.random(skipped + stop - start)[skipped:]


# ---------------------------------------------------------------- samples with unequal probabilities


class Sample(NamedTuple):
    """A sample of a population.

    Parameters
    ----------
    chosen : ndarray of int, shape (m,)
        Positions, rising.
    weights : ndarray of float64, shape (m,)
        1 / the probability of each to be chosen.
    """

    chosen: NDArray[np.intp]
    weights: NDArray[np.float64]


def inclusion_probabilities(sizes: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return probabilities of being chosen: proportional to sizes, at most 1, with the sum `number`.

    Parameters
    ----------
    sizes : ndarray of float64, shape (n,)
        At least 0.
    number : int
        Expected size of a sample; where no more have a size above 0, all of these are certain.
    """
    certain = sizes > 0
    if np.count_nonzero(certain) <= number:
        return certain.astype(np.float64)
    certain[:] = False
    probabilities: NDArray[np.float64] = np.ones(len(sizes))
    while True:
        rest = np.where(certain, 0.0, sizes)
        probabilities = rest * ((number - np.count_nonzero(certain)) / rest.sum())
        if not (probabilities >= 1).any():
            break
        certain |= probabilities >= 1
    probabilities[certain] = 1
    return probabilities


def systematic_sample(probabilities: NDArray[np.float64], start: float) -> Sample:
    """Return a sample with these inclusion probabilities (Madow 1949).

    It consists of those between whose cumulated probability and the one before lies a number start + k, k whole. So
    words of all frequencies are in each sample.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n,)
        At most 1.
    start : float
        Uniform in [0, 1).
    """
    passed = np.floor(np.cumsum(probabilities) + start)
    chosen = np.flatnonzero(np.diff(passed, prepend=0.0))
    return Sample(chosen, 1 / probabilities[chosen])
