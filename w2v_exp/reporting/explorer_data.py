"""What the explorer's page knows: words, counts, vectors and places, packed as text."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions
from w2v_exp.reporting.projections import project

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
