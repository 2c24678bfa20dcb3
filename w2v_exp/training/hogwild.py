"""Training in several processes that share parameters and do not wait for each other."""

from __future__ import annotations

import ctypes
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from mmap import mmap
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from w2v_exp.errors import SettingError, UserError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.memory import own_memory
from w2v_exp.model.parameters import Parameters
from w2v_exp.processes import (
    SPAWN,
    begin_as_helper,
    lightest_context,
    may_start_processes,
    pages_left_alone,
    return_free_memory,
    start,
    wait_for_own_signal,
)
from w2v_exp.training.trainer import EpochRecord, EpochSums, Trainer, TrainingState


class SharedArray:
    """An array in memory that goes to spawned processes as it is, not as a copy.

    The memory has no name (`multiprocessing.sharedctypes` deletes that of its file at once), so nothing is left of it
    when the last process has ended, however that ended. What is mapped from a file is mapped again over there.

    Parameters
    ----------
    values : ndarray
        What it holds at first; copied, unless it is mapped from a file, which is then only read.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._dtype, self._shape = values.dtype, values.shape
        self._file = _mapped_file(values)
        # Memory of no bytes cannot be shared.
        self._memory = None if self._file else SPAWN.RawArray(ctypes.c_byte, max(1, values.nbytes))
        if not self._file:
            self.array()[...] = values

    def array(self) -> NDArray[Any]:
        """Return the array: in every process the same memory, which a change changes for all of them."""
        if self._file:
            path, offset = self._file
            return np.memmap(path, self._dtype, "r", offset, self._shape)
        assert self._memory is not None
        return np.ndarray(self._shape, self._dtype, memoryview(self._memory))


def _mapped_file(values: NDArray[Any]) -> tuple[str, int] | None:
    """Return the file that a whole array is mapped from, and where it begins in it, or None."""
    if isinstance(values, np.memmap) and isinstance(values.base, mmap) and values.filename:
        return str(values.filename), values.offset
    return None


# Makes a worker's trainer of the parameters that all share; called in the worker, with its number, how many there are,
# and its generator. It is pickled, so it is a function of a module, or a `functools.partial` of one.
MakeTrainer = Callable[[Parameters, int, int, np.random.Generator], Trainer]


class Task(NamedTuple):
    """What a worker is told when it starts.

    Parameters
    ----------
    make : MakeTrainer
        Makes its trainer.
    embedding, output : SharedArray
        What it trains.
    done : SharedArray
        How many pairs each worker has trained on, float64, shape (of,).
    stopping : SharedArray
        Other than 0 as soon as training is to stop, float64, shape (1,).
    number, of : int
        Which worker it is, and how many there are.
    generator : numpy.random.Generator
        Its own.
    threads : int
        BLAS threads it may use.
    """

    make: MakeTrainer
    embedding: SharedArray
    output: SharedArray
    done: SharedArray
    stopping: SharedArray
    number: int
    of: int
    generator: np.random.Generator
    threads: int


class WorkerEpoch(NamedTuple):
    """A worker's answer: what its steps of an epoch add up to, and its own memory in bytes, if known."""

    sums: EpochSums
    own_memory: int | None


class Counting:
    """Shows the other processes how many pairs have been trained on, and stops when they say so."""

    def __init__(self, task: Task, trainer: Trainer) -> None:
        self._done, self._number = task.done.array(), task.number
        self._stopping, self._trainer = task.stopping.array(), trainer

    def on_step(self, pairs_done: float) -> None:
        """Show it, and look."""
        self._done[self._number] = pairs_done
        if self._stopping[0]:
            self._trainer.stop("another process")

    def on_epoch(self, record: EpochRecord) -> None:
        """Nothing: what an epoch adds up to is sent."""


def work(task: Task, connection: Connection) -> None:
    """Train for the epochs that come through a connection, until there are no more.

    None is sent when the worker is ready, a `WorkerEpoch` for each epoch, and an exception instead if there was one.
    """
    begin_as_helper()
    # A parent that has gone takes its worker along; one that has closed the connection is done with it.
    with suppress(EOFError, BrokenPipeError), threadpool_limits(task.threads, "blas"):
        try:
            trainer = task.make(
                Parameters(task.embedding.array(), task.output.array()), task.number, task.of, task.generator
            )
            trainer.add_callback(Counting(task, trainer))
            return_free_memory()
            connection.send(None)
            with np.errstate(over="ignore", invalid="ignore"):
                while (epoch := connection.recv()) is not None:
                    connection.send(WorkerEpoch(trainer.train_epoch(epoch), own_memory()))
        except UserError as error:
            connection.send(error)
        except (EOFError, BrokenPipeError):
            raise
        except Exception:
            connection.send(RuntimeError(f"in worker {task.number + 1}:\n{traceback.format_exc()}"))


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


