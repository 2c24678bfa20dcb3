"""Bags: the words around a centre, which cbow predicts it from together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.counting import count_distinct
from w2v_exp.examples.drawing import DrawnText
from w2v_exp.examples.labels import Labels
from w2v_exp.examples.pairs import Pairs, reaches, stretch_pairs
from w2v_exp.representation import ShortRepr

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NO_WORD = -1
MADE_AT_ONCE = 1 << 14  # bags


@dataclass(frozen=True, repr=False)
class Bags(ShortRepr):
    """The bags of a text, in its order, those without a word left out.

    Parameters
    ----------
    targets : ndarray of int32, shape (n,)
        The word that each is around.
    table : ndarray of int32, shape (n, m)
        The words of each, from left to right, and −1 in what is left of a row.
    """

    targets: NDArray[np.int32]
    table: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def of(cls, drawn: DrawnText) -> Bags:
        """Return the bags of a stretch of a text."""
        ids, window = drawn.ids, drawn.window
        widest = int(np.max(window, initial=1))
        number = drawn.stop - drawn.start
        lengths = np.empty(number, np.int32)
        table = np.full((number, 2 * widest), NO_WORD, np.int32)
        for first in range(0, number, MADE_AT_ONCE):
            some = slice(first, min(first + MADE_AT_ONCE, number))
            ends = drawn.start + some.start, drawn.start + some.stop
            windows = window if isinstance(window, int) else window[some]
            left, right = reaches(len(ids), *ends, windows, drawn.passages)
            lengths[some] = left + right
            # In the order of pairs, contexts from left to right, they fill the first places of each row.
            _, contexts = stretch_pairs(ids, *ends, windows, drawn.passages)
            table[some][np.arange(2 * widest) < lengths[some, None]] = contexts
        targets, around = ids[drawn.start : drawn.stop], lengths > 0
        return cls(targets, table) if around.all() else cls(targets[around], table[around])

    @staticmethod
    def memory(bags: int, window: int) -> int:
        """Return how many bytes so many bags take."""
        return 4 * bags * (1 + 2 * window)

    def chosen(self, which: slice | NDArray[Any]) -> Bags:
        """Return some of them."""
        return Bags(self.targets[which], self.table[which])

    def pairs(self, vocabulary_size: int) -> Pairs:
        """Return the pairs of each word with those of its bag."""
        inside = self.table != NO_WORD
        return Pairs(np.repeat(self.targets, inside.sum(axis=1)), self.table[inside], vocabulary_size)

    def matrix(
        self,
        vocabulary_size: int,
        *,
        mean: bool,
        dtype: DTypeLike = np.float64,
        words: NDArray[np.int32] | None = None,
    ) -> csr_array:
        """Return what share each word has in the hidden vector of each bag: shape (n, V).

        Parameters
        ----------
        vocabulary_size : int
            V.
        mean : bool
            Whether hidden vectors are means of embeddings, or sums.
        dtype : dtype
            Of the shares.
        words : ndarray of int32, shape (r,), optional
            All words that occur, by rising id: the matrix then has only these columns, (n, r).
        """
        from scipy.sparse import csr_array

        inside = self.table != NO_WORD
        lengths = inside.sum(axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        of_word = (1 / lengths if mean else np.ones(len(lengths))).astype(dtype)
        columns = self.table[inside]
        width = vocabulary_size
        if words is not None:
            columns, width = words.searchsorted(columns), len(words)
        # A word that is there twice has two entries, which products add up.
        return csr_array((np.repeat(of_word, lengths), columns, starts), shape=(len(lengths), width))


def bag_batch(
    bags: Bags,
    labels: Labels,
    places: slice | NDArray[Any],
    vocabulary_size: int,
    *,
    mean: bool,
    dtype: DTypeLike,
) -> Batch:
    """Return some bags as a batch, with those of all labels that are at these places."""
    number = len(bags)
    words, _ = count_distinct(bags.table[bags.table != NO_WORD])
    ones = np.ones(number)
    return Batch(
        centres=np.arange(number, dtype=np.int32),
        rows=words,
        weights=ones,
        labels=labels.count_by(places, np.arange(number), ones),
        pairs=number,
        all_pairs=number,
        centre_weights=ones,
        bags=bags.matrix(vocabulary_size, mean=mean, dtype=dtype, words=words),
    )
