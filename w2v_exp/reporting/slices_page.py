"""The page of slices: neighbours of a word in each slice, similarities over the slices, and the words that changed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import shown
from w2v_exp.files import replacing
from w2v_exp.reporting.explorer import packed, quantised
from w2v_exp.reporting.pages import WEB, render_page
from w2v_exp.slices.change import SIGNIFICANT
from w2v_exp.slices.embeddings import SliceEmbeddings

SHARED = ("../explorer/vectors.js", "../explorer/completion.js", "../summary/chart.js")
SCRIPTS = (*SHARED, "chart.js", "path.js", "main.js")
BITS = 8


class SlicesPage:
    """The page of some embeddings of slices.

    Parameters
    ----------
    embeddings : SliceEmbeddings
        All its words are on the page; directions of vectors are rounded to 8 bits a number.
    title : str
        Any text.
    """

    def __init__(self, embeddings: SliceEmbeddings, title: str) -> None:
        self._embeddings = embeddings
        self._title = title

    @property
    def size(self) -> int:
        """Bytes of the page, to within a tenth."""
        found = self._embeddings
        numbers = 4 * (found.vectors.size + 4 * found.rows.size + 4 * found.tokens.size) // 3
        texts = sum(len(word.encode()) + 3 for word in found.words) + 40 * len(found.tested())
        return numbers + texts + 14 * found.bands.low.size + 38_000

    def write(self, path: Path | str) -> int:
        """Write the page; return its size in bytes.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        content = self.html().encode()
        with replacing(path, "wb") as stream:
            stream.write(content)
        return len(content)

    def html(self) -> str:
        """Return the page."""
        found = self._embeddings
        tested, changed = found.tested(), found.changed()
        title = shown(self._title, 80)
        data = {
            "words": list(found.words),
            "slices": [shown(label, 80) for label in found.slices],
            "sizes": found.sizes.tolist(),
            "documents": found.documents.tolist(),
            "dim": found.vectors.shape[1],
            "vectors": packed(quantised(found.vectors, BITS)),
            "rows": packed(found.rows.astype("<i4")),
            "tokens": packed(found.tokens.astype("<i4")),
            "rate": SIGNIFICANT,
            "changes": [
                [
                    found.ids[each.word],
                    _short(each.relative),
                    _short(each.effect),
                    _short(each.p),
                    _short(each.q),
                ]
                for each in tested
            ],
            "pairs": found.bands.pairs.tolist(),
            "low": _rounded(found.bands.low),
            "high": _rounded(found.bands.high),
        }
        return render_page(
            WEB / "slices",
            SCRIPTS,
            data,
            title=title,
            facts=f"{len(found.words):,} words in {len(found.slices):,} slices, {len(found.vectors):,} embeddings",
            changed=len(changed),
            tested=len(tested),
        )


def _short(number: float) -> float:
    return float(f"{number:.3g}")


def _rounded(matrix: NDArray[np.float64]) -> list[list[Any]]:
    """Return numbers of three decimals; None for NaN."""
    return [[None if math.isnan(x) else round(x, 3) for x in row] for row in matrix.tolist()]
