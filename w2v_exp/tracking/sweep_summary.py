"""The run that holds a sweep's comparison in MLflow."""

from __future__ import annotations

from pathlib import Path

from w2v_exp.tracking.provenance import provenance
from w2v_exp.tracking.recorded import SUMMARY
from w2v_exp.tracking.store import Store


def log_summary(store: Store, sweep: str, command: str, keys: list[str], table: str, files: Path) -> str:
    """Write a summary run: the table as its description, the files as its artifacts. Return its id.

    Parameters
    ----------
    store : Store
        Where to.
    sweep, command : str
        The sweep's name and command line.
    keys : list of str
        What was swept.
    table : str
        The comparison, in Markdown.
    files : Path
        A folder with the comparison as CSV and its pictures.
    """
    tags = provenance() | {
        "sweep": sweep,
        "kind": SUMMARY,
        "command": command,
        "mlflow.note.content": f"`{command}`\n\n{table}",
    }
    name = "summary: " + " × ".join(key.rpartition(".")[2] for key in keys)
    run_id: str = store.client.create_run(store.experiment_id, tags=tags, run_name=name).info.run_id
    store.client.log_artifacts(run_id, str(files))
    store.client.set_terminated(run_id, "FINISHED")
    return run_id
