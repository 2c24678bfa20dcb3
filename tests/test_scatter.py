"""Adding rows into a matrix when some of them go to the same place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.scatter import add_scaled_rows, scatter_add


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 500])
def test_scaled_rows_are_added_one_after_the_other(dtype, count):
    generator = np.random.default_rng(0)
    matrix, values = generator.standard_normal((7, 3)).astype(dtype), generator.standard_normal((count, 3))
    rows, scale = generator.integers(0, 7, count).astype(np.int32), generator.standard_normal(count)
    expected = matrix.astype(np.float64)
    np.add.at(expected, rows, scale[:, None] * values)
    add_scaled_rows(matrix, rows, values.astype(dtype), scale.astype(dtype))
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("row", [-1, 7])
def test_a_scaled_row_outside_of_the_matrix_is_refused(row):
    with pytest.raises(IndexError, match="from 0 to 6"):
        add_scaled_rows(np.zeros((7, 3)), np.array([0, row], np.int32), np.ones((2, 3)), np.ones(2))


def test_a_matrix_that_would_be_copied_is_refused():
    """What is added to the copy would be lost."""
    with pytest.raises(ValueError, match="C-contiguous"):
        add_scaled_rows(np.zeros((3, 7)).T, np.zeros(1, np.int32), np.ones((1, 3)), np.ones(1))
