"""Bands: the pair products of a block of words as small dense matrices.

A block of consecutive centres is divided into runs of `size` centres. The windows of a run cover ``size + 2·window``
consecutive words, so all products of its centres with their contexts lie in one small matrix, in a band of
2·window + 1 diagonals:

        words →  0 1 2 3 4 5 6 7          offset −2 −1 0 1 2
    centre 0     x x . x x                       x  x  .  x  x
    centre 1       x x . x x                     x  x  .  x  x
    centre 2         x x . x x                   x  x  .  x  x
    centre 3           x x . x x                 x  x  .  x  x

The cells outside the band are computed and ignored: a dense product is much faster than separate dot products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray


class Bands:
    """The layout of a block of ``runs · size`` centres.

    Parameters
    ----------
    runs, size : int
        Number of runs, and centres per run; `size` is at least ``2 · window``, so that only adjacent runs overlap.
    window : int
        Largest distance between a centre and a context.

    Attributes
    ----------
    centres : int
        ``runs · size``.
    reach : int
        Words covered by the windows of a run.
    width : int
        Diagonals of the band, the centre's own included.
    """

    def __init__(self, runs: int, size: int, window: int) -> None:
        if size < 2 * window:
            raise ValueError(f"size={size}: a run must be as long as both sides of a window, {2 * window}.")
        self.runs, self.size, self.window = runs, size, window
        self.centres = runs * size
        self.reach = size + 2 * window
        self.width = 2 * window + 1

    def around(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the rows that each run covers, (runs, reach, dim).

        `rows` are those of all words of the block, (centres + 2·window, dim).
        """
        step, within = rows.strides
        return as_strided(
            rows, (self.runs, self.reach, rows.shape[1]), (self.size * step, step, within), writeable=False
        )

    def of(self, matrices: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the bands, (runs, size, width), of matrices."""
        run, centre, word = matrices.strides
        band: NDArray[Any] = as_strided(
            matrices, (self.runs, self.size, self.width), (run, centre + word, word)
        )
        return band

    def matrices(self, band: NDArray[Any]) -> NDArray[Any]:
        """Return matrices (runs, size, reach) with this band, else zeros."""
        matrices = np.zeros((self.runs, self.size, self.reach), band.dtype)
        self.of(matrices)[...] = band.reshape(self.runs, self.size, self.width)
        return matrices

    def scores(self, rows: NDArray[Any], around: NDArray[Any]) -> NDArray[Any]:
        """Return products of centres' rows with those around, (centres, width)."""
        products = np.matmul(rows.reshape(self.runs, self.size, -1), around.transpose(0, 2, 1))
        return np.ascontiguousarray(self.of(products)).reshape(self.centres, self.width)

    def to_centres(self, matrices: NDArray[Any], around: NDArray[Any]) -> NDArray[Any]:
        """Return for each centre the weighted sum of rows around it.

        The shape is (centres, dim).
        """
        summed: NDArray[Any] = np.matmul(matrices, around).reshape(self.centres, -1)
        return summed

    def to_words(self, matrices: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
        """Return for each word the sum of centres' rows, weighted by bands.

        The shape is (centres + 2·window, dim).
        """
        by_run = np.matmul(matrices.transpose(0, 2, 1), rows.reshape(self.runs, self.size, -1))
        overlap, dim = 2 * self.window, rows.shape[1]
        summed = np.empty((self.centres + overlap, dim), rows.dtype)
        own = summed[: self.centres].reshape(self.runs, self.size, dim)
        own[:] = by_run[:, : self.size]
        own[1:, :overlap] += by_run[:-1, self.size :]
        summed[self.centres :] = by_run[-1, self.size :]
        return summed

    def sum_to_words(self, band: NDArray[Any]) -> NDArray[Any]:
        """Return for each word the sum of a band, (centres + 2·window,)."""
        summed = np.zeros(self.centres + 2 * self.window, band.dtype)
        for offset, diagonal in enumerate(np.ascontiguousarray(band.T)):
            summed[offset : offset + self.centres] += diagonal
        return summed


def window_masks(window: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return the bands of all windows, ((window + 1)², 2·window + 1).

    A cell is 1 for a context, else 0.

    Row ``before · (window + 1) + after`` belongs to a centre with that many contexts before and after it.
    """
    return masks_of(*np.divmod(np.arange((window + 1) ** 2), window + 1), window, dtype)


def masks_of(
    before: NDArray[np.int64], after: NDArray[np.int64], window: int, dtype: DTypeLike
) -> NDArray[Any]:
    """Return the bands of centres, (centres, 2·window + 1)."""
    offsets = np.arange(-window, window + 1)
    inside = (offsets >= -before[:, None]) & (offsets <= after[:, None]) & (offsets != 0)
    masks: NDArray[Any] = inside.astype(dtype)
    return masks
