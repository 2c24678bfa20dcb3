"""A block's cost and gradients are those of its pairs, one by one, and of finite differences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pair_by_pair import PairGradients, pair_by_pair

from w2v_exp.examples.blocks import Block, BlockExamples
from w2v_exp.model.negative_sampling import (
    BlockGradients,
    NegativeSampling,
    NoiseDistribution,
    SampledObjective,
)
from w2v_exp.model.parameters import Parameters

V, DIM, WINDOW = 23, 7, 3
COUNTS = np.arange(V) + 1
SEGMENTS = np.array([0, 20, 33, 34, 100])  # one of them has a single word
SKIPGRAM, MEAN, SUM = None, "mean", "sum"


class Case(NamedTuple):
    parameters: Parameters
    blocks: list[Block]
    objective: SampledObjective
    rule: NegativeSampling


def case_of(context: str | None, tokens: int, window: int = WINDOW, **rule: object) -> Case:
    generator = np.random.default_rng(5)
    ids = generator.integers(0, V, 100).astype(np.int32)
    ids[10:18] = 3  # the same word many times, and as its own context
    parameters = Parameters(*generator.standard_normal((2, V, DIM)))
    sampling = NegativeSampling(negatives=4, **rule)  # type: ignore[arg-type]
    examples = BlockExamples(
        ids,
        window,
        V,
        tokens,
        passage=sampling.passage_size(tokens),
        context=context,
        shrinking_window=True,
        segments=SEGMENTS,
        generator=generator,
    )
    objective = sampling.bind(examples, COUNTS, np.random.default_rng(0))
    return Case(parameters, list(examples.batches(generator)), objective, sampling)


def plain(case: Case, block: Block, negatives: NDArray[np.int32], context: str | None) -> PairGradients:
    """List a block's pairs with their negatives and take them one by one."""
    rule, noise = case.rule, NoiseDistribution(COUNTS, case.rule.exponent).probabilities
    bags, targets, drawn, weights = [], [], [], []
    window = (block.words.shape[1] - block.centres.shape[1]) // 2
    for passage, number in np.ndindex(block.centres.shape):
        words, shared, place = block.words[passage], negatives[passage], number + window
        around = np.r_[
            place - block.before[passage, number] : place,
            place + 1 : place + block.after[passage, number] + 1,
        ]
        if context is None:
            pairs = [(words[[place]], words[other], other - number) for other in around]
        else:
            pairs = [(words[around], words[place], 0)] if len(around) else []
        for bag, target, offset in pairs:
            own = shared[rule.negatives * offset :][: rule.negatives] if rule.sharing == "pair" else shared
            weight = {"pair": np.ones(len(own)), "group": np.full(len(own), rule.negatives / rule.shared)}
            bags.append(bag)
            targets.append(target)
            drawn.append(own)
            weights.append(weight.get(rule.sharing, rule.negatives * noise))
    return pair_by_pair(
        case.parameters, bags, np.array(targets), np.array(drawn), np.array(weights), context != SUM
    )


def added_up(gradients: BlockGradients) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    embedding, output = np.zeros((2, V, DIM))
    np.add.at(embedding, gradients.embedding.words, gradients.embedding.gradient)
    np.add.at(output, gradients.output.words, gradients.output.gradient)
    return embedding, output


@pytest.mark.cases(every=4)
@pytest.mark.parametrize("context", [SKIPGRAM, MEAN, SUM])
@pytest.mark.parametrize(
    "rule",
    [
        {"sharing": "pair"},
        {"sharing": "group", "group": 1, "shared": 2},
        {"sharing": "group", "group": 5, "shared": 3},
        {"sharing": "group", "group": 48, "shared": 30},
        {"sharing": "all"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("tokens", "window"), [(100, 3), (37, 3), (1, 3), (50, 12)])
def test_a_block_gives_what_its_pairs_give_one_by_one(
    context: str | None, rule: dict[str, object], tokens: int, window: int
) -> None:
    case = case_of(context, tokens, window, **rule)
    for block in case.blocks:
        negatives = case.objective.draw(block)
        gradients = case.objective.block_gradients(case.parameters, block, negatives)
        expected = plain(case, block, negatives, context)
        assert gradients.cost == pytest.approx(expected.cost, rel=1e-12)
        embedding, output = added_up(gradients)
        assert embedding == pytest.approx(expected.embedding, abs=1e-10)
        assert output == pytest.approx(expected.output, abs=1e-10)


@pytest.mark.parametrize("context", [SKIPGRAM, MEAN, SUM])
def test_gradients_are_finite_differences_of_the_cost(context: str | None) -> None:
    case = case_of(context, 40, group=8, shared=6)
    block = case.blocks[0]
    negatives = case.objective.draw(block)
    found = added_up(case.objective.block_gradients(case.parameters, block, negatives))
    for matrix, gradient in zip((case.parameters.embedding, case.parameters.output), found, strict=True):
        for place in np.ndindex(matrix.shape):
            before, costs = matrix[place], []
            for moved in (before + 1e-5, before - 1e-5):
                matrix[place] = moved
                costs.append(case.objective.block_gradients(case.parameters, block, negatives).cost)
            matrix[place] = before
            assert gradient[place] == pytest.approx((costs[0] - costs[1]) / 2e-5, abs=1e-6)


@pytest.mark.parametrize("context", [SKIPGRAM, MEAN, SUM])
@pytest.mark.parametrize("sharing", ["pair", "group"])
def test_drawn_negatives_give_the_exact_gradient_in_the_mean(context: str | None, sharing: str) -> None:
    """Cost and gradients are linear in how often each word is a negative, and that has the right expectation."""
    exact = case_of(context, 100, sharing="all")
    block = exact.blocks[0]
    every = exact.objective.draw(block)
    expected = exact.objective.block_gradients(exact.parameters, block, every)
    drawn = case_of(context, 100, sharing=sharing, group=5, shared=10)
    results = [
        drawn.objective.block_gradients(drawn.parameters, block, drawn.objective.draw(block))
        for block in 600 * drawn.blocks
    ]
    costs = np.array([result.cost for result in results])
    assert abs(costs.mean() - expected.cost) < 4 * costs.std() / np.sqrt(len(costs))
    sums = np.array([added_up(result) for result in results])
    off = np.abs(sums.mean(axis=0) - np.array(added_up(expected)))
    assert (off < 5 * sums.std(axis=0) / np.sqrt(len(sums)) + 1e-9).all()


@pytest.mark.parametrize("context", [SKIPGRAM, MEAN, SUM])
def test_curvature_is_no_less_than_the_second_derivative_in_any_direction(context: str | None) -> None:
    case = case_of(context, 100, sharing="all")
    block = case.blocks[0]
    every = case.objective.draw(block)
    found = case.objective.block_gradients(case.parameters, block, every)
    curvature = np.zeros((2, V))
    for matrix, rows in ((0, found.embedding), (1, found.output)):
        np.add.at(curvature[matrix], rows.words, rows.curvature)
    generator = np.random.default_rng(1)
    for matrix, values in enumerate((case.parameters.embedding, case.parameters.output)):
        for word in range(V):
            direction = generator.standard_normal(DIM)
            direction *= 1e-4 / np.linalg.norm(direction)
            before, costs = values[word].copy(), []
            for step in (-1, 0, 1):
                values[word] = before + step * direction
                costs.append(case.objective.block_gradients(case.parameters, block, every).cost)
            values[word] = before
            second = (costs[0] - 2 * costs[1] + costs[2]) / 1e-8
            assert second <= curvature[matrix, word] * (1 + 1e-3) + 1e-3
