"""The explorer: embeddings as one HTML page, with maps of the words, their nearest words, and analogies."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions
from w2v_exp.embeddings.word_changes import WordChanges, word_changes
from w2v_exp.errors import UserError, check_number, check_whole, shown
from w2v_exp.files import replacing
from w2v_exp.machine import MEGABYTE, readable_bytes
from w2v_exp.reporting.pages import WEB, render_page
from w2v_exp.reporting.projections import (
    AUTOMATIC,
    MAPPED,
    Projector,
    chosen_projection,
    map_seconds,
    require_projection,
    turned,
)

SCRIPTS = ("vectors.js", "runs.js", "map.js", "picture.js", "completion.js", "changes.js", "main.js")
WIDE_BYTES = 1_000_000  # vectors that take at most this much with 16 bits per number have 16, larger ones 8
TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
NOTES = {
    "pca": "First two principal components, {share} of the variance.",
    "tsne": "t-SNE: similar words are near, distances between groups mean little.",
    "umap": "UMAP: similar words are near, distances between groups mean little.",
}
KEPT = " Of the 10 most similar words of a word, {kept} are among its 50 nearest on this map."
PLACED = f" Words after the first {MAPPED:,} are placed near the most similar of these."
OVERLAID = "Arrows lead from the position of a word in {} to that of its vector from {} among the same words."
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


class PageRun(NamedTuple):
    """A run on the page.

    Parameters
    ----------
    embeddings : Embeddings
        The page has the directions of their input vectors.
    title : str
        Any text.
    vectors : str
        Name of the vectors: ``input``, ``sum``, …
    same_space : bool
        Of a second run, whether its vectors need no alignment with those of the first, as slices of one text do not.
    """

    embeddings: Embeddings
    title: str
    vectors: str = "input"
    same_space: bool = False

    @property
    def name(self) -> str:
        """The title, made safe."""
        return shown(self.title, 80)


class ExplorerPage:
    """The page of some embeddings, or of two to compare.

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
    other : PageRun, optional
        A second run, for a page of two maps, or of one map with arrows from words to their positions in this run. Its
        map starts from the positions of the same words on the first one, and its words have the colours of the first
        one's clusters.

    Raises
    ------
    UserError
        If two runs have no word in common.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        rule: ExplorerRule,
        title: str,
        vectors: str = "input",
        seed: int = 0,
        other: PageRun | None = None,
    ) -> None:
        runs = [PageRun(embeddings, title, vectors), *([] if other is None else [other])]
        self._totals = [len(run.embeddings) for run in runs]
        self._runs = [
            run._replace(embeddings=run.embeddings.most_frequent(rule.words or len(run.embeddings)))
            for run in runs
        ]
        first = self._runs[0].embeddings
        # Of all words of the page, those of the first run are first.
        added = [word for run in self._runs[1:] for word in run.embeddings.words if word not in first.ids]
        self._words = [*first.words, *added]
        self._rule = rule
        self._seed = seed
        smallest = min(len(run.embeddings) for run in self._runs)
        self._projections = [chosen_projection(rule.projection, smallest), "pca"]
        if self._projections[0] == "pca":
            self._projections = ["pca"]

    @property
    def size(self) -> int:
        """Bytes of the page of one run to within 20, without computing its maps, which takes minutes for many words."""
        words, dim = self._runs[0].embeddings.input.shape
        clusters = cluster_number(words)
        packed_sizes: list[int] = [
            words * dim * _bits(words, dim) // 8,
            words if clusters else 0,
            4 * NAMES * clusters,
        ]
        packed_sizes += [4 * words] * len(self._projections)
        maps = [self._map(name, [0.5], [0.5]) for name in self._projections]
        page = self._page([""], maps, [""], "", None)
        return len(page.encode()) + 4 * sum(-(-size // 3) for size in packed_sizes)

    @property
    def map_cost(self) -> str:
        """A line with the expected time of the maps; "" if it is below 1 s."""
        shapes = [(len(run.embeddings), run.embeddings.input.shape[1]) for run in self._runs]
        if len(shapes) == 1:
            return self._rule.map_cost(*shapes[0])
        seconds = sum(map_seconds(words, dim, self._projections[0]) for words, dim in shapes)
        title = TITLES[self._projections[0]]
        numbers = " and ".join(f"{words:,}" for words, _ in shapes)
        return (
            f"The {title} maps of {numbers} words take about {seconds:.0f} s of one core."
            if seconds >= 1
            else ""
        )

    def html(self) -> str:
        """Return the page."""
        embeddings = [run.embeddings for run in self._runs]
        units = [directions(each.input) for each in embeddings]
        with threadpool_limits(1, "blas"):  # several threads may round otherwise, and t-SNE magnifies that
            changes = None
            if len(embeddings) > 1:
                rotate = not self._runs[1].same_space
                changes = word_changes(embeddings[0], embeddings[1], MAPPED, rotate=rotate)
            aligned = changes.directions if changes else units
            projectors = [Projector(each, self._seed) for each in (aligned[0], *units[1:])]
            maps = [self._positions(projectors, name, changes) for name in self._projections]
            clusters = find_clusters(aligned[0], embeddings[0].counts, self._seed)
            groups = [clusters.of_words, *(nearest_clusters(each, clusters) for each in aligned[1:])]
        return self._page(
            [packed(quantised(each, _bits(*each.shape))) for each in units],
            maps,
            [packed(each) if len(clusters.names) else "" for each in groups],
            packed(clusters.names),
            changes,
        )

    def _positions(
        self, projectors: list[Projector], projection: str, changes: WordChanges | None
    ) -> dict[str, Any]:
        """Return a map of each run for the page."""
        positions = [projectors[0].positions(projection)]
        placed = []
        if changes:
            placed = [projectors[0].place(changes.directions[1], projection, positions[0])]
            start = placed[0].copy()
            start[changes.rows[1]] = positions[0][changes.rows[0]]
            positions.append(turned(projectors[1].positions(projection, start), positions[0], changes.rows))
        kept = [
            projector.kept(each) if len(self._projections) > 1 else 1.0
            for projector, each in zip(projectors, positions, strict=True)
        ]
        first, *others = quantised_positions(positions[0], *placed)
        return self._map(
            projection,
            [projector.share for projector in projectors],
            kept,
            [packed(first), *(packed(quantised_positions(each)[0]) for each in positions[1:])],
            *map(packed, others),
        )

    def _map(
        self,
        name: str,
        shares: list[float],
        kept: list[float],
        positions: Sequence[str] = ("",),
        other: str = "",
    ) -> dict[str, Any]:
        """Return a map for the page, with packed positions and a note on its quality."""
        note = NOTES[name].format(share=_percentages(shares))
        if len(self._projections) > 1:
            note += KEPT.format(kept=_percentages(kept))
        if name != "pca" and max(len(run.embeddings) for run in self._runs) > MAPPED:
            note += PLACED
        return {"key": name, "name": TITLES[name], "note": note, "positions": positions, "other": other}

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

    def _page(
        self,
        vectors: list[str],
        maps: list[dict[str, Any]],
        clusters: list[str],
        cluster_names: str,
        changes: WordChanges | None,
    ) -> str:
        """Return the page with packed vectors, maps, and clusters."""
        names = [run.name for run in self._runs]
        title = " and ".join(names)
        return render_page(
            WEB / "explorer",
            SCRIPTS,
            {
                "words": self._words,
                "runs": [
                    self._run_data(number, vectors[number], clusters[number]) for number in range(len(names))
                ],
                "maps": maps,
                "clusterNames": cluster_names,
                "names": NAMES,
                "changes": changes and _changes_data(changes, OVERLAID.format(*names)),
            },
            title=title,
            runs=[
                {"name": run.name, "facts": _facts(run, total)}
                for run, total in zip(self._runs, self._totals, strict=True)
            ],
            compared=changes and _compared(changes),
            maps=[(one["key"], one["name"]) for one in maps],
            has_clusters=cluster_number(len(self._runs[0].embeddings)) > 0,
        )

    def _run_data(self, number: int, vectors: str, clusters: str) -> dict[str, Any]:
        """Return a run for the page, with packed vectors and clusters."""
        run = self._runs[number]
        counts, dim = run.embeddings.counts, run.embeddings.input.shape[1]
        ids = {word: i for i, word in enumerate(self._words)} if number else {}
        members = np.array([ids[word] for word in run.embeddings.words if ids], "<u4")
        return {
            "name": run.name,
            "members": packed(members),  # of all words of the page; empty: the first ones
            "counts": None if counts is None else counts.tolist(),
            "dim": dim,
            "bits": _bits(len(run.embeddings), dim),
            "vectors": vectors,
            "clusters": clusters,
        }


def _bits(words: int, dim: int) -> int:
    """Return the bits per number of the vectors."""
    return 16 if 2 * words * dim <= WIDE_BYTES else 8


def _percentages(shares: Sequence[float]) -> str:
    return " and ".join(f"{100 * share:.0f} %" for share in shares)


def _facts(run: PageRun, total: int) -> str:
    words, dim = run.embeddings.input.shape
    number = f"{words:,} words" if words == total else f"the first {words:,} of {total:,} words"
    return f"{number} · {dim:,} dimensions · {run.vectors} vectors"


def _compared(changes: WordChanges) -> str:
    """Return a line on two runs."""
    line = f"{len(changes.words):,} words in both · mean {changes.measure} {changes.cosines.mean():.2f}"
    if changes.neighbours:
        line += f" · {100 * changes.overlap.mean():.0f} % of the {changes.compared} shared"
    return line


def _changes_data(changes: WordChanges, note: str) -> dict[str, Any]:
    """Return the changes of words for the page, with ids of the first run, the most frequent words first."""
    return {
        "of": changes.neighbours,
        "measure": changes.measure,
        "ids": packed(changes.rows[0].astype("<u4")),
        "cosines": packed(changes.cosines.astype("<f4")),
        "shared": packed(np.rint(np.nan_to_num(changes.overlap) * changes.neighbours).astype(np.uint8)),
        "note": note,
    }


class Clusters(NamedTuple):
    """Clusters of words.

    Attributes
    ----------
    of_words : ndarray of uint8, shape (n,)
        The cluster of each word. The largest cluster is 0.
    names : ndarray of uint32, shape (number of clusters, NAMES)
        The most typical words of each cluster; `NO_WORD` where it has fewer.
    centres : ndarray of float32, shape (number of clusters, dim)
        Directions.
    """

    of_words: NDArray[np.uint8]
    names: NDArray[np.uint32]
    centres: NDArray[np.float32]


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
        nothing = np.zeros((0, units.shape[1]), np.float32)
        return Clusters(np.zeros(len(units), np.uint8), np.zeros((0, NAMES), np.uint32), nothing)
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
    return Clusters(rank[of_words].astype(np.uint8), names, centres[order])


def nearest_clusters(units: NDArray[Any], clusters: Clusters) -> NDArray[np.uint8]:
    """Return the cluster with the nearest centre of each of n directions, shape (n,); 0 if there is none."""
    if not len(clusters.centres):
        return np.zeros(len(units), np.uint8)
    nearest: NDArray[np.uint8] = (
        (units.astype(np.float32) @ clusters.centres.T).argmax(axis=1).astype(np.uint8)
    )
    return nearest


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


def quantised_positions(*positions: NDArray[np.float64]) -> list[NDArray[np.uint16]]:
    """Return positions on one map as numbers of 16 bits; both coordinates have the scale of its longer side."""
    together = np.concatenate(positions)
    lowest = together.min(axis=0)
    side = (together.max(axis=0) - lowest).max()
    return [np.rint((each - lowest) * (65_535 / (side or 1))).astype("<u2") for each in positions]


def packed(array: NDArray[Any]) -> str:
    """Return the bytes of an array, row by row, in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
