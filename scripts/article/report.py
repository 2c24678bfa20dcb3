"""Claims and points, and the report of them as Markdown and as one HTML page. Its prose is in ``prose``."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from string import Template

from markdown_it import MarkdownIt
from markdown_it.token import Token

from w2v_exp.reporting.pages import render_page

PROSE = Path(__file__).parent / "prose"
PAGE = Path(__file__).parent / "page"
RESULTS = {True: "✓ within", False: "✗ out of tolerance", None: "– not measured"}
VERDICTS = {"holds": "✓ holds", "does not hold": "✗ does not hold", "not reproduced": "‼ not reproduced"}
CLASSES = {
    RESULTS[True]: "good",
    RESULTS[False]: "bad",
    RESULTS[None]: "open",
    VERDICTS["holds"]: "good",
    VERDICTS["does not hold"]: "finding",
    VERDICTS["not reproduced"]: "bad",
}


@dataclass(frozen=True)
class Claim:
    """One figure, checked.

    Parameters
    ----------
    name : str
        What the figure is.
    expected : str
        The published figure, or the one that an earlier, independent rewrite of the article measured.
    obtained : str
        Ours.
    tolerance : str
        How far the two may be apart, or the range that ours must be in.
    reason : str
        Why this tolerance.
    holds : bool or None
        Whether ours is within the tolerance; None where it could not be measured on this machine.
    """

    name: str
    expected: str
    obtained: str
    tolerance: str
    reason: str
    holds: bool | None


@dataclass(frozen=True)
class Point:
    """One thing that the article shows or says, with all that was done to check it.

    Parameters
    ----------
    title : str
        The heading.
    statement : str
        What the article shows or says, in a sentence of ours.
    stands : bool
        Whether the statement stands, given that every claim holds.
    finding : str
        What the claims come to, in a sentence or two.
    claims : list of Claim
        The figures.
    body : str
        How it was done and what is to be seen, in Markdown; pictures are named ``pictures/<name>``.
    pictures : mapping of str to callable
        Functions that draw the pictures, given the path to write to, by file name.
    """

    title: str
    statement: str
    stands: bool
    finding: str
    claims: list[Claim]
    body: str
    pictures: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)

    @property
    def failed(self) -> list[Claim]:
        """The claims that do not hold."""
        return [claim for claim in self.claims if claim.holds is False]

    @property
    def verdict(self) -> str:
        """``holds`` or ``does not hold`` for the article's statement, ``not reproduced`` if a claim fails."""
        if self.failed:
            return "not reproduced"
        return "holds" if self.stands else "does not hold"


def spread(values: Iterable[float], digits: int = 4) -> str:
    """Return the least and the greatest of some values.

    >>> spread([2.0359, 2.0313])
    '2.0313 to 2.0359'
    >>> spread([47, 47], digits=0)
    '47'
    """
    values = list(values)
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def all_within(values: Iterable[float], low: float, high: float) -> bool:
    """Return whether every value is in a closed range (NaN is not)."""
    return all(low <= value <= high for value in values)


def prose(name: str, **values: object) -> str:
    """Return the text of ``prose/<name>.md`` with the values in their places."""
    return Template((PROSE / f"{name}.md").read_text(encoding="utf-8")).substitute(values).strip()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the cells are Markdown."""
    lines = []
    for line in [header, ["---"] * len(header), *rows]:
        cells = [cell.replace("|", "\\|") for cell in line]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def report(points: Sequence[Point], conditions: str) -> str:
    """Return the whole report.

    Parameters
    ----------
    points : sequence of Point
        The points checked, in order.
    conditions : str
        Seeds and versions behind the figures, in a sentence.
    """
    titles = [f"{number}. {point.title}" for number, point in enumerate(points, start=1)]
    summary = [
        [f"[{title}](#{slug(title)})", point.statement, VERDICTS[point.verdict], _found(point)]
        for title, point in zip(titles, points, strict=True)
    ]
    header = ["", "What the article shows or says", "Verdict", "What we found"]
    parts = [
        prose("report", conditions=conditions, headline=headline(points), summary=table(header, summary))
    ]
    for title, point in zip(titles, points, strict=True):
        parts += [f"## {title}", point.body, "### Every figure checked", _claims_table(point.claims)]
    return "\n\n".join(parts) + "\n"


def headline(points: Sequence[Point]) -> str:
    """Return the outcome in a sentence, with the names of the figures that are out of tolerance."""
    claims = [claim for point in points for claim in point.claims]
    failed = [
        f"{claim.name} (expected {claim.expected}, obtained {claim.obtained})"
        for claim in claims
        if claim.holds is False
    ]
    unmeasured = [claim.name for claim in claims if claim.holds is None]
    if failed:
        outcome = f"**{len(failed)} of {len(claims)} figures out of tolerance:** {'; '.join(failed)}."
    elif unmeasured:
        outcome = (
            f"**All {len(claims) - len(unmeasured)} figures that were measured are within their tolerance.**"
        )
    else:
        outcome = f"**All {len(claims)} figures are within their tolerance.**"
    return f"{outcome} Not measured: {'; '.join(unmeasured)}." if unmeasured else outcome


def _found(point: Point) -> str:
    if point.failed:  # the finding is what the claims come to when they hold
        return f"Out of tolerance: {'; '.join(claim.name for claim in point.failed)}."
    return point.finding


def slug(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it.

    >>> slug("6. “Only two places”")
    '6-only-two-places'
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _claims_table(claims: Sequence[Claim]) -> str:
    rows = [
        [
            claim.name,
            claim.expected,
            claim.obtained,
            f"{claim.tolerance}: {claim.reason}",
            RESULTS[claim.holds],
        ]
        for claim in claims
    ]
    return table(["Figure", "Published or expected", "Obtained", "Tolerance, and why", "Result"], rows)


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
    return render_page(PAGE, body=body)


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
