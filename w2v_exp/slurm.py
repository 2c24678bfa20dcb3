"""Jobs of a Slurm cluster: their settings, and arrays of jobs, submitted by submitit.

submitit is optional, and imported where it is used.
"""

from __future__ import annotations

import math
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from shutil import which
from time import monotonic, sleep
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from w2v_exp.errors import SettingError, UserError, check_number, check_whole, install_command
from w2v_exp.processes import Terminated, interruptions_held_back

if TYPE_CHECKING:
    from submitit.core.core import Job

MOST_OF_SLURM = 1_000_000  # minutes, jobs, seconds or cores
EARLIER_SECONDS = 60  # by which Slurm may send the signal too early
_PASSED = ("array_parallelism", "signal_delay_s", "partition", "account", "qos", "constraint")


@dataclass(frozen=True)
class JobSettings:
    """Limits and resources of the jobs of an array.

    Parameters
    ----------
    timeout_min : int
        Time limit of a job, in minutes.
    mem_gb : float, optional
        Memory of a job, in units of 2³⁰ bytes.
    cpus_per_task : int, optional
        Cores of a job.
    array_parallelism : int
        Largest number of simultaneous jobs.
    partition, account, qos, constraint : str, optional
        Passed to ``sbatch``.
    signal_delay_s : int
        Seconds before the time limit at which a job receives the signal to stop and save its results. Slurm may send
        it up to a minute earlier.
    setup : list of str, optional
        Shell commands before a job, such as ``module load``.
    additional_parameters : dict, optional
        Further options of ``sbatch``, by the names of its flags.
    """

    timeout_min: int = 60
    mem_gb: float | None = None
    cpus_per_task: int | None = None
    array_parallelism: int = 256
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    signal_delay_s: int = 120
    setup: list[str] | None = None
    additional_parameters: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_whole(
            self, "timeout_min", "array_parallelism", "signal_delay_s", at_least=1, at_most=MOST_OF_SLURM
        )
        if self.cpus_per_task is not None:
            check_whole(self, "cpus_per_task", at_least=1, at_most=MOST_OF_SLURM)
        if self.mem_gb is not None:
            check_number(self, "mem_gb", above=0, at_most=1e9)
        if self.signal_delay_s + EARLIER_SECONDS >= 60 * self.timeout_min:
            raise SettingError(
                "signal_delay_s",
                self.signal_delay_s,
                "a job would receive the signal to stop before it starts; must be below "
                f"60 × timeout_min - {EARLIER_SECONDS}, here {60 * self.timeout_min - EARLIER_SECONDS}.",
            )
        if isinstance(self.setup, str):
            raise SettingError(
                "setup", self.setup, "must be a list of commands, such as [module load python]."
            )

    def parameters(self, cores: int, memory_gb: float | None) -> dict[str, Any]:
        """Return the parameters of a job, by submitit's names; without memory, the cluster's default."""
        parameters: dict[str, Any] = {key: getattr(self, key) for key in _PASSED}
        parameters |= {
            "time": self.timeout_min,
            "mem": None if memory_gb is None else f"{math.ceil(memory_gb * 1024)}M",
            "cpus_per_task": cores,
            # Since Slurm 22.05, srun does not inherit the cores of the job.
            "srun_args": [f"--cpus-per-task={cores}"],
            "setup": list(self.setup) if self.setup else None,
            "additional_parameters": dict(self.additional_parameters) if self.additional_parameters else None,
        }
        return {key: value for key, value in parameters.items() if value is not None}


def require_slurm(choice: str, remedy: str) -> None:
    """Raise `UserError` if submitit or Slurm's commands are missing.

    Parameters
    ----------
    choice : str
        The setting that needs them, such as ``counting=slurm``.
    remedy : str
        The setting to use instead.
    """
    if find_spec("submitit") is None:
        raise UserError(
            f"{choice}: needs the package submitit, which is not installed: {install_command('submitit')}"
        )
    if which("sbatch") is None:
        raise UserError(
            f"{choice}: this machine has no sbatch. Use one that submits jobs to Slurm, or set {remedy}."
        )


