"""Batches: the pairs in the order of training, cut into what one step eats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.labels import LABELS, LabelCounts
from w2v_exp.examples.pairs import Pairs

ORDERS = ("corpus", "blocks", "shuffled")
KEPT_PAIRS = 1 << 16  # a text with fewer pairs keeps its batches from epoch to epoch


@dataclass(frozen=True)
class Batch:
    """Some pairs, gathered by distinct centre, so that logits are computed once for each of the k centres.

    Parameters
    ----------
    centres : ndarray of int32, shape (k,)
        The distinct centres, by rising id.
    weights : ndarray of float64, shape (k,)
        How many pairs of the batch each of them has.
    labels : LabelCounts
        Their context words, counted: a (k, V) matrix.
    pairs : int
        The number of pairs.
    """

    centres: NDArray[np.int32]
    weights: NDArray[np.float64]
    labels: LabelCounts
    pairs: int


class Examples:
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
        ``corpus``: as in the text, the article's order. ``blocks``: the same batches, in another random order each
        epoch. ``shuffled``: all pairs in another random order each epoch. A batch of neighbouring pairs has few
        distinct centres, so the first two need a fraction of the logits of the third.
    dtype : dtype
        Of one-hot labels.
    """

    def __init__(
        self, pairs: Pairs, *, labels: str, batch_size: int, order: str, dtype: DTypeLike = np.float64
    ) -> None:
        self.pairs = pairs
        self.batch_size = batch_size
        self.order = order
        self._labels = LABELS[labels](pairs.contexts, pairs.vocabulary_size, dtype)
        self._kept: dict[int, Batch] = {}

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.pairs) // self.batch_size)

    def batches(self, generator: np.random.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch; the generator decides the order, if chance has a part in it."""
        if self.order == "shuffled":
            permutation = generator.permutation(len(self.pairs))
            for start in range(0, len(self.pairs), self.batch_size):
                yield self._gather(permutation[start : start + self.batch_size])
            return
        numbers = generator.permutation(self.batches_per_epoch) if self.order == "blocks" else None
        for number in range(self.batches_per_epoch) if numbers is None else numbers.tolist():
            yield self._consecutive(number)

    def _consecutive(self, number: int) -> Batch:
        """Return batch `number` of the text. Those of a small text never change and are gathered only once."""
        if number in self._kept:
            return self._kept[number]
        start = number * self.batch_size
        batch = self._gather(slice(start, min(start + self.batch_size, len(self.pairs))))
        if len(self.pairs) <= KEPT_PAIRS:
            self._kept[number] = batch
        return batch

    def _gather(self, chosen: slice | NDArray[Any]) -> Batch:
        centres, rows, weights = np.unique(
            self.pairs.centres[chosen], return_inverse=True, return_counts=True
        )
        labels = self._labels.count_by(chosen, rows, len(centres))
        return Batch(centres, weights.astype(np.float64), labels, len(rows))
