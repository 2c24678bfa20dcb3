"""The explorer in a browser: what is clicked and searched shows what it should, from disk and in MLflow's UI."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import Watch, chromium, opened, wait_until
from mlflow_ui import served
from PIL import Image
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.similarity import directions
from w2v_exp.embeddings.word_changes import word_changes
from w2v_exp.reporting.explorer import (
    ExplorerPage,
    ExplorerRule,
    PageRun,
    find_clusters,
    quantised_positions,
)
from w2v_exp.reporting.projections import Projector

pytestmark = pytest.mark.browser

ROYALS = {"man": [9, 0, 0], "woman": [9, 9, 0], "king": [9, 0, 9], "queen": [9, 9, 9]}
HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "&lt;b&gt;",
    "\u202eevil", "a\x00b", "\u2028", "$x$", "`${alert(1)}`", "w" * 500, "'\"", "日本", "שלום", "a\nb", " ",
]  # fmt: skip
Show = Callable[..., Any]
INKED = """words => {
    const { canvas, context } = explorer.map;
    const image = context.getImageData(0, 0, canvas.width, canvas.height);
    const pixels = words.map((word) => explorer.map.pixel(explorer.vectors.ids.get(word)).map(Math.round));
    return pixels.map(([x, y]) => image.data[4 * (y * canvas.width + x) + 3]);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def embeddings() -> Embeddings:
    """Four royals among 600 others of about 25 groups."""
    generator = np.random.default_rng(0)
    others = np.repeat(4 * generator.normal(size=(25, 8)), 24, axis=0) + generator.normal(size=(600, 8))
    royals = np.pad(np.array(list(ROYALS.values()), float), [(0, 0), (0, 5)])
    words = [*ROYALS, *(f"word{number}" for number in range(600))]
    return Embeddings(words, np.arange(604, 0, -1) ** 2, np.concatenate([royals, others]))


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Show]:
    """Open embeddings from disk, and check at the end that the page was content and asked for nothing."""
    with ExitStack() as stack:
        watched: list[tuple[Path, Watch]] = []

        def open_page(embeddings: Embeddings, other: PageRun | None = None, **settings: Any) -> Any:
            path = tmp_path / f"page{len(watched)}.html"
            ExplorerPage(embeddings, ExplorerRule(), "a run", other=other).write(path)
            page, watch = stack.enter_context(opened(browser, path.as_uri(), **settings))
            watched.append((path, watch))
            drawn(page)
            return page

        yield open_page
        for path, watch in watched:
            assert watch.complaints == []
            requests = {
                url.partition("#")[0] for url in watch.requests if not url.startswith(("blob:", "about:"))
            }
            assert requests <= {path.as_uri(), "data:,"}


def drawn(frame: Any) -> None:
    """Wait until the map is drawn as it is asked for."""
    wait_until(frame, "window.explorer && !explorer.map.scheduled && explorer.map.drawn.length > 0")


def pixel(frame: Any, word: str) -> tuple[float, float]:
    x, y = frame.evaluate("word => explorer.map.pixel(explorer.vectors.ids.get(word))", word)
    return x, y


def listed(frame: Any, name: str) -> list[tuple[str, str]]:
    """Return the words of a list on the page, with the numbers beside them."""
    rows = frame.locator(f"#{name} button").all()
    return [(row.locator("bdi").inner_text(), row.locator(".cosine").inner_text()) for row in rows]


def expected(similar: list[tuple[str, float]]) -> list[tuple[str, str]]:
    return [(word, f"{cosine:.2f}".replace("-", "−")) for word, cosine in similar]


def search_and_check(frame: Any, embeddings: Embeddings) -> None:
    """Search for a word by its beginning, and look at its neighbours and at those of one of them."""
    frame.locator("#search").fill("QUE")
    assert frame.locator("#search-found li bdi").all_inner_texts() == ["queen"]
    frame.locator("#search").press("Enter")
    assert frame.locator("#chosen").inner_text() == "queen"
    assert listed(frame, "near") == expected(embeddings.most_similar("queen"))
    frame.locator("#near button").nth(1).click()
    second = embeddings.most_similar("queen")[1][0]
    assert frame.locator("#chosen").inner_text() == second
    assert listed(frame, "near") == expected(embeddings.most_similar(second))


