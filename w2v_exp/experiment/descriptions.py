"""Descriptions of runs and sweeps in MLflow's UI, and the view of a sweep's runs there."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from w2v_exp.errors import shown
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.metrics import COLUMNS, Metric
from w2v_exp.reporting.escape import code_span, markdown
from w2v_exp.results import Sweep
from w2v_exp.tracking.journal import milliseconds
from w2v_exp.tracking.upload import IN_EXPERIMENT, IN_RUN, VIEW

if TYPE_CHECKING:
    from w2v_exp.reporting.comparison import Comparison

COMPARED = tuple(column for column in COLUMNS if not column.constant)
# Files of a run that are worth a link, with their names.
LINKED = {
    "explorer.html": "map of the words",
    "similar_words.json": "nearest words",
    "cost.png": "cost by epoch",
    "traceback.txt": "traceback",
}
TRAINING = "workflowType=machine_learning"  # not the UI's mode for generative AI
RUN_ID = re.compile("[0-9a-f]{32}")  # without tracking, a run has its folder as id
MEANINGS = "Metrics and files are explained in docs/measures.md."
LONGEST_REASON = 500
LARGE = 1e9  # from here on, a number is written with an exponent: the cost of a diverged run has 300 digits
LONGEST_SENTENCE = 300
NARROWEST, PER_CHARACTER, MARGIN = 80, 7, 30  # of a column in the UI, in pixels


def run_description(
    info: RunInfo,
    status: str = "RUNNING",
    reason: str = "",
    metrics: Mapping[str, float] | None = None,
    files: Collection[str] = (),
) -> str:
    """Return the description of a run, as Markdown: results, links and command.

    The UI shows about three lines of it unless it is unfolded, so that results come first.

    Parameters
    ----------
    info : RunInfo
        Of the run.
    status, reason : str
        How it ended; ``RUNNING`` before.
    metrics : mapping of str to float, optional
        The last value of each.
    files : collection of str
        The names of the run's files.
    """
    parts = []
    if status != "FINISHED":
        parts.append(
            f"**{status.capitalize()}**" + (f": {markdown(reason, LONGEST_REASON)}" if reason else "")
        )
    if results := _results(metrics or {}):
        parts.append(results)
    if links := [f"[{text}]({IN_RUN}{name}?{TRAINING})" for name, text in LINKED.items() if name in files]:
        parts.append(" · ".join(links))
    parts.append(code_span(info.call or shlex.join(["w2v-exp", *info.flags, *info.overrides])))
    if info.sweep:
        sweep = f"Run {info.number + 1:,} of the sweep {code_span(info.sweep.command)}"
        parts.append(": ".join(filter(None, [sweep, _link("all its runs", info.sweep)])))
    return "\n\n".join([*parts, MEANINGS])


def _results(metrics: Mapping[str, float]) -> str:
    known = [column for column in COMPARED if math.isfinite(metrics.get(column.name, math.nan))]
    return ", ".join(f"{column.heading} **{_written(column, metrics[column.name])}**" for column in known)


def _written(column: Metric, value: float) -> str:
    if abs(value) >= LARGE:
        return f"{value:.3g}"
    return f"{value:,.{column.decimals_for(value)}f}"


def _link(text: str, sweep: Sweep) -> str:
    """Return a link to the view of a sweep's runs; empty if it has none."""
    key = view_key(sweep)
    return f"[{text}]({IN_EXPERIMENT}runs?{TRAINING}&viewStateShareKey={key})" if key else ""


def sweep_description(comparison: Comparison, sweep: Sweep) -> str:
    """Return the description of a sweep's summary run, as Markdown: findings, links, command and table."""
    # Late: single runs import this module as well.
    from w2v_exp.reporting.effects import findings, key_effect
    from w2v_exp.reporting.summary_page import FILE as PAGE

    effects = [
        key_effect(comparison, key, comparison.ranking) for key in comparison.keys if comparison.ranking
    ]
    found = [
        f"- **{markdown(finding.about)}**: {markdown(finding.sentence, LONGEST_SENTENCE)}"
        for finding in findings(comparison, effects)
    ]
    short = "\n".join(["**In short**", "", *(found or [f"- {comparison.headline}"])])
    links = [f"[page of the sweep]({IN_RUN}{PAGE}?{TRAINING})", _link("table of its runs", sweep)]
    if comparison.ranking and (best := comparison.groups[0].runs[0].run_id) and RUN_ID.fullmatch(best):
        links.append(f"[best run]({IN_EXPERIMENT}runs/{best}?{TRAINING})")
    linked = " · ".join(filter(None, links))
    return "\n\n".join([short, linked, code_span(sweep.command), comparison.to_markdown(), MEANINGS])


def view_key(sweep: Sweep) -> str:
    """Return the key of the view of a sweep's runs; empty for a sweep without an id, of an earlier version."""
    return f"w2v_exp-{sweep.id}" if sweep.id else ""


def view_tags(comparison: Comparison, sweep: Sweep) -> dict[str, str]:
    """Return the tag with the view of a sweep's runs: swept keys and compared metrics as columns, the best first.

    It is in the form of the views that MLflow's UI saves in tags of an experiment (menu *Views*).
    """
    if not (key := view_key(sweep)):
        return {}
    seeds = {run.seed for group in comparison.groups for run in group.runs}
    keys = [*comparison.keys, *["seed"] * (len(seeds) > 1 and "seed" not in comparison.keys)]
    params = [f"params.`{key}`" for key in keys]
    metrics = [f"metrics.`{column.name}`" for column in comparison.columns if not column.constant]
    quote = '"' if "'" in sweep.name else "'"
    state: dict[str, object] = {
        "searchFilter": f"tags.sweep = {quote}{sweep.name}{quote}",
        "selectedColumns": params + metrics,
        "columnOrder": ["attributes.`Run Name`", *params, *metrics, "duration"],
        "columnWidths": {column: _width(column) for column in params + metrics},
    }
    if comparison.ranking:
        state["orderByKey"] = f"metrics.`{comparison.ranking.metric}`"
        state["orderByAsc"] = comparison.ranking.sign < 0
    name = " × ".join(shown(key.rpartition(".")[2]) for key in keys) or "one configuration"
    now = milliseconds()
    view = {
        "name": f"{name} ({shown(sweep.name, 40)})",
        "createdAt": now,
        "updatedAt": now,
        "state": json.dumps(state),
    }
    return {VIEW + key: json.dumps(view)}


def _width(column: str) -> int:
    """Return the width of a column in which its heading fits."""
    heading = column.partition(".")[2].strip("`")
    return max(NARROWEST, PER_CHARACTER * len(heading) + MARGIN)
