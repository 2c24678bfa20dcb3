from __future__ import annotations

import numpy as np
import pytest

from w2v_exp.model.negative_sampling import softplus_and_sigmoid


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_are_finite(dtype: type) -> None:
    costs, sigmoid = softplus_and_sigmoid(np.array([-1e4, 0.0, 60.0, 1e4], dtype))
    assert np.isfinite(costs).all()
    assert costs[:3] == pytest.approx([0, np.log(2), 60])
    assert sigmoid == pytest.approx([0, 0.5, 1, 1])


def test_what_is_no_number_stays_so() -> None:
    costs, _ = softplus_and_sigmoid(np.array([np.nan, 0.0]))
    assert np.isnan(costs[0])
