"""Words with vectors: cosines, nearest neighbours and analogies."""

from __future__ import annotations

import math
import reprlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from numbers import Real
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import UserError, require_kind, require_whole, suggestion, wrong_kind


def directions(vectors: NDArray[Any]) -> NDArray[Any]:
    """Return vectors of length 1, shape (n, dim); zero stays zero.

    They are divided by their largest entry first, so that squares neither overflow nor vanish.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest, largest, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    scaled /= np.where(length, length, 1)
    return scaled


SUGGESTED_WORDS = 5_000  # an unknown word is compared with the most frequent ones; all would take seconds
SUGGESTED_LENGTH = 40


def numbered_words(words: list[str]) -> dict[str, int]:
    """Return the id of each word, or raise `UserError` for the first one that cannot be kept."""
    if not isinstance(words, (list, tuple)):
        raise UserError(f"words must be a list of strings, not {type(words).__name__}.")
    if not words:
        raise UserError("words must not be empty: there is nothing to embed.")
    ids: dict[str, int] = {}
    for number, word in enumerate(words):
        problem = ""
        if not isinstance(word, str):
            problem = "is not a string"
        elif not _is_unicode(word):
            problem = "has half of a surrogate pair in it, which no UTF-8 file can hold"
        elif ids.setdefault(word, number) != number:
            problem = f"is word number {ids[word] + 1} as well"
        if problem:
            raise UserError(f"word number {number + 1}, {reprlib.repr(word)}, {problem}.")
    return ids


def unknown_word(word: str, words: Sequence[str]) -> UserError:
    """Return the error for a word that is not there, with the closest one that is."""
    if not isinstance(word, str):
        return UserError(f"{reprlib.repr(word)}: a word must be a string, not {type(word).__name__}.")
    near: list[str] = []
    if len(word) <= SUGGESTED_LENGTH:
        near = [
            known
            for known in words[:SUGGESTED_WORDS]
            if len(known) <= SUGGESTED_LENGTH and known.isprintable()
        ]
    return UserError(
        f"{reprlib.repr(word)} is not among the {len(words)} words{suggestion(word.lower(), near)}"
    )


def check_counts(counts: NDArray[np.int64], words: int) -> None:
    """Raise `UserError` unless there is an int64 for each word, none below 0."""
    if not isinstance(counts, np.ndarray):
        raise UserError(f"counts must be an array of int64, or None, not {type(counts).__name__}.")
    if counts.shape != (words,) or counts.dtype != np.int64 or counts.min() < 0:
        raise UserError(
            f"counts must be int64 of shape ({words},), one for each word and none below 0; "
            f"they are {counts.dtype} of shape {counts.shape}."
        )


def check_matrix(name: str, matrix: NDArray[Any], words: list[str], *, like: NDArray[Any]) -> None:
    """Raise `UserError` unless a matrix has a finite vector for each word, dtype and columns as `like` has them."""
    if not isinstance(matrix, np.ndarray):
        raise UserError(f"{name} must be an array of float32 or float64, not {type(matrix).__name__}.")
    if matrix.dtype not in (np.float32, np.float64) or matrix.dtype != like.dtype:
        raise UserError(f"{name} must be float32 or float64, input and output alike; it is {matrix.dtype}.")
    if matrix.ndim != 2 or matrix.shape != (len(words), like.shape[1]) or not matrix.size:
        raise UserError(
            f"{name} must have a row for each of the {len(words)} words and at least one column, input "
            f"and output as many; its shape is {matrix.shape}."
        )
    if not np.isfinite([matrix.min(), matrix.max()]).all():  # NaN is both extremes wherever there is one
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise UserError(
            f"{name}: the vector of word number {row + 1}, {reprlib.repr(words[row])}, has a value "
            "that is NaN or infinite."
        )


def _is_unicode(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


# A word, a vector, or one of them with its weight; or several of these. (Vectors may be lists of numbers.)
Asked = Any


class Term(NamedTuple):
    """A part of a query: a word or a vector, and its weight; None where it is not said."""

    key: str | NDArray[np.float64]
    weight: float | None


def terms(asked: Asked, dim: int) -> list[Term]:
    """Return the parts of what is asked: a word, a vector, a pair of one and its weight, or an iterable of these.

    Raises
    ------
    UserError
        If a part is none of these.
    """
    if asked is None:
        return []
    if isinstance(asked, str) or _is_vector(asked):
        return [_term(asked, dim)]
    if not isinstance(asked, Iterable):
        raise UserError(f"A word, a vector or a list of them is needed, not {reprlib.repr(asked)}.")
    return [_term(item, dim) for item in asked]


def as_vector(numbers: Any, dim: int) -> NDArray[np.float64]:
    """Return `dim` finite numbers as an array of shape (dim,), or raise `UserError`."""
    try:
        vector = np.asarray(numbers, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"A vector must be {dim} numbers, not {reprlib.repr(numbers)} ({error}).") from error
    if vector.shape != (dim,) or not np.isfinite(vector).all():
        raise UserError(
            f"A vector must be {dim} finite numbers, not {reprlib.repr(numbers)} of shape {vector.shape}."
        )
    return vector


def _term(item: Any, dim: int) -> Term:
    weight = None
    if isinstance(item, tuple) and len(item) == 2 and not isinstance(item[0], Real):
        item, weight = item
        if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
            raise UserError(
                f"The weight of {reprlib.repr(item)} must be a finite number, not {reprlib.repr(weight)}."
            )
    return Term(item if isinstance(item, str) else as_vector(item, dim), weight)


def _is_vector(asked: Any) -> bool:
    """Return whether this is one vector: an array of one dimension, or a sequence of nothing but numbers."""
    if isinstance(asked, np.ndarray):
        return asked.ndim == 0 or (asked.ndim == 1 and asked.dtype.kind not in "UO")
    return isinstance(asked, (list, tuple)) and bool(asked) and all(isinstance(x, Real) for x in asked)


BATCH_BYTES = 1 << 25  # of the cosines of a batch of queries with all vectors


def nearest(
    directions: NDArray[Any], queries: NDArray[Any], topn: int, excluded: Sequence[Sequence[int]]
) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """Yield for each query the ids of the vectors with the largest cosines, and these cosines.

    A batch of queries is one product with all vectors. BLAS rounds equal rows of a product differently in different
    places, so what could be among the nearest is then compared row by row: vectors that are equal tie, and a query
    gets the same answer, bit by bit, whatever is asked beside it.

    Parameters
    ----------
    directions : ndarray of float, shape (V, dim)
        Vectors of length 1 (or 0).
    queries : ndarray of the same dtype, shape (n, dim)
        Likewise.
    topn : int
        How many to return at the most, for each query.
    excluded : sequence of n sequences of int
        Ids that are not returned for a query.

    Yields
    ------
    ids : ndarray of int, shape (min(topn, what is left),)
        By falling cosine, equal ones by rising id.
    cosines : ndarray of float, the same shape
    """
    batch_size = max(1, BATCH_BYTES // (len(directions) * directions.itemsize))
    rounding = 2 * directions.shape[1] * np.finfo(directions.dtype).eps  # of a product and of a row, together
    cosines_of_batch = np.empty((min(batch_size, len(queries)), len(directions)), directions.dtype)
    for start in range(0, len(queries), batch_size):
        batch = queries[start : start + batch_size]
        products = np.matmul(batch, directions.T, out=cosines_of_batch[: len(batch)])
        for query, product, left_out in zip(batch, products, excluded[start:], strict=False):
            product[list(left_out)] = -np.inf
            count = min(topn, len(product) - len(set(left_out)))
            candidates = np.flatnonzero(product >= _largest(product, count) - rounding)
            cosines = np.vecdot(directions[candidates], query)
            best = np.argsort(-cosines, kind="stable")[:count]
            yield candidates[best], cosines[best]


def highest(scores: NDArray[Any], topn: int, excluded: Sequence[int]) -> NDArray[np.intp]:
    """Return the ids of the `topn` highest scores that are not excluded: equal ones by rising id."""
    left = scores.copy()
    left[list(excluded)] = -np.inf
    count = min(topn, len(left) - len(set(excluded)))
    candidates = np.flatnonzero(left >= _largest(left, count))
    return candidates[np.argsort(-left[candidates], kind="stable")[:count]]


def _largest(values: NDArray[Any], count: int) -> Any:
    """Return the `count`-th largest value; infinity for none."""
    place = len(values) - count
    return np.partition(values, place)[place] if count else np.inf


COSMUL_EPSILON = 1e-6  # so that nothing is divided by 0 (Levy & Goldberg 2014: 0.001; gensim: this)

Scores = NDArray[Any]


def answered(
    directions: NDArray[Any],
    questions: NDArray[np.intp],
    first_spelling: NDArray[np.intp],
    similarity_function: str,
) -> NDArray[np.bool_]:
    """Return which questions are answered rightly: by the word of the highest score, words of the question left out.

    Parameters
    ----------
    directions : ndarray of float, shape (V, dim)
        Vectors of length 1.
    questions : ndarray of int, shape (n, 4)
        The ids of a, b, c and of the word that is to c as b is to a.
    first_spelling : ndarray of int, shape (V,)
        Of each word, the id of the first one that counts as the same (it may differ in case).
    similarity_function : str
        A key of `SIMILARITY_FUNCTIONS`.
    """
    words = len(directions)
    score, rows_per_question = SIMILARITY_FUNCTIONS[similarity_function]
    spellings = np.argsort(first_spelling, kind="stable")  # those of a word side by side
    starts = np.searchsorted(first_spelling[spellings], np.arange(words + 1))
    batch_size = max(1, BATCH_BYTES // (rows_per_question * words * directions.itemsize))
    scores = np.empty((min(batch_size, len(questions)), words), directions.dtype)
    answers = np.empty(len(questions), np.intp)
    for start in range(0, len(questions), batch_size):
        asked = questions[start : start + batch_size, :3]
        found = score(directions, asked, scores[: len(asked)])
        rows, excluded = _spellings_of(asked, spellings, starts)
        found[rows, excluded] = -np.inf
        answers[start : start + batch_size] = found.argmax(axis=1)
    expected = questions[:, 3]
    possible = (questions[:, :3] != expected[:, None]).all(axis=1)
    return (first_spelling[answers] == expected) & possible  # type: ignore[no-any-return]


def add_cosines(directions: NDArray[Any], asked: NDArray[np.intp], out: Scores) -> Scores:
    """Return cos(x, b) − cos(x, a) + cos(x, c) for every word x, shape (n, V): one product with b − a + c (3CosAdd).

    Source: Mikolov, Yih & Zweig 2013; Levy & Goldberg 2014 for the name.
    """
    a, b, c = (directions[column] for column in asked.T)
    scores: Scores = np.matmul(b - a + c, directions.T, out=out)
    return scores


def multiply_similarities(directions: NDArray[Any], asked: NDArray[np.intp], out: Scores) -> Scores:
    """Return s(x, b)·s(x, c) / (s(x, a) + 1e-6) for every word x, shape (n, V), s being (1 + cosine) / 2 (3CosMul).

    Source: Levy & Goldberg 2014, equation 4 and footnote 7. Questions of a section ask with the same words again and
    again, so the product with all words is taken once for each distinct word of the batch.
    """
    distinct, places = np.unique(asked, return_inverse=True)
    similarities = directions[distinct] @ directions.T
    similarities += 1
    similarities /= 2
    for row, (a, b, c) in zip(out, places.reshape(asked.shape), strict=True):  # a row stays in the cache
        np.add(similarities[a], COSMUL_EPSILON, out=row)
        np.divide(similarities[b], row, out=row)
        np.multiply(similarities[c], row, out=row)
    return out


Scoring = Callable[[NDArray[Any], NDArray[np.intp], Scores], Scores]
# By the name of the method that answers one question alike; and how many rows of scores a question may take.
SIMILARITY_FUNCTIONS: dict[str, tuple[Scoring, int]] = {
    "most_similar": (add_cosines, 1),
    "most_similar_cosmul": (multiply_similarities, 4),
}


def _spellings_of(
    asked: NDArray[np.intp], spellings: NDArray[np.intp], starts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and id of every spelling of the words asked, shape (n, k): the k words of row i are excluded in it."""
    flat = asked.ravel()
    counts = starts[flat + 1] - starts[flat]
    rows = np.repeat(np.arange(len(flat)) // asked.shape[1], counts)
    place_in_word = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, spellings[np.repeat(starts[flat], counts) + place_in_word]


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