def test_a_word_is_searched_and_has_the_neighbours_of_the_embeddings(
    show: Show, embeddings: Embeddings
) -> None:
    page = show(embeddings)
    search_and_check(page, embeddings)
    assert page.locator("#frequency").inner_text().endswith(" of 604")
    page.locator("#more").click()
    chosen = page.locator("#chosen").inner_text()
    assert listed(page, "near") == expected(embeddings.most_similar(chosen, topn=50))


def test_completion_goes_by_frequency_and_by_the_keyboard(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings)
    field = page.locator("#search")
    field.fill("word1")
    options = page.locator("#search-found li bdi").all_inner_texts()
    assert options == ["word1", "word10", "word11", "word12", "word13", "word14", "word15", "word16"]
    field.press("ArrowDown")
    field.press("ArrowDown")
    assert page.locator("#search-found li[aria-selected=true] bdi").inner_text() == "word11"
    assert field.get_attribute("aria-activedescendant") == page.locator("#search-found li").nth(
        2
    ).get_attribute("id")
    field.press("Enter")
    assert page.locator("#chosen").inner_text() == "word11"
    assert page.locator("#search-found").is_hidden()
    field.fill("nothing of this name")
    assert page.locator("#search-found li").all_inner_texts() == ["no such word"]
    field.press("Escape")
    assert page.locator("#search-found").is_hidden()
    field.fill("oman")
    page.locator("#search-found li").first.click()
    assert page.locator("#chosen").inner_text() == "woman"


def test_a_click_on_the_map_chooses_a_word_and_a_drag_does_not(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings)
    page.mouse.click(*pixel(page, "queen"))
    assert page.locator("#chosen").inner_text() == "queen"
    drawn(page)
    labels = page.evaluate("explorer.map.drawn.map(label => explorer.vectors.words[label.id])")
    assert labels[0] == "queen"
    x, y = pixel(page, "queen")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 70, y - 40, steps=5)
    page.mouse.up()
    assert pixel(page, "queen") == pytest.approx((x + 70, y - 40), abs=4)
    assert page.locator("#chosen").inner_text() == "queen"
    drawn(page)
    assert all(alpha > 0 for alpha in page.evaluate(INKED, ["queen", "king", "word7"]))


def test_zooming_keeps_what_is_under_the_pointer_and_shows_more_labels_of_it(
    show: Show, embeddings: Embeddings
) -> None:
    page = show(embeddings)
    labelled = "() => explorer.map.drawn.length"
    assert page.evaluate(labelled) < 604
    x, y = pixel(page, "word7")
    scale = page.evaluate("explorer.map.view.scale")
    pointer = np.floor([x, y])
    page.mouse.move(*pointer.tolist())
    for _ in range(8):
        page.mouse.wheel(0, -200)
    wait_until(page, f"explorer.map.view.scale > 20 * {scale}")
    drawn(page)
    zoomed = page.evaluate("explorer.map.view.scale") / scale
    assert pixel(page, "word7") == pytest.approx(pointer + (np.array([x, y]) - pointer) * zoomed, abs=0.1)
    pixels = page.evaluate("explorer.vectors.words.map((_, id) => explorer.map.pixel(id))")
    width, height = page.evaluate("[explorer.map.width, explorer.map.height]")
    inside = sum(0 < x < width and 0 < y < height for x, y in pixels)
    assert page.evaluate(labelled) >= 0.7 * inside > 0
    page.get_by_title("Show the whole map").click()
    assert page.evaluate("explorer.map.view.scale") == pytest.approx(scale)
    page.get_by_title("Zoom in").click()
    page.locator("#map").press("+")
    page.locator("#map").press("ArrowLeft")
    assert page.evaluate("explorer.map.view.scale") == pytest.approx(scale * 1.6 * 1.5)


def test_the_whole_map_ends_a_movement_to_a_word(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings)
    scale = page.evaluate("explorer.map.view.scale")
    page.evaluate("""() => {
        explorer.map.show(0, 0, 20);
        explorer.choose(explorer.vectors.ids.get("queen")); // in the distance
        requestAnimationFrame(() => requestAnimationFrame(() => explorer.map.showWhole()));
    }""")
    wait_until(page, "!explorer.map.moved")
    page.wait_for_timeout(400)  # longer than a movement
    assert page.evaluate("[explorer.map.view.scale, explorer.map.moved]") == [pytest.approx(scale), False]


