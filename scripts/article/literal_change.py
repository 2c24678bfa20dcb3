"""Point 6: the change from one-hot labels to ids, made in two places only."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from article.model import (
    DIM,
    EPOCHS,
    EPSILON,
    LEARNING_RATE,
    PublishedFigures,
    article_pairs,
    train_article,
)
from article.report import Claim, Point, prose, table
from w2v_exp.examples.pairs import Pairs
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.training.schedules import StepDecay

SHOWN_EPOCHS = (0, 1, 100, 1000, 4990)
EQUAL = 1e-9

Matrix = NDArray[np.float64]
Costs = NDArray[np.float64]
EpochStep = Callable[[Matrix, Matrix, Pairs, float], float]


def epoch_with_cost_last(E: Matrix, W: Matrix, pairs: Pairs, rate: float) -> float:
    """Take one full-batch step, with the cost computed from the array that the backward pass has changed."""
    m = len(pairs)
    hidden, probabilities = forward(E, W, pairs.centres)
    probabilities[np.arange(m), pairs.contexts] -= 1  # place 1, the backward pass: p − Y, in place
    update(E, W, pairs.centres, hidden, probabilities, rate=rate)
    return cost_of_labels(probabilities, pairs.contexts)  # place 2, the cost, last as before


def epoch_with_cost_first(E: Matrix, W: Matrix, pairs: Pairs, rate: float) -> float:
    """Take the same step, with the cost computed before the backward pass."""
    m = len(pairs)
    hidden, probabilities = forward(E, W, pairs.centres)
    cost = cost_of_labels(probabilities, pairs.contexts)
    probabilities[np.arange(m), pairs.contexts] -= 1
    update(E, W, pairs.centres, hidden, probabilities, rate=rate)
    return cost


def forward(E: Matrix, W: Matrix, centres: NDArray[np.int32]) -> tuple[Matrix, Matrix]:
    """Return the hidden layer and the article's softmax of every pair."""
    hidden = E[centres]
    exponentials = np.exp(hidden @ W.T)
    return hidden, exponentials / (exponentials.sum(axis=1, keepdims=True) + EPSILON)


def cost_of_labels(probabilities: Matrix, contexts: NDArray[np.int32]) -> float:
    """Return the article's cost, from the probability of each pair's label."""
    with np.errstate(invalid="ignore"):  # NaN is the result to show
        return float(-np.log(probabilities[np.arange(len(contexts)), contexts] + EPSILON).mean())


def update(
    E: Matrix,
    W: Matrix,
    centres: NDArray[np.int32],
    hidden: Matrix,
    score_gradient: Matrix,
    *,
    rate: float,
) -> None:
    """Update both matrices as the article does, with repeated rows overwritten."""
    hidden_gradient = score_gradient @ W
    W -= rate * (score_gradient.T @ hidden) / len(centres)
    E[centres] -= rate * hidden_gradient


def examine(published: PublishedFigures, seeds: range) -> Point:
    """Train a plain implementation of the article both ways, from the same seed."""
    literal_costs, literal = train_plainly(epoch_with_cost_last, seeds[0])
    ordered_costs, ordered = train_plainly(epoch_with_cost_first, seeds[0])
    core = train_article(seeds[0]).costs
    distance = np.abs(ordered_costs - core).max()
    same = bool(np.array_equal(literal.embedding, ordered.embedding))
    claims = [
        Claim(
            "Cost after the change in two places",
            "NaN (earlier rewrite)",
            f"NaN in {np.isnan(literal_costs).sum():,} of {EPOCHS:,} epochs",
            "every epoch",
            "the entry of the label is p − 1 at that point, and log(p − 1 + 0.001) is real only for p > 0.999",
            bool(np.isnan(literal_costs).all()),
        ),
        Claim(
            "Cost with three changes and the cost first",
            "the `overwrite` run of point 2",
            f"{ordered_costs[-1]:.4f}, at most {distance:.0e} from it",
            f"{EQUAL:.0e} at every epoch",
            "same seed, same mathematics; 5,000 epochs of float64 rounding in another order of summation",
            bool(distance <= EQUAL),
        ),
        Claim(
            "Embedding after 5,000 epochs, literal against ordered",
            "equal",
            "equal" if same else "different",
            "to the bit",
            "the position of the cost does not affect the update",
            same,
        ),
    ]
    return Point(
        title="“Only two places need to be changed”",
        statement="Ids instead of one-hot labels need changes in two places only",
        stands=False,
        finding="They need three changes in a certain order. With two changes, the printed cost is NaN from the first "
        "epoch on, although the model trains as before.",
        claims=claims,
        body=prose(
            "literal_change",
            literal=_code(epoch_with_cost_last),
            ordered=_code(epoch_with_cost_first),
            table=_costs_table(literal_costs, ordered_costs, core),
        ),
    )


def train_plainly(epoch_step: EpochStep, seed: int) -> tuple[Matrix, Parameters]:
    """Return the cost of every epoch, and the final parameters."""
    pairs, schedule = article_pairs(), StepDecay()
    parameters = ArticleInitialization()(pairs.vocabulary_size, DIM, np.random.default_rng(seed))
    costs = [
        epoch_step(
            parameters.embedding,
            parameters.output,
            pairs,
            LEARNING_RATE * schedule(epoch, EPOCHS, epoch, EPOCHS),
        )
        for epoch in range(EPOCHS)
    ]
    return np.array(costs), parameters


def _costs_table(literal: Costs, ordered: Costs, core: Costs) -> str:
    rows = [
        [f"{epoch:,}", *(_shown(costs[epoch]) for costs in (literal, ordered, core))]
        for epoch in SHOWN_EPOCHS
    ]
    return table(["Epoch", "Cost last: literal", "Cost first", "This project's trainer"], rows)


def _code(function: EpochStep) -> str:
    return f"```python\n{inspect.getsource(function).rstrip()}\n```"


def _shown(cost: float) -> str:
    return "NaN" if np.isnan(cost) else f"{cost:.4f}"
