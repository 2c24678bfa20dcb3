"""The training of a `Word2Vec`: examples, objective, steps and trainer of the core."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import CorpusError
from w2v_exp.examples.batch import Batch, SparseCounts
from w2v_exp.examples.blocks import BlockExamples, BlockRule
from w2v_exp.examples.cbow import StreamedCbow
from w2v_exp.examples.pairs import count_pairs, effective_window, mean_pairs
from w2v_exp.examples.sampling import NoSubsampling, Subsampling, TextPart
from w2v_exp.examples.streamed import ResampledExamples, StreamedExamples
from w2v_exp.machine import available_cores
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax, TreeSoftmax
from w2v_exp.model.huffman import HuffmanTree
from w2v_exp.model.logistic import logistic_cost
from w2v_exp.model.negative_sampling import NegativeSampling, squared_lengths
from w2v_exp.model.objective import Objective
from w2v_exp.model.parameters import Parameters
from w2v_exp.processes import may_be_copied, may_start_processes
from w2v_exp.scatter import add_scaled_rows
from w2v_exp.training.hogwild import HogwildTrainer, SharedArray
from w2v_exp.training.steps import BlockSteps, Stepper, bounded_rates, curvature_share
from w2v_exp.training.trainer import Callback, Trainer

FEWEST_WORDS = (
    2_000_000  # trained on, epochs included, that are worth starting processes: four seconds in one
)
SHORT_TEXT = 10_000  # words; in a longer one some words are rare enough to be kept
RESAMPLINGS = 100  # of a text without a pair, before training; of an epoch, a hundred times as many


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Parameters
    ----------
    skip_gram, mean : bool
        Whether centres predict contexts, or the mean or sum of contexts predicts centres.
    hierarchical : bool
        Whether with the hierarchical softmax, or with negative sampling.
    dim : int
        Dimensions of the vectors.
    negatives, exponent
        See `NegativeSampling`.
    window, shrinking_window, subsampling
        See `BlockExamples`.
    """

    skip_gram: bool
    mean: bool
    hierarchical: bool
    dim: int
    negatives: int
    exponent: float
    window: int
    shrinking_window: bool
    subsampling: Subsampling

    def examples(
        self,
        text: TextPart,
        vocabulary_size: int,
        share: tuple[int, int] = (0, 1),
    ) -> Resampling:
        """Return the examples of a text, or the blocks of one of several processes.

        The expected number of their pairs is that of a sample whose seed is fixed, so that a model that is saved and
        loaded trains on to the same bytes.

        Raises
        ------
        CorpusError
            If the text has no pair.
        """
        choices: dict[str, Any] = {
            "subsampling": self.subsampling,
            "shrinking_window": self.shrinking_window,
            "segments": text.segments,
        }
        arguments = text.ids, self.window, vocabulary_size
        if not self.hierarchical:
            tokens = BlockRule().block_tokens(len(text.ids), self.dim)
            choices |= {"passage": self.negative_sampling.passage_size(tokens), "context": self.context}
            return Blocks(*arguments, tokens, share=share, **choices)
        choices["batch_size"] = batch_pairs(len(text.ids))
        if self.skip_gram:
            return Stream(*arguments, **choices)
        return CbowStream(*arguments, mean=self.mean, dtype=np.float32, **choices)

    @property
    def context(self) -> str | None:
        """Combination of context embeddings; None for skip-gram."""
        return None if self.skip_gram else "mean" if self.mean else "sum"

    def objective(
        self, examples: Resampling, word_counts: NDArray[np.int64], generator: np.random.Generator
    ) -> Objective:
        """Return the objective, with the noise or the tree of these counts."""
        if self.hierarchical:
            return tree_softmax(word_counts)
        return self.negative_sampling.bind(examples, word_counts, generator)

    @property
    def negative_sampling(self) -> NegativeSampling:
        """The settings of negative sampling."""
        rule = NegativeSampling(self.negatives, self.exponent)
        if not self.skip_gram:
            # As in conf/experiment/wikipedia_cbow.yaml: an example is a centre, not a pair, so fewer suffice.
            rule = replace(rule, group=16, shared=8)
        return replace(rule, shared=max(self.negatives, rule.shared))

    def steps(self, examples: Resampling, objective: Any, parameters: Parameters) -> Stepper:
        """Return the steps of the objective."""
        rate = 1.0
        if not self.skip_gram:
            # word2vec and gensim divide the gradient of a sum, and not that of a mean, by the number of contexts;
            # ours are the true gradients. Their mean number makes the same learning rate move a context as far.
            contexts = max(1.0, examples.mean_contexts)
            rate = contexts if self.mean else 1 / contexts
        if isinstance(examples, (Stream, CbowStream)):
            return TreeSteps(objective, parameters, examples.batch_size, rate)
        assert examples.block is not None
        return BlockSteps(objective, parameters, examples.block.tokens, embedding_rate=rate)

    def worker(
        self,
        text: SharedText,
        word_counts: NDArray[np.int64],
        parameters: Parameters,
        number: int,
        of: int,
        generator: np.random.Generator,
        schedule: Descent,
        epochs: int,
        learning_rate: float,
    ) -> Trainer:
        """Return the trainer of worker `number` of `of`, on its share of the text."""
        part = TextPart(text.ids.array(), None if text.segments is None else text.segments.array())
        examples = self.examples(part, len(word_counts), (number, of))
        objective = self.objective(examples, word_counts, generator)
        return Trainer(
            examples,
            parameters,
            objective=objective,
            steps=self.steps(examples, objective, parameters),
            schedule=schedule,
            epochs=epochs,
            learning_rate=learning_rate,
            generator=generator,
        )

    def trainer(
        self,
        text: TextPart,
        word_counts: NDArray[np.int64],
        parameters: Parameters,
        *,
        schedule: Descent,
        epochs: int,
        learning_rate: float,
        generator: np.random.Generator,
        callbacks: Sequence[Callback] = (),
        workers: int = 1,
    ) -> Trainer:
        """Return a trainer of the parameters, in one process or several.

        Parameters
        ----------
        text : TextPart
            The text.
        word_counts : ndarray of int64, shape (V,)
            Frequencies, for the noise and the tree.
        parameters : Parameters
            Trained in place by one process; several train a copy, the `parameters` of the trainer.
        schedule, epochs, learning_rate, generator, callbacks
            See `Trainer`.
        workers : int
            Largest number of processes. One trains texts of few words, the hierarchical softmax, and wherever
            processes cannot be started without a script's ``if __name__ == "__main__"``.
        """
        if self.subsampling.drops_words and not self.has_pairs(text, len(word_counts)):
            warnings.warn(
                "sample: drops nearly all words of this short text, which is trained on without subsampling. "
                "Use sample=0.",
                stacklevel=4,
            )
            return self.without_subsampling().trainer(
                text,
                word_counts,
                parameters,
                schedule=schedule,
                epochs=epochs,
                learning_rate=learning_rate,
                generator=generator,
                callbacks=callbacks,
            )
        examples = self.examples(text, len(word_counts))
        objective = self.objective(examples, word_counts, generator)
        if not self.hierarchical and epochs * len(text.ids) >= FEWEST_WORDS and starts_processes():
            workers = min(workers, available_cores(), examples.batches_per_epoch)
        else:
            workers = 1
        choices: dict[str, Any] = {
            "objective": objective,
            "schedule": schedule,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "generator": generator,
            "callbacks": callbacks,
        }
        if workers == 1:
            steps = self.steps(examples, objective, parameters)
            return Trainer(examples, parameters, steps=steps, **choices)
        segments = None if text.segments is None else SharedArray(text.segments)
        make = partial(
            self.worker,
            SharedText(SharedArray(text.ids), segments),
            word_counts,
            schedule=schedule,
            epochs=epochs,
            learning_rate=learning_rate,
        )
        return HogwildTrainer(make, examples, parameters, workers=workers, threads=workers, **choices)

    def without_subsampling(self) -> Recipe:
        """Return the same recipe, with all words."""
        return replace(self, subsampling=NoSubsampling())

    def has_pairs(self, text: TextPart, vocabulary_size: int) -> bool:
        """Return whether a sample of the text has a pair."""
        if len(text.ids) > SHORT_TEXT:
            return True
        try:
            self.examples(text, vocabulary_size)
        except CorpusError:
            return False
        return True


