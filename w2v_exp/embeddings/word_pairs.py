"""Word pairs that people have scored for similarity, and how far vectors agree with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.correlation import pearson, spearman
from w2v_exp.embeddings.directions import directions
from w2v_exp.embeddings.evaluation_sets import (
    SAMPLED_LINES,
    WORD_PAIR_SETS,
    find_set,
    first_ids,
    numbered_lines,
)
from w2v_exp.embeddings.pair_layout import pair_layout
from w2v_exp.errors import FormatError
from w2v_exp.representation import ShortRepr


@dataclass(frozen=True, eq=False, repr=False)
class WordPairSet(ShortRepr):
    """Pairs of words with scores.

    Parameters
    ----------
    pairs : list of (str, str)
        The words, spelled as in the file.
    scores : ndarray of float64, shape (n,)
        How similar people find them, on whatever scale.
    layout : str
        How the file was read: separator, columns, header, skipped lines.
    """

    pairs: list[tuple[str, str]]
    scores: NDArray[np.float64]
    layout: str = ""

    @classmethod
    def read(cls, source: str | Path, columns: Sequence[int | str] | None = None) -> WordPairSet:
        """Read a file with two words and a score on each line, as the authors of such sets publish them.

        Columns are separated by tabs, semicolons, commas or spaces, with a header or without. Words are in the first
        two columns, or those that the header names so (``Word 1``, ``word2``). The score is the only column of numbers,
        or the one that the header names so (``Human (mean)``, ``SimLex999``), or the first one if the others are single
        ratings of which it can be the mean. Lines that begin with ``#`` are comments.

        Parameters
        ----------
        source : str or Path
            The path of the file, or the name of a set in gensim's test data: ``wordsim353`` (Finkelstein et
            al. 2002) or ``simlex999`` (Hill et al. 2015).
        columns : sequence of int or str, optional
            The columns of the two words and the score, as numbers from 1 or as names of the header.

        Raises
        ------
        SettingError
            If there is no such set or column.
        FormatError
            If a line is not of this form, with its number; if several columns could be the score.
        """
        path = find_set(source, WORD_PAIR_SETS)
        comments = 0
        pairs: list[tuple[str, str]] = []
        scores: list[float] = []

        def rows() -> Iterator[tuple[str, str]]:
            nonlocal comments
            for where, line in numbered_lines(path):
                if line.startswith("#"):
                    comments += 1
                else:
                    yield where, line

        numbered = rows()
        sample = list(islice(numbered, SAMPLED_LINES))
        if not sample:
            raise FormatError(f"{path}: has no line with two words and a score.")
        layout = pair_layout(path, sample, columns)
        for where, line in islice(chain(sample, numbered), bool(layout.header), None):
            first, second, score = layout.parsed(where, line)
            pairs.append((first, second))
            scores.append(score)
        if not pairs:
            raise FormatError(f"{path}: has no line with two words and a score below its header.")
        skipped = f"; {comments} comment line{'s' * (comments > 1)} skipped" if comments else ""
        return cls(pairs, np.array(scores), f"{layout}{skipped}")


@dataclass(frozen=True)
class WordPairScore:
    """How far vectors agree with the scores of a set.

    Parameters
    ----------
    spearman, pearson : float
        Rank and linear correlation of cosines and scores, over the known pairs; NaN where fewer than two are
        known, or all have the same score or cosine.
    known, pairs : int
        How many pairs have two known words, and how many there are.
    """

    spearman: float
    pearson: float
    known: int
    pairs: int

    @property
    def coverage(self) -> float:
        """The share of pairs that are known, 0 to 1: 1 − gensim's ``oov_ratio`` / 100."""
        return self.known / self.pairs


def score_word_pairs(
    words: Sequence[str],
    vectors: NDArray[Any],
    pairs: WordPairSet,
    *,
    case_insensitive: bool = True,
    dummy4unknown: bool = False,
) -> WordPairScore:
    """Compare the cosines of a set's pairs with its scores.

    Parameters
    ----------
    words : sequence of str
        The words that are known.
    vectors : ndarray of float, shape (V, dim)
        Their vectors, and perhaps more.
    pairs : WordPairSet
        The set.
    case_insensitive : bool
        Whether words that differ only in case are the same; of several, the first counts.
    dummy4unknown : bool
        Whether pairs with an unknown word take part, with cosine 0; otherwise they are left out.
    """
    spelled = str.upper if case_insensitive else str
    ids = first_ids(words, spelled)
    looked_up = [(ids.get(spelled(first), -1), ids.get(spelled(second), -1)) for first, second in pairs.pairs]
    both = np.array(looked_up, np.intp)
    known = (both >= 0).all(axis=1)
    if not known.any():
        return WordPairScore(math.nan, math.nan, 0, len(both))
    cosines = np.zeros(len(both))
    first, second = (directions(vectors[column].astype(np.float64)) for column in both[known].T)
    cosines[known] = np.vecdot(first, second)
    compared = slice(None) if dummy4unknown else known
    cosines, scores = cosines[compared], pairs.scores[compared]
    return WordPairScore(spearman(scores, cosines), pearson(scores, cosines), int(known.sum()), len(both))
