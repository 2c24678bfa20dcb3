"""Runs as jobs of submitit's: processes of this machine, or of a Slurm cluster."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from submitit import AutoExecutor, Job

from w2v_exp.launching.engine import Ended
from w2v_exp.launching.task import Task, perform
from w2v_exp.processes import interruptions_held_back

LONGEST_MINUTES = 60 * 24 * 365  # submitit ends what takes longer; on this machine nothing should
RESULT_SECONDS = 30.0  # that a file may take through a cluster's file system
# What Slurm calls a job that may still come to something.
GOING_ON = {
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "REQUEUED",
    "REQUEUE_HOLD",
    "RESIZING",
}
GOING_ON |= {"SIGNALING", "STAGE_OUT", "STOPPED", "REQUEUE_FED", "SPECIAL_EXIT"}


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
        self._executor = AutoExecutor(folder=f"{folder}/submitit/%j", cluster="local")
        self._executor.update_parameters(name="w2v_exp", timeout_min=LONGEST_MINUTES)

    def start(self, tasks: Sequence[Task]) -> None:
        """Start these runs; on a cluster, as one array."""
        with interruptions_held_back():  # of the terminal; they would reach the jobs a second time
            jobs = self._executor.map_array(perform, tasks)
        self._jobs |= {job.job_id: (job, task) for job, task in zip(jobs, tasks, strict=True)}

    def ended(self, patience: float) -> list[Ended]:
        """Return the runs whose jobs are over."""
        until = monotonic() + patience
        while not (over := self._over()) and monotonic() < until:
            sleep(self.pause)
        return [Ended(self._jobs.pop(name)[1], fate) for name, fate in over.items()]

    def terminate(self) -> None:
        """Ask all runs to end."""
        for name in self._jobs:
            with suppress(ProcessLookupError):
                os.kill(int(name), signal.SIGTERM)  # the job of a process is called by its number

    def close(self) -> None:
        """End all jobs that are left; submitit gives them a second."""
        for job, _ in self._jobs.values():
            job.cancel(check=False)
        self._jobs.clear()

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
        What submitit is to ask Slurm for.
    """

    pause = 2.0

    def __init__(self, folder: str, parameters: Mapping[str, Any]) -> None:
        self._jobs = {}
        self._completed_at: dict[str, float] = {}
        self._executor = AutoExecutor(
            folder=f"{folder}/submitit/%j", cluster="slurm", slurm_max_num_timeout=0
        )
        self._executor.update_parameters(name="w2v_exp", **parameters)

    def terminate(self) -> None:
        """Ask all runs to end: Slurm sends SIGTERM, and half a minute later SIGKILL."""
        if self._jobs:
            subprocess.run(["scancel", *self._jobs], check=False)

    def close(self) -> None:
        """Cancel what is left."""
        self.terminate()
        self._jobs.clear()

    def _over(self) -> dict[str, str]:
        over = {name: "" for name, (job, _) in self._jobs.items() if job.paths.result_pickle.exists()}
        if over:
            return over
        states = slurm_states()
        if states is None:
            return {}
        for name, (job, _) in self._jobs.items():
            state = states.get(name, "COMPLETED")  # Slurm forgets jobs after some minutes
            if state in GOING_ON:
                continue
            since = self._completed_at.setdefault(name, monotonic())
            if state != "COMPLETED" or monotonic() - since > RESULT_SECONDS:
                over[name] = f"its job {name} ended as {state}; see {job.paths.stderr}"
        return over


def slurm_states() -> dict[str, str] | None:
    """Return the states of this user's jobs, by name; None where Slurm does not answer for a moment."""
    command = ["squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i %T"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode:
        return None
    return dict(line.split(maxsplit=1) for line in asked.stdout.splitlines())
