"""Adding rows into a matrix when some of them go to the same place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.scatter import scatter_add


@property_settings(deadline=None)
@given(
    rows=st.lists(st.integers(0, 4), max_size=30),
    columns=st.integers(1, 3),
    seed=st.integers(0, 999),
    index_type=st.sampled_from([np.int32, np.int64]),
)
def test_every_value_is_added_however_often_its_row_is_named(rows, columns, seed, index_type):
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((5, columns))
    values = generator.standard_normal((len(rows), columns))
    expected = matrix.copy()
    for row, value in zip(rows, values, strict=True):
        expected[row] += value
    scatter_add(matrix, np.array(rows, index_type), values)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_whole_numbers_are_summed_exactly(dtype):
    generator = np.random.default_rng(0)
    rows, values = generator.integers(0, 7, 5000), generator.integers(-9, 9, (5000, 3)).astype(dtype)
    matrix, expected = np.zeros((7, 3), dtype), np.zeros((7, 3), dtype)
    np.add.at(expected, rows, values)
    scatter_add(matrix, rows, values)
    np.testing.assert_array_equal(matrix, expected)
    assert matrix.dtype == dtype


def test_arguments_are_left_as_they_are():
    rows, values = np.array([2, 0, 2]), np.ones((3, 2))
    scatter_add(np.zeros((3, 2)), rows, values)
    assert rows.tolist() == [2, 0, 2]
    np.testing.assert_array_equal(values, np.ones((3, 2)))
