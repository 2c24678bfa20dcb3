"""Runs that begin at the same moment, with the same new text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from w2v_exp.tracking.mlflow_run import MlflowRun
from w2v_exp.tracking.store import open_store

RUNS, TEXTS = 4, 5


def test_runs_that_begin_at_once_all_log_the_same_new_data_set(tmp_path: Path, store: Path) -> None:
    opened = open_store(f"sqlite:///{store}")
    runs = [
        MlflowRun(opened, f"run {number}", {}, tmp_path, epochs=1, points=10, cost_metric="cost")
        for number in range(RUNS)
    ]
    together = Barrier(RUNS, timeout=30)

    def log(run: MlflowRun) -> None:
        for text in range(TEXTS):
            together.wait()
            run.log_corpus("file", f"digest {text}", "text.txt", "{}")

    with ThreadPoolExecutor(RUNS) as threads:
        for logged in [threads.submit(log, run) for run in runs]:
            logged.result(timeout=120)
    for run in runs:
        assert len(opened.client.get_run(run.run_id).inputs.dataset_inputs) == TEXTS
