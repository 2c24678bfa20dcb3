"""A comparison as files: the table, and the pictures that its runs allow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from w2v_exp.metrics import CURVES
from w2v_exp.reporting.comparison import Comparison


def write_comparison(comparison: Comparison, folder: Path, *, plots: bool = True) -> None:
    """Write ``comparison.csv`` and, if wanted, the pictures into a folder; it is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    comparison.write_csv(folder / "comparison.csv")
    if plots:
        from w2v_exp.reporting.heat_maps import draw_heat_map, heat_maps
        from w2v_exp.reporting.memory_ladder import draw_memory_ladder
        from w2v_exp.reporting.summary_page import drawn_curves
        from w2v_exp.reporting.sweep_plots import (
            draw_cost_curves,
            draw_explained_by_memory,
            draw_explained_by_time,
        )

        pictures: dict[str, Callable[[Comparison, Path], bool]] = {
            "explained_by_memory.png": draw_explained_by_memory,
            "explained_by_time.png": draw_explained_by_time,
            "memory_ladder.png": draw_memory_ladder,
        }
        for name, metric in heat_maps().items():
            pictures[f"{name}.png"] = partial(draw_heat_map, metric=metric)
        for metric in CURVES:
            (folder / f"{metric}_curves.png").unlink(missing_ok=True)
        for metric in drawn_curves(comparison):
            pictures[f"{metric}_curves.png"] = partial(draw_cost_curves, metric=metric)
        for name, draw in pictures.items():
            (folder / name).unlink(missing_ok=True)  # not every comparison has every picture
            draw(comparison, folder / name)
