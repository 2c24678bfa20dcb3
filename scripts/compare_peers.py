"""Compare our trainings with those of gensim and fastText: quality, speed and memory for the same words and cores.

    python scripts/compare_peers.py                                   the exact softmax on the presidents' messages
    python scripts/compare_peers.py --text big.txt.xz --max-size 30000 --gensim-epochs 1,2,5
    python scripts/compare_peers.py skipgram two-cores hierarchical cbow --text big.txt.xz --bytes 20000000
    python scripts/compare_peers.py --resume                          resumes a comparison that was interrupted
    python scripts/compare_peers.py dim=200 labels.smoothing=0        other settings of our side

Each training is a complete schedule in a process of its own; contenders alternate, seed by seed. Each is written to
results.jsonl as soon as it is done. Writes report.md, report.json and a picture of each match. The exit code is 1 if a
bar is missed. docs/log/quality.md and docs/log/speed.md have results.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import bar_table, machine_description
from peers.contenders import require_gensim
from peers.matches import EXACT, SAMPLED, Match, digest_of, exact_match, plain_text, sampled_match, trainings
from peers.picture import draw_match
from peers.report import headline, line, markdown
from peers.training import Order, Results, require_proc
from peers.verdict import bars
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
        with ExitStack() as stack:
            return compare(options, stack, console)
    except (UserError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"\nInterrupted. Resume with --resume: finished trainings are in {options.output}.",
            file=sys.stderr,
        )
        return 130


def compare(options: argparse.Namespace, stack: ExitStack, console: Console) -> int:
    """Carry out the missing trainings, and write the report."""
    require_gensim()
    if options.matches != [EXACT]:
        require_proc()
    text, origin = stack.enter_context(plain_text(options.text, options.bytes))
    cache = Path(stack.enter_context(TemporaryDirectory(prefix="w2v_exp-peers-")))
    matches: list[Match] = []
    orders: list[Order] = []
    for name in options.matches:
        match, seed = make_match(name, options, text, cache)
        matches.append(match)
        orders += match.orders(range(seed, seed + options.seeds))
    orders.sort(key=lambda order: order.seed)
    results = Results(options.output, resume=options.resume)
    for trained in trainings(orders, text, cache, results):
        console.print(line(trained), soft_wrap=True, markup=False)
    digest = digest_of(text)
    done = [one for order in orders if (one := results.of(order, digest)) is not None]
    own = {match.name: [one for one in done if one.order.match == match.name] for match in matches}
    verdicts = [bars(match, own[match.name]) for match in matches]
    for match in matches:
        if own[match.name][0].points[-1].scores:
            draw_match(options.output / f"{match.name}.png", match, own[match.name])
    report = markdown(matches, done, verdicts, origin)
    with replacing(options.output / "report.md") as stream:
        stream.write(report)
    named = {
        match.name: [bar.as_dict() for bar in verdict]
        for match, verdict in zip(matches, verdicts, strict=True)
    }
    with replacing(options.output / "report.json") as stream:
        json.dump({"machine": machine_description(), "bars": named}, stream, indent=1)
    for verdict in verdicts:
        console.print(bar_table(verdict))
    console.print(
        f"{headline(verdicts)} Report: {options.output / 'report.md'}", markup=False, soft_wrap=True
    )
    return 0 if all(bar.kept for verdict in verdicts for bar in verdict) else 1


def make_match(name: str, options: argparse.Namespace, text: Path, cache: Path) -> tuple[Match, int]:
    """Return a match with the options of the command line, and its first seed."""
    if name != EXACT:
        return sampled_match(name, text, options.overrides, (options.epochs or [5])[-1])
    sizes = [] if options.max_size is None else [f"vocabulary.max_size={options.max_size}"]
    return exact_match(
        text,
        [f"experiment={options.experiment}", *sizes, *options.overrides],
        cache,
        cores=options.threads,
        schedules=options.epochs,
        gensim_schedules=options.gensim_epochs,
        promised=options.bars,
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add, known = parser.add_argument, [EXACT, *SAMPLED]
    add(
        "given",
        nargs="*",
        metavar="MATCH | key=value",
        help=f"{', '.join(known)} ({EXACT}); and settings of our side",
    )
    add("--text", type=Path, metavar="PATH", help="another text: any value of corpus.path")
    add("--bytes", type=at_least_one, metavar="N", help="only the beginning of the text")
    add("--max-size", type=at_least_one, metavar="V", help="exact: only the V most frequent words")
    add(
        "--experiment",
        help="exact: of conf/experiment (sotu_softmax, or file_softmax for a text of your own)",
    )
    add("--seeds", type=at_least_one, default=3, help="number of seeds (3)")
    add(
        "--epochs",
        type=schedules,
        help="exact: our complete schedules, such as 5,10,20 (1,2,5,… up to the experiment's); else: epochs (5)",
    )
    add("--gensim-epochs", type=schedules, default=[1, 2, 5, 10], help="exact: gensim's schedules (1,2,5,10)")
    add("--threads", type=at_least_one, default=available_cores(), help="exact: of both sides (all cores)")
    add("--bars", nargs="+", type=bar, metavar="SET=SCORE", help="exact: scores of ours within gensim's time")
    add("--output", type=Path, help="folder (reports/exact_softmax; of other matches reports/peers)")
    add("--resume", action="store_true", help="keep the trainings in the folder, and add the missing ones")
    options = parser.parse_intermixed_args(arguments)
    options.overrides = [text for text in options.given if "=" in text or text.startswith("~")]
    options.matches = [text for text in options.given if text not in options.overrides] or [EXACT]
    for name in options.matches:
        if name not in known:
            parser.error(f"{name}: neither a match ({', '.join(known)}) nor key=value")
    standard = SOTU_BARS if options.text is None and not options.overrides else {}
    if options.experiment is None:
        options.experiment = "sotu_softmax" if options.text is None else "file_softmax"
    options.bars = standard if options.bars is None else dict(options.bars)
    if options.output is None:
        options.output = Path("reports/exact_softmax" if options.matches == [EXACT] else "reports/peers")
    return options


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
            f"{text!r} must be a set and a score from 0 to 1, such as wordsim353=0.44"
        )
    return name, score


if __name__ == "__main__":
    sys.exit(main())
