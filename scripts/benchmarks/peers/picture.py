"""The picture of scaling: words a second against size, window and vocabulary, and where the time goes."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.peers.order import GENSIM, OURS
from benchmarks.peers.results import Results
from benchmarks.peers.scaling import Scaling
from benchmarks.peers.split import Split
from w2v_exp.reporting import style

SIDES = {OURS: style.COLOURS[0], GENSIM: style.COLOURS[1]}
TITLES = {"dim": "words a second, by dim", "window": "by window", "vocabulary": "by distinct words"}


def draw_scaling(path: Path, scaling: Scaling, results: Results, split: Split | None) -> None:
    """Draw a panel for each series with at least three places, and one for the time of an epoch.

    Parameters
    ----------
    path : Path
        The PNG or SVG to write.
    scaling : Scaling
        The series.
    results : Results
        Complete.
    split : Split or None
        Where the time goes, if that was measured.
    """
    names = [name for name in TITLES if sum(place.series == name for place in scaling.places) > 2]
    rows = bool(names) + (split is not None)
    with style.drawing(path, height=2.8 * max(1, rows)) as figure:
        grids = figure.subfigures(max(1, rows), 1, squeeze=False)[:, 0]
        if names:
            panels = grids[0].subplots(1, len(names), squeeze=False)[0]
            for axes, name in zip(panels, names, strict=True):
                _draw_series(axes, scaling, results, name)
        if split:
            _draw_split(grids[-1].subplots(), split)


def _draw_series(axes: Axes, scaling: Scaling, results: Results, name: str) -> None:
    places = [place for place in scaling.places if place.series == name]
    values = [place.value for place in places]
    highest = 0.0
    for side, colour in SIDES.items():
        rates = [scaling.rate(results, place, side) / 1e3 for place in places]
        highest = max(highest, *rates)
        axes.plot(values, rates, color=colour, marker="o", ms=4.5)
        axes.annotate(side, (values[0], rates[0]), (0, 7), textcoords="offset points", color=colour)
    axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:,}" for value in values])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f} k"))
    axes.set_ylim(0, 1.12 * highest)
    axes.grid(axis="y")
    style.add_title(axes, TITLES[name])


def _draw_split(axes: Axes, split: Split) -> None:
    """Draw what functions took as bars, and below them what the machine would need at its best."""
    needed = {
        "products, at the best rate": split.products,
        "exponentials, at theirs": split.exponentials,
        "rows moved, at that of copying": split.traffic,
    }
    labels = [*split.functions, *needed]
    shares = [100 * value / split.seconds for value in [*split.functions.values(), *needed.values()]]
    colours = [style.COLOURS[0]] * len(split.functions) + [style.GREY] * len(needed)
    places = range(len(labels), 0, -1)
    axes.barh(places, shares, color=colours, height=0.7)
    axes.set_yticks(places, labels)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.grid(axis="x")
    style.add_title(axes, "our time of an epoch; grey: needed at best")
