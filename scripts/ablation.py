"""Say what each choice of the exact softmax contributes: take one back after the other, and try other optimizers.

    python scripts/ablation.py                                   both parts, three seeds: docs/ablation.md
    python scripts/ablation.py --only weight_decay window        some choices, beside the settings as shipped
    python scripts/ablation.py --part optimizers --only adam     some optimizers
    python scripts/ablation.py --resume                          only what there is no outcome of yet
    python scripts/ablation.py --experiment file_softmax corpus.path=big.txt --output elsewhere

Every run is kept in reports/ablation/runs.jsonl as soon as it is finished. The tables are put between the markers of
ablation.md in the output folder, whose prose stays as it is: after every seed, so that there is a page if it is cut.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ablations.laboratory import Laboratory
from ablations.outcomes import Outcomes
from ablations.page import require_places
from ablations.report import SECTIONS, line, write_report
from ablations.trials import CHOICES, NAMES, PARTS, SHIPPED, Trial, choices, optimizers
from exact_softmax import at_least_one

from w2v_exp.cores import available_cores
from w2v_exp.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    options = parse(arguments)
    try:
        require_places(options.output, SECTIONS)
        fixed = [f"experiment={options.experiment}", "evaluation=standard", f"threads={options.threads}"]
        epochs = [] if options.epochs is None else [f"epochs={options.epochs}"]
        overrides = [*fixed, *epochs, *options.overrides]
        trials = [*choices(overrides), *optimizers(overrides)]
        wanted = select(trials, options.part, options.only)
        laboratory = Laboratory(trials[0].plan)
        outcomes = Outcomes(options.runs, laboratory.text)
        first = trials[0].plan.seed
        seeds = range(first, first + options.seeds)
        if not options.resume:
            outcomes.set_aside(wanted, seeds)
        for seed in seeds:  # by seed, so that those that are compared are neighbours in time
            for trial, outcome in laboratory.run(wanted, seed, outcomes):
                print(line(trial, outcome, laboratory.percent), flush=True)
            page = write_report(options.output, trials, outcomes, laboratory)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nInterrupted; what is finished is in {options.runs}, and --resume goes on.", file=sys.stderr)
        return 130
    print(f"Report: {page}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings of all trials, as for python -m w2v_exp"
    )
    parser.add_argument("--experiment", default="sotu_softmax", help="of conf/experiment (sotu_softmax)")
    parser.add_argument("--part", choices=PARTS, help="only one of them")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=NAMES, help=f"some of {', '.join(NAMES)}"
    )
    parser.add_argument("--seeds", type=at_least_one, default=3, help="how many to train from (3)")
    parser.add_argument("--epochs", type=at_least_one, help="of every training (the experiment's)")
    parser.add_argument(
        "--threads", type=at_least_one, default=available_cores(), help="of every training (all cores)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("docs"), help="folder of page and pictures (docs)"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("reports/ablation/runs.jsonl"), help="where finished runs are kept"
    )
    parser.add_argument("--resume", action="store_true", help="do only what there is no outcome of yet")
    return parser.parse_intermixed_args(arguments)


def select(trials: Sequence[Trial], part: str | None, only: Sequence[str] | None) -> list[Trial]:
    """Return the trials that are asked for; with a choice comes what it is compared with."""
    asked = [
        trial
        for trial in trials
        if part in (None, trial.part) and (only is None or any(map(trial.is_called, only)))
    ]
    compared = any(trial.part == CHOICES for trial in asked)
    return [trial for trial in trials if trial in asked or (compared and trial.name == SHIPPED)]


if __name__ == "__main__":
    sys.exit(main())
