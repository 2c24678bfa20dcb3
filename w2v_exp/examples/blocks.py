"""The encoding ``blocks``: passages of consecutive words, without listing pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
    """Passages of consecutive words from distant places of the text, each with the words around it.

    Parameters
    ----------
    words : ndarray of int32, shape (passages, window + size + window)
        The words that the windows of each passage cover: its `size` centres are in the middle. Positions beyond the
        ends of the text, which no window covers, hold some word.
    before, after : ndarray of int64, shape (passages, size)
        Number of contexts before and after each centre; at most `window`. Both are 0 for positions that fill the last
        passage of a text, which are centres without pairs.
    pairs : float
        Number of pairs; for cbow, of centres that have a context.
    """

    words: NDArray[np.int32]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    pairs: float

    @property
    def centres(self) -> NDArray[np.int32]:
        """The words in the middle of each passage, (passages, size)."""
        size = self.before.shape[1]
        window = (self.words.shape[1] - size) // 2
        return self.words[:, window : window + size]


AUTO = "auto"
FEWEST_TOKENS, MOST_TOKENS = 16, 1024  # of a block whose size follows from the text
BLOCKS_PER_EPOCH = 1024  # at least, where these bounds allow
# In the vectors of its centres, at most: half a megabyte in single precision, so the block's arrays stay in the caches.
BLOCK_NUMBERS = 1 << 17
# Centres of a passage. With a window of 5 and 30 negatives, its scores have 20 · (30 + 30) = 1,200 cells, the most for
# which OpenBLAS has kernels for small matrices: with AVX-512, larger ones take twice as long.
PASSAGE = 20

# Words of the text, sampled at a time and then cut into blocks. On 20 MB, 1 << 17 loses .005 of SimLex-999.
SAMPLED_WORDS = 1 << 15
SAMPLED_BLOCKS = 8  # or this many blocks, if they are longer: the last block of a span is not full
SAMPLED_BYTES = 24  # of each of these words, while its blocks are built
SAMPLING_BYTES = 40  # more, while it is sampled


@dataclass(frozen=True)
class BlockRule(LabelEncoding):
    """Blocks of passages of the text, for negative sampling.

    Parameters
    ----------
    tokens : int or "auto"
        Centres per block, rounded down to whole passages. Their gradients are taken at the same parameters: with fewer
        of them a step is slower and its gradients less outdated; more than 1,024 are no faster. ``auto``: the largest
        power of two that leaves a text 1,024 blocks, and is at most 131,072/dim, from 16 to 1,024.
    """

    tokens: int | str = AUTO

    in_blocks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.tokens, str):
            check_whole(self, "tokens", at_least=1)
        elif self.tokens != AUTO:
            raise SettingError("tokens", self.tokens, "must be a whole number, 1 or more, or auto.")

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
        tokens = self.block_tokens(len(text.ids), options.dim)
        return BlockExamples(
            text.ids,
            options.window,
            vocabulary_size,
            tokens,
            passage=options.objective.passage_size(tokens),
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
        sampled = min(statistics.tokens, span_words(statistics.tokens, block.tokens))
        tables = 8 * statistics.vocabulary_size  # probabilities of keeping words
        kept = 24 * block.centres + SAMPLED_BYTES * sampled
        batch = BatchMemory(block.centres, kept, 0, SAMPLING_BYTES * sampled, block)
        return ExamplesMemory(tables, tables, batch)

    def epoch(self, statistics: PairStatistics, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of `examples`."""
        block = self._block(statistics, options)
        steps = max(1, math.ceil(statistics.tokens / block.tokens))
        batch = BatchShape(block.centres, block.centres, block=block)
        return EpochShape(steps, batch, Work(passed=60.0 * block.centres, calls=30))

    def _block(self, statistics: PairStatistics, options: TrainingOptions) -> BlockShape:
        tokens = self.block_tokens(statistics.length, options.dim)
        shape = BlockShape.of(
            tokens, options.objective.passage_size(tokens), statistics.window, options.model.context
        )
        return replace(shape, centres=min(shape.centres, statistics.tokens))

    def block_tokens(self, words: int, dim: int) -> int:
        """Return the number of centres per block for a text of `words` words, and vectors of `dim` numbers.

        A text of a million words or more has 1,024 with ``auto`` and 100 dimensions. A short one has too few steps with
        such blocks: of 49,000 words 48 an epoch, which under-train (figures: `docs/log/objectives.md`). A thousand more
        steps take 0.2 s. With 500 dimensions, blocks of 256 take three quarters of the time of 1,024.
        """
        if not isinstance(self.tokens, str):
            return self.tokens
        fitting = max(1, min(words // BLOCKS_PER_EPOCH, BLOCK_NUMBERS // dim))
        return min(MOST_TOKENS, max(FEWEST_TOKENS, 1 << (fitting.bit_length() - 1)))


def span_words(words: int, tokens: int, workers: int = 1) -> int:
    """Return the words of the text to sample at a time, so that each worker has as many spans."""
    spans = max(1, round(words / max(SAMPLED_WORDS, SAMPLED_BLOCKS * tokens) / workers))
    return max(1, -(-words // (spans * workers)))


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

    The words of a text recur within some hundred words, and the more gradients of a word a block has, the staler they
    are. So the passages of a block come from places of the text that are far apart: a span of 32,768 words is divided
    into as many parts as a block has passages, and a block has one passage of each. Memory holds a span, whatever the
    text's length.

    Where frequent words are subsampled or windows shrink, both are sampled anew each epoch, from its generator. Words
    are dropped before they are paired, and windows reach over the edges of a passage, so the pairs are those of
    `StreamedExamples` in the same sample.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text; may be mapped from a file.
    window, vocabulary_size, subsampling, shrinking_window, segments, generator
        As for `StreamedExamples`.
    tokens : int, optional
        Centres per block. None: by the length of the text alone.
    passage : int
        Consecutive centres.
    context : {"mean", "sum"}, optional
        cbow: an example is a centre with all its contexts. None: skip-gram.
    order : {"corpus", "blocks"}
        ``corpus``: spans as in the text. ``blocks``: in another random order each epoch.
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
        tokens: int | None = None,
        *,
        passage: int = PASSAGE,
        context: str | None = None,
        subsampling: Subsampling | None = None,
        shrinking_window: bool = False,
        segments: NDArray[np.int64] | None = None,
        order: str = "corpus",
        generator: np.random.Generator | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        _refuse_shuffling(order)
        largest = effective_window(require_whole("window", window, at_least=1), len(ids), segments)
        if tokens is None:
            tokens = BlockRule().block_tokens(len(ids), dim=1)  # not bounded by the dimensions
        self.tokens = require_whole("tokens", tokens, at_least=1)
        self.block = BlockShape.of(self.tokens, passage, largest, context)
        super().__init__(
            ids,
            window,
            vocabulary_size,
            span=span_words(len(ids), self.tokens, share[1]),
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
        kept = (self._kept_words(start, stop) for start, stop in self._spans(self._numbers))
        return max(1, sum(-(-round(words) // self.block.centres) for words in kept))

    def batches(self, generator: np.random.Generator) -> Iterator[Block]:
        """Yield the blocks of one epoch, sampled and ordered by the generator."""
        is_empty = True
        sampler = self._sampler(generator)
        for start, stop in self._ordered_spans(generator):
            for block in self._cut(sampler.span(start, stop)):
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

    def _cut(self, span: SampledText) -> Iterator[Block]:
        """Yield a span of the text as blocks of about the same size, without those that have no pair."""
        window, size = self._window, self.block.passage
        if not (centres := span.stop - span.start):
            return
        passages = -(-centres // size)
        filling = passages * size - centres
        words = np.pad(span.ids, (window, window + filling))[
            span.start : span.start + passages * size + 2 * window
        ]
        windows = sliding_window_view(words, size + 2 * window)[::size]
        before, after = (np.pad(side, (0, filling)).reshape(passages, size) for side in span.context_sizes())
        blocks = -(-passages * size // self.block.centres)
        for number in range(blocks):
            chosen = slice(number, None, blocks)
            contexts = before[chosen] + after[chosen]
            pairs = int((contexts if self.block.context is None else contexts > 0).sum())
            if pairs:
                yield Block(windows[chosen].copy(), before[chosen], after[chosen], pairs)
