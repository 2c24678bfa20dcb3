"""Blocks: consecutive words with their windows, pairs not listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import SettingError, ShortRepr, check_whole, require_whole
from w2v_exp.examples.batches import no_pair_error
from w2v_exp.examples.pairs import context_sizes, effective_window
from w2v_exp.examples.sampling import SampledText, Subsampling
from w2v_exp.examples.statistics import BatchMemory, BlockShape, ExamplesMemory, PairStatistics
from w2v_exp.examples.streamed import ResampledExamples


@dataclass(frozen=True, repr=False)
class Block(ShortRepr):
    """Consecutive centres, with the words around them.

    Parameters
    ----------
    words : ndarray of int32, shape (window + n + window,)
        The n centres and as many words before and after them as a window can reach. Places beyond the end of the text,
        which no window reaches, hold some word.
    before, after : ndarray of int64, shape (n,)
        How many contexts each centre has before it, and after it; at most `window`.
    pairs : float
        The pairs there are; or the bags, one for each centre that has a context.
    """

    words: NDArray[np.int32]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    pairs: float

    @property
    def window(self) -> int:
        """How many words there are before the first centre, and after the last one."""
        return (len(self.words) - len(self.before)) // 2


AUTO = "auto"
FEWEST_TOKENS, MOST_TOKENS = 16, 1024  # of a block whose size follows from the text
BLOCKS_PER_EPOCH = 1024  # at least, where these bounds allow

SAMPLED_WORDS = 1 << 16  # of the text, that are drawn at a time and then cut into blocks
SAMPLED_BLOCKS = 8  # or so many blocks, where these are more: the last one of a span is not full
SAMPLING_BYTES = 64  # for each of these words, until their blocks are made


@dataclass(frozen=True)
class BlockRule:
    """How a text is cut into blocks.

    Parameters
    ----------
    tokens : int or "auto"
        Centres per block. Their gradients are taken at the same parameters, so more of them are faster, and staler.
        ``auto``: the largest power of two that leaves a text 1,024 blocks; 1,024 at most, and at least 16 and both
        sides of a window.
    """

    tokens: int | str = AUTO

    def __post_init__(self) -> None:
        if isinstance(self.tokens, str):
            if self.tokens != AUTO:
                raise SettingError("tokens", self.tokens, "must be a whole number, 1 or more, or auto.")
        else:
            check_whole(self, "tokens", at_least=1)

    def centres(self, words: int, window: int) -> int:
        """Return the number of centres per block for a text of `words` words, whose windows reach so far.

        A text of a million words or more has 1,024 with ``auto``. A short one has too few steps with such blocks: of
        49,000 words 48 an epoch, which under-train (`docs/objectives.md` has the figures). 1,024 steps more an epoch
        take 0.2 s.
        """
        if not isinstance(self.tokens, str):
            return int(self.tokens)
        both_sides = 1 << (2 * window - 1).bit_length()  # 2·window or more: shorter blocks are padded
        fewest = max(FEWEST_TOKENS, both_sides)
        fitting = 1 << max(0, (words // BLOCKS_PER_EPOCH).bit_length() - 1)
        return min(MOST_TOKENS, max(fewest, fitting))

    def shape(self, statistics: PairStatistics, *, cbow: bool) -> BlockShape:
        """Return the size of a full block of a text."""
        tokens = self.centres(statistics.length, statistics.window)
        return BlockShape(tokens, min(tokens, statistics.tokens), statistics.window, cbow)


class BlockExamples(ResampledExamples):
    """The words of a text, block by block, in memory for a span of 65,536 of them, however long the text is.

    `tokens` is the number of centres per block.

    Where frequent words are subsampled or windows shrink, both are drawn anew each epoch, from its generator. Words are
    dropped before they are paired, and windows reach over the edges of a block, so its pairs are those of
    `StreamedExamples` in the same draw.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text; it may be mapped from a file.
    window, vocabulary_size, subsampling, shrinking_window, segments, generator
        As for `StreamedExamples`.
    rule : BlockRule, optional
        The size of a block.
    bags : bool
        Whether what is counted, and meant by pairs, is the bag of words around each centre.
    order : {"corpus", "blocks"}
        ``corpus``: as in the text. ``blocks``: spans of the text in another random order each epoch.

    share : tuple of int
        (number, of): for the process `number` of `of` that share a text out, the spans that are its own. These
        get shorter where there would not be one for each.

    Raises
    ------
    SettingError, CorpusError
        If a choice cannot be used, or there is no pair: in the text, in a first draw of it, or in an epoch.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        window: int,
        vocabulary_size: int,
        rule: BlockRule | None = None,
        *,
        bags: bool = False,
        subsampling: Subsampling | None = None,
        shrinking_window: bool = False,
        segments: NDArray[np.int64] | None = None,
        order: str = "corpus",
        generator: np.random.Generator | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if order == "shuffled":
            raise SettingError(
                "order", order, "blocks keep words together; use corpus or blocks, or labels=streamed."
            )
        self.rule = rule or BlockRule()
        self.bags = bags
        reach = effective_window(require_whole("window", window, at_least=1), len(ids), segments)
        self.tokens = self.rule.centres(len(ids), reach)
        span = max(SAMPLED_WORDS, SAMPLED_BLOCKS * self.tokens)
        super().__init__(
            ids,
            window,
            vocabulary_size,
            span=span if share[1] == 1 else min(span, -(-len(ids) // share[1])),
            subsampling=subsampling,
            shrinking_window=shrinking_window,
            segments=segments,
            order=order,
            generator=generator,
            share=share,
        )

    @staticmethod
    def memory(statistics: PairStatistics, rule: BlockRule, *, cbow: bool = False) -> ExamplesMemory:
        """Return what the examples of a text will need: a span of it."""
        block = rule.shape(statistics, cbow=cbow)
        drawn = min(statistics.tokens, max(SAMPLED_WORDS, SAMPLED_BLOCKS * block.tokens))
        tables = 8 * statistics.vocabulary_size  # with what probability words are kept
        batch = BatchMemory(block.centres, 20 * block.centres, 0, SAMPLING_BYTES * drawn, block)
        return ExamplesMemory(tables, tables, batch)

    @property
    def batches_per_epoch(self) -> int:
        """How many blocks an epoch has; where words are dropped, the number to be expected."""
        kept = sum(self._kept_words(start, stop) for start, stop in self._spans(self._numbers))
        return max(len(self._numbers), -(-round(kept) // self.tokens))

    def batches(self, generator: np.random.Generator) -> Iterator[Block]:
        """Return the blocks of one epoch; the generator decides the draw of the text and the order."""
        nothing = True
        draw = self._draw(generator)
        for start, stop in self._ordered_spans(generator):
            for block in self._blocks(draw.span(start, stop)):
                nothing = False
                yield block
        if nothing:
            raise no_pair_error()

    def _kept_words(self, start: int, stop: int) -> float:
        """Return how many words of a span are kept, the number to be expected."""
        return stop - start if self._keep is None else float(self._keep[self._ids[start:stop]].sum())

    def _expected_pairs(self, generator: np.random.Generator) -> float:
        """Return how many pairs an epoch has, or how many bags, in one draw of the text."""
        if not self.bags:
            return super()._expected_pairs(generator)
        draw = self._draw(generator)
        drawn = (draw.span(start, stop) for start, stop in self._spans(self._numbers))
        return sum(self._pairs_of(*_context_sizes(span)) for span in drawn)

    def _blocks(self, drawn: SampledText) -> Iterator[Block]:
        """Cut a span of the text into blocks, those without a pair left out."""
        before, after = _context_sizes(drawn)
        margin = np.zeros(self._window, np.int32)
        words = np.concatenate([margin, drawn.ids, margin])[drawn.start : drawn.stop + 2 * self._window]
        for start in range(0, len(before), self.tokens):
            centres = slice(start, start + self.tokens)
            around = words[start : centres.stop + 2 * self._window]
            pairs = self._pairs_of(before[centres], after[centres])
            if pairs:
                yield Block(around, before[centres], after[centres], pairs)

    def _pairs_of(self, before: NDArray[np.int64], after: NDArray[np.int64]) -> int:
        contexts = before + after
        return int(np.count_nonzero(contexts) if self.bags else contexts.sum())


def _context_sizes(drawn: SampledText) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many contexts each centre of a span has before it, and after it."""
    return context_sizes(len(drawn.ids), drawn.start, drawn.stop, drawn.window, drawn.segments)
