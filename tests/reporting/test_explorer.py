"""The explorer's page: its words, vectors and places come back from it, and no word becomes markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from threadpoolctl import threadpool_limits

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions
from w2v_exp.embeddings.word_changes import word_changes
from w2v_exp.errors import SettingError, UserError
from w2v_exp.reporting.explorer import (
    NO_WORD,
    ExplorerPage,
    ExplorerRule,
    PageRun,
    cluster_number,
    find_clusters,
    nearest_clusters,
    quantised,
    quantised_positions,
)
from w2v_exp.reporting.pages import json_in_html

HOSTILE = [
    "<script>alert(1)</script>", "</script>", "<!--", "-->", "]]>", "&lt;b&gt;", '"', "'", "\\", "\\u003c", "`${1}`",
    "$title", "{{ 1 }}", "\u2028", "\u2029",
    "\x00", "\x1b[31m", "\u202eevil", "😀", "日本", "שלום", "e\u0301", "w" * 3000,
    "<img src=x onerror=alert(1)>", " ", "\n", "",
]  # fmt: skip


def some_embeddings(words, dim, *, counts=True, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(len(words), dim))
    return Embeddings(list(words), np.arange(len(words), 0, -1) if counts else None, vectors)


class Elements(HTMLParser):
    """The elements of a page, and the text of each script and style."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts = [], [], []
        self.open = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        self.texts.append("")
        self.open = True

    def handle_endtag(self, tag):
        self.open = False

    def handle_data(self, data):
        if self.open:
            self.texts[-1] += data

    def of(self, tag):
        return [
            (attributes, text)
            for name, attributes, text in zip(self.tags, self.attributes, self.texts, strict=True)
            if name == tag
        ]


def data_of(page):
    return json.loads(Elements(page).of("script")[0][1])


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def vectors_of(run):
    return unpacked(run["vectors"], "<i2" if run["bits"] == 16 else "i1").reshape(-1, run["dim"])


