"""The article's evaluation: whether the words that a model expects around a word are those that are there.

For vocabularies so small that the softmax output of all words, V × V, can be looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.examples.pairs import Pairs
from w2v_exp.validation import require_whole


def top_neighbours(probabilities: NDArray[Any], count: int = 4) -> NDArray[np.intp]:
    """Return for each centre the words with the highest softmax output (the article's "neighbor words").

    The word itself is not excluded, for it can occur in its own context.

    Parameters
    ----------
    probabilities : ndarray of float, shape (V, V)
        p(context | centre): a row for each centre, as `Softmax.probabilities` gives it.
    count : int
        How many words to return for each, at least 1 (the article: 4).

    Returns
    -------
    ndarray of int, shape (V, min(count, V))
        Ids, by falling probability, equal ones by rising id.
    """
    count = require_whole("count", count, at_least=1)
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]


def neighbour_precision(top: NDArray[np.integer[Any]], pairs: Pairs | PairCounts) -> tuple[int, int]:
    """Return how many of the words in `top` are true neighbours, and how many could be.

    The true neighbours of a word are the distinct contexts that it has among the training pairs. A word with
    n of them can have min(count, n) hits; one that is never a centre has none, and takes no part.

    Parameters
    ----------
    top : ndarray of int, shape (V, count)
        Ids of the words named for each centre, no word twice, as `top_neighbours` gives them.
    pairs : Pairs or PairCounts
        The training pairs.

    Returns
    -------
    hits, possible : int
        Their quotient is the precision. With the article's sentence at window 3, 50 of the 52 words are
        possible: `after` and `game` have only 3 neighbours each.
    """
    centres, contexts, _ = pairs.distinct()
    hits = (top[centres] == contexts[:, None]).any(axis=1).sum()
    possible = np.minimum(np.bincount(centres), top.shape[1]).sum()
    return int(hits), int(possible)
