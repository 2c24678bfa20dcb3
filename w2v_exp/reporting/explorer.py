"""The embedding explorer: a page with a map of the words, their nearest neighbours and analogies.

It is one file that needs nothing else, and asks for nothing: its policy (Content-Security-Policy) lets a browser run
its own script, known by its hash, and fetch nothing at all. Words are data in it, and are shown as text only.
"""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from pathlib import Path
from string import Template

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.files import replacing
from w2v_exp.memory import readable_bytes
from w2v_exp.reporting.colours import COLOURS, COLOURS_ON_DARK
from w2v_exp.reporting.explorer_data import ExplorerData
from w2v_exp.reporting.projections import require_projection
from w2v_exp.reporting.words import shown
from w2v_exp.validation import check_number, check_whole

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
