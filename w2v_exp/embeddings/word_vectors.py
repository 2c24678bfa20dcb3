"""Words with vectors: the vector of a word, the direction of a query, the words nearest to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.directions import directions
from w2v_exp.embeddings.nearest import nearest
from w2v_exp.embeddings.parts import unknown_word
from w2v_exp.embeddings.query import Asked, Term, terms
from w2v_exp.errors import UserError
from w2v_exp.validation import require_kind, require_whole

Similar = list[tuple[str, float]]


class WordVectors:
    """Words with vectors, and how they are looked for.

    Attributes
    ----------
    words : list of str
        By id.
    input : ndarray of float, shape (V, dim)
        Their vectors.
    ids : dict of str to int
        The ids of the words.
    """

    words: list[str]
    input: NDArray[Any]
    ids: dict[str, int]

    def vector(self, word: str) -> NDArray[Any]:
        """Return the input vector of a word, shape (dim,).

        Raises
        ------
        UserError
            If the word is not there; with the closest one that is.
        """
        vector: NDArray[Any] = self.input[self._id(word)]
        return vector

    def __getitem__(self, words: str | Iterable[str]) -> NDArray[Any]:
        """Return the input vector of a word, shape (dim,), or of several, shape (n, dim)."""
        if isinstance(words, str):
            return self.vector(words)
        require_kind("words", words, Iterable, "a word or a list of words")
        return self.input[[self._id(word) for word in words]]

    def similarity(self, w1: str, w2: str) -> float:
        """Return the cosine of the angle between the input vectors of two words; 0 where one of them is zero.

        Raises
        ------
        UserError
            If one of the words is not there.
        """
        return float(np.vecdot(self._directions[self._id(w1)], self._directions[self._id(w2)]))

    @cached_property
    def _directions(self) -> NDArray[Any]:
        return directions(self.input)

    def _searched(self, clip_start: int, clip_end: int | None, restrict_vocab: int | None) -> slice:
        """Return which ids are looked at."""
        if restrict_vocab is not None:
            clip_start, clip_end = 0, require_whole("restrict_vocab", restrict_vocab, at_least=1)
        end = len(self.words) if clip_end is None else clip_end
        clip_start = require_whole("clip_start", clip_start, at_least=0)
        if clip_start >= len(self.words):
            raise UserError(f"clip_start={clip_start}: there are only {len(self.words)} words.")
        end = require_whole("clip_end", end, at_least=clip_start + 1)
        return slice(clip_start, min(end, len(self.words)))

    def _mean(self, positive: Asked, negative: Asked) -> tuple[NDArray[Any], list[int]]:
        """Return the direction of a weighted mean, and the ids of the words in it."""
        dim = self.input.shape[1]
        sides = [(term, 1.0) for term in terms(positive, dim)] + [
            (term, -1.0) for term in terms(negative, dim)
        ]
        if not sides:
            raise UserError("Nothing is asked for: positive or negative needs a word or a vector.")
        weights = np.array([sign if term.weight is None else term.weight for term, sign in sides])
        vectors = [self._direction_or_vector(term) for term, _ in sides]
        largest = max(np.abs(vectors).max(), 1.0)  # so that no sum overflows
        mean = (weights / max(np.abs(weights).max(), 1.0)) @ (np.stack(vectors) / largest)
        direction = directions(mean[None, :])[0].astype(self.input.dtype)
        return direction, self._ids_of([term for term, _ in sides])

    def _direction_or_vector(self, term: Term) -> NDArray[np.float64]:
        if isinstance(term.key, str):
            return self._directions[self._id(term.key)].astype(np.float64)  # type: ignore[no-any-return]
        return term.key

    def _nearest(
        self, queries: NDArray[Any], topn: int, searched: slice, excluded: Sequence[Sequence[int]]
    ) -> list[Similar]:
        topn = require_whole("topn", topn, at_least=0)
        left_out = [self._within(searched, ids) for ids in excluded]
        found = nearest(self._directions[searched], queries, topn, left_out)
        return [
            [
                (self.words[searched.start + i], cosine)
                for i, cosine in zip(ids.tolist(), cosines.tolist(), strict=True)
            ]
            for ids, cosines in found
        ]

    def _ids_of(self, asked: Iterable[Term]) -> list[int]:
        return [self._id(term.key) for term in asked if isinstance(term.key, str)]

    @staticmethod
    def _within(searched: slice, ids: Iterable[int]) -> list[int]:
        """Return those of the ids that are looked at, counted from the first that is."""
        return [i - searched.start for i in ids if searched.start <= i < searched.stop]

    def _id(self, word: str) -> int:
        if isinstance(word, str) and word in self.ids:
            return self.ids[word]
        raise unknown_word(word, self.words)
