"""The embeddings of a run in MLflow, read back."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.tracking.store import connect, first_line, store_uri

ARTIFACT = "embeddings.npz"
RUN_ID = re.compile(r"[0-9a-f]{32}")


def load_run(run_id: str, tracking_uri: str | None = None) -> Embeddings:
    """Return what a run has trained: words, counts and both matrices; see `w2v_exp.load_run`."""
    address = store_uri(tracking_uri)
    client = connect(address, create=False)
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
        artifacts = [file.path for file in client.list_artifacts(run_id)]
        if ARTIFACT not in artifacts:
            raise UserError(
                f"Run {run_id} in {address} has no {ARTIFACT}: it is {run.info.status.lower()}"
                f"{', and keeps no embeddings' if run.info.status == 'FAILED' else ''}."
            )
        with tempfile.TemporaryDirectory() as folder:
            return Embeddings.load(Path(client.download_artifacts(run_id, ARTIFACT, folder)))
    except (MlflowException, OSError) as error:
        raise UserError(f"Run {run_id} cannot be read from {address} ({first_line(error)}).") from error


def find_run(run: str, tracking_uri: str | None = None) -> str:
    """Return the id of a run: what is given, if it looks like one, or that of the only finished run of this name.

    Raises
    ------
    UserError
        If there is no such store, or not one such run in all its experiments.
    """
    if RUN_ID.fullmatch(run):
        return run
    address = store_uri(tracking_uri)
    client = connect(address, create=False)
    from mlflow.exceptions import MlflowException

    quote = '"' if "'" in run else "'"
    named = f"attributes.run_name = {quote}{run}{quote} and attributes.status = 'FINISHED'"
    try:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        found = client.search_runs(experiments, named, order_by=["attributes.start_time DESC"])
    except MlflowException as error:
        raise UserError(f"Runs cannot be looked up in {address} ({first_line(error)}).") from error
    if not found:
        raise UserError(f"There is no finished run of this id or name in {address}.")
    if len(found) > 1:
        raise UserError(
            f"{len(found)} finished runs in {address} have this name; give an id (the latest: {found[0].info.run_id})."
        )
    return str(found[0].info.run_id)
