"""The pairs of a shard, counted without their order, and sums of counts.

Counts are symmetric: a pair of words is counted once, as the key first · V + second of the smaller and the larger
number. Numbers are those of the shard's own kept words, in the order of their bytes, so that the file of a shard does
not depend on the other shards: neither on the ids of the vocabulary, which follow frequencies, nor on its other words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.counting.arrays import StoredArrays, escaped, narrowed, unescaped, write_arrays
from w2v_exp.counting.store import key_of
from w2v_exp.examples.counts import first_positions, span_sums
from w2v_exp.text.chunks import move_positions
from w2v_exp.text.word_bytes import Words

FORMAT = 1  # of lookups and pairs: raise by one whenever their files or the meaning of their keys change

# ---------------------------------------------------------------- sums of weights by key


class Sums(NamedTuple):
    """Distinct keys, rising, and the sum of the weights of each: whole numbers, none negative."""

    keys: NDArray[Any]
    weights: NDArray[Any]


MERGED_AT_ONCE = 1 << 18  # sums whose arrays stay in the processor's cache
_HALF = np.uint64(32)
_LOW_HALF = np.uint64((1 << 32) - 1)


def merge_sums(several: Sequence[Sums]) -> Sums:
    """Merge sums, by ranges of keys.

    The arrays of a range stay in the processor's cache, which is several times as fast.
    """
    several = [sums for sums in several if len(sums.keys)]
    if len(several) == 1:
        return several[0]
    total = sum(len(sums.keys) for sums in several)
    number = total // MERGED_AT_ONCE
    bounds = np.empty(0, np.uint64)
    if number:
        sample = np.sort(np.concatenate([_sampled(sums.keys, total) for sums in several]))
        bounds = np.unique(sample[np.arange(1, number + 1) * len(sample) // (number + 1)])
    cuts = [[0, *_positions(sums.keys, bounds), len(sums.keys)] for sums in several]
    merged = []
    for k in range(len(bounds) + 1):
        spans = [slice(*ends[k : k + 2]) for ends in cuts]
        merged.append(
            _merged(
                [Sums(sums.keys[span], sums.weights[span]) for sums, span in zip(several, spans, strict=True)]
            )
        )
    if len(merged) == 1:
        return merged[0]
    return Sums(
        np.concatenate([sums.keys for sums in merged]), np.concatenate([sums.weights for sums in merged])
    )


def _sampled(keys: NDArray[Any], total: int) -> NDArray[np.uint64]:
    return keys[:: max(1, total >> 16)].astype(np.uint64)


def _positions(keys: NDArray[Any], bounds: NDArray[np.uint64]) -> list[int]:
    """Return the number of keys below each bound.

    Bounds get the type of the keys, which else would be copied.
    """
    largest = np.iinfo(keys.dtype).max
    found = keys.searchsorted(np.minimum(bounds, largest).astype(keys.dtype))
    positions: list[int] = np.where(bounds > largest, len(keys), found).tolist()
    return positions


def _merged(several: Sequence[Sums]) -> Sums:
    """Merge sums by one sort of all keys."""
    several = [sums for sums in several if len(sums.keys)]
    if not several:
        return Sums(np.empty(0, np.uint64), np.empty(0, np.uint64))
    if all(sums.keys[-1] <= _LOW_HALF and sums.weights.max() <= _LOW_HALF for sums in several):
        # Key and weight in one number, which are sorted five times as fast as an order of keys.
        packed = np.empty(sum(len(sums.keys) for sums in several), np.uint64)
        done = 0
        for keys, weights in several:
            at = packed[done : done + len(keys)]
            np.left_shift(keys, _HALF, out=at, dtype=np.uint64)
            at |= weights
            done += len(keys)
        packed.sort()
        return _summed(packed >> _HALF, packed & _LOW_HALF)
    keys = np.concatenate([sums.keys for sums in several]).astype(np.uint64, copy=False)
    order = np.argsort(keys, kind="stable")
    return _summed(keys[order], np.concatenate([sums.weights for sums in several])[order])


def _summed(keys: NDArray[np.uint64], weights: NDArray[Any]) -> Sums:
    """Return the sums of the weights of equal keys, which are in order."""
    firsts = first_positions(keys)
    return Sums(keys[firsts], span_sums(weights, firsts))


def subtract_sums(sums: Sums, others: Sums) -> Sums:
    """Return the differences of sums, without zeros.

    The others' keys are among those of the first.
    """
    weights = sums.weights.copy()
    weights[sums.keys.searchsorted(others.keys)] -= others.weights
    left = weights > 0
    return Sums(sums.keys[left], weights[left])


# ---------------------------------------------------------------- the pairs of numbered tokens

BUFFERED = 1 << 21  # keys that are sorted at once
MOST_RUNS = 128  # of sorted keys, before they are merged
_SPAN = 1 << 15  # tokens whose keys stay in the processor's cache


class PairSums:
    """Sums over pairs of tokens at most `reach` apart within a segment, each pair once.

    Parameters
    ----------
    words : int
        V.
    reach : int
        The largest distance.
    shrinking : bool
        Whether a pair at distance d weighs reach + 1 − d instead of 1.
    is_centre : ndarray of bool, shape (V,), optional
        Pairs of two words that are none are left out. None: all are.
    """

    def __init__(
        self, words: int, reach: int, *, shrinking: bool = False, is_centre: NDArray[np.bool_] | None = None
    ) -> None:
        self._words = np.uint64(words)
        self._reach = reach
        self._shrinking = shrinking
        self._is_centre = None if is_centre is None or is_centre.all() else is_centre
        bits = reach.bit_length() if shrinking else 0
        # Keys have the weight in their lowest bits, if there is room.
        self._weight_bits = bits if (words * words << bits) <= 1 << 64 else None
        self._buffer = np.empty(0, np.uint64)
        self._filled = 0
        self._runs: list[Sums] = []

    def count(self, ids: NDArray[np.int32], ends: NDArray[np.int64]) -> Sums:
        """Return the sums of a text with segments that end at these positions."""
        n = len(ids)
        reach = min(self._reach, n - 1)
        self._buffer = np.empty(min(BUFFERED, max(1, n * reach)), np.uint64)
        numbers = ids.astype(np.uint32)
        right = contexts_behind(n, ends) if len(ends) else None
        farthest = [
            reach if right is None else min(reach, int(right[start : start + _SPAN].max()))
            for start in range(0, n, _SPAN)
        ]
        if self._weight_bits is not None:
            for number, distances in enumerate(farthest):
                for distance in range(1, distances + 1):
                    self._add(numbers, right, number * _SPAN, distance)
        else:  # keys of one distance after the other
            for distance in range(1, max(farthest, default=0) + 1):
                for number, distances in enumerate(farthest):
                    if distance <= distances:
                        self._add(numbers, right, number * _SPAN, distance)
                self._flush(distance)
        self._flush(reach)
        sums = merge_sums(self._runs)
        return Sums(sums.keys.astype(np.uint64, copy=False), sums.weights.astype(np.uint64, copy=False))

    def _add(
        self,
        numbers: NDArray[np.uint32],
        right: NDArray[np.int64] | None,
        start: int,
        distance: int,
    ) -> None:
        """Add the keys of the pairs whose first tokens are in the span from a position on."""
        stop = min(start + _SPAN, len(numbers) - distance)
        if start >= stop:
            return
        one, other = numbers[start:stop], numbers[start + distance : stop + distance]
        if right is not None or self._is_centre is not None:
            chosen = np.ones(stop - start, bool) if right is None else right[start:stop] >= distance
            if self._is_centre is not None:
                chosen &= self._is_centre[one] | self._is_centre[other]
            one, other = one[chosen], other[chosen]
        if self._filled + len(one) > len(self._buffer):
            self._flush(distance)
        keys = self._buffer[self._filled : self._filled + len(one)]
        np.multiply(np.minimum(one, other), self._words, out=keys, casting="unsafe", dtype=np.uint64)
        keys += np.maximum(one, other)
        if self._weight_bits:
            keys <<= np.uint64(self._weight_bits)
            keys |= np.uint64(self._reach + 1 - distance)
        self._filled += len(one)

    def _flush(self, distance: int) -> None:
        """Sum the keys in the buffer; all are at this distance if they are without weights."""
        keys, self._filled = self._buffer[: self._filled], 0
        if not len(keys):
            return
        keys.sort()
        if self._weight_bits:
            bits = np.uint64(self._weight_bits)
            run = _summed(keys >> bits, keys & ((np.uint64(1) << bits) - np.uint64(1)))
        else:
            firsts = first_positions(keys)
            weights = np.diff(firsts, append=len(keys)).astype(np.uint64)
            if self._weight_bits is None:
                weights *= np.uint64(self._reach + 1 - distance)
            run = Sums(keys[firsts], weights)
        self._runs.append(Sums(narrowed(run.keys), narrowed(run.weights)))
        if len(self._runs) == MOST_RUNS:
            self._runs = [merge_sums(self._runs)]


def contexts_behind(tokens: int, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of tokens behind each one in its segment.

    >>> contexts_behind(5, np.array([0, 2])).tolist()
    [1, 0, 2, 1, 0]
    """
    edges = np.unique(np.concatenate([[0], ends, [tokens]]))
    return np.repeat(edges[1:], np.diff(edges)) - np.arange(tokens) - 1


