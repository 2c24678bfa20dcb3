"""Addition of many rows to rows of a matrix, some of them to the same row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def scatter_add(matrix: NDArray[Any], rows: NDArray[np.integer[Any]], values: NDArray[Any]) -> None:
    """Add ``values[i]`` to ``matrix[rows[i]]`` for every i, however often a row is named.

    ``matrix[rows] += values`` keeps only the last value of a repeated row, and ``np.add.at`` is slow, so the
    values are sorted by row and each run of equal rows is summed first.

    Parameters
    ----------
    matrix : ndarray, shape (r, n)
        Changed in place.
    rows : ndarray of int, shape (m,)
        The row that each value goes to, at least 0 (−1 and r − 1 would count as two different rows).
    values : ndarray, shape (m, n)
        The rows to add.
    """
    if not rows.size:
        return
    order = np.argsort(rows, kind="stable")
    sorted_rows = rows[order]
    starts = np.flatnonzero(np.r_[True, sorted_rows[1:] != sorted_rows[:-1]])
    matrix[sorted_rows[starts]] += np.add.reduceat(values[order], starts, axis=0)


def add_scaled_rows(
    matrix: NDArray[Any], rows: NDArray[np.int32], values: NDArray[Any], scale: NDArray[Any]
) -> None:
    """Add ``scale[i] * values[i]`` to ``matrix[rows[i]]`` for every i, however often a row is named.

    It is the product of a sparse matrix, which has one entry in each column, and a dense one, added to a third. SciPy's
    compiled routine computes it in the order given, without sorting or copying: 0.1 µs for a row of 100 numbers, a
    fifth of the time of `scatter_add`. SciPy's public product would make a new matrix.

    Parameters
    ----------
    matrix : ndarray of float32 or float64, shape (r, n), C-contiguous
        Changed in place.
    rows : ndarray of int32, shape (m,)
        The row that each value is added to, from 0 to r − 1; checked.
    values : ndarray of the same dtype, shape (m, n)
        The rows to add.
    scale : ndarray of the same dtype, shape (m,)
        Factor of each row.
    """
    from scipy.sparse import _sparsetools

    if not matrix.flags.c_contiguous or not matrix.dtype == values.dtype == scale.dtype:
        raise ValueError("Rows are added to a C-contiguous matrix of their own dtype.")
    count = len(rows)
    if count and not 0 <= np.minimum.reduce(rows) <= np.maximum.reduce(rows) < len(matrix):
        raise IndexError(f"Rows must be from 0 to {len(matrix) - 1}.")  # SciPy would write anywhere
    one_each = np.arange(count + 1, dtype=np.int32)
    _sparsetools.csc_matvecs(
        len(matrix), count, matrix.shape[1], one_each, rows, scale, values.reshape(-1), matrix.reshape(-1)
    )
