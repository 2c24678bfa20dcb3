"""Contexts of CBOW, and batches of them, listed or streamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import ShortRepr
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.labels import Labels
from w2v_exp.examples.pairs import Pairs, context_sizes, count_distinct, span_pairs
from w2v_exp.examples.sampling import SampledText

if TYPE_CHECKING:
    from scipy.sparse import csr_array
from collections.abc import Iterator
from functools import cached_property

from w2v_exp.errors import require_choice
from w2v_exp.examples.batches import ListedExamples
from w2v_exp.examples.labels import LABELS, SparseLabels
from w2v_exp.examples.pairs import count_ids
from w2v_exp.examples.statistics import BatchMemory, ExamplesMemory, PairStatistics
from w2v_exp.examples.streamed import Columns, StreamedExamples, StreamRule

NO_WORD = -1
MADE_AT_ONCE = 1 << 14  # bags


@dataclass(frozen=True, repr=False)
class CbowContexts(ShortRepr):
    """The bags of a text, in its order, those without a word left out.

    Parameters
    ----------
    targets : ndarray of int32, shape (n,)
        The word that each is around.
    table : ndarray of int32, shape (n, m)
        The words of each, from left to right, and −1 in what is left of a row.
    """

    targets: NDArray[np.int32]
    table: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def of(cls, drawn: SampledText) -> CbowContexts:
        """Return the bags of a span of a text."""
        ids, window = drawn.ids, drawn.window
        widest = int(np.max(window, initial=1))
        number = drawn.stop - drawn.start
        lengths = np.empty(number, np.int32)
        table = np.full((number, 2 * widest), NO_WORD, np.int32)
        for first in range(0, number, MADE_AT_ONCE):
            some = slice(first, min(first + MADE_AT_ONCE, number))
            ends = drawn.start + some.start, drawn.start + some.stop
            windows = window if isinstance(window, int) else window[some]
            left, right = context_sizes(len(ids), *ends, windows, drawn.segments)
            lengths[some] = left + right
            # In the order of pairs, contexts from left to right, they fill the first positions of each row.
            _, contexts = span_pairs(ids, *ends, windows, drawn.segments)
            table[some][np.arange(2 * widest) < lengths[some, None]] = contexts
        targets, around = ids[drawn.start : drawn.stop], lengths > 0
        return cls(targets, table) if around.all() else cls(targets[around], table[around])

    @staticmethod
    def memory(bags: int, window: int) -> int:
        """Return how many bytes so many bags take."""
        return 4 * bags * (1 + 2 * window)

    def chosen(self, which: slice | NDArray[Any]) -> CbowContexts:
        """Return some of them."""
        return CbowContexts(self.targets[which], self.table[which])

    def pairs(self, vocabulary_size: int) -> Pairs:
        """Return the pairs of each word with those of its bag."""
        inside = self.table != NO_WORD
        return Pairs(np.repeat(self.targets, inside.sum(axis=1)), self.table[inside], vocabulary_size)

    def matrix(
        self,
        vocabulary_size: int,
        *,
        mean: bool,
        dtype: DTypeLike = np.float64,
        words: NDArray[np.int32] | None = None,
    ) -> csr_array:
        """Return what share each word has in the hidden vector of each bag: shape (n, V).

        Parameters
        ----------
        vocabulary_size : int
            V.
        mean : bool
            Whether hidden vectors are means of embeddings, or sums.
        dtype : dtype
            Of the shares.
        words : ndarray of int32, shape (r,), optional
            All words that occur, by rising id: the matrix then has only these columns, (n, r).
        """
        from scipy.sparse import csr_array

        inside = self.table != NO_WORD
        lengths = inside.sum(axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        of_word = (1 / lengths if mean else np.ones(len(lengths))).astype(dtype)
        columns = self.table[inside]
        width = vocabulary_size
        if words is not None:
            columns, width = words.searchsorted(columns), len(words)
        # A word that is there twice has two entries, which products add up.
        return csr_array((np.repeat(of_word, lengths), columns, starts), shape=(len(lengths), width))


def cbow_batch(
    bags: CbowContexts,
    labels: Labels,
    positions: slice | NDArray[Any],
    vocabulary_size: int,
    *,
    mean: bool,
    dtype: DTypeLike,
) -> Batch:
    """Return some bags as a batch, with those of all labels that are at these positions."""
    number = len(bags)
    words, _ = count_distinct(bags.table[bags.table != NO_WORD])
    ones = np.ones(number)
    return Batch(
        centres=np.arange(number, dtype=np.int32),
        rows=words,
        weights=ones,
        labels=labels.count_by(positions, np.arange(number), ones),
        pairs=number,
        all_pairs=number,
        centre_weights=ones,
        bags=bags.matrix(vocabulary_size, mean=mean, dtype=dtype, words=words),
    )


ENTRY_BYTES = 20  # of a word of a batch's bags: its share, its column, both once more in the order of columns


class CbowExamples(ListedExamples):
    """All bags of a text with the word that each is around, as batches in a chosen order.

    Parameters
    ----------
    bags : CbowContexts
        In the order of the text.
    vocabulary_size : int
        V.
    mean : bool
        Whether hidden vectors are means of the bag's embeddings, or sums.
    labels : {"dense", "sparse"}
        The encoding of the words that are predicted.
    batch_size, order
        As for `Examples`, of bags in the place of pairs.
    dtype : dtype
        Of one-hot labels, and of the shares in a bag.
    """

    def __init__(
        self,
        bags: CbowContexts,
        vocabulary_size: int,
        *,
        mean: bool = True,
        labels: str = "sparse",
        batch_size: int = 128,
        order: str = "corpus",
        dtype: DTypeLike = np.float64,
    ) -> None:
        require_choice("labels", labels, LABELS)
        super().__init__(
            vocabulary_size,
            len(bags),
            batch_size=batch_size,
            order=order,
            label_memory=LABELS[labels].memory(len(bags), vocabulary_size, dtype),
        )
        self._bags = bags
        self._mean = mean
        self._dtype = dtype
        self._labels = LABELS[labels](bags.targets, vocabulary_size, dtype)

    @staticmethod
    def memory(
        statistics: PairStatistics, *, labels: str, batch_size: int, dtype: DTypeLike
    ) -> ExamplesMemory:
        """Return what the examples of a text will need."""
        V, bags = statistics.vocabulary_size, statistics.tokens
        held = CbowContexts.memory(bags, statistics.window)
        making = held + statistics.sampled_memory
        if labels == "dense":
            held += LABELS["dense"].memory(bags, V, dtype)
        size = min(batch_size, bags)
        batch = _batch_memory(statistics, size, LABELS[labels].batch_memory(size, size, size, V, dtype))
        return ExamplesMemory(held, max(making, held + 16 * bags), batch)

    @property
    def pairs(self) -> Pairs:
        """The pairs of each word with those of its bag."""
        return self._bags.pairs(self.vocabulary_size)

    @property
    def context_shares(self) -> NDArray[np.float64]:
        """What share of the bags each word is around which they are: the words that are predicted, shape (V,)."""
        return count_ids(self._bags.targets, self.vocabulary_size) / len(self._bags)

    def _gather(self, chosen: slice | NDArray[Any]) -> Batch:
        bags = self._bags.chosen(chosen)
        return cbow_batch(
            bags, self._labels, chosen, self.vocabulary_size, mean=self._mean, dtype=self._dtype
        )


class StreamedCbow(StreamedExamples):
    """The bags of a text, made a block at a time; the same batches as those of `CbowExamples` in the text's order.

    Parameters
    ----------
    mean : bool
        Whether hidden vectors are means of the bag's embeddings, or sums.
    dtype : dtype
        Of the shares in a bag.
    ids, window, vocabulary_size, rule, choices
        As for `StreamedExamples`, of bags in the place of pairs.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        window: int,
        vocabulary_size: int,
        rule: StreamRule | None = None,
        *,
        mean: bool = True,
        dtype: DTypeLike = np.float64,
        **choices: Any,
    ) -> None:
        self._mean = mean
        self._dtype = dtype
        super().__init__(ids, window, vocabulary_size, rule, **choices)

    @staticmethod
    def memory(
        statistics: PairStatistics, rule: StreamRule, *, batch_size: int, order: str
    ) -> ExamplesMemory:
        """Return what the examples of a text will need: a block and some batches, whatever its length."""
        block = min(statistics.tokens, rule.block)
        size = min(batch_size, statistics.tokens)
        made = CbowContexts.memory(block, statistics.window) * (2 if order == "shuffled" else 1)
        batch = _batch_memory(statistics, size, BatchMemory.listed(size, size, size))
        labels = batch.labels + made + 2 * CbowContexts.memory(size, statistics.window)
        tables = 8 * statistics.vocabulary_size
        making = made + Pairs.memory(block * statistics.pairs // max(1, statistics.tokens))
        return ExamplesMemory(
            tables, tables, BatchMemory(size, labels, batch.temporary, max(batch.next_batch, making))
        )

    @cached_property
    def context_shares(self) -> NDArray[np.float64]:
        """What share of the bags each word is to be expected as the one they are around, shape (V,)."""
        shares = np.zeros(self.vocabulary_size)
        for start, stop in self._spans(self._numbers):
            left, right = context_sizes(len(self._ids), start, stop, self._window, self._segments)
            shares += count_ids(self._ids[start:stop][left + right > 0], self.vocabulary_size)
        if self._keep is not None:
            shares *= self._keep
        shares /= shares.sum()
        return shares

    def _block_pairs(self, generator: np.random.Generator) -> Iterator[Columns]:
        """Return the words of each block, and what is around them, in the order of an epoch."""
        draw = self._draw(generator)
        spans, mixing = self._ordered_spans(generator), self._mixing_generator(generator)
        for start, stop in spans:
            bags = CbowContexts.of(draw.span(start, stop))
            if mixing is not None:
                bags = bags.chosen(mixing.permutation(len(bags)))
            yield bags.targets, bags.table

    def _cut(self, targets: NDArray[np.int32], table: NDArray[np.int32]) -> Iterator[Batch]:
        """Return these bags as batches."""
        labels = SparseLabels(targets, self.vocabulary_size, self._dtype)
        whole = CbowContexts(targets, table)
        for start in range(0, len(targets), self.batch_size):
            some = slice(start, start + self.batch_size)
            yield cbow_batch(
                whole.chosen(some),
                labels,
                some,
                self.vocabulary_size,
                mean=self._mean,
                dtype=self._dtype,
            )

    def _expected_pairs(self, generator: np.random.Generator) -> float:
        """Return how many bags an epoch has, in one draw of the text."""
        draw = self._draw(generator)
        return sum(draw.span(start, stop).count_cbow_examples() for start, stop in self._spans(self._numbers))


def _batch_memory(statistics: PairStatistics, bags: int, labels: BatchMemory) -> BatchMemory:
    """Return the memory of a batch of so many bags, with that of its labels."""
    words = bags * statistics.pairs // max(1, statistics.tokens)
    table = CbowContexts.memory(bags, statistics.window)
    gathering = labels.next_batch + table + 2 * ENTRY_BYTES * words
    return BatchMemory(bags, labels.labels + ENTRY_BYTES * words, labels.temporary, gathering)
