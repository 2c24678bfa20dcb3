"""Compare the runs of a sweep, or of any MLflow filter, from the store alone.

python scripts/compare.py                              the newest sweep
python scripts/compare.py --sweep 2026-11-22_22-30-00-a1b2
python scripts/compare.py --filter "params.optimizer = 'adam' and metrics.cost < 2"
python scripts/compare.py --out reports/comparison     writes the table, the pictures and the page there, too
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from w2v_exp.errors import UserError
from w2v_exp.experiment.report import write_comparison
from w2v_exp.files import replacing
from w2v_exp.reporting.comparison import compare
from w2v_exp.reporting.escape import visible_console
from w2v_exp.reporting.summary_page import FILE, Asked, write_summary_page
from w2v_exp.tracking.history import recorded_results, recorded_runs, recorded_sweep, skipped_results
from w2v_exp.tracking.store import open_store


def main() -> None:
    """Read the command line, print the comparison, and write it where it says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--sweep", help="a sweep's name; the newest one if neither this nor --filter is given")
    which.add_argument("--filter", help="a filter of MLflow's search syntax")
    parser.add_argument("--uri", help="of the store; default: MLFLOW_TRACKING_URI or ./mlflow.db")
    parser.add_argument("--experiment", help="in the store; default: MLFLOW_EXPERIMENT_NAME or w2v_exp")
    parser.add_argument(
        "--out", type=Path, help="a folder for comparison.csv, comparison.md, summary.html and the pictures"
    )
    try:
        show(parser.parse_args())
    except UserError as error:
        sys.exit(str(error))


def show(arguments: argparse.Namespace) -> None:
    """Print the comparison that the command line asks for, and write it, if it says where to.

    Raises
    ------
    UserError
        If the store cannot be read, or there is nothing to compare.
    """
    store = open_store(arguments.uri, arguments.experiment, create=False)
    sweep = ""
    if arguments.filter:
        wanted, asked = arguments.filter, Asked(f"runs with {arguments.filter}", shlex.join(sys.argv))
    else:
        sweep, command = recorded_sweep(store, arguments.sweep)
        wanted, asked = f"tags.sweep = '{sweep}'", Asked(sweep, command or shlex.join(sys.argv))
    results = recorded_results(store, recorded_runs(store, wanted))
    results += skipped_results(store, sweep) if sweep else []
    if not results:
        raise UserError(f"No run in experiment {store.experiment} of {store.uri} matches {wanted}.")
    comparison = compare(results)
    comparison.print_table(visible_console())
    if arguments.out:
        write_comparison(comparison, arguments.out)
        write_summary_page(comparison, asked, arguments.out / FILE)
        with replacing(arguments.out / "comparison.md") as stream:
            stream.write(comparison.to_markdown())
        print(f"Written to {arguments.out}")


if __name__ == "__main__":
    main()
