from __future__ import annotations

import numpy as np
import pytest

from w2v_exp.model.logistic import logistic_cost


def plain_cost(scores, weights, balances):
    positive, negative = (weights - balances) / 2, (weights + balances) / 2
    return (positive * np.logaddexp(0, -scores) + negative * np.logaddexp(0, scores)).sum()


def test_cost_and_derivative_are_those_of_logarithms_of_sigmoids() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(0, 4, (3, 5))
    positive, negative = generator.integers(0, 4, (2, 3, 5))
    weights, balances = positive + negative, (negative - positive).astype(float)
    cost, by_score = logistic_cost(scores.copy(), weights, balances)
    assert cost == pytest.approx(plain_cost(scores, weights, balances), rel=1e-12)
    for cell in np.ndindex(scores.shape):
        step = np.zeros_like(scores)
        step[cell] = 1e-5
        higher, lower = (plain_cost(scores + side * step, weights, balances) for side in (1, -1))
        assert by_score[cell] == pytest.approx((higher - lower) / 2e-5, abs=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("balance", [-1, 1])
def test_large_scores_are_finite(dtype: type, balance: int) -> None:
    for score, cost in ((-1e4, 0), (0, np.log(2)), (60, 60), (1e4, 1e4)):
        found, by_score = logistic_cost(
            np.array([balance * score], dtype), np.ones(1, dtype), np.array([balance], dtype)
        )
        assert found == pytest.approx(cost)
        assert by_score[0] == pytest.approx(balance * (score > 0) if score else balance / 2)


def test_what_is_no_number_stays_so() -> None:
    cost, by_score = logistic_cost(np.array([np.nan, 0.0]), np.ones(2), np.ones(2))
    assert np.isnan(cost)
    assert np.isnan(by_score[0])
