"""Negative sampling on batches of any label encoding: plainly, as a matrix of all centres by all words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.counts import PairCounts
from w2v_exp.model.exact_cost import exact_cost
from w2v_exp.model.logistic import softplus_and_sigmoid
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.noise import NoiseDistribution
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import Softmax, Step
from w2v_exp.model.workspace import Workspace


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
