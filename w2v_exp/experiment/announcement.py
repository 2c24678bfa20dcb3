"""What is said on the terminal when a run or a sweep is over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from w2v_exp.choices import MlflowTracking
from w2v_exp.errors import UserError
from w2v_exp.plan import Plan
from w2v_exp.reporting.columns import named
from w2v_exp.reporting.escape import shown
from w2v_exp.reporting.results import RunResult
from w2v_exp.training.callbacks import EPOCHS

SHOWN_NEIGHBOURS = 6
FIGURES = {
    "cost": "{cost}, nats per pair",
    "objective_cost": "objective cost, nats per pair",
    "validation_cost": "validation cost (held-out pairs)",
    "cost_floor": "cost floor (all pairs)",
    "unigram_cost": "unigram cost (only frequencies)",
    "information_explained": "information explained",
    "neighbour_precision": "true neighbours found",
    "wordsim353": "WordSim-353, Spearman",
    "simlex999": "SimLex-999, Spearman",
    "analogies": "analogies answered",
    "continued_words": "words that go on",
    "new_words": "new words",
    "kept_words": "words kept as they were",
    "peak_memory_mb": "peak memory, MB",
    "train_seconds": "training, seconds",
    "estimated_seconds": "training, seconds expected",
    "pairs_per_second": "pairs a second",
}


def announce_run(console: Console, result: RunResult, plan: Plan, files: Path) -> None:
    """Say what a run has come to, where its files are, and how to look at it."""
    table = Table.grid(padding=(0, 2))
    cost = named("cost", estimated=result.has_estimated_cost)
    for metric, meaning in FIGURES.items():
        if metric in result.metrics or math.isfinite(result.known(metric)):
            label = Text(meaning.format(cost=cost))
            table.add_row(
                label, Text(_figure(metric, result), justify="right"), Text(_coverage(metric, result))
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
    if not isinstance(plan.tracking, MlflowTracking):
        return
    from w2v_exp.tracking.store import browse_address, browse_command, open_store

    try:
        store = open_store(plan.tracking.uri, plan.tracking.experiment)
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


def _figure(metric: str, result: RunResult) -> str:
    value = result.metrics.get(metric, math.nan)
    if math.isnan(value):
        return "–"
    if metric in ("information_explained", "neighbour_precision", "analogies"):
        return f"{value:.1%}"
    return f"{value:,.0f}" if abs(value) >= 1000 or metric.endswith("_words") else f"{value:.4f}"


def _coverage(metric: str, result: RunResult) -> str:
    """Return how much of its set a score is of; nothing for other metrics."""
    known, total = result.known(metric), result.total(metric)
    if math.isinf(known):
        return ""
    what = "questions" if metric == "analogies" else "pairs"
    return f"{known:,.0f} of {total:,} {what} known" if known else f"no {what} known"
