"""The pictures: what each choice makes of the scores, and cost and quality against time for each optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from claim.report import title
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ablations.tables import Tables, score_of
from ablations.trials import SHIPPED, Trial
from w2v_exp.reporting import style

OTHER_RATES: dict[str, Any] = {"linewidth": 0.9, "alpha": 0.45}


def draw_choices(path: Path, tables: Tables) -> None:
    """Draw the difference that each choice makes, with its 95 % interval over several seeds: a panel for each set."""
    shipped = next(trial for trial in tables.trials if trial.name == SHIPPED)
    others = [trial for trial in tables.done if trial is not shipped]
    with style.drawing(path, height=1.2 + 0.3 * len(others)) as figure:
        panels = figure.subplots(1, len(tables.percent), sharey=True, squeeze=False)[0]
        for axes, (name, percent) in zip(panels, tables.percent.items(), strict=True):
            axes.axvline(0, color=style.GREY, lw=1, zorder=1)
            for row, trial in enumerate(others):
                difference = tables.difference(trial, shipped, score_of(name, trial.plan.embedding))
                if difference is None:
                    continue
                colour = style.COLOURS[0] if difference.exceeds_noise else style.GREY
                if difference.margin is not None:
                    ends = difference.mean - difference.margin, difference.mean + difference.margin
                    axes.hlines(row, *ends, color=colour, lw=1.4, zorder=2)
                axes.plot(difference.mean, row, "o", color=colour, ms=5, zorder=3)
            axes.grid(axis="both")
            axes.xaxis.set_major_locator(MaxNLocator(4))
            if percent:
                axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
            axes.set_title(f"{title(name)}, points" if percent else title(name))
        panels[0].set_yticks(range(len(others)), [trial.title.replace(" ", "\n", 1) for trial in others])
        panels[0].tick_params(axis="y", labelcolor=style.INK, labelsize=7.5)
        panels[0].invert_yaxis()


def draw_optimizers(path: Path, tables: Tables) -> None:
    """Draw cost and scores against seconds of training: the best learning rate of each optimizer in front."""
    best = tables.best()
    if not best:
        return  # all have diverged
    names = list(dict.fromkeys(trial.optimizer for trial in tables.done))
    colours = dict(zip(names, style.COLOURS, strict=False))
    rows = (len(tables.percent) + 2) // 2
    with style.drawing(path, height=0.7 + 2.9 * rows) as figure:
        panels = list(figure.subplots(rows, 2, squeeze=False).flat)
        for trial in tables.done:
            looks: dict[str, Any] = {"color": colours[trial.optimizer]}
            looks |= {"marker": "o", "ms": 3.5, "zorder": 3} if trial in best else OTHER_RATES
            panels[0].plot(*_costs(tables, trial), **looks)
            for axes, name in zip(panels[1:], tables.percent, strict=False):
                axes.plot(*_scores(tables, trial, name), **looks)
        if highest := [cost for trial in best for cost in _costs(tables, trial)[1]]:
            lowest = min(highest)
            panels[0].set_ylim(lowest - 0.05, max(highest) + 0.05)  # others may begin to diverge
        style.add_title(panels[0], "cost")
        for axes, (name, percent) in zip(panels[1:], tables.percent.items(), strict=False):
            style.add_title(axes, title(name))
            if percent:
                axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        for axes in panels[: len(tables.percent) + 1]:
            _show_seconds(axes)
        for axes in panels[len(tables.percent) + 1 :]:
            axes.set_axis_off()
        handles = [
            Line2D([], [], color=colours[trial.optimizer], marker="o", ms=3.5, label=trial.title)
            for trial in best
        ]
        handles.append(
            Line2D([], [], color=style.GREY, label="the other learning rates of each", **OTHER_RATES)
        )
        figure.legend(
            handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=style.SMALL
        )


def _costs(tables: Tables, trial: Trial) -> tuple[list[float], list[float]]:
    """Return seconds and cost after each epoch, means over the seeds; nothing of a trial that diverged."""
    epochs = zip(*(run.costs for run in tables.outcomes.of(trial)), strict=False)
    return _means(list(epochs))


def _scores(tables: Tables, trial: Trial, name: str) -> tuple[list[float], list[float]]:
    """Return seconds and scores at each moment, means over the seeds; nothing of a trial that diverged."""
    runs = tables.outcomes.of(trial)
    if any(run.cost is None for run in runs):
        return [], []
    moments = zip(*(run.training.points for run in runs), strict=True)
    found = [
        [(point.seconds, point.value(name, trial.plan.embedding)) for point in points] for points in moments
    ]
    return _means([[(at, value) for at, value in seeds if value is not None] for seeds in found])


def _means(places: Sequence[Sequence[tuple[float, float]]]) -> tuple[list[float], list[float]]:
    filled = [seeds for seeds in places if seeds]
    return [fmean(at for at, _ in seeds) for seeds in filled], [
        fmean(value for _, value in seeds) for seeds in filled
    ]


def _show_seconds(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("seconds of training")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
