"""The explorer: embeddings as one HTML page.

It is one file that needs nothing else, and asks for nothing: its policy (Content-Security-Policy) lets a browser run
its own script, known by its hash, and fetch nothing at all. Words are data in it, and are shown as text only.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import UserError, check_number, check_whole, shown
from w2v_exp.files import replacing
from w2v_exp.machine import readable_bytes
from w2v_exp.reporting.colours import COLOURS, COLOURS_ON_DARK
from w2v_exp.reporting.projections import project, require_projection

WIDE_BYTES = 1_000_000  # vectors that take no more with 16 bits a number have them; others have 8


class ExplorerData:
    """Embeddings as the page has them.

    Parameters
    ----------
    embeddings : Embeddings
        Of which the input vectors are taken, and of these the directions.
    words : int, optional
        Only so many, the most frequent (where counts are not known, the first); None: all.
    projection : str
        How the map is made; see `project`.
    seed : int
        Of the projection.
    """

    def __init__(self, embeddings: Embeddings, words: int | None, projection: str, seed: int) -> None:
        counts = embeddings.counts
        order = np.arange(len(embeddings)) if counts is None else np.argsort(-counts, kind="stable")
        self._chosen = order[:words]
        self._words = [embeddings.words[i] for i in self._chosen.tolist()]
        self._counts = None if counts is None else counts[self._chosen].tolist()
        self._embeddings = embeddings
        self._projection = projection
        self._seed = seed

    @property
    def shape(self) -> tuple[int, int]:
        """How many words there are, and how many dimensions."""
        return len(self._words), self._embeddings.input.shape[1]

    @property
    def bits(self) -> int:
        """How many bits a number has: 16 as long as that is small."""
        words, dim = self.shape
        return 16 if 2 * words * dim <= WIDE_BYTES else 8

    @property
    def size(self) -> int:
        """The bytes of `json`, known without vectors and places."""
        words, dim = self.shape
        packed = (words * dim * self.bits // 8, 4 * words)
        return len(self._json("", "").encode()) + sum(4 * -(-size // 3) for size in packed)

    def json(self) -> str:
        """Return all of it as JSON that can stand in an HTML page."""
        units = directions(self._embeddings.input[self._chosen])
        places, share = project(units, self._projection, self._seed)
        return self._json(packed(quantised(units, self.bits)), packed(quantised_places(places)), share)

    def _json(self, vectors: str, places: str, share: float | None = None) -> str:
        return json_in_html(
            {
                "words": self._words,
                "counts": self._counts,
                "dim": self.shape[1],
                "bits": self.bits,
                "vectors": vectors,
                "places": places,
                "share": "    "
                if share is None
                else f"{share:4.0%}",  # as long as nothing: the size is known before
            }
        )


def quantised(vectors: NDArray[Any], bits: int) -> NDArray[np.int8 | np.int16]:
    """Return each row as whole numbers, scaled by its largest entry: its direction, to within rounding.

    A cosine of two such rows is off by sqrt(dim) / 127 at the worst with 8 bits, by sqrt(dim) / 32,767 with 16; of
    trained vectors in 100 dimensions by 0.003 and 0.00001.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    top = 2 ** (bits - 1) - 1
    scaled = np.rint(vectors * (top / np.where(largest, largest, 1)))
    rows: NDArray[np.int8 | np.int16] = scaled.astype("<i2" if bits == 16 else "i1")
    return rows


