"""Batches: the pairs in the order of training, cut into what one step eats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import CorpusError, require_choice, require_floating, require_kind, require_whole
from w2v_exp.examples.batch import Batch, gather_batch
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.labels import LABELS, DenseLabels
from w2v_exp.examples.pairs import Pairs
from w2v_exp.examples.statistics import ExamplesMemory, PairStatistics

ORDERS = ("corpus", "blocks", "shuffled")
KEPT_LABEL_BYTES = 1 << 18  # a text whose labels take no more (65,536 sparse ones) keeps its batches,
KEPT_BATCHES = 1 << 12  # if they are not more than this: each takes 1.5 kB besides its labels


class TrainingExamples(ABC):
    """What a trainer trains on: pairs, whatever the encoding of their labels, as batches.

    Parameters
    ----------
    vocabulary_size : int
        V.
    pairs_per_epoch : float
        How many pairs an epoch trains on, or the sum of their weights; if chance decides, the number to be expected.
    order : {"corpus", "blocks", "shuffled"}
        In which order batches come.

    Raises
    ------
    SettingError, CorpusError
        If there is no such order, or no pair.
    """

    def __init__(self, vocabulary_size: int, pairs_per_epoch: float, order: str) -> None:
        require_choice("order", order, ORDERS)
        if not pairs_per_epoch:
            raise no_pair_error()
        self.vocabulary_size = vocabulary_size
        self.pairs_per_epoch = pairs_per_epoch
        self.order = order

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(pairs_per_epoch={self.pairs_per_epoch:.15g}, "
            f"batches_per_epoch={self.batches_per_epoch}, vocabulary_size={self.vocabulary_size}, order={self.order!r})"
        )

    @property
    @abstractmethod
    def pairs(self) -> Pairs | PairCounts:
        """The pairs, listed or counted."""

    @property
    @abstractmethod
    def context_shares(self) -> NDArray[np.float64]:
        """What share of the pairs each word is the context of, shape (V,)."""

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has; if chance decides, the number to be expected."""

    @abstractmethod
    def batches(self, generator: np.random.Generator) -> Iterator[Any]:
        """Return the batches of one epoch, of `Batch` or `Block`; the generator decides what is left to chance.

        All that they need of it is drawn before the first one is given: between them, steps draw from the same one.
        """


def no_pair_error() -> CorpusError:
    """Return what is to be raised where there is nothing to train on."""
    return CorpusError(
        "There is no pair to train on: a pair needs two words of the vocabulary. "
        "Where frequent words are dropped, a higher subsampling.threshold keeps more of them."
    )