def test_two_fingers_zoom(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings, has_touch=True)
    scale = page.evaluate("explorer.map.view.scale")
    client = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 50), ("touchMove", 75), ("touchMove", 100), ("touchEnd", None)):
        points = (
            []
            if apart is None
            else [{"x": 400 - apart, "y": 400, "id": 0}, {"x": 400 + apart, "y": 400, "id": 1}]
        )
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert page.evaluate("explorer.map.view.scale") == pytest.approx(2 * scale, rel=0.02)
    assert page.locator("#word").is_hidden()  # a pinch is no click


@pytest.mark.parametrize("field", ["one", "other", "third"])
@pytest.mark.parametrize("width", [1280, 400])
def test_suggestions_leave_the_question_to_be_seen_and_clicked(
    show: Show, embeddings: Embeddings, field: str, width: int
) -> None:
    page = show(embeddings, viewport={"width": width, "height": 900})
    page.locator(f"#{field}").click()
    page.keyboard.type("word")
    suggestions = page.locator(f"#{field} + ul")
    assert suggestions.locator("li").count() == 8
    suggestions.locator("li").nth(1).click()
    page.locator(f"#{field}").fill("word1")
    assert suggestions.is_visible()
    button = page.locator("#answer")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).id", [x, y]) == "answer"
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.up()
    assert suggestions.is_hidden()
    assert page.locator("#answers button").count() == 10


def test_an_analogy_is_answered_as_in_python(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings)
    page.get_by_role("button", name="which word?").click()  # the words that stand there in grey
    assert listed(page, "answers") == expected(embeddings.most_similar(["king", "woman"], ["man"]))
    assert listed(page, "answers")[0][0] == "queen"
    page.locator("#answers button").first.click()  # what is chosen is asked for next
    page.get_by_role("button", name="which word?").click()
    assert listed(page, "answers") == expected(embeddings.most_similar(["king", "queen"], ["man"]))
    for field, word in (("one", "word3"), ("other", "WORD4"), ("third", "word50")):
        page.locator(f"#{field}").fill(word)
    page.locator("#third").press("Escape")
    page.locator("#third").press("Enter")
    assert listed(page, "answers") == expected(embeddings.most_similar(["word4", "word50"], ["word3"]))
    page.locator("#other").fill("kingg")
    page.get_by_role("button", name="which word?").click()
    assert page.locator("#problem").inner_text() == "“kingg” is not in the vocabulary of this page."
    assert listed(page, "answers") == []


def test_hostile_words_show_themselves_as_text(show: Show) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(HOSTILE), 4))
    embeddings = Embeddings(HOSTILE, np.arange(len(HOSTILE), 0, -1), vectors)
    page = show(embeddings)
    assert page.evaluate("explorer.vectors.words") == HOSTILE
    page.locator("#search").fill("<script>")
    assert page.locator("#search-found li bdi").all_inner_texts() == [HOSTILE[2], HOSTILE[0]]
    for number, word in enumerate(HOSTILE):
        page.evaluate("id => explorer.choose(id)", number)
        visible = re.sub(r"[\x00\n\u2028\u202e]", "\ufffd", word)
        assert page.locator("#chosen").text_content() == visible
    drawn(page)
    assert page.locator("img, aside script").count() == 0
    assert page.locator("script").count() == 2


def positions_on_map(frame: Any) -> list[list[float]]:
    found: list[list[float]] = frame.evaluate("explorer.vectors.words.map((_, id) => explorer.map.pixel(id))")
    return found


def fragment_is(page: Any, **state: str) -> None:
    """Wait until the address has a state."""
    has = " && ".join(f"state.get({key!r}) === {value!r}" for key, value in state.items())
    wait_until(page, f"(state => {has})(new URLSearchParams(location.hash.slice(1)))")


