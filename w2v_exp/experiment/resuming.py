"""A run that need not be done: the same one has finished before, or is being done by another process."""

from __future__ import annotations

import dataclasses

from w2v_exp.choices import MlflowTracking
from w2v_exp.experiment.inputs import RunInputs
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.plan import Plan
from w2v_exp.runs import RunResult
from w2v_exp.tracking.history import EarlierRuns, earlier_runs, recorded_result
from w2v_exp.tracking.store import PATIENCE_SECONDS, Store, open_store, patiently


def resumes(plan: Plan, info: RunInfo) -> bool:
    """Return whether a run is left out if it has finished before: as the plan says, or else in a sweep that lasts."""
    wanted = info.of_lasting_sweep if plan.resume is None else plan.resume
    return wanted and not plan.force and isinstance(plan.tracking, MlflowTracking)


def result_of_before(plan: Plan, info: RunInfo, inputs: RunInputs) -> RunResult | None:
    """Return the result of a run that is not to be done again, or None for one that is to be done.

    A run of the same fingerprint that has finished is taken for this one. While one is alive in another process, this
    one is not done either: it would cost the same again, for the same. Runs that failed, were killed, or whose
    process is gone count for nothing; the latter are told so in the store.

    Raises
    ------
    UserError
        If the store cannot be used.
    """
    if not resumes(plan, info) or not isinstance(plan.tracking, MlflowTracking):
        return None
    tracking, patience = plan.tracking, PATIENCE_SECONDS if info.sweep else 0.0
    store, earlier = patiently(lambda: _look_up(tracking, inputs.fingerprint), tracking.uri, patience)
    if earlier.finished:
        result = recorded_result(store, earlier.finished[0], info.swept)
        return dataclasses.replace(result, name=info.name, status="SKIPPED", reason="")
    if earlier.alive:
        run = earlier.alive[0]
        place = f"on {run.data.tags['host']}" if "host" in run.data.tags else "elsewhere"
        return RunResult(
            name=info.name,
            swept=info.swept,
            seed=plan.seed,
            status="RUNNING",
            reason=f"run {run.info.run_id} does the same {place}, since it is alive; force=true runs this one, too.",
            run_id=run.info.run_id,
        )
    _close(store, earlier)
    return None


def _look_up(tracking: MlflowTracking, fingerprint: str) -> tuple[Store, EarlierRuns]:
    store = open_store(tracking.uri, tracking.experiment)
    return store, earlier_runs(store, fingerprint)


def _close(store: Store, earlier: EarlierRuns) -> None:
    """Say of runs whose process is gone that they were killed: they themselves could not."""
    for run in earlier.dead:
        if run.info.status == "RUNNING":
            store.client.set_tag(run.info.run_id, "reason", "its process was gone")
            store.client.set_terminated(run.info.run_id, "KILLED")
