"""Reproduce the article "Word2vec from Scratch with NumPy", and report each figure with its tolerance.

    python scripts/reproduce_article.py
    python scripts/reproduce_article.py --seeds 20 --out reports/twenty_seeds

Writes report.md, report.html (one file, pictures inlined) and the pictures. The exit code is 1 if a figure is
out of its tolerance.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from article import (
    cost_curves,
    label_memory,
    literal_change,
    lost_updates,
    neighbour_tables,
    worked_example,
)
from article.model import FOLDER, PublishedFigures
from article.report import VERDICTS, Point, headline, page, report
from threadpoolctl import threadpool_limits

from w2v_exp.files import replacing

POINTS = [worked_example, cost_curves, neighbour_tables, lost_updates, label_memory, literal_change]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    options = parse(arguments)
    started = perf_counter()
    published = PublishedFigures.read(options.published)
    points = []
    with threadpool_limits(1):  # matrices of 13 × 50 are slower with a second thread
        for module in POINTS:
            point = module.examine(published, range(options.seeds))
            points.append(point)
            print(f"{VERDICTS[point.verdict]:18} {point.title}", flush=True)
    write(points, options.out, conditions(options.seeds))
    print(f"\n{headline(points).replace('**', '')}")
    print(f"Report: {options.out / 'report.html'} ({perf_counter() - started:.0f} s)")
    return 1 if any(point.failed for point in points) else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seeds", type=at_least_one, default=5, help="number of seeds (5)")
    parser.add_argument("--out", type=Path, default=Path("reports/article"), help="folder (reports/article)")
    parser.add_argument(
        "--published",
        type=Path,
        default=FOLDER,
        help="folder of the published figures (scripts/article/published)",
    )
    return parser.parse_args(arguments)


def at_least_one(text: str) -> int:
    """Return a whole number from the command line, if it is 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 1 or more")
    return int(text)


def conditions(seeds: int) -> str:
    """Return one sentence with the seeds and versions."""
    return (
        f"Trained from {seeds} seed{'s' if seeds > 1 else ''} (from 0), in float64, with NumPy {np.__version__} "
        f"on Python {platform.python_version()}. Ranges are those over the seeds."
    )


def write(points: Sequence[Point], folder: Path, conditions: str) -> None:
    """Write the report and its pictures."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for point in points:
        for name, draw in point.pictures.items():
            draw(pictures / name)
    markdown = report(points, conditions)
    for name, text in (("report.md", markdown), ("report.html", page(markdown, folder))):
        with replacing(folder / name) as stream:
            stream.write(text)


if __name__ == "__main__":
    sys.exit(main())
