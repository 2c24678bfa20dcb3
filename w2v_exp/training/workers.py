"""Worker processes, as those who start them see them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from w2v_exp.errors import UserError
from w2v_exp.processes import lightest_context, pages_left_alone, start, wait_for_own_signal
from w2v_exp.training.state import EpochSums
from w2v_exp.training.worker import Task, WorkerEpoch, work

LOOK_EVERY = 0.1  # seconds, at how far the workers are
PATIENCE = 5.0  # seconds a worker may take to end when it is asked to


class WorkerDiedError(UserError):
    """A worker process has ended without being asked to."""


class Workers:
    """Processes that train together, from when they are entered as a context to when it is left.

    Parameters
    ----------
    tasks : sequence of Task
        What each of them is told.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []
        self._while_they_live = ExitStack()
        self.own_memory: int | None = None

    def __enter__(self) -> Workers:
        context = lightest_context()
        try:
            self._while_they_live.enter_context(pages_left_alone())
            for task in self._tasks:
                ours, theirs = context.Pipe()
                name = f"w2v_exp worker {task.number + 1}"
                process: BaseProcess = context.Process(  # type: ignore[attr-defined]
                    target=work, args=(task, theirs), name=name, daemon=True
                )
                start(process)
                theirs.close()
                self._processes.append(process)
                self._connections.append(ours)
            self._answers("while it started", lambda: None)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def train_epoch(self, epoch: int, tell: Callable[[], None]) -> EpochSums:
        """Let all of them train for an epoch, and return what their steps add up to.

        Parameters
        ----------
        epoch : int
            Its number.
        tell : function
            Called every tenth of a second meanwhile.

        Raises
        ------
        WorkerDiedError
            If one of them ends.
        UserError
            What one of them raises, as where training diverges.
        """
        for connection in self._connections:
            connection.send(epoch)
        answers: list[WorkerEpoch] = self._answers(f"in epoch {epoch}", tell)
        private = [answer.own_memory for answer in answers]
        self.own_memory = sum(known) if (known := [one for one in private if one]) else None
        sums = [answer.sums for answer in answers]
        return EpochSums(
            sum(one.cost for one in sums),
            sum(one.article_cost for one in sums),
            sum(one.pairs for one in sums),
            sums[0].learning_rate,
            sum(one.steps for one in sums),
        )

    def _answers(self, when: str, tell: Callable[[], None]) -> list[Any]:
        """Return the next thing that each of them sends, while all of them live."""
        answers: dict[int, Any] = {}
        while len(answers) < len(self._tasks):
            waited_for = [one for number, one in enumerate(self._connections) if number not in answers]
            ended = [process.sentinel for process in self._processes]
            ready = wait([*waited_for, *ended], LOOK_EVERY)
            for number, (connection, process) in enumerate(
                zip(self._connections, self._processes, strict=True)
            ):
                if number not in answers and connection in ready:  # first: its last words may explain its end
                    answers[number] = self._receive(number, when)
                elif process.sentinel in ready:
                    raise self._death(number, when)
            tell()
        return [answers[number] for number in range(len(self._tasks))]

    def _receive(self, number: int, when: str) -> Any:
        try:
            answer = self._connections[number].recv()
        except (EOFError, OSError):
            raise self._death(number, when) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _death(self, number: int, when: str) -> WorkerDiedError:
        """Return the error that says which worker has ended, when and how."""
        process = self._processes[number]
        process.join(PATIENCE)
        wait_for_own_signal()
        code = process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return WorkerDiedError(
            f"workers={len(self._tasks)}: worker {number + 1} has died {when} ({how}), and the run ends with it. "
            "If memory ran out, fewer workers need less; a script that calls the trainer needs "
            "if __name__ == '__main__'. workers=1 trains in this process."
        )

    def _end(self) -> None:
        """End them: those that wait by closing their connections, the others by a signal."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self._processes, self._connections = [], []
        self._while_they_live.close()