@pytest.mark.parametrize(("words", "dim", "bits", "close"), [(400, 50, 16, 3e-5), (5_100, 100, 8, 0.005)])
def test_the_page_has_the_neighbours_of_the_embeddings(words, dim, bits, close):
    embeddings = some_embeddings([f"word{number}" for number in range(words)], dim)
    data = data_of(ExplorerPage(embeddings, ExplorerRule(projection="pca"), "a run").html())
    (run,) = data["runs"]
    assert run["bits"] == bits
    assert data["words"] == embeddings.words
    assert run["counts"] == embeddings.counts.tolist()
    rows = directions(vectors_of(run).astype(np.float64))
    for asked in range(0, words, words // 20):
        cosines = rows @ rows[asked]
        np.testing.assert_allclose(
            np.delete(cosines, asked), np.delete(embeddings.most_similar(embeddings.words[asked], topn=None), asked),
            atol=close,
        )  # fmt: skip
        cosines[asked] = -2
        found = [embeddings.words[i] for i in np.argsort(-cosines, kind="stable")[:10]]
        expected = embeddings.most_similar(embeddings.words[asked])
        if bits == 16:
            assert found == [word for word, _ in expected]
        worst = expected[-1][1]
        assert all(embeddings.similarity(embeddings.words[asked], word) > worst - 2 * close for word in found)


@given(
    numpy_strategies.arrays(
        np.float64, st.tuples(st.integers(2, 6), st.integers(1, 40)), elements=st.floats(-1e3, 1e3)
    )
)
def test_cosines_of_quantised_vectors_are_as_close_as_promised(vectors):
    units = directions(vectors)
    for bits, close in ((8, vectors.shape[1] ** 0.5 / 127), (16, vectors.shape[1] ** 0.5 / 32_767)):
        found = directions(quantised(units, bits).astype(np.float64))
        assert np.abs(found @ found.T - units @ units.T).max() <= close


def test_the_size_is_known_before_the_page_is_made():
    names = [f"w{i}" for i in range(200)]
    for embeddings in (
        some_embeddings(HOSTILE, 7),
        some_embeddings(["a"], 1, counts=False),
        some_embeddings(names, 3),
    ):
        page = ExplorerPage(embeddings, ExplorerRule(), "<title>")
        assert abs(page.size - len(page.html().encode())) <= 20


def test_words_come_back_whatever_they_are_and_none_becomes_markup():
    hostile = ExplorerPage(
        some_embeddings(HOSTILE, 3), ExplorerRule(), "</title><script>alert(1)</script>"
    ).html()
    harmless = ExplorerPage(
        some_embeddings([f"w{i}" for i in range(len(HOSTILE))], 3), ExplorerRule(), "a"
    ).html()
    assert data_of(hostile)["words"] == HOSTILE
    assert Elements(hostile).tags == Elements(harmless).tags
    assert Elements(hostile).of("h1")[0]
    assert "alert(1)</script>" not in hostile


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_json_in_html_means_the_same_and_has_no_markup(texts):
    written = json_in_html(texts)
    assert json.loads(written) == texts
    assert not set("<>&\u2028\u2029") & set(written)


def test_a_browser_may_run_the_pages_own_script_and_fetch_nothing():
    page = ExplorerPage(some_embeddings(["a", "b"], 2), ExplorerRule(), "a run").html()
    elements = Elements(page)
    ((_, style),) = elements.of("style")
    _, (_, script) = elements.of("script")
    (policy,) = [attributes["content"] for attributes, _ in elements.of("meta") if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none';")
    for name, text in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}';" in policy
    page = page.replace("http://www.w3.org/2000/svg", "")  # a name, which is not fetched
    assert not re.search(r"https?://|@import|url\(|innerHTML|eval\(|style=|\son\w+=", page)


def test_only_the_most_frequent_words_are_taken_if_fewer_are_wanted():
    embeddings = Embeddings(["rare", "often", "new", "common"], np.array([1, 9, 0, 5]), np.eye(4))
    page = ExplorerPage(embeddings, ExplorerRule(words=2), "a run", "sum").html()
    data = data_of(page)
    assert (data["words"], data["runs"][0]["counts"]) == (["often", "common"], [9, 5])
    assert "the first 2 of 4 words · 4 dimensions · sum vectors" in page
    uncounted = Embeddings(embeddings.words, None, embeddings.input)
    data = data_of(ExplorerPage(uncounted, ExplorerRule(words=2), "a run").html())
    assert (data["words"], data["runs"][0]["counts"]) == (["rare", "often"], None)


def test_both_coordinates_of_a_position_have_one_scale():
    positions = np.array([[-2.0, 0.0], [2.0, 1.0], [0.0, 0.5]])
    quantised = [[0, 0], [65_535, 16_384], [32_768, 8_192]]
    np.testing.assert_array_equal(quantised_positions(positions), [quantised])
    parts = quantised_positions(positions[:1], positions[1:])
    np.testing.assert_array_equal(np.concatenate(parts), quantised)
    np.testing.assert_array_equal(quantised_positions(np.full((2, 2), 3.0)), np.zeros((1, 2, 2)))


def test_the_first_map_is_the_chosen_one_and_the_same_page_comes_again():
    embeddings = some_embeddings([f"w{i}" for i in range(12)], 5)
    page = ExplorerPage(embeddings, ExplorerRule(projection="tsne"), "a").html()
    maps = data_of(page)["maps"]
    assert [one["name"] for one in maps] == ["t-SNE", "PCA"]
    assert maps[0]["positions"] != maps[1]["positions"]
    assert "the 10 most similar words of a word, 100 % are among its 50 nearest" in maps[1]["note"]
    with threadpool_limits(2, "blas"):
        assert ExplorerPage(embeddings, ExplorerRule(projection="tsne"), "a").html() == page
    (only,) = data_of(ExplorerPage(embeddings, ExplorerRule(), "a").html())["maps"]
    assert (only["key"], only["positions"]) == ("pca", maps[1]["positions"])


def grouped(number, per_group, dim=12, seed=0):
    """Return directions around others, the group of each, and counts."""
    generator = np.random.default_rng(seed)
    of_words = generator.permutation(np.repeat(np.arange(number), per_group))
    centres = np.linalg.qr(generator.normal(size=(dim, dim)))[0][:number]
    units = directions(centres[of_words] + 0.1 * generator.normal(size=(len(of_words), dim)))
    return units, of_words, np.sort(generator.integers(1, 1000, len(of_words)))[::-1]


@pytest.mark.parametrize("counted", [True, False])
def test_clusters_are_groups_of_similar_words_and_named_by_their_typical_words(counted):
    units, groups, counts = grouped(5, 40)
    units[-40:] = units[-40:] + 2 * units[:40]  # between two groups: typical of none
    found = find_clusters(directions(units), counts if counted else None, seed=0)
    assert len(found.names) == 5
    sizes = np.bincount(found.of_words)
    assert (np.diff(sizes) <= 0).all()
    for cluster, names in enumerate(found.names):
        assert (found.of_words[names] == cluster).all()
        assert (names < 160).all()
    clear = found.of_words[:160]
    assert len({(a, b) for a, b in zip(clear, groups[:160], strict=True)}) == 5
    again = find_clusters(directions(units), counts if counted else None, seed=0)
    np.testing.assert_array_equal(again.of_words, found.of_words)


def test_words_of_another_run_have_the_cluster_of_the_nearest_centre():
    units, _, counts = grouped(5, 40)
    clusters = find_clusters(units, counts, seed=0)
    np.testing.assert_array_equal(nearest_clusters(units, clusters), clusters.of_words)
    np.testing.assert_array_equal(nearest_clusters(-clusters.centres, clusters) == np.arange(5), [False] * 5)
    assert nearest_clusters(units[:3], find_clusters(units[:60], None, 0)).tolist() == [0, 0, 0]


def test_a_page_of_two_runs_has_the_words_of_both_and_how_far_they_moved():
    generator = np.random.default_rng(0)
    counts = np.array([1, 9, 0, 5])
    first = Embeddings(["rare", "often", "new", "common"], counts, generator.normal(size=(4, 4)))
    second = Embeddings(["only", "common", "rare", "often"], None, generator.normal(size=(4, 3)))
    page = ExplorerPage(first, ExplorerRule(), "A", other=PageRun(second, "B", "sum"))
    text = page.html()
    assert page.html() == text
    data = data_of(text)
    words, (one, two) = data["words"], data["runs"]
    assert words == ["often", "common", "rare", "new", "only"]
    assert (one["name"], one["members"], one["counts"], one["dim"]) == ("A", "", [9, 5, 1, 0], 4)
    assert (two["name"], two["counts"], two["dim"]) == ("B", None, 3)
    members = unpacked(two["members"], "<u4")
    assert [words[i] for i in members] == second.words
    np.testing.assert_allclose(directions(vectors_of(two).astype(float)), directions(second.input), atol=1e-4)
    changes = word_changes(first, second)
    assert [words[i] for i in unpacked(data["changes"]["ids"], "<u4")] == changes.words
    np.testing.assert_allclose(unpacked(data["changes"]["cosines"], "<f4"), changes.cosines, atol=1e-6)
    assert data["changes"]["of"] == 1
    assert unpacked(data["changes"]["shared"], "u1").tolist() == changes.overlap.tolist()
    assert "3 words in both · mean cosine after alignment " in text
    assert "4 words · 3 dimensions · sum vectors" in text
    (only_map,) = data["maps"]
    assert [len(unpacked(packed, "<u2")) for packed in [*only_map["positions"], only_map["other"]]] == [
        8,
        8,
        8,
    ]


def test_a_rotated_copy_has_the_same_map_and_clusters():
    units, _, counts = grouped(5, 50)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(14, 14)))[0][:12]
    words = [f"w{number}" for number in range(250)]
    first = Embeddings(words, counts, units)
    page = ExplorerPage(
        first, ExplorerRule(), "A", other=PageRun(Embeddings(words, counts, units @ turn), "B")
    )
    data = data_of(page.html())
    assert data["runs"][0]["clusters"] == data["runs"][1]["clusters"]
    for one, close in zip(data["maps"], (0.1, 1e-4), strict=True):
        own, copy, placed = (
            unpacked(packed, "<u2").reshape(-1, 2) / 65_535 for packed in [*one["positions"], one["other"]]
        )
        # On t-SNE a word is placed among three words, mostly at the first of them.
        assert np.linalg.norm(own - placed, axis=1).mean() < close
        assert np.corrcoef(own.ravel(), copy.ravel())[0, 1] > 0.97
    assert "100 % and 100 % of the variance" not in data["maps"][1]["note"]
    assert re.search(r"\d+ % and \d+ % of the variance", data["maps"][1]["note"])


