"""Results of a sweep: its page while it runs, and its comparison at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic, strftime

from rich.text import Text

from w2v_exp.choices import MlflowTracking
from w2v_exp.experiment.descriptions import sweep_description, view_key, view_tags
from w2v_exp.experiment.run_report import browse_lines
from w2v_exp.experiment.stability import sweep_stability
from w2v_exp.files import replacing
from w2v_exp.metrics import CURVES, Ranking
from w2v_exp.plan import Plan
from w2v_exp.reporting.comparison import Comparison, compare, values_of
from w2v_exp.reporting.conclusions import print_conclusions
from w2v_exp.reporting.escape import visible_console
from w2v_exp.reporting.intervals import print_intervals
from w2v_exp.reporting.stability import FILES as STABILITY_FILES
from w2v_exp.reporting.stability import StabilityReport
from w2v_exp.reporting.summary_page import FILE as PAGE
from w2v_exp.reporting.summary_page import Header, Running, ranked_metrics, resources, write_summary_page
from w2v_exp.results import RunResult, Sweep, read_results
from w2v_exp.tracking.companion import Companion
from w2v_exp.tracking.upload import NOTE

_log = logging.getLogger(__name__)


def write_comparison(comparison: Comparison, folder: Path, *, plots: bool = True) -> None:
    """Write ``comparison.csv`` and the pictures to a folder.

    Parameters
    ----------
    comparison : Comparison
        The compared runs.
    folder : Path
        Is created if missing.
    plots : bool
        Whether to draw the pictures.
    """
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


SUMMARY_FILES = "summary"  # in the folder of a sweep, the folder of the files that are logged
LEAST_SECONDS = 1.0  # between two pages of a running sweep
SHARE = 0.01  # of the time of a sweep, which its pages take at most
RELOAD_SECONDS = 5


class LivePage:
    """The page of a running sweep, written again as runs end; `finish_sweep` replaces it.

    Parameters
    ----------
    folder : Path
        The sweep's folder, with its description.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._sweep = folder, Sweep.read(folder)
        self._reload_seconds, self._waiting = RELOAD_SECONDS, 0
        self._write()  # compiles the templates, which `finish_sweep` needs as well
        self._next = monotonic() + LEAST_SECONDS
        address = (folder / PAGE).absolute().as_uri()
        visible_console().print(Text(f"Page, written again as runs end: {address}"), soft_wrap=True)

    def update(self, ended: int = 1) -> None:
        """Write the page if runs have ended since it was written, unless that would take more than 1 % of the time.

        Parameters
        ----------
        ended : int
            Number of runs that have ended since the last call.
        """
        self._waiting += ended
        if not self._waiting or monotonic() < self._next:
            return
        started = monotonic()
        self._write()
        now = monotonic()
        pause = max(LEAST_SECONDS, (now - started) / SHARE)
        self._waiting, self._next = 0, now + pause
        self._reload_seconds = round(min(max(RELOAD_SECONDS, pause), 60))

    def _write(self) -> None:
        sweep = self._sweep
        comparison = _comparison(read_results(self._folder, sweep), sweep)
        # All swept keys: the runs so far may have only one of their values.
        comparison = replace(comparison, keys=[key for key in sweep.keys if key != "seed"])
        running = Running(strftime("%Y-%m-%d %H:%M:%S"), self._reload_seconds, str(self._folder.absolute()))
        header = Header(sweep.name, sweep.command, sweep.total, sweep.changes, running)
        try:
            write_summary_page(comparison, header, self._folder / PAGE)
        except OSError as error:  # a full disk must not stop the sweep
            _log.warning(f"{self._folder / PAGE}: {error.strerror or error}.")


