"""Results at the end of a run, printed without Rich, which takes 0.02 s to import and to print them."""

from __future__ import annotations

import math
import shutil
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from w2v_exp.errors import UserError, shown, visible
from w2v_exp.metrics import COST, ESTIMATED, REPORTED, Metric
from w2v_exp.plan import Plan
from w2v_exp.results import RunResult
from w2v_exp.tracking.companion import Companion
from w2v_exp.training.callbacks import EPOCHS

SHOWN_NEIGHBOURS = 6
GAP = "  "  # between columns


def print_run(result: RunResult, plan: Plan, files: Path, companion: Companion | None = None) -> None:
    """Print the metrics, nearest words and places of a run."""
    lines = [f"{result.name}: {result.status.lower()}{_ended_early(result, plan)}"]
    if result.finished_before:
        lines.append(f"Skipped: finished earlier as run {result.run_id}. force=true runs it again.")
    lines += _metric_lines(result)
    lines += similar_words(result.similar, shutil.get_terminal_size().columns)
    lines += [result.explorer] if result.explorer else []
    lines += [] if result.run_id else [f"files: {files}"]
    lines += browse_lines(plan, result.run_id, companion=companion)
    print(visible("\n".join(lines)))


def _metric_lines(result: RunResult) -> list[str]:
    """Return a line for each known metric: its title, its value, and how many items of an evaluation set are known."""
    rows = []
    for metric in REPORTED:
        if metric.name in result.metrics or math.isfinite(result.known(metric.name)):
            estimated = metric.name == COST and result.has_estimated_cost
            title = metric.title(ESTIMATED if estimated else "")
            rows.append((title, _figure(metric, result), _coverage(metric, result)))
    titles, figures = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    return [
        f"{title:{titles}}{GAP}{figure:>{figures}}{GAP}{coverage}".rstrip()
        for title, figure, coverage in rows
    ]


def similar_words(similar: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """Return a table of the nearest words of each probe word, as lines of a terminal with this number of columns."""
    words = {shown(word): [*map(shown, near[:SHOWN_NEIGHBOURS])] for word, near in similar.items()}
    if not words:
        return []
    indent = max(map(_columns, words)) + len(GAP)
    lines = ["nearest words"]
    for word, near in words.items():
        parts = [f"{other}," for other in near[:-1]] + near[-1:] or ["not in the vocabulary"]
        for number, line in enumerate(_filled(parts, width - indent)):
            first = "" if number else word
            lines.append(f"{first}{' ' * (indent - _columns(first))}{line}")
    return lines


def _filled(parts: Sequence[str], width: int) -> Iterator[str]:
    """Yield lines of at most this width, each with as many parts as possible, at least one."""
    line = ""
    for part in parts:
        if line and _columns(line) + 1 + _columns(part) > width:
            yield line
            line = ""
        line = f"{line} {part}" if line else part
    yield line


def _columns(text: str) -> int:
    """Return the number of columns that a terminal takes for a text: two for wide characters, none for marks."""
    if text.isascii():
        return len(text)
    marks = sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)
    return len(text) - marks + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


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


def _coverage(metric: Metric, result: RunResult) -> str:
    """Return the number of known items of an evaluation set; else empty."""
    known, total = result.known(metric.name), result.total(metric.name)
    if math.isinf(known):
        return ""
    return f"{known:,.0f} of {total:,} {metric.items} known" if known else f"no {metric.items} known"