def test_names_of_two_runs_do_not_become_markup():
    name = "</title><script>alert(1)</script>"
    hostile, harmless = (
        ExplorerPage(
            some_embeddings(HOSTILE, 3),
            ExplorerRule(),
            title,
            other=PageRun(some_embeddings(HOSTILE, 3, seed=1), title),
        ).html()
        for title in (name, "a")
    )
    assert Elements(hostile).tags == Elements(harmless).tags
    assert "alert(1)</script>" not in hostile


def test_few_words_have_no_clusters_and_equal_words_one():
    assert len(find_clusters(np.eye(79), None, 0).names) == 0
    found = find_clusters(np.tile([1.0, 0.0], (90, 1)), None, 0)
    assert set(found.of_words) == {0}
    assert found.names[1].tolist() == [NO_WORD] * 3
    assert np.isfinite(find_clusters(np.zeros((90, 2)), np.zeros(90, int), 0).of_words).all()


@given(st.integers(2, 3000))
def test_the_number_of_clusters_leaves_each_some_words(words):
    number = cluster_number(words)
    assert number == 0 or (2 <= number <= 14 and words / number >= 40)


def test_the_cost_of_two_maps_is_a_line():
    embeddings = some_embeddings([f"w{number}" for number in range(2_000)], 4)
    page = ExplorerPage(embeddings, ExplorerRule(), "A", other=PageRun(embeddings, "B"))
    assert page.map_cost == "The t-SNE maps of 2,000 and 2,000 words take about 3 s of one core."
    page = ExplorerPage(embeddings, ExplorerRule(words=300), "A", other=PageRun(embeddings, "B"))
    assert page.map_cost == ""


