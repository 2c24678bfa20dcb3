"""What is said of the results: in the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from string import Template

from article.report import table
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from claim.comparison import BASELINE, GENSIM, GENSIM_FULL, OURS
from claim.results import Figure, Results, Training
from claim.verdict import TIME, Bar
from claim.witness import JUDGED
from w2v_exp.reporting.escape import markdown as escaped
from w2v_exp.reporting.escape import shown

TITLES = {"wordsim353": "WS-353", "simlex999": "SimLex-999", "analogies": "Google analogies"}
VECTORS = {"input": "input", "sum": "input + output", "balanced": "balanced"}
GENSIM_VECTORS = "input"  # what everybody takes from gensim: `model.wv`
UNKNOWN = "–"
PROSE = Path(__file__).parent / "report.md"


def contender(results: Results, name: str, words: str = "own") -> str:
    """Return what a contender is called, with the number of its words."""
    sizes = results.conditions["text"]["vocabulary"]
    if name == GENSIM_FULL:
        own = f"gensim, all {sizes[GENSIM_FULL]:,} words"
        return own if words == "own" else f"{own}, same pairs"
    return f"{name}, {sizes[GENSIM]:,} words" if name == GENSIM and _full_is_there(results) else name


def judged_vectors(name: str, vectors: str) -> str:
    """Return which vectors of a contender stand in front: of gensim the usual ones, of the others the chosen ones."""
    return GENSIM_VECTORS if name in (GENSIM, GENSIM_FULL) else vectors


def compared_words(name: str) -> str:
    """Return over which words a contender's scores can be compared with the others': see `Score`."""
    return "shared" if name == GENSIM_FULL else "own"


def _full_is_there(results: Results) -> bool:
    return GENSIM_FULL in results.conditions["text"]["vocabulary"]


def title(name: str) -> str:
    """Return what an evaluation set is called."""
    return TITLES.get(name, shown(name.replace("_", " ")))


def written(results: Results, name: str, figure: Figure | None) -> str:
    """Return a score with its deviation: a correlation, or the share of right answers in per cent.

    Parameters
    ----------
    results : Results
        Which know what kind of set it is.
    name : str
        The set.
    figure : Figure or None
        What was scored on it.
    """
    return score_text(figure, percent=results.conditions["sets"][name] == "analogies")


def score_text(figure: Figure | None, *, percent: bool) -> str:
    """Return a score with its deviation, as it is or in per cent."""
    if figure is None:
        return UNKNOWN
    if percent:
        deviation = "" if figure.deviation is None else f" ± {100 * figure.deviation:.1f}"
        return f"{100 * figure.mean:.1f}{deviation} %"
    deviation = "" if figure.deviation is None else f" ± {figure.deviation:.3f}"
    return f"{figure.mean:.3f}{deviation}"


def seconds(figure: Figure | None) -> str:
    """Return a time with its deviation."""
    if figure is None:
        return UNKNOWN
    deviation = "" if figure.deviation is None else f" ± {figure.deviation:.1f}"
    return f"{figure.mean:.1f}{deviation} s"


def line(results: Results, training: Training, vectors: str) -> str:
    """Return a training that has just been done, on a line."""
    judged = judged_vectors(training.contender, vectors)
    scores = [
        f"{title(name)} {written(results, name, Figure.of([training.end.value(name, judged)]))}"
        for name in results.conditions["sets"]
    ]
    epochs = f"{training.epochs} epoch{'s' if training.epochs != 1 else ''}"
    what = f"seed {training.seed}: {contender(results, training.contender)}, {epochs}"
    return f"{what}: {training.end.seconds:.1f} s, {', '.join(scores)}"


def headline(results: Results, verdict: Sequence[Bar], vectors: str) -> str:
    """Return the outcome in a sentence or two."""
    missed = [bar for bar in verdict if not bar.kept]
    if not verdict:
        outcome = "No bar was set."
    elif missed:
        outcome = (
            f"{len(missed)} of {len(verdict)} bars missed: {'; '.join(_bar(results, bar) for bar in missed)}."
        )
    else:
        outcome = f"All {len(verdict)} bars are kept."
    ours, theirs = (results.schedules(name)[-1] for name in (OURS, GENSIM))
    return (
        f"{outcome} The exact softmax ({VECTORS[vectors]} vectors, {ours} epochs, "
        f"{seconds(results.seconds(OURS, ours))}): {_scores(results, OURS, ours, vectors)}. "
        f"gensim's skip-gram with the same words ({theirs} epochs, {seconds(results.seconds(GENSIM, theirs))}): "
        + "; ".join(f"{VECTORS[kind]} {_scores(results, GENSIM, theirs, kind)}" for kind in JUDGED)
        + "."
    )


def _scores(results: Results, name: str, epochs: int, vectors: str) -> str:
    return ", ".join(
        f"{title(one)} {written(results, one, results.score(name, epochs, one, vectors))}"
        for one in results.conditions["sets"]
    )


def _bar(results: Results, bar: Bar) -> str:
    what = "time" if bar.what == TIME else title(bar.what)
    return f"{what} {_obtained(results, bar)} ({_promised(results, bar)})"


def _obtained(results: Results, bar: Bar) -> str:
    return seconds(bar.obtained) if bar.what == TIME else written(results, bar.what, bar.obtained)


def _promised(results: Results, bar: Bar) -> str:
    if bar.what == TIME:
        return f"at most gensim's {bar.bound:.1f} s"
    return f"at least {written(results, bar.what, Figure(bar.bound, None))}"


def score_rows(results: Results, longest_only: bool) -> list[list[str]]:
    """Return a row for each contender, schedule and kind of vectors: name, epochs, time, vectors, scores."""
    rows = []
    for name in results.contenders:
        schedules = results.schedules(name)
        kinds = [("own", vectors) for vectors in JUDGED]
        if name == GENSIM_FULL:
            kinds += [("shared", vectors) for vectors in JUDGED]
        for (words, vectors), epochs in product(kinds, schedules[-1:] if longest_only else schedules):
            scores = [
                written(results, one, results.score(name, epochs, one, vectors, words))
                for one in results.conditions["sets"]
            ]
            time = seconds(results.seconds(name, epochs))
            rows.append([contender(results, name, words), str(epochs), time, VECTORS[vectors], *scores])
    return rows


def bar_rows(results: Results, verdict: Sequence[Bar]) -> list[list[str]]:
    """Return a row for each bar: what, promised, obtained, gensim by kind of vectors, kept or missed."""
    return [
        [
            "time" if bar.what == TIME else title(bar.what),
            _promised(results, bar),
            _obtained(results, bar),
            *(
                seconds(figure) if bar.what == TIME else written(results, bar.what, figure)
                for figure in bar.gensim.values()
            ),
            "kept" if bar.kept else "missed",
        ]
        for bar in verdict
    ]


def coverage_rows(results: Results) -> list[list[str]]:
    """Return a row for each contender: how many pairs and questions of each set it knows."""
    rows = []
    for name in results.contenders:
        last = results.of(name, results.schedules(name)[-1])[-1].end
        for words in dict.fromkeys(score.words for score in last.scores):
            known = {
                score.set: f"{score.known:,} of {score.total:,}"
                for score in last.scores
                if (score.vectors, score.words) == (JUDGED[0], words)
            }
            rows.append(
                [contender(results, name, words), *(known[one] for one in results.conditions["sets"])]
            )
    return rows


def score_header(results: Results) -> list[str]:
    """Return the header of `score_rows`."""
    return ["", "epochs", "time", "vectors", *map(title, results.conditions["sets"])]


BAR_HEADER = ["", "promised", "ours", *(f"gensim, {kind}" for kind in VECTORS.values()), ""]


def show(results: Results, verdict: Sequence[Bar], vectors: str, console: Console) -> None:
    """Print the longest schedules, the coverage and the verdict."""
    known = "pairs and questions known"
    for heading, header, rows in (
        ("after the longest schedules", score_header(results), score_rows(results, longest_only=True)),
        (known, ["", *score_header(results)[4:]], coverage_rows(results)),
        ("bars", BAR_HEADER, bar_rows(results, verdict)),
    ):
        if rows:
            console.print(_terminal_table(heading, header, rows))
    console.print(Text(headline(results, verdict, vectors), style="bold"))


def _terminal_table(heading: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, title=heading, title_justify="left", pad_edge=False)
    for number, name in enumerate(header):
        drawn.add_column(Text(name), justify="right" if number else "left", no_wrap=number > 0)
    colours = {"kept": "green", "missed": "red"}
    for row in rows:
        drawn.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in row))
    return drawn


def markdown(results: Results, verdict: Sequence[Bar], vectors: str) -> str:
    """Return the whole report. Its picture is ``curves.png`` beside it."""
    text, circumstances = results.conditions["text"], results.circumstances
    seeds = sorted({training.seed for training in results.trainings})
    counting = Figure.of(
        training.counting_seconds for training in results.of(OURS, results.schedules(OURS)[-1])
    )
    reading = ", ".join(f"{name} {taken:.1f} s" for name, taken in circumstances["reading_seconds"].items())
    values = {
        "headline": headline(results, verdict, vectors),
        "bars": _bars(results, verdict, vectors),
        "curve": table(score_header(results), score_rows(results, longest_only=False)),
        "coverage": table(["", *score_header(results)[4:]], coverage_rows(results)),
        "source": escaped(text["source"], longest=200),
        "tokens": f"{text['tokens']:,}",
        "digest": text["sha256"],
        "words": f"{text['vocabulary'][OURS]:,}",
        "kept": f"{text['kept'][OURS]:,}",
        "full": _full_vocabulary(results),
        "seeds": ", ".join(map(str, seeds)),
        "threads": results.conditions[GENSIM]["workers"],
        "gensim": ", ".join(f"`{key}={value}`" for key, value in results.conditions[GENSIM].items()),
        "counting": seconds(counting),
        "reading": reading,
        "baseline": ", ".join(f"`{key}={value}`" for key, value in results.conditions[BASELINE].items()),
        "restricted": f"{results.conditions[OURS]['evaluation']['restrict_vocab']:,}",
        "machine": ", ".join(
            f"{key} {escaped(str(value))}" for key, value in circumstances["machine"].items()
        ),
    }
    return Template(PROSE.read_text(encoding="utf-8")).substitute(values)


def _bars(results: Results, verdict: Sequence[Bar], vectors: str) -> str:
    """Return the table of bars, and what they are for."""
    if not verdict:
        return "None was set."
    return (
        f"{table(BAR_HEADER, bar_rows(results, verdict))}\n\n"
        f"They are for our {VECTORS[vectors]} vectors after our longest schedule. Which vectors and which schedule "
        f"count was settled before anything was trained. gensim: its longest schedule, the same words."
    )


def _full_vocabulary(results: Results) -> str:
    """Return what is to be said of gensim with all words."""
    text = results.conditions["text"]
    if not _full_is_there(results):
        return "No word of the full vocabulary was cut off, so gensim with the same words has all of them."
    return (
        f"With its full vocabulary gensim trains on {text['vocabulary'][GENSIM_FULL]:,} words and "
        f"{text['kept'][GENSIM_FULL]:,} tokens; it then knows more of the word pairs, so its scores are also given "
        "over the same pairs and questions as those of the others (“same pairs”)."
    )
