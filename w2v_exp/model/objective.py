"""Objectives: what is chosen, and what a trainer descends."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import BatchMemory, BatchShape
from w2v_exp.machine import Work
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax, Step, Workspace


class Objective(Protocol):
    """Cost and gradients of batches, and what they make of the vocabulary."""

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch. Nothing is changed; large arrays are made in the workspace."""

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) for every word of the vocabulary: shape (len(centres), V)."""

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood of counted pairs, in nats a pair."""

    def to_word_vectors(self, parameters: Parameters) -> Parameters:
        """Return the parameters with an output vector for each word: these, unless output weights are of others."""


class ObjectiveRule(Protocol):
    """A choice of the group ``objective``: its settings, before there are examples."""

    @property
    def cost_metric(self) -> str:
        """What its cost is logged as: ``cost`` if it is a negative log-likelihood, else ``objective_cost``."""

    def bind(self, examples: TrainingExamples) -> Objective:
        """Return the objective for some examples, with whatever it has to know of their words."""

    def output_rows(self, vocabulary_size: int) -> int:
        """Return how many rows the output weights have."""

    def scores_memory(self, batch: BatchMemory, vocabulary_size: int, dtype: DTypeLike) -> int:
        """Return how many bytes the scores of such a batch take at the most."""

    def step_work(self, batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of cost and gradients of such a batch."""


OBJECTIVES = {
    "softmax": Softmax,
    "hierarchical_softmax": HierarchicalSoftmax,
    "negative_sampling": NegativeSampling,
}
