"""Positive PMI against a dense computation, its factors against NumPy's, and training that starts from them."""

import math

import numpy as np
import pytest
from processes import run_python
from scipy.sparse import csr_array

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts, count_window_pairs
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.model.spectral import SpectralInitialization, positive_pmi, truncated_svd
from w2v_exp.training.optimizers import Adagrad
from w2v_exp.training.trainer import Trainer

V, WINDOW = 60, 3
IDS = np.minimum(np.random.default_rng(1).geometric(0.06, 900) - 1, V - 2).astype(
    np.int32
)  # V − 1 has no pair
COUNTS = count_window_pairs([IDS], WINDOW, V, shrinking=True).divided_by(3)


def dense(counts: PairCounts):
    matrix = np.zeros((V, V))
    centres, contexts, numbers = counts.distinct()
    matrix[centres, contexts] = numbers
    return matrix


@pytest.mark.parametrize("shift", [1, 2.5])
@pytest.mark.parametrize("exponent", [0, 0.75, 1])
def test_positive_pmi_is_what_its_definition_gives(shift, exponent):
    joint = dense(COUNTS) / dense(COUNTS).sum()
    smoothed = np.where(joint.sum(axis=0) > 0, joint.sum(axis=0) ** exponent, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        pmi = np.log(joint / (joint.sum(axis=1)[:, None] * (smoothed / smoothed.sum()))) - math.log(shift)
    expected = np.where(joint > 0, np.maximum(pmi, 0), 0)
    matrix = positive_pmi(COUNTS, shift, exponent)
    np.testing.assert_allclose(matrix.toarray(), expected, rtol=0, atol=1e-6)  # the counts are float32
    assert matrix.data.min() > 0
    assert matrix.nnz < COUNTS.counts.size
    assert matrix.indices.dtype == np.int32


@pytest.mark.parametrize("rank", [7, 30])  # of 60 words: by Lanczos, and as a dense matrix
def test_the_factors_are_those_of_numpy(rank):
    matrix = positive_pmi(COUNTS)
    left, values, right = truncated_svd(matrix, rank, np.random.default_rng(0))
    exact = np.linalg.svd(matrix.toarray())
    np.testing.assert_allclose(values, exact.S[:rank], rtol=1e-10)
    np.testing.assert_allclose(
        (left * values) @ right.T, (exact.U[:, :rank] * exact.S[:rank]) @ exact.Vh[:rank], atol=1e-10
    )
    for vectors in (left, right):
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(rank), atol=1e-10)
    assert (left.max(axis=0) >= -left.min(axis=0)).all()


@pytest.mark.parametrize("words", [4, 7, 14, 33, 150])
@pytest.mark.parametrize("rank", [1, 2, 5, 40])
@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_factors_of_few_and_of_sparse_words_are_those_of_numpy(words, rank, share):
    generator = np.random.default_rng(words)
    matrix = generator.random((words, words + 3)) * (generator.random((words, words + 3)) < share)
    matrix[0, 1] = 3.0
    left, values, right = truncated_svd(csr_array(matrix), rank, np.random.default_rng(0))
    exact = np.linalg.svd(matrix, full_matrices=False)
    expected = exact.S[:rank][exact.S[:rank] > 1e-6]
    np.testing.assert_allclose(values[: len(expected)], expected, rtol=1e-9)
    assert (values[len(expected) :] < 1e-6).all()
    for vectors in (left, right):
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-6)
    np.testing.assert_allclose(matrix @ right, left * values, atol=1e-9)


@pytest.mark.parametrize("exponent", [0, 0.3, 1])
def test_the_exponent_shares_out_the_singular_values(exponent):
    parameters = SpectralInitialization(eigenvalue_exponent=exponent).factorise(
        COUNTS, 7, np.random.default_rng(0)
    )
    exact = np.linalg.svd(positive_pmi(COUNTS, 1, 0.75).toarray()).S[:7]
    np.testing.assert_allclose(np.linalg.norm(parameters.embedding, axis=0), exact**exponent)
    np.testing.assert_allclose(np.linalg.norm(parameters.output, axis=0), exact ** (1 - exponent))


def test_the_same_seed_gives_the_same_bytes_and_another_one_the_same_vectors():
    first, again, other, rounded = (
        SpectralInitialization().factorise(COUNTS, 7, np.random.default_rng(seed), dtype)
        for seed, dtype in ((3, np.float64), (3, np.float64), (4, np.float64), (3, np.float32))
    )
    for matrix in ("embedding", "output"):
        assert getattr(first, matrix).tobytes() == getattr(again, matrix).tobytes()
        np.testing.assert_allclose(getattr(first, matrix), getattr(other, matrix), atol=1e-9)
        np.testing.assert_allclose(getattr(first, matrix), getattr(rounded, matrix), atol=1e-3)
        assert getattr(rounded, matrix).dtype == np.float32


