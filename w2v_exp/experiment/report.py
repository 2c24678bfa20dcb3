"""Results at the end of a run and a sweep, the files of a comparison, and ``w2v-exp compare``."""

from __future__ import annotations

import argparse
import logging
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from w2v_exp.choices import MlflowTracking
from w2v_exp.errors import UserError, shown
from w2v_exp.files import replacing
from w2v_exp.metrics import COST, CURVES, ESTIMATED, REPORTED, Metric, Ranking
from w2v_exp.plan import Plan
from w2v_exp.reporting.comparison import Comparison, compare, values_of
from w2v_exp.reporting.escape import visible_console
from w2v_exp.reporting.summary_page import FILE as PAGE
from w2v_exp.reporting.summary_page import Asked, ranked_metrics, write_summary_page
from w2v_exp.runs import RunResult, Sweep, read_results
from w2v_exp.training.callbacks import EPOCHS

_log = logging.getLogger(__name__)


def write_comparison(comparison: Comparison, folder: Path, *, plots: bool = True) -> None:
    """Write ``comparison.csv`` and, if wanted, the pictures into a folder; it is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    comparison.write_csv(folder / "comparison.csv")
    if plots:
        from w2v_exp.reporting.plots import (
            draw_cost_curves,
            draw_explained_by_memory,
            draw_explained_by_time,
            draw_heat_map,
            draw_memory_ladder,
            heat_maps,
        )
        from w2v_exp.reporting.summary_page import drawn_curves

        pictures: dict[str, Callable[[Comparison, Path], bool]] = {
            "explained_by_memory.png": draw_explained_by_memory,
            "explained_by_time.png": draw_explained_by_time,
            "memory_ladder.png": draw_memory_ladder,
        }
        for name, metric in heat_maps().items():
            pictures[f"{name}.png"] = partial(draw_heat_map, metric=metric)
        for metric in CURVES:
            (folder / f"{metric}_curves.png").unlink(missing_ok=True)
        for metric in drawn_curves(comparison):
            pictures[f"{metric}_curves.png"] = partial(draw_cost_curves, metric=metric)
        for name, draw in pictures.items():
            (folder / name).unlink(missing_ok=True)  # not every comparison has every picture
            draw(comparison, folder / name)


SHOWN_NEIGHBOURS = 6


def announce_run(console: Console, result: RunResult, plan: Plan, files: Path) -> None:
    """Say what a run has come to, where its files are, and how to look at it."""
    table = Table.grid(padding=(0, 2))
    for metric in REPORTED:
        if metric.name in result.metrics or math.isfinite(result.known(metric.name)):
            estimated = metric.name == COST and result.has_estimated_cost
            table.add_row(
                Text(metric.title(ESTIMATED if estimated else "")),
                Text(_figure(metric, result), justify="right"),
                Text(_coverage(metric, result)),
            )
    console.print(Text(f"{result.name}: {result.status.lower()}{_ended_early(result, plan)}"))
    if result.finished_before:
        console.print(
            Text(f"It has finished before, as run {result.run_id}. force=true runs it again."), soft_wrap=True
        )
    console.print(table)
    if result.similar:
        console.print(similar_words(result.similar))
    if result.explorer:
        console.print(Text(result.explorer), soft_wrap=True)
    if not result.run_id:
        console.print(Text(f"files: {files}"), soft_wrap=True)
    announce_store(console, plan, result.run_id)


def similar_words(similar: Mapping[str, Sequence[str]]) -> Table:
    """Return a row for each probe word, with the words nearest to it."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), title="nearest words", title_justify="left", show_header=False
    )
    for word, near in similar.items():
        said = ", ".join(shown(other) for other in near[:SHOWN_NEIGHBOURS])
        table.add_row(Text(shown(word)), Text(said or "not in the vocabulary"))
    return table


