"""The noise is drawn by its exact distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.model.noise import NoiseDistribution, alias_table


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50), st.floats(0, 1))
def test_columns_of_the_alias_table_add_up_to_the_distribution(counts: list[int], exponent: float) -> None:
    noise = NoiseDistribution(np.array(counts), exponent)
    share, alias = alias_table(noise.probabilities)
    assert ((share >= 0) & (share <= 1)).all()
    columns = share.copy()
    np.add.at(columns, alias, 1 - share)
    assert columns / len(counts) == pytest.approx(noise.probabilities, abs=1e-14)


def test_a_large_vocabulary_keeps_its_rare_words_exact() -> None:
    """word2vec's table of 10⁸ places has no place, or one too many, for a word of this probability."""
    counts = 1e9 / np.arange(1, 1_000_001)
    noise = NoiseDistribution(counts, 1.0)
    share, alias = alias_table(noise.probabilities)
    columns = share.copy()
    np.add.at(columns, alias, 1 - share)
    np.testing.assert_allclose(columns / len(counts), noise.probabilities, rtol=1e-6, atol=0)


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