POLL_SECONDS = 1.0  # between checks for the files of results
QUEUE_SECONDS = 10.0  # between calls of squeue, which load Slurm's server
RESULT_SECONDS = 30.0  # in which a result becomes visible through a cluster's file system
# Slurm's states of jobs that have not ended.
UNFINISHED = {
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING"),
    *("REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "SPECIAL_EXIT"),
}
Argument = TypeVar("Argument")


class JobArrays(Generic[Argument]):
    """Arrays of jobs, each of which calls a function with one argument.

    Their states come from ``squeue``, which every cluster has. submitit would use ``sacct``, which some clusters lack,
    and would wait forever for a job that was killed there.

    Parameters
    ----------
    folder : str
        Folder of submitit's files, which all machines can read; ``%j`` in it is the job.
    parameters : mapping of str to object
        Of a job: see `JobSettings.parameters`.
    choice : str
        The setting that chose Slurm, for messages.
    """

    def __init__(self, folder: str, parameters: Mapping[str, Any], choice: str) -> None:
        from submitit import SlurmExecutor

        self._choice = choice
        self._jobs: dict[str, tuple[Job[None], Argument]] = {}
        self._ended_at: dict[str, float] = {}
        self._next_query = 0.0
        self._executor = SlurmExecutor(folder)
        self._executor.update_parameters(**parameters)

    def submit(self, function: Callable[[Argument], None], arguments: Sequence[Argument]) -> None:
        """Submit a job for each argument, as one array.

        Raises
        ------
        UserError
            With Slurm's message, if it rejects them.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            # submitit prints the message of the error as well.
            with redirect_stderr(StringIO()), interruptions_held_back():
                jobs = self._executor.map_array(function, arguments)
        except (FailedJobError, FailedSubmissionError) as error:
            message = " ".join(line for line in str(error).splitlines() if line.startswith("sbatch: "))
            raise UserError(f"{self._choice}: Slurm rejects the jobs. {message or error}") from None
        self._jobs |= {job.job_id: (job, given) for job, given in zip(jobs, arguments, strict=True)}

    def ended(self, seconds: float, has_result: Callable[[Argument], bool]) -> list[tuple[Argument, str]]:
        """Return the arguments whose jobs have ended, with the reason to report if one has no result.

        Parameters
        ----------
        seconds : float
            Time to wait for the first one.
        has_result : callable
            Returns whether the result of an argument has been written. Where it has not, it may still become visible
            through the cluster's file system.
        """
        until = monotonic() + seconds
        while not (ended := self._ended(has_result)) and monotonic() < until:
            sleep(POLL_SECONDS)
        return [(self._jobs.pop(name)[1], reason) for name, reason in ended.items()]

    def cancel(self) -> None:
        """Cancel all jobs: Slurm sends SIGTERM, and SIGKILL half a minute later."""
        if self._jobs:
            subprocess.run(["scancel", *self._jobs], check=False)

    def close(self) -> None:
        """Cancel all jobs, and forget them."""
        self.cancel()
        self._jobs.clear()

    def _ended(self, has_result: Callable[[Argument], bool]) -> dict[str, str]:
        """Return the names of the jobs that have ended, with the reason if they have written no result."""
        ended = {
            name: f"the job ended with an error; see {job.paths.stderr}"
            for name, (job, _) in self._jobs.items()
            if job.paths.result_pickle.exists()
        }
        if ended or monotonic() < self._next_query:
            return ended
        states = job_states()
        self._next_query = monotonic() + QUEUE_SECONDS
        if states is None:
            return {}
        for name, (job, argument) in self._jobs.items():
            state = states.get(name, "COMPLETED")  # Slurm forgets jobs after some minutes
            if state in UNFINISHED:
                self._ended_at.pop(name, None)
                continue
            ended_at = self._ended_at.setdefault(name, monotonic())
            if has_result(argument) or monotonic() - ended_at > RESULT_SECONDS:
                ended[name] = f"job {name} ended as {state}; see {job.paths.stderr}"
        return ended


def job_states() -> dict[str, str] | None:
    """Return the states of this user's jobs by name, or None if Slurm does not respond."""
    command = ["squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def stop_before_limit() -> None:
    """Raise `Terminated` on the signal that Slurm sends shortly before the time limit or a preemption.

    submitit's own handler would raise an error or start the job again from its beginning.
    """
    from submitit import JobEnvironment

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated("stopped by Slurm: its time limit (timeout_min) was nearly reached")

    signal.signal(getattr(signal, f"SIG{JobEnvironment().USR_SIG}"), stop)