def test_the_maps_are_those_of_the_projections_and_the_clusters_those_of_python(
    show: Show, embeddings: Embeddings
) -> None:
    page = show(embeddings)
    assert page.locator("#maps option").all_inner_texts() == ["t-SNE", "PCA"]
    units = directions(embeddings.input)
    projector = Projector(units)
    for key in ("tsne", "pca"):
        page.locator("#maps").select_option(key)
        wait_until(page, "explorer.map.positions === explorer.map.target")
        expected = quantised_positions(projector.positions(key))[0] / 65_535
        found = page.evaluate("Array.from(explorer.map.positions)")
        np.testing.assert_allclose(np.reshape(found, (-1, 2)), expected, atol=1e-6)
    assert "% of the variance" in page.locator("#note").inner_text()
    clusters = find_clusters(units, embeddings.counts, 0)
    np.testing.assert_array_equal(page.evaluate("Array.from(explorer.map.groups)"), clusters.of_words)
    names = [", ".join(embeddings.words[i] for i in row) for row in clusters.names]
    assert page.locator("#groups bdi").all_inner_texts() == names
    drawn(page)
    named = page.evaluate("explorer.map.named.map(label => label.group)")
    assert 1 <= len(set(named)) == len(named) <= len(names)


def test_no_labels_overlap(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings)
    labels = "[...explorer.map.drawn, ...explorer.map.named]"
    boxes = page.evaluate(f"{labels}.map(({{left, top, right, bottom}}) => [left, top, right, bottom])")
    assert len(boxes) > 20
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other_left, other_top, other_right, other_bottom in boxes[:number]:
            assert min(right, other_right) <= max(left, other_left) or (
                min(bottom, other_bottom) - max(top, other_top)
                < 4  # less than a cell, which holds no letters
            )


def test_a_link_restores_word_map_colour_and_view(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#search").fill("queen")
    page.locator("#search").press("Enter")
    page.locator("#maps").select_option("pca")
    page.locator("#colour").select_option("frequency")
    page.locator("#groups button").nth(1).click()
    page.get_by_title("Zoom in").click()
    page.locator("#map").press("ArrowLeft")
    fragment_is(page, word="queen", map="pca", colour="frequency", group="1", zoom="1.60")
    page.locator("#link").click()
    wait_until(page, "document.getElementById('done').textContent === 'Link copied.'")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == page.url
    assert link.endswith(page.locator("#link").get_attribute("href"))
    wait_until(page, "explorer.map.positions === explorer.map.target")
    before = positions_on_map(page)
    page.goto("about:blank")
    page.goto(link)
    drawn(page)
    assert page.locator("#chosen").inner_text() == "queen"
    assert page.locator("#maps").input_value() == "pca"
    assert page.locator("#colour").input_value() == "frequency"
    assert page.locator("#groups button[aria-pressed=true]").count() == 1
    wait_until(page, "explorer.map.positions === explorer.map.target")
    np.testing.assert_allclose(positions_on_map(page), before, atol=3)  # the address has four digits


@pytest.mark.parametrize(
    "fragment",
    ["#word=nobody&map=umap&group=99&x=9&y=-9&zoom=1e9", "#x=a&y=&zoom=-1&group=-1&colour=%", "#%E0%A4%A"],
)
def test_an_address_with_nonsense_shows_the_page(show: Show, embeddings: Embeddings, fragment: str) -> None:
    page = show(embeddings)
    page.evaluate("fragment => { location.hash = fragment; }", fragment)
    page.evaluate("explorer.choose(explorer.vectors.ids.get('king'))")
    fragment_is(page, map="tsne", colour="clusters", word="king")
    assert np.isfinite(positions_on_map(page)).all()


def test_pictures_show_the_view_and_hostile_words_as_text(show: Show, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(HOSTILE), 4))
    page = show(Embeddings(HOSTILE, np.arange(len(HOSTILE), 0, -1), vectors))
    page.evaluate("explorer.choose(0)")
    for name in ("png", "svg"):
        with page.expect_download() as begun:
            page.locator(f"#{name}").click()
        assert re.fullmatch(rf"map-pca-[\w-]+\.{name}", begun.value.suggested_filename)
        begun.value.save_as(tmp_path / f"map.{name}")
    width, height = page.evaluate("[explorer.map.width, explorer.map.height]")
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (2 * round(width), 2 * round(height))
        assert len(picture.convert("RGB").getcolors(100_000)) > 20
    root = ElementTree.parse(tmp_path / "map.svg").getroot()
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "rect", "path", "text"}
    texts = [element.text for element in root.iter() if element.tag.endswith("}text")]
    assert HOSTILE[0] in texts
    assert "a run · PCA · w2v_exp" in texts
    assert texts[:-1] == page.evaluate("explorer.map.drawn.map(label => explorer.map.labels[label.id])")


