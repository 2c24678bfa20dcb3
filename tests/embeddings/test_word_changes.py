"""Words of two embeddings compared: rotations change nothing, and what differs is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.word_changes import word_changes
from w2v_exp.errors import UserError


def some(words, dim=6, seed=0, counts=None):
    vectors = np.random.default_rng(seed).normal(size=(len(words), dim))
    return Embeddings(list(words), None if counts is None else np.array(counts), vectors)


def rotated(embeddings, seed=1, dim=None):
    """Return embeddings in a space that is turned, and has further dimensions."""
    own = embeddings.input.shape[1]
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim or own, dim or own)))[0]
    return Embeddings(embeddings.words, embeddings.counts, embeddings.input @ turn[:own])


WORDS = [f"w{number}" for number in range(150)]


@pytest.mark.parametrize("dim", [6, 9])
def test_a_rotation_and_further_dimensions_move_no_word(dim):
    embeddings = some(WORDS)
    for pair in (embeddings, rotated(embeddings, dim=dim)), (rotated(embeddings, dim=dim), embeddings):
        changes = word_changes(*pair)
        np.testing.assert_allclose(changes.cosines, 1)
        assert changes.overlap.tolist() == [1.0] * 150
        assert changes.missing == [0, 0]
        first, second = changes.directions
        assert first.shape == second.shape == (150, dim)
        np.testing.assert_allclose(first, second, atol=1e-12)


def test_embeddings_in_one_space_are_not_rotated():
    first, second = some(WORDS), some([*WORDS[5:], "new"], seed=1)
    changes = word_changes(first, second, rotate=False)
    assert (changes.measure, word_changes(first, second).measure) == (
        "cosine of both vectors",
        "cosine after alignment",
    )
    for word, cosine in zip(changes.words, changes.cosines, strict=True):
        assert cosine == pytest.approx(
            Embeddings(["a", "b"], None, np.stack([first[word], second[word]])).similarity("a", "b")
        )
    np.testing.assert_array_equal(changes.overlap, word_changes(first, second).overlap)


def test_words_that_change_places_moved_most():
    embeddings = some(WORDS)
    other = rotated(embeddings)
    other.input[[3, 7]] = other.input[[7, 3]]
    changes = word_changes(embeddings, other)
    assert sorted(np.argsort(changes.cosines)[:2].tolist()) == [3, 7]
    assert changes.cosines[3] == pytest.approx(embeddings.similarity("w3", "w7"), abs=0.1)


@given(st.integers(0, 2**32 - 1), st.integers(120, 140), st.integers(0, 10))
def test_shared_neighbours_are_those_of_most_similar(seed, number, missing):
    first = some(WORDS[:number], seed=seed)
    second = some([*reversed(WORDS[missing:number]), "new", "newer"], seed=seed + 1, dim=5)
    changes = word_changes(first, second)
    assert changes.neighbours == 10
    assert changes.words == WORDS[missing:number]
    assert changes.missing == [missing, 2]
    for word, share in zip(changes.words, changes.overlap, strict=True):
        near = [{near for near, _ in each.most_similar(word)} for each in (first, second)]
        assert share == pytest.approx(len(near[0] & near[1]) / 10)
    assert word_changes(first, second, 3).overlap.tolist() == changes.overlap[:3].tolist()


def test_the_most_frequent_words_of_the_first_embeddings_are_first():
    first = some(["a", "b", "c"], counts=[1, 5, 3])
    assert word_changes(first, some(["c", "b", "x"])).words == ["b", "c"]


def test_embeddings_without_relation_share_neighbours_by_chance():
    first, second = some(WORDS, 100), some([*WORDS[10:], *(f"new{i}" for i in range(50))], 100, seed=1)
    changes = word_changes(first, second)
    assert changes.chance == pytest.approx(10 * 139 / (149 * 189))
    assert changes.overlap.mean() == pytest.approx(changes.chance, abs=0.03)


def test_a_single_word_has_no_neighbours_to_compare():
    changes = word_changes(some(["a"]), some(["a", "b"]))
    assert (changes.neighbours, changes.missing) == (0, [0, 1])
    assert np.isnan(changes.overlap).all()
    with pytest.raises(UserError, match="no word in common"):
        word_changes(some(["a"]), some(["b"]))
