"""Statistics of a text's pairs before any are made, and the memory that examples need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.pairs import (
    WIDE_WINDOW,
    context_sizes,
    count_distinct,
    count_ids,
    count_pairs,
    effective_window,
    gap_between,
)
from w2v_exp.examples.sampling import NoSubsampling, SampledText, Subsampling, TextSampler, keep_probabilities

LABEL_BYTES = 32  # of a cell of sparse counts: its number, its row, how often it occurs, its share
LABEL_TEMPORARY_BYTES = 24  # for a cell, while the labels meet the scores
NEXT_BATCH_BYTES = 52  # for a cell, while a batch is made
SORTING_BYTES = 33  # for a pair, before equal ones are one cell


@dataclass(frozen=True)
class BlockShape:
    """The size of a block of consecutive words.

    Parameters
    ----------
    tokens : int
        Centres of a full block.
    centres : int
        Its centres: `tokens`, or the words of a text that has fewer.
    window : int
        Largest distance between a centre and a context.
    cbow : bool
        Whether the contexts of a centre are one example, or an example each.
    """

    tokens: int
    centres: int
    window: int
    cbow: bool


@dataclass(frozen=True)
class BatchShape:
    """The size of a batch, on which the work of a step depends.

    Parameters
    ----------
    centres : float
        Its distinct centres, or bags, or the positions of a block.
    pairs : float
        Its pairs, or bags.
    cells : float
        Its distinct pairs; 0 for blocks.
    words : float
        The words of its bags, all in all; 0 for skip-gram.
    block : BlockShape, optional
        None: a batch of listed or counted pairs.
    """

    centres: float
    pairs: float
    cells: float = 0.0
    words: float = 0.0
    block: BlockShape | None = None


@dataclass(frozen=True)
class BatchMemory:
    """The memory of a batch, in bytes.

    Parameters
    ----------
    centres : int
        Its distinct centres, k, on which an objective's memory depends.
    labels : int
        What its labels take.
    temporary : int
        What comes and goes, beside them, while they meet the scores.
    next_batch : int
        What the making of the next batch takes, itself included, while this one and its scores are still there.
    block : BlockShape, optional
        None: a batch of listed or counted pairs.
    columns : int, optional
        Of counts of tree nodes: the nodes that enough centres have to be columns of a dense product.
    """

    centres: int
    labels: int
    temporary: int
    next_batch: int
    block: BlockShape | None = None
    columns: int | None = None

    @classmethod
    def listed(cls, centres: int, pairs: int, cells: int) -> BatchMemory:
        """Return the memory of a batch of listed pairs with so many distinct ones, its labels `SparseCounts`."""
        next_batch = max(SORTING_BYTES * pairs, NEXT_BATCH_BYTES * cells)
        return cls(centres, LABEL_BYTES * cells, LABEL_TEMPORARY_BYTES * cells, next_batch)

    @classmethod
    def counted(cls, centres: int, cells: int, next_cells: int) -> BatchMemory:
        """Return the memory of a slice of counts: of so many distinct pairs, as has the one after it."""
        return cls(centres, LABEL_BYTES * cells, LABEL_TEMPORARY_BYTES * cells, NEXT_BATCH_BYTES * next_cells)

    def alone(self) -> BatchMemory:
        """Return the memory of this batch where it is all there is: no other is made while it is still there."""
        return replace(self, next_batch=max(0, self.next_batch - self.labels))


@dataclass(frozen=True)
class ExamplesMemory:
    """The memory of examples, in bytes.

    Parameters
    ----------
    resident : int
        What stays while they are trained on.
    peak_build : int
        The most at once while they are made; what stays included.
    batch : BatchMemory
        The largest of the batches that a run begins with.
    """

    resident: int
    peak_build: int
    batch: BatchMemory


SURVEYED_AT_ONCE = 1 << 16  # tokens
SAMPLED_PAIRS = 1 << 18  # about so many are looked at, of however many there are
SURVEYED_PAIRS = 1 << 34  # which takes 100 seconds; a window over all of 2 M words has 250 times as many
SMALL_BATCH = 1 << 10  # pairs; the distinct ones of more are counted
BATCHES = 8  # that are looked at where chance decides which ones a run begins with
REHEARSED_BATCHES = 3  # where it does not


class PairStatistics:
    """What can be known of the pairs of a text in a few megabytes, without listing or counting them.

    Parameters
    ----------
    ids, window, vocabulary_size, segments
        As for `window_pairs`.
    generator : numpy.random.Generator
        Of a `TextSampler`; in the state in which examples get it, the statistics is of the very text that they draw.
    subsampling : Subsampling
        How frequent words are thinned out.
    shrinking_window : bool
        Whether the window of each centre is drawn.
    passes : int
        Over how many draws of the text, if words are dropped, distinct pairs are counted.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        window: int,
        vocabulary_size: int,
        generator: np.random.Generator,
        *,
        subsampling: Subsampling = NoSubsampling(),  # noqa: B008  frozen
        shrinking_window: bool = False,
        segments: NDArray[np.int64] | None = None,
        passes: int = 1,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.window = effective_window(window, len(ids), segments)
        self._ids, self._segments = ids, segments
        self._shrinking_window = shrinking_window
        keep = keep_probabilities(subsampling, ids, vocabulary_size)
        self.drops_words = keep is not None
        self._draws = [
            TextSampler(
                ids, window, generator, keep=keep, shrinking_window=shrinking_window, segments=segments
            )
            for _ in range(passes if self.drops_words else 1)
        ]
        counts = count_ids(ids, vocabulary_size)
        self.frequencies = counts * (np.ones(vocabulary_size) if keep is None else keep)

    @property
    def length(self) -> int:
        """Number of words of the text, before any are dropped."""
        return len(self._ids)

    @property
    def tokens(self) -> int:
        """How many words of the text are expected to be kept."""
        return round(float(self.frequencies.sum()))

    @property
    def sampled_memory(self) -> int:
        """How many bytes the drawn text takes where it is in memory as a whole: its words, and their windows."""
        return 4 * self.tokens * (self.drops_words + self._shrinking_window)

    @property
    def gaps(self) -> int:
        """How many positions between segments a `PairCounter` fills."""
        return 0 if self._segments is None else gap_between(self.window) * (len(self._segments) - 2)

    @property
    def contexts(self) -> float:
        """How many contexts a centre has at the most, the mean over the text."""
        if self.window <= WIDE_WINDOW:
            return 2 * self.window
        return count_pairs(len(self._ids), self.window, self._segments) / max(1, len(self._ids))

    @cached_property
    def pairs(self) -> int:
        """How many pairs there are, exactly."""
        if not self.drops_words and not self._shrinking_window:
            return count_pairs(len(self._ids), self.window, self._segments)
        return sum(drawn.count_pairs() for drawn in _spans(self._draws[0], 0, len(self._ids)))

    @cached_property
    def distinct_by_centre(self) -> NDArray[np.float64]:
        """How many distinct contexts each centre has, (V,): exactly of fewer than 2¹⁸ pairs, else estimated.

        Every pair has a number, made of a random number of its centre and one of its context (Zobrist's tabulation);
        of pairs whose number is below a threshold all are looked at, of others none. So repeated pairs are all looked
        at or not at all, and their distinct ones are counted. A share s of the pairs gives the sum of D to a standard
        deviation of √(D / s), a per cent of a million at s = 1/100.

        Of more than `SURVEYED_PAIRS`, most words meet nearly all others: then the number is the most there can be.
        """
        # Near enough, and drawing takes time.
        pairs = min(2 * self.window * self.tokens, count_pairs(len(self._ids), self.window, self._segments))
        pairs *= len(self._draws)
        if pairs > SURVEYED_PAIRS:
            words = np.count_nonzero(self.frequencies)
            return np.minimum(2.0 * self.window * len(self._draws) * self.frequencies, words)
        return self._distinct_pairs(self._draws, 0, len(self._ids), pairs)

    def distinct_in_batch(self, batch_size: int, order: str) -> int:
        """Return how many distinct pairs a batch has: at most as many as pairs, and near that in small batches."""
        batch_size = min(batch_size, self.pairs)
        if batch_size <= SMALL_BATCH:
            return batch_size
        if order == "shuffled" or batch_size == self.pairs:
            return min(batch_size, int(self.distinct_by_centre.sum()))
        words = batch_size * len(self._ids) // self.pairs
        return min(batch_size, int(self._distinct_pairs(self._draws[:1], 0, words, batch_size).sum()))

    def _distinct_pairs(
        self, draws: list[TextSampler], start: int, stop: int, pairs: int
    ) -> NDArray[np.float64]:
        """Return how many distinct contexts the centres at these positions have, of about so many pairs: shape (V,)."""
        seeded = np.random.default_rng(0)
        tables = seeded.integers(1 << 32, size=(2, self.vocabulary_size), dtype=np.uint32)
        halvings = max(0, (pairs // SAMPLED_PAIRS).bit_length())
        most = np.uint32((1 << (32 - halvings)) - 1)
        found, waiting = np.empty(0, np.int64), 0
        buffer: list[NDArray[np.int64]] = []
        for draw in draws:
            for drawn in _spans(draw, start, stop):
                for keys in _sampled_pairs(drawn, tables, most):
                    buffer.append(keys)
                    waiting += len(keys)
                if waiting > SAMPLED_PAIRS // 4:
                    found, buffer, waiting = count_distinct(np.concatenate([found, *buffer]))[0], [], 0
        found, _ = count_distinct(np.concatenate([found, *buffer]))
        by_centre = np.bincount(found // self.vocabulary_size, minlength=self.vocabulary_size)
        return by_centre * np.float64(1 << halvings)

    def distinct_centres(self, batch_size: int, order: str, mixed: int | None = None) -> int:
        """Return the most distinct centres of a batch among those that a run may begin with.

        Parameters
        ----------
        batch_size : int
            Pairs a batch.
        order : {"corpus", "blocks", "shuffled"}
            Of the batches.
        mixed : int, optional
            Among how many neighbouring words ``shuffled`` mixes pairs; None: among all.
        """
        length = len(self._ids)
        batch_size = min(batch_size, self.pairs)
        if order == "shuffled" and mixed is None:
            return _expected_distinct(self.frequencies, batch_size)
        words = batch_size * length // max(1, self.pairs) + 1  # that a batch reaches over
        if order == "corpus":
            starts = [number * words for number in range(REHEARSED_BATCHES)]
        else:
            words = max(words, mixed or 0) if order == "shuffled" else words
            starts = np.linspace(0, max(0, length - words), BATCHES).astype(int).tolist()
        most = 1
        for start in starts:
            drawn = self._draws[0].span(start, min(start + words, length)) if start < length else None
            if drawn is not None:
                counts = count_ids(drawn.ids[drawn.start : drawn.stop], self.vocabulary_size)
                k = (
                    np.count_nonzero(counts)
                    if order != "shuffled"
                    else _expected_distinct(counts, batch_size)
                )
                most = max(most, int(k))
        return most


def _spans(draw: TextSampler, start: int, stop: int) -> Iterator[SampledText]:
    for first in range(start, stop, SURVEYED_AT_ONCE):
        yield draw.span(first, min(first + SURVEYED_AT_ONCE, stop))


def _sampled_pairs(
    drawn: SampledText, tables: NDArray[np.uint32], most: np.uint32
) -> Iterator[NDArray[np.int64]]:
    """Return centre · V + context of all pairs whose number is at most `most`, distance by distance."""
    ids, start, stop = drawn.ids, drawn.start, drawn.stop
    left, right = context_sizes(len(ids), start, stop, drawn.window, drawn.segments)
    of_centre, of_context = tables[0].take(ids), tables[1].take(ids)
    widest = int(max(left.max(initial=0), right.max(initial=0)))
    for distance in range(1, widest + 1):
        first, last = max(start, distance), min(stop, len(ids) - distance)
        for begin, end, offset, reach in ((first, stop, -distance, left), (start, last, distance, right)):
            if begin >= end:
                continue
            numbers = of_centre[begin:end] ^ of_context[begin + offset : end + offset]
            positions = np.flatnonzero(numbers <= most) + begin
            positions = positions[reach[positions - start] >= distance]
            yield ids[positions].astype(np.int64) * tables.shape[1] + ids[positions + offset]


def _expected_distinct(counts: NDArray[np.float64] | NDArray[np.int64], drawn: int) -> int:
    """Return how many distinct words are to be expected of so many that are drawn with these frequencies."""
    shares = counts / max(1, counts.sum())
    return round(float(-np.expm1(drawn * np.log1p(-np.minimum(shares, 1 - 1e-12))).sum()))
