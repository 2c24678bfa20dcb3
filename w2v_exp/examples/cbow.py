"""Contexts of CBOW, and batches of them, listed or streamed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import ShortRepr, require_choice
from w2v_exp.examples.batch import LABELS, Batch, Labels, SparseLabels
from w2v_exp.examples.batches import ListedExamples
from w2v_exp.examples.pairs import Pairs, context_sizes, count_distinct, count_ids, span_pairs
from w2v_exp.examples.sampling import SampledText
from w2v_exp.examples.statistics import BatchMemory, ExamplesMemory, PairStatistics
from w2v_exp.examples.streamed import Columns, StreamedExamples, StreamRule

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NO_WORD = -1
CHUNK_CENTRES = 1 << 14


@dataclass(frozen=True, repr=False)
class CbowContexts(ShortRepr):
    """The contexts of each centre of a text that has any, in its order.

    Parameters
    ----------
    targets : ndarray of int32, shape (n,)
        The centres: the words to predict.
    table : ndarray of int32, shape (n, m)
        The contexts of each, from left to right, and −1 in the rest of a row.
    """

    targets: NDArray[np.int32]
    table: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def of(cls, sampled: SampledText) -> CbowContexts:
        """Return the contexts of a span of a text."""
        ids, window = sampled.ids, sampled.window
        widest = int(np.max(window, initial=1))
        number = sampled.stop - sampled.start
        lengths = np.empty(number, np.int32)
        table = np.full((number, 2 * widest), NO_WORD, np.int32)
        for first in range(0, number, CHUNK_CENTRES):
            some = slice(first, min(first + CHUNK_CENTRES, number))
            ends = sampled.start + some.start, sampled.start + some.stop
            windows = window if isinstance(window, int) else window[some]
            left, right = context_sizes(len(ids), *ends, windows, sampled.segments)
            lengths[some] = left + right
            # Pairs have the contexts of a centre from left to right, so they fill the first cells of its row.
            _, contexts = span_pairs(ids, *ends, windows, sampled.segments)
            table[some][np.arange(2 * widest) < lengths[some, None]] = contexts
        targets, has_context = ids[sampled.start : sampled.stop], lengths > 0
        return cls(targets, table) if has_context.all() else cls(targets[has_context], table[has_context])

    @staticmethod
    def memory(centres: int, window: int) -> int:
        """Return the bytes of the contexts of `centres` centres."""
        return 4 * centres * (1 + 2 * window)

    def chosen(self, which: slice | NDArray[Any]) -> CbowContexts:
        """Return some of the rows."""
        return CbowContexts(self.targets[which], self.table[which])

    def pairs(self, vocabulary_size: int) -> Pairs:
        """Return the pairs of each centre with its contexts."""
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
        """Return the share of each word in each hidden vector, (n, V).

        Parameters
        ----------
        vocabulary_size : int
            V.
        mean : bool
            Whether hidden vectors are means of embeddings, or sums.
        dtype : dtype
            Of the shares.
        words : ndarray of int32, shape (r,), optional
            All context words, by rising id: the matrix then has these columns only, (n, r).
        """
        from scipy.sparse import csr_array

        inside = self.table != NO_WORD
        lengths = inside.sum(axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        shares = (1 / lengths if mean else np.ones(len(lengths))).astype(dtype)
        columns = self.table[inside]
        width = vocabulary_size
        if words is not None:
            columns, width = words.searchsorted(columns), len(words)
        # A word that occurs twice has two entries, which products add up.
        return csr_array((np.repeat(shares, lengths), columns, starts), shape=(len(lengths), width))


def cbow_batch(
    contexts: CbowContexts,
    labels: Labels,
    positions: slice | NDArray[Any],
    vocabulary_size: int,
    *,
    mean: bool,
    dtype: DTypeLike,
) -> Batch:
    """Return contexts as a batch, labelled by the labels at these positions."""
    number = len(contexts)
    words, _ = count_distinct(contexts.table[contexts.table != NO_WORD])
    ones = np.ones(number)
    return Batch(
        centres=np.arange(number, dtype=np.int32),
        rows=words,
        weights=ones,
        labels=labels.count_by(positions, np.arange(number), ones),
        pairs=number,
        all_pairs=number,
        centre_weights=ones,
        context_matrix=contexts.matrix(vocabulary_size, mean=mean, dtype=dtype, words=words),
    )


ENTRY_BYTES = 20  # of a context word of a batch: its share and column, and both again in the order of columns


class CbowExamples(ListedExamples):
    """All centres of a text with their contexts, as batches in a chosen order.

    Parameters
    ----------
    contexts : CbowContexts
        In the order of the text.
    vocabulary_size : int
        V.
    mean : bool
        Whether hidden vectors are means of context embeddings, or sums.
    labels : {"dense", "sparse"}
        Encoding of the words to predict.
    batch_size, order
        As for `Examples`, of centres instead of pairs.
    dtype : dtype
        Of one-hot labels, and of the shares of contexts in a hidden vector.
    """

    def __init__(
        self,
        contexts: CbowContexts,
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
            len(contexts),
            batch_size=batch_size,
            order=order,
            label_memory=LABELS[labels].memory(len(contexts), vocabulary_size, dtype),
        )
        self._contexts = contexts
        self._mean = mean
        self._dtype = dtype
        self._labels = LABELS[labels](contexts.targets, vocabulary_size, dtype)

    @staticmethod
    def memory(
        statistics: PairStatistics, *, labels: str, batch_size: int, dtype: DTypeLike
    ) -> ExamplesMemory:
        """Return the memory of the examples of a text."""
        V, centres = statistics.vocabulary_size, statistics.tokens
        resident = CbowContexts.memory(centres, statistics.window)
        peak_build = resident + statistics.sampled_memory
        if labels == "dense":
            resident += LABELS["dense"].memory(centres, V, dtype)
        size = min(batch_size, centres)
        batch = _batch_memory(statistics, size, LABELS[labels].batch_memory(size, size, size, V, dtype))
        return ExamplesMemory(resident, max(peak_build, resident + 16 * centres), batch)

    @property
    def pairs(self) -> Pairs:
        """The pairs of each centre with its contexts."""
        return self._contexts.pairs(self.vocabulary_size)

    @property
    def context_shares(self) -> NDArray[np.float64]:
        """Share of the examples in which each word is to be predicted, (V,)."""
        return count_ids(self._contexts.targets, self.vocabulary_size) / len(self._contexts)

    def _gather(self, chosen: slice | NDArray[Any]) -> Batch:
        contexts = self._contexts.chosen(chosen)
        return cbow_batch(
            contexts, self._labels, chosen, self.vocabulary_size, mean=self._mean, dtype=self._dtype
        )


class StreamedCbow(StreamedExamples):
    """The centres of a text with their contexts, built a block at a time.

    Without sampling, in the order of the text, batches are those of `CbowExamples`.

    Parameters
    ----------
    mean : bool
        Whether hidden vectors are means of context embeddings, or sums.
    dtype : dtype
        Of the shares of contexts in a hidden vector.
    ids, window, vocabulary_size, rule, choices
        As for `StreamedExamples`, of centres instead of pairs.
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
        """Return the memory of the examples: a block and some batches."""
        block = min(statistics.tokens, rule.block)
        size = min(batch_size, statistics.tokens)
        contexts = CbowContexts.memory(block, statistics.window) * (2 if order == "shuffled" else 1)
        batch = _batch_memory(statistics, size, BatchMemory.listed(size, size, size))
        labels = batch.labels + contexts + 2 * CbowContexts.memory(size, statistics.window)
        tables = 8 * statistics.vocabulary_size
        next_block = contexts + Pairs.memory(block * statistics.pairs // max(1, statistics.tokens))
        return ExamplesMemory(
            tables, tables, BatchMemory(size, labels, batch.temporary, max(batch.next_batch, next_block))
        )

    @cached_property
    def context_shares(self) -> NDArray[np.float64]:
        """Expected share of the examples, by the word to predict, (V,)."""
        shares = np.zeros(self.vocabulary_size)
        for start, stop in self._spans(self._numbers):
            left, right = context_sizes(len(self._ids), start, stop, self._window, self._segments)
            shares += count_ids(self._ids[start:stop][left + right > 0], self.vocabulary_size)
        if self._keep is not None:
            shares *= self._keep
        shares /= shares.sum()
        return shares

    def _blocks(self, generator: np.random.Generator) -> Iterator[Columns]:
        """Yield centres and contexts of each block, in the order of an epoch."""
        sampler = self._sampler(generator)
        spans, mixing = self._ordered_spans(generator), self._mixing_generator(generator)
        for start, stop in spans:
            contexts = CbowContexts.of(sampler.span(start, stop))
            if mixing is not None:
                contexts = contexts.chosen(mixing.permutation(len(contexts)))
            yield contexts.targets, contexts.table

    def _cut(self, targets: NDArray[np.int32], table: NDArray[np.int32]) -> Iterator[Batch]:
        """Yield these examples as batches."""
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
        """Return the examples of an epoch, in one sample of the text."""
        sampler = self._sampler(generator)
        return sum(
            sampler.span(start, stop).count_cbow_examples() for start, stop in self._spans(self._numbers)
        )


def _batch_memory(statistics: PairStatistics, centres: int, labels: BatchMemory) -> BatchMemory:
    """Return the memory of a batch of centres, from that of its labels."""
    words = centres * statistics.pairs // max(1, statistics.tokens)
    table = CbowContexts.memory(centres, statistics.window)
    next_batch = labels.next_batch + table + 2 * ENTRY_BYTES * words
    return BatchMemory(centres, labels.labels + ENTRY_BYTES * words, labels.temporary, next_batch)
