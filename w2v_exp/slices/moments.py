"""Sums of the output vectors of contexts, for each word and document: all that its pairs contribute to its vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CONTEXTS_AT_ONCE = 1 << 20  # of the tokens of a word range; they and their weights take 16 MB


class Moments(NamedTuple):
    """Sums over the pairs of each word in each document that has it, by word and then by document.

    Parameters
    ----------
    words, documents : ndarray of int, shape (g,)
        Word and document of each row.
    tokens : ndarray of int64, shape (g,)
        Occurrences of the word.
    pairs : ndarray of float64, shape (g,)
        Weight of its pairs.
    sums : ndarray of float64, shape (g, dim)
        Weighted sum of the output vectors of their contexts.
    """

    words: NDArray[np.intp]
    documents: NDArray[np.intp]
    tokens: NDArray[np.int64]
    pairs: NDArray[np.float64]
    sums: NDArray[np.float64]

    def chosen(self, rows: NDArray[np.bool_]) -> Moments:
        """Return some rows."""
        return Moments(
            self.words[rows], self.documents[rows], self.tokens[rows], self.pairs[rows], self.sums[rows]
        )

    def added(self, groups: NDArray[np.intp], number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return pairs and sums of rows added by group, shapes (number,) and (number, dim)."""
        from scipy.sparse import csr_array

        adding = csr_array(
            (np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(number, len(groups))
        )
        return adding @ self.pairs, adding @ self.sums


class ContextSums:
    """Computes `Moments` for ranges of words, from the ids of a text.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The tokens.
    documents : ndarray of int64, shape (d + 1,)
        Document k is ``ids[documents[k]:documents[k + 1]]``. Windows do not cross its ends.
    segments : ndarray of int64
        Further positions that windows do not cross.
    window : int
        Contexts on each side.
    shrinking : bool
        Whether a pair weighs (window − distance + 1) / window, as in training with ``shrinking_window``.
    output : ndarray, shape (V, dim)
        The output vectors.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        documents: NDArray[np.int64],
        segments: NDArray[np.int64],
        *,
        window: int,
        shrinking: bool,
        output: NDArray[Any],
    ) -> None:
        longest = int(np.diff(documents).max(initial=1))
        distances = np.arange(1, max(1, min(window, longest - 1)) + 1)
        weights = (window + 1 - distances) / window if shrinking else np.ones(len(distances))
        window = len(distances)
        none = len(output)  # fills gaps between segments; its vector is 0
        edges = np.union1d(documents, segments)
        inside = edges[(edges > 0) & (edges < len(ids))]
        margin = np.full(window, none, np.int32)
        self._ids = np.concatenate([margin, np.insert(ids, np.repeat(inside, window), none), margin])
        positions = np.arange(len(ids)) + window * np.searchsorted(inside, np.arange(len(ids)), side="right")
        document_of = np.repeat(np.arange(len(documents) - 1), np.diff(documents))
        order = np.argsort(ids, kind="stable")
        self._positions = positions[order] + window
        self._documents = document_of[order]
        self._starts = np.searchsorted(ids, np.arange(len(output) + 1), sorter=order)
        self._offsets = np.concatenate([-distances, distances])
        self._weights = np.concatenate([weights, weights])
        # A column of ones sums the weights themselves.
        self._output = np.zeros((none + 1, output.shape[1] + 1))
        self._output[:none, :-1] = output
        self._output[:none, -1] = 1

    @property
    def frequencies(self) -> NDArray[np.int64]:
        """Occurrences of each word, (V,)."""
        return np.diff(self._starts)

    def of(self, words: NDArray[np.intp]) -> Moments:
        """Return the moments of some words, given by rising id."""
        parts = list(self._parts(words))
        if not parts:
            none = np.zeros(0, np.intp)
            return Moments(none, none, none, np.zeros(0), np.zeros((0, self._output.shape[1] - 1)))
        keys, tokens, sums = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        firsts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))  # a group may be in two parts
        tokens, sums = np.add.reduceat(tokens, firsts), np.add.reduceat(sums, firsts)
        of_words, documents = np.divmod(keys[firsts], self._document_number)
        return Moments(of_words, documents, tokens, sums[:, -1], sums[:, :-1])

    @property
    def _document_number(self) -> int:
        return int(self._documents.max(initial=0)) + 1

    def _parts(
        self, words: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.float64]]]:
        """Yield word and document (as one number), tokens and sums of the groups in some tokens at a time."""
        from scipy.sparse import csr_array

        spans = [np.arange(self._starts[word], self._starts[word + 1]) for word in words.tolist()]
        chosen = np.concatenate([np.zeros(0, np.intp), *spans])
        of_words = np.repeat(words, [len(span) for span in spans])
        at_once = max(1, CONTEXTS_AT_ONCE // len(self._offsets))
        for start in range(0, len(chosen), at_once):
            tokens = chosen[start : start + at_once]
            keys = of_words[start : start + at_once] * self._document_number + self._documents[tokens]
            firsts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
            contexts = self._ids[self._positions[tokens][:, None] + self._offsets]
            bounds = np.append(firsts, len(tokens)) * len(self._offsets)
            weights = np.broadcast_to(self._weights, contexts.shape)
            counts = csr_array(
                (weights.ravel(), contexts.ravel(), bounds), shape=(len(firsts), len(self._output))
            )
            yield keys[firsts], np.diff(np.append(firsts, len(tokens))), counts @ self._output
