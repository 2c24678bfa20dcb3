"""A run that could not tell its end itself: its process was killed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from w2v_exp.choices import MlflowTracking
from w2v_exp.errors import UserError
from w2v_exp.experiment.identity import Identity
from w2v_exp.experiment.sweep import RESULT_FILE, write_result
from w2v_exp.launching.task import Task, task_identity
from w2v_exp.plan import make_plan
from w2v_exp.reporting.results import RunResult

if TYPE_CHECKING:
    from w2v_exp.tracking.store import Store


def has_told(task: Task) -> bool:
    """Return whether a run has told its end."""
    return (task_identity(task.composed()).folder / RESULT_FILE).exists()


def tell_end(task: Task, status: str, reason: str) -> RunResult:
    """Write down, in the run's folder and in its store, how a run ended that could not do so itself.

    What it has logged until then stays, and is part of the result.
    """
    config = task.composed()
    identity = task_identity(config)
    plan = make_plan(identity.config)
    result = RunResult(
        name=identity.name,
        swept=identity.swept,
        seed=plan.seed,
        status=status,
        reason=" ".join(reason.split()),
    )
    if isinstance(plan.tracking, MlflowTracking):
        from w2v_exp.tracking.store import open_store

        try:
            result = _end_record(open_store(plan.tracking.uri, plan.tracking.experiment), identity, result)
        except UserError as error:
            result = replace(result, reason=f"{result.reason} ({error})")
    identity.folder.mkdir(parents=True, exist_ok=True)
    write_result(result, identity.folder)
    return result


def _end_record(store: Store, identity: Identity, result: RunResult) -> RunResult:
    """End the run in the store, if it had begun there, and return its result with what was logged."""
    from w2v_exp.tracking.recorded import recorded_results, recorded_runs

    tags = identity.tags()
    chosen = f"tags.sweep = '{tags['sweep']}' and tags.`sweep.number` = '{tags['sweep.number']}'"
    begun = recorded_runs(store, chosen)
    if not begun:
        return result
    run_id = begun[-1].info.run_id
    store.client.set_tag(run_id, "reason", result.reason)
    store.client.set_terminated(run_id, result.status)
    (logged,) = recorded_results(store, begun[-1:])
    return replace(result, run_id=run_id, metrics=logged.metrics, curves=logged.curves)
