"""Maps: projections of vectors to a plane by principal components, t-SNE or UMAP."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v_exp.errors import SettingError, install_command, require_choice

if TYPE_CHECKING:
    from scipy.sparse import csr_array

AUTOMATIC = "auto"
PROJECTIONS = ("pca", "tsne", "umap")
NEEDED = {"umap": ("umap", "umap-learn")}
FEW = 4  # vectors up to which principal components are always used: t-SNE and UMAP need neighbours
SMALL = 200  # vectors below which `auto` is principal components, which take no time
MAPPED = (
    20_000  # vectors that t-SNE and UMAP arrange; later ones are placed near their nearest ones among these
)
PLACED_BY = 3
AT_ONCE = 1 << 23  # cosines: 34 MB
GROUP = 64  # columns; with 32 or 128 the time differs by less than a third
NEIGHBOURS = 15  # of UMAP
Positions = NDArray[np.float64]  # shape (n, 2)


def principal_components(vectors: NDArray[np.float64]) -> tuple[Positions, NDArray[np.float64]]:
    """Return the positions of n vectors on their first two principal components, and the shares of the variance.

    Returns
    -------
    positions : ndarray, shape (n, 2)
        The sign of a component is such that the vector furthest from 0 is positive.
    shares : ndarray, shape (2,)
        Shares of the variance; 0 if all vectors are equal.
    """
    axes, shares = principal_axes(vectors)
    return (vectors - vectors.mean(axis=0)) @ axes, shares


def principal_axes(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first two principal axes of n vectors, shape (dim, 2), and the shares of `principal_components`."""
    centred = vectors - vectors.mean(axis=0)
    # The triangle of QR has the same axes and singular values; for many vectors this is ten times as fast.
    _, sizes, rows = np.linalg.svd(np.linalg.qr(centred, mode="r"), full_matrices=False)
    kept = min(2, len(sizes))
    axes, shares = np.zeros((vectors.shape[1], 2)), np.zeros(2)
    axes[:, :kept] = rows[:kept].T
    positions = centred @ axes
    axes *= np.where(positions[np.abs(positions).argmax(axis=0), [0, 1]] < 0, -1, 1)
    variance = sizes**2
    if variance.sum() > 0:
        shares[:kept] = variance[:kept] / variance.sum()
    return axes, shares


def turned(positions: Positions, others: Positions, rows: Sequence[NDArray[np.int64]]) -> Positions:
    """Return positions rotated or mirrored in the plane, so that they are close to others.

    Parameters
    ----------
    positions, others : ndarray, shapes (n, 2) and (m, 2)
        Maps of any scale.
    rows : two sequences of int, of the same length
        Positions that should be close to these others: rows of `others`, then of `positions`.
    """
    there, here = others[rows[0]], positions[rows[1]]
    U, _, Vt = np.linalg.svd((here - here.mean(axis=0)).T @ (there - there.mean(axis=0)))
    rotated: Positions = positions @ (U @ Vt)
    return rotated


class Neighbours(NamedTuple):
    """The nearest of some directions for each of n directions, the nearest first.

    Attributes
    ----------
    ids : ndarray of int, shape (n, count)
    cosines : ndarray of float32, shape (n, count)
    """

    ids: NDArray[np.int64]
    cosines: NDArray[np.float32]


