"""Executors of runs: joblib's worker processes on this machine, or jobs of a Slurm cluster.

joblib is optional, and imported where it is used.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from w2v_exp.launching.task import OUTPUT_FILE, Task, has_result, run_task
from w2v_exp.processes import HELD_BACK, ONE_THREAD, interruptions_held_back
from w2v_exp.slurm import JobArrays, stop_before_limit

if TYPE_CHECKING:
    from joblib.externals.loky.process_executor import ProcessPoolExecutor


class Ended(NamedTuple):
    """A run whose process has ended.

    Parameters
    ----------
    task : Task
        The run.
    exit_reason : str
        Reason to record if the run has written no result; empty if it certainly has.
    """

    task: Task
    exit_reason: str


class Executor(Protocol):
    """Processes on this or other machines that execute runs."""

    def start(self, tasks: Sequence[Task]) -> None:
        """Start all of these runs at once."""

    def ended(self, seconds: float) -> list[Ended]:
        """Return the runs that have ended since the last call; wait up to `seconds` for the first one."""

    def terminate(self) -> None:
        """Send SIGTERM to all runs."""

    def close(self) -> None:
        """End all remaining processes at once."""


ORPHAN_SECONDS = 20.0  # in which a run saves its results after the sweep's process has died


class JoblibWorkers:
    """Worker processes of joblib (its executor, loky), each of which is reused for the next run.

    loky starts them without a copy of this process, and replaces those whose memory grows from run to run. If one
    process of an executor is killed, loky ends all of them. So each has an executor of its own: only its run is lost.
    """

    def __init__(self) -> None:
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: dict[Future[None], tuple[ProcessPoolExecutor, Task]] = {}

    def start(self, tasks: Sequence[Task]) -> None:
        """Start these runs."""
        for task in tasks:
            future, worker = self._submit(task)
            self._busy[future] = worker, task

    def ended(self, seconds: float) -> list[Ended]:
        """Return the runs that have ended."""
        done, _ = wait(self._busy, timeout=seconds, return_when=FIRST_COMPLETED)
        ended = []
        for future in done:
            worker, task = self._busy.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                worker.shutdown(kill_workers=True)
            else:
                self._idle.append(worker)
            ended.append(Ended(task, "" if error is None else _exit_reason(error)))
        return ended

    def terminate(self) -> None:
        """Send SIGTERM to all runs."""
        for worker, _ in self._busy.values():
            for process in list(worker._processes):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)

    def close(self) -> None:
        """End all processes: busy ones at once, idle ones when they have cleaned up."""
        for worker in self._idle:
            worker.shutdown(wait=False)
        for worker, _ in self._busy.values():
            worker.shutdown(kill_workers=True)
        self._idle.clear()
        self._busy.clear()

    def _submit(self, task: Task) -> tuple[Future[None], ProcessPoolExecutor]:
        while True:
            # A worker that starts meanwhile never receives Ctrl-C; `terminate` would interrupt it a second time.
            with interruptions_held_back():
                worker = self._idle.pop() if self._idle else _new_worker()
                try:
                    return worker.submit(run_task, task), worker
                except BrokenProcessPool:  # it was killed while it was idle
                    worker.shutdown(kill_workers=True)


def _new_worker() -> ProcessPoolExecutor:
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

    return ProcessPoolExecutor(
        max_workers=1,
        initializer=_begin_worker,
        initargs=(os.getpid(),),
        env=ONE_THREAD,  # runs set their own number
    )


def _begin_worker(parent: int) -> None:
    """Ignore Ctrl-C and SIGHUP, for which the parent sends SIGTERM, and end if the parent dies."""
    for number in HELD_BACK:
        signal.signal(number, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _exit_reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if not isinstance(error, BrokenProcessPool):
        return f"{type(error).__name__}: {error}"
    found = re.search(r"exit codes of the workers are \{(\w+)", str(error))
    signal_name = found[1] if found else "unknown"
    if signal_name == "SIGKILL":
        return "the process was killed (SIGKILL), probably because memory ran out"
    return f"the process crashed ({signal_name}); see {OUTPUT_FILE} in its folder"


class SlurmJobs:
    """Jobs of a Slurm cluster, each of which executes a run.

    Parameters
    ----------
    folder : str
        The sweep's folder, which all machines can read.
    parameters : mapping of str to object
        Resources of a job: see `JobSettings.parameters`.
    """

    def __init__(self, folder: str, parameters: Mapping[str, Any]) -> None:
        self._jobs: JobArrays[Task] = JobArrays(
            f"{folder}/submitit/%j", {"job_name": "w2v_exp", **parameters}, "hydra/launcher=submitit_slurm"
        )

    def start(self, tasks: Sequence[Task]) -> None:
        """Submit these runs as one array."""
        self._jobs.submit(run_as_job, tasks)

    def ended(self, seconds: float) -> list[Ended]:
        """Return the runs whose jobs have ended."""
        return [Ended(*ended) for ended in self._jobs.ended(seconds, has_result)]

    def terminate(self) -> None:
        """Cancel all jobs: Slurm sends SIGTERM, and SIGKILL half a minute later."""
        self._jobs.cancel()

    def close(self) -> None:
        """Cancel all remaining jobs."""
        self._jobs.close()


def run_as_job(task: Task) -> None:
    """Execute a run in the process of a Slurm job; before its time limit it saves its results and ends."""
    stop_before_limit()
    run_task(task)
