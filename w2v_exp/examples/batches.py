"""Training examples, label encodings, and the encodings dense and sparse."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import CorpusError, require_choice, require_floating, require_kind, require_whole
from w2v_exp.examples.batch import LABELS, Batch, DenseLabels, gather_batch
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.pairs import Pairs
from w2v_exp.examples.sampling import SampledText, Subsampling, TextPart, TextSampler, keep_probabilities
from w2v_exp.examples.statistics import BatchShape, BlockShape, EpochShape, ExamplesMemory, PairStatistics
from w2v_exp.machine import Work

ORDERS = ("corpus", "blocks", "shuffled")
KEPT_LABEL_BYTES = 1 << 18  # a text whose labels take no more (65,536 sparse ones) keeps its batches,
KEPT_BATCHES = 1 << 12  # unless there are more than this: each takes 1.5 kB besides its labels


class TrainingExamples(ABC):
    """Examples of a text, as batches, however their labels are encoded.

    Parameters
    ----------
    vocabulary_size : int
        V.
    pairs_per_epoch : float
        Pairs of an epoch, or the sum of their weights; where they are sampled, the expected number.
    order : {"corpus", "blocks", "shuffled"}
        Order of the batches.
    centre_words : int, optional
        Number of words that have an embedding, the most frequent ones. None: all of the vocabulary.

    Attributes
    ----------
    block : BlockShape or None
        The size of a block, where batches are blocks.

    Raises
    ------
    SettingError, CorpusError
        If the order is unknown, or there is no pair.
    """

    block: BlockShape | None = None

    def __init__(
        self, vocabulary_size: int, pairs_per_epoch: float, order: str, centre_words: int | None = None
    ) -> None:
        require_choice("order", order, ORDERS)
        if not pairs_per_epoch:
            raise no_pair_error()
        self.vocabulary_size = vocabulary_size
        self.centre_words = vocabulary_size if centre_words is None else centre_words
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
    def counts(self) -> PairCounts | None:
        """The counted pairs, where the examples are made of them; else None."""
        return None

    @property
    @abstractmethod
    def context_shares(self) -> NDArray[np.float64]:
        """Share of the pairs, by the word to predict, (V,)."""

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int:
        """Number of batches of an epoch, expected if pairs are sampled."""

    @abstractmethod
    def batches(self, generator: np.random.Generator) -> Iterator[Any]:
        """Return the batches of one epoch, of `Batch` or `Block`.

        All random numbers are drawn before the first batch is returned: steps draw from the same generator.
        """


def no_pair_error() -> CorpusError:
    """Return the error for a text without pairs."""
    return CorpusError(
        "There is no pair to train on: a pair needs two words of the vocabulary. "
        "Where frequent words are dropped, a higher subsampling.threshold keeps more of them."
    )


class Architecture(Protocol):
    """A choice of the group ``model``: the inputs and labels of a text."""

    @property
    def context(self) -> str | None:
        """Combination of context embeddings, "mean" or "sum"; None: skip-gram."""

    def listed_examples(
        self, sampled: SampledText, vocabulary_size: int, labels: str, options: TrainingOptions
    ) -> ListedExamples:
        """Return all examples of a sampled text, labels "dense" or "sparse"."""

    def listed_memory(
        self, statistics: PairStatistics, labels: str, options: TrainingOptions
    ) -> ExamplesMemory:
        """Return the memory of `listed_examples`."""

    @property
    def streamed(self) -> type[Any]:
        """The `StreamedExamples` of this architecture."""

    def streamed_choices(self, options: TrainingOptions) -> dict[str, Any]:
        """Return the arguments of `streamed` that other architectures lack."""

    def batch_shape(
        self, statistics: PairStatistics, options: TrainingOptions, mixed: int | None = None
    ) -> tuple[BatchShape, int]:
        """Return the size of a batch, and the examples of an epoch.

        `mixed` as for `PairStatistics.distinct_centres`.
        """

    def cost_sample(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
        keep: NDArray[np.float64] | None = None,
    ) -> Any:
        """Return the examples of a text as a `CostSample`.

        `keep` as for `TextSampler`.
        """


class TrainingOptions(Protocol):
    """The options that examples depend on; a `Plan` has them."""

    @property
    def window(self) -> int:
        """Largest distance between a centre and a context."""

    @property
    def shrinking_window(self) -> bool:
        """Whether each centre's window is drawn from 1 … window."""

    @property
    def subsampling(self) -> Subsampling:
        """Subsampling of frequent words."""

    @property
    def labels(self) -> LabelEncoding:
        """The label encoding."""

    @property
    def model(self) -> Architecture:
        """The architecture."""

    @property
    def objective(self) -> Any:
        """The objective; encodings need its class attributes."""

    @property
    def optimizer(self) -> Any:
        """The optimizer, of which an encoding needs `is_plain`."""

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""

    @property
    def batch_size(self) -> int:
        """Examples a batch."""

    @property
    def order(self) -> str:
        """Order of the batches."""

    @property
    def dtype(self) -> str:
        """Of the parameters."""

    def option(self, group: str) -> str:
        """Return the name of the option chosen in a group, for messages."""