def nearest_directions(
    directions: NDArray[Any], others: NDArray[Any], count: int, *, same: bool = False
) -> Neighbours:
    """Return the `count` nearest of some directions for each of n directions.

    Parameters
    ----------
    directions, others : ndarray of float, shapes (n, dim) and (m, dim)
        Vectors of length 1, or 0.
    count : int
        Less than m.
    same : bool
        Whether both are the same directions, of which none is its own neighbour.
    """
    directions, others = directions.astype(np.float32), others.astype(np.float32)
    found = Neighbours(
        np.empty((len(directions), count), np.int64), np.empty((len(directions), count), np.float32)
    )
    step = min(256, AT_ONCE // len(others) + 1)
    for first in range(0, len(directions), step):
        rows = np.arange(first, min(first + step, len(directions)))
        cosines = directions[rows] @ others.T
        if same:
            cosines[np.arange(len(rows)), rows] = -np.inf
        found.ids[rows], found.cosines[rows] = highest(cosines, count)
    return found


def highest(numbers: NDArray[np.float32], count: int) -> Neighbours:
    """Return the columns of the `count` highest numbers of each row and these numbers, the highest first.

    The `count`-th highest of the maxima of groups of columns is a lower bound of the `count`-th highest number, and few
    others are above it. For the 15 highest of 200,000 numbers, this takes a seventh of the time of a partition of all.
    """
    n, m = numbers.shape
    groups = m // GROUP
    if groups > count:
        maxima = numbers[:, : groups * GROUP].reshape(n, groups, GROUP).max(axis=2)
        bounds = np.partition(maxima, -count, axis=1)[:, -count]
        rows, columns = np.nonzero(numbers >= bounds[:, None])
        if len(rows) <= 4 * n * count:  # more if many numbers are equal
            values = numbers[rows, columns]
            starts = np.searchsorted(rows, np.arange(n))
            order = np.lexsort((-values, rows))[starts[:, None] + np.arange(count)]
            return Neighbours(columns[order], values[order])
    columns = np.argpartition(numbers, -count, axis=1)[:, -count:]
    values = np.take_along_axis(numbers, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1))


MAP_WORDS = 300  # in the picture of a map; more dots have hardly any labels
SOFTMAX_WORDS = 50  # in a heat map; more cells are too small to distinguish


def map_positions(
    words: Sequence[str], vectors: NDArray[Any], counts: ArrayLike
) -> tuple[list[str], NDArray[np.float64], tuple[float, float]]:
    """Return the words of a map, their positions by principal components, and the shares of the variance.

    Parameters
    ----------
    words : sequence of str
        The vocabulary.
    vectors : ndarray, shape (V, dim)
        Their embeddings. Words whose vectors are not finite are omitted.
    counts : array-like, shape (V,)
        Occurrences of each word. At most `MAP_WORDS` words are on the map, the most frequent, by falling count.
    """
    finite = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    chosen = finite[np.argsort(-np.asarray(counts)[finite], kind="stable")][:MAP_WORDS]
    if not len(chosen):
        return [], np.zeros((0, 2)), (0.0, 0.0)
    positions, shares = principal_components(np.asarray(vectors, np.float64)[chosen])
    return [words[i] for i in chosen], positions, (float(shares[0]), float(shares[1]))


