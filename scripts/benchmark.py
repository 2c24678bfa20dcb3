"""Measure speed, as ratios to a plain implementation of the article's recipe, and of sweeps to a script by hand.

    python scripts/benchmark.py                               everything but sweep and runs: some minutes
    python scripts/benchmark.py --only article pairs          a selection
    python scripts/benchmark.py --only sweep                  sweeps against a script by hand, overhead: minutes
    python scripts/benchmark.py --only runs                   a thousand tiny runs on joblib: minutes
    python scripts/benchmark.py --threads 1 --json speed.json

Both sides run alternately in this process, with the same number of BLAS threads; a ratio is the median over repeats.
Before timing, both results must agree. The exit code is 1 if a promise is missed. docs/log/speed.md has the figures.
Against gensim and fastText: scripts/compare_peers.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands import many_runs, start_of_a_run, sweeps
from benchmarks.measure import Bar, bar_table, machine_description
from benchmarks.recipe import article_training, exact_epoch, pair_generation, real_steps
from rich.console import Console

from w2v_exp.files import replacing
from w2v_exp.machine import available_cores

PARTS = ("article", "steps", "epoch", "pairs", "command")  # and sweep and runs, which take minutes
# The smallest size of each part, as a test that it runs.
TINY: dict[str, dict[str, Any]] = {
    "article": {"epochs": 20, "repeats": 2},
    "steps": {"messages": 1, "vocabulary_size": 300, "steps": 2, "repeats": 2},
    "epoch": {"messages": 1, "steps": 2, "square": 64, "repeats": 2},
    "pairs": {"messages": 1, "vocabulary_size": 300, "tokens": 500, "repeats": 2},
    "command": {"repeats": 2},
    "sweep": {"epochs": 20, "runs": 2, "repeats": 2},
    "runs": {"runs": 2},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    choices = _parser().parse_args(arguments)
    sizes = {part: dict(TINY[part]) if choices.tiny else {} for part in TINY}
    for part in set(sizes) - {"runs"} if choices.repeats else ():
        sizes[part]["repeats"] = choices.repeats
    try:
        bars = measure(choices.only, choices.threads, sizes)
    except ArithmeticError as error:
        print(error, file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    machine = machine_description()
    console.print(
        f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}, NumPy {machine['numpy']}, "
        f"{machine['blas']}"
    )
    console.print(bar_table(bars))
    if choices.tiny:
        console.print("With --tiny, the figures only show that the benchmark runs.")
    if choices.json:
        with replacing(choices.json) as stream:
            json.dump({"machine": machine, "bars": [bar.as_dict() for bar in bars]}, stream, indent=1)
    return 0 if choices.tiny or all(bar.kept for bar in bars) else 1


def measure(parts: Sequence[str], threads: Sequence[int], sizes: dict[str, dict[str, Any]]) -> list[Bar]:
    """Measure parts; those that use BLAS with each number of threads."""
    bars: list[Bar] = []
    for part, run in (("article", article_training), ("steps", real_steps), ("epoch", exact_epoch)):
        for count in threads if part in parts else ():
            bars += run(count, **sizes[part])
    if "pairs" in parts:
        bars += pair_generation(**sizes["pairs"])
    if "command" in parts:
        bars += start_of_a_run(**sizes["command"])
    if "sweep" in parts:
        bars += sweeps(**sizes["sweep"])
    if "runs" in parts:
        bars.append(many_runs(**sizes["runs"]))
    return bars


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--only",
        nargs="+",
        choices=TINY,
        default=PARTS,
        metavar="PART",
        help=f"{', '.join(PARTS)} (default: all of these), sweep, runs",
    )
    add(
        "--threads",
        nargs="+",
        type=int,
        default=sorted({1, available_cores()}),
        help="numbers of threads of BLAS and of the trainer; default: 1 and the number of cores",
    )
    add("--repeats", type=int, help="default: 11, or 5 for long parts")
    add("--json", type=Path, help="file for all figures")
    add("--tiny", action="store_true", help="smallest sizes, as a test that the benchmark runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