def test_a_cluster_is_emphasised_by_its_button(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings)
    button = page.locator("#groups button").nth(2)
    button.click()
    drawn(page)
    assert button.get_attribute("aria-pressed") == "true"
    labelled = page.evaluate("explorer.map.drawn.map(({id}) => explorer.map.groups[id])")
    assert set(labelled) == {2}
    button.press("Enter")
    drawn(page)
    assert page.locator("#groups button[aria-pressed=true]").count() == 0
    page.locator("#colour").select_option("none")
    assert page.locator("#legend").is_hidden()


def test_small_vocabularies_have_pages_too(show: Show) -> None:
    page = show(Embeddings(["alone"], None, np.ones((1, 2))))
    page.mouse.click(*pixel(page, "alone"))
    assert page.locator("#near").inner_text() == "There is no other word."
    assert page.locator("#frequency").inner_text() == "word 1 of 1"
    assert page.locator("#analogy").is_hidden()


def test_a_narrow_screen_has_the_panel_below_the_map(show: Show, embeddings: Embeddings) -> None:
    page = show(embeddings)
    page.set_viewport_size({"width": 420, "height": 800})
    boxes = [page.locator(name).bounding_box() for name in ("#map", "aside")]
    assert boxes[0]["width"] == boxes[1]["width"] == 420
    assert boxes[1]["y"] >= boxes[0]["height"] > 300
    assert page.evaluate("document.documentElement.scrollWidth") == 420


@pytest.fixture(scope="module")
def later(embeddings: Embeddings) -> PageRun:
    """The same words in another space, without ``word9`` and with ``newcomer``; king and word1 have changed places."""
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(9, 9)))[0][:8]
    noise = np.random.default_rng(2).normal(size=embeddings.input.shape)
    vectors = embeddings.input + 0.3 * noise
    king, one, nine = (embeddings.ids[word] for word in ("king", "word1", "word9"))
    vectors[[king, one]] = vectors[[one, king]]
    words = [*embeddings.words]
    words[nine] = "newcomer"
    order = np.random.default_rng(3).permutation(len(words))
    return PageRun(Embeddings([words[i] for i in order], None, (vectors @ turn)[order]), "later", "sum")


def columns(page: Any, name: str = "near") -> list[list[tuple[str, str]]]:
    return [listed(page, name), listed(page, f"{name}1")]


def of_map(page: Any, number: int, value: str) -> Any:
    """Return a value of a map, whose words are ids there."""
    script = f"(() => {{ const map = explorer.runs[{number}].map; return {value}; }})()"
    return page.evaluate(script)


def words_of(page: Any, number: int, ids: str) -> list[str]:
    named = "[...explorer.ids].find(([, known]) => known === id)[0]"
    found: list[str] = of_map(page, number, f"Array.from({ids}, (id) => {named})")
    return found


def test_a_word_chosen_on_one_map_is_chosen_on_both(
    show: Show, embeddings: Embeddings, later: PageRun
) -> None:
    page = show(embeddings, later)
    x, y = pixel(page, "queen")
    page.locator("#map").click(position={"x": x, "y": y})
    assert page.locator("#chosen").inner_text() == "queen"
    both = [each.most_similar("queen") for each in (embeddings, later.embeddings)]
    assert columns(page) == [expected(similar) for similar in both]
    near = [[word for word, _ in similar] for similar in both]
    common = [word for word in near[0] if word in near[1]]
    assert 0 < len(common) < 10
    for number, own in enumerate(near):
        assert words_of(page, number, "[map.chosen]") == ["queen"]
        assert words_of(page, number, "map.near") == own
        assert sorted(words_of(page, number, "map.common")) == sorted(common)
    marked = [page.locator(f"#{name} .common bdi").all_inner_texts() for name in ("near", "near1")]
    assert marked == [common, [word for word in near[1] if word in common]]
    changes = word_changes(embeddings, later.embeddings)
    row = changes.words.index("queen")
    assert page.locator("#change").inner_text() == (
        f"cosine after alignment {changes.cosines[row]:.2f}, {len(common)} of 10 nearest words shared"
    )
    # On the second map, by a click as well.
    wait_until(page, "!explorer.runs[1].map.scheduled")
    box = page.locator("#map1").bounding_box()
    label = of_map(page, 1, "map.drawn.at(-1)")
    (word,) = words_of(page, 1, "[map.drawn.at(-1).id]")
    middle = [
        (label["left"] + label["right"]) / 2 + box["x"],
        (label["top"] + label["bottom"]) / 2 + box["y"],
    ]
    page.mouse.move(*middle)
    assert words_of(page, 0, "[map.hovered]") == [word] != ["queen"]
    page.mouse.click(*middle)
    assert page.locator("#chosen").inner_text() == word
    fourth = later.embeddings.most_similar(word)[3][0]
    page.locator("#near1 button").nth(3).hover()
    assert words_of(page, 0, "[map.hovered]") == [fourth]
    page.locator("#near1 button").nth(3).click()
    assert page.locator("#chosen").inner_text() == fourth


