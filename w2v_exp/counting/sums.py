"""The sum of the pairs of all shards, as rows of the counts in the order of the vocabulary's ids.

A range of first words is summed over all shards at once. Its counts, of both directions of each pair, are divided into
buckets of centres; each bucket is then put in order. So memory is bounded, whatever the number of shards and pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.counting.arrays import StoredArrays, write_arrays
from w2v_exp.counting.pairs import PairSums, Sums, merge_sums, read_rows, subtract_sums, write_pairs
from w2v_exp.examples.counts import centre_ranges
from w2v_exp.files import read_checked, write_checked

# Pairs in a range and in a bucket, whose arrays stay in the processor's cache; tasks take many of both.
SUMMED_AT_ONCE = SORTED_AT_ONCE = 1 << 20
OF_TASK = 1 << 24
FEWEST_OF_SHARD = 1 << 11  # pairs of a range in each of very many shards, on average
MOST_WAITING = 1 << 24  # pairs of a range; one of a single word may have any number
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


class SumPlan(NamedTuple):
    """The division of a sum into ranges of first words and buckets of centres, and of both into tasks.

    Parameters
    ----------
    ranges, buckets : list of int
        Where each begins, and the end of the last.
    range_tasks, bucket_tasks : list of int
        The first range or bucket of each task, and the number of all.
    """

    ranges: list[int]
    buckets: list[int]
    range_tasks: list[int]
    bucket_tasks: list[int]


def plan_sums(
    path: Path, shards: Sequence[ShardFiles], crossing: str, vocabulary: str, unit: float, centre_words: int
) -> SumPlan:
    """Divide a sum, write this to a file for its tasks, and return it.

    Parameters
    ----------
    path : Path
        File that is written.
    shards : sequence of ShardFiles
        Results of all shards.
    crossing, vocabulary : str
        Files of the pairs in different shards, and of the vocabulary.
    unit : float
        Factor from the whole numbers in the files to counts.
    centre_words : int
        Number of words that are centres.
    """
    ids = StoredArrays(Path(vocabulary))["ids"]
    words = len(ids)
    lengths, degrees = np.zeros(words, np.int64), np.zeros(words, np.int64)
    for lookup, pairs in [*shards, ShardFiles("", crossing)]:
        found, ranks = StoredArrays(Path(pairs)), _ranks(lookup, words)
        lengths[ranks] += np.diff(found["starts"])
        degrees[ranks] += found["degrees"]
    in_row = np.zeros(words, np.int64)
    in_row[ids] = np.minimum(degrees, words)
    in_row = in_row[:centre_words]
    most = max(1, (1 << _KEY_BITS) // max(1, words))
    at_once = max(SUMMED_AT_ONCE, FEWEST_OF_SHARD * len(shards))
    ranges, buckets = _divided(lengths, at_once, most), _divided(in_row, SORTED_AT_ONCE, most)
    plan = SumPlan(ranges, buckets, _grouped(lengths, ranges, OF_TASK), _grouped(in_row, buckets, OF_TASK))
    files = {"shards": [list(shard) for shard in shards], "crossing": crossing, "vocabulary": vocabulary}
    write_checked(path, {**plan._asdict(), **files, "unit": unit}, durable=False)
    return plan


def _divided(lengths: NDArray[np.int64], at_once: int, most: int) -> list[int]:
    """Return the bounds of ranges of about `at_once` pairs and at most `most` words."""
    bounds: list[int] = centre_ranges(lengths, max(1, -(-int(lengths.sum()) // at_once)), most).tolist()
    return bounds


def _grouped(lengths: NDArray[np.int64], bounds: list[int], at_once: int) -> list[int]:
    """Return the first range of each task of about `at_once` pairs, and the number of ranges."""
    before = np.concatenate([[0], np.cumsum(lengths)])[bounds[:-1]]
    return [*np.unique(before // at_once, return_index=True)[1].tolist(), len(bounds) - 1]


def _ranks(lookup: str, words: int) -> NDArray[np.int32]:
    """Return the ranks of the words of a file of pairs; without a lookup all words."""
    return StoredArrays(Path(lookup))["ranks"] if lookup else np.arange(words, dtype=np.int32)


def sum_ranges(plan: str, task: int, result: str) -> None:
    """Sum the pairs of ranges of first words over all shards (a task).

    The sums are divided into buckets of centres.

    Parameters
    ----------
    plan : str
        File of `plan_sums`.
    task : int
        Of `SumPlan.range_tasks`.
    result : str
        File that is written.
    """
    settings = read_checked(Path(plan))
    ids = StoredArrays(Path(settings["vocabulary"]))["ids"].astype(np.int32)
    words, bounds = len(ids), np.array(settings["buckets"])
    sources = [
        (StoredArrays(Path(pairs)), _ranks(lookup, words))
        for lookup, pairs in [*settings["shards"], ["", settings["crossing"]]]
    ]
    # Words that are no centres are in one behind all buckets. Two bytes are sorted in linear time.
    of_bucket = np.full(words, len(bounds) - 1, np.uint16 if len(bounds) < 1 << 16 else np.int64)
    of_bucket[: bounds[-1]] = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    starts: list[NDArray[np.int64]] = []

    def packed() -> Iterator[NDArray[np.uint64]]:
        done = 0
        for number in range(*settings["range_tasks"][task : task + 2]):
            first, last = settings["ranges"][number : number + 2]
            sums = _sum_rows(sources, first, last, words)
            of_range, counts = _in_buckets(sums, first, ids, settings["unit"], bounds, of_bucket)
            starts.append(counts + done)
            done += len(of_range)
            yield of_range

    write_arrays(Path(result), {"packed": packed(), "starts": _rows_of(starts, len(bounds))})


def _rows_of(starts: list[NDArray[np.int64]], columns: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows that are listed when this is written, after the arrays before it."""
    yield np.concatenate([np.empty((0, columns), np.int64), *(row[None] for row in starts)])


