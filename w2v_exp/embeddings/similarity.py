"""What can be asked of words with vectors: which are similar, which is the odd one out."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.analogy_answers import COSMUL_EPSILON
from w2v_exp.embeddings.directions import directions
from w2v_exp.embeddings.nearest import highest
from w2v_exp.embeddings.query import Asked, Term, terms
from w2v_exp.embeddings.word_vectors import Similar, WordVectors
from w2v_exp.errors import UserError
from w2v_exp.validation import require_whole, wrong_kind


class Similarity(WordVectors):
    """Words with vectors, to be compared. Methods are named as in gensim's ``KeyedVectors``, and mean the same.

    Where they differ: docs/embeddings.md. Cosines with a vector of zeros are 0.
    """

    @overload
    def most_similar(
        self,
        positive: Asked = ...,
        negative: Asked = ...,
        topn: int = ...,
        clip_start: int = ...,
        clip_end: int | None = ...,
        restrict_vocab: int | None = ...,
    ) -> Similar: ...
    @overload
    def most_similar(
        self,
        positive: Asked = ...,
        negative: Asked = ...,
        *,
        topn: Literal[None],
        clip_start: int = ...,
        clip_end: int | None = ...,
        restrict_vocab: int | None = ...,
    ) -> NDArray[Any]: ...
    def most_similar(
        self,
        positive: Asked = None,
        negative: Asked = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
    ) -> Similar | NDArray[Any]:
        """Return the words with the largest cosines with a mean of words and vectors (3CosAdd).

        Source: Mikolov, Yih & Zweig 2013. Words enter the mean with length 1, vectors as they are.

        Parameters
        ----------
        positive, negative : str, array of float of shape (dim,), or list of these, optional
            What the mean is taken of, with weight 1 and −1; a tuple of a word or vector and a number says
            another weight (which is not negated in `negative`). These words are left out of the answer.
        topn : int, optional
            How many words to return at the most; None: the cosines of all words.
        clip_start, clip_end : int
            Only words with these ids are looked at: from `clip_start` on, up to `clip_end`.
        restrict_vocab : int, optional
            Only so many words are looked at, the first ones; then `clip_start` and `clip_end` do not count.

        Returns
        -------
        list of (str, float), or ndarray of float, shape (number of words looked at,)
            Words and cosines, the largest first; equal ones in the order of their ids.

        Raises
        ------
        UserError
            If a word is not there, a vector is not `dim` finite numbers, or nothing is asked for.
        """
        searched = self._searched(clip_start, clip_end, restrict_vocab)
        query, excluded = self._mean(positive, negative)
        if topn is None:
            return np.vecdot(self._directions[searched], query)  # type: ignore[no-any-return]
        (similar,) = self._nearest(query[None, :], topn, searched, [excluded])
        return similar

    def most_similar_to_each(
        self, queries: Iterable[Asked], topn: int = 10, restrict_vocab: int | None = None
    ) -> list[Similar]:
        """Return what `most_similar` returns for each of many queries, by one matrix product for all (or a batch).

        Parameters
        ----------
        queries : iterable, or array of float of shape (n, dim)
            Words, vectors, or lists of both with weights: each what `positive` of `most_similar` can be.
        topn, restrict_vocab : int
            As there.

        Returns
        -------
        list of n lists of (str, float)
            Exactly the answers that `most_similar` gives to one after the other.

        Raises
        ------
        UserError
            As there.
        """
        searched = self._searched(0, None, restrict_vocab)
        means = [self._mean(query, None) for query in queries]
        if not means:
            return []
        return self._nearest(
            np.stack([query for query, _ in means]), topn, searched, [excluded for _, excluded in means]
        )

    @overload
    def most_similar_cosmul(
        self,
        positive: Asked = ...,
        negative: Asked = ...,
        topn: int = ...,
        restrict_vocab: int | None = ...,
    ) -> Similar: ...
    @overload
    def most_similar_cosmul(
        self,
        positive: Asked = ...,
        negative: Asked = ...,
        *,
        topn: Literal[None],
        restrict_vocab: int | None = ...,
    ) -> NDArray[Any]: ...
    def most_similar_cosmul(
        self,
        positive: Asked = None,
        negative: Asked = None,
        topn: int | None = 10,
        restrict_vocab: int | None = None,
    ) -> Similar | NDArray[Any]:
        """Return the words with the highest product of similarities over that of dissimilarities (3CosMul).

        Source: Levy & Goldberg 2014, equation 4, with similarities (1 + cosine) / 2 as in its footnote 7.

        Parameters
        ----------
        positive, negative : str, array of float of shape (dim,), or list of these, optional
            Whose similarities are multiplied, and divided by. These words are left out of the answer.
        topn, restrict_vocab : int, optional
            As in `most_similar`.

        Returns
        -------
        list of (str, float), or ndarray of float, shape (number of words looked at,)
            Words and scores, the highest first; equal ones in the order of their ids.

        Raises
        ------
        UserError
            As `most_similar`; also if there is nothing in `positive`, or a weight.
        """
        searched = self._searched(0, None, restrict_vocab)
        dim = self.input.shape[1]
        wanted, unwanted = terms(positive, dim), terms(negative, dim)
        if not wanted:
            raise UserError("most_similar_cosmul needs a word or a vector in positive.")
        if any(term.weight is not None for term in wanted + unwanted):
            raise UserError("most_similar_cosmul has no weights; most_similar has.")
        scores, divisor = (self._shifted_product(side, searched) for side in (wanted, unwanted))
        scores /= divisor + COSMUL_EPSILON
        if topn is None:
            return scores
        topn = require_whole("topn", topn, at_least=0)
        best = highest(scores, topn, self._within(searched, self._ids_of(wanted + unwanted)))
        return [(self.words[i], float(scores[i])) for i in best.tolist()]

    def doesnt_match(self, words: Iterable[str]) -> str:
        """Return the word that is farthest from the mean of all of them; of equally far ones the alphabetically first.

        Unknown words are left out, with a warning.

        Raises
        ------
        UserError
            If none of them is known.
        """
        if isinstance(words, str) or not isinstance(words, Iterable):
            raise wrong_kind("words", words, "a list of words")
        asked = list(words)
        known = [word for word in asked if word in self.ids]
        if not known:
            raise UserError(f"None of {reprlib.repr(asked)} is among the {len(self.words)} words.")
        if len(known) < len(asked):
            unknown = reprlib.repr([word for word in asked if word not in self.ids])
            warnings.warn(f"These words are not known, and are left out: {unknown}", stacklevel=2)
        vectors = self._directions[[self.ids[word] for word in known]]
        mean = directions(vectors.mean(axis=0, keepdims=True))[0]
        return min(zip(np.vecdot(vectors, mean).tolist(), known, strict=True))[1]

    def _shifted_product(self, side: Sequence[Term], searched: slice) -> NDArray[Any]:
        """Return for each word the product of (1 + cosine) / 2 with all terms; 1 for none."""
        product = np.ones(searched.stop - searched.start, self.input.dtype)
        for term in side:
            direction = directions(self._direction_or_vector(term)[None, :])[0].astype(self.input.dtype)
            product *= (1 + np.vecdot(self._directions[searched], direction)) / 2
        return product
