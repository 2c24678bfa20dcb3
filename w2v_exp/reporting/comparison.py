"""Comparison of the runs of a sweep: means over seeds, ranking, Pareto front, tables."""

from __future__ import annotations

import csv
import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from w2v_exp.embeddings.evaluation import association_names
from w2v_exp.errors import shown
from w2v_exp.files import replacing
from w2v_exp.metrics import COLUMNS, ESTIMATED, QUALITIES, Metric, Ranking, metric_of
from w2v_exp.reporting.escape import markdown, table_cells
from w2v_exp.results import LEAST_KNOWN, RunResult

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@dataclass(frozen=True)
class Group:
    """Finished runs that differ only in their seed: a row of the table.

    Parameters
    ----------
    swept : dict of str to str
        The swept keys and their values.
    runs : list of RunResult
        At least one.
    """

    swept: dict[str, str]
    runs: list[RunResult]

    @property
    def status(self) -> str:
        """``SKIPPED`` if all runs were reused from earlier ones, else ``FINISHED``."""
        return "SKIPPED" if all(run.finished_before for run in self.runs) else "FINISHED"

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the seeds; NaN if a run does not have it."""
        if len(self.runs) == 1:  # NumPy takes twenty times as long, and a page has 60 means per configuration
            return float(self.runs[0].metrics.get(metric, math.nan))
        with np.errstate(invalid="ignore"):
            return float(np.mean(self._values(metric)))

    def deviation(self, metric: str) -> float:
        """Return the standard deviation over the seeds (n − 1 in the denominator); NaN for a single run."""
        if len(self.runs) < 2:
            return math.nan
        with np.errstate(invalid="ignore"):
            return float(np.std(self._values(metric), ddof=1))

    def written(self, column: Metric, *, with_deviation: bool = True) -> str:
        """Return the mean as text, ± the standard deviation if the seeds differ; – for an unknown value."""
        mean, deviation = self.mean(column.name), self.deviation(column.name)
        if not math.isfinite(mean):
            return "–"
        decimals = column.decimals_for(mean)
        text = f"{mean:,.{decimals}f}"
        if with_deviation and math.isfinite(deviation) and deviation > 0:
            text += f" ± {deviation:,.{decimals}f}"
        return text

    def has(self, metric: str) -> bool:
        """Return whether all runs have a finite value of a metric."""
        return math.isfinite(self.mean(metric))

    def ranked_mean(self, metric: str) -> float:
        """Return the mean of a metric if all runs can be ranked by it, else NaN."""
        return self.mean(metric) if all(run.ranks(metric) for run in self.runs) else math.nan

    def ranks(self, metric: str) -> bool:
        """Return whether the configuration can be ranked by a metric."""
        return math.isfinite(self.ranked_mean(metric))

    def least_known(self, metric: str) -> RunResult:
        """Return the run with the fewest known pairs or questions of an evaluation score."""
        return min(self.runs, key=lambda run: run.known(metric))

    def qualifier(self, metric: str) -> str:
        """Return the text to show beside a value: the coverage of a score, or that a cost is an estimate."""
        if metric == "cost" and any(run.has_estimated_cost for run in self.runs):
            return ESTIMATED
        least = self.least_known(metric)
        return (
            f"({least.known(metric):.0f}/{least.total(metric)})" if math.isfinite(least.known(metric)) else ""
        )

    def _values(self, metric: str) -> list[float]:
        return [run.metrics.get(metric, math.nan) for run in self.runs]


def group_runs(results: Sequence[RunResult]) -> list[Group]:
    """Return the finished runs, grouped by their swept values, in the order of the results."""
    groups: dict[frozenset[tuple[str, str]], Group] = {}
    for run in results:
        if run.done:
            groups.setdefault(frozenset(run.swept.items()), Group(run.swept, [])).runs.append(run)
    return [*groups.values()]


def common_ranking(groups: Sequence[Group]) -> Ranking | None:
    """Return the first ranking by which all groups can be ranked, else the first for any of them."""
    for enough in (all, any):
        for quality in QUALITIES:
            if enough(group.ranks(quality.name) for group in groups):
                return quality.ranking if groups else None
    return None


def pareto_front(groups: Sequence[Group], ranking: Ranking, resource: str) -> list[Group]:
    """Return the Pareto front: the groups that no other group dominates.

    Parameters
    ----------
    groups : sequence of Group
        Groups without one of the metrics are never on the front.
    ranking : Ranking
        The quality metric.
    resource : str
        A metric of which less is better.

    Returns
    -------
    list of Group
        By rising resource, and so by rising quality. Of groups that are equal in both, the first.
    """
    known = [g for g in groups if g.ranks(ranking.metric) and math.isfinite(g.mean(resource))]
    known.sort(key=lambda group: (group.mean(resource), -ranking.sign * group.mean(ranking.metric)))
    front: list[Group] = []
    best = -math.inf
    for group in known:
        quality = ranking.sign * group.mean(ranking.metric)
        if quality > best:
            front.append(group)
            best = quality
    return front


PANELS = 4  # heat maps that fit side by side
SPREAD = 0.1  # smallest range of the colours of a heat map, so that small differences look small


class Layout(NamedTuple):
    """Rows, columns and panels of a heat map of a sweep.

    Parameters
    ----------
    row_key, column_key : str
        Swept keys.
    rows, columns : list of str
        Their values.
    panel_key : str, optional
        The key with the fewest values, if three are swept.
    panels : list of str
        Its values; one empty value if there is none.
    """

    row_key: str
    column_key: str
    rows: list[str]
    columns: list[str]
    panel_key: str | None
    panels: list[str]

    def is_in(self, panel: str, swept: Mapping[str, str]) -> bool:
        """Return whether a configuration belongs to a panel."""
        return self.panel_key is None or swept.get(self.panel_key, "") == panel

    def position(self, swept: Mapping[str, str]) -> tuple[int, int]:
        """Return the row and the column of a configuration."""
        row, column = swept.get(self.row_key, ""), swept.get(self.column_key, "")
        return self.rows.index(row), self.columns.index(column)


def layout_of(comparison: Comparison) -> Layout | None:
    """Return the layout of a sweep of two keys, or of three if one has at most `PANELS` values.

    None also if less than half of the combinations were run, as in a search over continuous values: most cells would be
    empty, and there would be a column for every trial.
    """
    values = {key: values_of(key, comparison) for key in comparison.keys}
    panel_key = min(reversed(values), key=lambda key: len(values[key])) if len(values) == 3 else None
    panels = values.pop(panel_key) if panel_key else [""]
    if len(values) != 2 or len(panels) > PANELS:
        return None
    (row_key, rows), (column_key, columns) = values.items()
    run = {tuple(swept.get(key, "") for key in comparison.keys) for swept in settings_of(comparison)}
    if 2 * len(run) < len(panels) * len(rows) * len(columns):
        return None
    return Layout(row_key, column_key, rows, columns, panel_key, panels)


def settings_of(comparison: Comparison) -> list[dict[str, str]]:
    """Return the swept values of each configuration, and of each run that did not finish."""
    return [group.swept for group in comparison.groups] + [run.swept for run in comparison.unfinished]


def values_of(key: str, comparison: Comparison) -> list[str]:
    """Return the values of a key: numbers by size, others in the order of the runs."""
    values = list(dict.fromkeys(settings.get(key, "") for settings in settings_of(comparison)))
    try:
        return sorted(values, key=float)
    except ValueError:
        return values


NOTE = (
    "Information explained is 0 at the unigram cost and 1 at the cost floor; it is comparable between all runs. "
    "Cost and gap, in nats per pair, are comparable only between runs with the same pairs."
)
NOTE_ON_OBJECTIVES = (
    "Objective cost, in nats per pair, is comparable only between runs with the same objective and pairs."
)
NOTE_ON_SEEDS = "± is the standard deviation over seeds."


MOST_NAMED = 3  # runs that ended alike, by name in one line


@dataclass(frozen=True)
class Comparison:
    """The runs of a sweep, compared.

    Parameters
    ----------
    groups : list of Group
        The finished runs, the best first.
    unfinished : list of RunResult
        The others.
    keys : list of str
        The swept keys that have more than one value among all runs, in the order of the command.
    ranking : Ranking, optional
        The metric that sorts the groups; None: they are in the order of the command.
    sought : Ranking, optional
        The target metric of a search; it ranks the groups if they can be ranked by it.
    """

    groups: list[Group]
    unfinished: list[RunResult]
    keys: list[str]
    ranking: Ranking | None
    sought: Ranking | None = None

    @property
    def headline(self) -> str:
        """The numbers of finished runs, configurations, reused and unfinished runs, in one line."""
        finished = sum(len(group.runs) for group in self.groups)
        runs = f"{_counted(finished, 'finished run')} of {_counted(len(self.groups), 'configuration')}"
        parts = [runs if finished else "No run finished"]
        if self.skipped:
            parts.append(f"{len(self.skipped):,} reused from earlier runs")
        others = Counter(run.status.lower() for run in self.unfinished)
        return ", ".join([*parts, *(f"{n} {s}" for s, n in others.items())])

    @property
    def skipped(self) -> list[RunResult]:
        """The runs that were reused from earlier ones."""
        return [run for group in self.groups for run in group.runs if run.finished_before]

    @property
    def note(self) -> str:
        """Explanation of the metrics: their scales, and between which runs they are comparable."""
        seeds = any(len(group.runs) > 1 for group in self.groups)
        objectives = any(group.has("objective_cost") for group in self.groups)
        ranked = [self._ranked_by(), *self.too_few_known] if len(self.groups) > 1 else []
        notes = [NOTE, *[NOTE_ON_OBJECTIVES] * objectives, *[NOTE_ON_SEEDS] * seeds]
        return " ".join([*ranked, *notes])

    @property
    def too_few_known(self) -> list[str]:
        """A sentence for each score that cannot rank all configurations, since too little of its set is known."""
        sentences = []
        scores = [quality.name for quality in QUALITIES if quality.items]
        for metric in dict.fromkeys([*([self.sought.metric] if self.sought else []), *scores]):
            below = [g for g in self.groups if g.least_known(metric).known(metric) < LEAST_KNOWN]
            if not below:
                continue
            items = metric_of(metric).items
            names = ", ".join(self.name_of(group) for group in below[:3]) + ", …" * (len(below) > 3)
            ranked = any(group.ranks(metric) for group in self.groups)
            effect = f"does not rank {names}" if ranked else "ranks no configuration"
            most = max((group.least_known(metric) for group in below), key=lambda run: run.known(metric))
            known, total = most.known(metric), most.total(metric)
            figures = f"{known:.0f} of {total} {items} are known" if known else f"no {items} are known"
            sentences.append(f"{metric_of(metric).heading} {effect}: {figures}, fewer than {LEAST_KNOWN}.")
        return sentences

    @property
    def common_floor(self) -> float:
        """The cost floor, if all runs with costs train on the same pairs and have the same floor; else NaN."""
        groups = [group for group in self.groups if all(run.curves.get("cost") for run in group.runs)]
        floors = {round(group.mean("cost_floor"), 9) for group in groups}
        # A run without a gap trained on sampled pairs, not on those of the floor.
        comparable = all(group.has("cost_gap") for group in groups)
        return floors.pop() if comparable and len(floors) == 1 else math.nan

    def name_of(self, group: Group) -> str:
        """Return the swept values of a configuration; their keys without groups where that is unambiguous."""
        names = self._short_names()
        values = [group.swept.get(key, "–") for key in self.keys]
        settings = [f"{shown(name)}={shown(value, 16)}" for name, value in zip(names, values, strict=True)]
        return shown(" ".join(settings) or group.runs[0].name or "all runs", 48)

    def _short_names(self) -> list[str]:
        ends = [key.rpartition(".")[2] for key in self.keys]
        return self.keys if len(set(ends)) < len(ends) else ends

    def _ranked_by(self) -> str:
        if self.ranking is None:
            return "Not ranked: no quality metric is known for all runs."
        heading = metric_of(self.ranking.metric).heading
        return f"Ranked by {heading}, {'highest' if self.ranking.sign > 0 else 'lowest'} first."

    @property
    def columns(self) -> list[Metric]:
        """The columns in which at least one row has a value, the target metric of a search included."""
        known = {column.name for column in COLUMNS}
        sought = [metric_of(r.metric) for r in (self.sought,) if r is not None and r.metric not in known]
        logged = [name for group in self.groups for run in group.runs for name in run.metrics]
        effects = [metric_of(name) for name in association_names(logged)]
        return [c for c in (*sought, *COLUMNS, *effects) if any(group.has(c.name) for group in self.groups)]

    def heading_of(self, column: Metric) -> str:
        """Return the heading of a column, with the qualifier of its values if all have the same."""
        common = self._common_qualifier(column)
        return f"{column.heading} {common}" if common else column.heading

    def written(self, group: Group, column: Metric, *, with_deviation: bool = True) -> str:
        """Return the value of a configuration as text, with its qualifier unless the heading has it."""
        text = group.written(column, with_deviation=with_deviation)
        qualifier = group.qualifier(column.name)
        if not qualifier or not group.has(column.name) or self._common_qualifier(column):
            return text
        return f"{text} {qualifier}"

    def _common_qualifier(self, column: Metric) -> str:
        found = {group.qualifier(column.name) for group in self.groups if group.has(column.name)}
        return found.pop() if len(found) == 1 else ""

    def write_csv(self, path: Path | str) -> None:
        """Write all metrics of all configurations with all digits, and below them the unfinished runs.

        Each metric has a column for the mean and one, ``…_std``, for the standard deviation; ``skipped`` has the ids of
        reused runs. Unknown values are empty.
        """
        runs = [run for group in self.groups for run in group.runs]
        keys = _keys(runs + self.unfinished)
        known, found = (
            [column.name for column in COLUMNS],
            {metric for run in runs for metric in run.metrics},
        )
        metrics = [metric for metric in known if metric in found] + sorted(found.difference(known))
        names = [name for metric in metrics for name in (metric, f"{metric}_std")]
        with replacing(path) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(table_cells([*keys, "status", "runs", "seeds", *names, "reason", "skipped"]))
            for group in self.groups:
                settings = table_cells(group.swept.get(key, "") for key in keys)
                seeds = " ".join(str(run.seed) for run in group.runs)
                numbers = [number(metric) for metric in metrics for number in (group.mean, group.deviation)]
                cells = ["" if math.isnan(number) else repr(number) for number in numbers]
                reused = " ".join(run.run_id for run in group.runs if run.finished_before)
                writer.writerow([*settings, group.status, len(group.runs), seeds, *cells, "", reused])
            for run in self.unfinished:
                settings = [run.swept.get(key, "") for key in keys]
                row = [*settings, run.status, 1, run.seed, *[""] * len(names), run.reason, ""]
                writer.writerow(table_cells(row))

    def to_markdown(self) -> str:
        """Return the comparison as Markdown; values and reasons are escaped."""
        lines = [f"**{self.headline}**"]
        if self.groups:
            keys, columns = self.keys, self.columns
            rows = [
                [*(markdown(key) for key in keys), "runs", *(self.heading_of(column) for column in columns)],
                ["---"] * len(keys) + ["---:"] * (1 + len(columns)),
            ]
            for group in self.groups:
                settings = [markdown(group.swept.get(key, "")) for key in keys]
                values = [self.written(group, column) for column in columns]
                rows.append([*settings, str(len(group.runs)), *values])
            lines += ["", *(f"| {' | '.join(row)} |" for row in rows), "", self.note]
        if self.skipped:
            lines += ["", "**Reused from earlier runs**", ""]
            for run in self.skipped:
                lines.append(f"- {markdown(_named(run))}: run [{run.run_id}](#/runs/{run.run_id})")
        if self.unfinished:
            lines += ["", "**Unfinished runs**", ""]
            for run in self.unfinished:
                lines.append(
                    f"- {markdown(_named(run))}: {markdown(run.status)}, {markdown(run.reason, 500)}"
                )
        return "\n".join(lines) + "\n"

    def print_table(self, console: Console) -> None:
        """Print the comparison; columns that do not fit into the console are hidden, and listed below the table."""
        from rich.measure import Measurement
        from rich.text import Text

        console.print(Text(self.headline, style="bold"))
        if self.groups:
            unlimited = console.options.update(width=10_000)

            def fits(table: Table) -> bool:
                return Measurement.get(console, unlimited, table).maximum <= console.width

            # Before the swept values or the column that ranks them are hidden, the headings of keys get shorter.
            ranked = [c for c in self.columns if self.ranking is not None and c.name == self.ranking.metric]
            chosen = ranked
            headings = next((h for h in self._key_headings() if fits(self._table(ranked, h))), None)
            if headings is None:
                table = self._table(ranked, self._key_headings()[-1], tight=True)
            else:
                for column in sorted(self.columns, key=lambda column: column.priority):
                    wider = [c for c in self.columns if c in (*chosen, column)]
                    if fits(self._table(wider, headings)):
                        chosen = wider
                table = self._table(chosen, headings)
            console.print(table)
            console.print(Text(self.note, style="dim"))
            hidden = [column.heading for column in self.columns if column not in chosen]
            if hidden:
                names = ", ".join(hidden)
                console.print(Text(f"Columns hidden (terminal too narrow): {names}.", style="dim"))
        ends: dict[tuple[str, str], list[RunResult]] = {}
        for run in self.unfinished:
            ends.setdefault((run.status, run.reason), []).append(run)
        for (status, reason), runs in ends.items():
            named = ", ".join(shown(_named(run), 60) for run in runs[:MOST_NAMED])
            more = f" and {len(runs) - MOST_NAMED:,} more" if len(runs) > MOST_NAMED else ""
            line = Text(f"{status} ", style="bold red").append(f"{named}{more}: ", style="bold")
            console.print(line.append(shown(reason, 500), ""))

    def _key_headings(self) -> list[list[str]]:
        """Return the headings of the swept keys, ever narrower: in full, without groups, in several lines."""
        short = self._short_names()
        return [self.keys, short, [name.replace("_", "_\n") for name in short]]

    def _table(self, columns: Sequence[Metric], key_headings: Sequence[str], *, tight: bool = False) -> Table:
        """Return the table with some columns; a tight table has neither deviations nor numbers of runs."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in key_headings:
            table.add_column(Text("\n".join(map(shown, heading.split("\n")))), overflow="fold")
        repeated = any(len(group.runs) > 1 for group in self.groups) and not tight
        if repeated:
            table.add_column("runs", justify="right")
        for column in columns:
            words = textwrap.wrap(
                self.heading_of(column), 7 if tight else 1, break_long_words=tight, break_on_hyphens=False
            )
            table.add_column("\n".join(words), justify="right", no_wrap=True)
        for group in self.groups:
            settings = [Text(shown(group.swept.get(key, ""))) for key in self.keys]
            # Resources are shown without deviations, which leaves room for more columns.
            numbers = [
                self.written(group, column, with_deviation=column.priority <= 2 and not tight)
                for column in columns
            ]
            table.add_row(*settings, *[str(len(group.runs))] * repeated, *numbers)
        return table


def compare(results: Sequence[RunResult], sought: Ranking | None = None) -> Comparison:
    """Return the comparison of runs: those that differ only in seed are a group, and groups are ranked.

    The ranking is by the target metric of a search if any group has it, else by the first of `QUALITIES` that all
    groups have, else by the first that any group has. The best mean over seeds is first, groups without the metric are
    last, and equal groups are in the order of the results.
    """
    groups = group_runs(results)
    has_sought = sought is not None and any(group.ranks(sought.metric) for group in groups)
    ranking = sought if has_sought else common_ranking(groups)

    def rank(group: Group) -> float:
        mean = group.ranked_mean(ranking.metric) if ranking else math.nan
        return -ranking.sign * mean if ranking and math.isfinite(mean) else math.inf

    unfinished = [run for run in results if not run.done]
    keys = [key for key in _keys(results) if len({run.swept.get(key) for run in results}) > 1]
    return Comparison(sorted(groups, key=rank), unfinished, keys, ranking, sought)


def _keys(runs: Sequence[RunResult]) -> list[str]:
    return list(dict.fromkeys(key for run in runs for key in run.swept))


def _named(run: RunResult) -> str:
    return run.name if "seed=" in run.name else f"{run.name} seed={run.seed}".strip()


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
