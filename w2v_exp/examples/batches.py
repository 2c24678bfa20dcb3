"""Batches: the pairs in the order of training, cut into what one step eats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import CorpusError
from w2v_exp.examples.counting import count_distinct
from w2v_exp.examples.labels import LABELS, LabelCounts, SparseCounts
from w2v_exp.examples.pairs import Pairs
from w2v_exp.validation import require_choice, require_whole

ORDERS = ("corpus", "blocks", "shuffled")
KEPT_LABEL_BYTES = 1 << 18  # a text whose labels take no more (65,536 sparse ones) keeps its batches,
KEPT_BATCHES = 1 << 12  # if they are not more than this: each takes 1.5 kB besides its labels


@dataclass(frozen=True)
class Prior:
    """A distribution over the vocabulary that takes a share of each centre's label distribution.

    Parameters
    ----------
    shares : ndarray of float64, shape (k,)
        The share, from 0 to 1, by centre; the labels have the rest.
    distribution : ndarray, shape (V,)
        Sums to 1.
    """

    shares: NDArray[np.float64]
    distribution: NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Some pairs, gathered by distinct centre, so that logits are computed once for each of the k centres.

    Parameters
    ----------
    centres : ndarray of int32, shape (k,)
        The distinct centres, by rising id.
    rows : slice or ndarray of int32, shape (k,)
        The same as an index of the embedding's rows: a slice, without copies, where every word is a centre.
    weights : ndarray of float64, shape (k,)
        How many pairs of the batch each of them has.
    labels : LabelCounts
        Their context words, counted: a (k, V) matrix.
    pairs : float
        The number of pairs, or the sum of their weights.
    all_pairs : float
        What a mean gradient divides by: the batch's pairs, or all pairs of the text where a batch is a slice of
        the centres. (If a slice divided by its own, one of rare centres would weigh as much as one with `the`.)
    centre_weights : ndarray of float64, shape (k,)
        How much each centre counts in the gradients: as many times as it has pairs, unless examples say otherwise.
    prior : Prior, optional
        What every centre's labels are smoothed with.
    """

    centres: NDArray[np.int32]
    rows: slice | NDArray[np.int32]
    weights: NDArray[np.float64]
    labels: LabelCounts
    pairs: float
    all_pairs: float
    centre_weights: NDArray[np.float64]
    prior: Prior | None = None

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """What share of the mean gradient each centre has: shape (k,)."""
        return self.centre_weights / self.all_pairs

    def parts(self, number: int, vocabulary_size: int) -> list[Batch]:
        """Return so many batches of consecutive centres that together are this one.

        It takes labels that are `SparseCounts`. `all_pairs` stays, so that the parts' mean gradients add up.
        """
        if not isinstance(self.labels, SparseCounts):
            raise TypeError("Only sparse labels can be divided.")
        edges = np.linspace(0, len(self.centres), number + 1).astype(int).tolist()
        parts = []
        for start, stop in pairwise(edges):
            rows = slice(start, stop)
            prior = self.prior and Prior(self.prior.shares[rows], self.prior.distribution)
            weights = self.weights[rows]
            parts.append(
                Batch(
                    self.centres[rows],
                    rows if isinstance(self.rows, slice) else self.rows[rows],
                    weights,
                    self.labels.part(rows, vocabulary_size),
                    float(weights.sum()),
                    self.all_pairs,
                    self.centre_weights[rows],
                    prior,
                )
            )
        return parts


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
        require_choice("labels", labels, LABELS)
        require_choice("order", order, ORDERS)
        require_whole("batch_size", batch_size, at_least=1)
        if not len(pairs):
            raise CorpusError("There is no pair to train on: a pair needs two words of the vocabulary.")
        self.pairs = pairs
        self.batch_size = batch_size
        self.order = order
        self._labels = LABELS[labels](pairs.contexts, pairs.vocabulary_size, dtype)
        self._keeps = (
            LABELS[labels].memory(len(pairs), pairs.vocabulary_size, dtype) <= KEPT_LABEL_BYTES
            and self.batches_per_epoch <= KEPT_BATCHES
        )
        self._kept: list[Batch] = []

    @property
    def pairs_per_epoch(self) -> float:
        """How many pairs an epoch trains on."""
        return len(self.pairs)

    @property
    def context_shares(self) -> NDArray[np.float64]:
        """What share of the pairs each word is the context of, shape (V,)."""
        return self.pairs.by_context() / len(self.pairs)

    @property
    def batches_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.pairs) // self.batch_size)

    def batches(self, generator: np.random.Generator) -> Iterator[Batch]:
        """Return the batches of one epoch; the generator decides the order, if chance has a part in it."""
        if self.order == "shuffled":
            permutation = generator.permutation(len(self.pairs))
            return (self._gather(permutation[self._stretch(i)]) for i in range(self.batches_per_epoch))
        numbers = range(self.batches_per_epoch)
        if self.order == "blocks":
            numbers = generator.permutation(self.batches_per_epoch).tolist()
        if not self._keeps:
            return (self._gather(self._stretch(i)) for i in numbers)
        if not self._kept:
            self._kept = [self._gather(self._stretch(i)) for i in range(self.batches_per_epoch)]
        return iter(self._kept) if self.order == "corpus" else (self._kept[i] for i in numbers)

    def _stretch(self, number: int) -> slice:
        """Return where batch `number` is, of an epoch's pairs in their order."""
        start = number * self.batch_size
        return slice(start, min(start + self.batch_size, len(self.pairs)))

    def _gather(self, chosen: slice | NDArray[Any]) -> Batch:
        pair_centres = self.pairs.centres[chosen]
        centres, weights = count_distinct(pair_centres)
        every_word = len(centres) == self.pairs.vocabulary_size
        labels = self._labels.count_by(chosen, centres.searchsorted(pair_centres), weights)
        rows = slice(None) if every_word else centres
        return Batch(centres, rows, weights, labels, len(pair_centres), len(pair_centres), weights)
