"""Places in a plane: what is near stays near, the same input gives the same places."""

import numpy as np
import pytest

from w2v_exp.embeddings.similarity import directions
from w2v_exp.errors import SettingError
from w2v_exp.reporting import projections
from w2v_exp.reporting.projections import principal_components, project


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
    np.testing.assert_array_equal(project(vectors, "pca")[0], principal_components(vectors)[0])
    assert project(np.eye(4) / 2, "pca")[1] == pytest.approx(2 / 3)  # of three equal components


@pytest.mark.usefixtures("starts_processes")  # scikit-learn counts cores by lscpu
@pytest.mark.parametrize("projection", ["tsne", "umap"])
def test_words_stay_with_their_group_and_the_same_seed_gives_the_same_map(projection):
    pytest.importorskip(projections.NEEDED[projection][0])
    vectors = groups().astype(np.float32)
    places, share = project(vectors, projection, seed=1)
    assert share is None
    assert places.shape == (36, 2)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(distances.argmin(axis=1) // 12, np.arange(36) // 12)
    np.testing.assert_array_equal(project(vectors, projection, seed=1)[0], places)


@pytest.mark.parametrize(
    "projection",
    ["pca", *(pytest.param(name, marks=pytest.mark.second_tier) for name in ("tsne", "umap"))],
)
@pytest.mark.parametrize(
    "vectors",
    [
        np.ones((1, 3)),
        np.eye(2),
        np.eye(4),
        np.zeros((9, 3)),
        np.ones((9, 3)),
        np.eye(6),
        np.eye(2)[[0] * 8 + [1]],
    ],
    ids=["one", "two", "four", "zeros", "equal", "six", "all_but_one_equal"],
)
def test_odd_sets_of_vectors_have_finite_places(projection, vectors):
    if projection in projections.NEEDED:
        pytest.importorskip(projections.NEEDED[projection][0])
    places, _ = project(directions(vectors), projection)
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()


def test_a_projection_that_is_not_there_is_refused_with_what_to_do(monkeypatch):
    with pytest.raises(SettingError, match="projection=tsn: not an option, did you mean tsne"):
        project(np.eye(3), "tsn")
    monkeypatch.setattr(projections, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"projection=umap: needs umap-learn.*pip install .*\[maps\]"):
        project(np.eye(3), "umap")
