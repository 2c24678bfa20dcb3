"""Every side's figures, in the terminal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from benchmarks.peers.order import GENSIM, OURS
from benchmarks.peers.pairings import Pairing
from benchmarks.peers.results import Results
from benchmarks.peers.scaling import Scaling
from benchmarks.peers.split import Split
from benchmarks.peers.training import Trained
from benchmarks.peers.verdict import score

TITLES = {"wordsim353": "WS-353", "simlex999": "SimLex-999", "analogies": "analogies"}


def line(trained: Trained) -> str:
    """Return a training in a line."""
    order = trained.order
    scores = ", ".join(
        f"{TITLES[name]} {value:.3f}"
        for name, value in trained.scores.items()
        if name in TITLES and value is not None
    )
    return (
        f"{order.pairing}, {order.side}, seed {order.seed}: {order.epochs} epochs in {trained.seconds:.1f} s "
        f"({trained.cpu_seconds:.1f} s of processors), {trained.rate:,.0f} words a second, "
        f"{trained.resident / 1e6:.0f} MB{'; ' if scores else ''}{scores}"
    )


def side_table(pairing: Pairing, sides: dict[str, list[Trained]]) -> Table:
    """Return the figures of all sides, medians of time and memory, means and deviations of scores."""
    some = next(trainings[0] for trainings in sides.values() if trainings)
    title = (
        f"{pairing.title[0].upper()}{pairing.title[1:]}: {some.words:,} words, {some.vocabulary:,} distinct"
    )
    table = Table("", box=box.SIMPLE, title=escape(title), title_justify="left")
    names = [name for name in TITLES if any(one.scores.get(name) is not None for one in _all(sides))]
    headings = (
        "seeds",
        "epochs",
        "words/s",
        "seconds",
        "of processors",
        "counting",
        "memory, MB",
        "of training",
    )
    for heading in (*headings, *(TITLES[name] for name in names)):
        table.add_column(heading, justify="right")
    for side, trainings in sides.items():
        if trainings:
            figures: list[Callable[[Trained], float]] = [
                lambda one: one.rate,
                lambda one: one.seconds,
                lambda one: one.cpu_seconds,
                lambda one: one.counting_seconds,
                lambda one: one.resident / 1e6,
                lambda one: one.memory / 1e6,
            ]
            rate, *others = (statistics.median(map(figure, trainings)) for figure in figures)
            table.add_row(
                side,
                str(len(trainings)),
                str(trainings[0].order.epochs),
                f"{rate:,.0f}",
                *(f"{value:,.1f}" for value in others),
                *(_written(trainings, name) for name in names),
            )
    return table


def _all(sides: dict[str, list[Trained]]) -> list[Trained]:
    return [one for trainings in sides.values() for one in trainings]


def _written(trainings: Sequence[Trained], name: str) -> str:
    figure = score(trainings, name)
    if figure is None:
        return ""
    return f"{figure.mean:.3f}" + ("" if figure.deviation is None else f" ± {figure.deviation:.3f}")


def scaling_table(scaling: Scaling, results: Results) -> Table:
    """Return words a second of every place of the series."""
    table = Table("words a second", box=box.SIMPLE)
    for heading in (GENSIM, OURS, "ratio"):
        table.add_column(heading, justify="right")
    for place in scaling.places:
        theirs, ours = (scaling.rate(results, place, side) for side in (GENSIM, OURS))
        name = f"{place.series} {place.value:,}"
        table.add_row(name, f"{theirs:,.0f}", f"{ours:,.0f}", f"{ours / theirs:.2f}")
    return table


def split_table(split: Split) -> Table:
    """Return where the time of our training goes, and what would be needed."""
    table = Table("our time of an epoch, on one core", box=box.SIMPLE)
    for heading in ("seconds", "share"):
        table.add_column(heading, justify="right")
    needed = {
        "needed at the machine's best: products": split.products,
        "  exponentials": split.exponentials,
        "  rows read and written": split.traffic,
        "  all three": split.floor_share * split.seconds,
    }
    for name, seconds in (split.functions | {"all of it": split.seconds} | needed).items():
        table.add_row(escape(name), f"{seconds:.2f}", f"{seconds / split.seconds:.0%}")
    return table
