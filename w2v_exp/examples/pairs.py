"""Pairs of a centre word and a word of its context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2v_exp.memory import require_memory

COUNTED_AT_ONCE = 1 << 20
CHUNK_TOKENS = 8192  # two columns of a chunk of pairs at window 5 fit the second-level cache


@dataclass(frozen=True)
class Pairs:
    """The training pairs of a text, in its order.

    Parameters
    ----------
    centres, contexts : ndarray of int32, shape (m,)
        The two ids of each pair.
    vocabulary_size : int
        V; ids are below it.
    """

    centres: NDArray[np.int32]
    contexts: NDArray[np.int32]
    vocabulary_size: int

    def __len__(self) -> int:
        return len(self.centres)

    def by_centre(self) -> NDArray[np.int64]:
        """Return the number of pairs of each centre, shape (V,)."""
        return _count_ids(self.centres, self.vocabulary_size)

    def by_context(self) -> NDArray[np.int64]:
        """Return the number of pairs of each context, shape (V,)."""
        return _count_ids(self.contexts, self.vocabulary_size)

    def distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the distinct (centre, context) pairs and how often each occurs: three arrays of one length."""
        keys, counts = np.unique(
            self.centres.astype(np.int64) * self.vocabulary_size + self.contexts, return_counts=True
        )
        return keys // self.vocabulary_size, keys % self.vocabulary_size, counts


def _count_ids(ids: NDArray[np.int32], vocabulary_size: int) -> NDArray[np.int64]:
    """Return how often each id occurs, (V,). In chunks, since bincount first makes a copy of twice the size."""
    counts = np.zeros(vocabulary_size, np.int64)
    for start in range(0, len(ids), COUNTED_AT_ONCE):
        counts += np.bincount(ids[start : start + COUNTED_AT_ONCE], minlength=vocabulary_size)
    return counts


def count_pairs(tokens: int, window: int) -> int:
    """Return how many pairs `window_pairs` makes of a text of so many tokens.

    Offset d has a context word for all but d tokens, on both sides.

    >>> count_pairs(16, 3)
    84
    """
    reach = min(window, tokens - 1)
    return 2 * (reach * tokens - reach * (reach + 1) // 2) if reach > 0 else 0


def window_pairs(ids: NDArray[np.int32], window: int, vocabulary_size: int) -> Pairs:
    """Pair every word with each word at most `window` places before or after it, cut at the ends of the text.

    Pairs come in the article's order: centre by centre, contexts from left to right.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text.
    window : int
        The greatest distance between the words of a pair, at least 1.
    vocabulary_size : int
        V.

    Returns
    -------
    Pairs
        8 bytes a pair; filled in chunks, so that nothing else grows with the text.

    Raises
    ------
    NotEnoughMemoryError
        Before anything is allocated, if the pairs do not fit the memory that is available.
    """
    total = count_pairs(len(ids), window)
    require_memory(8 * total, f"window={window}: {total:,} pairs", "Use a smaller window or a shorter text.")
    centres, contexts = np.empty(total, np.int32), np.empty(total, np.int32)
    # Away from the ends each centre has all its 2·window contexts, and the pairs form a table that is filled
    # column by column: contexts at one distance are a slice of the text.
    interior = max(0, len(ids) - 2 * window)
    if not interior:
        return Pairs(*_pairs_cut_at_ends(ids, window, 0, len(ids)), vocabulary_size)
    head = _pairs_cut_at_ends(ids, window, 0, window)
    tail = _pairs_cut_at_ends(ids, window, window + interior, len(ids))
    first, last = len(head[0]), total - len(tail[0])
    for pairs, ends in ((centres, (head[0], tail[0])), (contexts, (head[1], tail[1]))):
        pairs[:first], pairs[last:] = ends
    centre_table = centres[first:last].reshape(interior, 2 * window)
    context_table = contexts[first:last].reshape(interior, 2 * window)
    offsets = [*range(-window, 0), *range(1, window + 1)]
    for start in range(0, interior, CHUNK_TOKENS):
        stop = min(start + CHUNK_TOKENS, interior)
        centre_ids = ids[window + start : window + stop]
        for column, offset in enumerate(offsets):
            centre_table[start:stop, column] = centre_ids
            context_table[start:stop, column] = ids[window + start + offset : window + stop + offset]
    return Pairs(centres, contexts, vocabulary_size)


def _pairs_cut_at_ends(
    ids: NDArray[np.int32], window: int, start: int, stop: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return centres and contexts for the centres at positions start to stop, without what is past an end."""
    reach = min(window, max(len(ids) - 1, 0))
    offsets = np.array([*range(-reach, 0), *range(1, reach + 1)], np.intp)
    positions = np.arange(start, stop)[:, None] + offsets
    inside = (positions >= 0) & (positions < len(ids))
    return np.repeat(ids[start:stop], inside.sum(axis=1)), ids[positions[inside]]