def test_a_word_of_one_run_only_is_shown_as_that(show: Show, embeddings: Embeddings, later: PageRun) -> None:
    page = show(embeddings, later)
    for word, own, lacking in (("word9", 0, 1), ("newcomer", 1, 0)):
        page.locator("#search").fill(word)
        page.locator("#search").press("Enter")
        names = ["frequency", "frequency1"]
        assert page.locator(f"#{names[lacking]}").inner_text() == "not in this run"
        assert page.locator(f"#{names[own]}").inner_text().endswith(" of 604")
        assert page.locator("#change").inner_text() == "only in one of both runs"
        similar = (embeddings, later.embeddings)[own].most_similar(word)
        assert columns(page)[own] == expected(similar)
        assert columns(page)[lacking] == []
        assert of_map(page, lacking, "map.chosen") is None
    page.locator("#view").select_option("one")  # its position among the words of the first run
    assert words_of(page, 0, "[map.chosen]") == ["newcomer"]
    assert np.isfinite(of_map(page, 0, "map.pixel(map.chosen)")).all()
    page.locator("#third").fill("word9")
    page.locator("#third").press("Escape")
    page.locator("#answer").click()
    assert len(columns(page, "answers")[0]) == 10
    assert page.locator("#answers1").inner_text() == "not all of these words are in this run"


def test_one_map_has_arrows_from_one_run_to_the_other(
    show: Show, embeddings: Embeddings, later: PageRun
) -> None:
    page = show(embeddings, later)
    page.locator("#view").select_option("one")
    assert page.locator("#map1").is_hidden()
    assert page.locator("#sheet .name").inner_text() == "a run → later"
    assert (
        "position of a word in a run to that of its vector from later" in page.locator("#note").inner_text()
    )
    first = page.locator("#moved-words bdi").all_inner_texts()
    assert set(first[:2]) == {"king", "word1"}
    assert words_of(page, 0, "map.other.moved") == first
    wait_until(page, "explorer.map.positions === explorer.map.target")
    page.locator("#moved-words button", has_text="king").click()
    drawn(page)
    assert words_of(page, 0, "map.other.near") == [word for word, _ in later.embeddings.most_similar("king")]
    # It now is where word1 was, and the other way round.
    ends, starts = (
        np.array(
            page.evaluate(
                f"['king', 'word1'].flatMap((word) => Array.from({positions}.subarray("
                "2 * explorer.ids.get(word), 2 * explorer.ids.get(word) + 2)))"
            )
        ).reshape(2, 2)
        for positions in ("explorer.map.other.positions", "explorer.map.positions")
    )
    assert (
        np.linalg.norm(ends - starts[::-1], axis=1).max() < 0.1 < np.linalg.norm(ends - starts, axis=1).min()
    )
    ink = page.evaluate("""(() => {
        const { canvas, context, other } = explorer.map;
        const [x, y] = explorer.map.pixel(explorer.ids.get("king"));
        const [u, v] = explorer.map.pixel(explorer.ids.get("word1"));
        const image = context.getImageData(0, 0, canvas.width, canvas.height);
        const at = (share) => [x + share * (u - x), y + share * (v - y)].map(Math.round);
        return [0.3, 0.5, 0.7].map(at).map(([left, top]) => image.data[4 * (top * canvas.width + left) + 3]);
    })()""")
    assert min(ink) > 100  # the arrow
    page.locator("#view").select_option("two")
    assert page.locator("#map1").is_visible()
    assert of_map(page, 0, "map.other") is None
    assert words_of(page, 1, "[map.chosen]") == ["king"]


