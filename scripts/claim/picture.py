"""The picture: quality against time, a panel for each evaluation set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from claim.comparison import BASELINE, GENSIM, GENSIM_FULL, OURS, OURS_DRAWN
from claim.report import VECTORS, compared_words, contender, judged_vectors, title
from claim.results import Point, Results
from claim.verdict import TIME, Bar
from claim.witness import JUDGED
from w2v_exp.reporting import style

COLOURS = {
    OURS: style.COLOURS[0],
    OURS_DRAWN: style.COLOURS[5],
    GENSIM: style.COLOURS[1],
    GENSIM_FULL: style.COLOURS[3],
    BASELINE: style.COLOURS[2],
}
OTHER_VECTORS: dict[str, Any] = {"linewidth": 1.1, "linestyle": (0, (1.5, 1.5))}
UNFINISHED: dict[str, Any] = {
    "marker": "o",
    "markersize": 3.5,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
}


class Curve(NamedTuple):
    """Means over the seeds, and their range."""

    seconds: list[float]
    mean: list[float]
    lowest: list[float]
    highest: list[float]


def draw_curves(path: Path, results: Results, verdict: Sequence[Bar], vectors: str) -> None:
    """Draw quality against time: complete schedules as lines with a band, moments of the longest one as open points.

    Parameters
    ----------
    path : Path
        The PNG or SVG to write.
    results : Results
        Complete.
    verdict : sequence of Bar
        The bars, drawn as lines.
    vectors : str
        Which of our vectors stand in front.
    """
    sets = list(results.conditions["sets"])
    with style.drawing(path, height=4.2) as figure:
        panels = figure.subplots(1, len(sets), squeeze=False)[0]
        for axes, name in zip(panels, sets, strict=True):
            for who in results.contenders:
                _draw_contender(axes, results, who, name, judged_vectors(who, vectors))
            _show_scales(axes, percent=results.conditions["sets"][name] == "analogies")
            for bar in verdict:
                line: dict[str, Any] = {"color": style.GREY, "lw": 1, "ls": style.DASHES, "zorder": 1}
                if bar.what == TIME:
                    axes.axvline(bar.bound, **line)
                elif bar.what == name:
                    axes.axhline(bar.bound, **line)
            style.add_title(axes, title(name))
        figure.legend(
            handles=_legend(results, verdict, vectors),
            loc="outside lower center",
            ncols=2,
            frameon=False,
            fontsize=style.SMALL,
        )


def _draw_contender(axes: Axes, results: Results, who: str, name: str, judged: str) -> None:
    """Draw one contender: the vectors that are judged in front, the others thin and pale."""
    colour, words = COLOURS[who], compared_words(who)
    schedules = results.schedules(who)
    ends = [[training.end for training in results.of(who, epochs)] for epochs in schedules]
    for vectors in JUDGED:
        curve = _curve(ends, partial(Point.value, name=name, vectors=vectors, words=words))
        alone = len(curve.mean) == 1  # a single schedule makes no line, and no band
        if vectors != judged:
            marker = "." if alone else ""
            axes.plot(
                curve.seconds, curve.mean, color=colour, marker=marker, alpha=0.55, zorder=2, **OTHER_VECTORS
            )
            continue
        axes.plot(curve.seconds, curve.mean, color=colour, zorder=4, **_mark(who))
        if alone:
            axes.vlines(curve.seconds, curve.lowest, curve.highest, color=colour, lw=1.2, zorder=3)
        else:
            axes.fill_between(curve.seconds, curve.lowest, curve.highest, color=colour, alpha=0.18, lw=0)
    longest = [training.points[:-1] for training in results.of(who, schedules[-1])]
    along = _curve(zip(*longest, strict=True), partial(Point.value, name=name, vectors=judged, words=words))
    axes.plot(along.seconds, along.mean, color=colour, ls="none", zorder=3, **UNFINISHED)


def _mark(who: str) -> dict[str, Any]:
    """Return how a contender's schedules are marked: the baseline has none, and no line."""
    return {"marker": "D", "ms": 5, "ls": "none"} if who == BASELINE else {"marker": "o", "ms": 4.5}


def _curve(groups: Iterable[Sequence[Point]], value: Callable[[Point], float | None]) -> Curve:
    """Return a curve with a place for each group: one moment, from every seed. What is not known is left out."""
    curve = Curve([], [], [], [])
    for points in groups:
        values = [known for point in points if (known := value(point)) is not None]
        if values:
            curve.seconds.append(fmean(point.seconds for point in points))
            curve.mean.append(fmean(values))
            curve.lowest.append(min(values))
            curve.highest.append(max(values))
    return curve


def _show_scales(axes: Axes, *, percent: bool) -> None:
    if not any(np.size(line.get_xdata()) for line in axes.lines):
        axes.text(0.5, 0.5, "nothing known", transform=axes.transAxes, ha="center", color=style.GREY)
        axes.set(xticks=[], yticks=[])
        return
    axes.set_xscale("log")
    axes.set_xlabel("seconds")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    if percent:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.grid(axis="y")


def _legend(results: Results, verdict: Sequence[Bar], vectors: str) -> list[Line2D]:
    """Return what the lines are, for a legend below the panels."""
    handles = []
    for who in results.contenders:
        kinds = {judged: VECTORS[judged] for judged in JUDGED}
        front = judged_vectors(who, vectors)
        label = f"{contender(results, who, compared_words(who))}: {kinds.pop(front)} vectors"
        handles.append(Line2D([], [], color=COLOURS[who], label=label, **_mark(who)))
    grey = style.GREY
    handles.append(Line2D([], [], color=grey, label="the other vectors of each", **OTHER_VECTORS))
    unfinished = Line2D([], [], color=grey, ls="none", label="in the middle of the longest schedule")
    unfinished.set(**UNFINISHED)
    handles.append(unfinished)
    if verdict:
        handles.append(Line2D([], [], color=grey, lw=1, ls=style.DASHES, label="the bars, and gensim's time"))
    return handles
