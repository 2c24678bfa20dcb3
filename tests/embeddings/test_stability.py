"""Stability over runs: means over pairs, bands, intervals, samples of words, least and most stable words."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.alignment import centred, procrustes, similarity_correlation
from w2v_exp.embeddings.stability import ComparedRun, compare_runs, frequency_bands
from w2v_exp.errors import UserError

V, DIM = 150, 6
BASE = np.random.default_rng(99).standard_normal((V, DIM))


def embeddings(seed, words=V, noise=0.6, counts=True, names=None):
    """Return embeddings that share a base with those of other seeds, rotated, in another order of words."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
    matrix = (BASE + noise * rng.standard_normal(BASE.shape)) @ turn
    names = names or [f"w{i}" for i in range(V)]
    order = rng.permutation(words)
    occurrences = np.arange(3 * V, 2 * V, -1)[order] if counts else None
    return Embeddings([names[i] for i in order], occurrences, matrix[order])


def runs(*groups):
    """Return runs: a list of seeds for each configuration."""
    return [
        ComparedRun(number, seed, embeddings(100 * number + seed))
        for number, seeds in enumerate(groups)
        for seed in seeds
    ]


def plain_neighbours(each, words, k):
    matrix = each[words]
    scaled = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    cosines = scaled @ scaled.T
    np.fill_diagonal(cosines, -2)
    return [set(row[:k]) for row in np.argsort(-cosines, axis=1)]


class TestMeans:
    def test_equal_those_over_all_pairs_one_by_one(self):
        chosen = runs([0, 1, 2])
        found = compare_runs(chosen)
        (agreement,) = found.agreements
        words = [f"w{i}" for i in range(V)]
        assert found.words == words
        assert (found.k, found.compared, found.shared, found.missing) == (10, V, V, [])
        near = [plain_neighbours(run.embeddings, words, 10) for run in chosen]
        shares = np.mean(
            [
                [len(a & b) / 10 for a, b in zip(near[i], near[j], strict=True)]
                for i, j in combinations(range(3), 2)
            ],
            axis=0,
        )
        assert agreement.words[0] == pytest.approx(shares)
        assert agreement.means[0] == pytest.approx(shares.mean())
        matrices = [centred(run.embeddings[words]) for run in chosen]
        pairs = list(combinations(matrices, 2))
        assert agreement.means[1] == pytest.approx(np.mean([procrustes(*p).cosines.mean() for p in pairs]))
        assert agreement.residual == pytest.approx(np.mean([procrustes(*p).residual for p in pairs]))
        assert agreement.means[2] == pytest.approx(
            np.mean([similarity_correlation(*p).overall for p in pairs])
        )
        assert found.by_band(agreement)[0] == pytest.approx([shares[:100].mean(), shares[100:].mean()])

    def test_a_rotated_and_scaled_copy_agrees_completely(self):
        one = embeddings(0)
        turn = np.linalg.qr(np.random.default_rng(1).standard_normal((DIM, DIM)))[0]
        copy = Embeddings(one.words, one.counts, 7 * one.input @ turn)
        (agreement,) = compare_runs([ComparedRun(0, 0, one), ComparedRun(0, 1, copy)]).agreements
        assert agreement.means == pytest.approx(1.0)
        assert agreement.residual == pytest.approx(0.0, abs=1e-6)

    def test_unrelated_spaces_are_at_chance(self):
        rng = np.random.default_rng(5)
        unrelated = [
            ComparedRun(
                0, seed, Embeddings([f"w{i}" for i in range(800)], None, rng.standard_normal((800, 10)))
            )
            for seed in range(2)
        ]
        found = compare_runs(unrelated)
        assert found.agreements[0].means == pytest.approx(found.chance, abs=0.02)

    def test_only_shared_words_are_compared_and_the_others_are_named(self):
        names = [f"w{i}" for i in range(V)]
        other = embeddings(1, names=["only", *names[1:]])
        found = compare_runs([ComparedRun(0, 0, embeddings(0)), ComparedRun(0, 1, other)])
        assert found.shared == V - 1
        assert sorted(found.missing) == ["only", "w0"]
        assert found.words == names[1:]

    def test_the_most_frequent_words_alone(self):
        found = compare_runs(runs([0, 1]), most_words=30)
        assert (found.words, found.k, found.compared) == ([f"w{i}" for i in range(30)], 2, 30)
        assert compare_runs(runs([0, 1]), most_words=30, neighbours=50).k == 29

    def test_too_few(self):
        one = ComparedRun(0, 0, embeddings(0))
        with pytest.raises(UserError, match="at least two are needed"):
            compare_runs([one])
        other = ComparedRun(0, 1, embeddings(1, names=["w0", *(f"x{i}" for i in range(1, V))]))
        with pytest.raises(UserError, match="have one word in common"):
            compare_runs([one, other])


