"""A run in its MLflow store: how its record begins, and how it ends."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from w2v_exp.choices import MlflowTracking
from w2v_exp.experiment.identity import Identity
from w2v_exp.experiment.material import Material
from w2v_exp.plan import Plan
from w2v_exp.tracking.earlier import FINGERPRINT, process_tags
from w2v_exp.tracking.mlflow_run import MlflowRun
from w2v_exp.tracking.provenance import provenance
from w2v_exp.tracking.store import open_store


def begin_record(plan: Plan, identity: Identity, material: Material) -> MlflowRun | None:
    """Return a new run in the store, with its parameters, tags and corpus; None if the plan does without."""
    if not isinstance(plan.tracking, MlflowTracking):
        return None
    store = open_store(plan.tracking.uri, plan.tracking.experiment)
    text = material.text
    made_of = {"corpus.digest": text.digest, FINGERPRINT: material.fingerprint} | material.origin.tags()
    tags = identity.tags() | process_tags(identity.folder) | provenance() | made_of
    tracked = MlflowRun(
        store,
        identity.name,
        tags,
        epochs=plan.epochs,
        points=plan.tracking.points,
        cost_metric=plan.objective.cost_metric,
    )
    tracked.log_params(identity.params())
    profile = f'{{"tokens": {text.tokens}, "words": {len(text.vocabulary)}}}'
    tracked.log_corpus(identity.choices["corpus"], text.digest, plan.corpus.source, profile)
    return tracked


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
