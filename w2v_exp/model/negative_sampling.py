"""Negative sampling: pairs of the text are told from pairs with words drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.statistics import BatchMemory, BatchShape
from w2v_exp.model.parameters import Parameters
from w2v_exp.validation import check_number, check_whole, require_choice
from w2v_exp.work import Work

SHARINGS = ("pair", "group", "all")


@dataclass(frozen=True)
class NegativeSampling:
    """Cost −log σ(w_c·h) − Σ over negatives v of log σ(−w_v·h) for each pair (Mikolov et al. 2013b, equation 4).

    h is the embedding of the centre, or for cbow the mean or sum of those around it, and w are output weights. Its
    optimum is w_c·h = PMI − log negatives, with the noise in the place of the contexts' distribution (Levy & Goldberg
    2014).

    word2vec and gensim skip a negative that happens to be the pair's own context. Here it stays: so the
    expectation over the draws is the same linear function of `negatives`·q whatever is shared, and ``sharing=all`` is
    that expectation itself.

    Parameters
    ----------
    negatives : int
        So many words are drawn for each pair; or that is what the drawn ones are weighted to.
    exponent : float
        The noise is q(v) ∝ count(v)^exponent.
    sharing : {"pair", "group", "all"}
        ``pair``: each pair has negatives of its own, as in word2vec. ``group``: `group` consecutive centres share
        `shared` ones, each weighted by negatives/shared times the centre's pairs, so the expected gradient is the same;
        scores are matrix products then. ``all``: nothing is drawn, all V words count with weights negatives·q(v).
    group, shared : int
        See ``sharing=group``. With labels=blocks a group is at most a quarter of a block.
    """

    negatives: int = 5
    exponent: float = 0.75
    sharing: str = "group"
    group: int = 32
    shared: int = 32

    cost_metric: ClassVar[str] = "objective_cost"

    def __post_init__(self) -> None:
        check_whole(self, "negatives", at_least=1, at_most=10_000)
        check_number(self, "exponent", at_least=0, at_most=1)
        require_choice("sharing", self.sharing, SHARINGS)
        check_whole(self, "group", at_least=1, at_most=1_000_000)
        check_whole(self, "shared", at_least=1, at_most=1_000_000)

    def in_blocks(self, centres: int) -> NegativeSampling:
        """Return the rule for blocks of so many centres, with four groups or more in each.

        Negatives of one group alone have a large share of a small block's steps: on 58,000 words blocks of 32 centres
        end .004 lower with groups of 8 than of 32, and diverge at larger rates.
        """
        return replace(self, group=min(self.group, max(1, centres // 4)))

    @staticmethod
    def output_rows(vocabulary_size: int) -> int:
        """Return how many rows the output weights have: one for each word."""
        return vocabulary_size

    @staticmethod
    def scores_memory(batch: BatchMemory, vocabulary_size: int, dtype: DTypeLike) -> int:
        """Return how many bytes the scores of a `Batch` take, with costs and weights."""
        return batch.centres * vocabulary_size * (3 * np.dtype(dtype).itemsize + 8)

    @staticmethod
    def step_work(batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of cost and gradients of a `Batch`: all words count, drawn or not."""
        scores = batch.centres * vocabulary_size
        return Work(
            products=6.0 * scores * dim,
            exponentials=2.0 * scores,
            passed=12.0 * scores,
            gathered=6.0 * batch.cells,
            calls=80,
        )


class PairGradients(NamedTuple):
    """Cost of some pairs, summed, and the gradients of that sum, shape (V, dim) each."""

    cost: float
    embedding: NDArray[Any]
    output: NDArray[Any]


def pair_by_pair(
    parameters: Parameters,
    bags: Sequence[NDArray[np.int32]],
    targets: NDArray[np.int32],
    negatives: NDArray[np.int32],
    weights: NDArray[Any],
    mean: bool = True,
) -> PairGradients:
    """Return cost and gradients of pairs by the definition, one pair after the other: what fast paths are tested by.

    Parameters
    ----------
    parameters : Parameters
        Embedding and output weights.
    bags : sequence of ndarray of int
        For each of the m pairs the words that the hidden vector is made of: the centre, or for cbow those around it.
    targets : ndarray of int, shape (m,)
        The word to be predicted.
    negatives : ndarray of int, shape (m, K)
        The words to be told from it.
    weights : ndarray, shape (m, K)
        How often each of them counts.
    mean : bool
        Whether hidden vectors are means of the bags, or sums.
    """
    embedding, output = parameters.embedding, parameters.output
    cost, embedding_gradient, output_gradient = 0.0, np.zeros_like(embedding), np.zeros_like(output)
    for bag, target, drawn, weight in zip(bags, targets, negatives, weights, strict=True):
        share = 1 / len(bag) if mean else 1.0
        hidden = share * embedding[bag].sum(axis=0)
        words = np.array([target, *drawn])
        signs = np.array([1.0, *[-1.0] * len(drawn)])
        importance = np.array([1.0, *weight])
        agreement = signs * (output[words] @ hidden)
        cost += float(importance @ np.logaddexp(0, -agreement))
        by_score = -importance * signs / (1 + np.exp(agreement))  # the derivative of the cost by each score
        np.add.at(output_gradient, words, np.outer(by_score, hidden))
        np.add.at(embedding_gradient, bag, share * (by_score @ output[words]))
    return PairGradients(cost, embedding_gradient, output_gradient)
