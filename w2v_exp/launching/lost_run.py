"""A run that could not tell its end itself: its process was killed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from w2v_exp.choices import MlflowTracking
from w2v_exp.config import plan_of
from w2v_exp.errors import UserError
from w2v_exp.experiment.sweep import read_result, write_result
from w2v_exp.launching.task import Task, task_identity
from w2v_exp.reporting.results import RunResult

if TYPE_CHECKING:
    from w2v_exp.tracking.pending import Pending
    from w2v_exp.tracking.store import Store


def has_told(task: Task) -> bool:
    """Return whether a run has told its end."""
    identity = task_identity(task.composed())
    return read_result(identity.folder, identity.sweep) is not None


def tell_end(task: Task, status: str, reason: str) -> RunResult:
    """Write down, in the run's folder and in its store, how a run ended that could not do so itself.

    What it has logged until then stays, and is part of the result.
    """
    config = task.composed()
    identity = task_identity(config)
    plan = plan_of(config)
    result = RunResult(
        name=identity.name,
        swept=identity.swept,
        seed=plan.seed,
        status=status,
        reason=" ".join(reason.split()),
    )
    try:
        identity.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(plan.tracking, MlflowTracking):
            result = end_lost_record(plan.tracking, identity.tags(), identity.folder, result)
        write_result(result, identity.folder, identity.sweep)
    except OSError as error:  # a full disk; the other runs go on
        print(f"{identity.folder}: {error.strerror or error}.", file=sys.stderr)
    return result


def end_lost_record(
    tracking: MlflowTracking,
    tags: Mapping[str, str],
    folder: Path,
    result: RunResult,
    patience: float | None = None,
) -> RunResult:
    """End a run in the store, if it had begun there, and return its result with what was logged.

    A run that the store has as finished stays so, and its result is that of the store.

    A store that is locked or away is retried for `patience` seconds, by default a minute. After that the end is kept
    in the run's folder, with the metrics that the run itself could not deliver, and the result's reason says so.

    Parameters
    ----------
    tracking : MlflowTracking
        The store.
    tags : mapping of str to str
        The run's, by which it is found.
    folder : Path
        The run's folder.
    result : RunResult
        How the run has ended.
    """
    from w2v_exp.tracking.delivery import Delivery
    from w2v_exp.tracking.faults import PATIENCE_SECONDS, patiently
    from w2v_exp.tracking.store import open_store

    patience = PATIENCE_SECONDS if patience is None else patience
    pending = _pending_end(tracking, tags, folder, result)
    try:
        store = patiently(lambda: open_store(tracking.uri, tracking.experiment), tracking.uri, patience)
        problem = Delivery(store.client, pending, folder).finish(patience)
        if problem:
            raise UserError(problem)
        if not pending.run_id:
            return result
        logged = patiently(lambda: _logged_result(store, pending.run_id), tracking.uri, patience)
    except UserError as error:
        if pending:
            pending.write(folder)
        return replace(result, reason=f"{result.reason} ({error})")
    if logged.status == "FINISHED":  # it was lost between its last call of the store and its result
        return replace(logged, name=result.name, swept=result.swept)
    return replace(result, run_id=pending.run_id, metrics=logged.metrics, curves=logged.curves)


def _pending_end(
    tracking: MlflowTracking, tags: Mapping[str, str], folder: Path, result: RunResult
) -> Pending:
    """Return what the store lacks of a lost run: its end, and what the run itself has left."""
    from w2v_exp.tracking.pending import FILE, Pending
    from w2v_exp.tracking.store import experiment_id, experiment_name, store_uri

    quote = '"' if "'" in tags["sweep"] else "'"
    pending = Pending(
        store_uri(tracking.uri),
        experiment_name(tracking.experiment),
        experiment_id=experiment_id(tracking.experiment),
        existing=f"tags.sweep = {quote}{tags['sweep']}{quote} and tags.`sweep.number` = '{tags['sweep.number']}'",
    )
    try:
        left = Pending.read(folder)
        if left.uri == pending.uri and left.run_id:
            pending = left
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        print(f"{folder / FILE}: cannot be read ({error}); its metrics are lost.", file=sys.stderr)
    if pending.status != "FINISHED":  # else it was lost while it waited for the store
        pending.tags["reason"] = result.reason
        pending.status, pending.end_time = result.status, int(time() * 1000)
    return pending


def _logged_result(store: Store, run_id: str) -> RunResult:
    from w2v_exp.tracking.recorded import recorded_results

    (logged,) = recorded_results(store, [store.client.get_run(run_id)])
    return logged
