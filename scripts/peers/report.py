"""The report of matches, as Markdown: a table, bars and a picture of each."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from article.report import table
from benchmarks.measure import Bar, bar_cells, machine_description

from peers.contenders import LINE_WORDS, NEGATIVE, SAMPLE
from peers.matches import Match
from peers.training import Trained
from peers.verdict import Figure
from w2v_exp.errors import shown
from w2v_exp.reporting.escape import markdown as escaped
from w2v_exp.reporting.pages import render_text

TITLES = {"wordsim353": "WS-353", "simlex999": "SimLex-999", "analogies": "analogies"}
HEADER = ["", "epochs", "seeds", "seconds", "processor seconds", "words/s", "memory, MB"]
PROSE = Path(__file__).parent / "report.md"


def title(name: str) -> str:
    """Return the title of an evaluation set."""
    return TITLES.get(name, shown(name.replace("_", " ")))


def line(trained: Trained) -> str:
    """Return one line about a training."""
    order = trained.order
    scores = "".join(
        f", {title(score.set)} {score.value:.3f}"
        for score in trained.points[-1].scores
        if score.value is not None
    )
    return (
        f"{order.match}, {order.contender}, seed {order.seed}: {order.epochs} epochs in {trained.seconds:.1f} s "
        f"({trained.cpu_seconds:.1f} s of processors), {trained.rate:,.0f} words/s, "
        f"{trained.resident / 1e6:.0f} MB{scores}"
    )


def written(figure: Figure | None, decimals: int) -> str:
    """Return a figure with its deviation as text."""
    if figure is None:
        return "–"
    deviation = "" if figure.deviation is None else f" ± {figure.deviation:.{decimals}f}"
    return f"{figure.mean:,.{decimals}f}{deviation}"


def rows(match: Match, done: Sequence[Trained]) -> tuple[list[str], list[list[str]]]:
    """Return a header, and a row for each contender and schedule: medians over the seeds, and mean scores."""
    names = [score.set for score in done[0].points[-1].scores]
    places = [*match.schedules]
    ordered = sorted(done, key=lambda one: (places.index(one.order.contender), one.order.epochs))
    made = []
    for (contender, epochs), group in groupby(ordered, lambda one: (one.order.contender, one.order.epochs)):
        some = list(group)
        made.append(
            [
                contender,
                str(epochs),
                str(len(some)),
                written(Figure.of(one.seconds for one in some), 1),
                f"{statistics.median(one.cpu_seconds for one in some):,.1f}",
                f"{statistics.median(one.rate for one in some):,.0f}",
                f"{statistics.median(one.resident for one in some) / 1e6:,.0f}",
                *(written(Figure.of(one.score(name) for one in some), 3) for name in names),
            ]
        )
    return [*HEADER, *map(title, names)], made


def headed(match: Match, done: Sequence[Trained]) -> str:
    """Return the title of a match, with the length of its text."""
    return (
        f"{match.title[0].upper()}{match.title[1:]}: {done[0].words:,} words, {done[0].vocabulary:,} distinct"
    )


def headline(verdicts: Sequence[Sequence[Bar]]) -> str:
    """Return one sentence about the promises of all matches."""
    every = [bar for verdict in verdicts for bar in verdict]
    missed = [f"{bar.what} {bar.value:.3g}" for bar in every if not bar.kept]
    number = sum(bar.promised is not None for bar in every)
    if missed:
        return f"{len(missed)} of {number} bars missed: {'; '.join(missed)}."
    return f"All {number} bars are kept." if number else "No bar was set."


def markdown(
    matches: Sequence[Match], done: Sequence[Trained], verdicts: Sequence[Sequence[Bar]], origin: str
) -> str:
    """Return the report of all matches. Their pictures are ``<match>.png`` beside it."""
    sections = []
    for match, verdict in zip(matches, verdicts, strict=True):
        own = [one for one in done if one.order.match == match.name]
        parts = [f"## {headed(match, own)}"]
        if scores := own[0].points[-1].scores:
            parts.append(f"![Quality against time]({match.name}.png)")
        if verdict:
            parts.append(table(["", "measured", "promised", "goal"], [bar_cells(bar)[:4] for bar in verdict]))
        known = (f"{score.known:,} of {score.total:,} of {title(score.set)}" for score in scores)
        parts += [table(*rows(match, own)), f"Known pairs and questions: {', '.join(known)}."]
        sections.append("\n\n".join(parts))
    values = {
        "headline": headline(verdicts),
        "sections": "\n\n".join(sections),
        "origin": escaped(origin, longest=200),
        "digest": done[0].digest,
        "seeds": ", ".join(map(str, sorted({one.order.seed for one in done}))),
        "cores": ", ".join(f"{match.name} {match.cores}" for match in matches),
        "line": f"{LINE_WORDS:,}",
        "negative": NEGATIVE,
        "sample": SAMPLE,
        "commits": ", ".join(sorted({one.made["commit"][:9] for one in done})),
        "dates": ", ".join(sorted({one.made["date"][:10] for one in done})),
        "machine": ", ".join(f"{key} {escaped(str(value))}" for key, value in machine_description().items()),
    }
    return render_text(PROSE, **values)