class Projector:
    """Maps of the same directions, equal for equal directions and seed.

    Parameters
    ----------
    directions : ndarray of float, shape (n, dim)
        Vectors of length 1, or 0: their distances rise as their cosines fall. The most important ones are first.
    seed : int
        Seed of UMAP. t-SNE needs none: it starts from principal components.
    """

    def __init__(self, directions: NDArray[Any], seed: int = 0) -> None:
        self._directions = directions.astype(np.float64)
        self._seed = seed

    def positions(self, projection: str, start: Positions | None = None) -> Positions:
        """Return the positions of all directions in the plane, shape (n, 2).

        They are computed for the first `MAPPED` directions by ``tsne`` (van der Maaten & Hinton 2008) or ``umap``
        (McInnes et al. 2018). Each other direction is placed among its nearest ones of these.

        Parameters
        ----------
        projection : str
            ``pca``, ``tsne`` or ``umap``.
        start : ndarray, shape (n, 2), optional
            Positions on another map by this projection, most of which are kept roughly; None: the principal components.
        """
        components, _ = self._components
        if projection == "pca" or not components.any():
            return components
        if start is not None and start[:MAPPED].any():
            similar = start[:MAPPED]
            arranged = tsne(self.near, similar, RESTART) if projection == "tsne" else self._umap(similar)
        else:
            first = components[:MAPPED] / components[:MAPPED, 0].std()
            arranged = tsne(self.near, first) if projection == "tsne" else self._umap(first)
        rest = self._directions[MAPPED:]
        return np.concatenate([arranged, self._among(rest, arranged)]) if len(rest) else arranged

    def place(self, others: NDArray[Any], projection: str, positions: Positions) -> Positions:
        """Return the positions of other directions on a map of these, shape (m, 2).

        On ``pca`` they are projected onto its plane. On other maps each is placed among the most similar ones of the
        first `MAPPED` directions.

        Parameters
        ----------
        others : ndarray of float, shape (m, dim)
            Vectors of length 1, or 0.
        projection : str
            That of the map.
        positions : ndarray, shape (n, 2)
            The map: a result of `positions`.
        """
        if projection == "pca":
            placed: Positions = (others - self._directions.mean(axis=0)) @ principal_axes(self._directions)[0]
            return placed
        return self._among(others, positions[:MAPPED])

    def _among(self, others: NDArray[Any], positions: Positions) -> Positions:
        """Return a position for each of m directions among its nearest of the first ones, which have positions."""
        near = nearest_directions(
            others, self._directions[: len(positions)], min(PLACED_BY, len(positions) - 1)
        )
        # The nearest one has most of the weight: a mean of distant positions would be far from all of them.
        weights = np.maximum(near.cosines, 1e-3).astype(np.float64) ** 16
        weights /= weights.sum(axis=1, keepdims=True)
        return (weights[:, :, None] * positions[near.ids]).sum(axis=1)  # type: ignore[no-any-return]

    @property
    def share(self) -> float:
        """Share of the variance in the plane of the principal components."""
        return float(self._components[1].sum())

    def kept(self, positions: Positions, nearest: int = 10, on_map: int = 50) -> float:
        """Return the share of nearest directions that are near on the map as well.

        It is the mean over the first `MAPPED` directions: of the `nearest` with the highest cosine, the share that is
        among the `on_map` nearest on the map.
        """
        from scipy.spatial import KDTree  # here, as SciPy elsewhere: a run without a map need not import it

        ids = self.near.ids[:, :nearest]
        count = min(on_map + 1, len(ids))
        found = KDTree(positions[: len(ids)]).query(positions[: len(ids)], count)[1]
        return float((ids[:, :, None] == found[:, None]).any(axis=2).mean())

    @cached_property
    def near(self) -> Neighbours:
        """The nearest of the first `MAPPED` directions for each of them."""
        mapped = self._directions[:MAPPED]
        return nearest_directions(mapped, mapped, min(int(3 * PERPLEXITY), len(mapped) - 1), same=True)

    @cached_property
    def _components(self) -> tuple[Positions, NDArray[np.float64]]:
        return principal_components(self._directions)

    def _umap(self, start: Positions) -> Positions:
        from umap import UMAP

        vectors = self._directions[:MAPPED]
        umap = UMAP(
            init=10 * start / np.abs(start).max(),
            n_neighbors=min(NEIGHBOURS, len(vectors) - 1),
            random_state=self._seed,
            n_jobs=1,
        )
        with warnings.catch_warnings():  # deprecations in its dependencies; a seed excludes threads
            warnings.simplefilter("ignore")
            return np.asarray(umap.fit_transform(vectors), np.float64)


def require_projection(projection: str) -> None:
    """Raise `SettingError` unless the projection is known, and its package is installed."""
    require_choice("projection", projection, [AUTOMATIC, *PROJECTIONS])
    module, package = NEEDED.get(projection, ("numpy", "numpy"))
    if find_spec(module) is None:
        raise SettingError(
            "projection",
            projection,
            f"needs {package}, which is not installed. Use tsne, or install it: {install_command('maps')}",
        )


def chosen_projection(projection: str, words: int) -> str:
    """Return the projection that a setting stands for: ``pca`` for few words."""
    if words <= FEW or (projection == AUTOMATIC and words < SMALL):
        return "pca"
    return "tsne" if projection == AUTOMATIC else projection