# ---------------------------------------------------------------- the kept words of a shard


def look_up(words: str, vocabulary: str, window: int, result: str) -> None:
    """Find the kept words of a shard, and the tokens at its edges (a task).

    Parameters
    ----------
    words, vocabulary : str
        Files of the shard and of the vocabulary.
    window : int
        Windows cross the ends of the shard so far.
    result : str
        File that is written.
    """
    shard, known = StoredArrays(Path(words)), StoredArrays(Path(vocabulary))
    kept_words = Words(known["words"])
    first = Words.joined([kept_words, Words(shard["words"])]).first_positions()[len(kept_words) :]
    kept = np.flatnonzero(first < len(kept_words))
    ranks = first[kept]
    is_centre = known["is_centre"][ranks]
    ids, ends = kept_tokens(shard, kept)
    edge_ids, edge_ends = _edges(ids, ends, window)
    edges = np.concatenate([ends[:1], ends[-1:]]) if len(ends) else np.empty(0, np.int64)
    write_arrays(
        Path(result),
        {
            "kept": kept.astype(np.int32),
            "ranks": ranks.astype(np.int32),
            "counts": shard["counts"][kept],
            "is_centre": is_centre,
            "edge_ids": edge_ids,
            "edge_ends": edge_ends,
        },
        tokens=len(ids),
        outer_ends=edges.tolist(),
        longest=int(np.diff(ends).max(initial=0)),
        kept=key_of(kept.tolist(), is_centre.tolist()),
    )


