"""(Centre, context) pairs of a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import SettingError, ShortRepr, require_array, require_whole, short
from w2v_exp.machine import require_memory

Integer = TypeVar("Integer", bound=np.integer[Any])
CHUNK_IDS = 1 << 20


def count_distinct(values: NDArray[Integer]) -> tuple[NDArray[Integer], NDArray[np.float64]]:
    """Return the distinct values, ascending, and their counts.

    ``np.unique`` takes twice as long for the few hundred pairs of a batch.
    """
    ordered = np.sort(values)
    is_first = np.ones(len(ordered) + 1, bool)  # the last one marks the end
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:-1])
    starts = is_first.nonzero()[0]
    return ordered[starts[:-1]], (starts[1:] - starts[:-1]).astype(np.float64)


def count_ids(ids: NDArray[np.int32], vocabulary_size: int) -> NDArray[np.int64]:
    """Return the count of each id, (V,).

    By chunks: bincount first copies its argument in twice the size.
    """
    counts = np.zeros(vocabulary_size, np.int64)
    for start in range(0, len(ids), CHUNK_IDS):
        counts += np.bincount(ids[start : start + CHUNK_IDS], minlength=vocabulary_size)
    return counts


WIDE_WINDOW = 64  # above it, counting looks only at contexts within the centres' segments
SPAN_PAIRS = 1 << 16  # whose two columns fit the second-level cache

Window = int | NDArray[np.integer[Any]]  # of all centres, or of each of some


@dataclass(frozen=True, repr=False)
class Pairs(ShortRepr):
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

    def __post_init__(self) -> None:
        for key in ("centres", "contexts"):
            require_array(key, getattr(self, key), "iu", 1, "an array of ids, one for each pair")
        if len(self.centres) != len(self.contexts):
            raise SettingError(
                "contexts", short(self.contexts), f"must have the length of centres, {len(self.centres):,}."
            )

    def __len__(self) -> int:
        return len(self.centres)

    @staticmethod
    def memory(pairs: int) -> int:
        """Return the bytes of `pairs` pairs."""
        return 8 * pairs

    def by_centre(self) -> NDArray[np.int64]:
        """Return the number of pairs of each centre, shape (V,)."""
        return count_ids(self.centres, self.vocabulary_size)

    def by_context(self) -> NDArray[np.int64]:
        """Return the number of pairs of each context, shape (V,)."""
        return count_ids(self.contexts, self.vocabulary_size)

    def distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return centres and contexts of the distinct pairs, and their counts."""
        keys, counts = np.unique(
            self.centres.astype(np.int64) * self.vocabulary_size + self.contexts, return_counts=True
        )
        return keys // self.vocabulary_size, keys % self.vocabulary_size, counts


def effective_window(window: int, tokens: int, segments: NDArray[np.int64] | None = None) -> int:
    """Return the largest distance of two words in a window, at least 1.

    A window that is wider than the longest segment covers all of it. Arrays are sized by this number, which the
    length of the text bounds, instead of the window.

    >>> effective_window(3, 16), effective_window(2**62, 16), effective_window(2**62, 16, np.array([0, 5, 16]))
    (3, 15, 10)
    """
    longest = tokens if segments is None else int(np.diff(segments).max(initial=0))
    return max(1, min(require_whole("window", window, at_least=1), longest - 1))


def gap_between(window: int) -> int:
    """Return the empty positions between segments of a `PairCounter`.

    One is enough above `WIDE_WINDOW`, where segments are looked at.
    """
    return window if window <= WIDE_WINDOW else 1


def mean_pairs(tokens: int, window: int, segments: NDArray[np.int64] | None = None) -> float:
    """Return the mean of `count_pairs` over all windows from 1 to `window`.

    It is the expected number of pairs where windows shrink.

    >>> mean_pairs(16, 3) == (count_pairs(16, 1) + count_pairs(16, 2) + count_pairs(16, 3)) / 3
    True
    """
    lengths = np.array([tokens]) if segments is None else np.diff(segments)
    total = 0
    for length, times in zip(
        *(array.tolist() for array in np.unique(lengths, return_counts=True)), strict=True
    ):
        # The sum over distances d = 1 … reach of 2 (length − d) pairs, in (window + 1 − d) of the windows: in Python's
        # whole numbers, since the window may be of any size.
        reach = max(0, min(window, length - 1))
        squares = reach * (reach + 1) * (2 * reach + 1) // 6
        distances = reach * (reach + 1) // 2
        total += 2 * times * ((window + 1) * length * reach - (window + 1 + length) * distances + squares)
    return total / window