def test_the_cost_of_a_map_is_a_line_unless_it_is_small_or_there_is_no_page():
    assert ExplorerRule().map_cost(12_000, 100) == (
        "explorer.html: the t-SNE map of 12,000 words takes about 12 s of one core."
    )
    assert ExplorerRule().map_cost(500, 100) == ""
    assert ExplorerRule(projection="pca").map_cost(12_000, 100) == ""
    assert ExplorerRule(words=500).map_cost(12_000, 100) == ""
    assert ExplorerRule(limit_mb=1).map_cost(12_000, 100) == ""


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"limit_mb": 0}, "limit_mb=0: must be a number above 0"),
        ({"words": 0}, "words=0: must be a whole number, 1 or more"),
        ({"projection": "PCA"}, "projection=PCA: not an option. Options: auto, pca"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, problem):
    with pytest.raises(SettingError, match=problem):
        ExplorerRule(**settings)


def test_a_page_that_is_too_large_is_refused_with_its_size():
    assert ExplorerRule(limit_mb=1).refusal(1_000_000) == ""
    assert ExplorerRule(limit_mb=None).refusal(10**12) == ""
    refusal = ExplorerRule(limit_mb=1).refusal(1_200_000)
    assert refusal.startswith("explorer.limit_mb=1: explorer.html would have 1.2 MB and is not written.")


def test_a_page_that_cannot_be_written_is_named(tmp_path):
    page = ExplorerPage(some_embeddings(["a", "b"], 2), ExplorerRule(), "a run")
    with pytest.raises(UserError, match=r"nowhere/page\.html cannot be written: No such file"):
        page.write(tmp_path / "nowhere/page.html")
    assert page.write(tmp_path / "page.html") == (tmp_path / "page.html").stat().st_size
