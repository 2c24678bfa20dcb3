"""Bands: which words of a block are in the window of which centre, as small matrices that touch along their diagonals.

A block of consecutive centres is taken in runs of `size`. The words that the windows of a run reach are
``size + 2·window`` consecutive ones, so all products of centres with their contexts are in one small matrix a run, of
which a band of 2·window + 1 diagonals is wanted:

        words →  0 1 2 3 4 5 6 7          offset −2 −1 0 1 2
    centre 0     x x . x x                       x  x  .  x  x
    centre 1       x x . x x                     x  x  .  x  x
    centre 2         x x . x x                   x  x  .  x  x
    centre 3           x x . x x                 x  x  .  x  x

The products that are not wanted are computed all the same: matrix products are so much faster than single ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray


class Bands:
    """The bands of a block of ``runs · size`` centres.

    Parameters
    ----------
    runs, size : int
        How many runs, of how many centres each; `size` is at least ``2 · window``, so that only neighbours overlap.
    window : int
        The greatest window.
    """

    def __init__(self, runs: int, size: int, window: int) -> None:
        if size < 2 * window:
            raise ValueError("A run must be as long as both sides of a window.")
        self.runs, self.size, self.window = runs, size, window
        self.reach = size + 2 * window  # words of a run
        self.width = 2 * window + 1  # of the band

    @property
    def centres(self) -> int:
        """How many centres there are."""
        return self.runs * self.size

    def around(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of the words of each run: of (centres + 2·window, dim) a view (runs, reach, dim)."""
        step, within = rows.strides
        return as_strided(
            rows, (self.runs, self.reach, rows.shape[1]), (self.size * step, step, within), writeable=False
        )

    def of(self, matrices: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the bands, (runs, size, width), of matrices (runs, size, reach)."""
        run, centre, word = matrices.strides
        band: NDArray[Any] = as_strided(
            matrices, (self.runs, self.size, self.width), (run, centre + word, word)
        )
        return band

    def matrices(self, band: NDArray[Any]) -> NDArray[Any]:
        """Return matrices (runs, size, reach) with this band, of shape (centres, width), and zeros around it."""
        matrices = np.zeros((self.runs, self.size, self.reach), band.dtype)
        self.of(matrices)[...] = band.reshape(self.runs, self.size, self.width)
        return matrices

    def scores(self, rows: NDArray[Any], around: NDArray[Any]) -> NDArray[Any]:
        """Return the product of each centre's row with those of the words around it: shape (centres, width)."""
        products = np.matmul(rows.reshape(self.runs, self.size, -1), around.transpose(0, 2, 1))
        return np.ascontiguousarray(self.of(products)).reshape(self.centres, self.width)

    def to_centres(self, matrices: NDArray[Any], around: NDArray[Any]) -> NDArray[Any]:
        """Return for each centre the sum of the rows around it, weighted by its band: shape (centres, dim)."""
        summed: NDArray[Any] = np.matmul(matrices, around).reshape(self.centres, -1)
        return summed

    def to_words(self, matrices: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
        """Return for each word the sum of the centres' rows, weighted by their bands: (centres + 2·window, dim)."""
        pieces = np.matmul(matrices.transpose(0, 2, 1), rows.reshape(self.runs, self.size, -1))
        overlap, dim = 2 * self.window, rows.shape[1]
        summed = np.empty((self.centres + overlap, dim), rows.dtype)
        own = summed[: self.centres].reshape(self.runs, self.size, dim)
        own[:] = pieces[:, : self.size]
        own[1:, :overlap] += pieces[:-1, self.size :]
        summed[self.centres :] = pieces[-1, self.size :]
        return summed

    def sum_to_words(self, band: NDArray[Any]) -> NDArray[Any]:
        """Return for each word the sum of what the bands have for it: of (centres, width), (centres + 2·window,)."""
        summed = np.zeros(self.centres + 2 * self.window, band.dtype)
        for offset, diagonal in enumerate(np.ascontiguousarray(band.T)):
            summed[offset : offset + self.centres] += diagonal
        return summed


def window_masks(window: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return the bands of all windows, shape ((window + 1)², 2·window + 1): 1 for a context, 0 for the others.

    Row ``before · (window + 1) + after`` is that of a centre with so many contexts before and after it.
    """
    return masks_of(*np.divmod(np.arange((window + 1) ** 2), window + 1), window, dtype)


def masks_of(
    before: NDArray[np.int64], after: NDArray[np.int64], window: int, dtype: DTypeLike
) -> NDArray[Any]:
    """Return the bands of centres with so many contexts before and after each: shape (centres, 2·window + 1)."""
    offsets = np.arange(-window, window + 1)
    inside = (offsets >= -before[:, None]) & (offsets <= after[:, None]) & (offsets != 0)
    masks: NDArray[Any] = inside.astype(dtype)
    return masks
