"""The sub-commands ``compare`` and ``cache`` of ``w2v-exp``."""

from __future__ import annotations

import argparse
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from w2v_exp.counting.store import CountStore
from w2v_exp.errors import SuggestingParser, UserError, require_whole
from w2v_exp.files import TAG, replacing
from w2v_exp.machine import readable_bytes
from w2v_exp.reporting.escape import visible_console
from w2v_exp.text.cache import TextCache
from w2v_exp.text.text8 import Text8Corpus

if TYPE_CHECKING:
    from w2v_exp.reporting.comparison import Comparison
    from w2v_exp.reporting.summary_page import Header

MISTAKE = 2

COMPARE = """\
Compare recorded runs: those in the folder of a sweep, or, in MLflow, of the newest sweep, a named sweep or a filter.

  w2v-exp compare outputs/sweeps/2026-11-22_22-30-00-a1b2    from the folder alone, also with tracking=none
  w2v-exp compare                              the newest sweep in MLflow
  w2v-exp compare --sweep 2026-11-22_22-30-00-a1b2
  w2v-exp compare --filter "params.optimizer = 'adam' and metrics.cost < 2"
  w2v-exp compare --out reports/comparison     also write the table, the pictures and the page to a folder
  w2v-exp compare --embeddings                 also compare nearest neighbours and spaces between the runs
  w2v-exp compare --embeddings RUN RUN ...     those of given runs or files, named as for `w2v-exp ask`"""


