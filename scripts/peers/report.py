"""A match as tables: on the terminal, and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from string import Template

from article.report import table
from benchmarks.measure import Bar, bar_table, machine_description
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from peers.contenders import LINE_WORDS, NEGATIVE, SAMPLE
from peers.matches import Match
from peers.training import Trained
from peers.verdict import Figure
from w2v_exp.errors import shown
from w2v_exp.reporting.escape import markdown as escaped

TITLES = {"wordsim353": "WS-353", "simlex999": "SimLex-999", "analogies": "analogies"}
VECTOR_NAMES = {"input": "input", "sum": "input + output", "balanced": "balanced"}
UNKNOWN = "–"
PROSE = Path(__file__).parent / "report.md"


def title(name: str) -> str:
    """Return the title of an evaluation set."""
    return TITLES.get(name, shown(name.replace("_", " ")))


def sets_of(done: Sequence[Trained]) -> list[str]:
    """Return the evaluation sets of some trainings, without the sections of analogies."""
    names = dict.fromkeys(score.set for one in done for score in one.points[-1].scores)
    return [name for name in names if not name.endswith(("_semantic", "_syntactic"))]


def line(trained: Trained, match: Match) -> str:
    """Return a training in a line."""
    order = trained.order
    vectors = match.vectors if match.vectors in order.vectors and order.kind == "ours" else order.vectors[0]
    scores = ", ".join(
        f"{title(name)} {value:.3f}"
        for name in sets_of([trained])
        if (value := trained.score(name, vectors)) is not None
    )
    return (
        f"{order.match}, {order.contender}, seed {order.seed}: {order.epochs} epochs in {trained.seconds:.1f} s "
        f"({trained.cpu_seconds:.1f} s of processors), {trained.rate:,.0f} words a second, "
        f"{trained.resident / 1e6:.0f} MB{'; ' if scores else ''}{scores}"
    )


def written(figure: Figure | None, decimals: int) -> str:
    """Return a figure with its deviation."""
    if figure is None:
        return UNKNOWN
    deviation = "" if figure.deviation is None else f" ± {figure.deviation:.{decimals}f}"
    return f"{figure.mean:,.{decimals}f}{deviation}"


def rows(match: Match, done: Sequence[Trained]) -> tuple[list[str], list[list[str]]]:
    """Return a header, and a row for each contender, schedule and kind of vectors.

    Times, speed and memory are means and medians over the seeds; scores have their standard deviation.
    """
    names = sets_of(done)
    header = [
        "",
        "epochs",
        "vectors",
        "seeds",
        "seconds",
        "of processors",
        "counting",
        "words/s",
        "memory, MB",
    ]
    places = {one.name: place for place, one in enumerate(match.contenders)}
    ordered = sorted(done, key=lambda one: (places[one.order.contender], one.order.epochs))
    made = []
    for (contender, epochs), group in groupby(ordered, lambda one: (one.order.contender, one.order.epochs)):
        some = list(group)
        kinds = dict.fromkeys((score.vectors, score.words) for score in some[0].points[-1].scores)
        for vectors, words in kinds or {("", "own"): None}:
            scores = [
                written(Figure.of(one.score(name, vectors, words) for one in some), 3) for name in names
            ]
            made.append(
                [
                    contender if words == "own" else f"{contender}, same pairs",
                    str(epochs),
                    VECTOR_NAMES.get(vectors, vectors),
                    str(len(some)),
                    written(Figure.of(one.seconds for one in some), 1),
                    f"{statistics.median(one.cpu_seconds for one in some):,.1f}",
                    f"{statistics.median(one.counting_seconds for one in some):,.1f}",
                    f"{statistics.median(one.rate for one in some):,.0f}",
                    f"{statistics.median(one.resident for one in some) / 1e6:,.0f}",
                    *scores,
                ]
            )
    return [*header, *map(title, names)], made


def coverage(match: Match, done: Sequence[Trained]) -> list[str]:
    """Return a sentence for each contender: the pairs and questions that it knows."""
    sentences = []
    for contender in match.contenders:
        own = [one for one in done if one.order.contender == contender.name]
        for words in dict.fromkeys(score.words for one in own[:1] for score in one.points[-1].scores):
            known = {
                score.set: f"{score.known:,} of {score.total:,} of {title(score.set)}"
                for score in own[0].points[-1].scores
                if score.words == words and score.set in sets_of(own)
            }
            name = contender.name if words == "own" else f"{contender.name}, same pairs"
            sentences.append(f"{name}: {', '.join(known.values())}")
    return sentences


def show(match: Match, done: Sequence[Trained], verdict: Sequence[Bar], console: Console) -> None:
    """Print a match: its trainings, the pairs that are known, and the bars."""
    header, cells = rows(match, done)
    drawn = Table(box=box.SIMPLE_HEAD, title=Text(headed(match, done)), title_justify="left", pad_edge=False)
    for number, name in enumerate(header):
        drawn.add_column(Text(name), justify="right" if number else "left")
    for row in cells:
        drawn.add_row(*map(Text, row))
    console.print(drawn)
    for sentence in coverage(match, done):
        console.print(Text(f"known by {sentence}"))
    if verdict:
        console.print(bar_table(verdict))


def headed(match: Match, done: Sequence[Trained]) -> str:
    """Return the title of a match, with the length of its text."""
    return (
        f"{match.title[0].upper()}{match.title[1:]}: {done[0].words:,} words, {done[0].vocabulary:,} distinct"
    )


def markdown(
    matches: Sequence[Match], done: Sequence[Trained], verdicts: Sequence[Sequence[Bar]], origin: str
) -> str:
    """Return the report of all matches. Their pictures are ``<match>.png`` beside it."""
    sections = []
    for match, verdict in zip(matches, verdicts, strict=True):
        own = [one for one in done if one.order.match == match.name]
        parts = [f"## {headed(match, own)}"]
        if sets_of(own):
            parts.append(f"![Quality against time]({match.name}.png)")
        if verdict:
            bound = {True: "at most", False: "at least"}
            cells = [
                [
                    bar.what,
                    f"{bar.value:.3g} {bar.unit}".strip(),
                    "" if bar.promised is None else f"{bound[bar.at_most]} {bar.promised:g}",
                    "" if bar.promised is None else "kept" if bar.kept else "missed",
                ]
                for bar in verdict
            ]
            parts.append(table(["", "measured", "promised", ""], cells))
        parts += [table(*rows(match, own)), *(f"- Known by {each}." for each in coverage(match, own))]
        sections.append("\n\n".join(parts))
    missed = [f"{bar.what} {bar.value:.3g}" for verdict in verdicts for bar in verdict if not bar.kept]
    number = sum(bar.promised is not None for verdict in verdicts for bar in verdict)
    values = {
        "headline": f"{len(missed)} of {number} bars missed: {'; '.join(missed)}."
        if missed
        else f"All {number} bars are kept."
        if number
        else "No bar was set.",
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
    return Template(PROSE.read_text(encoding="utf-8")).substitute(values)
