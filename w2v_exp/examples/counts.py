"""Counts of distinct pairs of a text, and the bounds of their cost.

The gradient of the full softmax depends on the pairs only through these counts (Pennington et al. 2014 make the same
observation for GloVe), so training from them is exact, in time proportional to the distinct pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError, ShortRepr, require_kind, require_whole
from w2v_exp.examples.pairs import WIDE_WINDOW, Pairs, effective_window, gap_between
from w2v_exp.examples.statistics import PairStatistics
from w2v_exp.machine import available_cores


def centre_ranges(frequency: NDArray[np.int64], ranges: int, most: int) -> NDArray[np.int64]:
    """Return ranges of the vocabulary of about the same total frequency.

    Parameters
    ----------
    frequency : ndarray of int64, shape (V,)
        Frequency of each word.
    ranges : int
        Target number. A word that is more frequent than a range should be has its own.
    most : int
        Most words of a range; longer ones are divided further.

    Returns
    -------
    ndarray of int64
        The first word of each range, rising, and V.
    """
    before = np.cumsum(frequency) - frequency
    share = before * ranges // max(1, frequency.sum())
    bounds = [0]
    for first in [*np.flatnonzero(np.diff(share)) + 1, len(frequency)]:
        bounds += range(bounds[-1] + most, int(first), most)
        bounds.append(int(first))
    return np.array(bounds)


SUMMED_AT_ONCE = 1 << 20


@dataclass(frozen=True, repr=False)
class PairCounts(ShortRepr):
    """Counts of (centre, context) pairs, as compressed sparse rows.

    Parameters
    ----------
    starts : ndarray of int64, shape (V + 1,)
        Row c is at ``starts[c]:starts[c + 1]`` of the other two.
    contexts : ndarray of int32, shape (n,)
        The contexts of each row, by rising id.
    counts : ndarray of float32, shape (n,)
        Number of occurrences, or their summed weight, each above 0.
    columns : int, optional
        C: contexts are below it. More than V where only the V most frequent words are centres. None: V.
    """

    starts: NDArray[np.int64]
    contexts: NDArray[np.int32]
    counts: NDArray[Any]
    columns: int | None = None

    @classmethod
    def of(cls, pairs: Pairs) -> PairCounts:
        """Return the counts of listed pairs."""
        centres, contexts, counts = pairs.distinct()
        starts = np.searchsorted(centres, np.arange(pairs.vocabulary_size + 1))
        return cls(starts, contexts.astype(np.int32), counts.astype(np.float32))

    @staticmethod
    def memory(distinct: int, rows: int) -> int:
        """Return the bytes of the counts of `distinct` distinct pairs."""
        return 8 * distinct + 8 * rows

    @staticmethod
    def summing_memory(distinct: int) -> int:
        """Return the temporary bytes of sums over `distinct` counts."""
        return 16 * min(distinct, SUMMED_AT_ONCE)  # by context two wider copies of a part

    @property
    def rows(self) -> int:
        """V, the number of centres, with pairs or without."""
        return len(self.starts) - 1

    @property
    def vocabulary_size(self) -> int:
        """C, the number of words that can be contexts."""
        return self.rows if self.columns is None else self.columns

    @property
    def total(self) -> float:
        """The number of pairs, or the sum of their weights."""
        return float(self.counts.sum(dtype=np.float64))

    def by_centre(self) -> NDArray[np.float64]:
        """Return the number of pairs of each centre, shape (V,)."""
        sums = np.zeros(self.rows)
        for rows, some in self.row_spans():  # reduceat first makes a wider copy of its argument
            starts = self.starts[rows.start : rows.stop + 1]
            filled = np.flatnonzero(np.diff(starts))
            sums[rows.start + filled] = np.add.reduceat(
                self.counts[some], starts[filled] - some.start, dtype=np.float64
            )
        return sums

    def row_spans(self, counts: int = SUMMED_AT_ONCE) -> Iterator[tuple[slice, slice]]:
        """Yield consecutive rows and their entries: at most this many, or one row."""
        first = 0
        while first < self.rows:
            stop = max(first + 1, int(self.starts.searchsorted(self.starts[first] + counts, "right")) - 1)
            yield slice(first, stop), slice(int(self.starts[first]), int(self.starts[stop]))
            first = stop

    def by_context(self) -> NDArray[np.float64]:
        """Return the number of pairs of each context, shape (C,)."""
        sums = np.zeros(self.vocabulary_size)
        for start in range(
            0, len(self.contexts), SUMMED_AT_ONCE
        ):  # bincount first makes wider copies of both
            span = slice(start, start + SUMMED_AT_ONCE)
            sums += np.bincount(
                self.contexts[span], weights=self.counts[span], minlength=self.vocabulary_size
            )
        return sums

    def divided_by(self, number: float) -> PairCounts:
        """Return these counts, each divided by a number."""
        return replace(self, counts=self.counts / number)

    def distinct(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any]]:
        """Return centres and contexts of the distinct pairs, and their counts."""
        centres = np.repeat(np.arange(self.rows, dtype=np.int32), np.diff(self.starts))
        return centres, self.contexts, self.counts


KEY_BITS = 32

Packed = NDArray[
    np.uint64
]  # a pair in the high half of each number, its weight in the low half; by rising pair


def pairs_of(packed: Packed) -> NDArray[np.uint64]:
    """Return the pairs."""
    return packed >> np.uint64(KEY_BITS)


def weights_of(packed: Packed) -> NDArray[np.uint64]:
    """Return the weights."""
    return packed & np.uint64((1 << KEY_BITS) - 1)


def count_sorted(keys: NDArray[np.uint32], weight_bits: int) -> Packed:
    """Return the distinct pairs of sorted keys, with summed weights.

    Parameters
    ----------
    keys : ndarray of uint32
        At least one: a pair, and in the lowest bits its weight.
    weight_bits : int
        Number of these bits; 0: each pair weighs 1.
    """
    if weight_bits:
        pairs = keys >> np.uint32(weight_bits)
        firsts = first_positions(pairs)
        weights = span_sums(keys & np.uint32((1 << weight_bits) - 1), firsts)
    else:
        pairs, firsts = keys, first_positions(keys)
        weights = np.diff(firsts, append=len(keys)).astype(np.uint64)
    counted: Packed = pairs[firsts].astype(np.uint64)
    counted <<= np.uint64(KEY_BITS)
    counted |= weights
    return counted


def merge(runs: list[Packed]) -> Packed:
    """Return several merged, with the weights of equal pairs added.

    A sum must fit into 32 bits.
    """
    if len(runs) == 1:
        return runs[0]
    if not runs:
        return np.empty(0, np.uint64)
    ordered = np.concatenate(runs)
    ordered.sort()
    firsts = first_positions(pairs_of(ordered))
    weights = span_sums(weights_of(ordered), firsts)
    ordered = ordered[firsts]
    ordered &= np.uint64(((1 << KEY_BITS) - 1) << KEY_BITS)
    ordered |= weights
    return ordered


def first_positions(ordered: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return the first index of each distinct value of a sorted array."""
    is_first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return np.flatnonzero(is_first)