def quantised_places(places: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return places as numbers of 16 bits, both coordinates on one scale: that of the longer side of the map."""
    lowest = places.min(axis=0)
    side = (places.max(axis=0) - lowest).max()
    numbers: NDArray[np.uint16] = np.rint((places - lowest) * (65_535 / (side or 1))).astype("<u2")
    return numbers


def packed(array: NDArray[Any]) -> str:
    """Return the bytes of an array, row by row, in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def json_in_html(value: object) -> str:
    r"""Return JSON in which no text can end or open an element.

    >>> json_in_html(["</script>", "&"])
    '["\\u003c/script\\u003e","\\u0026"]'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":  # outside of strings JSON has none of these
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


PAGE = Path(__file__).parent / "explorer_page"
SCRIPTS = ("vectors.js", "map.js", "completion.js", "main.js")
MEGABYTE = 1_000_000
NOTES = {
    "pca": "Two principal components of the directions",
    "tsne": "t-SNE of the directions: who is near whom counts, not how far apart groups are",
    "umap": "UMAP of the directions: who is near whom counts, not how far apart groups are",
}


@dataclass(frozen=True)
class NoExplorer:
    """A run leaves no page."""


@dataclass(frozen=True)
class ExplorerRule:
    """A run leaves a page to look at its embeddings, ``explorer.html``.

    Parameters
    ----------
    limit_mb : float, optional
        A page that would be larger is not made, and the run says so; None: any is. In megabytes.
    words : int, optional
        Only so many words are on it, the most frequent; None: all.
    projection : str
        How the map is made: ``pca``, ``tsne`` or ``umap``; see `project`.

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
        """Return why a page of so many bytes is not made, in a sentence; nothing if it is."""
        if self.limit_mb is None or size <= self.limit_mb * MEGABYTE:
            return ""
        return (
            f"explorer.html is not made: it would be {readable_bytes(size)}, and explorer.limit_mb={self.limit_mb:g}; "
            "explorer=all makes it, explorer.words=5000 one of the most frequent words."
        )


class ExplorerPage:
    """The page of some embeddings.

    Parameters
    ----------
    embeddings : Embeddings
        What is looked at: their input vectors.
    rule : ExplorerRule
        How many words, and which map.
    title : str
        What the page is called; any text.
    vectors : str
        What the vectors are called: ``input``, ``sum``, …
    seed : int
        Of the projection.
    """

    def __init__(
        self, embeddings: Embeddings, rule: ExplorerRule, title: str, vectors: str = "input", seed: int = 0
    ) -> None:
        self.rule = rule
        self.title = title
        self._vectors = vectors
        self._all_words = len(embeddings)
        self._data = ExplorerData(embeddings, rule.words, rule.projection, seed)

    @property
    def size(self) -> int:
        """The size of the page in bytes, known before its map is made."""
        return len(self._filled("").encode()) + self._data.size

    def html(self) -> str:
        """Return the page."""
        return self._filled(self._data.json())

    def write(self, path: Path | str) -> int:
        """Write the page, and return its size in bytes.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        page = self.html().encode()
        try:
            with replacing(path, "wb", durable=False) as stream:
                stream.write(page)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error
        return len(page)

    def _filled(self, data: str) -> str:
        style = Template(_read("page.css")).substitute(
            dot=COLOURS[0], near=COLOURS[1], dot_on_dark=COLOURS_ON_DARK[0], near_on_dark=COLOURS_ON_DARK[1]
        )
        # In a block, so that no name is one of the window's.
        script = "\n".join(['"use strict";', "{", *(_read(name) for name in SCRIPTS), "}"])
        return Template(_read("page.html")).substitute(
            title=html.escape(shown(self.title, 80)),
            facts=self._facts(),
            note=NOTES[self.rule.projection],
            policy=_policy(style, script),
            style=style,
            script=script,
            data=data,
        )

    def _facts(self) -> str:
        words, dim = self._data.shape
        who = (
            f"{words:,} words"
            if words == self._all_words
            else f"the first {words:,} of {self._all_words:,} words"
        )
        return f"{who} · {dim:,} dimensions · {html.escape(self._vectors)} vectors"


def _policy(style: str, script: str) -> str:
    """Return the policy that lets a browser run this script and use this style, and fetch nothing."""
    script_hash, style_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script_hash}'; style-src 'sha256-{style_hash}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")
