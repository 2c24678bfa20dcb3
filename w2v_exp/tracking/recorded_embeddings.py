"""The embeddings of a run in MLflow, read back."""

from __future__ import annotations

import re
import tempfile
from typing import TYPE_CHECKING

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.tracking.artifacts import download_artifact, list_artifacts
from w2v_exp.tracking.problems import problem_of
from w2v_exp.tracking.store import connect, store_uri
from w2v_exp.validation import require_kind

if TYPE_CHECKING:
    from mlflow.entities import Run

ARTIFACT = "embeddings.npz"
LATEST = "latest"
RUN_ID = re.compile(r"[0-9a-f]{32}")
BEGINNING_OF_ID = re.compile(r"[0-9a-f]{4,31}")
FINISHED = "attributes.status = 'FINISHED'"
OURS = "tags.`corpus.digest` LIKE '%'"  # runs of other programs, and summaries of sweeps, have no such tag


def load_run(run_id: str, tracking_uri: str | None = None) -> Embeddings:
    """Return what a run has trained: words, counts and both matrices; see `w2v_exp.load_run`."""
    require_kind("run_id", run_id, str, "the id or the name of a run, or latest")
    run_id = latest_run(tracking_uri) if run_id == LATEST else find_run(run_id, tracking_uri)
    address = store_uri(tracking_uri)
    client = connect(address, create=False)
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
        artifacts = list_artifacts(client, run_id)
        if ARTIFACT not in artifacts:
            raise UserError(
                f"Run {run_id} in {address} has no {ARTIFACT}: it is {run.info.status.lower()}"
                f"{', and keeps no embeddings' if run.info.status == 'FAILED' else ''}."
            )
        with tempfile.TemporaryDirectory() as folder:
            return Embeddings.load(download_artifact(client, run_id, ARTIFACT, folder))
    except (MlflowException, OSError) as error:
        raise UserError(f"Run {run_id} cannot be read from {address} ({problem_of(error)}).") from error


def recorded_choice(run_id: str, tracking_uri: str | None = None) -> tuple[str, str]:
    """Return the name of a run that is there, and which vectors it has evaluated (its value of `embedding`)."""
    run = connect(store_uri(tracking_uri), create=False).get_run(run_id)
    return run.info.run_name or run_id, run.data.params.get("embedding", "input")


def find_run(run: str, tracking_uri: str | None = None) -> str:
    """Return the id of a run.

    Parameters
    ----------
    run : str
        An id, the name of only one finished run, or the beginning of only one id (four characters or more).
    tracking_uri : str, optional
        Of the store; None takes MLFLOW_TRACKING_URI, or else ``sqlite:///mlflow.db`` in the current folder.

    Raises
    ------
    UserError
        If there is no such store, or not one such run in all its experiments.
    """
    if RUN_ID.fullmatch(run):
        return run
    address = store_uri(tracking_uri)
    quote = '"' if "'" in run else "'"
    found = _search(address, f"attributes.run_name = {quote}{run}{quote} and {FINISHED}")
    if not found and BEGINNING_OF_ID.fullmatch(run):
        found = _search(address, f"attributes.run_id LIKE '{run}%'")
        if len(found) > 1:
            raise UserError(f"The ids of {len(found)} runs in {address} begin with {run}; give more of it.")
    if not found:
        raise UserError(f"There is no finished run with the id or name {run} in {address}.")
    if len(found) > 1:
        raise UserError(
            f"{len(found)} finished runs in {address} have this name; give an id (the latest: {found[0].info.run_id})."
        )
    return str(found[0].info.run_id)


def latest_run(tracking_uri: str | None = None) -> str:
    """Return the id of the finished run that began last, in all experiments of a store.

    Raises
    ------
    UserError
        If there is none.
    """
    address = store_uri(tracking_uri)
    found = _search(address, f"{OURS} and {FINISHED}", most=1)
    if not found:
        raise UserError(f"There is no finished run in {address}.")
    return str(found[0].info.run_id)


def _search(address: str, filter_string: str, most: int = 1000) -> list[Run]:
    """Return the runs of a store that a filter of MLflow's finds, the one that began last first."""
    client = connect(address, create=False)
    from mlflow.exceptions import MlflowException

    try:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(
            client.search_runs(
                experiments, filter_string, order_by=["attributes.start_time DESC"], max_results=most
            )
        )
    except MlflowException as error:
        raise UserError(f"Runs cannot be looked up in {address} ({problem_of(error)}).") from error
