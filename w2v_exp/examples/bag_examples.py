"""Training cbow: bags with the word that each is around, listed or made from a stream."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.bags import Bags, bag_batch
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import ListedExamples
from w2v_exp.examples.counting import count_ids
from w2v_exp.examples.labels import LABELS
from w2v_exp.examples.memory_needs import BatchMemory, ExamplesMemory
from w2v_exp.examples.pair_survey import PairSurvey
from w2v_exp.examples.pairs import Pairs, reaches
from w2v_exp.examples.sparse_labels import SparseLabels
from w2v_exp.examples.streamed import Columns, StreamedExamples, StreamRule
from w2v_exp.validation import require_choice

ENTRY_BYTES = 20  # of a word of a batch's bags: its share, its column, both once more in the order of columns


class BagExamples(ListedExamples):
    """All bags of a text with the word that each is around, as batches in a chosen order.

    Parameters
    ----------
    bags : Bags
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
        bags: Bags,
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
    def memory(survey: PairSurvey, *, labels: str, batch_size: int, dtype: DTypeLike) -> ExamplesMemory:
        """Return what the examples of a text will need."""
        V, bags = survey.vocabulary_size, survey.tokens
        held = Bags.memory(bags, survey.window)
        making = held + survey.drawn_memory
        if labels == "dense":
            held += LABELS["dense"].memory(bags, V, dtype)
        size = min(batch_size, bags)
        batch = _batch_memory(survey, size, LABELS[labels].batch_memory(size, size, size, V, dtype))
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
        return bag_batch(bags, self._labels, chosen, self.vocabulary_size, mean=self._mean, dtype=self._dtype)


class StreamedBags(StreamedExamples):
    """The bags of a text, made a block at a time; the same batches as those of `BagExamples` in the text's order.

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
    def memory(survey: PairSurvey, rule: StreamRule, *, batch_size: int, order: str) -> ExamplesMemory:
        """Return what the examples of a text will need: a block and some batches, whatever its length."""
        block = min(survey.tokens, rule.block)
        size = min(batch_size, survey.tokens)
        made = Bags.memory(block, survey.window) * (2 if order == "shuffled" else 1)
        batch = _batch_memory(survey, size, BatchMemory.listed(size, size, size))
        labels = batch.labels + made + 2 * Bags.memory(size, survey.window)
        tables = 8 * survey.vocabulary_size
        making = made + Pairs.memory(block * survey.pairs // max(1, survey.tokens))
        return ExamplesMemory(
            tables, tables, BatchMemory(size, labels, batch.label_work, max(batch.gathering, making))
        )

    @cached_property
    def context_shares(self) -> NDArray[np.float64]:
        """What share of the bags each word is to be expected as the one they are around, shape (V,)."""
        shares = np.zeros(self.vocabulary_size)
        for start, stop in self._stretches(self._numbers):
            left, right = reaches(len(self._ids), start, stop, self._window, self._passages)
            shares += count_ids(self._ids[start:stop][left + right > 0], self.vocabulary_size)
        if self._keep is not None:
            shares *= self._keep
        shares /= shares.sum()
        return shares

    def _block_pairs(self, generator: np.random.Generator) -> Iterator[Columns]:
        """Return the words of each block, and what is around them, in the order of an epoch."""
        draw = self._draw(generator)
        stretches, mixing = self._ordered_stretches(generator), self._mixing_generator(generator)
        for start, stop in stretches:
            bags = Bags.of(draw.stretch(start, stop))
            if mixing is not None:
                bags = bags.chosen(mixing.permutation(len(bags)))
            yield bags.targets, bags.table

    def _cut(self, targets: NDArray[np.int32], table: NDArray[np.int32]) -> Iterator[Batch]:
        """Return these bags as batches."""
        labels = SparseLabels(targets, self.vocabulary_size, self._dtype)
        whole = Bags(targets, table)
        for start in range(0, len(targets), self.batch_size):
            some = slice(start, start + self.batch_size)
            yield bag_batch(
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
        return sum(draw.stretch(start, stop).count_bags() for start, stop in self._stretches(self._numbers))


def _batch_memory(survey: PairSurvey, bags: int, labels: BatchMemory) -> BatchMemory:
    """Return the memory of a batch of so many bags, with that of its labels."""
    words = bags * survey.pairs // max(1, survey.tokens)
    table = Bags.memory(bags, survey.window)
    gathering = labels.gathering + table + 2 * ENTRY_BYTES * words
    return BatchMemory(bags, labels.labels + ENTRY_BYTES * words, labels.label_work, gathering)
