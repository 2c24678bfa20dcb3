"""Engines, which execute tasks of counting: their interface, and the engine of this machine.

A task names a function and its arguments: paths and settings, never data. It writes its result to disk, under a
temporary name that is then changed, and may be executed again, also by two workers at once. So an engine only has to
see that each task is executed: whatever dies is replaced, and its task executed once more.
"""

from __future__ import annotations

import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from w2v_exp.errors import UserError, check_whole
from w2v_exp.machine import MOST_CORES, allow_open_files, available_cores
from w2v_exp.processes import (
    ONE_THREAD,
    SPAWN,
    begin_as_helper,
    interruptions_held_back,
    may_start_processes,
    wait_for_own_signal,
)

MOST_DEATHS = 3  # of workers with the same task, after which it is given up


@dataclass(frozen=True)
class Task:
    """A call of a function that writes its result to disk.

    Parameters
    ----------
    function : str
        Module and name of a function at the top of a module, such as ``w2v_exp.counting.words:count_words``.
    arguments : dict
        Keyword arguments that JSON can represent: paths and settings.
    """

    function: str
    arguments: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the function without its module."""
        return self.function.rpartition(":")[2]

    def execute(self) -> None:
        """Call the function with one thread of BLAS: workers use the other cores."""
        module, _, name = self.function.partition(":")
        function = getattr(import_module(module), name)
        allow_open_files()
        with threadpool_limits(1):
            function(**self.arguments)


class Engine(Protocol):
    """Workers on this or other machines that execute tasks."""

    def run(self, tasks: Sequence[Task]) -> Iterator[int]:
        """Execute all tasks, and yield the index of each when it has finished.

        A worker that dies is replaced, and its task executed again, `MOST_DEATHS` times at most. An iterator that is
        closed before its end cancels the other tasks.

        Raises
        ------
        UserError
            If a task raises it, if workers die again and again, or if the engine itself is lost. Other errors of tasks
            are raised as they are. In each case the other tasks are cancelled; results of finished ones stay.
        """


class EngineChoice(Protocol):
    """An option of the group ``counting``: the settings of an engine."""

    def engine(self, folder: Path) -> AbstractContextManager[Engine]:
        """Yield an engine, which starts with its first task.

        The end of the block ends its processes and jobs.

        Parameters
        ----------
        folder : Path
            Folder of the counts, which all workers must see. The engine keeps its own files in it.

        Raises
        ------
        UserError
            If the engine cannot be used, here or with the first task: nothing has been executed then.
        """


class EngineWhenNeeded:
    """An engine that starts with its first task: counts that are in the cache need none.

    Parameters
    ----------
    start : callable
        Returns the engine.
    """

    def __init__(self, start: Callable[[], Engine]) -> None:
        allow_open_files()  # of this process, which reads the results of all tasks
        self._start = start

    @cached_property
    def started(self) -> Engine:
        """The engine, which is started if need be."""
        return self._start()

    def run(self, tasks: Sequence[Task]) -> Iterator[int]:
        """Execute all tasks, and yield the index of each when it has finished."""
        if tasks:
            yield from self.started.run(tasks)


@dataclass(frozen=True)
class LocalCounting:
    """Worker processes on this machine.

    Parameters
    ----------
    workers : int, optional
        Number of processes; None: one per available core.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_whole(self, "workers", at_least=1, at_most=MOST_CORES)

    @contextmanager
    def engine(self, folder: Path) -> Iterator[LocalEngine]:
        """Start an engine; its processes start with the first task."""
        engine = LocalEngine(self.workers or available_cores())
        try:
            yield engine
        finally:
            engine.close()


