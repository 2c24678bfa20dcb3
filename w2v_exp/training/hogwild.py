"""Hogwild: training in processes that share parameters without locks."""

from __future__ import annotations

import ctypes
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
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
from w2v_exp.machine import own_memory
from w2v_exp.model.parameters import Parameters
from w2v_exp.processes import (
    SPAWN,
    begin_as_helper,
    lightest_context,
    may_start_processes,
    start,
    wait_for_own_signal,
)
from w2v_exp.training.trainer import EpochRecord, EpochSums, Trainer, TrainingState


class SharedArray:
    """Array in memory that spawned processes share.

    The memory has no name (`multiprocessing.sharedctypes` deletes that of its file at once), so it is freed with the
    last process, however that ends. A memory-mapped file is mapped again in the other process.

    Parameters
    ----------
    values : ndarray
        The initial values; copied, unless they are mapped from a file, which is then read-only.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._dtype, self._shape = values.dtype, values.shape
        self._file: tuple[str, int] | None = None
        # Only a whole mapping knows its offset in the file; a slice of one is copied.
        if isinstance(values, np.memmap) and isinstance(values.base, mmap) and values.filename:
            self._file = str(values.filename), values.offset
            return
        self._memory = SPAWN.RawArray(ctypes.c_byte, max(1, values.nbytes))  # 0 bytes cannot be shared
        self.array()[...] = values

    def array(self) -> NDArray[Any]:
        """Return the array: in every process the same memory."""
        if self._file:
            path, offset = self._file
            return np.memmap(path, self._dtype, "r", offset, self._shape)
        return np.ndarray(self._shape, self._dtype, memoryview(self._memory))


# Builds a worker's trainer from the shared parameters, the worker's number, the number of workers and the worker's
# generator. It is pickled, so it has to be a function of a module, or a `functools.partial` of one.
MakeTrainer = Callable[[Parameters, int, int, np.random.Generator], Trainer]


class WorkerTask(NamedTuple):
    """Arguments of a worker process.

    Parameters
    ----------
    make : MakeTrainer
        Builds its trainer.
    embedding, output : SharedArray
        The parameters.
    done : SharedArray
        Pairs that each worker has trained on, float64, shape (of,).
    stopping : SharedArray
        Not 0 once training has been stopped, float64, shape (1,).
    number, of : int
        Number of the worker, from 0, and number of workers.
    generator : numpy.random.Generator
        The worker's own.
    threads : int
        BLAS threads of the worker.
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
    """A worker's sums of an epoch, and its private memory in bytes or None."""

    sums: EpochSums
    own_memory: int | None


class WorkerCallback:
    """Callback of a worker: publishes its pair count, stops with training."""

    def __init__(self, task: WorkerTask, trainer: Trainer) -> None:
        self._done, self._number = task.done.array(), task.number
        self._stopping, self._trainer = task.stopping.array(), trainer

    def on_step(self, pairs_done: float) -> None:
        """Publish the count and check whether to stop."""
        self._done[self._number] = pairs_done
        if self._stopping[0]:
            self._trainer.stop("another process")

    def on_epoch(self, record: EpochRecord) -> None:
        """Do nothing: the epoch's sums are sent through the connection."""


def work(task: WorkerTask, connection: Connection) -> None:
    """Train for each epoch received through a connection, until None is.

    Sends None when the worker is ready, then a `WorkerEpoch` per epoch; or the exception that was raised.
    """
    begin_as_helper()
    # Ends with its parent, and when the parent closes the connection.
    with suppress(EOFError, BrokenPipeError), threadpool_limits(task.threads, "blas"):
        try:
            trainer = task.make(
                Parameters(task.embedding.array(), task.output.array()), task.number, task.of, task.generator
            )
            trainer.add_callback(WorkerCallback(task, trainer))
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


POLL_SECONDS = 0.1  # between two looks at the workers' pair counts
END_SECONDS = 5.0  # for a worker to end after SIGTERM, before SIGKILL


class WorkerDiedError(UserError):
    """A worker process has ended unexpectedly."""


