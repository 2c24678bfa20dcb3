"""Which runs of before a sweep has taken for its own, written down in its summary."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from w2v_exp.files import DamagedFileError, read_checked, write_checked
from w2v_exp.reporting.results import RunResult
from w2v_exp.tracking.artifacts import download_artifact, list_artifacts
from w2v_exp.tracking.recorded import SUMMARY, recorded_result
from w2v_exp.tracking.store import Store

FILE = "skipped.json"


def write_skipped(skipped: Sequence[RunResult], folder: Path) -> None:
    """Write the runs that had finished before: their ids in the store, and what they are in this sweep."""
    (folder / FILE).unlink(missing_ok=True)
    if skipped:
        named = [{"run_id": run.run_id, "name": run.name, "swept": run.swept} for run in skipped]
        write_checked(folder / FILE, {"runs": named})


def skipped_results(store: Store, sweep: str) -> list[RunResult]:
    """Return the results of the runs that a sweep had no need to run, as its latest summary names them."""
    summaries = store.client.search_runs(
        [store.experiment_id],
        f"tags.kind = '{SUMMARY}' and tags.sweep = '{sweep}'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    if not summaries:
        return []
    summary = summaries[0].info.run_id
    if FILE not in list_artifacts(store.client, summary):
        return []
    with tempfile.TemporaryDirectory() as folder:
        try:
            runs = read_checked(download_artifact(store.client, summary, FILE, folder))["runs"]
        except (DamagedFileError, KeyError) as error:
            print(
                f"{FILE} of the sweep's summary is damaged ({error}): its runs are left out.", file=sys.stderr
            )
            return []
    return [
        replace(
            recorded_result(store, store.client.get_run(run["run_id"]), run["swept"]),
            name=run["name"],
            status="SKIPPED",
        )
        for run in runs
    ]
