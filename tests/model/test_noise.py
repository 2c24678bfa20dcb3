"""The noise is drawn by its exact distribution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from w2v_exp.model.negative_sampling import NoiseDistribution, alias_table

# Counts of all vocabularies up to six words: those of the default tier take half a second, all of them ten.
FEW = [(1, 9), (2, 9), (3, 9), (4, 5), (5, 4), (6, 2)]
ALL = [(1, 30), (2, 30), (3, 20), (4, 10), (5, 6), (6, 5)]


def table_probabilities(share: NDArray[np.float64], alias: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the probabilities that an alias table draws, (V,)."""
    return (share + np.bincount(alias, weights=1 - share, minlength=len(share))) / len(share)


def require_exact_table(noise: NoiseDistribution, tolerance: float = 1e-14) -> None:
    """Require that the table draws the probabilities, to a part of an even share 1/V."""
    share, alias = alias_table(noise.probabilities)
    assert ((share >= 0) & (share <= 1)).all()
    assert ((alias >= 0) & (alias < len(noise))).all()
    error = np.abs(table_probabilities(share, alias) - noise.probabilities).max()
    assert error * len(noise) <= tolerance
    never = noise.probabilities == 0
    assert (table_probabilities(share, alias)[never] == 0).all()


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50), st.floats(-3, 1000))
def test_columns_of_the_alias_table_add_up_to_the_distribution(counts: list[int], exponent: float) -> None:
    require_exact_table(NoiseDistribution(np.array(counts), exponent), 1e-12)


@pytest.mark.parametrize("sizes", [FEW, pytest.param(ALL, marks=pytest.mark.slow)], ids=["few", "all"])
@pytest.mark.parametrize("exponent", [0.0, 0.25, 0.75, 1.0])
def test_every_small_table_is_exact(sizes: list[tuple[int, int]], exponent: float) -> None:
    for words, most in sizes:
        for counts in itertools.product(range(most + 1), repeat=words):
            if any(counts):
                require_exact_table(NoiseDistribution(np.array(counts), exponent))


@pytest.mark.parametrize("tables", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_tables_are_exact(tables: int) -> None:
    generator = np.random.default_rng(0)
    for number in range(tables):
        words = int(generator.integers(1, 3000))
        zipfian = 1 / generator.permutation(np.arange(1.0, words + 1)) ** generator.random()
        counts = [
            generator.random(words),
            1 + generator.integers(-2, 3, words) * np.finfo(float).eps,  # columns that differ by a rounding
            generator.integers(1, 4, words),
            zipfian,
            np.where(generator.random(words) < 0.5, zipfian, zipfian[0]),  # many equal ones
        ][number % 5]
        require_exact_table(NoiseDistribution(counts, 1.0), 1e-9)


def test_a_word_of_an_even_share_draws_that_share() -> None:
    noise = NoiseDistribution(np.array([1, 2, 3]), 1.0)
    assert table_probabilities(*alias_table(noise.probabilities)) == pytest.approx([1 / 6, 1 / 3, 1 / 2])
    drawn = np.bincount(noise.draw(np.random.default_rng(0), 60_000), minlength=3) / 60_000
    assert drawn == pytest.approx([1 / 6, 1 / 3, 1 / 2], abs=0.01)


@pytest.mark.parametrize("exponent", [0.0, 0.25, 0.75, 1.0, 3.0, -0.5])
@pytest.mark.parametrize("words", [1, 2, 3, 5, 7, 49, 1000])
def test_equal_counts_are_drawn_evenly(words: int, exponent: float) -> None:
    noise = NoiseDistribution(np.full(words, 3), exponent)
    require_exact_table(noise)
    assert noise.probabilities == pytest.approx(1 / words)
    assert set(noise.draw(np.random.default_rng(0), 20 * words)) <= set(range(words))


@pytest.mark.parametrize(
    ("exponent", "expected"), [(1e3, [0, 0, 1]), (1e308, [0, 0, 1]), (-1e308, [1, 0, 0])]
)
def test_powers_too_large_for_a_float_leave_a_distribution(exponent: float, expected: list[float]) -> None:
    noise = NoiseDistribution(np.array([1, 10**6, 10**9, 0]), exponent)
    assert noise.probabilities == pytest.approx([*expected, 0])
    require_exact_table(noise)


def test_a_large_vocabulary_keeps_its_rare_words_exact() -> None:
    """word2vec's table of 10⁸ places has no place, or one too many, for a word of this probability."""
    counts = 1e9 / np.arange(1, 1_000_001)
    noise = NoiseDistribution(counts, 1.0)
    table = table_probabilities(*alias_table(noise.probabilities))
    np.testing.assert_allclose(table, noise.probabilities, rtol=1e-6, atol=0)


def test_words_are_drawn_as_often_as_they_should_be() -> None:
    counts = np.array([1000, 100, 10, 1, 0])
    noise = NoiseDistribution(counts, 0.5)
    drawn = np.bincount(noise.draw(np.random.default_rng(0), 400_000), minlength=5) / 400_000
    error = np.sqrt(noise.probabilities / 400_000)
    assert (np.abs(drawn - noise.probabilities) <= 4 * error).all()
    assert drawn[4] == 0
    assert noise.probabilities[0] / noise.probabilities[2] == pytest.approx(10)


def test_a_text_without_words_of_the_vocabulary_has_even_noise() -> None:
    assert NoiseDistribution(np.zeros(4, np.int64)).probabilities == pytest.approx(0.25)
