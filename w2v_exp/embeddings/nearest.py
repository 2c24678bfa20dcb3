"""The nearest of many vectors: the largest cosines of many queries at once, equal ones in the order of ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH_BYTES = 1 << 25  # of the cosines of a batch of queries with all vectors


def nearest(
    directions: NDArray[Any], queries: NDArray[Any], topn: int, excluded: Sequence[Sequence[int]]
) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """Yield for each query the ids of the vectors with the largest cosines, and these cosines.

    A batch of queries is one product with all vectors. BLAS rounds equal rows of a product differently in different
    places, so what could be among the nearest is then compared row by row: vectors that are equal tie, and a query
    gets the same answer, bit by bit, whatever is asked beside it.

    Parameters
    ----------
    directions : ndarray of float, shape (V, dim)
        Vectors of length 1 (or 0).
    queries : ndarray of the same dtype, shape (n, dim)
        Likewise.
    topn : int
        How many to return at the most, for each query.
    excluded : sequence of n sequences of int
        Ids that are not returned for a query.

    Yields
    ------
    ids : ndarray of int, shape (min(topn, what is left),)
        By falling cosine, equal ones by rising id.
    cosines : ndarray of float, the same shape
    """
    batch_size = max(1, BATCH_BYTES // (len(directions) * directions.itemsize))
    rounding = 2 * directions.shape[1] * np.finfo(directions.dtype).eps  # of a product and of a row, together
    cosines_of_batch = np.empty((min(batch_size, len(queries)), len(directions)), directions.dtype)
    for start in range(0, len(queries), batch_size):
        batch = queries[start : start + batch_size]
        products = np.matmul(batch, directions.T, out=cosines_of_batch[: len(batch)])
        for query, product, left_out in zip(batch, products, excluded[start:], strict=False):
            product[list(left_out)] = -np.inf
            count = min(topn, len(product) - len(set(left_out)))
            candidates = np.flatnonzero(product >= _largest(product, count) - rounding)
            cosines = np.vecdot(directions[candidates], query)
            best = np.argsort(-cosines, kind="stable")[:count]
            yield candidates[best], cosines[best]


def highest(scores: NDArray[Any], topn: int, excluded: Sequence[int]) -> NDArray[np.intp]:
    """Return the ids of the `topn` highest scores that are not excluded: equal ones by rising id."""
    left = scores.copy()
    left[list(excluded)] = -np.inf
    count = min(topn, len(left) - len(set(excluded)))
    candidates = np.flatnonzero(left >= _largest(left, count))
    return candidates[np.argsort(-left[candidates], kind="stable")[:count]]


def _largest(values: NDArray[Any], count: int) -> Any:
    """Return the `count`-th largest value; infinity for none."""
    place = len(values) - count
    return np.partition(values, place)[place] if count else np.inf