@dataclass(frozen=True)
class SharedText:
    """A text in memory that worker processes share."""

    ids: SharedArray
    segments: SharedArray | None


@dataclass(frozen=True)
class Descent:
    """factor = 1 − (1 − final)·step / total_steps: gensim's, from ``alpha`` to ``min_alpha``.

    Parameters
    ----------
    final : float
        The factor after the last step, at least 0.
    """

    final: float

    def __call__(self, step: int, total_steps: int, epoch: int, epochs: int) -> float:
        """Return the factor for this step.

        >>> Descent(0.5)(1, 4, 0, 1)
        0.875
        """
        return 1 - (1 - self.final) * step / total_steps


def starts_processes() -> bool:
    """Return whether processes can be started without importing the main script again.

    Gensim's workers are threads, so its scripts have no ``if __name__ == "__main__"``, without which a spawned process
    would run the script again. Forked ones do not import it, and a notebook or prompt has no script.
    """
    return may_start_processes() and (may_be_copied() or not hasattr(sys.modules["__main__"], "__file__"))


def batch_pairs(words: int) -> int:
    """Return the pairs per batch of the hierarchical softmax (CBOW: centres).

    All of them move the same few nodes near the root, at the same parameters: fewer are better, and slower.
    """
    return min(2048, max(64, words // 1024))


# ---------------------------------------------------------------- examples of short texts


class Resampling(ResampledExamples):
    """Examples whose epochs are sampled again where a sample has no pair.

    Subsampling drops most words of a text of a few lines, of which each is frequent. gensim then trains on nothing.
    """

    @property
    def mean_contexts(self) -> float:
        """Mean number of contexts of a centre, before words are dropped."""
        window = self._largest_window
        if self._shrinking_window:
            return mean_pairs(len(self._ids), window, self._segments) / len(self._ids)
        window = effective_window(window, len(self._ids), self._segments)
        return count_pairs(len(self._ids), window, self._segments) / len(self._ids)

    def batches(self, generator: np.random.Generator) -> Iterator[Any]:
        """Yield the batches of one epoch, which has a pair."""
        last = 100 * RESAMPLINGS
        for attempt in range(last + 1):
            try:
                yield from super().batches(generator)  # type: ignore[safe-super]
            except CorpusError:
                if attempt == last:
                    raise
            else:
                return

    def _expected_pairs(self, generator: np.random.Generator) -> float:
        """Return the pairs of an epoch, of the first sample that has any."""
        samples = (super(Resampling, self)._expected_pairs(generator) for _ in range(RESAMPLINGS))
        return next(filter(None, samples), 0.0)


class Blocks(Resampling, BlockExamples):
    """Blocks of a text of any length."""


class Stream(Resampling, StreamedExamples):
    """Pairs of a text of any length."""


class CbowStream(Resampling, StreamedCbow):
    """Centres with contexts of a text of any length."""


# ---------------------------------------------------------------- the hierarchical softmax


def tree_softmax(word_counts: NDArray[np.int64]) -> TreeSoftmax:
    """Return the hierarchical softmax over the Huffman tree of these counts."""
    shares = np.maximum(word_counts, 1) / np.maximum(word_counts, 1).sum()
    return TreeSoftmax(HuffmanTree.of(word_counts), HierarchicalSoftmax(), shares)


class TreeSteps:
    """Updates parameters by the hierarchical softmax, at a learning rate per pair.

    The gradients of a batch are summed, as word2vec's loop adds them one after the other, and each row's update is
    bounded by its curvature: see `BlockSteps`. The nodes of each label's path are fetched, so a step takes no time for
    those of other words, and batches can be small.

    Parameters
    ----------
    objective : TreeSoftmax
        The objective.
    parameters : Parameters
        Updated in place.
    pairs : int
        Pairs per batch; as for blocks, fewer ones are bounded less.
    embedding_rate : float
        Factor of the learning rate for the embedding.
    """

    def __init__(
        self, objective: TreeSoftmax, parameters: Parameters, pairs: int, embedding_rate: float = 1.0
    ) -> None:
        self._tree, self._lengths = objective.tree, objective.tree.lengths
        self._parameters = parameters
        self._embedding_rate = embedding_rate
        self._share = curvature_share(pairs, len(parameters.embedding))

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Empty: nothing but the parameters changes."""
        return {}

    def step(self, batch: Batch, learning_rate: float) -> tuple[float, float]:
        """Update the parameters; return the batch's summed cost before, and NaN."""
        embedding, nodes, tree = self._parameters.embedding, self._parameters.output, self._tree
        labels = batch.labels
        assert isinstance(labels, SparseCounts)
        hidden = batch.hidden(embedding)
        words = labels.cells - labels.rows * tree.vocabulary_size
        lengths = self._lengths.take(words)
        ends = np.cumsum(lengths)
        on_path = np.arange(ends[-1]) + np.repeat(tree.starts.take(words) - ends + lengths, lengths)
        passed, centres = tree.nodes.take(on_path), np.repeat(labels.rows, lengths).astype(np.int32)
        weights = np.repeat(labels.counts, lengths).astype(hidden.dtype)
        signs = tree.branches.take(on_path).astype(hidden.dtype)
        above, below = nodes.take(passed, axis=0), hidden.take(centres, axis=0)
        cost, by_score = logistic_cost(np.vecdot(above, below), weights, -signs * weights)
        if not math.isfinite(cost):
            return cost, math.nan
        misses = np.abs(by_score)
        by_node = np.bincount(passed, misses * squared_lengths(below), len(nodes))
        by_centre = np.bincount(centres, misses * squared_lengths(above), len(hidden))
        hidden_gradient = np.zeros_like(hidden)
        add_scaled_rows(hidden_gradient, centres, above, by_score)
        rates = bounded_rates(by_node, self._share, learning_rate)
        add_scaled_rows(nodes, passed, below, by_score * rates.take(passed).astype(by_score.dtype))
        curvatures = batch.by_row(by_centre[:, None])[:, 0]
        rates = bounded_rates(curvatures, self._share, learning_rate * self._embedding_rate)
        embedding[batch.rows] += rates.astype(hidden.dtype)[:, None] * batch.by_row(hidden_gradient)
        return cost, math.nan
