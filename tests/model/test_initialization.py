"""The parameters that training starts from."""

import numpy as np
import pytest

from w2v_exp.errors import SettingError
from w2v_exp.model.parameters import (
    INITIALIZATIONS,
    ArticleInitialization,
    ContinuedInitialization,
    Word2VecInitialization,
)

V, DIM = 3000, 50


@pytest.mark.parametrize("name", INITIALIZATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_matrices_have_a_row_for_each_word(name, dtype):
    parameters = INITIALIZATIONS[name]()(7, 3, np.random.default_rng(0), dtype)
    assert parameters.embedding.shape == parameters.output.shape == (7, 3)
    assert parameters.embedding.dtype == parameters.output.dtype == dtype


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_the_same_seed_gives_the_same_parameters_in_both_precisions(name):
    first, again, rounded = (
        INITIALIZATIONS[name]()(V, DIM, np.random.default_rng(3), dtype)
        for dtype in (np.float64, np.float64, np.float32)
    )
    other = INITIALIZATIONS[name]()(V, DIM, np.random.default_rng(4))
    for matrix in ("embedding", "output"):
        np.testing.assert_array_equal(getattr(first, matrix), getattr(again, matrix))
        np.testing.assert_array_equal(getattr(first, matrix).astype(np.float32), getattr(rounded, matrix))
    assert (first.embedding != other.embedding).all()


@pytest.mark.parametrize("scale", [0.01, 2])
def test_the_article_draws_both_matrices_from_one_normal_distribution(scale):
    parameters = ArticleInitialization(scale)(V, DIM, np.random.default_rng(0))
    for matrix in (parameters.embedding, parameters.output):
        # Of 150,000 draws: mean and standard deviation to five standard errors.
        assert abs(matrix.mean()) < 5 * scale / np.sqrt(V * DIM)
        assert abs(matrix.std() / scale - 1) < 5 / np.sqrt(2 * V * DIM)
        assert (np.abs(matrix) < 1.96 * scale).mean() == pytest.approx(0.95, abs=0.003)
    assert abs(np.corrcoef(parameters.embedding.ravel(), parameters.output.ravel())[0, 1]) < 0.02


def test_the_scale_of_the_article_is_the_default():
    drawn = ArticleInitialization()(V, DIM, np.random.default_rng(0)).embedding
    np.testing.assert_array_equal(
        drawn, ArticleInitialization(0.01)(V, DIM, np.random.default_rng(0)).embedding
    )


def test_word2vec_draws_small_uniform_embeddings_and_zero_output_weights():
    parameters = Word2VecInitialization()(V, DIM, np.random.default_rng(0))
    assert not parameters.output.any()
    scaled = parameters.embedding * DIM
    assert scaled.min() == pytest.approx(-0.5, abs=1e-4)
    assert scaled.max() == pytest.approx(0.5, abs=1e-4)
    assert scaled.std() == pytest.approx(1 / np.sqrt(12), rel=0.01)


@pytest.mark.parametrize("scale", [0, -0.01, float("nan")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(SettingError, match=f"^scale={scale}: must be a number above 0"):
        ArticleInitialization(scale)


# ---------------------------------------------------------------- saved vectors

SAVED, OUTPUT = (np.random.default_rng(seed).standard_normal((5, DIM)) for seed in (1, 2))
ROWS = np.array([3, -1, 0, -1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_words_start_from_their_saved_vectors_and_new_ones_from_word2vecs_draw(dtype):
    saved, output = SAVED.astype(dtype), OUTPUT.astype(dtype)
    parameters = ContinuedInitialization(ROWS, saved, output)(4, DIM, np.random.default_rng(0), dtype)
    drawn = Word2VecInitialization()(4, DIM, np.random.default_rng(0), dtype)
    assert parameters.embedding[[0, 2]].tobytes() == saved[[3, 0]].tobytes()
    assert parameters.output[[0, 2]].tobytes() == output[[3, 0]].tobytes()
    np.testing.assert_array_equal(parameters.embedding[[1, 3]], drawn.embedding[[1, 3]])
    assert not parameters.output[[1, 3]].any()
    parameters.embedding[:] = 7
    assert (saved != 7).all(), "what is trained is a copy"


def test_what_is_drawn_next_does_not_depend_on_what_has_been_saved():
    afterwards = []
    for rows in (ROWS, np.full(4, -1)):
        generator = np.random.default_rng(0)
        ContinuedInitialization(rows, SAVED, OUTPUT)(4, DIM, generator)
        afterwards.append(generator.random())
    assert afterwards[0] == afterwards[1]


def test_without_saved_output_vectors_the_output_weights_start_at_zero():
    parameters = ContinuedInitialization(ROWS, SAVED)(4, DIM, np.random.default_rng(0))
    assert not parameters.output.any()
    np.testing.assert_array_equal(parameters.embedding[0], SAVED[3])


@pytest.mark.parametrize("size", [2, 6])
def test_parameters_are_made_for_fewer_words_or_more(size):
    parameters = ContinuedInitialization(ROWS, SAVED, OUTPUT)(size, DIM, np.random.default_rng(0))
    assert parameters.embedding.shape == parameters.output.shape == (size, DIM)
    np.testing.assert_array_equal(parameters.embedding[0], SAVED[3])


def test_saved_vectors_of_other_dimensions_are_refused():
    with pytest.raises(ValueError, match="The saved vectors have 50 dimensions, not 51"):
        ContinuedInitialization(ROWS, SAVED)(4, DIM + 1, np.random.default_rng(0))