class WorkerPool:
    """Worker processes that train together; a context manager.

    Parameters
    ----------
    tasks : sequence of WorkerTask
        One for each worker.

    Attributes
    ----------
    own_memory : int or None
        The workers' private memory after the last epoch, in bytes; None if unknown.
    """

    def __init__(self, tasks: Sequence[WorkerTask]) -> None:
        self.own_memory: int | None = None
        self._tasks = tasks
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []

    def __enter__(self) -> WorkerPool:
        context = lightest_context()
        try:
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
            self._receive_from_all("while it started", lambda: None)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def train_epoch(self, epoch: int, poll: Callable[[], None]) -> EpochSums:
        """Train all workers for an epoch and return their summed results.

        Parameters
        ----------
        epoch : int
            Its number, from 0.
        poll : function
            Called every `POLL_SECONDS` meanwhile.

        Raises
        ------
        WorkerDiedError
            If a worker process ends.
        UserError
            If a worker raises it, as where training diverges.
        """
        for number, connection in enumerate(self._connections):
            try:
                connection.send(epoch)
            except OSError:  # it ended between two epochs
                raise self._died(number, f"in epoch {epoch}") from None
        results: list[WorkerEpoch] = self._receive_from_all(f"in epoch {epoch}", poll)
        known = [result.own_memory for result in results if result.own_memory]
        self.own_memory = sum(known) if known else None
        sums = [result.sums for result in results]
        return EpochSums(
            cost=sum(one.cost for one in sums),
            article_cost=sum(one.article_cost for one in sums),
            pairs=sum(one.pairs for one in sums),
            learning_rate=sums[0].learning_rate,
            steps=sum(one.steps for one in sums),
        )

    def _receive_from_all(self, when: str, poll: Callable[[], None]) -> list[Any]:
        """Return the next message of each worker, or raise if a worker ends first."""
        messages: dict[int, Any] = {}
        while len(messages) < len(self._tasks):
            pending = [one for number, one in enumerate(self._connections) if number not in messages]
            ended = [process.sentinel for process in self._processes]
            ready = wait([*pending, *ended], POLL_SECONDS)
            for number, (connection, process) in enumerate(
                zip(self._connections, self._processes, strict=True)
            ):
                if number not in messages and connection in ready:  # first: it may say why its process ended
                    try:
                        message = connection.recv()
                    except (EOFError, OSError):
                        raise self._died(number, when) from None
                    if isinstance(message, Exception):
                        raise message
                    messages[number] = message
                elif process.sentinel in ready:
                    raise self._died(number, when)
            poll()
        return [messages[number] for number in range(len(self._tasks))]

    def _died(self, number: int, when: str) -> WorkerDiedError:
        """Return the error for a worker that has ended."""
        process = self._processes[number]
        process.join(END_SECONDS)
        wait_for_own_signal()
        code = process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return WorkerDiedError(
            f"workers={len(self._tasks)}: worker {number + 1} died {when} ({how}). If memory ran out, use fewer "
            "workers; a script that calls the trainer needs if __name__ == '__main__'. workers=1 trains in this "
            "process."
        )

    def _end(self) -> None:
        """End all workers, by closing connections or by a signal."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self._processes, self._connections = [], []


class HogwildTrainer(Trainer):
    """Trains shared parameters in processes, each on its part of the text.

    As in word2vec.c and gensim, no process waits: rows are read while others change them, and of two simultaneous
    updates of a row one may be lost. Where steps touch few rows of many, that costs next to nothing (Niu, Recht, Ré &
    Wright 2011, "Hogwild!"). A step here touches the rows of a block, so the share of lost updates is the share of
    the time in which two processes write the same row. Processes wait for each other only at the end of an epoch, for
    costs to be measured.

    The interleaving of steps is not reproducible, so no two trainings end with the same bytes. A state can be taken
    between two epochs only; a training that is resumed from it draws other samples than the interrupted one would have.

    Parameters
    ----------
    make : MakeTrainer
        Builds a worker's trainer, in the worker.
    examples : TrainingExamples
        The examples of the whole text, for their numbers.
    parameters : Parameters
        Initial values; copied into shared memory, where `parameters` of this trainer are.
    workers : int
        Number of processes, at least 2.
    threads : int
        BLAS threads, divided among the workers.
    choices
        Other arguments of `Trainer`. The workers' generators are spawned from its `generator`.

    Raises
    ------
    SettingError
        If the text has fewer blocks than there are workers, or this process may not start others.
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
                "this is a helper process, which may not start others; use workers=1.",
            )
        if examples.batches_per_epoch < workers:
            raise SettingError(
                "workers",
                workers,
                f"the text has only {examples.batches_per_epoch} blocks; use fewer workers or smaller blocks "
                "(labels.tokens).",
            )
        self._embedding, self._output = SharedArray(parameters.embedding), SharedArray(parameters.output)
        super().__init__(examples, Parameters(self._embedding.array(), self._output.array()), **choices)
        self._make = make
        self._workers = workers
        self._worker_threads = max(1, threads // workers)
        self._done, self._stopping = SharedArray(np.zeros(workers)), SharedArray(np.zeros(1))
        self._pairs_before = 0.0  # this process began to train
        self._in_epoch = False
        self._pool: WorkerPool | None = None

    def train(self) -> list[EpochRecord]:
        """Train for the remaining epochs and return the records of all.

        Starting the workers counts as training time of the first epoch.

        Raises
        ------
        TrainingDivergedError
            As `Trainer.train`.
        WorkerDiedError
            If a worker process ends.
        """
        # Resumed workers get generators that no worker had in the epochs before.
        generators = self.generator.spawn(self._workers * (1 + len(self.records)))[-self._workers :]
        self._pairs_before = self.pairs_done
        self._done.array()[:] = 0
        self._timer.start()
        self._pool = WorkerPool(
            [
                WorkerTask(
                    make=self._make,
                    embedding=self._embedding,
                    output=self._output,
                    done=self._done,
                    stopping=self._stopping,
                    number=number,
                    of=self._workers,
                    generator=generator,
                    threads=self._worker_threads,
                )
                for number, generator in enumerate(generators)
            ]
        )
        with self._pool:
            self._timer.stop()
            return super().train()

    def train_epoch(self, epoch: int) -> EpochSums:
        """Train the workers for an epoch and return their sums."""
        assert self._pool is not None
        self._in_epoch = True
        sums = self._pool.train_epoch(epoch, self._update_pairs)
        self._update_pairs()
        self._in_epoch = False
        return sums

    def stop(self, reason: str) -> None:
        """End training after each worker's current step."""
        super().stop(reason)
        self._stopping.array()[0] = 1

    def state(self) -> TrainingState | None:
        """Return the state; None within an epoch, when workers change it."""
        return None if self._in_epoch else super().state()

    @property
    def own_memory(self) -> int | None:
        """The workers' private memory after an epoch, in bytes; None if unknown."""
        return self._pool.own_memory if self._pool else None

    def _update_pairs(self) -> None:
        self.pairs_done = self._pairs_before + float(self._done.array().sum())
        self._call_step_callbacks()
