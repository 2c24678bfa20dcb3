"""Negative sampling on batches of listed or counted pairs is that of the pairs, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from pair_by_pair import pair_by_pair

from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.model.negative_sampling import (
    NegativeSampling,
    NoiseDistribution,
    SampledObjective,
)
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import exact_cost

V, DIM = 15, 6
GENERATOR = np.random.default_rng(2)
IDS = GENERATOR.integers(0, V, 60).astype(np.int32)
PAIRS = window_pairs(IDS, 3, V)
PARAMETERS = Parameters(*GENERATOR.standard_normal((2, V, DIM)))
NOISE = NoiseDistribution(np.bincount(IDS, minlength=V))


def objective_of(sharing: str, seed: int = 0) -> SampledObjective:
    rule = NegativeSampling(negatives=3, sharing=sharing, group=4, shared=5)
    return SampledObjective(rule, NOISE, np.random.default_rng(seed))


def whole(labels: str):
    if labels == "counts":
        (batch,) = CountedExamples(PairCounts.of(PAIRS), CountsRule(centres=V)).batches(GENERATOR)
    else:
        (batch,) = Examples(PAIRS, labels=labels, batch_size=len(PAIRS)).batches(GENERATOR)
    return batch


@pytest.mark.parametrize("labels", ["sparse", "dense", "counts"])
def test_all_words_as_negatives_give_what_the_pairs_give_one_by_one(labels: str) -> None:
    every = np.tile(np.arange(V, dtype=np.int32), (len(PAIRS), 1))
    weights = np.tile(3 * NOISE.probabilities, (len(PAIRS), 1))
    inputs = [PAIRS.centres[[pair]] for pair in range(len(PAIRS))]
    expected = pair_by_pair(PARAMETERS, inputs, PAIRS.contexts, every, weights)
    batch = whole(labels)
    step = objective_of("all").step(PARAMETERS, batch)
    assert step.cost == pytest.approx(expected.cost, rel=1e-12)
    embedding = np.zeros((V, DIM))
    embedding[batch.centres] = step.embedding_gradient
    assert embedding == pytest.approx(expected.embedding, abs=1e-10)
    assert step.output_gradient == pytest.approx(expected.output, abs=1e-10)


@pytest.mark.parametrize("sharing", ["pair", "group"])
def test_drawn_negatives_give_the_same_in_the_mean(sharing: str) -> None:
    batch = whole("sparse")
    expected = objective_of("all").step(PARAMETERS, batch)
    drawn = objective_of(sharing)
    steps = [drawn.step(PARAMETERS, batch) for _ in range(2000)]
    costs = np.array([step.cost for step in steps])
    assert abs(costs.mean() - expected.cost) < 4 * costs.std() / np.sqrt(len(costs))
    outputs = np.array([step.output_gradient for step in steps])
    off = np.abs(outputs.mean(axis=0) - expected.output_gradient)
    assert (off < 5 * outputs.std(axis=0) / np.sqrt(len(steps))).all()


def test_the_best_scores_imply_the_distribution_of_the_pairs() -> None:
    """At scores log(p(context | centre)/q) − log negatives the gradient is zero, and p is what is implied."""
    counts = np.full((V, V), 0.01)
    np.add.at(counts, (PAIRS.centres, PAIRS.contexts), 1)
    likely = counts / counts.sum(axis=1, keepdims=True)
    scores = np.log(likely / NOISE.probabilities) - np.log(3)
    best = Parameters(scores, np.eye(V))
    objective = objective_of("all")
    assert objective.probabilities(best, np.arange(V)) == pytest.approx(likely)
    seen = PairCounts.of(PAIRS)
    cost = -np.log(likely[PAIRS.centres, PAIRS.contexts]).mean()
    assert exact_cost(objective.softmax_parameters(best), seen) == pytest.approx(cost)
