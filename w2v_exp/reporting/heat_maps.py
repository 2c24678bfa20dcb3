"""A metric over every combination of two swept values, as a heat map; of three, as several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from w2v_exp.reporting import style
from w2v_exp.reporting.columns import COLUMNS, Column
from w2v_exp.reporting.comparison import Comparison
from w2v_exp.reporting.words import shown

MAPS = {  # what is drawn, by the name of its picture; more is better in all of them
    "heat_map": "information_explained",
    "heat_map_wordsim353": "wordsim353",
    "heat_map_simlex999": "simlex999",
    "heat_map_analogies": "analogies",
}
TITLES = {
    "information_explained": "Information explained",
    "wordsim353": "WordSim-353, rank correlation",
    "simlex999": "SimLex-999, rank correlation",
    "analogies": "Analogies, share of right answers",
}
ANNOTATED_COLUMNS = 12  # so many figures fit side by side; a heat map of more has a scale instead
PANELS = 4  # so many heat maps fit side by side
SPREAD = 0.1  # configurations that differ by much less look about the same


class Grid(NamedTuple):
    """What the axes of all panels are.

    Parameters
    ----------
    row_key, column_key : str
        Swept keys.
    rows, columns : list of str
        Their values.
    metric : Column
        What is shown.
    palest, darkest : float
        Between which values the colours are.
    """

    row_key: str
    column_key: str
    rows: list[str]
    columns: list[str]
    metric: Column
    palest: float
    darkest: float


def draw_heat_map(comparison: Comparison, path: Path | str, metric: str = "information_explained") -> bool:
    """Draw a metric of every combination of two swept values, as a heat map.

    Where three keys are swept, there is one for each value of the key that has the fewest.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    metric : str
        Its name in the store, one of those in `MAPS`.

    Returns
    -------
    bool
        False, and nothing is drawn, unless exactly two or three keys have more than one value, the third one not more
        than `PANELS`, and some run has the metric.
    """
    known = [value for group in comparison.groups if np.isfinite(value := group.mean(metric))]
    values = {key: values_of(key, comparison) for key in comparison.keys}
    panel_key = min(reversed(values), key=lambda key: len(values[key])) if len(values) == 3 else None
    panels = values.pop(panel_key) if panel_key else [""]
    if len(values) != 2 or not known or len(panels) > PANELS:
        return False
    (row_key, rows), (column_key, columns) = values.items()
    best = max(known)
    grid = Grid(
        row_key,
        column_key,
        rows,
        columns,
        next(column for column in COLUMNS if column.metric == metric),
        min(*known, best - SPREAD),
        best,
    )
    with style.drawing(path, height=min(10.0, 1.9 + 0.55 * len(rows))) as figure:
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0].tolist()
        for axes, panel in zip(all_axes, panels, strict=True):
            chosen = {panel_key: panel} if panel_key else {}
            _draw_panel(figure, axes, comparison, grid, chosen)
            axes.set_xlabel(shown(column_key))
            axes.tick_params(labelleft=panel == panels[0])
            if panel_key:
                axes.set_title(shown(f"{panel_key}={panel}"))
        all_axes[0].set_ylabel(shown(row_key))
        said = "0: knows only word frequencies, 1: the floor of a run's pairs."
        told = shown(f"{panel_key}={panels[0]}") if panel_key else said if metric == COLUMNS[0].metric else ""
        style.add_title(all_axes[0], TITLES[metric], told)
    return True


def values_of(key: str, comparison: Comparison) -> list[str]:
    """Return the values of a key: numbers by size, others in the order in which they turn up."""
    swept = [group.swept for group in comparison.groups] + [run.swept for run in comparison.unfinished]
    values = list(dict.fromkeys(settings.get(key, "") for settings in swept))
    try:
        return sorted(values, key=float)
    except ValueError:
        return values


def _draw_panel(
    figure: Figure, axes: Axes, comparison: Comparison, grid: Grid, chosen: Mapping[str, str]
) -> None:
    """Draw the runs that have the chosen values."""

    def place(swept: Mapping[str, str]) -> tuple[int, int]:
        return grid.rows.index(swept.get(grid.row_key, "")), grid.columns.index(
            swept.get(grid.column_key, "")
        )

    def is_here(swept: Mapping[str, str]) -> bool:
        return all(swept.get(key, "") == value for key, value in chosen.items())

    means, texts = np.full((len(grid.rows), len(grid.columns)), np.nan), {}
    for run in comparison.unfinished:
        if is_here(run.swept):
            texts[place(run.swept)] = run.status.lower()
    for group in comparison.groups:
        if is_here(group.swept):
            means[place(group.swept)] = group.mean(grid.metric.metric)
            texts[place(group.swept)] = group.written(grid.metric).replace(" ± ", "\n± ")
    heat: QuadMesh = style.show_cells(axes, means, grid.rows, grid.columns)
    heat.set_clim(grid.palest, grid.darkest)
    if len(grid.columns) > ANNOTATED_COLUMNS:
        style.show_scale(figure, axes, heat, "")
        return
    size = style.SMALL if len(grid.columns) > 6 else 11
    for (row, column), text in texts.items():
        dark = means[row, column] > grid.palest + 0.55 * (grid.darkest - grid.palest)
        colour = "white" if dark else style.INK if np.isfinite(means[row, column]) else style.GREY
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, size=size)
