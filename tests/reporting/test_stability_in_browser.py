"""The section on stability of the page of a real sweep, looked at in Chromium."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, opened
from processes import run_command

pytestmark = pytest.mark.browser

HOSTILE = ["</td><script>alert(1)</script>", "<img/src=x/onerror=alert(1)>", "\u202eevil", "W" * 300]
COMMAND = ["experiment=file_softmax", "corpus.path=text.txt", "tokenizer=whitespace", "dim=8", "epochs=2"]
COMMAND += [
    "window=2,4",
    "repeats=3",
    "tracking=none",
    "explorer=none",
    "probes=[]",
    "hydra.sweep.dir=many",
    "-m",
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("stable")
    choose = random.Random(0)
    words = HOSTILE + [f"w{i}" for i in range(116)]
    text = "\n".join(" ".join(choose.choices(words[choose.randrange(12) :: 12], k=8)) for _ in range(1500))
    (folder / "text.txt").write_text(text, encoding="utf-8")
    done = run_command(*COMMAND, folder=folder)
    assert done.returncode == 0, done.stderr
    return Path(folder, "many", "summary.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light")])
def test_tables_are_readable_and_stay_within_the_page(
    width: int, scheme: str, browser: Any, address: str
) -> None:
    settings = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with opened(browser, address, **settings) as (page, watch):
        section = page.locator("#stability")
        assert section.locator("h3").all_inner_texts() == [
            "Common neighbours by frequency",
            "Common neighbours between configurations",
            "Words that occur at least 20 times",
        ]
        names = section.locator("table").first.locator("tbody td:first-child").all_inner_texts()
        assert sorted(names) == ["by chance", "window=2", "window=4"]
        cells = section.locator("table.heat td[class^=h]")
        shares = [float(text) for text in cells.all_inner_texts()]
        assert len(shares) == 4
        assert shares[1] == shares[2]
        assert page.locator("script[src], img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert watch.complaints == []
        assert watch.left_the_machine == []
