"""Measure speed, as ratios to a plain rendering of the article's recipe, and memory.

    python scripts/benchmark.py                               what takes seconds: some minutes
    python scripts/benchmark.py --only article pairs          some of it
    python scripts/benchmark.py --all --text big.txt          all of it, with a text of one's own for the long parts
    python scripts/benchmark.py --threads 1 --json speed.json
    python scripts/benchmark.py peers --help                  against gensim and fastText, at equal quality

Both sides run in turns in this process, with the same number of BLAS threads; a ratio is the median over the
repeats. Results are compared first: what is faster and wrong is an error. The exit code is 1 if a promise is
not kept. docs/speed.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import tables
from benchmarks.counting import counting
from benchmarks.encoding import encoding
from benchmarks.epoch import exact_epoch
from benchmarks.machine import anatomy
from benchmarks.peers.command import main as peers
from benchmarks.real_text import free_bytes, long_text, repeated_text
from benchmarks.report import Report
from benchmarks.sizes import FULL, TINY, Size
from benchmarks.steps import steps_at_a_real_vocabulary, wide_steps
from benchmarks.streaming import streaming
from benchmarks.sweeping import sweeping
from benchmarks.workloads import article_training, command_seconds, pair_generation
from rich.console import Console

from w2v_exp.errors import UserError
from w2v_exp.files import replacing
from w2v_exp.machine import available_cores

SHORT_PARTS = ("article", "steps", "epoch", "pairs", "command", "machine")
SLOW_PARTS = ("sweep",)
LONG_PARTS = ("text", "counts", "stream")
STREAM_NEEDS = 4  # times its text: that, its ids, and room for others


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["peers"]:
        return peers(given[1:])
    choices = _parser().parse_args(given)
    size = TINY if choices.tiny else FULL
    if choices.repeats:
        size = replace(size, repeats=choices.repeats, long_repeats=choices.repeats)
    report = Report()
    try:
        measure_short(report, size, choices.only, choices.threads)
        if "sweep" in choices.only:
            report.bars.extend(sweeping(size))
        if any(part in LONG_PARTS for part in choices.only):
            measure_long(report, size, choices.only, choices.text)
    except (UserError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 140)
    tables.show(report, console)
    if choices.tiny:
        console.print("These sizes are tiny: that it runs is all that the figures say.")
    if choices.json:
        with replacing(choices.json) as stream:
            json.dump(report.as_dict(), stream, indent=1)
    return 0 if choices.tiny or report.kept else 1


def measure_short(report: Report, size: Size, parts: Sequence[str], threads: Sequence[int]) -> None:
    """Measure those of the chosen parts that take seconds; what uses BLAS with each of these numbers of threads."""
    for count in threads:
        if "article" in parts:
            report.comparisons.extend(article_training(size, count))
        if "steps" in parts:
            report.comparisons.extend(steps_at_a_real_vocabulary(size, count))
            report.comparisons.extend(wide_steps(size, count))
        if "epoch" in parts:
            comparison, epoch = exact_epoch(size, count)
            report.comparisons.append(comparison)
            report.epochs.append(epoch)
            report.bars.append(epoch.bar)
        if "machine" in parts:
            report.anatomies.extend(anatomy(size, count))
    if "pairs" in parts:
        report.comparisons.extend(pair_generation(size))
    if "command" in parts:
        report.command_seconds.extend(command_seconds(size.repeats))


def measure_long(report: Report, size: Size, parts: Sequence[str], path: Path | None) -> None:
    """Measure those of the chosen parts that take a long text, on all cores, in processes of their own."""
    with long_text(path, size.long_text) as text:
        if "text" in parts:
            report.comparisons.append(encoding(size, text))
        if "counts" in parts:
            report.bars.extend(counting(size, text))
        if "stream" in parts:
            if free_bytes() < STREAM_NEEDS * size.stream:
                report.left_out.append(
                    f"stream is left out: it needs {STREAM_NEEDS * size.stream / 1e9:.0f} GB of disk for a while, "
                    f"and the temporary folder has {free_bytes() / 1e9:.1f}. TMPDIR names another."
                )
            else:
                with repeated_text(text, size.stream) as longer:
                    report.bars.extend(streaming(size, longer))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = (*SHORT_PARTS, *SLOW_PARTS, *LONG_PARTS)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--only",
        nargs="+",
        choices=parts,
        default=SHORT_PARTS,
        metavar="PART",
        help=f"{', '.join(SHORT_PARTS)}; and, if named, {', '.join((*SLOW_PARTS, *LONG_PARTS))}",
    )
    chosen.add_argument("--all", dest="only", action="store_const", const=parts, help="every part")
    parser.add_argument(
        "--text",
        type=Path,
        metavar="PATH",
        help="a plain text file for the long parts; default: 100 MB of the presidents' messages, repeated",
    )
    parser.add_argument(
        "--threads",
        nargs="+",
        type=int,
        default=sorted({1, available_cores()}),
        help="of BLAS and of the trainer, one after the other; default: 1, and as many as there are cores",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        help=f"default: {FULL.repeats}, and {FULL.long_repeats} of what takes longer",
    )
    parser.add_argument("--json", type=Path, help="a file for all figures, repeat by repeat")
    parser.add_argument("--tiny", action="store_true", help="see that it runs; the figures mean nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
