"""What a trained model knows of words, whatever way its two matrices share it out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def balanced_vectors(embedding: NDArray[Any], output: NDArray[Any]) -> NDArray[Any]:
    """Return (U + V)·√S, where U·S·Vᵀ is the singular value decomposition of E·Wᵀ.

    Scores depend on the product of the two matrices alone: (E·A)·(W·A⁻ᵀ)ᵀ is the same for every A, and which of them
    training arrives at is due to initialization and optimizer. The symmetric factors U·√S and V·√S are those that
    remain (Levy, Goldberg & Dagan 2015 find them good for PPMI); like input and output vectors, their sum is better
    than either. The V × V product is never made: it takes O(V·dim²).

    Parameters
    ----------
    embedding, output : ndarray, shape (V, dim)
        E and W.

    Returns
    -------
    ndarray, shape (V, dim)
        Of the embedding's dtype; columns by falling singular value, zeros where V is less than dim.
    """
    (left, left_rest), (right, right_rest) = (
        np.linalg.qr(matrix.astype(np.float64)) for matrix in (embedding, output)
    )
    U, values, Vt = np.linalg.svd(left_rest @ right_rest.T)
    vectors = np.zeros(embedding.shape, embedding.dtype)
    vectors[:, : len(values)] = (left @ U + right @ Vt.T) * np.sqrt(values)
    return vectors
