"""A metric over every combination of two swept values, as a heat map; of three, as several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from w2v_exp.metrics import MORE, QUALITIES, Metric, metric_of
from w2v_exp.reporting import style
from w2v_exp.reporting.comparison import Comparison
from w2v_exp.reporting.escape import shown
from w2v_exp.reporting.layout import SPREAD, Layout, layout_of

EXPLAINED = "information_explained"
ANNOTATED_COLUMNS = 12  # so many figures fit side by side; a heat map of more has a scale instead


class Shades(NamedTuple):
    """What the colours of all panels mean.

    Parameters
    ----------
    metric : Metric
        What is shown.
    palest, darkest : float
        Between which values the colours are.
    """

    metric: Metric
    palest: float
    darkest: float


def heat_maps() -> dict[str, str]:
    """Return the metrics with heat maps by the names of these: the qualities of which more is better."""
    names = [metric.name for metric in QUALITIES if metric.better == MORE]
    return {"heat_map" if name == EXPLAINED else f"heat_map_{name}": name for name in names}


def draw_heat_map(comparison: Comparison, path: Path | str, metric: str = EXPLAINED) -> bool:
    """Draw a metric of every combination of two swept values, as a heat map.

    Where three keys are swept, there is one for each value of the key that has the fewest.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.
    metric : str
        Its name in the store, one of those of `heat_maps`.

    Returns
    -------
    bool
        False, and nothing is drawn, if `layout_of` has no layout for the sweep, or no run has the metric.
    """
    known = [value for group in comparison.groups if np.isfinite(value := group.ranked_mean(metric))]
    layout = layout_of(comparison)
    if layout is None or not known:
        return False
    best = max(known)
    shades = Shades(metric_of(metric), min(*known, best - SPREAD), best)
    with style.drawing(path, height=min(10.0, 1.9 + 0.55 * len(layout.rows))) as figure:
        all_axes = figure.subplots(1, len(layout.panels), squeeze=False)[0].tolist()
        for axes, panel in zip(all_axes, layout.panels, strict=True):
            _draw_panel(figure, axes, comparison, layout, panel, shades)
            axes.set_xlabel(shown(layout.column_key))
            axes.tick_params(labelleft=panel == layout.panels[0])
            if layout.panel_key:
                axes.set_title(shown(f"{layout.panel_key}={panel}"))
        all_axes[0].set_ylabel(shown(layout.row_key))
        said = "0: knows only word frequencies, 1: the floor of a run's pairs."
        panel_title = shown(f"{layout.panel_key}={layout.panels[0]}") if layout.panel_key else ""
        told = panel_title or (said if metric == EXPLAINED else "")
        coverage = comparison.heading_of(shades.metric).removeprefix(shades.metric.heading)
        title = shades.metric.title()
        style.add_title(all_axes[0], f"{title[0].upper()}{title[1:]}{coverage}", told)
    return True


def _draw_panel(
    figure: Figure, axes: Axes, comparison: Comparison, layout: Layout, panel: str, shades: Shades
) -> None:
    """Draw the runs of a panel."""
    metric, palest, darkest = shades
    means, texts = np.full((len(layout.rows), len(layout.columns)), np.nan), {}
    for run in comparison.unfinished:
        if layout.is_in(panel, run.swept):
            texts[layout.place(run.swept)] = run.status.lower()
    for group in comparison.groups:
        if layout.is_in(panel, group.swept):
            means[layout.place(group.swept)] = group.ranked_mean(metric.name)
            texts[layout.place(group.swept)] = comparison.written(group, metric).replace(" ± ", "\n± ")
    heat: QuadMesh = style.show_cells(axes, means, layout.rows, layout.columns)
    heat.set_clim(palest, darkest)
    if len(layout.columns) > ANNOTATED_COLUMNS:
        style.show_scale(figure, axes, heat, "")
        return
    size = style.SMALL if len(layout.columns) > 6 else 11
    for (row, column), text in texts.items():
        dark = means[row, column] > palest + 0.55 * (darkest - palest)
        colour = "white" if dark else style.INK if np.isfinite(means[row, column]) else style.GREY
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, size=size)
