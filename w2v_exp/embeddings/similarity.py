"""Word vectors: cosines, nearest neighbours and analogies of words."""

from __future__ import annotations

import math
import reprlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from numbers import Real
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import UserError, require_kind, require_whole, suggestion, visible, wrong_kind


def directions(vectors: NDArray[Any]) -> NDArray[Any]:
    """Scale vectors to length 1, shape (n, dim); zero stays zero."""
    # By the largest entry first: squares neither overflow nor vanish.
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest, largest, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    scaled /= np.where(length, length, 1)
    return scaled


class UnknownWordError(UserError, KeyError):
    """A word without a vector; also a `KeyError`, as of a mapping from words to vectors."""

    def __str__(self) -> str:  # that of `KeyError` is the representation of the message
        return visible(Exception.__str__(self))


# A word, a vector (or list of numbers), a tuple of one of these and its weight, or an iterable of all these.
Query = Any


class Term(NamedTuple):
    """Part of a query: a word or a vector, and its weight, if given."""

    key: str | NDArray[np.float64]
    weight: float | None


def parse_query(query: Query, dim: int) -> list[Term]:
    """Return the terms of a query.

    Raises
    ------
    UserError
        If a term is neither a word nor a vector, with a weight or without.
    """
    if query is None:
        return []
    is_vector = False
    if isinstance(query, np.ndarray):
        is_vector = query.ndim == 0 or (query.ndim == 1 and query.dtype.kind not in "UO")
    elif isinstance(query, (list, tuple)):
        is_vector = bool(query) and all(isinstance(x, Real) for x in query)
    if isinstance(query, str) or is_vector:
        return [_parse_term(query, dim)]
    if not isinstance(query, Iterable):
        raise UserError(f"A word, a vector or a list of them is needed, not {reprlib.repr(query)}.")
    return [_parse_term(item, dim) for item in query]


def _parse_term(item: Any, dim: int) -> Term:
    weight = None
    if isinstance(item, tuple) and len(item) == 2 and not isinstance(item[0], Real):
        item, weight = item
        if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
            raise UserError(
                f"The weight of {reprlib.repr(item)} must be a finite number, not {reprlib.repr(weight)}."
            )
    return Term(item if isinstance(item, str) else _parse_vector(item, dim), weight)


def _parse_vector(numbers: Any, dim: int) -> NDArray[np.float64]:
    try:
        vector = np.asarray(numbers, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"A vector must be {dim} numbers, not {reprlib.repr(numbers)} ({error}).") from error
    if vector.shape != (dim,) or not np.isfinite(vector).all():
        raise UserError(
            f"A vector must be {dim} finite numbers, not {reprlib.repr(numbers)} of shape {vector.shape}."
        )
    return vector


BATCH_BYTES = 1 << 25  # of cosines at a time