class TestPairs:
    def test_within_each_configuration_then_between(self):
        found = compare_runs(runs([0, 1, 2], [0, 1]))
        assert [each.configurations for each in found.agreements] == [(0, 0), (1, 1), (0, 1)]
        assert [each.of_one_configuration for each in found.agreements] == [True, True, False]
        within, other, between = found.agreements
        assert sorted(within.pairs) == [(0, 1), (0, 2), (1, 2)]
        assert other.pairs == [(3, 4)]
        # Runs with the same seed start alike: they are not paired.
        assert sorted(between.seeds) == [(0, 1), (1, 0), (2, 0), (2, 1)]
        assert not between.same_seeds

    def test_equal_seeds_if_there_are_no_others(self):
        (between,) = compare_runs(runs([0], [0])).agreements
        assert between.same_seeds
        assert np.isnan(between.margins).all()

    @given(st.integers(2, 9), st.integers(1, 9), st.integers(1, 20))
    def test_each_run_is_in_as_many(self, seeds, others, most):
        from w2v_exp.embeddings.stability import _pairs_by_configuration

        members = [ComparedRun(0, seed, None) for seed in range(seeds)]
        members += [ComparedRun(1, seed, None) for seed in range(others)]
        for one, other, pairs in _pairs_by_configuration(members, most):
            assert len(set(pairs)) == len(pairs) > 0
            assert all(members[i].configuration == one for i, _ in pairs)
            assert all(members[j].configuration == other for _, j in pairs)
            if one == other:
                times = np.unique(np.ravel(pairs), return_counts=True)[1]
                assert len(times) == (seeds, others)[one]
                assert len(set(times.tolist())) == 1
                assert len(pairs) <= max(most, len(times))


class TestIntervals:
    def test_jackknife_equals_that_written_out(self):
        from scipy.stats import t

        (agreement,) = compare_runs(runs([0, 1, 2, 3])).agreements
        value = {pair: agreement.values[:, number] for number, pair in enumerate(agreement.seeds)}
        n = 4
        estimates = [
            np.mean([value[pair] for pair in value if left_out not in pair], axis=0) for left_out in range(n)
        ]
        pseudo = [n * agreement.means - (n - 1) * each for each in estimates]
        margin = t.ppf(0.975, n - 1) * np.std(pseudo, axis=0, ddof=1) / np.sqrt(n)
        assert agreement.margins == pytest.approx(margin)

    def test_two_seeds_have_none(self):
        (agreement,) = compare_runs(runs([0, 1])).agreements
        assert np.isnan(agreement.margins).all()


class TestSamples:
    def test_sampled_words_have_the_results_of_all(self):
        whole, sampled = compare_runs(runs([0, 1])), compare_runs(runs([0, 1]), sampled=20)
        assert len(sampled.words) == 40
        rows = sampled.ranks - 1
        assert sampled.words == [whole.words[row] for row in rows]
        assert sampled.agreements[0].words == pytest.approx(whole.agreements[0].words[:, rows])
        assert sampled.agreements[0].means[1:] == pytest.approx(whole.agreements[0].means[1:])
        # The mean over all words is estimated from the means of the bands.
        bands = sampled.by_band(sampled.agreements[0])[0]
        assert sampled.agreements[0].means[0] == pytest.approx((100 * bands[0] + 50 * bands[1]) / 150)

    @given(st.integers(2, 200_000))
    def test_bands_cover_all_ranks_once(self, words):
        bands = frequency_bands(words)
        assert bands[0].first == 1
        assert bands[-1].last == words
        assert all(one.last + 1 == other.first for one, other in pairwise(bands))
        assert len(bands) == 1 or all(band.size >= 20 for band in bands)


class TestWords:
    def test_from_the_least_to_the_most_stable(self):
        found = compare_runs(runs([0, 1, 2]))
        overlap = found.by_word[0][found.by_stability()]
        assert (np.diff(overlap) >= 0).all()
        assert len(overlap) == V

    def test_rare_words_are_not_listed(self):
        chosen = runs([0, 1])
        counts = chosen[0].embeddings.counts - 2 * V - 50  # from -49 to 100
        first = Embeddings(chosen[0].embeddings.words, np.maximum(counts, 0), chosen[0].embeddings.input)
        found = compare_runs([ComparedRun(0, 0, first), chosen[1]])
        assert found.least_count == 20
        assert {found.counts[i] >= 20 for i in found.by_stability()} == {True}
        assert len(found.by_stability()) == 81

    def test_all_are_listed_if_counts_are_unknown(self):
        found = compare_runs([ComparedRun(0, seed, embeddings(seed, counts=False)) for seed in range(2)])
        assert found.least_count == 1
        assert len(found.by_stability()) == V

    def test_without_repeats_they_are_those_between_configurations(self):
        found = compare_runs(runs([0], [1]))
        assert found.within == []
        assert found.by_word == pytest.approx(found.agreements[0].words)
