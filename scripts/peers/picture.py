"""The picture of a match: quality against time, a panel for each evaluation set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from peers.contenders import Point
from peers.matches import BASELINE, GENSIM_FULL, Contender, Match
from peers.report import VECTOR_NAMES, sets_of, title
from peers.training import OURS, Trained
from peers.verdict import of_schedule
from w2v_exp.reporting import style

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


def draw_match(path: Path, match: Match, done: Sequence[Trained]) -> None:
    """Draw quality against time: complete schedules as lines with a band, epochs of the longest one as open points.

    Parameters
    ----------
    path : Path
        The PNG or SVG to write.
    match : Match
        Whose scores that are promised are drawn as lines.
    done : sequence of Trained
        Its trainings.
    """
    names = sets_of(done)
    with style.drawing(path, height=4.2) as figure:
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for number, contender in enumerate(match.contenders):
                _draw_contender(axes, match, contender, done, name, style.COLOURS[number])
            if match.promised and name in match.promised:
                axes.axhline(match.promised[name], color=style.GREY, lw=1, ls=style.DASHES, zorder=1)
            _show_scales(axes, percent=name.startswith("analogies"))
            style.add_title(axes, title(name))
        handles = [
            Line2D([], [], color=style.COLOURS[number], label=_label(match, contender), **_mark(contender))
            for number, contender in enumerate(match.contenders)
        ]
        if len(match.judged) > 1:
            label = "the other vectors of each"
            handles.append(Line2D([], [], color=style.GREY, label=label, **OTHER_VECTORS))
        figure.legend(
            handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=style.SMALL
        )


def _judged(match: Match, contender: Contender) -> str:
    """Return which vectors of a contender are in front: of a peer the usual ones."""
    return match.vectors if contender.kind == OURS else "input"


def _label(match: Match, contender: Contender) -> str:
    return f"{contender.name}: {VECTOR_NAMES[_judged(match, contender)]} vectors"


def _draw_contender(
    axes: Axes, match: Match, contender: Contender, done: Sequence[Trained], name: str, colour: str
) -> None:
    """Draw one contender: the vectors that are judged in front, the others thin and pale."""
    words = "shared" if contender.name == GENSIM_FULL else "own"
    schedules = [of_schedule(done, contender.name, epochs) for epochs in contender.schedules]
    ends = [[one.points[-1] for one in some] for some in schedules if some]
    judged = _judged(match, contender)
    for vectors in match.judged if contender.kind == OURS or len(match.judged) > 1 else ("input",):
        curve = _curve(ends, name, vectors, words)
        alone = len(curve.mean) == 1  # a single schedule makes no line, and no band
        if vectors != judged:
            marker = "." if alone else ""
            axes.plot(*curve[:2], color=colour, marker=marker, alpha=0.55, zorder=2, **OTHER_VECTORS)
            continue
        axes.plot(*curve[:2], color=colour, zorder=4, **_mark(contender))
        if alone:
            axes.vlines(curve.seconds, curve.lowest, curve.highest, color=colour, lw=1.2, zorder=3)
        else:
            axes.fill_between(curve.seconds, curve.lowest, curve.highest, color=colour, alpha=0.18, lw=0)
    along = [one.points[:-1] for one in of_schedule(done, contender.name)]
    curve = _curve(zip(*along, strict=True), name, judged, words)
    axes.plot(*curve[:2], color=colour, ls="none", zorder=3, **UNFINISHED)


def _mark(contender: Contender) -> dict[str, Any]:
    return (
        {"marker": "D", "ms": 5, "ls": "none"} if contender.name == BASELINE else {"marker": "o", "ms": 4.5}
    )


def _curve(groups: Iterable[Sequence[Point]], name: str, vectors: str, words: str) -> Curve:
    """Return a curve with a place for each group: one epoch, from every seed. Unknown scores are left out."""
    curve = Curve([], [], [], [])
    for points in groups:
        values = [known for point in points if (known := point.value(name, vectors, words)) is not None]
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