def _sum_rows(
    sources: Sequence[tuple[StoredArrays, NDArray[np.int32]]], first: int, last: int, words: int
) -> Sums:
    """Return the sums of the pairs of first words from `first` to `last` over all shards."""
    runs: list[Sums] = []
    waiting = 0
    for pairs, ranks in sources:
        firsts, seconds, weights = read_rows(pairs, ranks, first, last)
        firsts -= first
        firsts *= words
        firsts += seconds
        runs.append(Sums(firsts.view(np.uint64), weights))
        waiting += len(weights)
        if waiting > MOST_WAITING:
            runs = [merge_sums(runs)]
            waiting = len(runs[0].keys)
    return merge_sums(runs)


def _in_buckets(
    sums: Sums,
    first: int,
    ids: NDArray[np.int32],
    unit: float,
    bounds: NDArray[np.int64],
    of_bucket: NDArray[Any],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the counts of both directions of pairs, by bucket.

    Each count has its place in the bucket; the second array is where each bucket begins.
    """
    words = len(ids)
    rows = (sums.keys // np.uint64(words)).astype(np.int64)
    seconds = ids[sums.keys.astype(np.int64) - rows * words]
    firsts = ids[rows + first]
    is_same = firsts == seconds
    weights = sums.weights.astype(np.uint64)
    weights[is_same] *= np.uint64(2)  # each is the centre, and the context of the other
    counts = (weights * np.float64(unit)).astype(np.float32).view(np.uint32)
    if is_same.any():
        others = np.flatnonzero(~is_same)
        centres = np.concatenate([firsts, seconds[others]])
        contexts = np.concatenate([seconds, firsts[others]])
        counts = np.concatenate([counts, counts[others]])
    else:
        centres, contexts = np.concatenate([firsts, seconds]), np.concatenate([seconds, firsts])
        counts = np.concatenate([counts, counts])
    buckets = of_bucket[centres]
    order = np.argsort(buckets, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(buckets, minlength=len(bounds)))])[: len(bounds)]
    order = order[: starts[-1]]  # behind them are words that are no centres
    packed = (centres - bounds[buckets.clip(max=len(bounds) - 2)]) * words
    packed += contexts
    packed <<= _KEY_BITS
    packed |= counts
    return packed[order].view(np.uint64), starts


def order_buckets(plan: str, task: int, ranges: str, result: str) -> None:
    """Put the counts of buckets of centres in order (a task).

    Parameters
    ----------
    plan : str
        File of `plan_sums`.
    task : int
        Of `SumPlan.bucket_tasks`.
    ranges : str
        The beginning of the names of the files of `sum_ranges`: number of the task and suffix follow.
    result : str
        File that is written: the lengths of the rows, contexts and counts.
    """
    settings = read_checked(Path(plan))
    words = len(StoredArrays(Path(settings["vocabulary"]))["ids"])
    numbers = range(len(settings["range_tasks"]) - 1)
    sources = [StoredArrays(Path(f"{ranges}-{number}.arrays")) for number in numbers]
    columns = len(settings["buckets"])
    starts = [source["starts"].reshape(-1, columns) for source in sources]
    first_bucket, last_bucket = settings["bucket_tasks"][task : task + 2]
    lengths, contexts, counts = [], [], []
    for number in range(first_bucket, last_bucket):
        first, last = settings["buckets"][number : number + 2]
        slices = [
            source["packed"][begin:end]
            for source, rows in zip(sources, starts, strict=True)
            for begin, end in rows[:, number : number + 2].tolist()
        ]
        packed = np.concatenate([np.empty(0, np.uint64), *slices])
        packed.sort()
        keys = packed >> np.uint64(_KEY_BITS)
        rows_at = np.arange(last - first + 1, dtype=np.uint64) * np.uint64(words)
        lengths.append(np.diff(keys.searchsorted(rows_at)))
        contexts.append((keys - np.repeat(rows_at[:-1], lengths[-1])).astype(np.int32))
        counts.append(packed.astype(np.uint32).view(np.float32))
    write_arrays(Path(result), {"lengths": lengths, "contexts": contexts, "counts": counts})
