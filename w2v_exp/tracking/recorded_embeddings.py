"""The embeddings of a run in MLflow, read back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.tracking.store import connect, first_line, store_uri

ARTIFACT = "embeddings.npz"


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
