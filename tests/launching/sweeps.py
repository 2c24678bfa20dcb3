"""Sweeps by a launcher, and what they leave in the store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from processes import environment

PATIENCE = 300.0


def runs_of(store: str, chosen: str = "") -> dict[str, Any]:
    """Return the runs of a store, or those that are chosen, by name, without the summaries of sweeps."""
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("w2v_exp")
    if experiment is None:
        return {}
    found = client.search_runs([experiment.experiment_id], chosen, max_results=5000)
    return {run.info.run_name: run for run in found if run.data.tags.get("kind") != "summary"}


def start(*arguments: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Start ``w2v-exp …`` as the leader of a group of processes, as a shell does."""
    return subprocess.Popen(
        [sys.executable, "-m", "w2v_exp", *arguments],
        cwd=folder,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return what a condition returns, as soon as it is true."""
    until = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.1)
    return found


def end_group(process: subprocess.Popen[str]) -> None:
    """End a command and all that it has started in its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def processes_that_hold(file: Path) -> list[int]:
    """Return the processes that have a file open; that of a run has the `running.lock` in its folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(link.readlink() == file for link in (folder / "fd").iterdir()):
                found.append(int(folder.name))
    return found
