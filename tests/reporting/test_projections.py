"""Positions in a plane: similar words stay near, and the same input gives the same positions."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import SettingError
from w2v_exp.reporting import projections
from w2v_exp.reporting.projections import (
    Projector,
    Repulsion,
    affinities,
    chosen_projection,
    exact_repulsion,
    highest,
    map_seconds,
    nearest_directions,
    principal_components,
    require_projection,
    tsne,
    turned,
)


def test_principal_components_keep_the_distances_of_a_plane():
    generator = np.random.default_rng(1)
    plane = generator.normal(size=(20, 2)) * [3, 1]
    turned = plane @ np.linalg.qr(generator.normal(size=(10, 10)))[0][:2] + generator.normal(size=10)
    places, shares = principal_components(turned)
    expected, found = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (plane, places))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > shares[1]


def test_shares_of_variance_are_those_of_the_covariance():
    vectors = np.random.default_rng(2).normal(size=(30, 5))
    variances = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    np.testing.assert_allclose(principal_components(vectors)[1], variances[:2] / variances.sum())


def test_the_signs_of_components_do_not_depend_on_those_of_the_vectors():
    vectors = np.random.default_rng(3).normal(size=(30, 5))
    places, _ = principal_components(vectors)
    np.testing.assert_allclose(principal_components(vectors * [1, -1, 1, -1, -1])[0], places, atol=1e-12)
    assert (np.take_along_axis(places, np.abs(places).argmax(axis=0)[None], 0) > 0).all()


@pytest.mark.parametrize("vectors", [np.ones((1, 5)), np.ones((7, 5)), np.zeros((3, 1))])
def test_vectors_that_do_not_vary_are_all_in_one_place(vectors):
    places, shares = principal_components(vectors)
    assert not places.any()
    assert shares.tolist() == [0, 0]


def groups(per_group=12, dim=20, seed=4):
    """Return directions around three others, group by group."""
    generator = np.random.default_rng(seed)
    centres = np.repeat(np.linalg.qr(generator.normal(size=(dim, 3)))[0].T, per_group, axis=0)
    return directions(centres + 0.05 * generator.normal(size=centres.shape))


def test_pca_is_that_of_the_directions():
    vectors = groups()
    np.testing.assert_array_equal(Projector(vectors).positions("pca"), principal_components(vectors)[0])
    assert Projector(np.eye(4) / 2).share == pytest.approx(2 / 3)  # of three equal components


def random_directions(number, dim, seed=5):
    return directions(np.random.default_rng(seed).normal(size=(number, dim)))


@pytest.mark.parametrize("at_once", [projections.AT_ONCE, 1000, 1])
def test_the_nearest_directions_are_those_with_the_highest_cosines(at_once, monkeypatch):
    monkeypatch.setattr(projections, "AT_ONCE", at_once)
    vectors, others = random_directions(300, 8), random_directions(40, 8, seed=6)
    found = nearest_directions(vectors, others, 5)
    cosines = vectors @ others.T
    np.testing.assert_array_equal(found.ids, np.argsort(-cosines, axis=1)[:, :5])
    np.testing.assert_allclose(found.cosines, -np.sort(-cosines, axis=1)[:, :5], atol=1e-6)
    own = nearest_directions(vectors, vectors, 299, same=True).ids
    np.testing.assert_array_equal(np.sort(own, axis=1), [np.delete(np.arange(300), i) for i in range(300)])


@pytest.mark.parametrize("columns", [3, 64, 200, 2_000, 20_011])
@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize(
    "kinds", [2, 50, 10**6]
)  # of numbers: with few kinds, most numbers are equal to others
def test_the_highest_numbers_are_those_of_a_sort(columns, count, kinds):
    count = min(count, columns - 1)
    numbers = np.random.default_rng(columns).integers(0, kinds, (7, columns)).astype(np.float32)
    numbers[0] = 0
    numbers[1, :-1] = -np.inf
    found = highest(numbers, count)
    np.testing.assert_array_equal(found.cosines, -np.sort(-numbers, axis=1)[:, :count])
    np.testing.assert_array_equal(np.take_along_axis(numbers, found.ids, axis=1), found.cosines)
    assert all(len({*row}) == count for row in found.ids.tolist())


def test_affinities_are_symmetric_shares_with_the_perplexity():
    near = nearest_directions(vectors := random_directions(200, 6), vectors, 60, same=True)
    shares = affinities(near).toarray()
    np.testing.assert_allclose(shares, shares.T, rtol=1e-6)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    few = nearest_directions(vectors[:61], vectors[:61], 60, same=True)  # each has all others as neighbours
    squares = np.square(vectors[:61, None] - vectors[None, :61]).sum(axis=2)
    expected = np.zeros((61, 61))
    for row in range(61):
        others = np.delete(squares[row], row)
        low, high = 0.0, 100.0
        for _ in range(100):
            weights = np.exp(-others * (low + high) / 2)
            weights /= weights.sum()
            entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum()
            low, high = ((low + high) / 2, high) if entropy > np.log(20) else (low, (low + high) / 2)
        expected[row] = np.insert(weights, row, 0)
    np.testing.assert_allclose(affinities(few).toarray(), (expected + expected.T) / (2 * 61), atol=2e-6)


@pytest.mark.parametrize(("scale", "close"), [(0.1, 0.2), (1, 0.03), (30, 0.08)])
def test_the_repulsion_on_the_grid_is_that_of_all_pairs(scale, close):
    positions = (scale * np.random.default_rng(7).normal(size=(400, 2))).astype(np.float32)
    differences = positions[:, None].astype(float) - positions[None]
    near = 1 / (1 + np.square(differences).sum(axis=2))
    expected = (near[:, :, None] ** 2 * differences).sum(axis=1) / (near.sum() - len(positions))
    np.testing.assert_allclose(exact_repulsion(positions), expected, atol=1e-4 * np.abs(expected).max())
    found = Repulsion()(positions)
    assert np.linalg.norm(found - expected) <= close * np.linalg.norm(expected)


@pytest.mark.parametrize("projection", ["tsne", "umap"])
def test_words_stay_with_their_group_and_the_same_seed_gives_the_same_map(projection):
    if projection in projections.NEEDED:
        pytest.importorskip(projections.NEEDED[projection][0])
    vectors = groups().astype(np.float32)
    places = Projector(vectors, seed=1).positions(projection)
    assert places.shape == (36, 2)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(distances.argmin(axis=1) // 12, np.arange(36) // 12)
    with threadpool_limits(1, "blas"):
        np.testing.assert_array_equal(Projector(vectors, seed=1).positions(projection), places)


def test_words_after_the_mapped_ones_are_placed_with_their_group(monkeypatch):
    monkeypatch.setattr(projections, "MAPPED", 60)
    vectors = groups(per_group=30)[np.random.default_rng(8).permutation(90)]
    projector = Projector(vectors)
    places = projector.positions("tsne")
    assert places.shape == (90, 2)
    nearest = np.linalg.norm(places[60:, None] - places[None, :60], axis=2).argmin(axis=1)
    assert ((vectors[60:] * vectors[nearest]).sum(axis=1) > 0.8).all()  # cosines within a group
    assert projector.near.ids.shape == (60, 59)
    assert projector.kept(places) == 1.0  # 50 of 59


def test_the_share_of_kept_neighbours_is_that_of_all_pairs():
    vectors = random_directions(120, 10)
    projector = Projector(vectors)
    places = projector.positions("pca")
    cosines = vectors @ vectors.T
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(cosines, -2)
    np.fill_diagonal(distances, np.inf)
    shares = [
        len(set(np.argsort(-cosines[i])[:10]) & set(np.argsort(distances[i])[:30])) / 10 for i in range(120)
    ]
    assert projector.kept(places, on_map=30) == pytest.approx(np.mean(shares))


@pytest.mark.usefixtures("starts_processes")  # scikit-learn counts cores by lscpu
def test_tsne_keeps_as_many_neighbours_as_that_of_scikit_learn():
    manifold = pytest.importorskip("sklearn.manifold")
    generator = np.random.default_rng(9)
    centres = generator.normal(size=(40, 20))
    vectors = directions(centres[generator.integers(40, size=400)] + 0.7 * generator.normal(size=(400, 20)))
    projector = Projector(vectors)
    start = projector.positions("pca")
    with threadpool_limits(1):
        theirs = manifold.TSNE(init=1e-4 * start / start[:, 0].std(), perplexity=20, random_state=0)
        expected = projector.kept(np.asarray(theirs.fit_transform(vectors), np.float64), on_map=10)
    assert projector.kept(projector.positions("tsne"), on_map=10) > expected - 0.02
    assert expected > projector.kept(start, on_map=10) + 0.2


@pytest.mark.parametrize("projection", ["pca", "tsne", "umap"])
@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((9, 3)),
        np.ones((9, 3)),
        np.eye(6),
        np.eye(2)[[0] * 8 + [1]],
        np.eye(2)[[0] * 100 + [1] * 100],
    ],
    ids=["zeros", "equal", "six", "all_but_one_equal", "two_places"],
)
@pytest.mark.cases(every=3)
def test_odd_sets_of_vectors_have_finite_places(projection, vectors):
    if projection in projections.NEEDED:
        pytest.importorskip(projections.NEEDED[projection][0])
    places = Projector(directions(vectors)).positions(projection)
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()


def test_tsne_of_few_words_stays_on_its_grid():
    near = nearest_directions(vectors := random_directions(5, 3), vectors, 4, same=True)
    assert np.isfinite(tsne(near, principal_components(vectors)[0])).all()


@pytest.mark.parametrize(
    ("setting", "words", "chosen"),
    [
        ("auto", 199, "pca"),
        ("auto", 200, "tsne"),
        ("tsne", 4, "pca"),
        ("tsne", 5, "tsne"),
        ("pca", 10**6, "pca"),
    ],
)
def test_few_words_have_the_map_that_costs_nothing(setting, words, chosen):
    assert chosen_projection(setting, words) == chosen
    assert (map_seconds(words, 100, setting) == 0) == (chosen == "pca")


def test_a_projection_that_is_not_there_is_refused_with_what_to_do(monkeypatch):
    with pytest.raises(SettingError, match="projection=tsn: not an option, did you mean tsne"):
        require_projection("tsn")
    monkeypatch.setattr(projections, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"projection=umap: needs umap-learn.*pip install .*\[maps\]"):
        require_projection("umap")


def test_a_map_is_turned_towards_another_one():
    generator = np.random.default_rng(8)
    positions = generator.normal(size=(30, 2))
    turn = np.linalg.qr(generator.normal(size=(2, 2)))[0]
    order = generator.permutation(30)
    rows = [np.arange(25), order.argsort()[:25]]
    for mirror in ([1, 1], [1, -1]):
        other = 3 * (positions * mirror @ turn)[order] + [5, -2]
        found = turned(other, positions, rows)[order.argsort()]
        np.testing.assert_allclose(
            found - found.mean(axis=0), 3 * (positions - positions.mean(axis=0)), atol=1e-9
        )


def test_other_directions_are_projected_onto_the_plane_of_pca():
    vectors = groups()
    projector = Projector(vectors)
    positions = projector.positions("pca")
    np.testing.assert_allclose(projector.place(vectors[5:8], "pca", positions), positions[5:8], atol=1e-12)
    middle = vectors[[2, 9]].mean(axis=0, keepdims=True)
    np.testing.assert_allclose(
        projector.place(middle, "pca", positions), positions[[2, 9]].mean(axis=0)[None], atol=1e-12
    )


def test_other_directions_are_placed_among_the_most_similar_ones():
    vectors = random_directions(300, 30)
    projector = Projector(vectors)
    positions = np.random.default_rng(9).normal(size=(300, 2))
    placed = projector.place(vectors[:50], "tsne", positions)
    np.testing.assert_allclose(placed, positions[:50], atol=0.01)  # the next ones are far less similar
    others = random_directions(5, 30, seed=10)
    near = np.argsort(-others @ vectors.T, axis=1)[:, :3]
    for place, ids in zip(projector.place(others, "tsne", positions), near, strict=True):
        low, high = positions[ids].min(axis=0), positions[ids].max(axis=0)
        assert ((low <= place) & (place <= high)).all()


@pytest.mark.second_tier
def test_a_map_that_starts_from_another_one_resembles_it():
    generator = np.random.default_rng(11)
    vectors = directions(
        np.repeat(generator.normal(size=(20, 8)), 12, axis=0) + 0.3 * generator.normal(size=(240, 8))
    )
    others = directions(vectors + 0.02 * generator.normal(size=vectors.shape))[:, ::-1].copy()
    first = Projector(vectors).positions("tsne")
    projector = Projector(others)
    second = projector.positions("tsne", first)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.97
    assert projector.kept(second) > projector.kept(projector.positions("tsne")) - 0.03
    np.testing.assert_array_equal(
        projector.positions("tsne", np.zeros((240, 2))), projector.positions("tsne")
    )