def finish_sweep(folder: Path, plan: Plan, companion: Companion | None = None) -> list[RunResult]:
    """Compare, print and log the runs of a sweep, and return their results."""
    sweep = Sweep.read(folder)
    results = read_results(folder, sweep)
    comparison = _comparison(results, sweep)
    repeated = len(results) - len(distinct(results))
    console = visible_console()
    if results:
        comparison.write_csv(folder / "comparison.csv")
        comparison.print_table(console)
        print_conclusions(comparison, console)
        print_intervals(comparison, console)
        if plan.mlflow:
            write_comparison(comparison, folder / SUMMARY_FILES, plots=plan.mlflow.plots)
    if companion:
        companion.flush()
        results = read_results(folder, sweep)  # with the ids of the runs in the store
        comparison = _comparison(results, sweep)
    stability = _write_stability(comparison, plan, folder)
    page = folder / PAGE
    header = Header(sweep.name, sweep.command, sweep.total - repeated, sweep.changes)
    write_summary_page(comparison, header, page, stability)
    if not results:
        return []
    if stability:
        console.print(Text(stability.sentence()))
    if repeated:
        console.print(Text(f"{repeated} of {sweep.total} trials repeated the values of an earlier trial."))
    if len(results) < sweep.total:
        console.print(Text(f"{sweep.total - len(results)} of {sweep.total} runs were not started."))
    if plan.mlflow:
        is_logged = _log_summary(sweep, comparison, stability, folder, plan.mlflow, companion)
        for line in browse_lines(plan, view=view_key(sweep) if is_logged else "", companion=companion):
            console.print(Text(line), soft_wrap=True)
    else:
        console.print(Text(f"files: {folder}"), soft_wrap=True)
    console.print(Text(f"Page: {page.absolute().as_uri()}"), soft_wrap=True)
    return results


def _write_stability(comparison: Comparison, plan: Plan, folder: Path) -> StabilityReport | None:
    """Write the tables on the stability of a sweep's embeddings; without a report, remove those of an earlier one."""
    stability = sweep_stability(comparison, plan.mlflow.uri if plan.mlflow else None)
    if stability:
        stability.write_csv(folder)
    else:
        for name in STABILITY_FILES:
            (folder / name).unlink(missing_ok=True)
    return stability


def _comparison(results: Sequence[RunResult], sweep: Sweep) -> Comparison:
    return compare(distinct(results), Ranking(*sweep.sought) if sweep.sought else None)


def distinct(results: Sequence[RunResult]) -> list[RunResult]:
    """Return one result per configuration and seed.

    A search may propose the same values twice.
    """
    kept: dict[tuple[tuple[str, str], ...], RunResult] = {}
    for result in results:
        kept.setdefault((*result.swept.items(), ("seed", str(result.seed))), result)
    return list(kept.values())


def _log_summary(
    sweep: Sweep,
    comparison: Comparison,
    stability: StabilityReport | None,
    folder: Path,
    tracking: MlflowTracking,
    companion: Companion | None,
) -> bool:
    """Log the summary run of a sweep; return whether MLflow has it."""
    from w2v_exp.tracking.history import log_summary, write_skipped
    from w2v_exp.tracking.store import store_uri
    from w2v_exp.tracking.upload import pending_folders, sync_command

    files = folder / SUMMARY_FILES
    write_skipped(comparison.skipped, files)
    for name in [PAGE, *(STABILITY_FILES if stability else ())]:
        with replacing(files / name, "wb", durable=False) as stream:
            stream.write((folder / name).read_bytes())
    problem = log_summary(
        tracking,
        sweep.name,
        sweep.command,
        sweep.keys,
        {NOTE: sweep_description(comparison, sweep)} | view_tags(comparison, sweep),
        files,
        started=sweep.started,
        params=_summary_params(sweep, comparison),
        metrics=_summary_metrics(comparison) | (stability.metrics() if stability else {}),
        mirror=companion,
    )
    if companion:
        companion.flush()
        problem = companion.problem(folder)
    if problem:
        _log.warning(f"Summary not logged to MLflow ({problem}). Its files are in {files}.")
    if pending_folders(folder):
        command = sync_command(folder, store_uri(tracking.uri))
        _log.warning(f"Part of this sweep is not in MLflow yet. {command}")
    return not problem


def _summary_params(sweep: Sweep, comparison: Comparison) -> dict[str, str]:
    """Return the swept keys with their values, and the best configuration."""
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
    """Return the numbers of runs, and the best value of each metric of quality, memory and time.

    A configuration's value is its mean over seeds.
    """
    metrics = {
        "runs_finished": sum(len(group.runs) for group in comparison.groups),
        "runs_unfinished": len(comparison.unfinished),
    }
    best = {
        r: [r.sign * g.ranked_mean(r.metric) for g in comparison.groups if g.ranks(r.metric)]
        for r in [*ranked_metrics(comparison), *resources(comparison)]
    }
    return metrics | {
        f"sweep_best_{ranking.metric}": ranking.sign * max(values) for ranking, values in best.items()
    }
