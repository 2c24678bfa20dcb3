"""The run that holds a sweep's comparison in MLflow."""

from __future__ import annotations

from pathlib import Path
from time import time

from w2v_exp.errors import UserError
from w2v_exp.reporting.words import code_span
from w2v_exp.tracking.delivery import Delivery
from w2v_exp.tracking.pending import Pending
from w2v_exp.tracking.provenance import provenance
from w2v_exp.tracking.recorded import SUMMARY
from w2v_exp.tracking.store import experiment_name, open_store, store_uri


def log_summary(
    uri: str | None,
    experiment: str | None,
    sweep: str,
    command: str,
    keys: list[str],
    table: str,
    files: Path,
) -> str:
    """Write a summary run: the table as its description, the files as its artifacts.

    Return why that was not possible, in a line, if it was not. What is to be told is kept beside the files then.

    Parameters
    ----------
    uri, experiment : str, optional
        Of the store, as in the configuration.
    sweep, command : str
        The sweep's name and command line.
    keys : list of str
        What was swept.
    table : str
        The comparison, in Markdown.
    files : Path
        A folder in the sweep's folder, with the comparison as CSV and its pictures.
    """
    tags = provenance() | {
        "sweep": sweep,
        "kind": SUMMARY,
        "command": command,
        "mlflow.note.content": f"{code_span(command)}\n\n{table}",
    }
    pending = Pending(
        store_uri(uri),
        experiment_name(experiment),
        name="summary: " + " × ".join(key.rpartition(".")[2] for key in keys),
        tags=tags,
        files=files.name,
        status="FINISHED",
        end_time=int(time() * 1000),
    )
    try:
        store = open_store(uri, experiment)
    except UserError as error:
        pending.write(files.parent)
        return str(error)
    return Delivery(store.client, pending, files.parent).finish()
