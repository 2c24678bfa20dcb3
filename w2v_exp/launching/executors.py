"""Executors: joblib's processes, submitit's jobs on this machine or by Slurm.

The processes are those of joblib (its executor, loky). They start clean, receive functions from anywhere, and are
replaced when their memory grows from run to run. One executor of several processes ends them all where one is
killed; so each process has an executor of its own, and a lost process is one lost run.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import redirect_stderr, suppress
from io import StringIO
from time import monotonic, sleep
from types import FrameType
from typing import Any, NamedTuple, Protocol

from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor
from submitit import JobEnvironment, LocalExecutor, SlurmExecutor
from submitit.core.core import Job
from submitit.core.utils import FailedJobError, FailedSubmissionError

from w2v_exp.errors import UserError
from w2v_exp.launching.task import OUTPUT_FILE, Task, has_result, perform_quietly
from w2v_exp.processes import HELD_BACK, Terminated, interruptions_held_back


class Ended(NamedTuple):
    """A run that goes on no more.

    Parameters
    ----------
    task : Task
        The run.
    fate : str
        What has become of its process, should the run not have told its end; empty where it certainly has.
    """

    task: Task
    fate: str


class Engine(Protocol):
    """Processes, here or on other machines, that do runs."""

    def start(self, tasks: Sequence[Task]) -> None:
        """Start these runs, all of them at once."""

    def ended(self, patience: float) -> list[Ended]:
        """Return the runs that have ended since the last time, after waiting for one for some seconds."""

    def terminate(self) -> None:
        """Ask all runs to end, as SIGTERM does."""

    def close(self) -> None:
        """End all processes that are left, at once."""


LAST_SECONDS = 20.0  # that a run has to write down what there is


def end_with_parent(parent: int) -> None:
    """End this process when its parent has died: after a SIGTERM, and a while to write down what there is.

    Parameters
    ----------
    parent : int
        The number of the parent's process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# One thread to begin with: a run sets the number of its own, and on many cores all others would only wait.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")


class Workers:
    """As many processes as there are runs at once; idle ones do the next."""

    def __init__(self) -> None:
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: dict[Future[None], tuple[ProcessPoolExecutor, Task]] = {}

    def start(self, tasks: Sequence[Task]) -> None:
        """Start these runs."""
        for task in tasks:
            future, worker = self._submit(task)
            self._busy[future] = worker, task

    def ended(self, patience: float) -> list[Ended]:
        """Return the runs that have ended; their processes are idle, or gone."""
        done, _ = wait(self._busy, timeout=patience, return_when=FIRST_COMPLETED)
        ended = []
        for future in done:
            worker, task = self._busy.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                worker.shutdown(kill_workers=True)
            else:
                self._idle.append(worker)
            ended.append(Ended(task, "" if error is None else _fate(error)))
        return ended

    def terminate(self) -> None:
        """Ask all runs to end."""
        for worker, _ in self._busy.values():
            for process in list(worker._processes):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)

    def close(self) -> None:
        """End all processes. Idle ones clean up first; the interpreter waits for them at its own end."""
        for worker in self._idle:
            worker.shutdown(wait=False)
        for worker, _ in self._busy.values():
            worker.shutdown(kill_workers=True)
        self._idle.clear()
        self._busy.clear()

    def _submit(self, task: Task) -> tuple[Future[None], ProcessPoolExecutor]:
        while True:
            # A process that starts meanwhile never sees Ctrl-C, or it would be interrupted twice.
            with interruptions_held_back():
                worker = self._idle.pop() if self._idle else _new_worker()
                try:
                    return worker.submit(perform_quietly, task), worker
                except BrokenProcessPool:  # it was killed while it was idle
                    worker.shutdown(kill_workers=True)


def _new_worker() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=1, initializer=_begin_worker, initargs=(os.getpid(),), env=ONE_THREAD
    )


def _begin_worker(parent: int) -> None:
    """Leave Ctrl-C and the end of the terminal to the parent, which sends SIGTERM, and end when it has died."""
    for number in HELD_BACK:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(parent)


