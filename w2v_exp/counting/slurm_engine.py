"""The engine of a Slurm cluster: jobs in arrays, each of which executes several tasks one after the other.

A job writes which of its tasks have finished. What a job leaves, because it died or its time was over, is given to the
next array; so is everything that Slurm itself does not queue again.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import subprocess
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from w2v_exp.counting.engines import MOST_DEATHS, EngineWhenNeeded, LocalEngine, Task
from w2v_exp.errors import UserError, check_whole
from w2v_exp.files import DamagedFileError, is_locked, read_checked, try_lock, write_checked
from w2v_exp.processes import Terminated
from w2v_exp.slurm import (
    MOST_OF_SLURM,
    POLL_SECONDS,
    JobArrays,
    JobSettings,
    require_slurm,
    stop_before_limit,
)

_log = logging.getLogger(__name__)

MOST_OF_ARRAY = 1000  # jobs; clusters have MaxArraySize=1001 by default
LOCK = "driver.lock"
_FOLDER = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True)
class SlurmCounting(JobSettings):
    """Jobs of a Slurm cluster.

    Parameters
    ----------
    tasks_per_job : int
        Number of tasks of a job.
    """

    tasks_per_job: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, "tasks_per_job", at_least=1, at_most=MOST_OF_SLURM)

    @contextmanager
    def engine(self, folder: Path) -> Iterator[EngineWhenNeeded]:
        """Yield an engine, whose jobs are cancelled at the end.

        Those of earlier commands that were killed are cancelled, too.
        """
        require_slurm("counting=slurm", "counting=local")
        with ExitStack() as stack:
            yield EngineWhenNeeded(lambda: stack.enter_context(self._engine(folder.absolute() / "slurm")))

    @contextmanager
    def _engine(self, place: Path) -> Iterator[SlurmEngine]:
        place.mkdir(parents=True, exist_ok=True)
        for earlier in place.iterdir():
            _clear_up(earlier)
        own = place / secrets.token_hex(8)
        own.mkdir()
        lock = try_lock(own / LOCK)
        engine = SlurmEngine(self, own)
        try:
            yield engine
        finally:
            engine.close()
            if lock is not None:
                lock.close()
        shutil.rmtree(own, ignore_errors=True)  # after an error, its messages refer to files in it


def _clear_up(folder: Path) -> None:
    """Cancel the jobs and delete the files of a command that was killed.

    Those of a command that runs are left alone.
    """
    with suppress(OSError):
        if _FOLDER.fullmatch(folder.name) and not is_locked(folder / LOCK):
            subprocess.run(["scancel", f"--name={_job_name(folder)}"], check=False)
            shutil.rmtree(folder, ignore_errors=True)


def _job_name(folder: Path) -> str:
    return f"w2v_exp-{folder.name}"


class Job(NamedTuple):
    """Tasks of a job.

    Parameters
    ----------
    tasks : dict of int to Task
        By their index.
    record : str
        File of which have finished.
    workers : int
        Number of processes.
    """

    tasks: dict[int, Task]
    record: str
    workers: int

    def read(self) -> dict[str, Any]:
        """Return the record: ``finished``, the indices; ``error`` of a task, if one failed; ``stopped``."""
        try:
            return read_checked(Path(self.record))
        except (OSError, DamagedFileError):
            return {"finished": []}

    def has_ended(self) -> bool:
        """Return whether the record is complete."""
        record = self.read()
        return len(record["finished"]) == len(self.tasks) or "error" in record or "stopped" in record


def execute_job(job: Job) -> None:
    """Execute the unfinished tasks of a job on a node.

    Some have finished if Slurm has queued the job again.
    """
    stop_before_limit()
    engine = LocalEngine(job.workers)
    finished = list(job.read()["finished"])

    def write(**more: Any) -> None:
        write_checked(Path(job.record), {"finished": finished, **more}, durable=False)

    open_tasks = [index for index in job.tasks if index not in finished]
    try:
        for done in engine.run([job.tasks[index] for index in open_tasks]):
            finished.append(open_tasks[done])
            write()
    except UserError as error:
        write(error=str(error))
    except Terminated:
        write(stopped=True)
    except Exception as error:
        write(error=f"{type(error).__name__}: {error}", log=True)
        raise  # the job's log has the traceback
    finally:
        engine.close()


class SlurmEngine:
    """Arrays of jobs, one after the other.

    Parameters
    ----------
    settings : SlurmCounting
        Of a job.
    folder : Path
        Folder for the files of the jobs, for this engine alone.
    """

    def __init__(self, settings: SlurmCounting, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._cores = settings.cpus_per_task or 1
        given = settings.additional_parameters or {}
        parameters = settings.parameters(self._cores, settings.mem_gb) | {
            "job_name": _job_name(folder),
            "additional_parameters": {"requeue": True} | given,  # a job that is executed again does no harm
        }
        self._arrays: JobArrays[Job] = JobArrays(f"{folder}/submitit/%j", parameters, "counting=slurm")

    def run(self, tasks: Sequence[Task]) -> Generator[int, None, None]:
        """Execute all tasks, and yield the index of each when it has finished."""
        size = self._settings.tasks_per_job
        waiting = [list(range(start, min(start + size, len(tasks)))) for start in range(0, len(tasks), size)]
        deaths = Counter[int]()
        while waiting:
            array, waiting = waiting[:MOST_OF_ARRAY], waiting[MOST_OF_ARRAY:]
            finished: set[int] = set()
            is_stopped, reason = False, None
            for job, reason in self._run_array([{index: tasks[index] for index in group} for group in array]):
                record = job.read()
                new = [index for index in record["finished"] if index not in finished]
                finished.update(new)
                yield from new
                if reason is None:
                    continue
                if "error" in record:
                    raise UserError(f"{record['error']} ({reason})" if "log" in record else record["error"])
                is_stopped = "stopped" in record
                left = [index for index in job.tasks if index not in finished]
                if left and not (is_stopped and record["finished"]):
                    deaths[left[0]] += 1
                    if deaths[left[0]] == MOST_DEATHS:
                        raise self._given_up(tasks[left[0]], is_stopped, reason)
                    waiting.append([left.pop(0)])  # alone, so that it takes no others along
                if left:
                    waiting.append(left)
            if not finished and len(array) >= MOST_DEATHS:
                raise self._given_up(tasks[array[0][0]], is_stopped, reason or "")

    def close(self) -> None:
        """Cancel all jobs."""
        self._arrays.close()

    def _run_array(self, groups: Sequence[dict[int, Task]]) -> Iterator[tuple[Job, str | None]]:
        """Yield each job whenever its record may have changed.

        The last time it has the reason, if the record is not complete.
        """
        records = self._folder / f"records-{secrets.token_hex(4)}"
        records.mkdir()
        running = {
            str(number): Job(group, str(records / str(number)), self._cores)
            for number, group in enumerate(groups)
        }
        try:
            self._arrays.submit(execute_job, [*running.values()])
            seen: dict[str, int] = {}
            while running:
                ended = self._arrays.ended(POLL_SECONDS, Job.has_ended)
                for name, job in running.items():
                    with suppress(OSError):
                        changed = Path(job.record).stat().st_mtime_ns
                        if seen.get(name) != changed:
                            seen[name] = changed
                            yield job, None
                for job, reason in ended:
                    del running[Path(job.record).name]
                    yield job, reason
        finally:
            self._arrays.close()

    def _given_up(self, task: Task, is_stopped: bool, reason: str) -> UserError:
        if is_stopped:
            return UserError(
                f"counting.timeout_min={self._settings.timeout_min}: {task.name} took longer {MOST_DEATHS} times; "
                "increase it."
            )
        return UserError(
            f"counting=slurm: {MOST_DEATHS} jobs died in {task.name} ({reason}). Memory ran out (counting.mem_gb), or "
            f"the nodes do not see {self._folder}."
        )
