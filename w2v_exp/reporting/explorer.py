"""The explorer: embeddings as one HTML page, with maps of the words, their nearest words, and analogies."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import UserError, check_number, check_whole, shown
from w2v_exp.files import replacing
from w2v_exp.machine import readable_bytes
from w2v_exp.reporting.pages import WEB, render_page
from w2v_exp.reporting.projections import (
    AUTOMATIC,
    MAPPED,
    Projector,
    chosen_projection,
    map_seconds,
    require_projection,
)

SCRIPTS = ("vectors.js", "map.js", "picture.js", "completion.js", "main.js")
WIDE_BYTES = 1_000_000  # vectors that take at most this much with 16 bits per number have 16, larger ones 8
MEGABYTE = 1_000_000
TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
NOTES = {
    "pca": "First two principal components, {share:.0f} % of the variance.",
    "tsne": "t-SNE: similar words are near, distances between groups mean little.",
    "umap": "UMAP: similar words are near, distances between groups mean little.",
}
KEPT = " Of the 10 most similar words of a word, {kept:.0f} % are among its 50 nearest on this map."
PLACED = f" Words after the first {MAPPED:,} are placed near the most similar of these."
MOST_CLUSTERS = 14  # two tones of each colour of the pages
WORDS_PER_CLUSTER = 40  # at least, on average
NAMES = 3  # words that name a cluster
NO_WORD = 2**32 - 1


@dataclass(frozen=True)
class NoExplorer:
    """A run writes no explorer."""


@dataclass(frozen=True)
class ExplorerRule:
    """A run writes its embeddings as a page, ``explorer.html``.

    Parameters
    ----------
    limit_mb : float, optional
        A larger page is not written, and the run prints this; None: no limit. In megabytes.
    words : int, optional
        Number of words on the page, the most frequent; None: all.
    projection : str
        The first map of the page: ``tsne``, ``umap``, ``pca``, or ``auto``: t-SNE for 200 words or more, else PCA. The
        page always contains the map by PCA; see `Projector`.

    Raises
    ------
    SettingError
        If there is no such projection, or its package is not installed.
    """

    limit_mb: float | None = 4.0
    words: int | None = None
    projection: str = AUTOMATIC

    def __post_init__(self) -> None:
        if self.limit_mb is not None:
            check_number(self, "limit_mb", above=0)
        if self.words is not None:
            check_whole(self, "words", at_least=1)
        require_projection(self.projection)

    def map_cost(self, words: int, dim: int) -> str:
        """Return a line with the expected time of the map; "" if it is below 1 s, or the page is too large."""
        words = min(words, self.words or words)
        seconds = map_seconds(words, dim, self.projection)
        if seconds < 1 or self.refusal(4 * words * (dim + 20) // 3):
            return ""
        title = TITLES[chosen_projection(self.projection, words)]
        return f"explorer.html: the {title} map of {words:,} words takes about {seconds:.0f} s of one core."

    def refusal(self, size: int) -> str:
        """Return why a page of this size in bytes is not written; "" if it is."""
        if self.limit_mb is None or size <= self.limit_mb * MEGABYTE:
            return ""
        return (
            f"explorer.limit_mb={self.limit_mb:g}: explorer.html would have {readable_bytes(size)} and is not written. "
            "Use explorer=all, or explorer.words=5000 for the most frequent words."
        )


class ExplorerPage:
    """The page of some embeddings.

    Parameters
    ----------
    embeddings : Embeddings
        The page has the directions of their input vectors.
    rule : ExplorerRule
        Number of words, and the first map.
    title : str
        Any text.
    vectors : str
        Name of the vectors: ``input``, ``sum``, …
    seed : int
        Seed of the clusters, and of UMAP.
    """

    def __init__(
        self, embeddings: Embeddings, rule: ExplorerRule, title: str, vectors: str = "input", seed: int = 0
    ) -> None:
        counts = embeddings.counts
        order = np.arange(len(embeddings)) if counts is None else np.argsort(-counts, kind="stable")
        self._chosen = order[: rule.words]
        self._embeddings = embeddings
        self._rule = rule
        self._title = title
        self._vectors = vectors
        self._seed = seed
        self._projections = [chosen_projection(rule.projection, len(self._chosen)), "pca"]
        if self._projections[0] == "pca":
            self._projections = ["pca"]

    @property
    def size(self) -> int:
        """Bytes of the page to within 20, without computing its maps, which takes minutes for many words."""
        words, dim = len(self._chosen), self._embeddings.input.shape[1]
        clusters = cluster_number(words)
        packed_sizes: list[int] = [
            words * dim * self._bits // 8,
            words if clusters else 0,
            4 * NAMES * clusters,
        ]
        packed_sizes += [4 * words] * len(self._projections)
        empty = [self._map(name, "", 0.5, 0.5) for name in self._projections]
        page = self._page("", empty, "", "")
        return len(page.encode()) + 4 * sum(-(-size // 3) for size in packed_sizes)

    @property
    def map_cost(self) -> str:
        """A line with the expected time of the map; "" if it is below 1 s."""
        return self._rule.map_cost(len(self._chosen), self._embeddings.input.shape[1])

    def html(self) -> str:
        """Return the page."""
        units = directions(self._embeddings.input[self._chosen])
        counts = self._embeddings.counts
        with threadpool_limits(1, "blas"):  # several threads may round otherwise, and t-SNE magnifies that
            projector = Projector(units, self._seed)
            maps = []
            for name in self._projections:
                positions = projector.positions(name)
                kept = projector.kept(positions) if len(self._projections) > 1 else 1.0
                maps.append(self._map(name, packed(quantised_positions(positions)), projector.share, kept))
            clusters = find_clusters(units, None if counts is None else counts[self._chosen], self._seed)
        return self._page(
            packed(quantised(units, self._bits)),
            maps,
            packed(clusters.of_words) if len(clusters.names) else "",
            packed(clusters.names),
        )

    def _map(self, name: str, positions: str, share: float, kept: float) -> dict[str, str]:
        """Return a map for the page, with packed positions and a note on its quality."""
        note = NOTES[name].format(share=100 * share)
        if len(self._projections) > 1:
            note += KEPT.format(kept=100 * kept)
        if name != "pca" and len(self._chosen) > MAPPED:
            note += PLACED
        return {"key": name, "name": TITLES[name], "note": note, "positions": positions}

    def write(self, path: Path | str) -> int:
        """Write the page, and return its size in bytes.

        Raises
        ------
        UserError
            If the file cannot be written.
        """
        page = self.html().encode()
        try:
            with replacing(path, "wb", durable=False) as stream:
                stream.write(page)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error
        return len(page)

    @property
    def _bits(self) -> int:
        """Bits per number of the vectors."""
        return 16 if 2 * len(self._chosen) * self._embeddings.input.shape[1] <= WIDE_BYTES else 8

    def _page(self, vectors: str, maps: list[dict[str, str]], clusters: str, cluster_names: str) -> str:
        """Return the page with packed vectors, maps, and clusters."""
        words, all_words = len(self._chosen), len(self._embeddings)
        dim, counts = self._embeddings.input.shape[1], self._embeddings.counts
        number = f"{words:,} words" if words == all_words else f"the first {words:,} of {all_words:,} words"
        return render_page(
            WEB / "explorer",
            SCRIPTS,
            {
                "title": shown(self._title, 80),
                "words": [self._embeddings.words[i] for i in self._chosen.tolist()],
                "counts": None if counts is None else counts[self._chosen].tolist(),
                "dim": dim,
                "bits": self._bits,
                "vectors": vectors,
                "maps": maps,
                "clusters": clusters,
                "clusterNames": cluster_names,
                "names": NAMES,
            },
            title=shown(self._title, 80),
            facts=f"{number} · {dim:,} dimensions · {self._vectors} vectors",
            maps=[(one["key"], one["name"]) for one in maps],
            has_clusters=cluster_number(words) > 0,
        )


class Clusters(NamedTuple):
    """Clusters of words.

    Attributes
    ----------
    of_words : ndarray of uint8, shape (n,)
        The cluster of each word. The largest cluster is 0.
    names : ndarray of uint32, shape (number of clusters, NAMES)
        The most typical words of each cluster; `NO_WORD` where it has fewer.
    """

    of_words: NDArray[np.uint8]
    names: NDArray[np.uint32]


def cluster_number(words: int) -> int:
    """Return the number of clusters of n words; 0 for few words."""
    number = min(words // WORDS_PER_CLUSTER, MOST_CLUSTERS)
    return number if number > 1 else 0


def find_clusters(units: NDArray[Any], counts: NDArray[Any] | None, seed: int, rounds: int = 30) -> Clusters:
    """Return clusters of n directions by spherical k-means (Dhillon & Modha 2001), from centres by k-means++.

    The clusters are those of the vectors, not of a map, so both maps show the same ones. A cluster is named by words
    that are much nearer to its centre than to any other one, and frequent: a word's score is the difference of the two
    cosines, times the logarithm of its count. So function words, which are near to several centres, name none.

    Parameters
    ----------
    units : ndarray of float, shape (n, dim)
        Vectors of length 1, or 0, by falling frequency.
    counts : ndarray of int, shape (n,), optional
        Of the words.
    seed : int
        Of the first centres.
    rounds : int
        At most.
    """
    number = cluster_number(len(units))
    if not number:
        return Clusters(np.zeros(len(units), np.uint8), np.zeros((0, NAMES), np.uint32))
    generator = np.random.default_rng(seed)
    vectors = units.astype(np.float32)
    centres = np.zeros((number, vectors.shape[1]), np.float32)
    distances = np.ones(len(vectors))
    for cluster in range(number):
        total = distances.sum()
        centres[cluster] = vectors[generator.choice(len(vectors), p=distances / total if total > 0 else None)]
        distances = np.minimum(distances, np.maximum(1 - vectors @ centres[cluster], 0))
    of_words = np.zeros(len(vectors), np.intp)
    for _ in range(rounds):
        before = of_words
        of_words = (vectors @ centres.T).argmax(axis=1)
        if (of_words == before).all():
            break
        sums = [vectors[of_words == cluster].sum(axis=0) for cluster in range(number)]
        centres = directions(np.array(sums))
    order = np.argsort(-np.bincount(of_words, minlength=number), kind="stable")
    rank = np.argsort(order)
    cosines = np.sort(vectors @ centres.T, axis=1)
    frequency = 1 / np.arange(1, len(units) + 1) if counts is None else counts / max(counts.sum(), 1)
    score = (cosines[:, -1] - cosines[:, -2]) * np.log1p(frequency * 1e6)  # occurrences in a million words
    names = np.full((number, NAMES), NO_WORD, "<u4")
    for cluster in range(number):
        members = np.flatnonzero(rank[of_words] == cluster)
        best = members[np.argsort(-score[members], kind="stable")][:NAMES]
        names[cluster, : len(best)] = best
    return Clusters(rank[of_words].astype(np.uint8), names)


def quantised(vectors: NDArray[Any], bits: int) -> NDArray[np.int8 | np.int16]:
    """Return each row scaled to whole numbers, which keep its direction to within rounding.

    The largest entry of a row becomes the largest number of these bits. The error of a cosine is at most
    sqrt(dim) / 127 with 8 bits and sqrt(dim) / 32,767 with 16; for trained vectors of 100 dimensions 0.003 and 0.00001.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    top = 2 ** (bits - 1) - 1
    scaled = np.rint(vectors * (top / np.where(largest, largest, 1)))
    rows: NDArray[np.int8 | np.int16] = scaled.astype("<i2" if bits == 16 else "i1")
    return rows


def quantised_positions(positions: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return positions as numbers of 16 bits; both coordinates have the scale of the longer side of the map."""
    lowest = positions.min(axis=0)
    side = (positions.max(axis=0) - lowest).max()
    numbers: NDArray[np.uint16] = np.rint((positions - lowest) * (65_535 / (side or 1))).astype("<u2")
    return numbers


def packed(array: NDArray[Any]) -> str:
    """Return the bytes of an array, row by row, in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
