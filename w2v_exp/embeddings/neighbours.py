"""Neighbours of probe words, and the article's neighbour precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.similarity import Similar
from w2v_exp.errors import require_whole
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.pairs import Pairs

NEIGHBOURS = 10


@dataclass(frozen=True)
class Probe:
    """A probe word.

    Parameters
    ----------
    word : str
        The word.
    count : int or None
        Number of its occurrences; None if unknown, or if the word is.
    similar : list of (str, float)
        The nearest words and their cosines; empty for an unknown word.
    """

    word: str
    count: int | None
    similar: Similar


def probe(embeddings: Embeddings, words: Sequence[str], topn: int = NEIGHBOURS) -> list[Probe]:
    """Return the nearest neighbours of words; none for an unknown word."""
    known = [word for word in words if word in embeddings]
    found = dict(zip(known, embeddings.most_similar_to_each(known, topn), strict=True))
    counts = embeddings.counts
    return [
        Probe(
            word,
            None if counts is None or word not in found else int(counts[embeddings.ids[word]]),
            found.get(word, []),
        )
        for word in words
    ]


def top_neighbours(probabilities: NDArray[Any], count: int = 4) -> NDArray[np.intp]:
    """Return the words with the highest softmax output for each centre.

    These are the article's "neighbor words"; the centre itself is included, as a word can occur in its own context. The
    V × V probabilities limit this to small vocabularies.

    Parameters
    ----------
    probabilities : ndarray of float, shape (V, V)
        p(context | centre), a row per centre, from `Softmax.probabilities`.
    count : int
        Number of words per centre, at least 1 (the article: 4).

    Returns
    -------
    ndarray of int, shape (V, min(count, V))
        Ids by falling probability, equal ones by rising id.
    """
    count = require_whole("count", count, at_least=1)
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]


def neighbour_precision(top: NDArray[np.integer[Any]], pairs: Pairs | PairCounts) -> tuple[int, int]:
    """Return the actual and the possible number of true neighbours in `top`.

    The true neighbours of a word are its distinct contexts in the training pairs. A word with n of them can have
    min(count, n) hits; a word that is never a centre has none and does not count.

    Parameters
    ----------
    top : ndarray of int, shape (V, count)
        Distinct ids for each centre, from `top_neighbours`.
    pairs : Pairs or PairCounts
        The training pairs.

    Returns
    -------
    hits, possible : int
        Their quotient is the precision. With the article's sentence at window 3, 50 hits of 52 words are possible:
        `after` and `game` have only 3 neighbours each.
    """
    centres, contexts, _ = pairs.distinct()
    hits = (top[centres] == contexts[:, None]).any(axis=1).sum()
    possible = np.minimum(np.bincount(centres), top.shape[1]).sum()
    return int(hits), int(possible)
