"""Further queries of word vectors, by the names and arguments of gensim's `KeyedVectors`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.display import card
from w2v_exp.embeddings.similarity import Query, WordVectors, directions
from w2v_exp.errors import (
    SettingError,
    UserError,
    require_array,
    require_choice,
    short,
    shown,
    wrong_kind,
)

PROBES = 8
# More frequent words are function words, which are near everything; rarer words are hardly trained.
FIRST_RANK, LAST_RANK = 100, 10_000
SHOWN_NEIGHBOURS = 5
LARGEST_SEARCHED = 50_000_000  # numbers of all vectors: a notebook shows neighbours within 0.2 s


def chosen_probes(words: Sequence[str]) -> list[str]:
    """Return up to eight words, evenly spaced by the logarithm of their rank.

    Parameters
    ----------
    words : sequence of str
        By falling count. Probes have ranks 100 to 10,000 in a large vocabulary, and the last 90 % of a small one.
    """
    first, last = max(1, min(FIRST_RANK, len(words) // 10)), min(LAST_RANK, len(words))
    ranks = sorted({*np.geomspace(first, last, PROBES).round().astype(int).tolist()})
    return [words[rank - 1] for rank in ranks]


class WordQueries(WordVectors):
    """Queries that are derived from cosines, means and distances of vectors.

    A distance is 1 − cosine. Words may be ids where gensim accepts them, in `KeyedVectors`.
    """

    counts: NDArray[np.int64] | None

    @property
    def vectors(self) -> NDArray[Any]:
        """The vector of each word, (V, dim)."""
        return self.input

    @property
    def vector_size(self) -> int:
        """Number of dimensions."""
        return int(self.input.shape[1])

    @property
    def index_to_key(self) -> list[str]:
        """The word of each id."""
        return self.words

    @property
    def key_to_index(self) -> dict[str, int]:
        """The id of each word."""
        return self.ids

    def get_index(self, key: str, default: int | None = None) -> int:
        """Return the id of a word, or `default` for an unknown one.

        Raises
        ------
        UnknownWordError
            If the word is unknown, and `default` is None.
        """
        try:
            return self._id(key)
        except UserError:
            if default is None:
                raise
            return default

    def has_index_for(self, key: object) -> bool:
        """Return whether a word has a vector."""
        return key in self

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self.ids

    def __len__(self) -> int:
        return len(self.words)

    def _repr_html_(self) -> str:
        """Return a table of some words with their counts and nearest words, for notebooks."""
        facts = [f"{len(self):,} words", f"{self.vector_size:,} dimensions", str(self.input.dtype)]
        words = chosen_probes(self.words) if len(self) else []
        columns: dict[str, Sequence[object]] = {"word": words}
        if self.counts is not None:
            columns["count"] = [int(self.counts[self.ids[word]]) for word in words]
        if words and self.input.size <= LARGEST_SEARCHED:
            found = self.most_similar_to_each(words, SHOWN_NEIGHBOURS)
            columns["nearest words"] = [", ".join(shown(word) for word, _ in similar) for similar in found]
        return card(type(self).__name__, facts, columns)

    def get_vector(self, key: str, norm: bool = False) -> NDArray[Any]:
        """Return the vector of a word, (dim,), or with `norm` its direction of length 1."""
        index = self._id(key)
        vector: NDArray[Any] = self._directions[index].copy() if norm else self.input[index]
        return vector

    def get_normed_vectors(self) -> NDArray[Any]:
        """Return all vectors scaled to length 1, (V, dim)."""
        return self._directions.copy()

    def get_vecattr(self, key: str, attr: str) -> Any:
        """Return an attribute of a word: its ``count``.

        As in gensim, V − id is returned where the counts are unknown, since files list words by falling count.

        Raises
        ------
        UnknownWordError
            If the word is unknown.
        SettingError
            If the attribute is.
        """
        require_choice("attr", attr, ["count"])
        index = self._id(key)
        return len(self.words) - index if self.counts is None else int(self.counts[index])

    def similar_by_word(self, word: str, topn: int | None = 10, restrict_vocab: int | None = None) -> Any:
        """Return the words nearest to a word: `most_similar` of one word."""
        return self.most_similar([word], topn=topn, restrict_vocab=restrict_vocab)

    def similar_by_key(self, key: str, topn: int | None = 10, restrict_vocab: int | None = None) -> Any:
        """Return the words nearest to a word: `most_similar` of one word."""
        return self.similar_by_word(key, topn, restrict_vocab)

    def similar_by_vector(
        self, vector: Sequence[float] | NDArray[Any], topn: int | None = 10, restrict_vocab: int | None = None
    ) -> Any:
        """Return the words nearest to a vector: `most_similar` of one vector."""
        return self.most_similar([np.asarray(vector)], topn=topn, restrict_vocab=restrict_vocab)

    def distance(self, w1: str, w2: str) -> float:
        """Return 1 − the cosine of two words."""
        return 0.0 if self._id(w1) == self._id(w2) else 1 - self.similarity(w1, w2)

    def distances(self, word_or_vector: Query, other_words: Iterable[str] = ()) -> NDArray[Any]:
        """Return the distances of a word or vector from others, or from all words.

        Parameters
        ----------
        word_or_vector : str or ndarray, shape (dim,)
            The word or vector.
        other_words : iterable of str
            The other words; empty for all words.

        Returns
        -------
        ndarray of float, shape (number of other words,) or (V,)
        """
        direction, _ = self._mean([word_or_vector], None)
        others = [self._id(word) for word in _words("other_words", other_words)]
        cosines: NDArray[Any] = np.vecdot(self._directions[others] if others else self._directions, direction)
        return 1 - cosines

    def closer_than(self, key1: str, key2: str) -> list[str]:
        """Return the words that are nearer to the first word than the second is, by id."""
        distances, first = self.distances(key1), self._id(key1)
        nearer = np.flatnonzero(distances < distances[self._id(key2)])
        return [self.words[i] for i in nearer.tolist() if i != first]

    def rank(self, key1: str, key2: str) -> int:
        """Return the rank of the second word among the neighbours of the first: 1 for the nearest."""
        return len(self.closer_than(key1, key2)) + 1

    def most_similar_to_given(self, key1: str, keys_list: Sequence[str]) -> str:
        """Return the word of a list that is nearest to another word.

        Of ties, it is the first.
        """
        keys = _words("keys_list", keys_list)
        if not keys:
            raise SettingError("keys_list", [], "is empty. Give one word or more.")
        nearest: str = keys[int(self.distances(key1, keys).argmin())]
        return nearest

    def relative_cosine_similarity(self, wa: str, wb: str, topn: int = 10) -> float:
        """Return the cosine of two words as a share of those of the nearest ones.

        Source: Leeuwenberg et al. 2016, equation 1. Above 1/topn, the words are nearer than the mean of the `topn`
        nearest words to `wa`.

        Raises
        ------
        UserError
            If a word is unknown, or there is no nearest word.
        """
        nearest = self.similar_by_word(wa, topn)
        total = float(sum(cosine for _, cosine in nearest))
        if not total:
            raise SettingError("topn", topn, f"the nearest words of {wa!r} have cosines that sum to 0.")
        return self.similarity(wa, wb) / total

    def get_mean_vector(
        self,
        keys: Iterable[Query],
        weights: Sequence[float] | NDArray[Any] | None = None,
        pre_normalize: bool = True,
        post_normalize: bool = False,
        ignore_missing: bool = True,
    ) -> NDArray[Any]:
        """Return the weighted mean of words and vectors, (dim,).

        Parameters
        ----------
        keys : iterable of str or ndarray
            The words and vectors, or a matrix of vectors.
        weights : sequence of float, optional
            A weight for each of them; the sum is divided by the sum of their absolute values. None: 1 each.
        pre_normalize : bool
            Whether vectors of words are scaled to length 1 before.
        post_normalize : bool
            Whether the mean is scaled to length 1.
        ignore_missing : bool
            Whether unknown words are skipped.

        Raises
        ------
        UserError
            If there is no key, not one weight for each, or an unknown word that is not to be skipped.
        """
        if isinstance(keys, str) or not isinstance(keys, Iterable):
            raise wrong_kind("keys", keys, "a list of words and vectors")
        keys = list(keys)
        if not keys:
            raise SettingError("keys", [], "is empty. Give one word or vector or more.")
        by_key = np.ones(len(keys)) if weights is None else np.asarray(weights, np.float64)
        if by_key.shape != (len(keys),):
            raise SettingError("weights", short(weights), f"must be one number for each of {len(keys)} keys.")
        mean, total = np.zeros(self.vector_size), 0.0
        for key, weight in zip(keys, by_key.tolist(), strict=True):
            if isinstance(key, np.ndarray):
                require_array("keys", key, "iuf", 1, "words, and vectors of numbers")
                vector = key
            elif key in self or not ignore_missing:
                vector = self.get_vector(key, norm=pre_normalize)
            else:
                continue
            mean += weight * vector
            total += abs(weight)
        if total:
            mean /= total
        if post_normalize:
            mean = directions(mean[None, :])[0]
        return mean.astype(self._directions.dtype)

    def n_similarity(self, ws1: Sequence[str], ws2: Sequence[str]) -> float:
        """Return the cosine of the mean vectors of two lists of words.

        Unknown words are skipped.

        Raises
        ------
        UserError
            If one of the lists is empty.
        """
        means = [
            self.get_mean_vector(_words(key, words), pre_normalize=False)
            for key, words in (("ws1", ws1), ("ws2", ws2))
        ]
        first, second = directions(np.stack(means))
        return float(np.vecdot(first, second))

    @staticmethod
    def cosine_similarities(vector_1: NDArray[Any], vectors_all: NDArray[Any]) -> NDArray[Any]:
        """Return the cosine of a vector, (dim,), with each of many, (n, dim).

        It is 0 with a zero vector.
        """
        one, many = np.asarray(vector_1), np.asarray(vectors_all)
        require_array("vector_1", one, "iuf", 1, "a vector of numbers")
        require_array("vectors_all", many, "iuf", 2, "a matrix of numbers, a row for each vector")
        if not many.size:
            return np.zeros(len(many))
        return np.vecdot(directions(many), directions(one[None, :])[0])  # type: ignore[no-any-return]

    def rank_by_centrality(self, words: Iterable[str], use_norm: bool = True) -> list[tuple[float, str]]:
        """Return (cosine or product, word), by falling nearness to the mean of words.

        Unknown words are skipped. Without `use_norm`, vectors keep their lengths.
        """
        known = [word for word in _words("words", words) if word in self]
        if not known:
            raise SettingError("words", short(words), f"none is among the {len(self.words)} words.")
        vectors = np.stack([self.get_vector(word, norm=use_norm) for word in known])
        mean = self.get_mean_vector(vectors, post_normalize=True)
        return sorted(zip(np.vecdot(vectors, mean).tolist(), known, strict=True), reverse=True)


def _words(key: str, words: Iterable[Any]) -> list[Any]:
    """Return words as a list, or raise `SettingError` for a single string."""
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise wrong_kind(key, words, "a list of words")
    return list(words)