def count_pairs(tokens: int, window: int, segments: NDArray[np.int64] | None = None) -> int:
    """Return the number of pairs of `window_pairs` for `tokens` tokens.

    Offset d has a context word for all but d tokens of a segment, on both sides.

    >>> count_pairs(16, 3)
    84
    >>> count_pairs(16, 3, np.array([0, 8, 16]))
    72
    """
    lengths = np.array([tokens]) if segments is None else np.diff(segments)
    reach = np.clip(lengths - 1, 0, window)
    return int((reach * (2 * lengths - reach - 1)).sum())


def window_pairs(
    ids: NDArray[np.int32],
    window: Window,
    vocabulary_size: int,
    segments: NDArray[np.int64] | None = None,
) -> Pairs:
    """Pair every word with each word at most `window` positions away.

    Windows are cut at the ends of the text.

    Pairs come in the article's order: centre by centre, contexts from left to right.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text.
    window : int or ndarray of int, shape (n,)
        The greatest distance between the words of a pair, at least 1: one for all, or one for each centre. One that is
        wider than the longest segment covers all of it.
    vocabulary_size : int
        V.
    segments : ndarray of int64, shape (p + 1,), optional
        Segment k is ``ids[segments[k]:segments[k + 1]]``; windows do not cross from one to another. None: the text is
        one segment.

    Returns
    -------
    Pairs
        8 bytes a pair; built span by span, so that no other array grows with the text.

    Raises
    ------
    SettingError
        If the window is no whole number, or the vocabulary is smaller than the ids.
    NotEnoughMemoryError
        Before anything is allocated, if the pairs do not fit the memory that is available.
    """
    ids, segments = _checked_text(ids, vocabulary_size, segments)
    if np.ndim(window):
        window = _checked_windows(window, len(ids))
    else:
        window = effective_window(require_whole("window", window, at_least=1), len(ids), segments)
    widest = int(np.max(window, initial=1))
    size = max(1, SPAN_PAIRS // (2 * max(1, min(widest, len(ids)))))

    def spans() -> Iterator[tuple[int, int, Window]]:
        for start in range(0, len(ids), size):
            stop = min(start + size, len(ids))
            yield start, stop, window if isinstance(window, int) else window[start:stop]

    if isinstance(window, int):
        total = count_pairs(len(ids), window, segments)
    else:
        total = sum(count_span_pairs(len(ids), *span, segments) for span in spans())
    require_memory(
        Pairs.memory(total), f"window={widest}: {total:,} pairs", "Use a smaller window or a shorter text."
    )
    centres, contexts = np.empty(total, np.int32), np.empty(total, np.int32)
    done = 0
    for span in spans():
        made, _ = span_pairs(ids, *span, segments, out=(centres[done:], contexts[done:]))
        done += len(made)
    return Pairs(centres, contexts, vocabulary_size)


def _checked_text(
    ids: Any, vocabulary_size: Any, segments: Any
) -> tuple[NDArray[np.int32], NDArray[np.int64] | None]:
    """Return ids and segments as arrays, or raise `SettingError`."""
    size = require_whole("vocabulary_size", vocabulary_size, at_least=0)
    if isinstance(ids, (list, tuple)):
        ids = np.array(ids, np.int32 if not ids else None)
    require_array("ids", ids, "iu", 1, "an array of whole numbers, such as EncodedText.ids")
    if len(ids) and not (ids.min() >= 0 and ids.max() < size):
        raise SettingError("ids", short(ids), f"must be below vocabulary_size={size}, and not negative.")
    if segments is None:
        return ids, None
    segments = np.asarray(segments)
    require_array("segments", segments, "iu", 1, "an array of whole numbers")
    if not len(segments) and not len(ids):
        return ids, segments
    if not len(segments) or segments[0] != 0 or segments[-1] != len(ids) or (np.diff(segments) < 0).any():
        raise SettingError(
            "segments", short(segments), f"must rise from 0 to the number of ids, {len(ids):,}."
        )
    return ids, segments


def _checked_windows(windows: Any, tokens: int) -> NDArray[np.int64]:
    """Return a window for each of `tokens` words, or raise `SettingError`."""
    require_array("window", windows, "iu", 1, "a whole number, or an array of one for each word")
    if len(windows) != tokens or windows.min(initial=1) < 1:
        raise SettingError("window", short(windows), f"must be 1 or more for each of the {tokens:,} words.")
    checked: NDArray[np.int64] = windows.astype(np.int64)
    return checked


def span_pairs(
    ids: NDArray[np.int32],
    start: int,
    stop: int,
    window: Window,
    segments: NDArray[np.int64] | None = None,
    out: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the pairs of the centres at positions start to stop.

    Their order is that of `window_pairs`.

    Parameters
    ----------
    ids : ndarray of int32, shape (n,)
        The text, or the part of it that the windows of these centres cover.
    start, stop : int
        The first position, and the one after the last.
    window : int or ndarray of int, shape (stop − start,)
        The greatest distance between the words of a pair: one for all, or one for each centre.
    segments : ndarray of int64, shape (p + 1,), optional
        As in `window_pairs`.
    out : pair of ndarray of int32, optional
        Buffers for the pairs, which are returned as views of their beginning.

    Returns
    -------
    centres, contexts : ndarray of int32, shape (m,)
    """
    left, right = context_sizes(len(ids), start, stop, window, segments)
    widest = int(max(left.max(initial=0), right.max(initial=0)))
    # With all contexts that a window can have, the pairs form a table that is filled column by column: contexts at
    # one distance are a slice of the text.
    centres, lengths = stop - start, left + right
    total = int(lengths.sum())
    made = (
        (np.empty(total, np.int32), np.empty(total, np.int32))
        if out is None
        else (out[0][:total], out[1][:total])
    )
    whole = total == centres * 2 * widest
    table = made[1].reshape(centres, 2 * widest) if whole else np.empty((centres, 2 * widest), np.int32)
    for distance in range(1, widest + 1):
        # Centres from `first` on have a word at this distance before them, those up to `last` after them.
        first = min(max(0, distance - start), centres)
        last = max(0, min(centres, len(ids) - distance - start))
        table[first:, widest - distance] = ids[start + first - distance : stop - distance]
        table[:last, widest + distance - 1] = ids[start + distance : start + distance + last]
    if whole:
        made[0].reshape(table.shape)[:] = ids[start:stop, None]
        return made
    inside = np.empty(table.shape, bool)
    for distance in range(1, widest + 1):
        np.greater_equal(left, distance, out=inside[:, widest - distance])
        np.greater_equal(right, distance, out=inside[:, widest + distance - 1])
    made[0][:] = np.repeat(ids[start:stop], lengths)
    # Twice as fast as table[inside]; mode="clip" avoids a copy for a check of the indices, which are in range.
    table.reshape(-1).take(np.flatnonzero(inside), out=made[1], mode="clip")
    return made


def count_span_pairs(
    tokens: int,
    start: int,
    stop: int,
    window: Window,
    segments: NDArray[np.int64] | None = None,
) -> int:
    """Return the number of pairs of `span_pairs` for `tokens` tokens."""
    left, right = context_sizes(tokens, start, stop, window, segments)
    return int(left.sum() + right.sum())


def context_sizes(
    tokens: int,
    start: int,
    stop: int,
    window: Window,
    segments: NDArray[np.int64] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the contexts before and after each centre, (stop − start,).

    Contexts are within the centre's window and segment, in a text of `tokens` tokens.
    """
    if segments is None and isinstance(window, int) and window <= start and stop + window <= tokens:
        everywhere = np.full(stop - start, window, np.int64)
        return everywhere, everywhere
    positions = np.arange(start, stop)
    first: int | NDArray[np.int64] = 0
    end: int | NDArray[np.int64] = tokens
    if segments is not None:
        touched = slice(segments.searchsorted(start, "right") - 1, segments.searchsorted(stop, "left") + 1)
        bounds = segments[touched]
        inside = np.diff(bounds.clip(start, stop))
        first, end = np.repeat(bounds[:-1], inside), np.repeat(bounds[1:], inside)
    return np.minimum(window, positions - first), np.minimum(window, end - 1 - positions)
