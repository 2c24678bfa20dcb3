"""The scatter of rows: adding many rows into a matrix when some of them go to the same place."""

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