def _fate(error: BaseException) -> str:
    """Return what has become of a worker, by the error that its executor tells."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if not isinstance(error, BrokenProcessPool):
        return f"{type(error).__name__}: {error}"
    found = re.search(r"exit codes of the workers are \{(\w+)", str(error))
    signal_name = found[1] if found else "unknown"
    if signal_name == "SIGKILL":
        return "its process was killed (SIGKILL); if nobody did, memory ran out"
    return f"its process ended without a word ({signal_name}); see {OUTPUT_FILE} in its folder"


LONGEST_MINUTES = 60 * 24 * 365  # submitit ends what takes longer; on this machine nothing should
QUEUE_SECONDS = 10.0  # between questions to Slurm, which has others to answer
RESULT_SECONDS = 30.0  # that a file may take through a cluster's file system
# What Slurm calls a job that may still come to something.
GOING_ON = {
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "STOPPED",
    "STAGE_OUT",
    "SIGNALING",
}
GOING_ON |= {"REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "SPECIAL_EXIT"}


def perform_as_job(task: Task) -> None:
    """Do a run in the process of a job.

    On this machine, a run ends when the process of submitit's that watches it has died. On a cluster, it ends itself
    when Slurm says that its time is nearly over, or that another job is to have its place: submitit would raise an
    error of its own, or begin anew without what there is.
    """
    job = JobEnvironment()
    if job.cluster == "local":
        end_with_parent(int(job.job_id))  # that process gives the job its name

    def end_soon(number: int, frame: FrameType | None) -> None:
        raise Terminated("Slurm has asked it to end: its time (timeout_min) was nearly over")

    signal.signal(getattr(signal, f"SIG{job.USR_SIG}"), end_soon)
    perform_quietly(task)


class LocalJobs:
    """Each run is a process of its own, started by one of submitit's that watches it.

    Parameters
    ----------
    folder : str
        Where submitit writes what it sends, and what the jobs say.
    """

    pause = 0.1  # seconds between looks at the jobs

    def __init__(self, folder: str) -> None:
        self._jobs: dict[str, tuple[Job[None], Task]] = {}
        self._executor = LocalExecutor(_place(folder))
        self._executor.update_parameters(timeout_min=LONGEST_MINUTES)

    def start(self, tasks: Sequence[Task]) -> None:
        """Start these runs; on a cluster, as one array."""
        with interruptions_held_back():  # of the terminal; they would reach the jobs a second time
            jobs = self._executor.map_array(perform_as_job, tasks)
        self._jobs |= {job.job_id: (job, task) for job, task in zip(jobs, tasks, strict=True)}

    def ended(self, patience: float) -> list[Ended]:
        """Return the runs whose jobs are over."""
        until = monotonic() + patience
        while not (over := self._over()) and monotonic() < until:
            sleep(self.pause)
        return [Ended(self._jobs.pop(name)[1], fate) for name, fate in over.items()]

    def terminate(self) -> None:
        """Ask all runs to end."""
        self._send(signal.SIGTERM)

    def close(self) -> None:
        """End all jobs that are left."""
        self._send(signal.SIGKILL)
        self._jobs.clear()

    def _send(self, signal_number: int) -> None:
        """Send a signal to the processes that watch the runs, after which the jobs are named."""
        for name in self._jobs:
            with suppress(ProcessLookupError):
                os.kill(int(name), signal_number)

    def _over(self) -> dict[str, str]:
        """Return the jobs that are over, and what has become of those without a result."""
        return {
            name: f"its process ended without a word: it was killed, or memory ran out; see {job.paths.stderr}"
            for name, (job, _) in self._jobs.items()
            if job.done()
        }


class SlurmJobs(LocalJobs):
    """Each run is a job of Slurm's, all of them one array.

    Slurm is asked by ``squeue``, which every cluster has; submitit asks its accounting, which some have not, and
    waits for ever for a job that was killed there.

    Parameters
    ----------
    folder : str
        As above; all machines must see it.
    parameters : mapping of str to object
        What submitit is to ask Slurm for, by sbatch's names.
    """

    pause = 1.0

    def __init__(self, folder: str, parameters: Mapping[str, Any]) -> None:
        self._jobs = {}
        self._over_since: dict[str, float] = {}
        self._ask_after = 0.0
        self._executor = SlurmExecutor(_place(folder))
        self._executor.update_parameters(job_name="w2v_exp", **parameters)

    def start(self, tasks: Sequence[Task]) -> None:
        """Submit these runs as one array.

        Raises
        ------
        UserError
            With Slurm's words, if it does not take them.
        """
        try:
            with redirect_stderr(StringIO()):  # where submitit says what the error says
                super().start(tasks)
        except (FailedJobError, FailedSubmissionError) as error:
            said = " ".join(line for line in str(error).splitlines() if line.startswith("sbatch: "))
            raise UserError(
                f"hydra/launcher=submitit_slurm: Slurm does not take the jobs. {said or error}"
            ) from None

    def terminate(self) -> None:
        """Ask all runs to end: Slurm sends SIGTERM, and half a minute later SIGKILL."""
        if self._jobs:
            subprocess.run(["scancel", *self._jobs], check=False)

    def close(self) -> None:
        """Cancel what is left."""
        self.terminate()
        self._jobs.clear()

    def _over(self) -> dict[str, str]:
        over = {
            name: f"it ended with an error; see {job.paths.stderr}"
            for name, (job, _) in self._jobs.items()
            if job.paths.result_pickle.exists()
        }
        if over or monotonic() < self._ask_after:
            return over
        states = slurm_states()
        self._ask_after = monotonic() + QUEUE_SECONDS
        if states is None:
            return {}
        for name, (job, task) in self._jobs.items():
            state = states.get(name, "COMPLETED")  # Slurm forgets jobs after some minutes
            if state in GOING_ON:
                self._over_since.pop(name, None)
                continue
            since = self._over_since.setdefault(name, monotonic())
            if has_result(task) or monotonic() - since > RESULT_SECONDS:
                over[name] = f"its job {name} ended as {state}; see {job.paths.stderr}"
        return over


def slurm_states() -> dict[str, str] | None:
    """Return the states of this user's jobs, by name; None where Slurm does not answer for a moment."""
    command = ["squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i %T"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode:
        return None
    return dict(line.split(maxsplit=1) for line in asked.stdout.splitlines())


def _place(folder: str) -> str:
    return f"{folder}/submitit/%j"
