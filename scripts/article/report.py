"""Claims, points, and their report as Markdown and as one HTML page; its prose is in ``prose``."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from w2v_exp.reporting.pages import render_page, render_text

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
    """A checked number.

    Parameters
    ----------
    name : str
        Name of the number.
    expected : str
        The published number, or the measurement of an earlier, independent rewrite of the article.
    obtained : str
        The number of this project.
    tolerance : str
        Largest allowed difference, or allowed range.
    reason : str
        Reason for the tolerance.
    holds : bool or None
        Whether the number is within the tolerance; None if it could not be measured on this machine.
    """

    name: str
    expected: str
    obtained: str
    tolerance: str
    reason: str
    holds: bool | None


@dataclass(frozen=True)
class Point:
    """A statement of the article, with the claims that check it.

    Parameters
    ----------
    title : str
        The heading.
    statement : str
        The statement of the article in one sentence.
    stands : bool
        Whether the statement stands, given that every claim holds.
    finding : str
        The result of the claims in one or two sentences.
    claims : list of Claim
        The checked numbers.
    body : str
        Method and results in Markdown; pictures are named ``pictures/<name>``.
    pictures : mapping of str to callable
        Functions that draw the pictures to a path, by file name.
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
    """Return the smallest and the largest of some values.

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
    """Return the text of ``prose/<name>.md`` with its variables replaced."""
    return render_text(PROSE / f"{name}.md", **values).strip()


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
        Seeds and versions, in one sentence.
    """
    titles = [f"{number}. {point.title}" for number, point in enumerate(points, start=1)]
    summary = [
        [f"[{title}](#{slug(title)})", point.statement, VERDICTS[point.verdict], _found(point)]
        for title, point in zip(titles, points, strict=True)
    ]
    header = ["", "Statement of the article", "Verdict", "Finding"]
    parts = [
        prose("report", conditions=conditions, headline=headline(points), summary=table(header, summary))
    ]
    for title, point in zip(titles, points, strict=True):
        parts += [f"## {title}", point.body, "### Checked numbers", _claims_table(point.claims)]
    return "\n\n".join(parts) + "\n"


def headline(points: Sequence[Point]) -> str:
    """Return the outcome in one sentence, with the names of the claims out of tolerance."""
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
    if point.failed:  # the finding assumes that all claims hold
        return f"Out of tolerance: {'; '.join(claim.name for claim in point.failed)}."
    return point.finding


def slug(title: str) -> str:
    """Return the anchor of a heading, as on GitHub.

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
    return table(["Number", "Published or expected", "Obtained", "Tolerance, and why", "Result"], rows)


def page(markdown: str, folder: Path) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    markdown : str
        The report; HTML in it is escaped.
    folder : Path
        The folder of its SVG pictures.
    """
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(markdown)
    _add_anchors(tokens)
    _mark_results(tokens)
    _inline_pictures(tokens, folder)
    body = renderer.renderer.render(tokens, renderer.options, {})
    # On a narrow screen, a wide table scrolls alone.
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