def compare_parser() -> argparse.ArgumentParser:
    """Return the parser of ``w2v-exp compare``."""
    from w2v_exp.embeddings.embeddings import VECTORS  # late: `w2v-exp cache` needs no embeddings
    from w2v_exp.embeddings.stability import MOST_WORDS
    from w2v_exp.experiment.queries import whole_number

    parser = SuggestingParser(
        prog="w2v-exp compare", description=COMPARE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    selected = parser.add_mutually_exclusive_group()
    selected.add_argument(
        "folder",
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="folder of a sweep; no store is needed. With --embeddings also two or more runs or files",
    )
    selected.add_argument("--sweep", help="name of a sweep; default: the newest sweep")
    selected.add_argument("--filter", help="filter in the syntax of MLflow's search")
    parser.add_argument("--uri", help="address of the store; default: MLFLOW_TRACKING_URI or ./mlflow.db")
    parser.add_argument(
        "--experiment", help="experiment in the store; default: MLFLOW_EXPERIMENT_NAME or w2v_exp"
    )
    parser.add_argument(
        "--out", type=Path, help="folder for comparison.csv, comparison.md, summary.html and the pictures"
    )
    embeddings = parser.add_argument_group("stability of the embeddings")
    embeddings.add_argument(
        "--embeddings",
        action="store_true",
        help="compare the embeddings of the runs: common neighbours, aligned spaces, least and most stable words",
    )
    embeddings.add_argument(
        "--words",
        type=whole_number,
        metavar="N",
        help=f"compare the most frequent N words that all runs have; default: {MOST_WORDS:,}",
    )
    embeddings.add_argument(
        "--neighbours", type=whole_number, metavar="K", help="neighbours of a word; default: 10"
    )
    embeddings.add_argument(
        "--vectors",
        choices=VECTORS,
        help="vectors to compare; default: those chosen by each run's `embedding`, or input for a file",
    )
    return parser


def compare_runs(arguments: list[str]) -> int:
    """Run ``w2v-exp compare`` and return the exit code: 2 if no run is found."""
    given = compare_parser().parse_args(arguments)
    try:
        _compare(given, shlex.join(["w2v-exp", "compare", *arguments]))
    except UserError as error:
        print(str(error).replace("tracking.uri", "--uri", 1) if given.uri else error, file=sys.stderr)
        return MISTAKE
    return 0


def _compare(given: argparse.Namespace, command: str) -> None:
    """Print the comparison of the selected runs, and write its files."""
    from w2v_exp.experiment.report import write_comparison
    from w2v_exp.experiment.stability import comparison_stability, named_stability
    from w2v_exp.reporting.conclusions import print_conclusions
    from w2v_exp.reporting.intervals import print_intervals
    from w2v_exp.reporting.summary_page import FILE as PAGE
    from w2v_exp.reporting.summary_page import write_summary_page

    options = {name: getattr(given, name) for name in ("words", "neighbours", "vectors")}
    options = {name: value for name, value in options.items() if value is not None}
    if options and not given.embeddings:
        raise UserError(f"--{next(iter(options))}: needs --embeddings.")
    if "words" in options:
        require_whole("--words", given.words, at_least=2)
    console = visible_console()
    if len(given.folder) > 1:
        if not given.embeddings:
            raise UserError(
                "Several runs are compared with --embeddings; without it, give one folder of a sweep."
            )
        report = named_stability(given.folder, given.uri, **options)
        report.print(console)
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
            report.write_csv(given.out)
            print(f"Written to {given.out}")
        return
    comparison, title = (
        _folder_comparison(Path(given.folder[0])) if given.folder else _stored_comparison(given, command)
    )
    comparison.print_table(console)
    print_conclusions(comparison, console)
    print_intervals(comparison, console)
    stability = comparison_stability(comparison, given.uri, **options) if given.embeddings else None
    if stability:
        stability.print(console)
    if given.out:
        write_comparison(comparison, given.out)
        if stability:
            stability.write_csv(given.out)
        write_summary_page(comparison, title, given.out / PAGE, stability)
        with replacing(given.out / "comparison.md") as stream:
            stream.write(comparison.to_markdown())
        print(f"Written to {given.out}")


def _folder_comparison(folder: Path) -> tuple[Comparison, Header]:
    """Return the comparison of the runs in a sweep's folder, and the title of its page."""
    from w2v_exp.experiment.report import distinct
    from w2v_exp.metrics import Ranking
    from w2v_exp.reporting.comparison import compare
    from w2v_exp.reporting.summary_page import Header
    from w2v_exp.results import SWEEP_FILE, Sweep
    from w2v_exp.tracking.history import sweep_results

    if not (folder / SWEEP_FILE).exists():
        raise UserError(
            f"{folder}: not the folder of a sweep (it has no {SWEEP_FILE}). "
            "Runs are compared with --embeddings, two or more."
        )
    sweep = Sweep.read(folder)
    runs = distinct(sweep_results(folder, sweep))
    if not runs:
        raise UserError(f"{folder}: no run of this sweep has begun.")
    comparison = compare(runs, Ranking(*sweep.sought) if sweep.sought else None)
    return comparison, Header(sweep.name, sweep.command, len(runs), sweep.changes)


def _stored_comparison(given: argparse.Namespace, command: str) -> tuple[Comparison, Header]:
    """Return the comparison of the selected runs in MLflow, and the title of its page."""
    from w2v_exp.reporting.comparison import compare
    from w2v_exp.reporting.summary_page import Header
    from w2v_exp.tracking.history import recorded_results, recorded_runs, recorded_sweep, skipped_results
    from w2v_exp.tracking.store import open_store

    store = open_store(given.uri, given.experiment, create=False)
    sweep = ""
    if given.filter:
        selected, title = given.filter, Header(f"runs with {given.filter}", command)
    else:
        sweep, recorded = recorded_sweep(store, given.sweep)
        selected, title = f"tags.sweep = '{sweep}'", Header(sweep, recorded or command)
    results = recorded_results(store, recorded_runs(store, selected))
    results += skipped_results(store, sweep) if sweep else []
    if not results:
        raise UserError(f"No run in experiment {store.experiment} of {store.uri} matches {selected}.")
    return compare(results), title


def cache_parser() -> argparse.ArgumentParser:
    """Return the parser of ``w2v-exp cache``."""
    parser = SuggestingParser(
        prog="w2v-exp cache",
        description="List or clear the cache of texts and counts. Downloaded corpora are listed and never removed.",
    )
    parser.add_argument(
        "action", choices=["list", "clear"], help="print the texts in the cache, or remove them"
    )
    parser.add_argument("--folder", help="folder of the cache (cache.folder of the runs), if not the default")
    return parser


def manage_cache(arguments: list[str]) -> int:
    """Run ``w2v-exp cache`` and return the exit code."""
    given = cache_parser().parse_args(arguments)
    cache, console = TextCache(folder=given.folder), visible_console()
    if given.action == "list":
        list_texts(cache, console)
        list_counts(CountStore(cache.counts_path), console)
        if given.folder is None:
            list_downloads(Text8Corpus.folder(), console)
    else:
        entries, size = cache.clear()
        _print(console, f"{_texts(entries)} of {readable_bytes(size)} removed from {cache.path}")
        counts = CountStore(cache.counts_path)
        counted, size = counts.clear()
        if size:
            _print(
                console, f"Counts of {_texts(counted)}, {readable_bytes(size)}, removed from {counts.folder}"
            )
    return 0


def list_texts(cache: TextCache, console: Console) -> None:
    """Print source, size and settings of each cached text, newest use first."""
    entries = cache.entries()
    size = sum(entry_size for _, _, entry_size, _ in entries)
    _print(console, f"{_texts(len(entries))} of {readable_bytes(size)} in {cache.path}")
    for _, entry, entry_size, used in entries:
        if entry is None:
            damaged = "damaged or of another version; it is rebuilt when it is needed"
            _print(console, f"\n{readable_bytes(entry_size)}, {damaged}")
            continue
        when = datetime.fromtimestamp(used).strftime("%Y-%m-%d %H:%M")
        segments = f"{entry.segments:,} segments, " if entry.segment_end != "corpus" else ""
        figures = f"{entry.tokens:,} tokens, {segments}{readable_bytes(entry_size)}, last used {when}"
        _print(console, f"\n{entry.source}", style="bold")
        _print(console, f"  {figures}\n  {entry.tokenizer}\n  {entry.vocabulary}")


def list_counts(store: CountStore, console: Console) -> None:
    """Print source, size and settings of each text whose pairs are counted, newest use first."""
    size = sum(each.size for each in store.kept())
    if not size:
        return
    texts = store.texts()
    about = "with the words and pairs of their shards"
    _print(console, f"\nCounts of {_texts(len(texts))}, {about}: {readable_bytes(size)} in {store.folder}")
    for description, bytes_of_text, used in texts:
        if description is None:
            _print(console, f"\n{readable_bytes(bytes_of_text)}, damaged; made again when it is needed")
            continue
        when = datetime.fromtimestamp(used).strftime("%Y-%m-%d %H:%M")
        figures = f"{description['tokens']:,} tokens, {readable_bytes(bytes_of_text)}, last used {when}"
        settings = (description[name] for name in ("tokenizer", "vocabulary", "windows"))
        _print(console, f"\n{description['source']}", style="bold")
        _print(console, "\n  ".join(["  " + figures, *settings]))


def list_downloads(folder: Path, console: Console) -> None:
    """Print the size of the downloaded corpus in a folder, if there is one."""
    size = sum(file.stat().st_size for file in folder.glob("*") if file.is_file() and file.name != TAG)
    if size:
        _print(
            console,
            f"\n{folder.name}\n  downloaded: {readable_bytes(size)} in {folder}; clear does not remove it",
        )


def _print(console: Console, text: str, style: str = "") -> None:
    """Print a text as it is: a name of a file may look like markup."""
    console.print(Text(text, style=style), soft_wrap=True)


def _texts(number: int) -> str:
    return f"{number} text" if number == 1 else f"{number} texts"
