"""A run in its MLflow store: how its record begins, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from w2v_exp.choices import MlflowTracking
from w2v_exp.experiment.inputs import RunInputs
from w2v_exp.experiment.run_checkpoints import RunCheckpoints
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.plan import Plan
from w2v_exp.tracking.history import FINGERPRINT, process_tags
from w2v_exp.tracking.mlflow_run import MlflowRun
from w2v_exp.tracking.provenance import provenance
from w2v_exp.tracking.store import PATIENCE_SECONDS, Store, is_passing, open_store, patiently
from w2v_exp.tracking.upload import replay_command


def begin_record(
    plan: Plan, info: RunInfo, inputs: RunInputs, checkpoints: RunCheckpoints, files: Path
) -> MlflowRun | None:
    """Return a new run in the store, with its parameters, tags and corpus; None if the plan does without.

    If there is a checkpoint of a run that the store has, it is that run, to go on. A checkpoint of one that has
    finished is forgotten: its process was killed before it could delete it.

    A run of a sweep waits for a while for a store that is locked or away.

    Raises
    ------
    UserError
        If the store cannot be used.
    """
    if not isinstance(plan.tracking, MlflowTracking):
        return None
    tracking, patience = plan.tracking, PATIENCE_SECONDS if info.sweep else 0.0
    return patiently(lambda: _begin(plan, tracking, info, inputs, checkpoints, files), tracking.uri, patience)


def _begin(
    plan: Plan,
    tracking: MlflowTracking,
    info: RunInfo,
    inputs: RunInputs,
    checkpoints: RunCheckpoints,
    files: Path,
) -> MlflowRun:
    store = open_store(tracking.uri, tracking.experiment)
    text = inputs.text
    made_of = {"corpus.digest": text.digest, FINGERPRINT: inputs.fingerprint} | inputs.pretrained.tags()
    tags = info.tags() | process_tags(info.folder) | provenance() | made_of
    interrupted = _interrupted_run(store, checkpoints)
    tracked = MlflowRun(
        store,
        info.name,
        tags,
        files,
        epochs=plan.epochs,
        points=tracking.points,
        cost_metric=plan.objective.cost_metric,
        goes_on=interrupted,
    )
    if interrupted:
        return tracked
    try:
        params = info.params()
        tracked.log_params(params)
        profile = f'{{"tokens": {text.tokens}, "words": {len(text.vocabulary)}}}'
        # A source from the environment is written as it is spelled, like the parameters.
        from_environment = "${" in params.get("corpus.path", "")
        source = params["corpus.path"] if from_environment else plan.corpus.source
        tracked.log_corpus(info.choices["corpus"], text.digest, source, profile)
    except Exception:
        with suppress(Exception):  # a run that has not begun should not seem to be running
            store.client.set_terminated(tracked.run_id, "FAILED")
        raise
    return tracked


def _interrupted_run(store: Store, checkpoints: RunCheckpoints) -> str | None:
    """Return the id of the run that a checkpoint is of, if this is where it can go on."""
    from mlflow.exceptions import MlflowException

    run_id = checkpoints.noted_run
    if run_id is None:
        return None
    try:
        run = store.client.get_run(run_id)
    except MlflowException as error:
        if is_passing(error):
            raise
        return None  # another store has it, or none
    if run.info.status == "FINISHED":
        checkpoints.forget()
        return None
    is_here = run.info.experiment_id == store.experiment_id and run.info.lifecycle_stage == "active"
    return run_id if is_here else None


def end_record(
    tracked: MlflowRun,
    status: str,
    reason: str,
    metrics: Mapping[str, float],
    files: Path,
    *,
    resumable: bool = False,
) -> str:
    """Write what a run has come to: metrics that have no epoch, and its files, which move to the store.

    Return, in a line that is said as well, why that was not possible, if it was not, and how to do it later.
    """
    tracked.log_metrics(metrics)
    if reason:
        tracked.set_tag("reason", reason)
    problem = tracked.finish(status, resumable=resumable)
    if not problem:
        return ""
    said = (
        f"The store does not have all of this run ({problem}). Nothing is lost; this delivers the rest: "
        f"{replay_command(files.parent, tracked.uri)}"
    )
    print(said, file=sys.stderr)
    return said