class ListedExamples(TrainingExamples):
    """Examples in a list, as batches in a chosen order.

    Parameters
    ----------
    vocabulary_size : int
        V.
    examples : int
        How many there are.
    batch_size : int
        Examples a batch; the last one of an epoch may have fewer.
    order : {"corpus", "blocks", "shuffled"}
        ``corpus``: as in the text, the article's order. ``blocks``: the same batches, in another random order
        each epoch. ``shuffled``: all examples in another random order each epoch.
    label_memory : int
        What the labels of all of them take; of a few the batches are kept.
    """

    def __init__(
        self, vocabulary_size: int, examples: int, *, batch_size: int, order: str, label_memory: int
    ) -> None:
        batch_size = require_whole("batch_size", batch_size, at_least=1)
        super().__init__(vocabulary_size, examples, order)
        self._examples = examples
        self.batch_size = batch_size
        self._keeps = label_memory <= KEPT_LABEL_BYTES and self.batches_per_epoch <= KEPT_BATCHES
        self._kept: list[Batch] = []

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return -(-self._examples // self.batch_size)

    def batches(self, generator: np.random.Generator) -> Iterator[Batch]:
        """Return the batches of one epoch; the generator decides the order, if chance has a part in it."""
        if self.order == "shuffled":
            permutation = generator.permutation(self._examples)
            return (self._gather(permutation[self._span(i)]) for i in range(self.batches_per_epoch))
        numbers = range(self.batches_per_epoch)
        if self.order == "blocks":
            numbers = generator.permutation(self.batches_per_epoch).tolist()
        if not self._keeps:
            return (self._gather(self._span(i)) for i in numbers)
        if not self._kept:
            self._kept = [self._gather(self._span(i)) for i in range(self.batches_per_epoch)]
        return iter(self._kept) if self.order == "corpus" else (self._kept[i] for i in numbers)

    def _span(self, number: int) -> slice:
        """Return where batch `number` is, of an epoch's pairs in their order."""
        start = number * self.batch_size
        return slice(start, min(start + self.batch_size, self._examples))

    @abstractmethod
    def _gather(self, chosen: slice | NDArray[Any]) -> Batch:
        """Return a batch of these examples."""


class Examples(ListedExamples):
    """The training pairs with their labels, as batches in a chosen order.

    Parameters
    ----------
    pairs : Pairs
        All training pairs, in the order of the text.
    labels : {"dense", "sparse"}
        The label encoding.
    batch_size : int
        Pairs a batch; the last one of an epoch may have fewer.
    order : {"corpus", "blocks", "shuffled"}
        ``corpus``: as in the text, the article's order. ``blocks``: the same batches, in another random order
        each epoch. ``shuffled``: all pairs in another random order each epoch. A batch of neighbouring pairs
        has few distinct centres, so the first two need a fraction of the logits of the third.
    dtype : dtype
        Of one-hot labels.

    Raises
    ------
    SettingError, CorpusError
        If a choice does not exist, or there is no pair.
    """

    def __init__(
        self,
        pairs: Pairs,
        *,
        labels: str = "sparse",
        batch_size: int = 128,
        order: str = "corpus",
        dtype: DTypeLike = np.float64,
    ) -> None:
        require_kind("pairs", pairs, Pairs, "pairs, as window_pairs returns them")
        require_choice("labels", labels, LABELS)
        require_floating("dtype", dtype)
        super().__init__(
            pairs.vocabulary_size,
            len(pairs),
            batch_size=batch_size,
            order=order,
            label_memory=LABELS[labels].memory(len(pairs), pairs.vocabulary_size, dtype),
        )
        self._pairs = pairs
        self._labels = LABELS[labels](pairs.contexts, pairs.vocabulary_size, dtype)

    @classmethod
    def memory(
        cls, statistics: PairStatistics, *, labels: str, batch_size: int, order: str, dtype: DTypeLike
    ) -> ExamplesMemory:
        """Return what the examples of a text will need; the other choices are those of the constructor."""
        V, pairs = statistics.vocabulary_size, statistics.pairs
        making = held = Pairs.memory(pairs)
        if labels == "dense":  # the contexts of sparse labels are those of the pairs
            held += DenseLabels.memory(pairs, V, dtype)
            making = held + 16 * pairs  # two indices for each of the ones
        batch_size = min(batch_size, pairs)
        centres = statistics.distinct_centres(batch_size, order)
        distinct = statistics.distinct_in_batch(batch_size, order)
        batch = LABELS[labels].batch_memory(centres, batch_size, distinct, V, dtype)
        if (
            order == "shuffled"
        ):  # a permutation of all pairs, and copies of the labels that it brings together
            copied = LABELS[labels].memory(batch_size, V, dtype)
            batch = replace(batch, labels=batch.labels + 8 * pairs, next_batch=batch.next_batch + copied)
        if batch_size == pairs:
            batch = batch.alone()
        return ExamplesMemory(held, making + statistics.sampled_memory, batch)

    @property
    def pairs(self) -> Pairs:
        """The pairs, in the order of the text."""
        return self._pairs

    @property
    def context_shares(self) -> NDArray[np.float64]:
        """What share of the pairs each word is the context of, shape (V,)."""
        return self._pairs.by_context() / len(self._pairs)

    def _gather(self, chosen: slice | NDArray[Any]) -> Batch:
        return gather_batch(self._pairs.centres[chosen], self._labels, chosen, self.vocabulary_size)