def test_words_that_moved_are_sorted_and_searched(show: Show, embeddings: Embeddings, later: PageRun) -> None:
    page = show(embeddings, later)
    changes = word_changes(embeddings, later.embeddings)
    names = page.locator("#moved-words bdi")
    order = np.argsort(changes.cosines, kind="stable")
    assert names.all_inner_texts() == [changes.words[i] for i in order[:20]]
    number = page.locator("#moved-words .cosine").first.inner_text()
    assert number == f"{changes.cosines[order[0]]:.2f} · {changes.overlap[order[0]] * 10:.0f} of 10".replace(
        "-", "−"
    )
    sortings = {
        "least": [changes.words[i] for i in order[::-1]],
        "fewest": [changes.words[i] for i in np.argsort(changes.overlap, kind="stable")],
        "frequency": changes.words,
        "alphabet": sorted(changes.words),
    }
    for name, words in sortings.items():
        page.locator("#moved-order").select_option(name)
        assert names.all_inner_texts() == words[:20]
    page.locator("#moved-more").click()
    assert names.count() == 200
    page.locator("#moved-search").fill("ING")
    assert names.all_inner_texts() == ["king"]
    page.locator("#moved-search").fill("no such")
    assert page.locator("#moved-words").inner_text() == "no such word"
    assert page.locator("#moved-among option").all_inner_texts() == ["all 603"]
    page.locator("#moved-search").fill("word5")
    page.locator("#moved-words button").first.press("Enter")
    assert page.locator("#chosen").inner_text() == "word5"


def test_both_maps_have_the_colours_and_the_change_has_some_of_its_own(
    show: Show, embeddings: Embeddings, later: PageRun
) -> None:
    page = show(embeddings, later)
    units = directions(embeddings.input)
    clusters = find_clusters(units, embeddings.counts, 0)
    of_first, of_second = (of_map(page, number, "map.groups") for number in (0, 1))
    assert of_first[:604] == clusters.of_words.tolist()
    assert of_first[604] == 255
    agree = np.mean(np.array(of_first[:604]) == of_second[:604])
    assert agree > 0.9
    page.locator("#groups button").nth(1).click()
    assert [of_map(page, number, "map.highlighted") for number in (0, 1)] == [1, 1]
    page.locator("#colour").select_option("change")
    assert page.locator("#legend-title").inner_text() == "Cosine after alignment"
    assert page.locator("#groups bdi").count() == 6
    groups = of_map(page, 1, "map.groups")
    assert (groups[embeddings.ids["king"]], groups[604]) == (0, 5)
    assert (
        sorted(np.bincount(groups))[-1] - sorted(np.bincount(groups))[1] < 10
    )  # classes of about equal size


def test_a_link_restores_both_maps(show: Show, embeddings: Embeddings, later: PageRun) -> None:
    page = show(embeddings, later)
    page.evaluate("explorer.choose(explorer.ids.get('queen'))")
    page.locator("#map1").press("+")
    fragment_is(page, view="two", word="queen", zoom1="1.50")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    drawn(page)
    assert of_map(page, 1, "map.zoomed") == pytest.approx(1.5, abs=0.01)
    assert of_map(page, 0, "map.moved") is False
    page.get_by_title("Zoom in").click()
    assert [of_map(page, number, "map.zoomed") for number in (0, 1)] == pytest.approx([1.6, 2.4], abs=0.02)
    page.locator("#view").select_option("one")
    fragment_is(page, view="one", word="queen")
    assert "zoom1" not in page.evaluate("explorer.fragment()")


