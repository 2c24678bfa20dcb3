"""Examples sampled anew each epoch, and the encoding ``streamed``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import check_whole, require_whole
from w2v_exp.examples.batch import Batch, SparseLabels, gather_batch
from w2v_exp.examples.batches import LabelEncoding, TrainingExamples, TrainingOptions, no_pair_error
from w2v_exp.examples.counts import PairCounts, count_window_pairs
from w2v_exp.examples.pairs import Pairs, context_sizes, count_pairs, effective_window, mean_pairs
from w2v_exp.examples.sampling import NoSubsampling, Subsampling, TextPart, TextSampler, keep_probabilities
from w2v_exp.examples.statistics import BatchMemory, EpochShape, ExamplesMemory, PairStatistics
from w2v_exp.machine import Work


class ResampledExamples(TrainingExamples):
    """Examples of a text that each epoch samples anew, span by span.

    Parameters
    ----------
    ids, window, vocabulary_size, subsampling, shrinking_window, segments, order, generator
        As for `StreamedExamples`.
    span : int
        Words that are sampled at a time.
    share : tuple of int
        (number, of): the spans of one of several processes, every `of`-th from `number` on.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        window: int,
        vocabulary_size: int,
        *,
        span: int,
        subsampling: Subsampling | None,
        shrinking_window: bool,
        segments: NDArray[np.int64] | None,
        order: str,
        generator: np.random.Generator | None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._largest_window = require_whole("window", window, at_least=1)
        self._ids = ids
        self._window = effective_window(self._largest_window, len(ids), segments)
        self._span = span
        self._keep = keep_probabilities(subsampling or NoSubsampling(), ids, vocabulary_size)
        self._shrinking_window = shrinking_window
        self._segments = segments
        self._numbers = range(share[0], -(-len(ids) // span), share[1])  # of its spans
        expected = self._expected_pairs(generator or np.random.default_rng(0))
        super().__init__(vocabulary_size, expected, order)

    @property
    def window(self) -> int:
        """Largest distance between the words of a pair."""
        return self._window

    @cached_property
    def pairs(self) -> PairCounts:
        """The pairs of the text itself, shrinking windows as weights.

        They are counted at the first access, in memory proportional to the distinct ones.
        """
        return count_window_pairs(
            [self._ids],
            self._largest_window,
            self.vocabulary_size,
            shrinking=self._shrinking_window,
            segments=self._segments,
        )

    @cached_property
    def context_shares(self) -> NDArray[np.float64]:
        """Expected share of the pairs that have each word as context, (V,).

        A word is as often a context as it is a centre. Where words are dropped, kept words are assumed to have as many
        contexts as in the text itself: exact but for the ends of short segments.
        """
        weights = np.ones(self._window)  # of a pair by its distance
        if self._shrinking_window:
            weights -= np.arange(self._window) / self._largest_window
        within = np.concatenate(
            [[0], np.cumsum(weights)]
        )  # weight of the contexts on one side, by their number
        by_context = np.zeros(self.vocabulary_size)
        for start, stop in self._spans(self._numbers):
            left, right = context_sizes(len(self._ids), start, stop, self._window, self._segments)
            ids, contexts = self._ids[start:stop], within[left] + within[right]
            if self._keep is not None:
                contexts *= self._keep[ids]
            by_context += np.bincount(ids, weights=contexts, minlength=self.vocabulary_size)
        by_context /= by_context.sum()
        return by_context

    def _spans(self, numbers: range | NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Yield start and stop of each of these spans."""
        for number in numbers:
            start = int(number) * self._span
            yield start, min(start + self._span, len(self._ids))

    def _ordered_spans(self, generator: np.random.Generator) -> Iterator[tuple[int, int]]:
        """Return start and stop of the spans, in the order of an epoch."""
        if self.order == "corpus":
            return self._spans(self._numbers)
        return self._spans(np.asarray(self._numbers)[generator.permutation(len(self._numbers))])

    def _sampler(self, generator: np.random.Generator) -> TextSampler:
        return TextSampler(
            self._ids,
            self._largest_window,
            generator,
            keep=self._keep,
            shrinking_window=self._shrinking_window,
            segments=self._segments,
        )

    def _expected_pairs(self, generator: np.random.Generator) -> float:
        """Return the pairs of an epoch: exact, expected, or of one sample."""
        if self._keep is not None or self._numbers.step > 1:
            sampler = self._sampler(generator)
            return sum(sampler.span(start, stop).count_pairs() for start, stop in self._spans(self._numbers))
        if self._shrinking_window:
            return mean_pairs(len(self._ids), self._largest_window, self._segments)
        return count_pairs(len(self._ids), self._window, self._segments)


PAIR_BYTES = (
    21  # of a pair while its block is built: a table of contexts, and which of them are within the window
)

Columns = tuple[NDArray[np.int32], NDArray[np.int32]]  # centres and contexts


@dataclass(frozen=True)
class StreamRule(LabelEncoding):
    """Pairs built while they are trained on, labels as ids.

    Memory holds a few batches, whatever the text's length.

    Parameters
    ----------
    block : int
        Words a block. The pairs of a block are built together; blocks are what ``order=blocks`` mixes, and
        ``order=shuffled`` also mixes the pairs within each.
    """

    block: int = 8192

    def __post_init__(self) -> None:
        check_whole(self, "block", at_least=1)

    def examples(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
        share: tuple[int, int] = (0, 1),
    ) -> StreamedExamples:
        """Return the examples of a text."""
        examples: StreamedExamples = options.model.streamed(
            text.ids,
            options.window,
            vocabulary_size,
            self,
            subsampling=options.subsampling,
            shrinking_window=options.shrinking_window,
            segments=text.segments,
            batch_size=options.batch_size,
            order=options.order,
            generator=generator,
            **options.model.streamed_choices(options),
        )
        return examples

    def memory(self, statistics: PairStatistics, options: TrainingOptions) -> ExamplesMemory:
        """Return the memory of `examples`."""
        memory: ExamplesMemory = options.model.streamed.memory(
            statistics, self, batch_size=options.batch_size, order=options.order
        )
        return memory

    def epoch(self, statistics: PairStatistics, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of `examples`."""
        batch, examples = options.model.batch_shape(statistics, options, mixed=self.block)
        building = Work(passed=40.0 * batch.pairs, gathered=5.0 * batch.pairs, calls=60)
        return EpochShape(max(1, math.ceil(examples / batch.pairs)), batch, building)


class StreamedExamples(ResampledExamples):
    """The pairs of a text, built block by block.

    Memory holds some batches and a block.

    Where frequent words are subsampled or windows shrink, both are sampled anew each epoch, from its generator; a
    block's windows reach over its edges into the sample of its neighbours. Labels are ids: without sampling, in the
    order of the text, batches are those of ``labels=sparse``.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text; may be mapped from a file.
    window : int
        Largest distance between the words of a pair, at least 1.
    vocabulary_size : int
        V.
    rule : StreamRule, optional
        The size of a block.
    subsampling : Subsampling
        Of frequent words.
    shrinking_window : bool
        Whether the window of each centre is drawn from 1 … window.
    segments : ndarray of int64, shape (p + 1,), optional
        As in `window_pairs`.
    batch_size : int
        Pairs a batch, across blocks; the last one of an epoch may have fewer.
    order : {"corpus", "blocks", "shuffled"}
        ``corpus``: as in the text. ``blocks``: blocks of the text in another random order each epoch. ``shuffled``:
        as ``blocks``, with the pairs of each block in random order.
    generator : numpy.random.Generator, optional
        Where words are dropped, draws a first sample of the text, whose pairs are the expected number of an epoch.

    Raises
    ------
    SettingError, CorpusError
        If a choice cannot be used, or there is no pair: in the text, in that first sample, or in an epoch.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        window: int,
        vocabulary_size: int,
        rule: StreamRule | None = None,
        *,
        subsampling: Subsampling | None = None,
        shrinking_window: bool = False,
        segments: NDArray[np.int64] | None = None,
        batch_size: int = 128,
        order: str = "corpus",
        generator: np.random.Generator | None = None,
    ) -> None:
        batch_size = require_whole("batch_size", batch_size, at_least=1)
        self.rule = rule or StreamRule()
        self.batch_size = batch_size
        super().__init__(
            ids,
            window,
            vocabulary_size,
            span=self.rule.block,
            subsampling=subsampling,
            shrinking_window=shrinking_window,
            segments=segments,
            order=order,
            generator=generator,
        )

    @staticmethod
    def memory(
        statistics: PairStatistics, rule: StreamRule, *, batch_size: int, order: str
    ) -> ExamplesMemory:
        """Return the memory of the examples: a block and some batches."""
        block = min(statistics.tokens, rule.block) * statistics.pairs // max(1, statistics.tokens)
        batch_size = min(batch_size, statistics.pairs)
        centres = statistics.distinct_centres(batch_size, order, mixed=rule.block)
        # One block is cut into batches while the next is built; a batch of several blocks is a copy of them.
        blocks = Pairs.memory(block) + (2 * Pairs.memory(batch_size) if batch_size > block else 0)
        next_block = PAIR_BYTES * block * (2 if order == "shuffled" else 1)
        batch = BatchMemory.listed(centres, batch_size, statistics.distinct_in_batch(batch_size, "corpus"))
        if statistics.tokens <= rule.block:  # the only block is built before anything else exists
            next_block -= blocks
        batch = replace(batch, labels=batch.labels + blocks, next_batch=max(batch.next_batch, next_block))
        if batch_size == statistics.pairs:
            batch = batch.alone()
        tables = 8 * statistics.vocabulary_size  # probabilities of keeping words
        return ExamplesMemory(tables, tables, batch)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches of an epoch, expected if pairs are sampled."""
        return -(-round(self.pairs_per_epoch) // self.batch_size)

    def batches(self, generator: np.random.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch, sampled and ordered by the generator."""
        waiting: list[Columns] = []
        number = 0
        is_empty = True
        for columns in self._blocks(generator):
            waiting.append(columns)
            number += len(columns[0])
            if number < self.batch_size:
                continue
            is_empty = False
            centres, contexts = _joined(waiting)
            number %= self.batch_size
            whole = len(centres) - number
            yield from self._cut(centres[:whole], contexts[:whole])
            waiting = [
                (centres[whole:].copy(), contexts[whole:].copy())
            ]  # a view would keep the block in memory
        if number:
            yield from self._cut(*_joined(waiting))
        elif is_empty:
            raise no_pair_error()

    def _blocks(self, generator: np.random.Generator) -> Iterator[Columns]:
        """Yield the pairs of each block, in the order of an epoch."""
        sampler = self._sampler(generator)
        spans, mixing = self._ordered_spans(generator), self._mixing_generator(generator)
        for start, stop in spans:
            centres, contexts = sampler.span(start, stop).pairs()
            if mixing is not None:
                permutation = mixing.permutation(len(centres))
                centres, contexts = centres[permutation], contexts[permutation]
            yield centres, contexts

    def _mixing_generator(self, generator: np.random.Generator) -> np.random.Generator | None:
        """Return the generator that mixes the examples of each block, or None.

        It is seeded before the first block, like all random numbers of an epoch; blocks are built between steps.
        """
        if self.order != "shuffled":
            return None
        return np.random.default_rng(generator.integers(2**64, dtype=np.uint64))

    def _cut(self, centres: NDArray[np.int32], contexts: NDArray[np.int32]) -> Iterator[Batch]:
        """Yield these pairs as batches."""
        labels = SparseLabels(contexts, self.vocabulary_size, np.float64)
        for start in range(0, len(centres), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            yield gather_batch(centres[chosen], labels, chosen, self.vocabulary_size)


def _joined(columns: list[Columns]) -> Columns:
    """Return columns concatenated, without a copy of a single pair."""
    if len(columns) == 1:
        return columns[0]
    centres, contexts = zip(*columns, strict=True)
    return np.concatenate(centres), np.concatenate(contexts)
