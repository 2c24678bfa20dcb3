"""Sums over pairs of numbered tokens: those of a loop over all pairs, whatever the arrays are cut into."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.counting import pairs
from w2v_exp.counting.arrays import StoredArrays, escaped, unescaped, write_arrays
from w2v_exp.counting.pairs import PairSums, Sums, merge_sums, read_rows, subtract_sums, write_pairs
from w2v_exp.files import DamagedFileError


def one_by_one(
    ids: list[int], ends: list[int], reach: int, words: int, shrinking: bool, centres: list[bool]
) -> dict[int, int]:
    """Return the sums by key."""
    sums: Counter[int] = Counter()
    for i in range(len(ids)):
        for j in range(i + 1, min(len(ids), i + reach + 1)):
            is_apart = any(i < end <= j for end in ends)
            if not is_apart and (centres[ids[i]] or centres[ids[j]]):
                low, high = sorted((ids[i], ids[j]))
                sums[low * words + high] += reach + 1 - (j - i) if shrinking else 1
    return dict(sums)


def as_dict(sums: Sums) -> dict[int, int]:
    assert (np.diff(sums.keys.astype(np.int64)) > 0).all()
    return dict(zip(sums.keys.tolist(), sums.weights.tolist(), strict=True))


@given(
    ids=st.lists(st.integers(0, 6), max_size=40),
    ends=st.sets(st.integers(0, 40), max_size=6),
    reach=st.integers(1, 45),
    shrinking=st.booleans(),
    centres=st.lists(st.booleans(), min_size=7, max_size=7),
    sizes=st.tuples(st.integers(1, 8), st.integers(8, 60), st.integers(2, 4), st.integers(1, 9)),
    many_words=st.booleans(),
)
@property_settings(max_examples=examples(200))
def test_sums_are_those_of_a_loop(
    ids: list[int],
    ends: set[int],
    reach: int,
    shrinking: bool,
    centres: list[bool],
    sizes: tuple[int, int, int, int],
    many_words: bool,
) -> None:
    words = 2**31 if many_words else 7  # keys of 62 bits leave no room for weights
    cut = sorted(end for end in ends if end <= len(ids))
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("_SPAN", "BUFFERED", "MOST_RUNS", "MERGED_AT_ONCE"), sizes, strict=True):
            patch.setattr(pairs, name, size)
        is_centre = None if many_words else np.array(centres)
        counter = PairSums(words, reach, shrinking=shrinking, is_centre=is_centre)
        found = counter.count(np.array(ids, np.int32), np.array(cut, np.int64))
    chosen = [True] * 7 if many_words else centres
    assert as_dict(found) == one_by_one(ids, cut, reach, words, shrinking, chosen)


def sums_of(values: dict[int, int]) -> Sums:
    return Sums(np.array([*values], np.uint64), np.array([*values.values()], np.uint64))


@given(st.lists(st.dictionaries(st.sampled_from([0, 1, 5, 2**32, 2**60]), st.integers(1, 2**40)), max_size=5))
def test_merged_sums_are_exact_beyond_32_bits(several: list[dict[int, int]]) -> None:
    expected: Counter[int] = Counter()
    for values in several:
        expected.update(values)
    ordered = [sums_of(dict(sorted(values.items()))) for values in several]
    assert as_dict(merge_sums(ordered)) == dict(expected)


def test_what_is_left_of_sums_has_no_zeros() -> None:
    left = subtract_sums(sums_of({1: 5, 2: 7, 9: 2**40}), sums_of({2: 7, 9: 1}))
    assert as_dict(left) == {1: 5, 9: 2**40 - 1}


@pytest.mark.parametrize("words", [3, 70_000])
def test_rows_are_read_by_ranges_of_the_vocabulary(words: int, tmp_path: Path) -> None:
    last = words - 1
    write_pairs(tmp_path / "x", sums_of({0: 255, last: 3, words + 1: 2**35, last * words + last: 1}), words)
    ranks = 2 * np.arange(words, dtype=np.int32)  # every second word of the vocabulary
    firsts, seconds, weights = read_rows(StoredArrays(tmp_path / "x").check(), ranks, 1, 2 * words)
    assert list(zip(firsts.tolist(), seconds.tolist(), weights.tolist(), strict=True)) == [
        (2, 2, 2**35),
        (2 * last, 2 * last, 1),
    ]


@given(st.lists(st.integers(0, 2**63) | st.integers(250, 260)), st.integers(0, 20), st.integers(0, 20))
def test_escaped_numbers_are_read_in_spans(numbers: list[int], begin: int, length: int) -> None:
    class InMemory(dict[str, np.ndarray]):
        pass

    values = np.array(numbers, np.uint64)
    span = slice(min(begin, len(values)), min(begin + length, len(values)))
    found = unescaped(InMemory(escaped("x", values)), "x", span)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, values[span])


def test_arrays_are_read_as_they_were_written_and_damage_is_found(tmp_path: Path) -> None:
    file = tmp_path / "x.arrays"
    pieces = [np.arange(3, dtype=np.int16), np.arange(2, dtype=np.int16)]
    write_arrays(file, {"pieces": pieces, "none": np.empty(0), "bits": np.array([True, False])}, about="text")
    found = StoredArrays(file).check()
    assert found.description == {"about": "text"}
    np.testing.assert_array_equal(found["pieces"], [0, 1, 2, 0, 1])
    assert found["bits"].dtype == bool
    assert len(found["none"]) == 0
    content = file.read_bytes()
    for position in range(len(content)):
        file.write_bytes(content[:position] + bytes([content[position] ^ 64]) + content[position + 1 :])
        if position % 64 < 10 or position > 140:  # between arrays there are bytes that belong to none
            with pytest.raises(DamagedFileError):
                StoredArrays(file).check()
        file.write_bytes(content[:position])
        with pytest.raises(DamagedFileError):
            StoredArrays(file).check()
