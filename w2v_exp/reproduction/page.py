"""The report as one HTML page that needs nothing else: pictures inlined, no scripts, nothing fetched."""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path
from string import Template

from markdown_it import MarkdownIt
from markdown_it.token import Token

from w2v_exp.reproduction.markdown import RESULTS, VERDICTS, slug

TEMPLATE = Path(__file__).parent / "page.html"
CLASSES = {
    RESULTS[True]: "good",
    RESULTS[False]: "bad",
    RESULTS[None]: "open",
    VERDICTS["holds"]: "good",
    VERDICTS["does not hold"]: "finding",
    VERDICTS["not reproduced"]: "bad",
}


def page(markdown: str, folder: Path) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    markdown : str
        The report. HTML in it is shown, not interpreted.
    folder : Path
        Where the SVG pictures are that it names.
    """
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(markdown)
    _add_anchors(tokens)
    _mark_results(tokens)
    _inline_pictures(tokens, folder)
    body = renderer.renderer.render(tokens, renderer.options, {})
    # A wide table scrolls by itself on a narrow screen.
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(body=body)


def _add_anchors(tokens: list[Token]) -> None:
    for heading, text in pairwise(tokens):
        if heading.type == "heading_open" and heading.tag == "h2":
            heading.attrSet("id", slug(text.content))


def _mark_results(tokens: list[Token]) -> None:
    for cell, text in pairwise(tokens):
        if cell.type == "td_open" and text.content in CLASSES:
            cell.attrSet("class", CLASSES[text.content])


def _inline_pictures(tokens: list[Token], folder: Path) -> None:
    for token in tokens:
        for child in token.children or []:
            if child.type == "image":
                data = base64.b64encode((folder / str(child.attrs["src"])).read_bytes()).decode("ascii")
                child.attrSet("src", f"data:image/svg+xml;base64,{data}")
