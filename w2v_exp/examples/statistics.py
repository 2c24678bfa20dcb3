"""Pair statistics of a text, and the sizes and memory of examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple

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
from w2v_exp.machine import Work

# Bytes per cell of sparse counts, or per pair.
LABEL_BYTES = 32  # the cell's number, row, count and share
LABEL_TEMPORARY_BYTES = 24  # while labels are combined with the scores
NEXT_BATCH_BYTES = 52  # while a batch is built
SORTING_BYTES = 33  # of a pair, before equal ones are one cell


@dataclass(frozen=True)
class BlockShape:
    """The size of a block of passages of consecutive words.

    Parameters
    ----------
    tokens : int
        Centres of a full block, before they are rounded to whole passages.
    centres : int
        Its centres, or the words of a text that has fewer.
    passage : int
        Consecutive centres.
    window : int
        Largest distance between a centre and a context.
    context : {"mean", "sum"}, optional
        cbow: how context embeddings are combined. None: skip-gram.
    """

    tokens: int
    centres: int
    passage: int
    window: int
    context: str | None = None

    @classmethod
    def of(cls, tokens: int, passage: int, window: int, context: str | None = None) -> BlockShape:
        """Return the size of a full block."""
        passage = min(passage, tokens)
        return cls(tokens, tokens // passage * passage, passage, window, context)


@dataclass(frozen=True)
class BatchShape:
    """The size of a batch, which decides the operations of a step.

    Parameters
    ----------
    centres : float
        Distinct centres; for cbow, its examples.
    pairs : float
        Pairs; for cbow, its examples.
    cells : float
        Distinct pairs; 0 for blocks.
    words : float
        cbow: context words of all examples; 0 for skip-gram.
    block : BlockShape, optional
        None: a batch of listed or counted pairs.
    """

    centres: float
    pairs: float
    cells: float = 0.0
    words: float = 0.0
    block: BlockShape | None = None


class EpochShape(NamedTuple):
    """The batches of an epoch.

    Parameters
    ----------
    steps : int
        Number of batches.
    batch : BatchShape
        The mean batch.
    building : Work
        Operations to build it.
    """

    steps: int
    batch: BatchShape
    building: Work


@dataclass(frozen=True)
class BatchMemory:
    """The memory of a batch, in bytes.

    Parameters
    ----------
    centres : int
        Its distinct centres, k, which decide the memory of an objective's scores.
    labels : int
        Of its labels.
    temporary : int
        Temporary arrays while labels are combined with the scores.
    next_batch : int
        Peak while the next batch is built, that batch included; this one and its scores still exist.
    block : BlockShape, optional
        None: a batch of listed or counted pairs.
    """

    centres: int
    labels: int
    temporary: int
    next_batch: int
    block: BlockShape | None = None

    @classmethod
    def listed(cls, centres: int, pairs: int, cells: int) -> BatchMemory:
        """Return the memory of a batch of listed pairs, `cells` distinct ones.

        Labels are `SparseCounts`.
        """
        next_batch = max(SORTING_BYTES * pairs, NEXT_BATCH_BYTES * cells)
        return cls(centres, LABEL_BYTES * cells, LABEL_TEMPORARY_BYTES * cells, next_batch)

    @classmethod
    def counted(cls, centres: int, cells: int, next_cells: int) -> BatchMemory:
        """Return the memory of a batch of counted pairs.

        `cells` are its distinct pairs, `next_cells` those of the next batch.
        """
        return cls(centres, LABEL_BYTES * cells, LABEL_TEMPORARY_BYTES * cells, NEXT_BATCH_BYTES * next_cells)

    def alone(self) -> BatchMemory:
        """Return the memory of a batch that is the only one of an epoch."""
        return replace(self, next_batch=max(0, self.next_batch - self.labels))


@dataclass(frozen=True)
class ExamplesMemory:
    """The memory of examples, in bytes.

    Parameters
    ----------
    resident : int
        During training.
    peak_build : int
        Peak while they are built, `resident` included.
    batch : BatchMemory
        The largest of a run's first batches.
    """

    resident: int
    peak_build: int
    batch: BatchMemory


CHUNK_TOKENS = 1 << 16  # sampled at a time
SAMPLED_PAIRS = 1 << 18  # number of pairs that an estimate looks at, approximately
LARGEST_SAMPLE = 1 << 34  # pairs of a text: 100 seconds; a window over all of 2 M words has 250 times as many
SMALL_BATCH = 1 << 10  # pairs; larger batches have their distinct pairs counted
RANDOM_BATCHES = 8  # looked at where chance decides a run's first batches
FIRST_BATCHES = 3  # looked at otherwise: the steps of the dry run


class PairStatistics:
    """Statistics of a text's pairs, in a few megabytes.

    Pairs are neither listed nor counted.

    Parameters
    ----------
    ids, window, vocabulary_size, segments
        As for `window_pairs`.
    generator : numpy.random.Generator
        Of a `TextSampler`; in the same state as for the examples, the statistics are of the same sample of the text.
    subsampling : Subsampling
        Of frequent words.
    shrinking_window : bool
        Whether the window of each centre is sampled.
    passes : int
        Number of samples of the text, if words are dropped, whose distinct pairs are counted together.
    centre_words : int, optional
        As for `PairCounter`.
    """

    is_counted: ClassVar[bool] = (
        False  # whether the pairs have been counted, so that this takes no more memory
    )

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
        centre_words: int | None = None,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.centre_words = vocabulary_size if centre_words is None else min(centre_words, vocabulary_size)
        self.window = effective_window(window, len(ids), segments)
        self._ids, self._segments = ids, segments
        self.length = len(ids)  # words of the text, before any are dropped
        self._shrinking_window = shrinking_window
        keep = keep_probabilities(subsampling, ids, vocabulary_size)
        self.drops_words = keep is not None
        self._samplers = [
            TextSampler(
                ids, window, generator, keep=keep, shrinking_window=shrinking_window, segments=segments
            )
            for _ in range(passes if self.drops_words else 1)
        ]
        counts = count_ids(ids, vocabulary_size)
        self.frequencies = counts * (np.ones(vocabulary_size) if keep is None else keep)

    @property
    def tokens(self) -> int:
        """Expected number of words that are kept."""
        return round(float(self.frequencies.sum()))

    @property
    def sampled_memory(self) -> int:
        """Bytes of the whole sampled text: its words, and their windows."""
        return 4 * self.tokens * (self.drops_words + self._shrinking_window)

    @property
    def gaps(self) -> int:
        """Positions that a `PairCounter` adds between segments."""
        return 0 if self._segments is None else gap_between(self.window) * (len(self._segments) - 2)

    @property
    def contexts(self) -> float:
        """Mean over the text of the most contexts that a centre can have."""
        if self.window <= WIDE_WINDOW:
            return 2 * self.window
        return count_pairs(len(self._ids), self.window, self._segments) / max(1, len(self._ids))

    @cached_property
    def pairs(self) -> int:
        """Number of pairs, exactly."""
        spans = _spans(self._samplers[0], 0, len(self._ids))
        if self.centre_words < self.vocabulary_size:
            return sum(self._pairs_of_centres(sampled) for sampled in spans)
        if not self.drops_words and not self._shrinking_window:
            return count_pairs(len(self._ids), self.window, self._segments)
        return sum(sampled.count_pairs() for sampled in spans)

    def _pairs_of_centres(self, sampled: SampledText) -> int:
        left, right = sampled.context_sizes()
        is_centre = sampled.ids[sampled.start : sampled.stop] < self.centre_words
        return int(left[is_centre].sum() + right[is_centre].sum())

    @cached_property
    def distinct_by_centre(self) -> NDArray[np.float64]:
        """Number of distinct contexts of each centre, (centre_words,).

        Exact below 2¹⁸ pairs, else estimated.

        Each pair is hashed, by a random number of its centre and one of its context (Zobrist's tabulation); pairs
        whose hash is below a threshold are looked at, all others are not. So repeated pairs are all looked at or not at
        all, and the distinct ones can be counted. A share s of the pairs gives the sum D to a standard deviation of
        √(D / s): 1 % of a million at s = 1/100.

        Beyond `LARGEST_SAMPLE` pairs, most words meet nearly all others: then the maximum is returned.
        """
        # An upper bound of the pairs is near enough; sampling the text to count them takes time.
        pairs = min(2 * self.window * self.tokens, count_pairs(len(self._ids), self.window, self._segments))
        pairs *= len(self._samplers)
        if pairs > LARGEST_SAMPLE:
            words = np.count_nonzero(self.frequencies)
            contexts = 2.0 * self.window * len(self._samplers) * self.frequencies[: self.centre_words]
            return np.minimum(contexts, words)
        return self._distinct_pairs(self._samplers, 0, len(self._ids), pairs)

    def distinct_in_batch(self, batch_size: int, order: str) -> int:
        """Return the distinct pairs of a batch, nearly all in small batches."""
        batch_size = min(batch_size, self.pairs)
        if batch_size <= SMALL_BATCH:
            return batch_size
        if order == "shuffled" or batch_size == self.pairs:
            return min(batch_size, int(self.distinct_by_centre.sum()))
        words = batch_size * len(self._ids) // self.pairs
        return min(batch_size, int(self._distinct_pairs(self._samplers[:1], 0, words, batch_size).sum()))

    def _distinct_pairs(
        self, samplers: list[TextSampler], start: int, stop: int, pairs: int
    ) -> NDArray[np.float64]:
        """Return the distinct contexts of centres, (centre_words,), from sampled pairs."""
        seeded = np.random.default_rng(0)
        tables = seeded.integers(1 << 32, size=(2, self.vocabulary_size), dtype=np.uint32)
        halvings = max(0, (pairs // SAMPLED_PAIRS).bit_length())
        threshold = np.uint32((1 << (32 - halvings)) - 1)
        found, waiting = np.empty(0, np.int64), 0
        buffer: list[NDArray[np.int64]] = []
        for sampler in samplers:
            for sampled in _spans(sampler, start, stop):
                for keys in _hashed_pairs(sampled, tables, threshold):
                    buffer.append(keys)
                    waiting += len(keys)
                if waiting > SAMPLED_PAIRS // 4:
                    found, buffer, waiting = count_distinct(np.concatenate([found, *buffer]))[0], [], 0
        found, _ = count_distinct(np.concatenate([found, *buffer]))
        by_centre = np.bincount(found // self.vocabulary_size, minlength=self.centre_words)
        return by_centre[: self.centre_words] * np.float64(1 << halvings)

    def distinct_centres(self, batch_size: int, order: str, mixed: int | None = None) -> int:
        """Return the most distinct centres among a run's possible first batches.

        Parameters
        ----------
        batch_size : int
            Pairs a batch.
        order : {"corpus", "blocks", "shuffled"}
            Of the batches.
        mixed : int, optional
            Number of consecutive words whose pairs ``shuffled`` mixes; None: all.
        """
        length = len(self._ids)
        batch_size = min(batch_size, self.pairs)
        if order == "shuffled" and mixed is None:
            return _expected_distinct(self.frequencies, batch_size)
        words = batch_size * length // max(1, self.pairs) + 1  # covered by a batch
        if order == "corpus":
            starts = [number * words for number in range(FIRST_BATCHES)]
        else:
            words = max(words, mixed or 0) if order == "shuffled" else words
            starts = np.linspace(0, max(0, length - words), RANDOM_BATCHES).astype(int).tolist()
        most = 1
        for start in starts:
            if start >= length:
                continue
            sampled = self._samplers[0].span(start, min(start + words, length))
            counts = count_ids(sampled.ids[sampled.start : sampled.stop], self.vocabulary_size)
            k = np.count_nonzero(counts) if order != "shuffled" else _expected_distinct(counts, batch_size)
            most = max(most, int(k))
        return most


def _spans(sampler: TextSampler, start: int, stop: int) -> Iterator[SampledText]:
    for first in range(start, stop, CHUNK_TOKENS):
        yield sampler.span(first, min(first + CHUNK_TOKENS, stop))


def _hashed_pairs(
    sampled: SampledText, tables: NDArray[np.uint32], threshold: np.uint32
) -> Iterator[NDArray[np.int64]]:
    """Yield centre · V + context of all pairs with a small hash.

    Small is at most the threshold; pairs come distance by distance.
    """
    ids, start, stop = sampled.ids, sampled.start, sampled.stop
    left, right = context_sizes(len(ids), start, stop, sampled.window, sampled.segments)
    of_centre, of_context = tables[0].take(ids), tables[1].take(ids)
    widest = int(max(left.max(initial=0), right.max(initial=0)))
    for distance in range(1, widest + 1):
        first, last = max(start, distance), min(stop, len(ids) - distance)
        for begin, end, offset, size in ((first, stop, -distance, left), (start, last, distance, right)):
            if begin >= end:
                continue
            hashes = of_centre[begin:end] ^ of_context[begin + offset : end + offset]
            positions = np.flatnonzero(hashes <= threshold) + begin
            positions = positions[size[positions - start] >= distance]
            yield ids[positions].astype(np.int64) * tables.shape[1] + ids[positions + offset]


def _expected_distinct(counts: NDArray[np.float64] | NDArray[np.int64], draws: int) -> int:
    """Return the expected number of distinct words in `draws` draws."""
    shares = counts / max(1, counts.sum())
    return round(float(-np.expm1(draws * np.log1p(-np.minimum(shares, 1 - 1e-12))).sum()))
