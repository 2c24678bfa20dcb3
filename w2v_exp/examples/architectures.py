"""The architectures skip-gram and CBOW: the examples each has of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import require_choice
from w2v_exp.examples.batches import Examples, TrainingOptions
from w2v_exp.examples.cbow import CbowContexts, CbowExamples, StreamedCbow
from w2v_exp.examples.held_out import CostSample, sample_cbow, sample_pairs
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.sampling import SampledText, TextPart
from w2v_exp.examples.statistics import BatchShape, ExamplesMemory, PairStatistics
from w2v_exp.examples.streamed import StreamedExamples

CONTEXTS = ("mean", "sum")


@dataclass(frozen=True)
class SkipGram:
    """A centre predicts each of the words around it.

    Source: Mikolov et al. 2013a, section 3.2.
    """

    context: ClassVar[None] = None
    streamed: ClassVar[type[StreamedExamples]] = StreamedExamples

    def listed_examples(
        self, sampled: SampledText, vocabulary_size: int, labels: str, options: TrainingOptions
    ) -> Examples:
        """Return all pairs of a sampled text."""
        pairs = window_pairs(sampled.ids, sampled.window, vocabulary_size, sampled.segments)
        return Examples(
            pairs, labels=labels, batch_size=options.batch_size, order=options.order, dtype=options.dtype
        )

    def listed_memory(
        self, statistics: PairStatistics, labels: str, options: TrainingOptions
    ) -> ExamplesMemory:
        """Return the memory of `listed_examples`."""
        return Examples.memory(
            statistics, labels=labels, batch_size=options.batch_size, order=options.order, dtype=options.dtype
        )

    def streamed_choices(self, options: TrainingOptions) -> dict[str, Any]:
        """Return the arguments of `streamed` that other architectures lack."""
        return {}

    def batch_shape(
        self, statistics: PairStatistics, options: TrainingOptions, mixed: int | None = None
    ) -> tuple[BatchShape, int]:
        """Return the size of a batch of pairs, and the pairs of an epoch."""
        size = max(1, min(options.batch_size, statistics.pairs))
        centres = statistics.distinct_centres(size, options.order, mixed)
        distinct = statistics.distinct_in_batch(size, options.order)
        return BatchShape(centres, size, distinct), statistics.pairs

    def cost_sample(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
        keep: NDArray[np.float64] | None = None,
    ) -> CostSample:
        """Return the pairs of a text, with shrinking windows as weights.

        Words are dropped as in training.
        """
        return sample_pairs(
            text,
            options.window,
            vocabulary_size,
            generator,
            keep=keep,
            shrinking_window=options.shrinking_window,
            centre_words=options.labels.number_of_centres(vocabulary_size),
        )


@dataclass(frozen=True)
class Cbow:
    """The words around a centre, together, predict it.

    Source: Mikolov et al. 2013a, section 3.1.

    Parameters
    ----------
    context : {"mean", "sum"}
        How context embeddings are combined to the hidden vector. Gradients are exact for both. (word2vec and gensim
        leave out the division by the number of words in the gradient of the mean; İrsoy et al. 2021.)
    """

    context: str = "mean"

    streamed: ClassVar[type[StreamedExamples]] = StreamedCbow

    def __post_init__(self) -> None:
        require_choice("context", self.context, CONTEXTS)

    def listed_examples(
        self, sampled: SampledText, vocabulary_size: int, labels: str, options: TrainingOptions
    ) -> CbowExamples:
        """Return all centres of a sampled text with their contexts."""
        return CbowExamples(
            CbowContexts.of(sampled),
            vocabulary_size,
            mean=self.context == "mean",
            labels=labels,
            batch_size=options.batch_size,
            order=options.order,
            dtype=options.dtype,
        )

    def listed_memory(
        self, statistics: PairStatistics, labels: str, options: TrainingOptions
    ) -> ExamplesMemory:
        """Return the memory of `listed_examples`."""
        return CbowExamples.memory(
            statistics, labels=labels, batch_size=options.batch_size, dtype=options.dtype
        )

    def streamed_choices(self, options: TrainingOptions) -> dict[str, Any]:
        """Return the arguments of `streamed` that other architectures lack."""
        return {"mean": self.context == "mean", "dtype": options.dtype}

    def batch_shape(
        self, statistics: PairStatistics, options: TrainingOptions, mixed: int | None = None
    ) -> tuple[BatchShape, int]:
        """Return the size of a batch of centres, and the centres of an epoch."""
        centres = max(1, statistics.tokens)
        size = min(options.batch_size, centres)
        return BatchShape(size, size, size, size * statistics.pairs / centres), centres

    def cost_sample(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
        keep: NDArray[np.float64] | None = None,
    ) -> CostSample:
        """Return the centres of a text with contexts, sampled as in training."""
        return sample_cbow(
            text,
            options.window,
            vocabulary_size,
            generator,
            mean=self.context == "mean",
            keep=keep,
            shrinking_window=options.shrinking_window,
        )


MODELS = {"skipgram": SkipGram, "cbow": Cbow}
