"""The page of slices: no word becomes markup; in Chromium it shows the words that it should."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from browser import Watch, chromium
from texts import MOVED, STEADY, WINDOW, moving_text, trained

from w2v_exp.reporting.slices_page import SlicesPage
from w2v_exp.slices.fit import SliceFit
from w2v_exp.slices.grouping import SliceRule

RULE = SliceRule(
    pattern=r"\d{4}", number=4, min_tokens=10, smoothing=20, permutations=100, words=[MOVED, STEADY]
)
HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\u202eevil", "a\x00b", "`${alert(1)}`",
    "w" * 300,
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    """Return embeddings of four slices."""
    text = moving_text()
    slices = RULE.divide(text.names, np.diff(text.documents))
    return SliceFit(text, slices, trained(), RULE, window=WINDOW, shrinking=False, seed=0).embeddings()


@pytest.fixture(scope="module")
def hostile(fitted):
    """Return the same with other words and labels."""
    words = [*HOSTILE, *fitted.words[len(HOSTILE) :]]
    return replace(fitted, words=tuple(words), slices=("<b>1</b>", "</script>", "\u202e3", "4"))


def test_the_page_holds_all_words_and_loads_nothing(fitted, hostile):
    """Its size is estimated before; the same embeddings give the same bytes."""
    for embeddings in (fitted, hostile):
        page = SlicesPage(embeddings, "<i>title</i>")
        html = page.html()
        assert html == page.html()
        assert page.size == pytest.approx(len(html.encode()), rel=0.3)
        (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
        assert json.loads(data)["words"] == list(embeddings.words)
        assert html.count("<script") == 2
        assert "<i>" not in html
        assert "<b>" not in html
        loaded = html.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(|innerHTML|eval\(|style=", loaded)


@pytest.mark.browser
def test_the_page_shows_the_changed_words_and_their_neighbours(fitted, tmp_path):
    """A search, an added line, and a click on a neighbour."""
    SlicesPage(fitted, "a run").write(tmp_path / "slices.html")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        watch = Watch(page)
        page.goto((tmp_path / "slices.html").as_uri())
        assert page.text_content("#chosen") == MOVED
        assert page.text_content("#changed tbody tr td") == MOVED
        assert "It changed" in page.text_content("#about")
        assert page.locator("#chart polyline").count() >= 1
        assert page.locator("#chart polygon").count() >= 1
        first = page.text_content("#neighbours tbody tr td")
        assert first == next(iter(fitted.neighbours(MOVED, 1).values()))[0][0]
        before = page.locator("#legend li").count()
        page.fill("#add", "b3")
        page.keyboard.press("Enter")
        assert page.locator("#legend li").count() in (before, before + 1)
        assert "b3" in page.text_content("#legend")
        page.fill("#search", STEADY)
        page.keyboard.press("Enter")
        assert page.text_content("#chosen") == STEADY
        assert "A change is not shown" in page.text_content("#about")
        assert page.locator("#path circle").count() == 4
        page.click("#neighbours tbody button >> nth=0")
        assert page.text_content("#chosen") != STEADY
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.set_viewport_size({"width": 360, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not watch.complaints
        assert not watch.left_the_machine


@pytest.mark.browser
def test_hostile_words_stay_text(hostile, tmp_path):
    """No word adds an element or a request to the page."""
    SlicesPage(hostile, "<script>alert(1)</script>").write(tmp_path / "slices.html")
    with chromium() as browser:
        page = browser.new_page()
        watch = Watch(page)
        page.on("dialog", lambda _: watch.complaints.append("dialog"))
        page.goto((tmp_path / "slices.html").as_uri())
        for word in HOSTILE[:5]:
            page.fill("#search", word[:3])
            page.keyboard.press("Enter")
        assert page.locator("img, b, i").count() == 0
        assert not watch.complaints
        assert not watch.left_the_machine
