"""Results at the end of a run, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from w2v_exp.embeddings.evaluation import association_names
from w2v_exp.errors import UserError, shown
from w2v_exp.metrics import COST, ESTIMATED, REPORTED, Metric
from w2v_exp.plan import Plan
from w2v_exp.reporting.escape import visible_console
from w2v_exp.results import RunResult
from w2v_exp.tracking.companion import Companion
from w2v_exp.training.callbacks import EPOCHS

SHOWN_NEIGHBOURS = 6


def print_run(result: RunResult, plan: Plan, files: Path, companion: Companion | None = None) -> None:
    """Print the metrics, nearest words and places of a run."""
    console = visible_console()
    console.print(Text(f"{result.name}: {result.status.lower()}{_ended_early(result, plan)}"), soft_wrap=True)
    if result.finished_before:
        skipped = f"Skipped: finished earlier as run {result.run_id}. force=true runs it again."
        console.print(Text(skipped), soft_wrap=True)
    console.print(_metric_table(result))
    if result.similar:
        console.print(similar_words(result.similar))
    lines = [line for line in (result.explorer, result.slices) if line]
    lines += [] if result.run_id else [f"files: {files}"]
    for line in [*lines, *browse_lines(plan, result.run_id, companion=companion)]:
        console.print(Text(line), soft_wrap=True)


def _metric_table(result: RunResult) -> Table:
    """Return a row for each known metric: its title, its value, and how many items of an evaluation set are known."""
    table = Table.grid(padding=(0, 2))
    for metric in REPORTED:
        if metric.name in result.metrics or math.isfinite(result.known(metric.name)):
            estimated = metric.name == COST and result.has_estimated_cost
            table.add_row(
                Text(metric.title(ESTIMATED if estimated else "")),
                Text(_figure(metric, result), justify="right"),
                Text(_coverage(metric, result)),
            )
            if ends := _interval(metric, result):
                table.add_row(Text("  90 % interval over documents"), Text(ends, justify="right"))
    for name in association_names(result.metrics):
        if (effect := result.metrics.get(name)) is not None:
            known, p = round(result.metrics[f"words_{name}"]), result.metrics.get(f"p_{name}", math.nan)
            table.add_row(
                Text(shown(name.replace("_", " ", 1), 60)),
                Text(f"{effect:.4f}", justify="right"),
                Text(f"p {p:.4f}, {known} words known"),
            )
    return table


def similar_words(similar: Mapping[str, Sequence[str]]) -> Table:
    """Return a table of the nearest words of each probe word."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), title="nearest words", title_justify="left", show_header=False
    )
    for word, near in similar.items():
        listed = ", ".join(shown(other) for other in near[:SHOWN_NEIGHBOURS])
        table.add_row(Text(shown(word)), Text(listed or "not in the vocabulary"))
    return table


def browse_lines(
    plan: Plan, run_id: str = "", view: str = "", companion: Companion | None = None
) -> list[str]:
    """Return how to browse the runs in MLflow."""
    if plan.mlflow is None:
        return []
    from w2v_exp.tracking.store import browse_address, browse_command, open_store, store_uri

    try:
        uri = store_uri(plan.mlflow.uri)
        identity = companion.experiment_id if companion else ""
        identity = identity or open_store(plan.mlflow.uri, plan.mlflow.experiment).experiment_id
    except UserError as error:
        return [f"MLflow UI not available: {error}"]
    command = browse_command(uri)
    return [
        f"Browse: {command}, then open" if command else "Browse:",
        browse_address(uri, identity, run_id, view),
    ]


def _ended_early(result: RunResult, plan: Plan) -> str:
    """Return the reason of an early end of training; empty without one."""
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


def _interval(metric: Metric, result: RunResult) -> str:
    """Return the interval of a score over documents; else empty."""
    ends = [result.metrics.get(f"{metric.name}_{end}", math.nan) for end in ("low", "high")]
    if not all(map(math.isfinite, ends)):
        return ""
    low, high = (f"{end:.1%}" if metric.unit == "share" else f"{end:.3f}" for end in ends)
    return f"{low} to {high}"


def _coverage(metric: Metric, result: RunResult) -> str:
    """Return the number of known items of an evaluation set; else empty."""
    known, total = result.known(metric.name), result.total(metric.name)
    if math.isinf(known):
        return ""
    return f"{known:,.0f} of {total:,} {metric.items} known" if known else f"no {metric.items} known"
