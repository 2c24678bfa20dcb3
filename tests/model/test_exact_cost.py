"""The cost of counted pairs, against the definition."""

import math

import numpy as np
import pytest

from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.model import softmax as module
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.softmax import Softmax, exact_cost

V, DIM, WINDOW = 30, 5, 4
IDS = np.minimum(np.random.default_rng(1).geometric(0.12, 400) - 1, V - 4).astype(
    np.int32
)  # three never occur


def parameters(scale=0.5, offset=False, dtype=np.float64):
    drawn = ArticleInitialization(scale)(V, DIM, np.random.default_rng(0), dtype)
    values = np.random.default_rng(2).normal(size=V).astype(dtype) if offset else None
    return Parameters(drawn.embedding, drawn.output, values)


def plain_cost(of, ids, weigh=lambda distance: 1.0):
    """The mean over all pairs of a text, one by one."""
    total = weights = 0.0
    for place, centre in enumerate(ids):
        scores = [
            sum(float(a) * float(b) for a, b in zip(of.embedding[centre], row, strict=True))
            for row in of.output
        ]
        if of.offset is not None:
            scores = [score + float(added) for score, added in zip(scores, of.offset, strict=True)]
        log_normalizer = math.log(sum(math.exp(score) for score in scores))
        for other in range(max(0, place - WINDOW), min(len(ids), place + WINDOW + 1)):
            if other != place:
                weight = weigh(abs(other - place))
                total += weight * (log_normalizer - scores[ids[other]])
                weights += weight
    return total / weights


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("scores_at_once", [1, 5 * V, 1 << 22])
def test_it_is_the_mean_over_the_pairs_one_by_one(offset, scores_at_once, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_SCORES", scores_at_once)
    found = exact_cost(parameters(offset=offset), count_window_pairs([IDS], WINDOW, V))
    assert found == pytest.approx(plain_cost(parameters(offset=offset), IDS), abs=1e-10)


def test_pairs_weigh_what_shrinking_windows_give_them():
    counts = count_window_pairs([IDS], WINDOW, V, shrinking=True)
    expected = plain_cost(parameters(), IDS, lambda distance: (WINDOW - distance + 1) / WINDOW)
    assert exact_cost(parameters(), counts) == pytest.approx(expected, abs=1e-10)


def test_it_is_the_cost_that_training_on_them_would_have_whatever_is_smoothed_or_added():
    counts = count_window_pairs([IDS], WINDOW, V)
    of = parameters()
    rule = CountsRule(centres=V, smoothing=50.0, centre_exponent=0.5)
    (batch,) = CountedExamples(counts, rule).batches(np.random.default_rng(0))
    step = Softmax(epsilon=0.001).step(of, batch)
    assert exact_cost(of, counts) == pytest.approx(step.cost / counts.total, abs=1e-12)


def test_float32_parameters_cost_nearly_the_same():
    counts = count_window_pairs([IDS], WINDOW, V)
    assert exact_cost(parameters(dtype=np.float32), counts) == pytest.approx(
        exact_cost(parameters(), counts), abs=1e-6
    )


def test_large_scores_do_not_overflow():
    with np.errstate(over="raise", invalid="raise"):
        cost = exact_cost(parameters(scale=40.0), count_window_pairs([IDS], WINDOW, V))
    assert 100 < cost < math.inf


def test_parameters_that_fit_the_pairs_cost_their_entropy():
    """A model of the pairs' own shares costs the cost floor, and nothing costs less."""
    ids = np.array([0, 1, 2, 1, 0, 2, 2], np.int32)
    counts = count_window_pairs([ids], 1, 3)
    table = np.zeros((3, 3))
    pairs = window_pairs(ids, 1, 3)
    np.add.at(table, (pairs.centres, pairs.contexts), 1)
    shares = table / table.sum(axis=1, keepdims=True)
    best = Parameters(np.log(np.maximum(shares, 1e-30)), np.eye(3))
    floor = -(table * np.log(np.where(table > 0, shares, 1))).sum() / table.sum()
    assert exact_cost(best, counts) == pytest.approx(floor, abs=1e-12)