def map_seconds(words: int, dim: int, projection: str) -> float:
    """Return the expected seconds of a map on one core, within a factor of 2 on machines of 2026.

    Measured on a core of an Intel Xeon (Skylake): 12 s of t-SNE for 12,000 words of 100 dimensions, 2 s of which for
    their nearest words. That of UMAP is a guess: three times as long.
    """
    projection = chosen_projection(projection, words)
    if projection == "pca":
        return 0.0
    mapped = min(words, MAPPED)
    searching = mapped * words * (8e-9 + 6e-11 * dim)
    return searching + 8e-4 * mapped * (3 if projection == "umap" else 1)


# t-SNE: early exaggeration, then plain gradient descent with momentum and gains.
PERPLEXITY = 20.0


class Phases(NamedTuple):
    """How long and how strongly t-SNE exaggerates the attraction.

    Attributes
    ----------
    exaggeration : float
        Factor of the attraction in the first iterations.
    exaggerated : int
        Number of these iterations.
    iterations : int
        Number of all.
    """

    exaggeration: float
    exaggerated: int
    iterations: int


START = Phases(12.0, 100, 500)
# From another map. With the exaggeration of `START`, the map would be arranged anew: for 12,993 words of two runs, the
# correlation of the positions on both maps would be 0.73 instead of 0.97.
RESTART = Phases(4.0, 100, 300)
MOMENTUM = 0.8
SPACING = (
    0.5  # of the grid; the kernel has width 1. Half of it changes the kept neighbours by less than 0.4 points
)
MOST_NODES = 1_000  # of the grid, in each direction
EXACT = 250  # vectors up to which all pairs are computed, which takes less time then


def tsne(near: Neighbours, start: Positions, phases: Phases = START) -> Positions:
    """Return the positions of n vectors by t-SNE, from starting positions with the standard deviation 1.

    With `RESTART`, the starting positions are those of a map by t-SNE, at its scale.

    Barnes–Hut of scikit-learn takes 80 s for 12,000 words, and its sums depend on the number of threads. Here the
    repulsion is interpolated on a grid as in Linderman et al. 2019 (8 s), with the same share of kept neighbours.
    The learning rate n / 12 is that of Belkina et al. 2019; with a higher one, the exaggerated attraction overshoots.
    The start is that of Kobak & Berens 2019.
    """
    shares = affinities(near)
    rows = np.repeat(np.arange(len(start)), np.diff(shares.indptr))
    columns, affinity = shares.indices, shares.data
    weights = shares.copy()
    repulsion = exact_repulsion if len(start) <= EXACT else Repulsion()
    positions = start.astype(np.float32)
    velocity, gains = np.zeros_like(positions), np.ones_like(positions)
    rate = np.float32(len(start) / START.exaggeration)
    for iteration in range(phases.iterations):
        x, y = positions.T.copy()
        squares = (x[rows] - x[columns]) ** 2 + (y[rows] - y[columns]) ** 2
        np.divide(affinity, 1 + squares, out=weights.data)
        attraction = weights.sum(axis=1)[:, None] * positions - weights @ positions
        factor = np.float32(phases.exaggeration if iteration < phases.exaggerated else 1)
        gradient = factor * attraction - repulsion(positions)
        gains = np.where(velocity * gradient < 0, gains + np.float32(0.2), gains * np.float32(0.8))
        gains = np.maximum(gains, np.float32(0.01))
        velocity = np.float32(MOMENTUM) * velocity - rate * gains * gradient
        positions = positions + velocity
        positions -= positions.mean(axis=0)
    return positions.astype(np.float64)


def affinities(near: Neighbours) -> csr_array:
    """Return the symmetric affinities of n vectors, which sum to 1, as a sparse matrix of float32.

    Each row is a Gaussian of the distances to the neighbours, with a width that gives it the perplexity `PERPLEXITY`.
    """
    from scipy.sparse import csr_array

    n, count = near.ids.shape
    target = np.log(min(PERPLEXITY, count / 3))
    # Squared distances, up to a factor and a constant.
    squares = np.maximum(near.cosines[:, :1] - near.cosines, 0).astype(np.float64)
    precision, low, high = np.ones((n, 1)), np.zeros((n, 1)), np.full((n, 1), np.inf)
    for _ in range(50):  # bisection
        weights = np.exp(-squares * precision)
        total = weights.sum(axis=1, keepdims=True)
        entropy = np.log(total) + precision * (squares * weights).sum(axis=1, keepdims=True) / total
        low = np.where(entropy > target, precision, low)
        high = np.where(entropy > target, high, precision)
        precision = np.where(np.isinf(high), 2 * precision, (low + high) / 2)
    weights = np.exp(-squares * precision)
    weights /= weights.sum(axis=1, keepdims=True)
    one_way = csr_array((weights.ravel(), near.ids.ravel(), np.arange(0, n * count + 1, count)), shape=(n, n))
    both_ways = csr_array(one_way + one_way.T)
    both_ways.sort_indices()
    return (both_ways / (2 * n)).astype(np.float32)


