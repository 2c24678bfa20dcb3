"""Two embeddings of the same words: overlap of neighbours, rotation, correlation of similarity matrices."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.embeddings import Embeddings, alignment
from w2v_exp.embeddings.alignment import (
    align,
    neighbour_ids,
    neighbour_number,
    neighbour_overlap,
    procrustes,
    shared_words,
    similarity_correlation,
)
from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import UserError


def vectors(seed, words=60, dim=8, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((words, dim)) * rng.uniform(0.1, 5, (words, 1))).astype(dtype)


def rotation(seed, dim=8):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]


def related(seed, noise=0.5, **shape):
    """Return two matrices that are similar after a rotation."""
    one, other = vectors(seed, **shape), vectors(seed + 1, **shape)
    dim = one.shape[1]
    return one, (one @ rotation(seed + 2, dim) + noise * other).astype(one.dtype)


def plain_overlap(one, other, k):
    def neighbours(matrix):
        scaled = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        cosines = scaled @ scaled.T
        return [
            set(sorted((j for j in range(len(matrix)) if j != i), key=lambda j: -cosines[i, j])[:k])
            for i in range(len(matrix))
        ]

    return [len(a & b) / k for a, b in zip(neighbours(one), neighbours(other), strict=True)]


def plain_correlations(one, other):
    """Return the correlations from the whole V × V matrices."""
    similarity = [scaled @ scaled.T for scaled in (directions(one), directions(other))]
    off = ~np.eye(len(one), dtype=bool)
    by_word = [np.corrcoef(*(s[i][off[i]] for s in similarity))[0, 1] for i in range(len(one))]
    return by_word, np.corrcoef(*(s[off] for s in similarity))[0, 1]


class TestSharedWords:
    def test_by_falling_count_of_the_first(self):
        one = Embeddings(["a", "b", "c", "d"], np.array([1, 5, 3, 3]), vectors(0, 4))
        other = Embeddings(["d", "x", "c", "b"], None, vectors(1, 4))
        words, rows, missing = shared_words(one, other)
        assert words == ["b", "c", "d"]
        assert [r.tolist() for r in rows] == [[1, 2, 3], [3, 2, 0]]
        assert missing == ["a", "x"]

    def test_without_counts_in_the_order_of_the_first(self):
        one = Embeddings(["z", "y", "x"], None, vectors(0, 3))
        assert shared_words(one, one, one).words == ["z", "y", "x"]

    def test_no_common_word(self):
        with pytest.raises(UserError, match="no word in common"):
            shared_words(Embeddings(["a"], None, vectors(0, 1)), Embeddings(["b"], None, vectors(1, 1)))


class TestNeighbours:
    @pytest.mark.parametrize("k", [1, 5, 59, 100])
    @pytest.mark.parametrize("noise", [0.1, 1.0])
    def test_overlap_equals_that_of_sets(self, k, noise):
        one, other = related(3, noise)
        found = neighbour_overlap(neighbour_ids(one, k), neighbour_ids(other, k))
        assert found.tolist() == plain_overlap(one, other, min(k, 59))

    def test_a_rotated_and_scaled_copy_has_the_same_neighbours(self):
        one = vectors(0)
        ids = neighbour_ids(one, 10)
        assert neighbour_overlap(ids, neighbour_ids(3 * one @ rotation(1), 10)).tolist() == [1.0] * 60

    def test_unrelated_embeddings_share_as_many_as_by_chance(self):
        one, other = (neighbour_ids(vectors(seed, words=500, dim=20), 10) for seed in (0, 1))
        assert neighbour_overlap(one, other).mean() == pytest.approx(10 / 499, abs=0.005)

    def test_one_word_has_no_neighbours(self):
        ids = neighbour_ids(vectors(0, words=1), 10)
        assert ids.shape == (1, 0)
        assert np.isnan(neighbour_overlap(ids, ids)).all()

    @given(st.integers(2, 100_000))
    def test_few_are_common_by_chance(self, words):
        k = neighbour_number(words)
        assert 1 <= k <= 10
        assert k == 1 or k / (words - 1) <= 0.1


class TestProcrustes:
    def test_a_rotated_copy_is_found(self):
        one, turn = vectors(0), rotation(1)
        found = procrustes(one, one @ turn)
        assert found.rotation == pytest.approx(turn)
        assert found.cosines == pytest.approx(1.0)
        assert found.residual == pytest.approx(0.0, abs=1e-7)

    def test_equals_scipy(self):
        from scipy.linalg import orthogonal_procrustes

        one, other = related(5)
        x, y = directions(one), directions(other)
        expected, _ = orthogonal_procrustes(x, y)
        found = procrustes(one, other)
        assert found.rotation == pytest.approx(expected)
        assert found.residual == pytest.approx(np.linalg.norm(x @ expected - y) / np.linalg.norm(y))
        assert found.cosines == pytest.approx(np.vecdot(x @ expected, y))
        assert found.residual == pytest.approx(math.sqrt(2 - 2 * found.cosines.mean()))

    @given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 12))
    def test_orthogonal_in_any_dimensions(self, seed, dim, other_dim):
        one, other = vectors(seed, dim=dim), vectors(seed + 1, dim=other_dim)
        found = procrustes(one, other)
        assert found.rotation @ found.rotation.T == pytest.approx(np.eye(max(dim, other_dim)))
        assert 0 <= found.residual <= math.sqrt(2) + 1e-9  # no rotation is worse than a mean cosine of 0

    @given(st.integers(0, 1000))
    def test_no_other_rotation_is_better(self, seed):
        one, other = related(seed)
        x, y = directions(one), directions(other)
        turned = np.linalg.norm(x @ rotation(seed + 9) - y) / np.linalg.norm(y)
        assert procrustes(one, other).residual <= turned + 1e-12

    def test_with_more_dimensions_a_copy_stays_a_copy(self):
        one = vectors(0)
        wider = np.hstack([one, np.zeros((60, 3))]) @ rotation(1, 11)
        for found in (procrustes(one, wider), procrustes(wider, one)):
            assert found.cosines == pytest.approx(1.0)

    def test_zeros(self):
        one = vectors(0)
        one[7] = 0
        assert procrustes(one, one).cosines[7] == 0
        assert procrustes(one, one).mean_cosine == pytest.approx(59 / 60)
        assert procrustes(one, one).residual == pytest.approx(0.0, abs=1e-7)
        assert math.isnan(procrustes(one, np.zeros_like(one)).residual)


class TestSimilarityCorrelation:
    @pytest.mark.parametrize("noise", [0.1, 3.0])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_equals_that_of_the_whole_matrices(self, noise, dtype):
        one, other = related(7, noise, dtype=dtype)
        by_word, overall = plain_correlations(one, other)
        found = similarity_correlation(one, other)
        assert found.words == pytest.approx(by_word, abs=1e-5 if dtype == np.float32 else 1e-10)
        assert found.overall == pytest.approx(overall, abs=1e-5 if dtype == np.float32 else 1e-10)

    def test_across_dimensions(self):
        one, other = vectors(0, dim=3), vectors(1, dim=9)
        by_word, overall = plain_correlations(one, other)
        found = similarity_correlation(one, other)
        assert found.words == pytest.approx(by_word)
        assert found.overall == pytest.approx(overall)

    def test_a_vector_of_zeros_has_none(self):
        one, other = related(1)
        one[4] = 0
        found = similarity_correlation(one, other)
        assert np.flatnonzero(np.isnan(found.words)).tolist() == [4]
        assert found.overall == pytest.approx(plain_correlations_overall(one, other))

    @pytest.mark.parametrize("words", [1, 2])
    def test_too_few_words(self, words):
        found = similarity_correlation(vectors(0, words), vectors(1, words))
        assert np.isnan(found.words).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_equal_vectors_have_none(self, dtype):
        same = np.full((50, 4), 0.3, dtype)
        assert np.isnan(similarity_correlation(same, vectors(0, 50, 4, dtype)).words).all()


def plain_correlations_overall(one, other):
    off = ~np.eye(len(one), dtype=bool)
    return np.corrcoef(*((s @ s.T)[off] for s in (directions(one), directions(other))))[0, 1]


@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_nothing_changes_if_a_space_is_rotated_and_scaled(seed, scale):
    one, other = related(seed)
    turned = scale * other @ rotation(seed + 5)
    assert neighbour_overlap(neighbour_ids(one, 5), neighbour_ids(turned, 5)).tolist() == (
        neighbour_overlap(neighbour_ids(one, 5), neighbour_ids(other, 5)).tolist()
    )
    assert procrustes(one, turned).cosines == pytest.approx(procrustes(one, other).cosines)
    assert similarity_correlation(one, turned).words == pytest.approx(
        similarity_correlation(one, other).words
    )


def test_results_for_some_words_are_those_of_all():
    one, other = related(6)
    rows = np.array([3, 59, 0])
    assert neighbour_ids(one, 5, rows).tolist() == neighbour_ids(one, 5)[rows].tolist()
    whole, some = procrustes(one, other), procrustes(one, other, rows)
    assert some.cosines == pytest.approx(whole.cosines[rows])
    assert (some.mean_cosine, some.residual) == pytest.approx((whole.cosines.mean(), whole.residual))
    whole, some = similarity_correlation(one, other), similarity_correlation(one, other, rows)
    assert some.words == pytest.approx(whole.words[rows])
    assert some.overall == pytest.approx(whole.overall)


def test_blocks_change_nothing(monkeypatch):
    one, other = related(2)
    whole = procrustes(one, other), similarity_correlation(one, other)
    monkeypatch.setattr(alignment, "BATCH_BYTES", 7 * 16 * 8)  # 7 rows
    parts = procrustes(one, other), similarity_correlation(one, other)
    assert parts[0].cosines == pytest.approx(whole[0].cosines)
    assert parts[0].residual == pytest.approx(whole[0].residual)
    assert parts[1].words == pytest.approx(whole[1].words)


class TestAlign:
    def embeddings(self, matrix, words=60, counts=True, output=None):
        names = [f"w{i}" for i in range(words)]
        return Embeddings(names, np.arange(words, 0, -1) if counts else None, matrix, output)

    def test_keeps_cosines_lengths_and_scores(self):
        one, other = related(4)
        found = align(self.embeddings(one, output=vectors(9)), self.embeddings(other))
        assert np.linalg.norm(found.input, axis=1) == pytest.approx(np.linalg.norm(one, axis=1))
        assert found.input @ found.input.T == pytest.approx(one @ one.T)
        assert found.input @ found.output.T == pytest.approx(one @ vectors(9).T)

    def test_a_rotated_copy_falls_on_the_reference(self):
        one = self.embeddings(vectors(0))
        turned = self.embeddings(vectors(0) @ rotation(1))
        assert align(turned, one).input == pytest.approx(one.input)

    def test_rotates_words_that_the_reference_lacks(self):
        reference = Embeddings([f"w{i}" for i in range(40)], None, vectors(0)[:40])
        found = align(self.embeddings(vectors(0) @ rotation(1)), reference)
        assert found.input == pytest.approx(vectors(0))
        assert found.words == [f"w{i}" for i in range(60)]
        assert found.counts.tolist() == list(range(60, 0, -1))

    @pytest.mark.parametrize("dims", [(3, 8), (8, 3)])
    def test_has_the_larger_dimension(self, dims):
        one, other = (
            self.embeddings(vectors(seed, dim=dim, dtype=np.float32)) for seed, dim in enumerate(dims)
        )
        found = align(one, other)
        assert found.input.shape == (60, 8)
        assert found.input.dtype == np.float32

    def test_no_common_word(self):
        with pytest.raises(UserError, match="no word in common"):
            align(self.embeddings(vectors(0)), Embeddings(["x"], None, vectors(1, 1)))
