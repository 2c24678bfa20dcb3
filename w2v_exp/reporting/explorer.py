"""The explorer: embeddings as one HTML page, with a map of the words, their nearest words, and analogies."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import UserError, check_number, check_whole, shown
from w2v_exp.files import replacing
from w2v_exp.machine import readable_bytes
from w2v_exp.reporting.pages import WEB, render_page
from w2v_exp.reporting.projections import project, require_projection

SCRIPTS = ("vectors.js", "map.js", "completion.js", "main.js")
WIDE_BYTES = 1_000_000  # vectors that take at most this much with 16 bits per number have 16, larger ones 8
MEGABYTE = 1_000_000
NOTES = {
    "pca": "First two principal components of the directions",
    "tsne": "t-SNE of the directions: nearest words are near, distances between groups have no meaning",
    "umap": "UMAP of the directions: nearest words are near, distances between groups have no meaning",
}


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
        Projection of the map: ``pca``, ``tsne`` or ``umap``; see `project`.

    Raises
    ------
    SettingError
        If there is no such projection, or its package is not installed.
    """

    limit_mb: float | None = 4.0
    words: int | None = None
    projection: str = "pca"

    def __post_init__(self) -> None:
        if self.limit_mb is not None:
            check_number(self, "limit_mb", above=0)
        if self.words is not None:
            check_whole(self, "words", at_least=1)
        require_projection(self.projection)

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
        Number of words, and projection.
    title : str
        Any text.
    vectors : str
        Name of the vectors: ``input``, ``sum``, …
    seed : int
        Seed of the projection.
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

    @property
    def size(self) -> int:
        """Bytes of the page to within 2, without computing its map, which takes minutes for many words."""
        words, dim = len(self._chosen), self._embeddings.input.shape[1]
        packed_sizes = (words * dim * self._bits // 8, 4 * words)
        return len(self._page("", "", None).encode()) + sum(4 * -(-size // 3) for size in packed_sizes)

    def html(self) -> str:
        """Return the page."""
        units = directions(self._embeddings.input[self._chosen])
        positions, share = project(units, self._rule.projection, self._seed)
        return self._page(
            packed(quantised(units, self._bits)),
            packed(quantised_positions(positions)),
            None if share is None else round(share, 2),
        )

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

    def _page(self, vectors: str, positions: str, share: float | None) -> str:
        """Return the page with packed vectors and positions, and the share of the variance on the map."""
        words, all_words = len(self._chosen), len(self._embeddings)
        dim, counts = self._embeddings.input.shape[1], self._embeddings.counts
        number = f"{words:,} words" if words == all_words else f"the first {words:,} of {all_words:,} words"
        return render_page(
            WEB / "explorer",
            SCRIPTS,
            {
                "words": [self._embeddings.words[i] for i in self._chosen.tolist()],
                "counts": None if counts is None else counts[self._chosen].tolist(),
                "dim": dim,
                "bits": self._bits,
                "vectors": vectors,
                "positions": positions,
                "share": share,
            },
            title=shown(self._title, 80),
            facts=f"{number} · {dim:,} dimensions · {self._vectors} vectors",
            note=NOTES[self._rule.projection],
        )


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
