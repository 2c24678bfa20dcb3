"""Batches of pairs that are made block by block, and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import check_whole, require_whole
from w2v_exp.examples.batch import Batch, gather_batch
from w2v_exp.examples.batches import TrainingExamples, no_pair_error
from w2v_exp.examples.counts import PairCounts, count_window_pairs
from w2v_exp.examples.labels import SparseLabels
from w2v_exp.examples.pairs import Pairs, context_sizes, count_pairs, effective_window, mean_pairs
from w2v_exp.examples.sampling import NoSubsampling, Subsampling, TextSampler, keep_probabilities
from w2v_exp.examples.statistics import BatchMemory, ExamplesMemory, PairStatistics


class ResampledExamples(TrainingExamples):
    """A text of which nothing is kept but itself: each epoch draws it anew, from its generator.

    Parameters
    ----------
    ids, window, vocabulary_size, subsampling, shrinking_window, segments, order, generator
        As for `StreamedExamples`.
    span : int
        Words that are drawn at a time.
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
        self._drawn_from = require_whole("window", window, at_least=1)
        self._ids = ids
        self._window = effective_window(self._drawn_from, len(ids), segments)
        self._span = span
        self._keep = keep_probabilities(subsampling or NoSubsampling(), ids, vocabulary_size)
        self._shrinking_window = shrinking_window
        self._segments = segments
        self._numbers = range(share[0], -(-len(ids) // span), share[1])  # of its spans
        expected = self._expected_pairs(generator or np.random.default_rng(0))
        super().__init__(vocabulary_size, expected, order)

    @property
    def window(self) -> int:
        """The greatest distance between the words of a pair: of the window, or of the longest segment."""
        return self._window

    @cached_property
    def pairs(self) -> PairCounts:
        """The pairs of the text itself, no word dropped, shrinking windows as weights.

        They are counted when first asked for, in memory that grows with the distinct ones.
        """
        return count_window_pairs(
            [self._ids],
            self._drawn_from,
            self.vocabulary_size,
            shrinking=self._shrinking_window,
            segments=self._segments,
        )

    @cached_property
    def context_shares(self) -> NDArray[np.float64]:
        """What share of the pairs each word is to be expected as the context of, shape (V,).

        A word is as often a context as it is a centre. Where words are dropped, this takes the words that are kept
        to have as many contexts as in the text itself: true but for the ends of short segments.
        """
        weights = np.ones(self._window)  # of a pair by its distance
        if self._shrinking_window:
            weights -= np.arange(self._window) / self._drawn_from
        within = np.concatenate(
            [[0], np.cumsum(weights)]
        )  # the contexts on one side, by how far it context_sizes
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
        """Return where each of these spans starts and stops."""
        for number in numbers:
            start = int(number) * self._span
            yield start, min(start + self._span, len(self._ids))

    def _ordered_spans(self, generator: np.random.Generator) -> Iterator[tuple[int, int]]:
        """Return where the spans start and stop, in the order of an epoch."""
        if self.order == "corpus":
            return self._spans(self._numbers)
        return self._spans(np.asarray(self._numbers)[generator.permutation(len(self._numbers))])

    def _draw(self, generator: np.random.Generator) -> TextSampler:
        return TextSampler(
            self._ids,
            self._drawn_from,
            generator,
            keep=self._keep,
            shrinking_window=self._shrinking_window,
            segments=self._segments,
        )

    def _expected_pairs(self, generator: np.random.Generator) -> float:
        """Return how many pairs an epoch has: exactly, as the mean over all windows, or as those of one draw."""
        if self._keep is not None or self._numbers.step > 1:
            draw = self._draw(generator)
            return sum(draw.span(start, stop).count_pairs() for start, stop in self._spans(self._numbers))
        if self._shrinking_window:
            return mean_pairs(len(self._ids), self._drawn_from, self._segments)
        return count_pairs(len(self._ids), self._window, self._segments)


PAIR_BYTES = 21  # for each pair of a block while it is made: a table of contexts, those inside of a window

Columns = tuple[NDArray[np.int32], NDArray[np.int32]]  # centres and contexts


@dataclass(frozen=True)
class StreamRule:
    """How a text is streamed.

    Parameters
    ----------
    block : int
        Words a block. The pairs of a block are made together, in memory; blocks are what ``order=blocks`` mixes, and
        ``order=shuffled`` also mixes the pairs within each.
    """

    block: int = 8192

    def __post_init__(self) -> None:
        check_whole(self, "block", at_least=1)


class StreamedExamples(ResampledExamples):
    """The pairs of a text, made a block at a time: memory for some batches and a block, however long the text is.

    Where frequent words are subsampled or windows shrink, both are drawn anew each epoch, from its generator; a
    block's windows reach over its edges into what was drawn of its neighbours. The labels are ids, as those of
    ``labels=sparse``: without chance, in the order of the text, the batches are the same.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text; it may be mapped from a file.
    window : int
        The greatest distance between the words of a pair, at least 1.
    vocabulary_size : int
        V.
    rule : StreamRule, optional
        The size of a block.
    subsampling : Subsampling
        How frequent words are thinned out.
    shrinking_window : bool
        Whether the window of each centre is drawn from 1 … window.
    segments : ndarray of int64, shape (p + 1,), optional
        As in `window_pairs`.
    batch_size : int
        Pairs a batch, whatever a block has; the last one of an epoch may have fewer.
    order : {"corpus", "blocks", "shuffled"}
        ``corpus``: as in the text. ``blocks``: blocks of the text in another random order each epoch. ``shuffled``:
        besides, the pairs of each block in random order.
    generator : numpy.random.Generator, optional
        Where words are dropped, makes a first draw of the text, which tells how many pairs to expect of an epoch.

    Raises
    ------
    SettingError, CorpusError
        If a choice cannot be used, or there is no pair: in the text, in that first draw, or in an epoch.
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
        """Return what the examples of a text will need: a block and some batches, whatever its length."""
        block = min(statistics.tokens, rule.block) * statistics.pairs // max(1, statistics.tokens)
        batch_size = min(batch_size, statistics.pairs)
        centres = statistics.distinct_centres(batch_size, order, mixed=rule.block)
        # One block is cut into batches while the next is made; where a batch takes several, they are joined.
        blocks = Pairs.memory(block) + (2 * Pairs.memory(batch_size) if batch_size > block else 0)
        making = PAIR_BYTES * block * (2 if order == "shuffled" else 1)
        batch = BatchMemory.listed(centres, batch_size, statistics.distinct_in_batch(batch_size, "corpus"))
        if statistics.tokens <= rule.block:  # it is made before there is anything else
            making -= blocks
        batch = replace(batch, labels=batch.labels + blocks, next_batch=max(batch.next_batch, making))
        if batch_size == statistics.pairs:
            batch = batch.alone()
        tables = 8 * statistics.vocabulary_size  # with what probability words are kept
        return ExamplesMemory(tables, tables, batch)

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has; where pairs are drawn, the number to be expected."""
        return -(-round(self.pairs_per_epoch) // self.batch_size)

    def batches(self, generator: np.random.Generator) -> Iterator[Batch]:
        """Return the batches of one epoch; the generator decides the draw of the text and the order."""
        waiting: list[Columns] = []
        number = 0
        nothing = True
        for columns in self._block_pairs(generator):
            waiting.append(columns)
            number += len(columns[0])
            if number < self.batch_size:
                continue
            nothing = False
            centres, contexts = _joined(waiting)
            number %= self.batch_size
            whole = len(centres) - number
            yield from self._cut(centres[:whole], contexts[:whole])
            waiting = [(centres[whole:].copy(), contexts[whole:].copy())]  # lest it keep the block in memory
        if number:
            yield from self._cut(*_joined(waiting))
        elif nothing:
            raise no_pair_error()

    def _block_pairs(self, generator: np.random.Generator) -> Iterator[Columns]:
        """Return the pairs of each block, in the order of an epoch."""
        draw = self._draw(generator)
        spans, mixing = self._ordered_spans(generator), self._mixing_generator(generator)
        for start, stop in spans:
            centres, contexts = draw.span(start, stop).pairs()
            if mixing is not None:
                permutation = mixing.permutation(len(centres))
                centres, contexts = centres[permutation], contexts[permutation]
            yield centres, contexts

    def _mixing_generator(self, generator: np.random.Generator) -> np.random.Generator | None:
        """Return what mixes the examples within each block of an epoch, if these are to be mixed.

        It is drawn before the first block, like all that chance decides of an epoch; blocks are made between steps.
        """
        if self.order != "shuffled":
            return None
        return np.random.default_rng(generator.integers(2**64, dtype=np.uint64))

    def _cut(self, centres: NDArray[np.int32], contexts: NDArray[np.int32]) -> Iterator[Batch]:
        """Return these pairs as batches."""
        labels = SparseLabels(contexts, self.vocabulary_size, np.float64)
        for start in range(0, len(centres), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            yield gather_batch(centres[chosen], labels, chosen, self.vocabulary_size)


def _joined(columns: list[Columns]) -> Columns:
    """Return pairs that are in several arrays as one, without a copy if there is only one."""
    if len(columns) == 1:
        return columns[0]
    centres, contexts = zip(*columns, strict=True)
    return np.concatenate(centres), np.concatenate(contexts)
