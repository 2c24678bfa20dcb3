"""Embeddings of slices: neighbours, similarities with bands, changed words, and their file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.formats import StoredEmbeddings, read_extras, save_archive
from w2v_exp.embeddings.similarity import UnknownWordError, directions, nearest
from w2v_exp.errors import FormatError, ShortRepr, UserError, shown, suggestion
from w2v_exp.slices.change import SIGNIFICANT, Change

FILE = "slices.npz"


class Bands(NamedTuple):
    """Intervals of the cosines of pairs of words.

    Parameters
    ----------
    pairs : ndarray of int, shape (p, 2)
        Indices of the words.
    low, high : ndarray of float, shape (p, S)
        Ends of the 95 % interval in each slice; NaN where there is none.
    """

    pairs: NDArray[np.intp]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def none(cls, slices: int) -> Bands:
        """Return no bands."""
        return cls(np.zeros((0, 2), np.intp), np.zeros((0, slices)), np.zeros((0, slices)))


class Similarity(NamedTuple):
    """Cosine of two words in a slice.

    Parameters
    ----------
    slice : str
        Its label.
    cosine : float or None
        None if one of the words is rare there.
    low, high : float or None
        95 % interval; None where it is unknown.
    """

    slice: str
    cosine: float | None
    low: float | None
    high: float | None


class ChangedWord(NamedTuple):
    """Result of the test of change of a word; see :mod:`w2v_exp.slices.change`.

    Parameters
    ----------
    word : str
        The word.
    relative : float
        Size of the change, by which words are ordered; see `Change.relative`.
    effect : float
        In nats a pair.
    p, q : float
        p-value, and false discovery rate of all words with a smaller p-value.
    tokens : int
        Occurrences in all slices.
    """

    word: str
    relative: float
    effect: float
    p: float
    q: float
    tokens: int


@dataclass(frozen=True, repr=False, eq=False)
class SliceEmbeddings(ShortRepr):
    """Vectors of F words in S slices of a text, in one space: cosines need no alignment.

    Parameters
    ----------
    words : tuple of str
        All that are not rare in every slice, the most frequent first.
    slices : tuple of str
        Labels of the slices, in order.
    documents, sizes : ndarray of int64, shape (S,)
        Documents and tokens of each slice.
    tokens : ndarray of int32, shape (S, F)
        Occurrences of each word.
    pooled : ndarray of float32, shape (F, dim)
        Vectors for all slices together.
    rows : ndarray of int32, shape (S, F)
        Row of `vectors` of each word in each slice; −1 where it is rare.
    vectors : ndarray of float32, shape (n, dim)
        The vectors.
    change : Change
        Result of the test of change.
    bands : Bands
        Intervals of the cosines of some pairs.
    """

    words: tuple[str, ...]
    slices: tuple[str, ...]
    documents: NDArray[np.int64]
    sizes: NDArray[np.int64]
    tokens: NDArray[np.int32]
    pooled: NDArray[np.float32]
    rows: NDArray[np.int32]
    vectors: NDArray[np.float32]
    change: Change
    bands: Bands

    @cached_property
    def ids(self) -> dict[str, int]:
        """Index of each word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _directions(self) -> NDArray[np.float32]:
        return directions(self.vectors)

    @cached_property
    def _band_rows(self) -> dict[tuple[int, int], int]:
        return {(i, j): row for row, (i, j) in enumerate(self.bands.pairs.tolist())}

    def with_bands(self, bands: Bands) -> SliceEmbeddings:
        """Return the same with other bands."""
        return replace(self, bands=bands)

    def index(self, word: str) -> int:
        """Return the index of a word.

        Raises
        ------
        UnknownWordError
            If it is rare in every slice, or not in the text.
        """
        if word not in self.ids:
            raise UnknownWordError(
                f"{shown(word)}: is in no slice frequent enough to have an embedding{suggestion(word, self.words)}"
            )
        return self.ids[word]

    def of_slice(self, label: str) -> Embeddings:
        """Return the embeddings of a slice: the words that are not rare there, with their occurrences there.

        Parameters
        ----------
        label : str
            Of the slice; a hyphen may stand for a dash.

        Raises
        ------
        UserError
            If there is no such slice, or all words are rare there.
        """
        typed = [each.replace("–", "-") for each in self.slices]
        if label.replace("–", "-") not in typed:
            raise UserError(
                f"{shown(label)}: not a slice. Slices: {', '.join(shown(each) for each in self.slices[:20])}."
            )
        place = typed.index(label.replace("–", "-"))
        frequent = np.flatnonzero(self.rows[place] >= 0)
        if not len(frequent):
            raise UserError(f"{shown(label)}: all words are rare in this slice.")
        words = [self.words[i] for i in frequent.tolist()]
        counts = self.tokens[place, frequent].astype(np.int64)
        return Embeddings(words, counts, self.vectors[self.rows[place, frequent]])

    def nearest(self, index: int, place: int, count: int) -> list[tuple[int, float]]:
        """Return the nearest words of a word in a slice, by index, with cosines; none if it is rare there."""
        row = self.rows[place, index]
        if row < 0:
            return []
        frequent = np.flatnonzero(self.rows[place] >= 0)
        own = int(np.searchsorted(frequent, index))
        found = nearest(
            self._directions[self.rows[place, frequent]], self._directions[row][None], count, [[own]]
        )
        ids, cosines = next(found)
        return list(zip(frequent[ids].tolist(), cosines.tolist(), strict=True))

    def neighbours(self, word: str, count: int = 10) -> dict[str, list[tuple[str, float]]]:
        """Return the nearest words of a word, with cosines, by slice; without those where it is rare."""
        index = self.index(word)
        return {
            label: [(self.words[i], cosine) for i, cosine in self.nearest(index, place, count)]
            for place, label in enumerate(self.slices)
            if self.rows[place, index] >= 0
        }

    def similarity(self, word: str, other: str) -> list[Similarity]:
        """Return the cosine of two words in each slice, with its band if it was computed."""
        i, j = self.index(word), self.index(other)
        band = self._band_rows.get((min(i, j), max(i, j)))
        found = []
        for place, label in enumerate(self.slices):
            one, two = self.rows[place, i], self.rows[place, j]
            cosine = low = high = None
            if one >= 0 and two >= 0:
                cosine = float(self._directions[one] @ self._directions[two])
                if band is not None and not math.isnan(self.bands.low[band, place]):
                    low, high = float(self.bands.low[band, place]), float(self.bands.high[band, place])
            found.append(Similarity(label, cosine, low, high))
        return found

    def changed(self, rate: float = SIGNIFICANT) -> list[ChangedWord]:
        """Return the words with a false discovery rate of at most `rate`, the largest changes first."""
        return [word for word in self.tested() if word.q <= rate]

    def tested(self) -> list[ChangedWord]:
        """Return all tested words, the largest changes first."""
        change, relative = self.change, self.change.relative
        tested = np.flatnonzero(~np.isnan(change.p))
        order = tested[np.argsort(-relative[tested], kind="stable")]
        totals = self.tokens.sum(axis=0)
        return [
            ChangedWord(
                self.words[i],
                float(relative[i]),
                float(change.effect[i]),
                float(change.p[i]),
                float(change.q[i]),
                int(totals[i]),
            )
            for i in order.tolist()
        ]

    def cosines_to_pooled(self) -> NDArray[np.float32]:
        """Return the cosine of each word in each slice with its vector for all slices, (S, F); NaN where rare."""
        cosines = np.full(self.rows.shape, np.nan, np.float32)
        places, words = np.nonzero(self.rows >= 0)
        pooled = directions(self.pooled)
        cosines[places, words] = np.vecdot(self._directions[self.rows[places, words]], pooled[words])
        return cosines

    def table(self, count: int = 10) -> Iterator[dict[str, Any]]:
        """Yield a row for each word and slice: tokens, whether it is rare, cosine, neighbours."""
        cosines = self.cosines_to_pooled()
        for i, word in enumerate(self.words):
            for place, label in enumerate(self.slices):
                near = self.nearest(i, place, count)
                yield {
                    "word": word,
                    "slice": label,
                    "tokens": int(self.tokens[place, i]),
                    "rare": int(self.rows[place, i] < 0),
                    "cosine": "" if math.isnan(cosines[place, i]) else round(float(cosines[place, i]), 4),
                    "neighbours": " ".join(self.words[j] for j, _ in near),
                }

    def save(self, path: Path) -> None:
        """Write an archive that `load` reads; `Embeddings.load` reads the vectors for all slices from it.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        arrays = {name: getattr(self, name) for name in ARRAYS}
        arrays["slices"] = np.frombuffer(json.dumps(self.slices).encode(), np.uint8)
        arrays |= {f"change_{name}": array for name, array in self.change._asdict().items()}
        arrays |= {f"band_{name}": array for name, array in self.bands._asdict().items()}
        totals = self.tokens.sum(axis=0, dtype=np.int64)
        save_archive(path, StoredEmbeddings(list(self.words), totals, self.pooled, None), arrays)

    @classmethod
    def load(cls, path: Path) -> SliceEmbeddings:
        """Read an archive of `save`.

        Raises
        ------
        FormatError
            If it is damaged, or another kind of file.
        UserError
            If it cannot be read.
        """
        stored = Embeddings.load(path)
        names = [*ARRAYS, "slices", *CHANGE_ARRAYS, *BAND_ARRAYS]
        arrays = read_extras(path, names)
        if missing := [name for name in names if name not in arrays]:
            raise FormatError(f"{path} has no embeddings of slices: the array {missing[0]} is missing.")
        try:
            labels = json.loads(arrays.pop("slices").tobytes())
        except ValueError:
            labels = None
        words, dim = stored.input.shape
        if not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
            raise FormatError(f"{path}: its array slices is not a list of labels.")
        by_word, by_slice = (len(labels), words), (len(labels),)
        pairs = (len(arrays["band_pairs"]), len(labels))
        expected = {
            "documents": by_slice,
            "sizes": by_slice,
            "tokens": by_word,
            "rows": by_word,
            "vectors": (len(arrays["vectors"]), dim),
            **dict.fromkeys(CHANGE_ARRAYS, (words,)),
            **{"band_pairs": (pairs[0], 2), "band_low": pairs, "band_high": pairs},
        }
        for name, shape in expected.items():
            kind = "iu" if name in ("documents", "sizes", "tokens", "rows", "band_pairs") else "f"
            if arrays[name].shape != shape or arrays[name].dtype.kind not in kind:
                raise FormatError(f"{path}: its array {name} does not fit the others.")
        for name, least, most in (("rows", -1, len(arrays["vectors"])), ("band_pairs", 0, words)):
            if arrays[name].size and not (arrays[name].min() >= least and arrays[name].max() < most):
                raise FormatError(f"{path}: its array {name} has numbers out of range.")
        change = Change(*(arrays.pop(name) for name in CHANGE_ARRAYS))
        bands = Bands(*(arrays.pop(name) for name in BAND_ARRAYS))
        return cls(
            words=tuple(stored.words),
            slices=tuple(labels),
            pooled=stored.input,
            change=change,
            bands=bands,
            **arrays,
        )


ARRAYS = ("documents", "sizes", "tokens", "rows", "vectors")
CHANGE_ARRAYS = tuple(f"change_{name}" for name in Change._fields)
BAND_ARRAYS = tuple(f"band_{name}" for name in Bands._fields)
