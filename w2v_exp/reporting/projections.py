"""Projections: places for vectors in a plane."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.errors import SettingError, install_command, require_choice

FEW = 4  # vectors; as many have places by principal components, since others need neighbours
NEIGHBOURS = 15  # of a vector, that UMAP wants to keep near it
PERPLEXITY = 30.0  # of t-SNE: about as many
NEEDED = {"tsne": ("sklearn", "scikit-learn"), "umap": ("umap", "umap-learn")}


def principal_components(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the places of n vectors along their first two principal components, and their variances.

    Returns
    -------
    places : ndarray, shape (n, 2)
        With signs such that the vector farthest out on each component is on its positive side.
    shares : ndarray, shape (2,)
        The components' shares of the variance; 0 for vectors that do not vary.
    """
    centred = vectors - vectors.mean(axis=0)
    # Axes and sizes are those of the triangle alone: with many vectors a tenth of the work.
    _, sizes, axes = np.linalg.svd(np.linalg.qr(centred, mode="r"), full_matrices=False)
    kept = min(2, len(sizes))
    places, shares = np.zeros((len(vectors), 2)), np.zeros(2)
    places[:, :kept] = centred @ axes[:kept].T
    places *= np.where(places[np.abs(places).argmax(axis=0), [0, 1]] < 0, -1, 1)
    variance = sizes**2
    if variance.sum() > 0:
        shares[:kept] = variance[:kept] / variance.sum()
    return places, shares


def project(
    directions: NDArray[Any], projection: str, seed: int = 0
) -> tuple[NDArray[np.float64], float | None]:
    """Return places of n directions in a plane: the same again for the same directions and seed.

    Parameters
    ----------
    directions : ndarray of float, shape (n, dim)
        Vectors of length 1, or 0: their distances rise as their cosines fall.
    projection : str
        ``pca``, ``tsne`` (van der Maaten & Hinton 2008; scikit-learn) or ``umap`` (McInnes et al. 2018; umap-learn).
        The last two start from principal components, which are also what four vectors or fewer get.
    seed : int
        Of what the last two draw.

    Returns
    -------
    places : ndarray, shape (n, 2)
    share : float or None
        What principal components hold of the variance; None for other places.

    Raises
    ------
    SettingError
        If there is no such projection, or its package is not installed.
    """
    require_projection(projection)
    vectors = directions.astype(np.float64)
    places, shares = principal_components(vectors)
    if projection == "pca" or len(places) <= FEW or not places.any():
        return places, float(shares.sum())
    start = places / places[:, 0].std()
    with warnings.catch_warnings():  # of packages below these two, and that a seed excludes threads
        warnings.simplefilter("ignore")
        return PROJECTIONS[projection](vectors, start, seed), None


def require_projection(projection: str) -> None:
    """Raise `SettingError` unless there is such a projection, and its package is installed."""
    require_choice("projection", projection, PROJECTIONS)
    module, package = NEEDED.get(projection, ("numpy", "numpy"))
    if find_spec(module) is None:
        raise SettingError(
            "projection",
            projection,
            f"needs {package}, which is not installed; take pca, or install it: {install_command('maps')}",
        )


def _principal(vectors: NDArray[np.float64], start: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return start


def _tsne(vectors: NDArray[np.float64], start: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    tsne = TSNE(
        init=1e-4 * start,  # small, as Kobak & Berens (2019) advise: so it keeps what it can of the whole
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        learning_rate="auto",
        random_state=seed,
    )
    with threadpool_limits(limits=1, user_api="openmp"):  # sums of several threads differ from run to run
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
