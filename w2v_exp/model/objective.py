"""Objectives: choices of the group ``objective``, and their protocol."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples, TrainingOptions
from w2v_exp.examples.counted import CountedExamples
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import BatchMemory, BatchShape
from w2v_exp.machine import Work
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.sampled_softmax import SampledSoftmax
from w2v_exp.model.softmax import Softmax, Step, Workspace


class Objective(Protocol):
    """Cost and gradients of batches, and the implied distributions."""

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch; parameters stay unchanged.

        Large arrays are made in the workspace.
        """

    def initial_parameters(
        self, drawn: Parameters, examples: TrainingExamples, *, of_words: bool = False
    ) -> Parameters:
        """Return initial parameters from drawn ones with V output vectors.

        `of_words`: these vectors are of words.
        """

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) of every word, (len(centres), V)."""

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood of pairs, in nats a pair."""

    def to_word_vectors(self, parameters: Parameters) -> Parameters:
        """Return parameters with an output vector for each word.

        They are the same, unless output vectors are of nodes.
        """


class ObjectiveRule(Protocol):
    """A choice of the group ``objective``: settings and their consequences.

    Building, estimates of memory and time, and checks all come from it, so another objective is a class with these
    members in a file of its own and a file ``conf/objective/NAME.yaml``.
    """

    @property
    def cost_metric(self) -> str:
        """Metric of its cost: ``cost`` of a likelihood, or ``objective_cost``."""

    @property
    def accepts_blocks(self) -> bool:
        """Whether it has gradients of blocks: see `SampledObjective`."""

    @property
    def allows_fewer_centres(self) -> bool:
        """Whether the embedding may have fewer rows than the output weights."""

    @property
    def is_sampled(self) -> bool:
        """Whether a step draws random numbers; then it has one thread."""

    @property
    def samples_centres(self) -> bool:
        """Whether ``cost`` is measured on a sample of the centres of pair counts."""

    @property
    def gains_from_threads(self) -> bool:
        """Whether several threads shorten its steps."""

    @property
    def counted_examples(self) -> type[CountedExamples]:
        """The examples that ``labels=counts`` builds for it."""

    def check(self, options: TrainingOptions) -> None:
        """Raise `SettingError` for options that this objective excludes."""

    def bind(
        self,
        examples: TrainingExamples,
        word_counts: NDArray[np.int64] | None = None,
        generator: np.random.Generator | None = None,
    ) -> Objective:
        """Return the objective of a text, with its tree or noise."""

    def memory(self, vocabulary_size: int) -> int:
        """Return the bytes of a bound objective, beside parameters and examples."""

    def output_rows(self, vocabulary_size: int) -> int:
        """Return the rows of the output weights."""

    def scores_memory(self, batch: BatchMemory, vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return the peak bytes of scores, or of a block's gradients."""

    def step_work(self, batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of cost and gradients of a batch."""


OBJECTIVES = {
    "softmax": Softmax,
    "sampled_softmax": SampledSoftmax,
    "hierarchical_softmax": HierarchicalSoftmax,
    "negative_sampling": NegativeSampling,
}
