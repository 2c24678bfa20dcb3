"""The encoding ``blocks``: passages of consecutive words, without listing pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import SettingError, ShortRepr, check_whole, require_whole
from w2v_exp.examples.batches import LabelEncoding, TrainingOptions, no_pair_error
from w2v_exp.examples.pairs import effective_window
from w2v_exp.examples.sampling import SampledText, Subsampling, TextPart
from w2v_exp.examples.statistics import (
    BatchMemory,
    BatchShape,
    BlockShape,
    EpochShape,
    ExamplesMemory,
    PairStatistics,
)
from w2v_exp.examples.streamed import ResampledExamples
from w2v_exp.machine import Work


@dataclass(frozen=True, repr=False)
class Block(ShortRepr):
    """Passages of consecutive words, each with the words around it.

    Parameters
    ----------
    words : ndarray of int32, shape (window + n + window,)
        The passages in a row, each with `window` words before and after it: n centres between the first and the last
        of these words. Positions beyond the end of the text, which no window covers, hold some word.
    before, after : ndarray of int64, shape (n,)
        Number of contexts before and after each centre; at most `window`. Both are 0 for the words between two
        passages, which are centres without pairs.
    pairs : float
        Number of pairs; for cbow, of centres that have a context.
    """

    words: NDArray[np.int32]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    pairs: float

    @property
    def window(self) -> int:
        """Number of words before the first centre, and after the last one."""
        return (len(self.words) - len(self.before)) // 2


AUTO = "auto"
FEWEST_TOKENS, MOST_TOKENS = 16, 1024  # of a block whose size follows from the text
BLOCKS_PER_EPOCH = 1024  # at least, where these bounds allow

SHORTEST_PASSAGE = 8  # windows: at most a fifth of the words of a block are beside its passages
SAMPLED_WORDS = 1 << 16  # of the text, sampled at a time and then cut into blocks
SAMPLED_BLOCKS = 8  # or this many blocks, if these are longer: the last block of a span is not full
SAMPLING_BYTES = 64  # for each of these words, until their blocks are built


@dataclass(frozen=True)
class BlockRule(LabelEncoding):
    """Blocks of passages of the text, for negative sampling.

    Parameters
    ----------
    tokens : int or "auto"
        Centres per block. Their gradients are taken at the same parameters, so more of them are faster, and staler.
        ``auto``: the largest power of two that leaves a text 1,024 blocks; 1,024 at most, and at least 16 and both
        sides of a window.
    passage : int, optional
        Consecutive centres in a block; None: all of them. The words of a text recur within some hundred words, and the
        more gradients of a word a block has, the staler they are. So a block of several passages, from places of the
        text that are far apart, trains better than one of the same length. Passages are at least 8 windows long.
    """

    tokens: int | str = AUTO
    passage: int | None = None

    in_blocks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.tokens, str):
            if self.tokens != AUTO:
                raise SettingError("tokens", self.tokens, "must be a whole number, 1 or more, or auto.")
        else:
            check_whole(self, "tokens", at_least=1)
        if self.passage is not None:
            check_whole(self, "passage", at_least=1)

    def check(self, options: TrainingOptions) -> None:
        """Raise `SettingError` for options that are not for blocks."""
        if not options.objective.accepts_blocks:
            raise SettingError(
                "labels",
                "blocks",
                "is for objective=negative_sampling only; use labels=streamed or counts with other objectives.",
            )
        if not options.optimizer.is_plain:
            raise SettingError(
                "optimizer",
                options.option("optimizer"),
                "is not supported with labels=blocks; use optimizer=sgd.",
            )
        _refuse_shuffling(options.order)

    def examples(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
        share: tuple[int, int] = (0, 1),
    ) -> BlockExamples:
        """Return the blocks of a text, or the share of one worker process."""
        return BlockExamples(
            text.ids,
            options.window,
            vocabulary_size,
            self,
            context=options.model.context,
            subsampling=options.subsampling,
            shrinking_window=options.shrinking_window,
            segments=text.segments,
            order=options.order,
            generator=generator,
            share=share,
        )

    def memory(self, statistics: PairStatistics, options: TrainingOptions) -> ExamplesMemory:
        """Return the memory of `examples`: that of a span of the text."""
        block = self._block(statistics, options)
        sampled = min(statistics.tokens, max(SAMPLED_WORDS, SAMPLED_BLOCKS * block.tokens))
        tables = 8 * statistics.vocabulary_size  # probabilities of keeping words
        batch = BatchMemory(block.centres, 20 * block.centres, 0, SAMPLING_BYTES * sampled, block)
        return ExamplesMemory(tables, tables, batch)

    def epoch(self, statistics: PairStatistics, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of `examples`."""
        block = self._block(statistics, options)
        steps = max(1, math.ceil(statistics.tokens / block.tokens))
        batch = BatchShape(block.centres, block.centres, block=block)
        return EpochShape(steps, batch, Work(passed=60.0 * block.centres, calls=60))

    def _block(self, statistics: PairStatistics, options: TrainingOptions) -> BlockShape:
        tokens = self.block_tokens(statistics.length, statistics.window)
        shape = self.shape(tokens, statistics.window, options.model.context)
        return replace(shape, centres=min(shape.centres, statistics.tokens))

    def shape(self, tokens: int, window: int, context: str | None) -> BlockShape:
        """Return the size of a full block; the words between two passages count as centres."""
        between = 2 * window * (self.passages(tokens, window) - 1)
        return BlockShape(tokens, tokens + between, window, context)

    def passages(self, tokens: int, window: int) -> int:
        """Return the number of passages of a block of `tokens` centres; wide windows have longer ones."""
        return 1 if self.passage is None else max(1, tokens // max(self.passage, SHORTEST_PASSAGE * window))

    def block_tokens(self, words: int, window: int) -> int:
        """Return the number of centres per block for a text of `words` words.

        `window` is the largest distance that the text can fill.

        A text of a million words or more has 1,024 with ``auto``. A short one has too few steps with such blocks: of
        49,000 words 48 an epoch, which under-train (figures: `docs/log/objectives.md`). 1,024 steps more an epoch take
        0.2 s.
        """
        if not isinstance(self.tokens, str):
            return int(self.tokens)
        both_sides = 1 << (2 * window - 1).bit_length()  # 2·window or more: shorter blocks are padded
        fewest = max(FEWEST_TOKENS, both_sides)
        fitting = 1 << max(0, (words // BLOCKS_PER_EPOCH).bit_length() - 1)
        return min(MOST_TOKENS, max(fewest, fitting))


def _refuse_shuffling(order: str) -> None:
    if order == "shuffled":
        raise SettingError(
            "order",
            order,
            "is not supported with labels=blocks, which keep words together; use order=corpus or blocks, or "
            "labels=streamed.",
        )


class BlockExamples(ResampledExamples):
    """The words of a text, block by block.

    Memory holds a span of 65,536 words, whatever the text's length.

    Where frequent words are subsampled or windows shrink, both are sampled anew each epoch, from its generator. Words
    are dropped before they are paired, and windows reach over the edges of a block, so its pairs are those of
    `StreamedExamples` in the same sample.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text; may be mapped from a file.
    window, vocabulary_size, subsampling, shrinking_window, segments, generator
        As for `StreamedExamples`.
    rule : BlockRule, optional
        The size of a block.
    context : {"mean", "sum"}, optional
        cbow: an example is a centre with all its contexts. None: skip-gram.
    order : {"corpus", "blocks"}
        ``corpus``: as in the text. ``blocks``: spans of the text in another random order each epoch.
    share : tuple of int
        (number, of): the spans of worker `number` of `of`. Spans get shorter where there would not be one for each.

    Attributes
    ----------
    tokens : int
        Centres per block.
    block : BlockShape
        The size of a full block.

    Raises
    ------
    SettingError, CorpusError
        If a choice cannot be used, or there is no pair: in the text, in a first sample of it, or in an epoch.
    """

    block: BlockShape

    def __init__(
        self,
        ids: NDArray[np.int32],
        window: int,
        vocabulary_size: int,
        rule: BlockRule | None = None,
        *,
        context: str | None = None,
        subsampling: Subsampling | None = None,
        shrinking_window: bool = False,
        segments: NDArray[np.int64] | None = None,
        order: str = "corpus",
        generator: np.random.Generator | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        _refuse_shuffling(order)
        self.rule = rule or BlockRule()
        largest = effective_window(require_whole("window", window, at_least=1), len(ids), segments)
        self.tokens = self.rule.block_tokens(len(ids), largest)
        self.block = self.rule.shape(self.tokens, largest, context)
        self._passages = self.rule.passages(min(self.tokens, len(ids)), largest)
        self._passage = -(-self.tokens // self._passages)
        span = max(SAMPLED_WORDS, SAMPLED_BLOCKS * self.tokens)
        if self._passages == 1:
            span = span if share[1] == 1 else min(span, -(-len(ids) // share[1]))
        else:  # as many spans for each worker and each passage, so that nearly all blocks are full
            groups = max(1, round(len(ids) / span / share[1]))
            span = max(1, -(-len(ids) // (groups * self._passages * share[1])))
        super().__init__(
            ids,
            window,
            vocabulary_size,
            span=span,
            subsampling=subsampling,
            shrinking_window=shrinking_window,
            segments=segments,
            order=order,
            generator=generator,
            share=share,
        )

    @property
    def batches_per_epoch(self) -> int:
        """Number of blocks of an epoch, expected if words are dropped."""
        kept = sum(self._kept_words(start, stop) for start, stop in self._spans(self._numbers))
        return max(-(-len(self._numbers) // self._passages), -(-round(kept) // self.tokens))

    def batches(self, generator: np.random.Generator) -> Iterator[Block]:
        """Yield the blocks of one epoch, sampled and ordered by the generator."""
        is_empty = True
        sampler = self._sampler(generator)
        spans = list(self._ordered_spans(generator))
        groups = -(-len(spans) // self._passages)
        for first in range(groups):  # spans from all parts of the text
            for block in self._cut([sampler.span(*span) for span in spans[first::groups]]):
                is_empty = False
                yield block
        if is_empty:
            raise no_pair_error()

    def _kept_words(self, start: int, stop: int) -> float:
        """Return the expected number of words of a span that are kept."""
        return stop - start if self._keep is None else float(self._keep[self._ids[start:stop]].sum())

    def _expected_pairs(self, generator: np.random.Generator) -> float:
        """Return the pairs of an epoch; for cbow, its examples in one sample."""
        if self.block.context is None:
            return super()._expected_pairs(generator)
        sampler = self._sampler(generator)
        return sum(
            sampler.span(start, stop).count_cbow_examples() for start, stop in self._spans(self._numbers)
        )

    def _cut(self, spans: list[SampledText]) -> Iterator[Block]:
        """Yield spans of the text as blocks, each with a passage of each span, without those that have no pair."""
        window = self._window
        sizes = np.array([span.stop - span.start for span in spans])
        sides = [span.context_sizes() for span in spans]
        margin, no_contexts = np.zeros(window, np.int32), np.zeros(window, np.int64)
        with_margins = (np.concatenate([margin, span.ids, margin]) for span in spans)
        covered = [
            ids[span.start : span.stop + 2 * window] for span, ids in zip(spans, with_margins, strict=True)
        ]
        words = np.concatenate(covered)
        before, after = (
            np.concatenate([part for own in both for part in (no_contexts, own, no_contexts)])
            for both in zip(*sides, strict=True)
        )

        # The first passage of each span, then the second of each: their places in these arrays, margins included.
        starts = [np.arange(0, size, self._passage) for size in sizes]
        numbers = np.repeat(np.arange(len(spans)), [len(each) for each in starts])
        within = np.concatenate(starts)
        order = np.argsort(within, kind="stable")
        within, numbers = within[order], numbers[order]
        lengths = np.minimum(self._passage, sizes[numbers] - within) + 2 * window
        ends = np.cumsum(lengths)
        first_of_span = np.cumsum(sizes + 2 * window) - sizes - 2 * window
        position = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
        place = position + np.repeat(first_of_span[numbers] + within, lengths)
        is_centre = (position >= window) & (position < np.repeat(lengths - window, lengths))
        words, before, after = words[place], before[place] * is_centre, after[place] * is_centre
        contexts = before + after
        paired = contexts if self.block.context is None else contexts > 0
        begin = 0
        for end in [*ends[self._passages - 1 : -1 : self._passages].tolist(), len(words)]:
            if pairs := int(paired[begin:end].sum()):
                centres = slice(begin + window, end - window)
                yield Block(words[begin:end], before[centres], after[centres], pairs)
            begin = end
