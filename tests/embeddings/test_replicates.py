"""Replicates: their files, intervals and neighbour shares, against plain computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.replicates import (
    Description,
    Replicates,
    interval,
    read_replicate,
    replicate_file,
    write_replicate,
)
from w2v_exp.embeddings.similarity import UnknownWordError
from w2v_exp.errors import FormatError, SettingError, UserError

WORDS = [f"w{number}" for number in range(12)]
ABSENT = {2: [3, 5], 4: [0]}  # words without a vector, by replicate


@pytest.fixture
def vectors():
    generator = np.random.default_rng(0)
    found = generator.standard_normal((6, len(WORDS), 4)).astype(np.float16).astype(np.float32)
    for number, rows in ABSENT.items():
        found[number - 1][rows] = 0
    return found


@pytest.fixture
def replicates(tmp_path, vectors):
    for number, matrix in enumerate(vectors, 1):
        scores = {"simlex999": number / 10} | ({"analogies": 0.5} if number != 3 else {})
        write_replicate(tmp_path / replicate_file(number), matrix, Description("sum", scores))
    return Replicates(tmp_path, WORDS)


def test_replicates_are_those_written(replicates, vectors):
    assert (len(replicates), replicates.embedding) == (6, "sum")
    for embeddings, matrix in zip(replicates, vectors, strict=True):
        assert isinstance(embeddings, Embeddings)
        np.testing.assert_array_equal(embeddings.input, matrix)
    np.testing.assert_allclose(replicates.scores["simlex999"], np.arange(1, 7) / 10)
    assert np.isnan(replicates.scores["analogies"]).tolist() == [False, False, True, False, False, False]
    assert replicates.values(lambda embeddings: float(embeddings.input.sum())).shape == (6,)


def test_the_same_replicate_has_the_same_bytes(tmp_path, vectors):
    for name in ("a.npz", "b.npz"):
        write_replicate(tmp_path / name, vectors[0], Description("input", {"s": 0.1}))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_cosines_are_those_of_embeddings_and_unknown_where_a_word_is_absent(replicates):
    expected = [
        np.nan if {0, 3} & {*ABSENT.get(number, [])} else embeddings.similarity("w0", "w3")
        for number, embeddings in enumerate(replicates, 1)
    ]
    np.testing.assert_allclose(replicates.cosines("w0", "w3"), expected, rtol=1e-5)
    with pytest.raises(UnknownWordError):
        replicates.cosines("w0", "nothing")


@pytest.mark.parametrize("restricted", [None, 8])
@pytest.mark.parametrize("word", ["w0", "w3", "w11"])
def test_shares_are_those_of_the_nearest_words(replicates, word, restricted):
    counts, known = dict.fromkeys(WORDS, 0), 0
    for number, embeddings in enumerate(replicates, 1):
        absent = {WORDS[row] for row in ABSENT.get(number, [])}
        if word in absent:
            continue
        known += 1
        similar = embeddings.most_similar(word, topn=None, restrict_vocab=restricted)
        ranked = sorted(range(len(similar)), key=lambda row: (-similar[row], row))
        near = [WORDS[row] for row in ranked if WORDS[row] not in {*absent, word}][:3]
        for other in near:
            counts[other] += 1
    found = replicates.neighbour_shares(word, 3, restricted)
    assert dict(found) == {other: count / known for other, count in counts.items() if count}
    assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=60), st.sampled_from([0.5, 0.9, 0.95]))
@settings(max_examples=examples(100))
def test_ends_are_values_of_the_ranks_of_the_formula(values, level):
    def of_rank(rank):
        ordered = sorted(values)
        below = min(max(int(np.floor(rank)), 1), len(ordered))
        above = min(max(below + 1, 1), len(ordered))
        share = min(max(rank - below, 0), 1)
        return ordered[below - 1] + share * (ordered[above - 1] - ordered[below - 1])

    n, tail = len(values), (1 - level) / 2
    low, high = interval([*values, np.nan], level)
    assert low == pytest.approx(of_rank((n + 1) * tail), abs=1e-9)
    assert high == pytest.approx(of_rank((n + 1) * (1 - tail)), abs=1e-9)
    moved = interval(values, level, estimate=7.0)
    assert moved == pytest.approx((low + 7 - np.mean(values), high + 7 - np.mean(values)))


def test_an_interval_needs_two_values_and_a_level():
    assert np.isnan(interval([0.3, np.nan])).all()
    for level in (0, 1, "much"):
        with pytest.raises(SettingError, match="level"):
            interval([1, 2], level)


def test_a_damaged_file_is_noticed(tmp_path, replicates):
    path = tmp_path / replicate_file(2)
    content = path.read_bytes()
    place = content.index(b"NUMPY") + 200  # among the vectors
    for damaged in (
        content[:-30],
        content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
        b"",
        b"x",
    ):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match="002"):
            read_replicate(path, len(WORDS))
        with pytest.raises(FormatError, match="002"):
            replicates.cosines("w0", "w1")
    path.write_bytes(content)
    with pytest.raises(FormatError, match="of 13 words"):
        read_replicate(path, 13)


def test_other_arrays_are_no_replicate(tmp_path):
    path = tmp_path / "001.npz"
    for arrays in (
        {"vectors": np.zeros((2, 3), np.float32)},
        {"vectors": np.zeros((2, 3), np.float16)},
        {"vectors": np.zeros((2, 3), np.float16), "description": np.frombuffer(b"[1]", np.uint8)},
        {"vectors": np.zeros((2, 3), np.float16), "description": np.frombuffer(b"{\xff", np.uint8)},
    ):
        np.savez(path, **arrays)
        with pytest.raises(FormatError, match="001"):
            read_replicate(path, 2)


def test_a_folder_without_replicates_is_refused(tmp_path):
    (tmp_path / "embeddings.npz").write_bytes(b"")
    with pytest.raises(UserError, match="bootstrap=50"):
        Replicates(tmp_path, WORDS)