def kept_tokens(shard: StoredArrays, kept: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the kept tokens of a shard, and the ends of its segments.

    Tokens are numbered among the kept words.
    """
    numbers = np.full(shard.description["words"], -1, np.int32)
    numbers[shard["numbers"][kept]] = np.arange(len(kept))
    ids = numbers[shard["ids"]]
    is_kept, ends = ids >= 0, shard["ends"].copy()
    if len(ends):
        move_positions(ends, 0, is_kept, 0)
    return ids[is_kept], np.unique(ends)


def _edges(
    ids: NDArray[np.int32], ends: NDArray[np.int64], window: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the first and last `window` tokens, with an end between them, or all if there are not more."""
    n = len(ids)
    if n <= 2 * window:
        return ids, ends
    left = n - window
    at = [ends[ends <= window], np.array([window]), ends[ends >= left] - left + window]
    return np.concatenate([ids[:window], ids[left:]]), np.unique(np.concatenate(at))


def count_pairs(words: str, lookup: str, reach: int, shrinking: bool, result: str) -> None:
    """Count the pairs of kept words of a shard (a task).

    Parameters
    ----------
    words, lookup : str
        Files of the shard and of `look_up`.
    reach, shrinking
        As for `PairSums`.
    result : str
        File that is written.
    """
    found = StoredArrays(Path(lookup))
    kept = found["kept"]
    ids, ends = kept_tokens(StoredArrays(Path(words)), kept)
    counter = PairSums(len(kept), reach, shrinking=shrinking, is_centre=found["is_centre"])
    write_pairs(Path(result), counter.count(ids, ends), len(kept))


def write_pairs(path: Path, sums: Sums, words: int) -> None:
    """Write sums as rows: for each first word the second words and the weights."""
    starts = sums.keys.searchsorted(np.arange(words + 1, dtype=np.uint64) * np.uint64(words))
    lengths = np.diff(starts)
    seconds = sums.keys - np.repeat(np.arange(words, dtype=np.uint64) * np.uint64(words), lengths)
    degrees = lengths + np.bincount(seconds.astype(np.intp), minlength=words)
    write_arrays(
        path,
        {
            "starts": starts,
            "degrees": narrowed(degrees),
            "seconds": seconds.astype(np.uint16 if words <= 1 << 16 else np.uint32),
            **escaped("weights", sums.weights),
        },
        words=words,
    )


def read_rows(
    pairs: StoredArrays, ranks: NDArray[np.int32], first: int, last: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint64]]:
    """Return the pairs of the first words with ranks from `first` to `last`: both ranks, and weights.

    Parameters
    ----------
    pairs : StoredArrays
        A file of `write_pairs`.
    ranks : ndarray of int32, rising
        The rank in the vocabulary of each of its words.
    """
    begin, end = ranks.searchsorted([first, last])
    starts = pairs["starts"][begin : end + 1]
    span = slice(int(starts[0]), int(starts[-1]))
    firsts = np.repeat(ranks[begin:end].astype(np.int64), np.diff(starts))
    return firsts, ranks[pairs["seconds"][span]], unescaped(pairs, "weights", span)
