"""Measure speed, as ratios to a plain rendering of the article's recipe, and memory.

    python scripts/benchmark.py                               what takes seconds: some minutes
    python scripts/benchmark.py --only article pairs          some of it
    python scripts/benchmark.py --all --text big.txt          all of it, with a text of one's own for the long parts
    python scripts/benchmark.py --threads 1 --json speed.json

Both sides run in turns in this process, with the same number of BLAS threads; a ratio is the median over the
repeats. Results are compared first: what is faster and wrong is an error. The exit code is 1 if a promise is
not kept. docs/log/speed.md says what the figures mean. Against gensim and fastText: scripts/compare_peers.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.long_texts import counting, encoding, long_text, streaming
from benchmarks.measure import Report, show
from benchmarks.recipe import article_training, exact_epoch, pair_generation, real_steps, whole_command
from benchmarks.sweeping import sweeping
from rich.console import Console

from w2v_exp.errors import UserError
from w2v_exp.files import replacing
from w2v_exp.machine import available_cores

SHORT_PARTS = ("article", "steps", "epoch", "pairs", "command")
LONG_PARTS = ("text", "counts", "stream")
PARTS = (*SHORT_PARTS, "sweep", *LONG_PARTS)
LONG_TEXT = 100_000_000  # bytes
# The smallest of each part, to see that it runs.
TINY: dict[str, dict[str, Any]] = {
    "article": {"epochs": 20, "repeats": 2},
    "steps": {"messages": 1, "vocabulary_size": 300, "steps": 2, "large_steps": 1, "repeats": 2},
    "epoch": {"messages": 1, "steps": 2, "square": 64, "repeats": 2},
    "pairs": {"messages": 1, "vocabulary_size": 300, "tokens": 500, "repeats": 2},
    "command": {"repeats": 2},
    "sweep": {"epochs": 20, "page_runs": 4, "stored_runs": 20, "repeats": 2},
    "text": {"repeats": 2},
    "counts": {"vocabulary_size": 1000},
    "stream": {"vocabulary_size": 1000, "size": 2_200_000, "steps": 5},
}
TINY_TEXT = 2_100_000  # less would not be cached
REPEATED = ("article", "steps", "epoch", "pairs", "command", "sweep", "text")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    choices = _parser().parse_args(arguments)
    sizes = {part: dict(TINY[part]) if choices.tiny else {} for part in PARTS}
    for part in REPEATED if choices.repeats else ():
        sizes[part]["repeats"] = choices.repeats
    report = Report()
    try:
        measure(report, choices.only, choices.threads, sizes)
        if any(part in LONG_PARTS for part in choices.only):
            measure_long(report, choices.only, choices.text, TINY_TEXT if choices.tiny else LONG_TEXT, sizes)
    except (UserError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 140)
    show(report, console)
    if choices.tiny:
        console.print("These sizes are tiny: that it runs is all that the figures say.")
    if choices.json:
        with replacing(choices.json) as stream:
            json.dump(report.as_dict(), stream, indent=1)
    return 0 if choices.tiny or report.kept else 1


def measure(
    report: Report, parts: Sequence[str], threads: Sequence[int], sizes: dict[str, dict[str, Any]]
) -> None:
    """Measure those of the parts that need no long text; what uses BLAS with each of these numbers of threads."""
    for count in threads:
        if "article" in parts:
            report.comparisons.extend(article_training(count, **sizes["article"]))
        if "steps" in parts:
            report.comparisons.extend(real_steps(count, **sizes["steps"]))
        if "epoch" in parts:
            comparison, share = exact_epoch(count, **sizes["epoch"])
            report.comparisons.append(comparison)
            report.bars.append(share)
    if "pairs" in parts:
        report.comparisons.extend(pair_generation(**sizes["pairs"]))
    if "command" in parts:
        report.bars.append(whole_command(**sizes["command"]))
    if "sweep" in parts:
        report.bars.extend(sweeping(**sizes["sweep"]))


def measure_long(
    report: Report, parts: Sequence[str], path: Path | None, size: int, sizes: dict[str, dict[str, Any]]
) -> None:
    """Measure those of the parts that take a long text, on all cores, in processes of their own."""
    with long_text(path, size) as text:
        if "text" in parts:
            report.comparisons.append(encoding(text, **sizes["text"]))
        if "counts" in parts:
            report.bars.extend(counting(text, **sizes["counts"]))
        if "stream" in parts:
            streamed = streaming(text, **sizes["stream"])
            if isinstance(streamed, str):
                report.left_out.append(streamed)
            else:
                report.bars.extend(streamed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        default=SHORT_PARTS,
        metavar="PART",
        help=f"{', '.join(SHORT_PARTS)}; and, if named, {', '.join(PARTS[len(SHORT_PARTS) :])}",
    )
    chosen.add_argument("--all", dest="only", action="store_const", const=PARTS, help="every part")
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
    parser.add_argument("--repeats", type=int, help="default: 11, and 5 of what takes longer")
    parser.add_argument("--json", type=Path, help="a file for all figures, repeat by repeat")
    parser.add_argument("--tiny", action="store_true", help="see that it runs; the figures mean nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
