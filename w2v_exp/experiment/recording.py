"""A run in its MLflow store: how its record begins, and how it ends."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from w2v_exp.choices import MlflowTracking
from w2v_exp.experiment.identity import Identity
from w2v_exp.experiment.material import Material
from w2v_exp.experiment.run_checkpoints import RunCheckpoints
from w2v_exp.plan import Plan
from w2v_exp.tracking.earlier import FINGERPRINT, process_tags
from w2v_exp.tracking.mlflow_run import MlflowRun
from w2v_exp.tracking.provenance import provenance
from w2v_exp.tracking.store import Store, open_store


def begin_record(
    plan: Plan, identity: Identity, material: Material, checkpoints: RunCheckpoints
) -> MlflowRun | None:
    """Return a new run in the store, with its parameters, tags and corpus; None if the plan does without.

    If there is a checkpoint of a run that the store has, it is that run, to go on. A checkpoint of one that has
    finished is forgotten: its process was killed before it could delete it.
    """
    if not isinstance(plan.tracking, MlflowTracking):
        return None
    store = open_store(plan.tracking.uri, plan.tracking.experiment)
    text = material.text
    made_of = {"corpus.digest": text.digest, FINGERPRINT: material.fingerprint} | material.origin.tags()
    tags = identity.tags() | process_tags(identity.folder) | provenance() | made_of
    interrupted = _interrupted_run(store, checkpoints)
    tracked = MlflowRun(
        store,
        identity.name,
        tags,
        epochs=plan.epochs,
        points=plan.tracking.points,
        cost_metric=plan.objective.cost_metric,
        goes_on=interrupted,
    )
    if interrupted:
        return tracked
    tracked.log_params(identity.params())
    profile = f'{{"tokens": {text.tokens}, "words": {len(text.vocabulary)}}}'
    tracked.log_corpus(identity.choices["corpus"], text.digest, plan.corpus.source, profile)
    return tracked


def _interrupted_run(store: Store, checkpoints: RunCheckpoints) -> str | None:
    """Return the id of the run that a checkpoint is of, if this is where it can go on."""
    from mlflow.exceptions import MlflowException

    run_id = checkpoints.noted_run
    if run_id is None:
        return None
    try:
        run = store.client.get_run(run_id)
    except MlflowException:  # another store has it, or none
        return None
    if run.info.status == "FINISHED":
        checkpoints.forget()
        return None
    is_here = run.info.experiment_id == store.experiment_id and run.info.lifecycle_stage == "active"
    return run_id if is_here else None


def end_record(
    tracked: MlflowRun, status: str, reason: str, metrics: Mapping[str, float], files: Path
) -> None:
    """Write what a run has come to: metrics that have no epoch, and its files, which move to the store."""
    tracked.log_metrics(metrics)
    tracked.log_files(files)
    shutil.rmtree(files)
    if reason:
        tracked.set_tag("reason", reason)
    tracked.finish(status)
