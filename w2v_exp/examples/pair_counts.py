"""How often each centre meets each context: the pairs of a text, counted instead of listed.

The gradient of the full softmax depends on the pairs only through these counts (Pennington et al. 2014 make the same
observation for GloVe), so training from them is exact, and costs what the distinct pairs cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.counting import count_distinct

CHUNK_TOKENS = 1 << 20


@dataclass(frozen=True)
class PairCounts:
    """Counts of (centre, context) pairs, by rows of centres (compressed sparse rows).

    Parameters
    ----------
    starts : ndarray of int64, shape (V + 1,)
        Row c is at ``starts[c]:starts[c + 1]`` of the other two.
    contexts : ndarray of int32, shape (n,)
        The contexts of each row, by rising id.
    counts : ndarray of float32 or float64, shape (n,)
        How often, or with what weight, each occurs. All above 0.
    """

    starts: NDArray[np.int64]
    contexts: NDArray[np.int32]
    counts: NDArray[Any]

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.starts) - 1

    @property
    def total(self) -> float:
        """The number of pairs, or the sum of their weights."""
        return float(self.counts.sum(dtype=np.float64))

    def by_centre(self) -> NDArray[np.float64]:
        """Return the number of pairs of each centre, shape (V,)."""
        sums = np.zeros(self.vocabulary_size)
        filled = np.flatnonzero(np.diff(self.starts))
        if filled.size:
            sums[filled] = np.add.reduceat(self.counts, self.starts[filled], dtype=np.float64)
        return sums

    def by_context(self) -> NDArray[np.float64]:
        """Return the number of pairs of each context, shape (V,)."""
        weights = self.counts.astype(np.float64, copy=False)
        return np.bincount(self.contexts, weights=weights, minlength=self.vocabulary_size).astype(np.float64)

    def divided_by(self, number: float) -> PairCounts:
        """Return these counts, each divided by a number."""
        return PairCounts(self.starts, self.contexts, self.counts / number)

    def distinct(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any]]:
        """Return the distinct (centre, context) pairs and the count of each: three arrays of one length."""
        centres = np.repeat(np.arange(self.vocabulary_size, dtype=np.int32), np.diff(self.starts))
        return centres, self.contexts, self.counts


def shrinking_weights(window: int) -> list[float]:
    """Return, by distance, how often a pair at that distance is drawn where the window is drawn from 1 … window.

    word2vec draws the window of each centre evenly; the expectation of that is exact in counts: a pair at distance d
    weighs (window − d + 1) / window.

    >>> shrinking_weights(2)
    [1.0, 0.5]
    """
    return [(window - distance + 1) / window for distance in range(1, window + 1)]


def count_window_pairs(
    texts: Sequence[NDArray[np.int32]] | Iterator[NDArray[np.int32]],
    window: int,
    vocabulary_size: int,
    distance_weights: Sequence[float] | None = None,
) -> PairCounts:
    """Count the pairs of `window_pairs` over one or more texts, without ever listing them.

    Parameters
    ----------
    texts : iterable of ndarray of int32
        The ids of texts; windows do not cross from one to the next.
    window : int
        The greatest distance between the words of a pair, at least 1.
    vocabulary_size : int
        V.
    distance_weights : sequence of float, optional
        The weight of a pair by its distance, 1 … window; None counts every pair as one.

    Returns
    -------
    PairCounts
        Symmetric. In float32 where there are weights, and exact float64 counts where not. Memory: about 40 bytes a
        distinct pair at the most, and a chunk of the text.
    """
    runs: list[_Run] = []
    for ids in texts:
        for start in range(0, len(ids), CHUNK_TOKENS):
            stretch = ids[start : start + CHUNK_TOKENS + window]
            _push(
                runs,
                _count_stretch(
                    stretch, min(CHUNK_TOKENS, len(ids) - start), window, vocabulary_size, distance_weights
                ),
            )
    half = _merge_all(runs)
    return _symmetric(half, vocabulary_size)


@dataclass(frozen=True)
class _Run:
    """Pairs as keys centre·V + context, by rising key, each once, with their weights."""

    keys: NDArray[np.int64]
    weights: NDArray[Any]


def _count_stretch(
    ids: NDArray[np.int32],
    centres: int,
    window: int,
    vocabulary_size: int,
    distance_weights: Sequence[float] | None,
) -> _Run:
    """Count the pairs of the first `centres` words with the words after them."""
    wide = ids.astype(np.int64) * vocabulary_size
    keys = [
        wide[: min(centres, max(len(ids) - d, 0))] + ids[d : d + centres] for d in range(1, window + 1)
    ]  # by distance
    if distance_weights is None:
        return _Run(*count_distinct(np.concatenate(keys)))
    runs = []
    for at_distance, weight in zip(keys, distance_weights, strict=True):
        distinct, counts = count_distinct(at_distance)
        runs.append(_Run(distinct, (counts * weight).astype(np.float32)))
    return _merge_all(runs)


def _push(runs: list[_Run], run: _Run) -> None:
    """Add a run, merging runs of like size, so that each key is merged only a few times."""
    runs.append(run)
    while len(runs) > 1 and len(runs[-2].keys) < 2 * len(runs[-1].keys):
        last, before = runs.pop(), runs.pop()
        runs.append(_merge(before, last))


def _merge_all(runs: list[_Run]) -> _Run:
    if not runs:
        return _Run(np.empty(0, np.int64), np.empty(0))
    while len(runs) > 1:
        last, before = runs.pop(), runs.pop()
        runs.append(_merge(before, last))
    return runs.pop()


def _merge(one: _Run, other: _Run) -> _Run:
    keys = np.concatenate([one.keys, other.keys])
    order = np.argsort(keys, kind="stable")  # of two sorted runs: a merge
    keys = keys[order]
    firsts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if keys.size else np.empty(0, np.int64)
    weights = np.concatenate([one.weights, other.weights])[order]
    return _Run(keys[firsts], np.add.reduceat(weights, firsts) if firsts.size else weights)


def _symmetric(half: _Run, vocabulary_size: int) -> PairCounts:
    """Return the counts with both directions of every pair."""
    left, right = np.divmod(half.keys, vocabulary_size)
    mirrored = right * vocabulary_size + left
    order = np.argsort(mirrored, kind="stable")
    both = _merge(half, _Run(mirrored[order], half.weights[order]))
    centres, contexts = np.divmod(both.keys, vocabulary_size)
    starts = np.zeros(vocabulary_size + 1, np.int64)
    np.cumsum(np.bincount(centres, minlength=vocabulary_size), out=starts[1:])
    return PairCounts(starts, contexts.astype(np.int32), both.weights)