class Repulsion:
    """The repulsion of t-SNE, by fast Fourier transforms of the density of the positions on a grid.

    The grid underestimates the forces between positions closer than its spacing, by up to a fifth, and the sum over all
    pairs by up to a twentieth of the number of positions, which matters only if they are few.
    """

    def __init__(self) -> None:
        from scipy import fft

        self._fft = fft
        self._grid = (0, 0.0)  # nodes in each direction, spacing
        self._kernels: list[NDArray[Any]] = []

    def __call__(self, positions: NDArray[np.float32]) -> NDArray[Any]:
        """Return the repulsion of each of n positions, shape (n, 2)."""
        lowest = positions.min(axis=0)
        span = float((positions.max(axis=0) - lowest).max())
        spacing = max(SPACING, span / MOST_NODES)
        nodes = 16 * (int(span / spacing + 4) // 16 + 1)  # in steps: most iterations have the same kernels
        size = self._prepare(nodes, spacing)
        scaled = (positions - lowest) / np.float32(spacing) + 1
        corner = scaled.astype(np.int64)
        u = (scaled - corner).T
        # Cubic interpolation (Lagrange) from four nodes in each direction, 16 in all.
        cubic = np.stack([-u * (u - 1) * (u - 2) / 6, (u + 1) * (u - 1) * (u - 2) / 2, -(u + 1) * u * (u - 2) / 2,
                          (u + 1) * u * (u - 1) / 6])  # fmt: skip
        weights = (cubic[:, None, 0] * cubic[None, :, 1]).reshape(16, -1)
        offsets = np.arange(-1, 3)
        row, column = (corner[:, k] + offsets[:, None] for k in (0, 1))
        node = (size * row[:, None] + column[None]).reshape(16, -1)
        density = np.bincount(node.ravel(), weights.ravel(), size * size).astype(np.float32)
        transformed = self._fft.rfft2(density.reshape(size, size))
        potential, right, up = (
            (weights * self._fft.irfft2(transformed * kernel, (size, size)).ravel()[node]).sum(axis=0)
            for kernel in self._kernels
        )
        of_others = float(potential.sum(dtype=np.float64)) - len(positions)  # without each with itself
        return np.column_stack([right, up]) / np.float32(max(of_others, 1e-12))

    def _prepare(self, nodes: int, spacing: float) -> int:
        """Compute the kernels of a grid, unless they are those of the last one; return its padded size."""
        size: int = self._fft.next_fast_len(2 * nodes, real=True)
        if self._grid != (nodes, spacing):
            self._grid = (nodes, spacing)
            steps = (self._fft.fftfreq(size, 1 / size) * spacing).astype(np.float32)
            x, y = steps[:, None], steps[None]
            near = 1 / (1 + x**2 + y**2)
            self._kernels = [self._fft.rfft2(kernel) for kernel in (near, x * near**2, y * near**2)]
        return size


def exact_repulsion(positions: NDArray[np.float32]) -> NDArray[Any]:
    """Return the repulsion of each of n positions by all others, shape (n, 2)."""
    x, y = (coordinate[:, None] - coordinate for coordinate in positions.T)
    near = 1 / (1 + x**2 + y**2)
    np.fill_diagonal(near, 0)
    others = max(near.sum(), np.float32(1e-12))
    near **= 2
    forces = np.column_stack([(near * x).sum(axis=1), (near * y).sum(axis=1)])
    forces /= others
    return forces
