"""The tables of ``estimate=true``: memory and training time of the runs of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from w2v_exp.choices import GROUPS
from w2v_exp.experiment.bootstrap import resampling_of
from w2v_exp.experiment.build import pair_statistics, split_text
from w2v_exp.experiment.estimate import (
    MemoryEstimate,
    estimate_run,
    estimate_seconds,
    long_run_warning,
    plans_by_encoding,
    readable_seconds,
)
from w2v_exp.experiment.inputs import Pretrained, read_trainable_text
from w2v_exp.experiment.slicing import Slicing
from w2v_exp.machine import available_memory, readable_bytes
from w2v_exp.plan import Plan
from w2v_exp.reporting.explorer import ExplorerRule
from w2v_exp.text.encoding import EncodedText

NOTE = "Peak until the first steps, without Python and its packages, and without measurements after training."
MOST_ESTIMATED = 200  # runs: to compose the configuration of one takes a fifth of a second
CHOSEN, FITS, DOES_NOT = "bold", "green", "red"


class Estimates(NamedTuple):
    """Memory and training time of a run with each label encoding.

    Parameters
    ----------
    swept : dict of str to str
        The run's values of the swept keys.
    plan : Plan
        The run.
    text : EncodedText
        Its text.
    by_encoding : dict of str to MemoryEstimate
        Without encodings that the plan excludes.
    seconds : dict of str to float
        The training time of the same encodings.
    """

    swept: Mapping[str, str]
    plan: Plan
    text: EncodedText
    by_encoding: dict[str, MemoryEstimate]
    seconds: dict[str, float]

    @property
    def embedded(self) -> int:
        """Number of words that get an embedding."""
        return self.plan.labels.number_of_centres(len(self.text.vocabulary))


def show_estimates(plans: Iterable[tuple[Mapping[str, str], Plan]], console: Console) -> None:
    """Read the text of every plan, and print a table of the run's estimates, or one of all runs of a sweep."""
    estimates = []
    for swept, plan in plans:
        pretrained = Pretrained.read(plan).memory  # freed again before the available memory is measured
        text = read_trainable_text(plan)
        training, _ = split_text(plan, text)
        by_encoding, seconds = {}, {}
        for encoding, changed in plans_by_encoding(plan).items():
            statistics = pair_statistics(changed, training, len(text.vocabulary))
            by_encoding[encoding] = estimate_run(
                changed, training, len(text.vocabulary), pretrained, statistics
            )
            seconds[encoding] = estimate_seconds(changed, statistics)
        estimates.append(Estimates(swept, plan, text, by_encoding, seconds))
    available = available_memory()
    (first, *others) = estimates
    if others:
        console.print(_sweep_table(estimates, available))
    else:
        words = f"{len(first.text.ids):,} tokens of {len(first.text.vocabulary):,} words"
        console.print(Text(f"Estimated for {words}, window {first.plan.window}", style="bold"))
        console.print(_run_table(first, available))
    if available is not None:
        console.print(Text(f"Available: {readable_bytes(available)}."))
    if not others:
        training, _ = split_text(first.plan, first.text)
        if resampling := resampling_of(first.plan, training):
            size = 2 * first.plan.bootstrap * first.embedded * first.plan.dim
            console.print(
                Text(
                    f"{first.plan.bootstrap:,} replicates of {resampling.number:,} documents or blocks are included; "
                    f"their files take {readable_bytes(size)}."
                ),
                soft_wrap=True,
            )
        expected = first.seconds[first.plan.encoding]
        if warning := long_run_warning(first.plan, training, len(first.text.vocabulary), expected):
            console.print(Text(warning), soft_wrap=True)
        if slicing := Slicing.of(first.plan, first.text):
            console.print(Text(slicing.estimate()), soft_wrap=True)
        if isinstance(first.plan.explorer, ExplorerRule):
            cost = first.plan.explorer.map_cost(first.embedded, first.plan.dim)
            if cost:
                console.print(Text(f"{cost} explorer.projection=pca takes none."), soft_wrap=True)
    console.print(Text(NOTE, style="dim"))


def _run_table(estimates: Estimates, available: int | None) -> Table:
    """Return a table of encodings, with the parts of their peaks."""
    table = _empty_table()
    table.add_column("")
    table.add_column("labels", no_wrap=True)
    for heading in ("time", "needs", "examples", "parameters", "optimizer", "step", "building"):
        table.add_column(heading, justify="right")
    table.add_column("fits")
    for encoding in _encodings([estimates]):
        mark, style = ("→", CHOSEN) if encoding == estimates.plan.encoding else ("", "")
        if (needs := estimates.by_encoding.get(encoding)) is None:
            table.add_row(mark, encoding, *["–"] * 8)
            continue
        parts = (needs.total, needs.examples, needs.parameters, needs.optimizer, needs.step, needs.peak_build)
        fits = _fits(needs, available)
        answer = Text({True: "yes", False: "no", None: "unknown"}[fits], style=_style(fits))
        cells = (readable_bytes(part) for part in parts)
        table.add_row(
            mark, encoding, readable_seconds(estimates.seconds[encoding]), *cells, answer, style=style
        )
    return table


def _sweep_table(estimates: list[Estimates], available: int | None) -> Table:
    """Return a table of runs, with the memory of each encoding.

    Runs that differ in their labels or seed have one row.
    """
    keys = [key for key in estimates[0].swept if key not in ("labels", "seed")]
    rows: dict[tuple[str, ...], list[Estimates]] = {}
    for estimate in estimates:
        rows.setdefault(tuple(estimate.swept[key] for key in keys), []).append(estimate)
    table = _empty_table()
    for key in keys:
        table.add_column(Text(key), overflow="fold")
    for heading in ("tokens", "words", *_encodings(estimates), "time"):
        table.add_column(heading, justify="right")
    for values, runs in rows.items():
        cells = [Text(value) for value in values]
        cells += [Text(f"{number:,}") for number in (len(runs[0].text.ids), len(runs[0].text.vocabulary))]
        for encoding in _encodings(estimates):
            needs = next((run.by_encoding[encoding] for run in runs if encoding in run.by_encoding), None)
            chosen = any(run.plan.encoding == encoding for run in runs)
            cells.append(_cell(needs, available, chosen))
        times = {run.plan.encoding: readable_seconds(run.seconds[run.plan.encoding]) for run in runs}
        cells.append(Text(", ".join(times.values())))
        table.add_row(*cells)
    table.caption = Text("* chosen; red: does not fit", style="dim")
    table.caption_justify = "left"
    return table


def _encodings(estimates: Sequence[Estimates]) -> list[str]:
    """Return all label encodings of the package, and others that were estimated."""
    estimated = (encoding for estimate in estimates for encoding in estimate.by_encoding)
    return [*dict.fromkeys([*GROUPS["labels"], *estimated])]


def _empty_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)


def _cell(needs: MemoryEstimate | None, available: int | None, chosen: bool) -> Text:
    if needs is None:
        return Text("–")
    mark = "*" if chosen else ""
    return Text(f"{mark}{readable_bytes(needs.total)}", style=_style(_fits(needs, available)))


def _fits(needs: MemoryEstimate, available: int | None) -> bool | None:
    return None if available is None else needs.total <= available


def _style(fits: bool | None) -> str:
    return {True: FITS, False: DOES_NOT, None: ""}[fits]