class LabelEncoding(ABC):
    """A choice of the group ``labels``: how examples are held and labelled.

    An encoding is a frozen dataclass of its settings. Building, estimates of memory and time, and checks all come from
    it, so another one is a subclass in a file of its own and a file ``conf/labels/NAME.yaml``.
    """

    counts_pairs: ClassVar[bool] = False
    """Whether examples are made of counted pairs, in which shrinking windows are weights."""

    in_blocks: ClassVar[bool] = False
    """Whether batches are blocks, which several worker processes can share out."""

    def check(self, options: TrainingOptions) -> None:  # noqa: B027  most exclude nothing
        """Raise `SettingError` for options that this encoding excludes."""

    @abstractmethod
    def examples(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
        share: tuple[int, int] = (0, 1),
    ) -> TrainingExamples:
        """Return the examples of a text.

        Parameters
        ----------
        text : TextPart
            Its ids are below `vocabulary_size`.
        vocabulary_size : int
            V.
        options : TrainingOptions
            The other choices.
        generator : numpy.random.Generator
            Samples words and windows.
        share : tuple of int
            (number, of) of a worker process, which builds its share only; with `in_blocks`.
        """

    def statistics(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
    ) -> PairStatistics:
        """Return statistics of the pairs of `examples`, for the same generator."""
        return PairStatistics(
            text.ids,
            options.window,
            vocabulary_size,
            generator,
            subsampling=options.subsampling,
            shrinking_window=options.shrinking_window,
            segments=text.segments,
        )

    @abstractmethod
    def memory(self, statistics: PairStatistics, options: TrainingOptions) -> ExamplesMemory:
        """Return the memory of `examples`."""

    @abstractmethod
    def epoch(self, statistics: PairStatistics, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of `examples`, which decides its time."""

    def step_size(self, options: TrainingOptions) -> int:
        """Return the most distinct centres of a step."""
        return options.batch_size

    def number_of_centres(self, vocabulary_size: int) -> int:
        """Return the number of words that are centres, and have an embedding."""
        return vocabulary_size

    def block_tokens(self, words: int, dim: int) -> int | None:
        """Return the centres per block for a text's words and the dimensions; None without blocks."""
        return None


@dataclass(frozen=True)
class SparseEncoding(LabelEncoding):
    """Pairs in a list, labels as ids: 4 bytes a pair."""

    labels: ClassVar[str] = "sparse"

    def examples(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
        share: tuple[int, int] = (0, 1),
    ) -> ListedExamples:
        """Return the examples of a text, sampled once."""
        sampler = TextSampler(
            text.ids,
            options.window,
            generator,
            keep=keep_probabilities(options.subsampling, text.ids, vocabulary_size),
            shrinking_window=options.shrinking_window,
            segments=text.segments,
        )
        return options.model.listed_examples(sampler.whole(), vocabulary_size, self.labels, options)

    def memory(self, statistics: PairStatistics, options: TrainingOptions) -> ExamplesMemory:
        """Return the memory of `examples`."""
        return options.model.listed_memory(statistics, self.labels, options)

    def epoch(self, statistics: PairStatistics, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of `examples`."""
        batch, examples = options.model.batch_shape(statistics, options)
        steps = max(1, math.ceil(examples / batch.pairs))
        return EpochShape(steps, batch, self._building(batch, steps, statistics, options))

    def _building(
        self, batch: BatchShape, steps: int, statistics: PairStatistics, options: TrainingOptions
    ) -> Work:
        """Return the operations to build a batch; none if batches are kept."""
        labels = LABELS["sparse"].memory(statistics.pairs, statistics.vocabulary_size, options.dtype)
        if options.order != "shuffled" and labels <= KEPT_LABEL_BYTES and steps <= KEPT_BATCHES:
            return Work()
        return Work(gathered=5.0 * batch.pairs, calls=40)


@dataclass(frozen=True)
class DenseEncoding(SparseEncoding):
    """Pairs in a list, labels as one-hot vectors: V numbers a pair."""

    labels: ClassVar[str] = "dense"

    def _building(
        self, batch: BatchShape, steps: int, statistics: PairStatistics, options: TrainingOptions
    ) -> Work:
        """Return the operations to add up the one-hot vectors by centre."""
        words = statistics.vocabulary_size
        return Work(passed=batch.pairs * words + 6.0 * batch.centres * words, calls=20)


class ListedExamples(TrainingExamples):
    """Examples in a list, as batches in a chosen order.

    Parameters
    ----------
    vocabulary_size : int
        V.
    examples : int
        Number of examples.
    batch_size : int
        Examples a batch; the last one of an epoch may have fewer.
    order : {"corpus", "blocks", "shuffled"}
        ``corpus``: as in the text, the article's order. ``blocks``: the same batches, in another random order
        each epoch. ``shuffled``: all examples in another random order each epoch.
    label_memory : int
        Bytes of all labels; if they are few, batches are kept from epoch to epoch.
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
        """Number of batches of an epoch."""
        return -(-self._examples // self.batch_size)

    def batches(self, generator: np.random.Generator) -> Iterator[Batch]:
        """Return the batches of one epoch; the generator decides a random order."""
        if self.order == "shuffled":
            permutation = generator.permutation(self._examples)
            return (self._gather(permutation[self._span(i)]) for i in range(self.batches_per_epoch))
        if self._keeps and not self._kept:
            self._kept = [self._gather(self._span(i)) for i in range(self.batches_per_epoch)]
        if self._keeps and self.order == "corpus":
            return iter(self._kept)
        numbers = range(self.batches_per_epoch)
        if self.order == "blocks":
            numbers = generator.permutation(self.batches_per_epoch).tolist()
        return (self._kept[i] if self._keeps else self._gather(self._span(i)) for i in numbers)

    def _span(self, number: int) -> slice:
        """Return the span of batch `number` in an epoch's examples."""
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
        """Return the memory of the examples of a text.

        The other arguments are those of the constructor.
        """
        V, pairs = statistics.vocabulary_size, statistics.pairs
        peak_build = resident = Pairs.memory(pairs)
        if labels == "dense":  # the contexts of sparse labels are those of the pairs
            resident += DenseLabels.memory(pairs, V, dtype)
            peak_build = resident + 16 * pairs  # two indices for each of the ones
        batch_size = min(batch_size, pairs)
        centres = statistics.distinct_centres(batch_size, order)
        distinct = statistics.distinct_in_batch(batch_size, order)
        batch = LABELS[labels].batch_memory(centres, batch_size, distinct, V, dtype)
        if order == "shuffled":  # a permutation of all pairs, and copies of the chosen labels
            copied = LABELS[labels].memory(batch_size, V, dtype)
            batch = replace(batch, labels=batch.labels + 8 * pairs, next_batch=batch.next_batch + copied)
        if batch_size == pairs:
            batch = batch.alone()
        return ExamplesMemory(resident, peak_build + statistics.sampled_memory, batch)

    @property
    def pairs(self) -> Pairs:
        """The pairs, in the order of the text."""
        return self._pairs

    @property
    def context_shares(self) -> NDArray[np.float64]:
        """Share of the pairs that have each word as context, (V,)."""
        return self._pairs.by_context() / len(self._pairs)

    def _gather(self, chosen: slice | NDArray[Any]) -> Batch:
        return gather_batch(self._pairs.centres[chosen], self._labels, chosen, self.vocabulary_size)