def test_a_matrix_of_low_rank_gives_the_same_bytes_too():
    """Its Lanczos iteration ends early and starts anew from random vectors."""
    block = np.arange(V, dtype=np.int32).reshape(4, -1)  # words that meet all of their block, and no other
    counts = PairCounts(15 * np.arange(V + 1), np.repeat(block, 15, axis=0).reshape(-1), np.ones(15 * V))
    drawn = [
        SpectralInitialization(context_exponent=1.0).factorise(counts, 9, np.random.default_rng(0))
        for _ in range(2)
    ]
    assert drawn[0].embedding.tobytes() == drawn[1].embedding.tobytes()
    assert np.linalg.matrix_rank(drawn[0].embedding) == 4
    assert not drawn[0].embedding[:, 4:].any()


def test_more_dimensions_than_words_leave_columns_of_zeros():
    parameters = SpectralInitialization(context_exponent=1.0).factorise(
        COUNTS, V + 5, np.random.default_rng(0)
    )
    np.testing.assert_allclose(
        parameters.embedding @ parameters.output.T, positive_pmi(COUNTS).toarray(), atol=1e-12
    )
    assert not parameters.embedding[:, V:].any()
    assert np.isfinite(parameters.embedding).all()
    assert np.isfinite(parameters.output).all()


def test_where_no_pair_is_more_frequent_than_by_chance_there_is_nothing_to_start_from():
    with pytest.raises(CorpusError, match=r"initialization.shift"):
        SpectralInitialization().factorise(
            count_window_pairs([np.zeros(9, np.int32)], 2, 1), 3, np.random.default_rng(0)
        )


@pytest.mark.parametrize("offset", ["none", "unigram"])
def test_training_goes_on_from_a_start_that_costs_less_than_the_articles(offset):
    examples = CountedExamples(
        COUNTS, CountsRule(centres=V)
    )  # a slice of all centres: costs are those of one point
    objective = Softmax(embedding_gradient="mean", output_offset=offset)
    costs = {}
    for name, drawn in (
        ("spectral", SpectralInitialization().factorise(COUNTS, 7, np.random.default_rng(0))),
        ("article", ArticleInitialization()(V, 7, np.random.default_rng(0))),
    ):
        parameters = Parameters(
            drawn.embedding, drawn.output, objective.initial_offset(examples.context_shares, np.float64)
        )
        trainer = Trainer(
            examples, parameters, objective=objective, optimizer=Adagrad(), epochs=20, learning_rate=0.1
        )
        costs[name] = [record.cost for record in trainer.train()]
    assert costs["spectral"][0] < costs["article"][0] - 0.02
    assert costs["spectral"][-1] < costs["spectral"][0] - 0.05


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"shift": 0.5}, "shift=0.5: must be a number at least 1"),
        ({"context_exponent": 1.5}, "context_exponent=1.5: must be a number at least 0 and at most 1"),
        ({"eigenvalue_exponent": -1}, "eigenvalue_exponent=-1: must be a number at least 0 and at most 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, answer):
    with pytest.raises(SettingError, match=f"^{answer}"):
        SpectralInitialization(**settings)


FIRST_FACTORS = """
import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_info
from w2v_exp.model.spectral import truncated_svd

threads = set()


class Observed(csr_array):
    def __matmul__(self, other):
        threads.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return super().__matmul__(other)


truncated_svd(Observed(np.eye(60) + np.eye(60)[::-1] / 2), 3, np.random.default_rng(0))
print(threads)
"""


@pytest.mark.usefixtures("starts_processes")
def test_the_first_factors_of_a_process_are_made_in_one_thread(tmp_path):
    done = run_python("-c", FIRST_FACTORS, folder=tmp_path, OPENBLAS_NUM_THREADS="2")
    assert done.stdout.strip() == "{1}", done.stderr


@pytest.mark.parametrize("centre_words", [20, 2])
@pytest.mark.parametrize("dim", [4, 12])
def test_factors_of_fewer_centres_than_contexts_approximate_their_pmi(centre_words, dim):
    counts = count_window_pairs([IDS], WINDOW, V, shrinking=True, centre_words=centre_words)
    factors = SpectralInitialization().factorise(counts, dim, np.random.default_rng(0))
    assert (factors.embedding.shape, factors.output.shape) == ((centre_words, dim), (V, dim))
    matrix = positive_pmi(counts, 1, 0.75).toarray()
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    best = (left[:, :dim] * values[:dim]) @ right[:dim]
    np.testing.assert_allclose(factors.embedding @ factors.output.T, best, atol=1e-9)
