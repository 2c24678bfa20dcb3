"""The report as Markdown; the page is made from it too. Its prose is in the folder ``prose``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

from w2v_exp.reproduction.claims import Claim, Point

PROSE = Path(__file__).parent / "prose"
RESULTS = {True: "✓ within", False: "✗ out of tolerance", None: "– not measured"}
VERDICTS = {"holds": "✓ holds", "does not hold": "✗ does not hold", "not reproduced": "‼ not reproduced"}


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
        What was checked, in order.
    conditions : str
        With what the figures were obtained: seeds and versions, in a sentence.
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
