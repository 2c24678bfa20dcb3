"""The picture of a match: quality against time, a panel for each evaluation set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from peers.contenders import Point
from peers.matches import Match
from peers.report import title
from peers.training import Trained
from peers.verdict import of_schedule
from w2v_exp.reporting import style


def draw_match(path: Path, match: Match, done: Sequence[Trained]) -> None:
    """Draw quality against time: means over the seeds, with a band from the lowest to the highest.

    The points of a contender are its complete schedules; of a single schedule they are its epochs.

    Parameters
    ----------
    path : Path
        The PNG or SVG to write.
    match : Match
        The match. Its promised scores are drawn as lines.
    done : sequence of Trained
        Its trainings.
    """
    names = [score.set for score in done[0].points[-1].scores]
    colours = dict(zip(match.schedules, style.COLOURS, strict=False))
    with style.drawing(path, height=4.2) as figure:
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for contender, schedules in match.schedules.items():
                trainings = [of_schedule(done, contender, epochs) for epochs in schedules]
                if len(schedules) == 1:
                    points: list[Sequence[Point]] = [*zip(*(one.points for one in trainings[0]), strict=True)]
                else:
                    points = [[one.points[-1] for one in some] for some in trainings if some]
                _draw_curve(axes, points, name, colours[contender])
            if match.promised and name in match.promised:
                axes.axhline(match.promised[name], color=style.GREY, lw=1, ls=style.DASHES, zorder=1)
            _show_scales(axes, percent=name.startswith("analogies"))
            style.add_title(axes, title(name))
        handles = [
            Line2D([], [], color=colour, label=contender, marker="o", ms=4.5)
            for contender, colour in colours.items()
        ]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=style.SMALL
        )


def _draw_curve(axes: Axes, groups: Iterable[Sequence[Point]], name: str, colour: str) -> None:
    """Draw the score of each group of points: one epoch, of every seed. Groups without a score are skipped."""
    curve = [
        (fmean(point.seconds for point in points), fmean(values), min(values), max(values))
        for points in groups
        if (values := [value for point in points if (value := point.value(name)) is not None])
    ]
    if curve:
        seconds, mean, lowest, highest = zip(*curve, strict=True)
        axes.plot(seconds, mean, color=colour, marker="o", ms=4.5, zorder=4)
        if len(curve) > 1:
            axes.fill_between(seconds, lowest, highest, color=colour, alpha=0.18, lw=0)
        else:
            axes.vlines(seconds, lowest, highest, color=colour, lw=1.2, zorder=3)


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
