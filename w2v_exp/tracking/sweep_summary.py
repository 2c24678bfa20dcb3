"""The run that holds a sweep's comparison in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time

from w2v_exp.errors import UserError
from w2v_exp.reporting.words import code_span
from w2v_exp.tracking.delivery import Delivery
from w2v_exp.tracking.pending import Pending, Taken
from w2v_exp.tracking.provenance import provenance
from w2v_exp.tracking.recorded import SUMMARY
from w2v_exp.tracking.store import experiment_id, experiment_name, open_store, store_uri

LONGEST_PARAM = 6000  # characters; MLflow takes no more


def log_summary(
    uri: str | None,
    experiment: str | None,
    sweep: str,
    command: str,
    keys: Sequence[str],
    table: str,
    files: Path,
    *,
    started: float,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
) -> str:
    """Write a summary run: the table as its description, the files as its artifacts.

    Returns why MLflow could not be updated, or "". The data are then kept beside the files.

    Parameters
    ----------
    uri, experiment : str, optional
        Of the store, as in the configuration.
    sweep, command : str
        The sweep's name and command line.
    keys : sequence of str
        The swept keys.
    table : str
        The comparison, in Markdown.
    files : Path
        A folder in the sweep's folder, with the comparison as CSV and its pictures.
    started : float
        When the sweep began, in seconds since 1970.
    params : mapping of str to str
        Beside the command: the swept keys with their values, the best configuration.
    metrics : mapping of str to float
        Numbers of runs, and the best values.
    """
    tags = provenance() | {
        "sweep": sweep,
        "kind": SUMMARY,
        "command": command,
        "mlflow.note.content": f"{code_span(command)}\n\n{table}",
    }
    ended = int(time() * 1000)
    pending = Pending(
        store_uri(uri),
        experiment_name(experiment),
        experiment_id=experiment_id(experiment),
        name="summary: " + " × ".join(key.rpartition(".")[2] for key in keys),
        tags=tags,
        params={key: value[:LONGEST_PARAM] for key, value in ({"command": command} | dict(params)).items()},
        metrics=[Taken(name, value, ended, 0) for name, value in metrics.items()],
        files=files.name,
        status="FINISHED",
        start_time=min(int(started * 1000), ended),
        end_time=ended,
    )
    try:
        store = open_store(uri, experiment)
    except UserError as error:
        pending.write(files.parent)
        return str(error)
    return Delivery(store.client, pending, files.parent).finish()
