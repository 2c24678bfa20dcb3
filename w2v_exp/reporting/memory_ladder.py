"""The picture of a sweep over label encodings and text lengths: what each takes of memory, and where it ends."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

from w2v_exp.machine import readable_bytes
from w2v_exp.reporting import style
from w2v_exp.reporting.comparison import Comparison

KEY, MEGABYTE = "labels", 1_000_000
ORDER = (
    "dense",
    "sparse",
    "counts",
    "streamed",
)  # by what they take; so each has its colour in every picture
NEAR = 1e3  # times as many pairs: names so near would be written over each other
FURTHEST = 3e3  # times the pairs of the longest text: so far lines go on


class Rung(NamedTuple):
    """A run of an encoding.

    Parameters
    ----------
    pairs : float
        Of its text.
    estimated : float
        Peak memory, MB.
    measured : float
        The same; NaN if the run did not get that far.
    available : float
        MB; NaN if unknown.
    """

    pairs: float
    estimated: float
    measured: float
    available: float


def draw_memory_ladder(comparison: Comparison, path: Path | str) -> bool:
    """Draw measured and estimated peak memory over the number of pairs, log-log, a line for each label encoding.

    Lines are estimates, points measured peaks, full crosses runs that were refused. A thin cross is where an encoding's
    line meets the memory that is available; beyond the longest text lines go on, dashed, as they went last.

    Parameters
    ----------
    comparison : Comparison
        The sweep.
    path : path-like
        The picture to write, ``.png`` or ``.svg``.

    Returns
    -------
    bool
        False, and nothing is drawn, unless label encodings were swept over texts with different numbers of pairs.
    """
    rungs = _rungs(comparison)
    lengths = {rung.pairs for line in rungs.values() for rung in line}
    if len(rungs) < 2 or len(lengths) < 2:
        return False
    found = [rung.available for line in rungs.values() for rung in line if math.isfinite(rung.available)]
    limit = float(np.median(found)) if found else math.inf
    with style.drawing(path, height=5.4) as figure:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = []
        for encoding, line in rungs.items():
            colour = style.COLOURS[ORDER.index(encoding) if encoding in ORDER else len(ORDER)]
            ends.append((*_draw_line(axes, line, limit, FURTHEST * max(lengths), colour), encoding, colour))
        if math.isfinite(limit):
            axes.axhline(limit, color=style.INK, lw=1.2)
            said = f"{readable_bytes(limit * MEGABYTE)} available"
            axes.annotate(
                said,
                (0, limit),
                (4, -4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="top",
            )
        _label_lines(axes, ends, limit)
        axes.xaxis.set_major_locator(LogLocator(10, numticks=20))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _readable_number(value)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: readable_bytes(value * MEGABYTE)))
        axes.minorticks_off()
        axes.grid(True)
        axes.set_xlabel("pairs of the text")
        axes.set_ylabel("peak memory")
        subtitle = "Lines: estimated before a run. Points: measured. Full crosses: refused. Dashed: going on as before."
        style.add_title(axes, "How far each label encoding goes", subtitle)
    return True


def _rungs(comparison: Comparison) -> dict[str, list[Rung]]:
    """Return the runs of each encoding by rising number of pairs."""
    runs = [*(run for group in comparison.groups for run in group.runs), *comparison.unfinished]
    rungs: dict[str, list[Rung]] = defaultdict(list)
    for run in runs:
        names = ("pairs", "estimated_memory_mb", "peak_memory_mb", "memory_available_mb")
        rung = Rung(*(run.metrics.get(name, math.nan) for name in names))
        if KEY in run.swept and rung.pairs > 0 and rung.estimated > 0:
            rungs[run.swept[KEY]].append(rung)
    order = sorted(rungs, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return {name: sorted(rungs[name]) for name in order}


def _draw_line(
    axes: Axes, line: Sequence[Rung], limit: float, furthest: float, colour: str
) -> tuple[float, float]:
    """Draw what an encoding takes; return where it no longer fits, or else where its line ends."""
    pairs, estimated = np.array([rung[:2] for rung in line]).T
    refused = estimated > limit
    axes.plot(pairs, estimated, color=colour)
    axes.plot(pairs, [rung.measured for rung in line], "o", color=colour, ms=6)
    axes.plot(pairs[refused], estimated[refused], "X", color=colour, ms=9, mec="white")
    if refused.any():
        end = float(np.exp(np.interp(math.log(limit), np.log(estimated), np.log(pairs))))
    elif len(line) > 1 and math.isfinite(limit):
        slope = math.log(estimated[-1] / estimated[-2]) / math.log(pairs[-1] / pairs[-2])
        end = furthest
        if slope > 0:
            end = float(min(furthest, pairs[-1] * (limit / estimated[-1]) ** (1 / slope)))
        height = estimated[-1] * (end / pairs[-1]) ** slope
        axes.plot([pairs[-1], end], [estimated[-1], height], color=colour, lw=1.2, ls=style.DASHES)
        if end == furthest:
            return end, height
    else:
        return float(pairs[-1]), float(estimated[-1])
    axes.plot(end, limit, "x", color=colour, ms=9, mew=1.8)
    return end, limit


def _label_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]], limit: float) -> None:
    """Write the name of each encoding where it ends, with the number of pairs if that is for lack of memory."""
    before, raised = 0.0, False
    for pairs, height, encoding, colour in sorted(ends):
        ending = height == limit
        if ending:
            raised = pairs < NEAR * before and not raised
            before = pairs
        axes.annotate(
            f"{encoding}: {_readable_number(pairs)} pairs" if ending else encoding,
            (pairs, height),
            (-7, 20 if raised else 6) if ending else (0, -26),
            textcoords="offset points",
            color=colour,
            weight="bold",
            ha="right",
        )


def _readable_number(number: float) -> str:
    """Return a number of pairs as a person would say it.

    >>> _readable_number(84), _readable_number(2_000_000), _readable_number(3.14e9)
    ('84', '2 million', '3.1 billion')
    """
    for size, name in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if number >= 0.9999 * size:
            return f"{number / size:.2g}{name}" if number < 99.5 * size else f"{number / size:.0f}{name}"
    return f"{number:.0f}"