def test_hostile_words_of_two_runs_show_themselves_as_text(show: Show, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(2, len(HOSTILE), 4))
    other = PageRun(Embeddings(HOSTILE[::-1], None, vectors[1]), HOSTILE[0])
    page = show(Embeddings(HOSTILE, np.arange(len(HOSTILE), 0, -1), vectors[0]), other)
    assert page.locator("#sheet1 .name").inner_text() == HOSTILE[0]
    for view in ("two", "one"):
        page.locator("#view").select_option(view)
        for number, word in enumerate(HOSTILE):
            page.evaluate("id => explorer.choose(id)", number)
            visible = re.sub(r"[\x00\n\u2028\u202e]", "\ufffd", word)
            assert page.locator("#chosen").text_content() == visible
        drawn(page)
        for name in ("png", "svg"):
            with page.expect_download() as begun:
                page.locator(f"#{name}").click()
            begun.value.save_as(tmp_path / f"{view}.{name}")
    page.locator("#moved-search").fill("<script>")
    assert page.locator("#moved-words bdi").count() == 2
    assert page.locator("img, aside script").count() == 0
    assert page.locator("script").count() == 2
    with Image.open(tmp_path / "two.png") as two, Image.open(tmp_path / "one.png") as one:
        assert abs(two.width - one.width) <= 24  # the gap between both maps
    for view, parts in (("two", 2), ("one", 1)):
        root = ElementTree.parse(tmp_path / f"{view}.svg").getroot()
        assert {element.tag.rpartition("}")[2] for element in root.iter()} == {"svg", "rect", "path", "text"}
        assert sum(element.tag.endswith("}svg") for element in root.iter()) == parts + 1


@pytest.mark.parametrize(("width", "beside"), [(1280, True), (800, True), (420, False)])
def test_two_maps_fit_into_every_window(
    show: Show, embeddings: Embeddings, later: PageRun, width: int, beside: bool
) -> None:
    page = show(embeddings, later, viewport={"width": width, "height": 900})
    first, second, panel = (page.locator(name).bounding_box() for name in ("#map", "#map1", "aside"))
    assert first["width"] == pytest.approx(second["width"], abs=2)
    assert first["height"] == pytest.approx(second["height"], abs=2)
    assert (second["x"] > first["x"]) == beside
    assert (second["y"] > first["y"]) == (not beside)
    assert (panel["y"] == 0) == (width > 900)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.usefixtures("store")
def test_the_page_works_in_the_artifact_viewer_of_mlflow(
    command: Command, tmp_path: Path, browser: Any
) -> None:
    from mlflow import MlflowClient

    text = "king queen man woman prince princess boy girl </script><script>alert(1)</script> " * 4
    settings = [
        "corpus=text",
        f"corpus.text='{text}'",
        "tokenizer=whitespace",
        "dim=4",
        "tracking.plots=false",
    ]
    done = command(*settings, "epochs=20")
    assert done.returncode == 0, done.stderr
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    (run,) = client.search_runs(["1"])
    folder = client.download_artifacts(run.info.run_id, "", tmp_path)
    embeddings = Embeddings.load(Path(folder) / "embeddings.npz")

    page_of_run = (
        f"experiments/1/runs/{run.info.run_id}/artifacts/explorer.html?workflowType=machine_learning"
    )
    with served(tmp_path / "mlflow.db") as ui, opened(browser, f"{ui}/#/{page_of_run}") as (page, watch):
        page.set_viewport_size({"width": 1500, "height": 900})
        # MLflow's panel opens after a while, and makes the frame narrower: not between a position and a click.
        page.get_by_text("MLflow Assistant").wait_for(timeout=60_000)
        inner = page.wait_for_selector("iframe.mlflow-html-iframe", timeout=60_000).content_frame()
        inner.wait_for_selector("#search")
        drawn(inner)
        search_and_check(inner, embeddings)
        inner.locator("#whole").click()
        drawn(inner)
        label = inner.evaluate("explorer.map.drawn.find(({ id }) => id === explorer.ids.get('king'))")
        x, y = (label["left"] + label["right"]) / 2, (label["top"] + label["bottom"]) / 2
        inner.locator("#map").click(position={"x": x, "y": y})
        assert inner.locator("#chosen").inner_text() == "king"
        inner.locator("#search").fill("script")
        assert inner.locator("#search-found li bdi").all_inner_texts() == [
            "</script><script>alert(1)</script>"
        ]
        assert inner.locator("#png").is_hidden()  # its frame allows no downloads
        assert inner.locator("#in-frame").is_visible()
        # MLflow's own page asks its server for some things that are not there; this one asks for nothing.
        assert [said for said in watch.complaints if "404 (Not Found)" not in said] == []
        assert watch.left_the_machine == []
