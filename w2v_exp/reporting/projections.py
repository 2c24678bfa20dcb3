"""Projections of vectors to a plane: principal components, t-SNE, UMAP."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.errors import SettingError, install_command, require_choice

FEW = 4  # vectors up to which principal components are always used: t-SNE and UMAP need neighbours
NEIGHBOURS = 15  # of UMAP
PERPLEXITY = 30.0  # of t-SNE
NEEDED = {"tsne": ("sklearn", "scikit-learn"), "umap": ("umap", "umap-learn")}


def principal_components(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions of n vectors on their first two principal components, and the shares of the variance.

    Returns
    -------
    positions : ndarray, shape (n, 2)
        The sign of a component is such that the vector furthest from 0 is positive.
    shares : ndarray, shape (2,)
        Shares of the variance; 0 if all vectors are equal.
    """
    centred = vectors - vectors.mean(axis=0)
    # The triangle of QR has the same axes and singular values; for many vectors this is ten times as fast.
    _, sizes, axes = np.linalg.svd(np.linalg.qr(centred, mode="r"), full_matrices=False)
    kept = min(2, len(sizes))
    positions, shares = np.zeros((len(vectors), 2)), np.zeros(2)
    positions[:, :kept] = centred @ axes[:kept].T
    positions *= np.where(positions[np.abs(positions).argmax(axis=0), [0, 1]] < 0, -1, 1)
    variance = sizes**2
    if variance.sum() > 0:
        shares[:kept] = variance[:kept] / variance.sum()
    return positions, shares


def project(
    directions: NDArray[Any], projection: str, seed: int = 0
) -> tuple[NDArray[np.float64], float | None]:
    """Return the positions of n directions in a plane, equal for equal directions and seed.

    Parameters
    ----------
    directions : ndarray of float, shape (n, dim)
        Vectors of length 1, or 0: their distances rise as their cosines fall.
    projection : str
        ``pca``, ``tsne`` (van der Maaten & Hinton 2008; scikit-learn) or ``umap`` (McInnes et al. 2018; umap-learn).
        The last two start from principal components. Four vectors or fewer always get principal components.
    seed : int
        Seed of t-SNE and UMAP.

    Returns
    -------
    positions : ndarray, shape (n, 2)
    share : float or None
        Share of the variance in the plane; None for t-SNE and UMAP.

    Raises
    ------
    SettingError
        If the projection is unknown, or its package is not installed.
    """
    require_projection(projection)
    vectors = directions.astype(np.float64)
    positions, shares = principal_components(vectors)
    if projection == "pca" or len(positions) <= FEW or not positions.any():
        return positions, float(shares.sum())
    start = positions / positions[:, 0].std()
    with (
        warnings.catch_warnings()
    ):  # deprecations in their dependencies; UMAP warns that a seed excludes threads
        warnings.simplefilter("ignore")
        return PROJECTIONS[projection](vectors, start, seed), None


def require_projection(projection: str) -> None:
    """Raise `SettingError` unless the projection is known, and its package is installed."""
    require_choice("projection", projection, PROJECTIONS)
    module, package = NEEDED.get(projection, ("numpy", "numpy"))
    if find_spec(module) is None:
        raise SettingError(
            "projection",
            projection,
            f"needs {package}, which is not installed. Use pca, or install it: {install_command('maps')}",
        )


def _principal(vectors: NDArray[np.float64], start: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return start


def _tsne(vectors: NDArray[np.float64], start: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    tsne = TSNE(
        init=1e-4 * start,  # small, as Kobak & Berens (2019) advise: it keeps more of the global structure
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        learning_rate="auto",
        random_state=seed,
    )
    with threadpool_limits(limits=1, user_api="openmp"):  # sums of several threads are not reproducible
        return np.asarray(tsne.fit_transform(vectors), np.float64)


def _umap(vectors: NDArray[np.float64], start: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from umap import UMAP

    umap = UMAP(
        init=10 * start / np.abs(start).max(),
        n_neighbors=min(NEIGHBOURS, len(vectors) - 1),
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(umap.fit_transform(vectors), np.float64)


Projection = Callable[[NDArray[np.float64], NDArray[np.float64], int], NDArray[np.float64]]
PROJECTIONS: dict[str, Projection] = {"pca": _principal, "tsne": _tsne, "umap": _umap}
