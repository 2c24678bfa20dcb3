"""The runs of a sweep side by side: as CSV, as Markdown, as a table on a terminal."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from w2v_exp.files import replacing
from w2v_exp.reporting.columns import COLUMNS, Column, Ranking, column_of
from w2v_exp.reporting.group import Group, common_ranking, group_runs
from w2v_exp.reporting.results import RunResult
from w2v_exp.reporting.words import markdown, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NOTE = (
    "Information explained: 0 knows only word frequencies, 1 is the floor; it compares any runs. "
    "Cost and gap, in nats per pair, compare only runs with the same pairs."
)
NOTE_ON_SEEDS = "± is the standard deviation over seeds, where they differ."


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
        By what the groups are sorted; None: they are in the order of the command.
    """

    groups: list[Group]
    unfinished: list[RunResult]
    keys: list[str]
    ranking: Ranking | None

    @property
    def headline(self) -> str:
        """How many runs there are of what, in one line."""
        finished = sum(len(group.runs) for group in self.groups)
        runs = f"{_counted(finished, 'finished run')} of {_counted(len(self.groups), 'configuration')}"
        said = [runs if finished else "No run finished"]
        if self.skipped:
            said.append(f"{len(self.skipped):,} of them before, and not run again")
        others = Counter(run.status.lower() for run in self.unfinished)
        return ", ".join([*said, *(f"{n} {s}" for s, n in others.items())])

    @property
    def skipped(self) -> list[RunResult]:
        """The runs that had finished before."""
        return [run for group in self.groups for run in group.runs if run.finished_before]

    @property
    def note(self) -> str:
        """What the figures mean, and which of them compare which runs."""
        seeds = any(len(group.runs) > 1 for group in self.groups)
        ranked = [self._ranked_by()] if len(self.groups) > 1 else []
        return " ".join([*ranked, NOTE, *([NOTE_ON_SEEDS] if seeds else [])])

    @property
    def common_floor(self) -> float:
        """The cost floor, if all runs with costs have the same and train on the pairs that it is of; else NaN."""
        groups = [group for group in self.groups if all(run.costs for run in group.runs)]
        floors = {round(group.mean("cost_floor"), 9) for group in groups}
        # Without a gap a cost is of other pairs than the floor: of sampled ones.
        comparable = all(group.has("cost_gap") for group in groups)
        return floors.pop() if comparable and len(floors) == 1 else math.nan

    def name_of(self, group: Group) -> str:
        """Return a configuration's swept values, without the groups of their keys where that leaves no doubt."""
        ends = [key.rpartition(".")[2] for key in self.keys]
        names = self.keys if len(set(ends)) < len(ends) else ends
        values = [group.swept.get(key, "–") for key in self.keys]
        settings = [f"{shown(name)}={shown(value, 16)}" for name, value in zip(names, values, strict=True)]
        return shown(" ".join(settings) or group.runs[0].name or "all runs", 48)

    def _ranked_by(self) -> str:
        if self.ranking is None:
            return "Not ranked: there is no measure of quality that all runs have."
        heading = column_of(self.ranking.metric).heading
        return f"Ranked by {heading}, the {'most' if self.ranking.sign > 0 else 'least'} first."

    @property
    def columns(self) -> list[Column]:
        """The columns of which at least one row has a value."""
        return [c for c in COLUMNS if any(group.has(c.metric) for group in self.groups)]

    def write_csv(self, path: Path | str) -> None:
        """Write every metric of every row with all its digits, and below them the runs that did not finish.

        For each metric there are a column for the mean and one, ``…_std``, for the standard deviation; ``skipped`` has
        the ids of runs that had finished before. What is not known is empty.
        """
        runs = [run for group in self.groups for run in group.runs]
        keys = _keys(runs + self.unfinished)
        known, found = (
            [column.metric for column in COLUMNS],
            {metric for run in runs for metric in run.metrics},
        )
        metrics = [metric for metric in known if metric in found] + sorted(found.difference(known))
        names = [name for metric in metrics for name in (metric, f"{metric}_std")]
        with replacing(path) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([*keys, "status", "runs", "seeds", *names, "reason", "skipped"])
            for group in self.groups:
                settings = [group.swept.get(key, "") for key in keys]
                seeds = " ".join(str(run.seed) for run in group.runs)
                numbers = [number(metric) for metric in metrics for number in (group.mean, group.deviation)]
                cells = ["" if math.isnan(number) else repr(number) for number in numbers]
                before = " ".join(run.run_id for run in group.runs if run.finished_before)
                writer.writerow([*settings, group.status, len(group.runs), seeds, *cells, "", before])
            for run in self.unfinished:
                settings = [run.swept.get(key, "") for key in keys]
                writer.writerow([*settings, run.status, 1, run.seed, *[""] * len(names), run.reason, ""])

    def to_markdown(self) -> str:
        """Return the comparison as Markdown in which no value and no reason is read as markup or HTML."""
        lines = [f"**{self.headline}**"]
        if self.groups:
            keys, columns = self.keys, self.columns
            rows = [
                [*(markdown(key) for key in keys), "runs", *(column.heading for column in columns)],
                ["---"] * len(keys) + ["---:"] * (1 + len(columns)),
            ]
            for group in self.groups:
                settings = [markdown(group.swept.get(key, "")) for key in keys]
                rows.append([*settings, str(len(group.runs)), *(group.written(column) for column in columns)])
            lines += ["", *(f"| {' | '.join(row)} |" for row in rows), "", self.note]
        if self.skipped:
            lines += ["", "**Finished before**", ""]
            for run in self.skipped:
                lines.append(f"- {markdown(_named(run))}: run [{run.run_id}](#/runs/{run.run_id})")
        if self.unfinished:
            lines += ["", "**Not finished**", ""]
            for run in self.unfinished:
                lines.append(
                    f"- {markdown(_named(run))}: {markdown(run.status)}, {markdown(run.reason, 500)}"
                )
        return "\n".join(lines) + "\n"

    def print_table(self, console: Console) -> None:
        """Print the comparison; columns for which the console is too narrow are left out, and named."""
        from rich.measure import Measurement
        from rich.text import Text

        console.print(Text(self.headline, style="bold"))
        if self.groups:
            chosen: list[Column] = []
            unlimited = console.options.update(width=10_000)
            for column in sorted(self.columns, key=lambda column: column.weight):
                wider = [c for c in COLUMNS if c in (*chosen, column)]
                if Measurement.get(console, unlimited, self._table(wider)).maximum <= console.width:
                    chosen = wider
            console.print(self._table(chosen))
            console.print(Text(self.note, style="dim"))
            left_out = [column.heading for column in self.columns if column not in chosen]
            if left_out:
                console.print(Text(f"No room for {', '.join(left_out)} in this width.", style="dim"))
        for run in self.unfinished:
            line = Text(f"{run.status} ", style="bold red")
            console.print(
                line.append(f"{shown(_named(run), 60)}: ", style="bold").append(shown(run.reason, 500), "")
            )

    def _table(self, columns: Sequence[Column]) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for key in self.keys:
            table.add_column(Text(shown(key)), overflow="fold")
        repeated = any(len(group.runs) > 1 for group in self.groups)
        if repeated:
            table.add_column("runs", justify="right")
        for column in columns:
            table.add_column(column.heading.replace(" ", "\n"), justify="right", no_wrap=True)
        for group in self.groups:
            settings = [Text(shown(group.swept.get(key, ""))) for key in self.keys]
            # of the figures that are not about quality, the mean says enough and leaves room for more columns
            numbers = [group.written(column, with_deviation=column.weight <= 2) for column in columns]
            table.add_row(*settings, *[str(len(group.runs))] * repeated, *numbers)
        return table


def compare(results: Sequence[RunResult], sought: Ranking | None = None) -> Comparison:
    """Group the finished runs that differ only in seed, and sort them by the first of `RANKINGS` that all have.

    What a search has sought, if any has it, comes before those.

    The best mean over seeds comes first. Where there is no measure that all have, the first that any has is taken, and
    groups without it come last. Groups that are as good stay in the order of the results.
    """
    groups = group_runs(results)
    has_sought = sought is not None and any(group.has(sought.metric) for group in groups)
    ranking = sought if has_sought else common_ranking(groups)

    def rank(group: Group) -> float:
        mean = group.mean(ranking.metric) if ranking else math.nan
        return -ranking.sign * mean if ranking and math.isfinite(mean) else math.inf

    unfinished = [run for run in results if not run.done]
    keys = [key for key in _keys(results) if len({run.swept.get(key) for run in results}) > 1]
    return Comparison(sorted(groups, key=rank), unfinished, keys, ranking)


def _keys(runs: Sequence[RunResult]) -> list[str]:
    return list(dict.fromkeys(key for run in runs for key in run.swept))


def _named(run: RunResult) -> str:
    return run.name if "seed=" in run.name else f"{run.name} seed={run.seed}".strip()


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
