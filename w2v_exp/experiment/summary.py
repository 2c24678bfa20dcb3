"""The end of a sweep: its comparison, printed, written to its folder and logged to its summary run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from w2v_exp.choices import MlflowTracking
from w2v_exp.experiment.announcement import announce_store
from w2v_exp.experiment.sweep import Sweep, read_results
from w2v_exp.files import replacing
from w2v_exp.plan import Plan
from w2v_exp.reporting.columns import Ranking
from w2v_exp.reporting.comparison import Comparison, compare
from w2v_exp.reporting.comparison_files import write_comparison
from w2v_exp.reporting.escape import visible_console
from w2v_exp.reporting.layout import values_of
from w2v_exp.reporting.results import RunResult
from w2v_exp.reporting.summary_page import FILE as PAGE
from w2v_exp.reporting.summary_page import Asked, ranked_metrics, write_summary_page


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
    write_summary_page(comparison, Asked(sweep.name, sweep.command, sweep.total - repeated), page)
    console = visible_console()
    comparison.print_table(console)
    if repeated:
        console.print(Text(f"{repeated} of {sweep.total} trials proposed values that were tried before."))
    if len(results) < sweep.total:
        console.print(Text(f"{sweep.total - len(results)} of {sweep.total} runs were not started."))
    if isinstance(plan.tracking, MlflowTracking):
        _log(sweep, comparison, folder, plan.tracking)
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


def _log(sweep: Sweep, comparison: Comparison, folder: Path, tracking: MlflowTracking) -> None:
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
        print(f"The summary could not be logged ({problem}); it is in {files}.", file=sys.stderr)
    if list(folder.rglob(PENDING)):
        command = replay_command(folder, store_uri(tracking.uri))
        print(f"The store does not have all of this sweep. {command}", file=sys.stderr)


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