class LocalEngine:
    """Processes of this machine, each of which executes one task after the other.

    If one process of a pool dies, the pool ends all of them. So each has a pool of its own: only its task is lost.
    With one worker or one task, this process executes it itself.

    Parameters
    ----------
    workers : int
        Number of processes. Helper processes, which may not start others, have one.
    """

    def __init__(self, workers: int) -> None:
        allow_open_files()
        self._workers = workers if may_start_processes() else 1
        self._idle: list[_Worker] = []
        self._busy: dict[Future[None], tuple[_Worker, int]] = {}

    def run(self, tasks: Sequence[Task]) -> Generator[int, None, None]:
        """Execute all tasks, and yield the index of each when it has finished."""
        if min(self._workers, len(tasks)) == 1:
            for index, task in enumerate(tasks):
                task.execute()
                yield index
            return
        waiting, deaths = deque(range(len(tasks))), Counter[int]()
        try:
            while waiting or self._busy:
                self._start_waiting(tasks, waiting, deaths)
                done, _ = wait(self._busy, return_when=FIRST_COMPLETED)
                for future in done:
                    worker, index = self._busy.pop(future)
                    if reason := worker.death(future):
                        deaths[index] += 1
                        if deaths[index] == MOST_DEATHS:
                            raise self._given_up(tasks[index], reason)
                        waiting.append(index)
                        continue
                    self._idle.append(worker)
                    future.result()
                    yield index
        finally:
            self._end_busy()

    def close(self) -> None:
        """End all processes."""
        self._end_busy()
        for worker in self._idle:
            worker.close()
        self._idle.clear()

    def _start_waiting(self, tasks: Sequence[Task], waiting: deque[int], deaths: Counter[int]) -> None:
        """Start tasks on all free workers.

        The last attempt of a task runs alone, with all memory.
        """
        while waiting and len(self._busy) < self._workers:
            index = waiting[0]
            is_last = deaths[index] == MOST_DEATHS - 1
            if self._busy and (is_last or any(deaths[i] == MOST_DEATHS - 1 for _, i in self._busy.values())):
                return
            worker = self._idle.pop() if self._idle else _Worker()
            try:
                self._busy[worker.submit(tasks[index])] = worker, index
                waiting.popleft()
            except BrokenProcessPool:  # it died while it was idle
                worker.close()

    def _end_busy(self) -> None:
        for worker, _ in self._busy.values():
            worker.close(at_once=True)
        self._busy.clear()

    def _given_up(self, task: Task, reason: str) -> UserError:
        remedy = "Free memory and repeat the command: finished counts are kept." if "memory" in reason else ""
        return UserError(
            f"counting.workers={self._workers}: a worker died {MOST_DEATHS} times in {task.name}, the last time alone, "
            f"{reason}. {remedy}".rstrip()
        )


class _Worker:
    """A process that executes one task after the other."""

    def __init__(self) -> None:
        with interruptions_held_back():  # its semaphores start the process that removes them
            self._pool = ProcessPoolExecutor(1, mp_context=SPAWN, initializer=_begin_worker)
        self._processes: list[BaseProcess] = []

    def submit(self, task: Task) -> Future[None]:
        """Start a task."""
        with interruptions_held_back():  # the first call starts the process
            future = self._pool.submit(task.execute)
        self._processes = [*self._pool._processes.values()]
        return future

    def death(self, future: Future[None]) -> str:
        """Return the reason if a task was lost, else "".

        It is lost with its process, or if memory runs out.
        """
        error = future.exception()
        if not isinstance(error, (BrokenProcessPool, MemoryError)):
            return ""
        self.close()
        if isinstance(error, MemoryError):
            return "which ran out of memory"
        wait_for_own_signal()
        code = self._processes[0].exitcode or 0
        if code == -signal.SIGKILL:
            return "killed (SIGKILL), probably because memory ran out"
        if code < 0:
            return f"which crashed ({signal.Signals(-code).name})"
        return f"which ended with exit code {code}, or the calling script lacks if __name__ == '__main__'"

    def close(self, at_once: bool = False) -> None:
        """End the process, which executes nothing, or `at_once`, with its task."""
        if at_once:
            for process in self._processes:
                process.terminate()
        self._pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    begin_as_helper()
    os.environ.update(ONE_THREAD)  # for libraries that are loaded later
