"""What a worker process does: epoch after epoch, its share of the steps."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from w2v_exp.errors import UserError
from w2v_exp.memory import own_memory
from w2v_exp.model.parameters import Parameters
from w2v_exp.processes import begin_as_helper, return_free_memory
from w2v_exp.training.observers import EpochRecord
from w2v_exp.training.shared_arrays import SharedArray
from w2v_exp.training.state import EpochSums
from w2v_exp.training.trainer import Trainer

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
            trainer.watch(Counting(task, trainer))
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