class HogwildTrainer(Trainer):
    """Trains the same parameters in several processes, each on its own share of the text.

    As in word2vec.c and gensim, nobody waits: rows are read while others change them, and of two changes of a row at
    the same instant one may be lost. Where steps touch few rows of many, that costs next to nothing (Niu, Recht, Ré &
    Wright 2011, "Hogwild!"); a step here touches the rows of a block, so the share of lost changes is that of the time
    which two processes spend in writing the same row. Only an epoch's end is waited for, so that costs can be taken.

    How the workers' steps interleave is not in anybody's hands: no two trainings are the same to the byte. So a state
    is that between two epochs, and what goes on from it is a training like the interrupted one, not the same.

    Parameters
    ----------
    make : MakeTrainer
        Makes a worker's trainer, in the worker.
    examples : TrainingExamples
        All of them, for their numbers.
    parameters : Parameters
        What training starts from; copied into memory that is shared, where `parameters` of this trainer are.
    workers : int
        How many processes, at least 2.
    threads : int
        BLAS threads, divided among the workers.
    generator : numpy.random.Generator
        Its children are the generators of the workers.
    choices
        The rest, as for `Trainer`.

    Raises
    ------
    SettingError
        If there are not as many blocks of text as workers, or this process may not start others.
    """

    def __init__(
        self,
        make: MakeTrainer,
        examples: TrainingExamples,
        parameters: Parameters,
        *,
        workers: int,
        threads: int = 1,
        **choices: Any,
    ) -> None:
        if not may_start_processes():
            raise SettingError(
                "workers",
                workers,
                "this process is itself a helper that may not start others; use workers=1.",
            )
        if examples.batches_per_epoch < workers:
            raise SettingError(
                "workers",
                workers,
                f"the text has {examples.batches_per_epoch} blocks to share out; use fewer workers or smaller "
                "blocks (labels.tokens).",
            )
        embedding, output = SharedArray(parameters.embedding), SharedArray(parameters.output)
        super().__init__(examples, Parameters(embedding.array(), output.array()), **choices)
        self._done = SharedArray(np.zeros(workers))
        self._counted = self._done.array()
        self._pairs_before = 0.0
        self._stopping = SharedArray(np.zeros(1))
        self._in_epoch = False
        self._make_task = partial(
            Task,
            make,
            embedding,
            output,
            self._done,
            self._stopping,
            of=workers,
            threads=max(1, threads // workers),
        )
        self._number = workers
        self._workers = self._new_workers()

    def train(self) -> list[EpochRecord]:
        """Train for all epochs and return a record of each. The workers' start is part of the first one's time.

        Raises
        ------
        TrainingDivergedError
            As `Trainer.train`.
        WorkerDiedError
            If a worker process ends.
        """
        self._timer.start()
        with self._workers:
            self._timer.stop()
            return super().train()

    def train_epoch(self, epoch: int) -> EpochSums:
        """Let the workers take the steps of one epoch."""
        self._in_epoch = True
        sums = self._workers.train_epoch(epoch, self._tell)
        self._tell()
        self._in_epoch = False
        return sums

    def stop(self, reason: str) -> None:
        """End training after the step that each worker takes."""
        super().stop(reason)
        self._stopping.array()[0] = 1

    def state(self) -> TrainingState | None:
        """Return what training is between two epochs, None in an epoch: then parameters change while they are read."""
        return None if self._in_epoch else super().state()

    def restore(self, state: TrainingState) -> None:
        """Go on from the epoch whose state this is; what the workers draw is other than in any epoch before.

        Raises
        ------
        ValueError
            As `Trainer.restore`.
        """
        super().restore(state)
        self._pairs_before = state.pairs_done
        self._workers = self._new_workers()

    @property
    def own_memory(self) -> int | None:
        """The bytes that the workers had for themselves at the end of the last epoch, together; None if unknown."""
        return self._workers.own_memory

    def _tell(self) -> None:
        self.pairs_done = self._pairs_before + float(self._counted.sum())
        self._call_step_callbacks()

    def _new_workers(self) -> Workers:
        """Return workers to be started, with generators that none of the epochs up to here has had."""
        generators = self.generator.spawn(self._number * (1 + len(self.records)))[-self._number :]
        return Workers([self._make_task(number=n, generator=one) for n, one in enumerate(generators)])
