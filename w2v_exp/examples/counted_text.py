"""A text as counts of its pairs, and their statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from w2v_exp.errors import ShortRepr
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import PairStatistics
from w2v_exp.text.damage import NOTHING, Skipped
from w2v_exp.text.vocabulary import Vocabulary


@dataclass(frozen=True, repr=False)
class CountedText(ShortRepr):
    """A text as counts of its pairs, without the order of its words: see `w2v_exp.counting`.

    Parameters
    ----------
    vocabulary : Vocabulary
        The words behind the ids.
    counts : PairCounts
        Of the pairs in all windows, mapped from a file.
    tokens, documents : int
        Number of tokens of the text, including dropped ones, and of its documents.
    digest : str
        SHA-256 of vocabulary and counts.
    skipped : Skipped
        The damaged files and rows that were skipped.
    """

    vocabulary: Vocabulary
    counts: PairCounts
    tokens: int
    documents: int
    digest: str
    skipped: Skipped = NOTHING

    @property
    def kept(self) -> int:
        """Number of tokens that are in the vocabulary."""
        return int(self.vocabulary.counts.sum())


class CountedStatistics(PairStatistics):
    """Exact statistics of counted pairs; with shrinking windows, each is as many pairs as its weight."""

    is_counted = True
    drops_words = False
    sampled_memory = 0
    gaps = 0

    def __init__(self, text: CountedText, window: int) -> None:
        self.vocabulary_size = text.counts.vocabulary_size
        self.centre_words = text.counts.rows
        self.window = window
        self.frequencies = text.vocabulary.counts.astype(np.float64)
        self.pairs = round(text.counts.total)
        self.distinct_by_centre = np.diff(text.counts.starts).astype(np.float64)
        self.length = text.kept
