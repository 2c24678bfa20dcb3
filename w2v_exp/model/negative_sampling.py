"""Negative sampling: the rule, the noise, and its definition pair by pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import BatchMemory, BatchShape
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax, Step, Workspace, exact_cost
from w2v_exp.validation import check_number, check_whole, require_choice
from w2v_exp.work import Work

# Whose exponential is finite, by the bytes of a number; larger ones count as it.
LARGEST_SCORE = {4: 80.0, 8: 700.0}


def softplus_and_sigmoid(scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return log(1 + exp(score)) and its derivative 1/(1 + exp(−score)); the scores' memory is used."""
    exponentials = np.minimum(scores, LARGEST_SCORE[scores.itemsize], out=scores)
    np.exp(exponentials, out=exponentials)
    above = exponentials + 1
    exponentials /= above
    return np.log(above, out=above), exponentials


def squared_lengths(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the squared lengths of vectors, (…, dim) to (…,)."""
    squares: NDArray[Any] = np.einsum("...j,...j->...", rows, rows)
    return squares


class NoiseDistribution:
    """q(v) ∝ count(v)^exponent (Mikolov et al. 2013b, section 2.2), with exact draws in constant time each.

    word2vec and gensim round q to a table of places; here draws follow q to the last bits of float64, by Walker's alias
    method: every word has a column of height 1/V, and what a rare word leaves of its column belongs to a frequent one.

    Parameters
    ----------
    counts : ndarray, shape (V,)
        How often each word occurs. A word that does not occur is never drawn, unless no word occurs.
    exponent : float
        1: as frequent as in the text; 0: all alike; word2vec's is 0.75. Any finite number.
    """

    def __init__(self, counts: NDArray[Any], exponent: float = 0.75) -> None:
        counts = np.asarray(counts, np.float64)
        occurring = counts > 0
        if not occurring.any():
            counts, occurring = np.ones(len(counts)), np.ones(len(counts), bool)
        powers = counts[occurring]
        if not 0 <= exponent <= 1:  # with the largest power at 1, none overflows and not all underflow
            powers /= powers.max() if exponent > 0 else powers.min()
        powers **= exponent
        weights = np.zeros(len(counts))
        weights[occurring] = powers
        self.probabilities: NDArray[np.float64] = weights / weights.sum()
        self._share, self._alias = alias_table(self.probabilities)

    def __len__(self) -> int:
        """Return V."""
        return len(self.probabilities)

    def draw(self, generator: np.random.Generator, count: int) -> NDArray[np.int32]:
        """Return so many words, drawn independently, (count,)."""
        places = generator.random(count)
        places *= len(self)
        columns = places.astype(np.int32)
        places -= columns
        return np.where(places < self._share.take(columns), columns, self._alias.take(columns))

    @staticmethod
    def memory(vocabulary_size: int) -> int:
        """Return how many bytes it takes while it is made; half of them stay."""
        return 72 * vocabulary_size


def alias_table(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return each word's share of its column, and the word that has the rest: shape (V,) each.

    Vose's sweep, without a loop (Hübschle-Schneider & Sanders 2022, section 4): words that do not fill their columns
    lack Σ(1 − V·p) of them, those that overflow have as much to give. Laid end to end, what is lacked and what is given
    are two divisions of the same line, and a search in sums pairs them. A column is filled by the giver at its start.
    Where that giver ends within the column, it has given more than it had: it keeps less than a column itself,
    and the next giver fills the rest. Words that fill their columns exactly, and all if all are equal, take no part.

    A loop takes 106 ms for 330,000 words instead of 13, and pairs other words.

    >>> alias_table(np.array([0.5, 0.25, 0.25]))
    (array([1.  , 0.75, 0.75]), array([0, 0, 0], dtype=int32))
    """
    heights = probabilities * len(probabilities)
    share, alias = np.ones(len(heights)), np.arange(len(heights), dtype=np.int32)
    lacking, giving = np.flatnonzero(heights < 1), np.flatnonzero(heights > 1)
    if not len(lacking) or not len(giving):  # all equal; to rounding, all may lie on one side of 1
        return share, alias
    ends, given = np.cumsum(1 - heights[lacking]), np.cumsum(heights[giving] - 1)
    # A column starts where the one before it ends, to the bit: else a giver that ends there would count for both.
    starts = np.concatenate([[0.0], ends[:-1]])
    last = len(giving) - 1
    share[lacking] = heights[lacking]
    alias[lacking] = giving[np.minimum(given.searchsorted(starts, "right"), last)]
    # The column within which each giver ends; by rounding, the last ones may end in none. The last giver has the rest.
    ends_within = ends.searchsorted(given[:last], "left")
    ending = np.flatnonzero(ends_within < len(lacking))
    share[giving[ending]] = np.clip(1 - (ends[ends_within[ending]] - given[ending]), 0, 1)
    alias[giving[ending]] = giving[ending + 1]
    return share, alias


def table_probabilities(share: NDArray[np.float64], alias: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the probabilities that an alias table draws, shape (V,)."""
    drawn = share + np.bincount(alias, weights=1 - share, minlength=len(share))
    return drawn / len(share)


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


class SampledObjective:
    """Negative sampling with what it needs of a text: the noise, and a generator to draw from it.

    Gradients are those of the summed cost, for both matrices, as in word2vec.

    Parameters
    ----------
    rule : NegativeSampling
        How many negatives, and which centres share them. A batch has its centres once, by rising id, so a group is of
        distinct centres.
    noise : NoiseDistribution
        What negatives are drawn from.
    generator : numpy.random.Generator
        Draws them.
    """

    def __init__(
        self, rule: NegativeSampling, noise: NoiseDistribution, generator: np.random.Generator
    ) -> None:
        self.rule = rule
        self.noise = noise
        self._generator = generator

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch. Nothing is changed; the scores are made in the workspace."""
        hidden, output, labels = batch.hidden(parameters.embedding), parameters.output, batch.labels
        scores = (workspace or Workspace()).array((len(hidden), len(output)), hidden.dtype)
        hidden.dot(output.T, scores)
        label_scores = labels.gather(scores).astype(np.float64)
        label_costs, misses = softplus_and_sigmoid(-label_scores)
        costs, by_score = softplus_and_sigmoid(scores)
        weights = self._weights(batch).astype(hidden.dtype)
        by_score *= weights
        cost = float(labels.counts.dot(label_costs)) + float(np.vdot(costs, weights))
        labels.subtract_from(by_score, labels.counts * misses)
        by_score *= (batch.centre_weights / batch.weights).astype(hidden.dtype)[:, None]
        return Step(cost, math.nan, batch.by_row(by_score.dot(output)), by_score.T.dot(hidden))

    def _weights(self, batch: Batch) -> NDArray[np.float64]:
        """Return how often each word is a negative of each centre, (k, V), expected or as drawn."""
        rule, centres, words = self.rule, len(batch.weights), len(self.noise)
        if rule.sharing == "all":
            return np.outer(batch.weights, rule.negatives * self.noise.probabilities)
        weights = np.zeros((centres, words))
        if rule.sharing == "pair":
            rows = np.repeat(np.arange(centres), np.rint(rule.negatives * batch.weights).astype(np.int64))
            np.add.at(weights, (rows, self.noise.draw(self._generator, len(rows))), 1)
            return weights
        groups = -(-centres // rule.group)
        drawn = self.noise.draw(self._generator, groups * rule.shared).reshape(groups, rule.shared)
        rows = np.arange(centres)
        np.add.at(weights, (rows[:, None], drawn[rows // rule.group]), rule.negatives / rule.shared)
        weights *= batch.weights[:, None]
        return weights

    def softmax_parameters(self, parameters: Parameters) -> Parameters:
        """Return parameters of the full softmax that these imply: p(context | centre) ∝ q(context) · exp(score).

        The best score is log(p/q) − log negatives (Levy & Goldberg 2014, with the noise q).
        """
        noise = np.maximum(self.noise.probabilities, np.finfo(np.float64).tiny)
        offset = np.log(noise).astype(parameters.output.dtype)
        return Parameters(parameters.embedding, parameters.output, offset)

    def of_words(self, parameters: Parameters) -> Parameters:
        """Return the parameters: their output vectors are of words."""
        return parameters

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood of counted pairs under that softmax, in nats a pair."""
        return exact_cost(self.softmax_parameters(parameters), counts)

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) of the softmax that is implied: shape (len(centres), V)."""
        return Softmax().probabilities(self.softmax_parameters(parameters), centres)
