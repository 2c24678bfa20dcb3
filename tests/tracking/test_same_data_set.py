"""Runs that begin at the same moment, with the same new text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from w2v_exp.tracking.store import open_store
from w2v_exp.tracking.upload import log_text

RUNS, TEXTS = 4, 5


def test_runs_that_begin_at_once_all_log_the_same_new_data_set(store: Path) -> None:
    opened = open_store(f"sqlite:///{store}")
    runs = [opened.client.create_run(opened.experiment_id).info.run_id for _ in range(RUNS)]
    together = Barrier(RUNS, timeout=30)

    def log(run: str) -> None:
        for text in range(TEXTS):
            together.wait()
            data = {"name": "file", "digest": f"digest {text}", "source": "text.txt", "profile": "{}"}
            log_text(opened.client, run, data)

    with ThreadPoolExecutor(RUNS) as threads:
        for logged in [threads.submit(log, run) for run in runs]:
            logged.result(timeout=120)
    for run in runs:
        assert len(opened.client.get_run(run).inputs.dataset_inputs) == TEXTS
