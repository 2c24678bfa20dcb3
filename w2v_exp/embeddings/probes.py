"""Probe words: whose nearest neighbours are shown at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.word_vectors import Similar

PROBES = 8
NEIGHBOURS = 10
# Among more frequent words are the function words, which are near everything; rarer ones are hardly trained.
FIRST_RANK, LAST_RANK = 100, 10_000


@dataclass(frozen=True)
class Probe:
    """A probe word.

    Parameters
    ----------
    word : str
        As it was asked for.
    count : int or None
        How often it occurs; None where that is unknown, or the word is.
    similar : list of (str, float)
        The nearest words and their cosines; empty for a word that is not known.
    """

    word: str
    count: int | None
    similar: Similar


def chosen_probes(words: Sequence[str]) -> list[str]:
    """Return up to eight words, evenly spaced by the logarithm of their rank.

    Parameters
    ----------
    words : sequence of str
        By falling count. Of large vocabularies ranks 100 to 10,000 are taken, of small ones the last nine tenths.
    """
    first, last = max(1, min(FIRST_RANK, len(words) // 10)), min(LAST_RANK, len(words))
    ranks = np.unique(np.geomspace(first, last, PROBES).round().astype(int))
    return [words[rank - 1] for rank in ranks.tolist()]


def probe(embeddings: Embeddings, words: Sequence[str], topn: int = NEIGHBOURS) -> list[Probe]:
    """Return the nearest neighbours of some words; of one that is not known, none."""
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
