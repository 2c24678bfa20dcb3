"""A Dask cluster of processes on this machine, for tests: its parts can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processes import environment

TESTS = Path(__file__).parent
PATH = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(TESTS), str(TESTS.parents[1])]).lstrip(
    os.pathsep
)


class Cluster:
    """A scheduler and workers, each started by Dask's own command.

    Parameters
    ----------
    folder : Path
        Folder for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            *("dask_scheduler", "--port", "0", "--host", "127.0.0.1"),
            *("--scheduler-file", str(self._file), "--no-dashboard"),
        )
        until = time.monotonic() + 60
        while not self._file.exists() or not self._file.read_text():
            assert time.monotonic() < until, "Dask's scheduler does not start"
            time.sleep(0.05)
        self.address: str = json.loads(self._file.read_text())["address"]

    def add_worker(self, *options: str, nanny: bool = False, **variables: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        worker = self._start(
            *("dask_worker", self.address, "--nthreads", "1", "--no-dashboard"),
            *("--nanny" if nanny else "--no-nanny", "--local-directory", str(self.folder), *options),
            **variables,
        )
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """Kill all that is left."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, command: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        with (self.folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command}", *arguments],
                cwd=self.folder,
                env=environment(**({"PYTHONPATH": PATH} | variables)),
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process


@contextmanager
def cluster(folder: Path, workers: int = 0, **settings: Any) -> Iterator[Cluster]:
    """Start a cluster, and end it with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    started = Cluster(folder)
    try:
        for _ in range(workers):
            started.add_worker(**settings)
        yield started
    finally:
        started.close()