def announce_store(console: Console, plan: Plan, run_id: str = "") -> None:
    """Say how to browse what was logged."""
    if plan.mlflow is None:
        return
    from w2v_exp.tracking.store import browse_address, browse_command, open_store

    try:
        store = open_store(plan.mlflow.uri, plan.mlflow.experiment)
    except UserError as error:
        console.print(Text(f"It cannot be browsed now. {error}"), soft_wrap=True)
        return
    if command := browse_command(store.uri):
        console.print(Text(f"Browse: {command}, then open"))
    else:
        console.print(Text("Browse:"))
    console.print(Text(browse_address(store, run_id)), soft_wrap=True)


def _ended_early(result: RunResult, plan: Plan) -> str:
    """Return what has ended training before its last epoch, if something has."""
    if result.ended_by in ("", EPOCHS):
        return ""
    return f", ended by stop.{result.ended_by} after epoch {round(result.metrics['epochs_trained'])} of {plan.epochs}"


def _figure(metric: Metric, result: RunResult) -> str:
    value = result.metrics.get(metric.name, math.nan)
    if math.isnan(value):
        return "–"
    if metric.unit == "share":
        return f"{value:.1%}"
    return f"{value:,.0f}" if abs(value) >= 1000 or metric.decimals == 0 else f"{value:.4f}"


def _coverage(metric: Metric, result: RunResult) -> str:
    """Return the known share of an evaluation set, as its numbers; nothing for other metrics."""
    known, total = result.known(metric.name), result.total(metric.name)
    if math.isinf(known):
        return ""
    return f"{known:,.0f} of {total:,} {metric.items} known" if known else f"no {metric.items} known"


def finish_sweep(folder: Path, plan: Plan) -> list[RunResult]:
    """Compare the runs of a sweep's folder, say how they went, and return how each of them ended."""
    sweep = Sweep.read(folder)
    results = read_results(folder, sweep)
    if not results:
        return []
    runs = distinct(results)
    repeated = len(results) - len(runs)
    comparison = compare(runs, Ranking(*sweep.sought) if sweep.sought else None)
    comparison.write_csv(folder / "comparison.csv")
    page = folder / PAGE
    asked = Asked(sweep.name, sweep.command, sweep.total - repeated, sweep.changes)
    write_summary_page(comparison, asked, page)
    console = visible_console()
    comparison.print_table(console)
    if repeated:
        console.print(Text(f"{repeated} of {sweep.total} trials proposed values that were tried before."))
    if len(results) < sweep.total:
        console.print(Text(f"{sweep.total - len(results)} of {sweep.total} runs were not started."))
    if plan.mlflow:
        _log_summary(sweep, comparison, folder, plan.mlflow)
        announce_store(console, plan)
    else:
        console.print(Text(f"files: {folder}"), soft_wrap=True)
    console.print(Text(f"Page: {page.absolute().as_uri()}"), soft_wrap=True)
    return results


def distinct(results: Sequence[RunResult]) -> list[RunResult]:
    """Return each run once: a search may come back to values that it has tried, which is no repeat with a new seed."""
    kept: dict[tuple[tuple[str, str], ...], RunResult] = {}
    for result in results:
        kept.setdefault((*result.swept.items(), ("seed", str(result.seed))), result)
    return list(kept.values())


def _log_summary(sweep: Sweep, comparison: Comparison, folder: Path, tracking: MlflowTracking) -> None:
    from w2v_exp.tracking.history import log_summary, write_skipped
    from w2v_exp.tracking.store import store_uri
    from w2v_exp.tracking.upload import FILE as PENDING
    from w2v_exp.tracking.upload import replay_command

    files = folder / "summary"
    write_comparison(comparison, files, plots=tracking.plots)
    write_skipped(comparison.skipped, files)
    with replacing(files / PAGE, "wb", durable=False) as stream:
        stream.write((folder / PAGE).read_bytes())
    table = comparison.to_markdown()
    problem = log_summary(
        tracking.uri,
        tracking.experiment,
        sweep.name,
        sweep.command,
        sweep.keys,
        table,
        files,
        started=sweep.started,
        params=_summary_params(sweep, comparison),
        metrics=_summary_metrics(comparison),
    )
    if problem:
        _log.warning(f"The summary could not be logged ({problem}); it is in {files}.")
    if list(folder.rglob(PENDING)):
        command = replay_command(folder, store_uri(tracking.uri))
        _log.warning(f"The store does not have all of this sweep. {command}")


