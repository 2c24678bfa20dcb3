"""Runs read back from an MLflow store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from w2v_exp.errors import UserError
from w2v_exp.reporting.columns import CURVES
from w2v_exp.reporting.results import RunResult
from w2v_exp.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

SUMMARY = "summary"
NOT_ENDED = "did not end: it is still running, or its process was killed"


def recorded_runs(store: Store, filter_string: str) -> list[Run]:
    """Return the runs of the store's experiment that a filter of MLflow's finds, the oldest first.

    The summaries of sweeps are left out.

    Raises
    ------
    UserError
        If MLflow does not understand the filter.
    """
    from mlflow.exceptions import MlflowException

    runs: list[Any] = []
    token = None
    while True:
        try:
            page = store.client.search_runs(
                [store.experiment_id], filter_string, order_by=["attributes.start_time ASC"], page_token=token
            )
        except MlflowException as error:
            raise UserError(f"--filter {filter_string!r}: {error.message}") from error
        runs += [run for run in page if run.data.tags.get("kind") != SUMMARY]
        token = page.token
        if not token:
            return runs


def recorded_results(store: Store, runs: list[Run]) -> list[RunResult]:
    """Return what tables and pictures need of these runs.

    What was swept is said by the runs themselves, if they are of one sweep; otherwise it is every parameter that is
    not the same in all of them. The seed never is.
    """
    keys = _swept_keys(runs)
    return [recorded_result(store, run, {key: run.data.params.get(key, "") for key in keys}) for run in runs]


def recorded_sweep(store: Store, name: str | None = None) -> tuple[str, str]:
    """Return the name and the command of a sweep in the store's experiment: of the newest, if none is named.

    The command of one that has not ended is not known, and empty.

    Raises
    ------
    UserError
        If none is named and there is none.
    """
    summaries = store.client.search_runs(
        [store.experiment_id],
        f"tags.kind = '{SUMMARY}'",
        order_by=["attributes.start_time DESC"],
        max_results=1 if name is None else 1000,
    )
    for summary in summaries:
        if name in (None, summary.data.tags["sweep"]):
            return str(summary.data.tags["sweep"]), str(summary.data.tags.get("command", ""))
    if name is None:
        raise UserError(f"There is no finished sweep in experiment {store.experiment} of {store.uri}.")
    return name, ""


def _swept_keys(runs: list[Run]) -> list[str]:
    said = {run.data.tags.get("sweep.keys") for run in runs}
    if len(said) == 1 and (keys := said.pop()):
        return [key for key in keys.split() if key != "seed"]
    names = sorted({name for run in runs for name in run.data.params} - {"seed"})
    return [name for name in names if len({run.data.params.get(name) for run in runs}) > 1]


def recorded_result(store: Store, run: Run, swept: dict[str, str]) -> RunResult:
    """Return what the store has of a run, which in its sweep has these swept values."""
    ended = run.info.status in ("FINISHED", "FAILED", "KILLED")
    curves = {
        metric: sorted((p.step, p.value) for p in store.client.get_metric_history(run.info.run_id, metric))
        for metric in CURVES
        if metric in run.data.metrics
        and run.data.params.get("epochs") != "0"  # a cost without training is no curve
    }
    return RunResult(
        name=run.info.run_name or run.info.run_id,
        swept=swept,
        seed=int(run.data.params.get("seed", 0)),
        status=run.info.status if ended else "KILLED",
        reason=run.data.tags.get("reason", "") if ended else NOT_ENDED,
        metrics={name: value for name, value in run.data.metrics.items() if name != "learning_rate"},
        curves=curves,
        ended_by=run.data.tags.get("ended_by", ""),
        run_id=run.info.run_id,
    )