def nearest(
    directions: NDArray[Any], queries: NDArray[Any], topn: int, excluded: Sequence[Sequence[int]]
) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """Yield for each query the ids of the largest cosines, and these cosines.

    A batch of queries is one matrix product with all vectors. BLAS rounds equal rows of a product differently at
    different positions, so the cosines of all candidates are computed again row by row: equal vectors tie, and the
    result of a query is the same, to the bit, in every batch.

    Parameters
    ----------
    directions : ndarray of float, shape (V, dim)
        Vectors of length 1 (or 0).
    queries : ndarray of the same dtype, shape (n, dim)
        Likewise.
    topn : int
        Largest number of results per query.
    excluded : sequence of n sequences of int
        Ids that are excluded from the results of a query.

    Yields
    ------
    ids : ndarray of int, shape (min(topn, V − excluded),)
        By falling cosine, equal ones by rising id.
    cosines : ndarray of float, the same shape
    """
    batch_size = max(1, BATCH_BYTES // (len(directions) * directions.itemsize))
    rounding = 2 * directions.shape[1] * np.finfo(directions.dtype).eps  # of both computations together
    cosines_of_batch = np.empty((min(batch_size, len(queries)), len(directions)), directions.dtype)
    for start in range(0, len(queries), batch_size):
        batch = queries[start : start + batch_size]
        products = np.matmul(batch, directions.T, out=cosines_of_batch[: len(batch)])
        for query, product, skipped in zip(batch, products, excluded[start:], strict=False):
            product[list(skipped)] = -np.inf
            count = min(topn, len(product) - len(set(skipped)))
            candidates = np.flatnonzero(product >= _largest(product, count) - rounding)
            cosines = np.vecdot(directions[candidates], query)
            best = np.argsort(-cosines, kind="stable")[:count]
            yield candidates[best], cosines[best]


def highest(scores: NDArray[Any], topn: int, excluded: Sequence[int]) -> NDArray[np.intp]:
    """Return the ids of the `topn` highest scores, equal ones by rising id."""
    scores = scores.copy()
    scores[list(excluded)] = -np.inf
    count = min(topn, len(scores) - len(set(excluded)))
    candidates = np.flatnonzero(scores >= _largest(scores, count))
    return candidates[np.argsort(-scores[candidates], kind="stable")[:count]]


def _largest(values: NDArray[Any], count: int) -> Any:
    """Return the `count`-th largest value; infinity for none."""
    index = len(values) - count
    return np.partition(values, index)[index] if count else np.inf


COSMUL_EPSILON = 1e-6  # against division by 0, as in gensim (Levy & Goldberg 2014: 0.001)

Similar = list[tuple[str, float]]  # words and cosines or scores
SUGGESTED_WORDS = (
    5_000  # an unknown word is compared with the most frequent ones; with all it would take seconds
)
SUGGESTED_LENGTH = 40


class WordVectors:
    """Words with vectors, compared by cosine, which is 0 with a zero vector.

    Methods that are named as in gensim's ``KeyedVectors`` return the same; docs/embeddings.md lists differences.

    Attributes
    ----------
    words : list of str
        By id.
    input : ndarray of float, shape (V, dim)
        The vectors.
    ids : dict of str to int
        The id of each word.
    """

    words: list[str]
    input: NDArray[Any]
    ids: dict[str, int]

    def vector(self, word: str) -> NDArray[Any]:
        """Return the input vector of a word, shape (dim,).

        Raises
        ------
        UnknownWordError
            If the word is unknown; suggests the closest known one. It is a `UserError` and a `KeyError`.
        """
        vector: NDArray[Any] = self.input[self._id(word)]
        return vector

    def __getitem__(self, words: str | Iterable[str]) -> NDArray[Any]:
        """Return the input vector of a word, (dim,), or of several, (n, dim)."""
        if isinstance(words, str):
            return self.vector(words)
        require_kind("words", words, Iterable, "a word or a list of words")
        return self.input[[self._id(word) for word in words]]

    def similarity(self, w1: str, w2: str) -> float:
        """Return the cosine of the input vectors of two words.

        Raises
        ------
        UserError
            If one of the words is unknown.
        """
        return float(np.vecdot(self._directions[self._id(w1)], self._directions[self._id(w2)]))

    @overload
    def most_similar(
        self,
        positive: Query = ...,
        negative: Query = ...,
        topn: int = ...,
        clip_start: int = ...,
        clip_end: int | None = ...,
        restrict_vocab: int | None = ...,
    ) -> Similar: ...
    @overload
    def most_similar(
        self,
        positive: Query = ...,
        negative: Query = ...,
        *,
        topn: Literal[None],
        clip_start: int = ...,
        clip_end: int | None = ...,
        restrict_vocab: int | None = ...,
    ) -> NDArray[Any]: ...
    def most_similar(
        self,
        positive: Query = None,
        negative: Query = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
    ) -> Similar | NDArray[Any]:
        """Return the words nearest to a mean of vectors by cosine (3CosAdd).

        Source: Mikolov, Yih & Zweig 2013. The vectors of words enter the mean with length 1, other vectors unscaled.

        Parameters
        ----------
        positive, negative : str, array of float of shape (dim,), or list of these, optional
            The terms of the mean, with weight 1 and −1; a tuple of a word or vector and a number gives another
            weight (which is not negated in `negative`). These words are excluded from the result.
        topn : int, optional
            Largest number of words to return; None returns the cosines of all words.
        clip_start, clip_end : int
            Search only ids from `clip_start` up to and without `clip_end`.
        restrict_vocab : int, optional
            Search only the first `restrict_vocab` words, whatever `clip_start` and `clip_end` are.

        Returns
        -------
        list of (str, float), or ndarray of float, shape (number of words searched,)
            Words and cosines by falling cosine, equal ones by rising id.

        Raises
        ------
        UserError
            If a word is unknown, a vector is not `dim` finite numbers, or there is no term.
        """
        searched = self._searched(clip_start, clip_end, restrict_vocab)
        query, excluded = self._mean(positive, negative)
        if topn is None:
            return np.vecdot(self._directions[searched], query)  # type: ignore[no-any-return]
        (similar,) = self._nearest(query[None, :], topn, searched, [excluded])
        return similar

    def most_similar_to_each(
        self, queries: Iterable[Query], topn: int = 10, restrict_vocab: int | None = None
    ) -> list[Similar]:
        """Return the result of `most_similar` for each of many queries.

        The queries are answered together, by matrix products.

        Parameters
        ----------
        queries : iterable, or array of float of shape (n, dim)
            Words, vectors, or lists of both with weights: each a value of `positive` in `most_similar`.
        topn, restrict_vocab : int
            As in `most_similar`.

        Returns
        -------
        list of n lists of (str, float)
            The results of `most_similar`, to the bit.

        Raises
        ------
        UserError
            As `most_similar`.
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
        positive: Query = ...,
        negative: Query = ...,
        topn: int = ...,
        restrict_vocab: int | None = ...,
    ) -> Similar: ...
    @overload
    def most_similar_cosmul(
        self,
        positive: Query = ...,
        negative: Query = ...,
        *,
        topn: Literal[None],
        restrict_vocab: int | None = ...,
    ) -> NDArray[Any]: ...
    def most_similar_cosmul(
        self,
        positive: Query = None,
        negative: Query = None,
        topn: int | None = 10,
        restrict_vocab: int | None = None,
    ) -> Similar | NDArray[Any]:
        """Return the words with the highest ratios of similarities (3CosMul).

        Source: Levy & Goldberg 2014, equation 4, with similarities (1 + cosine) / 2 as in its footnote 7.

        Parameters
        ----------
        positive, negative : str, array of float of shape (dim,), or list of these, optional
            The terms of numerator and denominator. These words are excluded from the result.
        topn, restrict_vocab : int, optional
            As in `most_similar`.

        Returns
        -------
        list of (str, float), or ndarray of float, shape (number of words searched,)
            Words and scores by falling score, equal ones by rising id.

        Raises
        ------
        UserError
            As `most_similar`; also if `positive` is empty or a term has a weight.
        """
        searched = self._searched(0, None, restrict_vocab)
        dim = self.input.shape[1]
        wanted, unwanted = parse_query(positive, dim), parse_query(negative, dim)
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
        """Return the word farthest from the mean of all.

        Of ties, it is the alphabetically first.

        Unknown words are skipped with a warning.

        Raises
        ------
        UserError
            If none of them is known.
        """
        if isinstance(words, str) or not isinstance(words, Iterable):
            raise wrong_kind("words", words, "a list of words")
        words = list(words)
        known = [word for word in words if word in self.ids]
        if not known:
            raise UserError(f"None of {reprlib.repr(words)} is among the {len(self.words)} words.")
        if len(known) < len(words):
            unknown = reprlib.repr([word for word in words if word not in self.ids])
            warnings.warn(f"Unknown words are skipped: {unknown}", stacklevel=2)
        vectors = self._directions[[self.ids[word] for word in known]]
        mean = directions(vectors.mean(axis=0, keepdims=True))[0]
        return min(zip(np.vecdot(vectors, mean).tolist(), known, strict=True))[1]

    @cached_property
    def _directions(self) -> NDArray[Any]:
        return directions(self.input)

    def _searched(self, clip_start: int, clip_end: int | None, restrict_vocab: int | None) -> slice:
        """Return the range of ids to search."""
        if restrict_vocab is not None:
            clip_start, clip_end = 0, require_whole("restrict_vocab", restrict_vocab, at_least=1)
        end = len(self.words) if clip_end is None else clip_end
        clip_start = require_whole("clip_start", clip_start, at_least=0)
        if clip_start >= len(self.words):
            raise UserError(f"clip_start={clip_start}: must be below the number of words, {len(self.words)}.")
        end = require_whole("clip_end", end, at_least=clip_start + 1)
        return slice(clip_start, min(end, len(self.words)))

    def _mean(self, positive: Query, negative: Query) -> tuple[NDArray[Any], list[int]]:
        """Return the direction of a weighted mean, and the ids of the words in it."""
        dim = self.input.shape[1]
        added, subtracted = parse_query(positive, dim), parse_query(negative, dim)
        terms = added + subtracted
        if not terms:
            raise UserError("positive or negative needs a word or a vector.")
        signs = [1.0] * len(added) + [-1.0] * len(subtracted)
        weights = np.array(
            [sign if term.weight is None else term.weight for term, sign in zip(terms, signs, strict=True)]
        )
        vectors = [self._vector_of(term) for term in terms]
        largest = max(np.abs(vectors).max(), 1.0)  # sums cannot overflow
        mean = (weights / max(np.abs(weights).max(), 1.0)) @ (np.stack(vectors) / largest)
        direction = directions(mean[None, :])[0].astype(self._directions.dtype)
        return direction, self._ids_of(terms)

    def _vector_of(self, term: Term) -> NDArray[np.float64]:
        if isinstance(term.key, str):
            return self._directions[self._id(term.key)].astype(np.float64)  # type: ignore[no-any-return]
        return term.key

    def _nearest(
        self, queries: NDArray[Any], topn: int, searched: slice, excluded: Sequence[Sequence[int]]
    ) -> list[Similar]:
        topn = require_whole("topn", topn, at_least=0)
        within = [self._within(searched, ids) for ids in excluded]
        found = nearest(self._directions[searched], queries, topn, within)
        return [
            [
                (self.words[searched.start + i], cosine)
                for i, cosine in zip(ids.tolist(), cosines.tolist(), strict=True)
            ]
            for ids, cosines in found
        ]

    def _ids_of(self, terms: Iterable[Term]) -> list[int]:
        return [self._id(term.key) for term in terms if isinstance(term.key, str)]

    @staticmethod
    def _within(searched: slice, ids: Iterable[int]) -> list[int]:
        """Return the ids within the range, relative to its start."""
        return [i - searched.start for i in ids if searched.start <= i < searched.stop]

    def _id(self, word: str) -> int:
        if isinstance(word, str) and word in self.ids:
            return self.ids[word]
        if not isinstance(word, str):
            raise UserError(f"{reprlib.repr(word)}: a word must be a string, not {type(word).__name__}.")
        near: list[str] = []
        if len(word) <= SUGGESTED_LENGTH:
            near = [
                known
                for known in self.words[:SUGGESTED_WORDS]
                if len(known) <= SUGGESTED_LENGTH and known.isprintable()
            ]
        raise UnknownWordError(
            f"{reprlib.repr(word)} is not among the {len(self.words)} words{suggestion(word.lower(), near)}"
        )

    def _shifted_product(self, side: Sequence[Term], searched: slice) -> NDArray[Any]:
        """Return the product of (1 + cosine) / 2 over terms, by word searched."""
        dtype = self._directions.dtype
        product = np.ones(searched.stop - searched.start, dtype)
        for term in side:
            direction = directions(self._vector_of(term)[None, :])[0].astype(dtype)
            product *= (1 + np.vecdot(self._directions[searched], direction)) / 2
        return product