def _summary_params(sweep: Sweep, comparison: Comparison) -> dict[str, str]:
    """Return the swept keys with the values of the runs, and the best configuration, if the runs are ranked."""
    runs = [run for group in comparison.groups for run in group.runs] + comparison.unfinished
    seeds = sorted({run.seed for run in runs})
    swept = {key: ",".join(values_of(key, comparison)) for key in sweep.keys if key != "seed"}
    params = swept | {"seed": ",".join(map(str, seeds))}
    if comparison.ranking and comparison.groups:
        best = comparison.groups[0].swept
        params["ranked_by"] = comparison.ranking.metric
        params["best"] = " ".join(f"{key}={value}" for key, value in best.items())
    return params


def _summary_metrics(comparison: Comparison) -> dict[str, float]:
    """Return how many runs there are, and the best value of every metric that ranks: the mean of a configuration."""
    metrics = {
        "runs_finished": sum(len(group.runs) for group in comparison.groups),
        "runs_unfinished": len(comparison.unfinished),
    }
    ranked = ranked_metrics(comparison)
    best = {
        r: [r.sign * g.ranked_mean(r.metric) for g in comparison.groups if g.ranks(r.metric)] for r in ranked
    }
    return metrics | {
        f"sweep_best_{ranking.metric}": ranking.sign * max(values) for ranking, values in best.items()
    }


_COMPARE = """\
Compare recorded runs from the store alone: those of the newest sweep, of a named sweep, or of a filter.

  w2v-exp compare                              the newest sweep
  w2v-exp compare --sweep 2026-11-22_22-30-00-a1b2
  w2v-exp compare --filter "params.optimizer = 'adam' and metrics.cost < 2"
  w2v-exp compare --out reports/comparison     writes the table, the pictures and the page there, too"""


def compare_runs(arguments: list[str]) -> int:
    """Run ``w2v-exp compare``: print a comparison, and write it if a folder is given. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="w2v-exp compare", description=_COMPARE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--sweep", help="name of a sweep; without it and --filter: the newest one")
    which.add_argument("--filter", help="filter in MLflow's search syntax")
    parser.add_argument("--uri", help="of the store; default: MLFLOW_TRACKING_URI or ./mlflow.db")
    parser.add_argument("--experiment", help="in the store; default: MLFLOW_EXPERIMENT_NAME or w2v_exp")
    parser.add_argument(
        "--out", type=Path, help="folder for comparison.csv, comparison.md, summary.html and the pictures"
    )
    given = parser.parse_args(arguments)
    try:
        comparison, asked = _recorded_comparison(given, shlex.join(["w2v-exp", "compare", *arguments]))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    comparison.print_table(visible_console())
    if given.out:
        write_comparison(comparison, given.out)
        write_summary_page(comparison, asked, given.out / PAGE)
        with replacing(given.out / "comparison.md") as stream:
            stream.write(comparison.to_markdown())
        print(f"Written to {given.out}")
    return 0


def _recorded_comparison(given: argparse.Namespace, command: str) -> tuple[Comparison, Asked]:
    """Return the comparison of the runs that the arguments name, and the title of its page."""
    from w2v_exp.tracking.history import recorded_results, recorded_runs, recorded_sweep, skipped_results
    from w2v_exp.tracking.store import open_store

    store = open_store(given.uri, given.experiment, create=False)
    sweep = ""
    if given.filter:
        wanted, asked = given.filter, Asked(f"runs with {given.filter}", command)
    else:
        sweep, recorded = recorded_sweep(store, given.sweep)
        wanted, asked = f"tags.sweep = '{sweep}'", Asked(sweep, recorded or command)
    results = recorded_results(store, recorded_runs(store, wanted))
    results += skipped_results(store, sweep) if sweep else []
    if not results:
        raise UserError(f"No run in experiment {store.experiment} of {store.uri} matches {wanted}.")
    return compare(results), asked
