"""The sum of the pairs of all shards, as rows of the counts in the order of the vocabulary's ids.

A range of first words is summed over all shards at once. Its counts, of both directions of each pair, are divided into
buckets of centres; each bucket is then put in order. So memory is bounded, whatever the number of shards and pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.counting.arrays import StoredArrays, write_arrays
from w2v_exp.counting.pairs import PairSums, Sums, merge_sums, read_rows, subtract_sums, write_pairs
from w2v_exp.examples.counts import centre_ranges
from w2v_exp.files import read_checked, write_checked

SUMMED_AT_ONCE = 1 << 24  # pairs of all shards in a range
SORTED_AT_ONCE = 1 << 23  # counts in a bucket
_KEY_BITS = 32


class ShardFiles(NamedTuple):
    """The results of a shard: lookup, and pairs."""

    lookup: str
    pairs: str


# ---------------------------------------------------------------- pairs that cross the ends of shards


def count_crossing(
    lookups: list[str], vocabulary: str, segment_end: str, reach: int, shrinking: bool, result: str
) -> None:
    """Count the pairs of words in different shards, from the edges of these (a task).

    They are the pairs of all edges less those within each shard.

    Parameters
    ----------
    lookups : list of str
        Of all shards, in their order.
    vocabulary : str
        File of the vocabulary.
    segment_end : str
        The kind of end of the segments.
    reach, shrinking
        As for `PairSums`.
    result : str
        File of pairs that is written; its words are those of the vocabulary.
    """
    is_centre = StoredArrays(Path(vocabulary))["is_centre"]
    ids, ends, cuts = [np.empty(0, np.int32)], [np.empty(0, np.int64)], [0]
    for path in lookups:
        shard = StoredArrays(Path(path))
        ids.append(shard["ranks"][shard["edge_ids"]])
        ends.append(shard["edge_ends"] + cuts[-1])
        cuts.append(cuts[-1] + len(ids[-1]))
    text, true_ends = np.concatenate(ids), np.unique(np.concatenate(ends))
    words = len(is_centre)

    def sums(ends: NDArray[np.int64]) -> Sums:
        return PairSums(words, reach, shrinking=shrinking, is_centre=is_centre).count(text, ends)

    within = np.unique(np.concatenate([true_ends, np.array(cuts, np.int64)]))
    write_pairs(Path(result), subtract_sums(sums(true_ends), sums(within)), words)


# ---------------------------------------------------------------- sums and rows


def plan_sums(
    path: Path, shards: Sequence[ShardFiles], crossing: str, vocabulary: str, unit: float, centre_words: int
) -> tuple[int, int]:
    """Write the ranges and buckets of a sum to a file; return their numbers."""
    words = len(StoredArrays(Path(vocabulary))["ids"])
    lengths, degrees = np.zeros(words, np.int64), np.zeros(words, np.int64)
    for lookup, pairs in [*shards, ShardFiles("", crossing)]:
        found = StoredArrays(Path(pairs))
        ranks = _ranks(lookup, words)
        lengths[ranks] += np.diff(found["starts"])
        degrees[ranks] += found["degrees"]
    ids = StoredArrays(Path(vocabulary))["ids"]
    in_row = np.zeros(words, np.int64)
    in_row[ids] = np.minimum(degrees, words)
    most = max(1, (1 << _KEY_BITS) // max(1, words))
    ranges = _ranges(lengths, SUMMED_AT_ONCE, most)
    buckets = _ranges(in_row[:centre_words], SORTED_AT_ONCE, most)
    write_checked(
        path,
        {
            "shards": [list(shard) for shard in shards],
            "crossing": crossing,
            "vocabulary": vocabulary,
            "unit": unit,
            "ranges": ranges.tolist(),
            "buckets": buckets.tolist(),
        },
        durable=False,
    )
    return len(ranges) - 1, len(buckets) - 1


def _ranges(lengths: NDArray[np.int64], at_once: int, most: int) -> NDArray[np.int64]:
    return centre_ranges(lengths, max(1, -(-int(lengths.sum()) // at_once)), most)


def _ranks(lookup: str, words: int) -> NDArray[np.int32]:
    """Return the ranks of the words of a file of pairs; without a lookup all words."""
    return StoredArrays(Path(lookup))["ranks"] if lookup else np.arange(words, dtype=np.int32)


def sum_range(plan: str, number: int, result: str) -> None:
    """Sum the pairs of a range of first words over all shards, and divide them into buckets of centres (a task).

    Parameters
    ----------
    plan : str
        File of `plan_sums`.
    number : int
        Of the range.
    result : str
        File that is written.
    """
    settings = read_checked(Path(plan))
    ids = StoredArrays(Path(settings["vocabulary"]))["ids"]
    words, (first, last) = len(ids), settings["ranges"][number : number + 2]
    runs, waiting = [], 0
    for lookup, pairs in [*settings["shards"], ["", settings["crossing"]]]:
        firsts, seconds, weights = read_rows(StoredArrays(Path(pairs)), _ranks(lookup, words), first, last)
        firsts -= first
        firsts *= words
        firsts += seconds
        runs.append(Sums(firsts.view(np.uint64), weights))
        waiting += len(weights)
        if waiting > 2 * SUMMED_AT_ONCE:
            runs = [merge_sums(runs)]
            waiting = len(runs[0].keys)
    keys, weights = merge_sums(runs)
    firsts = (keys // np.uint64(words)).astype(np.int64)
    seconds = ids[keys.astype(np.int64) - firsts * words]
    firsts = ids[firsts + first]
    is_same = firsts == seconds
    weights[is_same] *= np.uint64(2)  # each is the centre, and the context of the other
    counts = (weights * np.float64(settings["unit"])).astype(np.float32).view(np.uint32)
    others = ~is_same
    centres = np.concatenate([firsts, seconds[others]])
    contexts = np.concatenate([seconds, firsts[others]])
    counts = np.concatenate([counts, counts[others]])
    bounds = np.array(settings["buckets"])
    of_bucket = bounds.searchsorted(centres, "right") - 1
    order = np.argsort(of_bucket.astype(np.uint16 if len(bounds) < 1 << 16 else np.int64), kind="stable")
    of_bucket = of_bucket[order]
    starts = of_bucket.searchsorted(np.arange(len(bounds)))
    order = order[: starts[-1]]  # behind them are words that are no centres
    packed = (centres[order] - bounds[of_bucket[: starts[-1]]]) * words + contexts[order]
    packed <<= _KEY_BITS
    packed |= counts[order]
    write_arrays(Path(result), {"starts": starts, "packed": packed.view(np.uint64)})


def order_bucket(plan: str, number: int, ranges: list[str], result: str) -> None:
    """Put the counts of a bucket of centres in order (a task).

    Parameters
    ----------
    plan : str
        File of `plan_sums`.
    number : int
        Of the bucket.
    ranges : list of str
        Files of `sum_range`.
    result : str
        File that is written: the lengths of the rows, contexts and counts.
    """
    settings = read_checked(Path(plan))
    words = len(StoredArrays(Path(settings["vocabulary"]))["ids"])
    first, last = settings["buckets"][number : number + 2]
    slices = []
    for path in ranges:
        found = StoredArrays(Path(path))
        slices.append(found["packed"][slice(*found["starts"][number : number + 2])])
    packed = np.concatenate([np.empty(0, np.uint64), *slices])
    packed.sort()
    keys = packed >> np.uint64(_KEY_BITS)
    rows = np.arange(last - first + 1, dtype=np.uint64) * np.uint64(words)
    lengths = np.diff(keys.searchsorted(rows))
    contexts = (keys - np.repeat(rows[:-1], lengths)).astype(np.int32)
    counts: NDArray[Any] = packed.astype(np.uint32).view(np.float32)
    write_arrays(Path(result), {"lengths": lengths, "contexts": contexts, "counts": counts})