def span_sums(weights: NDArray[Any], firsts: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Return the sums of spans.

    ``np.add.reduceat`` takes five times as long for short ones.
    """
    sums: NDArray[np.uint64] = np.cumsum(weights, dtype=np.uint64)[np.append(firsts[1:], len(weights)) - 1]
    sums[1:] -= sums[:-1].copy()
    return sums


CHUNK_TOKENS = 1 << 21  # whose pairs are counted together
RANGES = 128  # of centres; each is counted, merged and freed separately
RANGE_BYTES = 10  # for each pair of a range while it is counted; most pairs are repeats


class PairCounter:
    """Counts (centre, context) pairs of tokens that arrive in several arrays.

    The centres are divided into ranges with about the same number of pairs. The pairs of a span of text that have their
    centre in one range are numbered, sorted and counted, and merged with the earlier counts of that range. So all cores
    can count, each in another range, and only one range per core is in memory twice.

    Memory: 8 bytes a distinct pair, 8 to 16 while they grow; about 40 bytes for each token of a chunk; and, in each
    core, up to 40 bytes for each pair of a chunk that falls into one range.

    Parameters
    ----------
    window : int
        The greatest distance between the words of a pair, at least 1.
    vocabulary_size : int
        V.
    shrinking : bool
        Whether a pair at distance d weighs (window − d + 1) / window instead of 1.
    reach : int, optional
        The greatest distance between two words of a segment, if the window is wider: see `effective_window`. None: the
        window.
    threads : int, optional
        Number of ranges counted in parallel; None: one for each core. The counts do not depend on it.
    centre_words : int, optional
        Number of words that are centres: pairs of any later word as the centre are left out. None: all words.
    """

    def __init__(
        self,
        window: int,
        vocabulary_size: int,
        *,
        shrinking: bool = False,
        reach: int | None = None,
        threads: int | None = None,
        centre_words: int | None = None,
    ) -> None:
        window = require_whole("window", window, at_least=1)
        reach = window if reach is None else min(reach, window)
        # Of windows drawn from 1 … window, reach/window are drawn from 1 … reach; all others are as good as `reach`.
        self._drawn_share = reach / window
        self._others = (
            PairCounter(reach, vocabulary_size, threads=threads, centre_words=centre_words)
            if shrinking and reach < window
            else None
        )
        self._window = window = reach
        self._vocabulary_size = vocabulary_size
        self._centre_words = vocabulary_size if centre_words is None else min(centre_words, vocabulary_size)
        self._threads = threads or available_cores()
        offsets = [*range(-window, 0), *range(1, window + 1)]
        self._offsets = np.array(offsets, np.int32)
        # Weights are whole numbers, of which `unit` is the worth: sums of them are exact.
        self._unit = 1 / window if shrinking else 1.0
        self._weights = (window + 1 - np.abs(self._offsets)) if shrinking else np.ones(2 * window, np.int64)
        # A key numbers a centre of its range, its context, and (where weights differ) the weight.
        self._weight_bits = int(window).bit_length() if shrinking else 0
        self._none = vocabulary_size  # fills positions without a word: before, behind and between segments
        self._gap = np.full(window, self._none, np.int32)
        self._waiting: list[NDArray[np.int32]] = [self._gap]
        self._waiting_tokens = 0
        self._bounds: NDArray[np.int64] | None = None
        self._runs: list[list[Packed]] = []
        self._heaviest = np.zeros(self._centre_words, np.int64)

    @staticmethod
    def memory(statistics: PairStatistics, threads: int | None = None) -> int:
        """Return the peak bytes of counting the pairs of a text."""
        tokens, distinct = statistics.tokens + statistics.gaps, int(statistics.distinct_by_centre.sum())
        chunk = min(tokens, CHUNK_TOKENS)
        in_range = max(1 / RANGES, float(statistics.frequencies.max(initial=0)) / max(1, statistics.tokens))
        range_pairs = in_range * statistics.contexts * chunk
        growth = 1.0 if tokens <= CHUNK_TOKENS else 1.25  # runs that wait to be merged share some pairs
        return max(
            20 * chunk,  # the tokens, their order, and a copy for finding the ranges in it
            round(12 * chunk + growth * 8 * distinct + RANGE_BYTES * range_pairs),
            4 * (tokens % CHUNK_TOKENS) + 8 * distinct + PairCounts.memory(distinct, statistics.centre_words),
        )

    def add(self, ids: NDArray[np.int32], segments: NDArray[np.int64] | None = None) -> None:
        """Add the next tokens, which continue the current segment.

        Parameters
        ----------
        ids : ndarray of int32
            The tokens.
        segments : ndarray of int64, optional
            Edges of segments among them; None: there is none.
        """
        for start in range(0, len(ids), CHUNK_TOKENS):
            chunk = ids[start : start + CHUNK_TOKENS]
            if segments is not None:
                cuts = segments[slice(*segments.searchsorted([max(start, 1), start + len(chunk)]))] - start
                chunk = np.insert(chunk, np.repeat(cuts, gap_between(self._window)), self._none)
            self._wait(chunk)
        if self._others:
            self._others.add(ids, segments)

    def cut(self) -> None:
        """End a segment: no window sizes from earlier tokens to later ones."""
        if self._others:
            self._others.cut()
        self._wait(self._gap)

    def finish(self) -> PairCounts:
        """Return the counts of all added tokens, and empty the counter."""
        self.cut()
        self._count_waiting()
        counts = self._collect()
        self._runs = []
        if self._others is None:
            return counts
        others = self._others.finish().counts  # of the same pairs
        return replace(counts, counts=mixed_counts(counts.counts, others, self._drawn_share))

    def _wait(self, ids: NDArray[np.int32]) -> None:
        self._waiting.append(ids)
        self._waiting_tokens += len(ids)
        if self._waiting_tokens >= CHUNK_TOKENS:
            self._count_waiting()

    def _count_waiting(self) -> None:
        """Count the pairs of waiting centres whose contexts are complete."""
        ids = np.concatenate(self._waiting)
        self._waiting, self._waiting_tokens = [ids[-2 * self._window :]], 0
        centres = ids[self._window : -self._window]
        if not len(centres):
            return
        self._require_room(centres)
        if self._bounds is None:
            most = (1 << max(0, KEY_BITS - self._weight_bits)) // (self._vocabulary_size + 1)
            if not most:
                raise CorpusError(
                    f"Windows that shrink from {self._window:,} words cannot be counted with "
                    f"{self._vocabulary_size:,} words. Use a smaller window, shrinking_window=false or labels=streamed."
                )
            self._bounds = centre_ranges(self._count(centres), RANGES, most)
            self._runs = [[] for _ in self._bounds[1:]]
        sizes = (
            _context_sizes_between(ids == self._none, self._window) if self._window > WIDE_WINDOW else None
        )
        order = np.argsort(centres)
        starts = np.searchsorted(centres, self._bounds, sorter=order)
        has_gaps = bool((ids == self._none).any())

        def count(number: int) -> None:
            positions = order[starts[number] : starts[number + 1]]
            if len(positions):
                self._push(number, self._count_range(ids, positions, number, has_gaps, sizes))

        self._for_all_ranges(count)

    def _count_range(
        self,
        ids: NDArray[np.int32],
        positions: NDArray[np.intp],
        number: int,
        has_gaps: bool,
        sizes: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    ) -> Packed:
        """Return the counted pairs of the centres at these positions.

        Positions are those of `ids` without its first window.

        With `sizes`, the contexts of all centres on the left and on the right, only these are looked at.
        """
        assert self._bounds is not None
        wide = self._vocabulary_size + 1
        rows = ids[self._window :][positions]
        rows -= np.int32(self._bounds[number])
        bases = rows.astype(np.uint32) * np.uint32(wide)
        if sizes is not None:
            return self._count_within(ids, positions, bases, sizes)
        keys = np.empty((len(self._offsets), len(positions)), np.uint32)
        for at_offset, offset, weight in zip(keys, self._offsets, self._weights, strict=True):
            # No position is past an end; where it need not be checked, `take` writes straight to its place.
            ids[self._window + offset :].take(positions, out=at_offset.view(np.int32), mode="clip")
            np.add(at_offset, bases, out=at_offset)
            if self._weight_bits:
                np.left_shift(at_offset, np.uint32(self._weight_bits), out=at_offset)
                np.bitwise_or(at_offset, np.uint32(weight), out=at_offset)
        ordered = keys.reshape(-1)
        ordered.sort()
        counted = count_sorted(ordered, self._weight_bits)
        return counted[pairs_of(counted) % np.uint64(wide) != self._none] if has_gaps else counted

    def _count_within(
        self,
        ids: NDArray[np.int32],
        positions: NDArray[np.intp],
        bases: NDArray[np.uint32],
        sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> Packed:
        """Return the counted pairs of these centres and their contexts."""
        own = [size[positions] for size in sizes]
        keys = np.empty(sum(int(size.sum()) for size in own), np.uint32)
        done = 0
        for sign, size in zip((-1, 1), own, strict=True):
            # By falling size, the centres that have a context at a distance are the first ones.
            order = np.argsort(-size, kind="stable")
            centres, ordered = positions[order] + self._window, bases[order]
            farthest = int(size.max(initial=0))
            numbers = len(size) - np.bincount(size, minlength=farthest + 1).cumsum()
            for distance, number in enumerate(numbers[:farthest].tolist(), start=1):
                at_distance = keys[done : done + number]
                np.add(
                    ids[centres[:number] + sign * distance],
                    ordered[:number],
                    out=at_distance,
                    casting="unsafe",
                )
                if self._weight_bits:
                    at_distance <<= np.uint32(self._weight_bits)
                    at_distance |= np.uint32(self._window + 1 - distance)
                done += number
        keys.sort()
        return count_sorted(keys, self._weight_bits) if len(keys) else np.empty(0, np.uint64)

    def _push(self, number: int, run: Packed) -> None:
        """Add counts to a range; runs of similar size are merged."""
        if not len(run):
            return
        runs = self._runs[number]
        runs.append(run)
        while len(runs) > 1 and len(runs[-2]) < 2 * len(runs[-1]):
            runs[-2:] = [merge(runs[-2:])]

    def _collect(self) -> PairCounts:
        """Return the counts of all ranges as rows."""
        V, C = self._centre_words, self._vocabulary_size

        def merge_all(number: int) -> None:
            self._runs[number] = [merge(self._runs[number])]

        self._for_all_ranges(merge_all)
        sizes = [len(runs[0]) for runs in self._runs]
        contexts, counts = np.empty(sum(sizes), np.int32), np.empty(sum(sizes), np.float32)
        lengths = np.zeros(V + 1, np.int64)
        ends = np.cumsum(sizes)
        for number, (end, size) in enumerate(zip(ends.tolist(), sizes, strict=True)):
            assert self._bounds is not None
            (packed,) = self._runs[number]
            self._runs[number] = []
            place = slice(end - size, end)
            rows, contexts[place] = np.divmod(pairs_of(packed), np.uint64(C + 1))
            counts[place] = weights_of(packed) * self._unit
            first, last = self._bounds[number : number + 2]
            lengths[first + 1 : last + 1] = np.bincount(rows.astype(np.intp), minlength=last - first)
        return PairCounts(np.cumsum(lengths), contexts, counts, C)

    def _for_all_ranges(self, work: Callable[[int], None]) -> None:
        numbers = range(len(self._runs))
        if self._threads == 1:
            for number in numbers:
                work(number)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(work, numbers):
                pass  # an error in a thread is raised here

    def _count(self, centres: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the frequency of each word that is counted as a centre, (V,)."""
        return np.bincount(centres, minlength=self._centre_words)[: self._centre_words]

    def _require_room(self, centres: NDArray[np.int32]) -> None:
        """Raise `CorpusError` if a weight might exceed 32 bits.

        A pair weighs at most what all pairs of its word do.
        """
        self._heaviest += self._count(centres)
        if self._heaviest.max(initial=0) * int(self._weights.sum()) >= 1 << KEY_BITS:
            raise CorpusError(
                "The text is too long to count its pairs: a pair of words may occur 4 billion times. "
                "Use a smaller window, labels=streamed, or drop frequent words (vocabulary.max_frequency, subsampling)."
            )


def mixed_counts(
    counts: NDArray[np.float32], others: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """Return the means of counts of the same pairs, of which the first ones have this share."""
    mixed: NDArray[np.float64] = share * counts.astype(np.float64) + (1 - share) * others
    return mixed.astype(np.float32)


def _context_sizes_between(
    is_none: NDArray[np.bool_], window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the contexts of each centre on the left and on the right.

    The centres are all positions but the first and the last `window` ones.
    """
    length = len(is_none)
    positions = np.arange(length)
    before = np.maximum.accumulate(np.where(is_none, positions, -1))
    after = np.minimum.accumulate(np.where(is_none, positions, length)[::-1])[::-1]
    centres = slice(window, length - window)
    left = np.minimum(window, positions - before - 1)[centres]
    right = np.minimum(window, after - positions - 1)[centres]
    return np.maximum(left, 0), np.maximum(right, 0)  # an empty position has no contexts


def count_window_pairs(
    texts: Iterable[NDArray[np.int32]],
    window: int,
    vocabulary_size: int,
    *,
    shrinking: bool = False,
    segments: NDArray[np.int64] | None = None,
    threads: int | None = None,
    centre_words: int | None = None,
) -> PairCounts:
    """Count the pairs of `window_pairs` over texts, without listing them.

    Parameters
    ----------
    texts : iterable of ndarray of int32
        The ids of texts; windows do not cross from one to the next.
    window, vocabulary_size, shrinking, threads, centre_words
        As for `PairCounter`.
    segments : ndarray of int64, shape (p + 1,), optional
        Of each text: windows do not cross from ``ids[segments[k]:segments[k + 1]]`` to the next segment.

    Returns
    -------
    PairCounts
        Symmetric, unless `centre_words` leaves some out. Whole numbers up to 2^24 are exact, others to float32.

    Raises
    ------
    CorpusError
        If a count could outgrow 32 bits.
    """
    texts = list(texts)
    reach = max((effective_window(window, len(ids), segments) for ids in texts), default=1)
    counter = PairCounter(
        window, vocabulary_size, shrinking=shrinking, reach=reach, threads=threads, centre_words=centre_words
    )
    for ids in texts:
        counter.add(ids, segments)
        counter.cut()
    return counter.finish()


@dataclass(frozen=True)
class Bounds:
    """The bounds of the cost of pairs, in nats a pair.

    Parameters
    ----------
    unigram_cost : float
        See the function of this name.
    cost_floor : float
        See the function of this name.
    """

    unigram_cost: float
    cost_floor: float

    @classmethod
    def of(cls, pairs: Pairs | PairCounts) -> Bounds:
        """Return the bounds of these pairs."""
        return cls(unigram_cost(pairs), cost_floor(pairs))


def unigram_cost(pairs: Pairs | PairCounts) -> float:
    """Return H(context), in nats: the least cost of word frequencies alone."""
    require_kind("pairs", pairs, (Pairs, PairCounts), "pairs, listed or counted")
    return _entropy(pairs.by_context())


def cost_floor(pairs: Pairs | PairCounts) -> float:
    """Return H(context | centre), in nats: the least cost of any model.

    It is H(centre, context) − H(centre).
    """
    require_kind("pairs", pairs, (Pairs, PairCounts), "pairs, listed or counted")
    counts = pairs.counts if isinstance(pairs, PairCounts) else pairs.distinct()[2]
    return _entropy(counts) - _entropy(pairs.by_centre())


def information_explained(cost: float, unigram: float, floor: float) -> float:
    """Return (unigram − cost) / (unigram − floor).

    It is 0 for a model of word frequencies, 1 for the best one.

    It compares runs whose pairs differ, as neither the cost nor its distance from the floor does. NaN where the floor
    is as high as the unigram cost.
    """
    for key, value in (("cost", cost), ("unigram", unigram), ("floor", floor)):
        require_kind(key, value, Real, "a number")
    return (unigram - cost) / (unigram - floor) if unigram - floor > 1e-12 else float("nan")


def _entropy(counts: NDArray[Any]) -> float:
    """Return the entropy of counts, in nats.

    It is computed by spans, since its arrays are wider than the counts.
    """
    total, entropy = counts.sum(dtype=np.float64), 0.0
    for start in range(0, len(counts), SUMMED_AT_ONCE):
        span = counts[start : start + SUMMED_AT_ONCE]
        shares = span[span > 0] / total
        entropy -= float((shares * np.log(shares)).sum())
    return entropy
