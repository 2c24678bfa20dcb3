"""Executors of runs: joblib's worker processes on this machine, or jobs of a Slurm cluster.

joblib and submitit are optional, so each is imported where it is used.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, suppress
from io import StringIO
from time import monotonic, sleep
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from w2v_exp.errors import UserError
from w2v_exp.launching.task import OUTPUT_FILE, Task, has_result, run_task
from w2v_exp.processes import HELD_BACK, ONE_THREAD, Terminated, interruptions_held_back

if TYPE_CHECKING:
    from joblib.externals.loky.process_executor import ProcessPoolExecutor
    from submitit.core.core import Job


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


POLL_SECONDS = 1.0  # between checks for the files of results
QUEUE_SECONDS = 10.0  # between calls of squeue, which load Slurm's server
RESULT_SECONDS = 30.0  # in which a result becomes visible through a cluster's file system
# Slurm's states of jobs that have not ended.
UNFINISHED = {
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING"),
    *("REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "SPECIAL_EXIT"),
}


class SlurmJobs:
    """Jobs of a Slurm cluster, submitted by submitit as one array.

    Their states come from ``squeue``, which every cluster has. submitit would use ``sacct``, which some clusters lack,
    and would wait forever for a job that was killed there.

    Parameters
    ----------
    folder : str
        The sweep's folder, which all machines can read.
    parameters : mapping of str to object
        Resources of a job, by sbatch's names.
    """

    def __init__(self, folder: str, parameters: Mapping[str, Any]) -> None:
        from submitit import SlurmExecutor

        self._jobs: dict[str, tuple[Job[None], Task]] = {}
        self._ended_at: dict[str, float] = {}
        self._next_query = 0.0
        self._executor = SlurmExecutor(f"{folder}/submitit/%j")
        self._executor.update_parameters(job_name="w2v_exp", **parameters)

    def start(self, tasks: Sequence[Task]) -> None:
        """Submit these runs as one array.

        Raises
        ------
        UserError
            With Slurm's message, if it rejects them.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            # submitit prints the message of the error as well.
            with redirect_stderr(StringIO()), interruptions_held_back():
                jobs = self._executor.map_array(run_as_job, tasks)
        except (FailedJobError, FailedSubmissionError) as error:
            message = " ".join(line for line in str(error).splitlines() if line.startswith("sbatch: "))
            raise UserError(
                f"hydra/launcher=submitit_slurm: Slurm rejects the jobs. {message or error}"
            ) from None
        self._jobs |= {job.job_id: (job, task) for job, task in zip(jobs, tasks, strict=True)}

    def ended(self, seconds: float) -> list[Ended]:
        """Return the runs whose jobs have ended."""
        until = monotonic() + seconds
        while not (ended := self._ended()) and monotonic() < until:
            sleep(POLL_SECONDS)
        return [Ended(self._jobs.pop(name)[1], reason) for name, reason in ended.items()]

    def terminate(self) -> None:
        """Cancel all jobs: Slurm sends SIGTERM, and SIGKILL half a minute later."""
        if self._jobs:
            subprocess.run(["scancel", *self._jobs], check=False)

    def close(self) -> None:
        """Cancel all remaining jobs."""
        self.terminate()
        self._jobs.clear()

    def _ended(self) -> dict[str, str]:
        """Return the names of the jobs that have ended, with the reason if they have written no result."""
        ended = {
            name: f"the job ended with an error; see {job.paths.stderr}"
            for name, (job, _) in self._jobs.items()
            if job.paths.result_pickle.exists()
        }
        if ended or monotonic() < self._next_query:
            return ended
        states = slurm_states()
        self._next_query = monotonic() + QUEUE_SECONDS
        if states is None:
            return {}
        for name, (job, task) in self._jobs.items():
            state = states.get(name, "COMPLETED")  # Slurm forgets jobs after some minutes
            if state in UNFINISHED:
                self._ended_at.pop(name, None)
                continue
            ended_at = self._ended_at.setdefault(name, monotonic())
            if has_result(task) or monotonic() - ended_at > RESULT_SECONDS:
                ended[name] = f"job {name} ended as {state}; see {job.paths.stderr}"
        return ended


def run_as_job(task: Task) -> None:
    """Execute a run in the process of a Slurm job.

    On the signal that Slurm sends shortly before the time limit or a preemption, the run saves its results and ends.
    submitit's own handler would raise an error or start the job again from its beginning.
    """
    from submitit import JobEnvironment

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated("stopped by Slurm: its time limit (timeout_min) was nearly reached")

    signal.signal(getattr(signal, f"SIG{JobEnvironment().USR_SIG}"), stop)
    run_task(task)


def slurm_states() -> dict[str, str] | None:
    """Return the states of this user's jobs by name, or None if Slurm does not respond."""
    command = ["squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
