"""Training in several processes that do not wait for each other."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.model.parameters import Parameters
from w2v_exp.processes import may_start_processes
from w2v_exp.training.observers import EpochRecord
from w2v_exp.training.shared_arrays import SharedArray
from w2v_exp.training.trainer import EpochSums, Trainer
from w2v_exp.training.worker import MakeTrainer, Task
from w2v_exp.training.workers import Workers


class HogwildTrainer(Trainer):
    """Trains the same parameters in several processes, each on its own share of the text.

    As in word2vec.c and gensim, nobody waits: rows are read while others change them, and of two changes of a row at
    the same instant one may be lost. Where steps touch few rows of many, that costs next to nothing (Niu, Recht, Ré &
    Wright 2011, "Hogwild!"); a step here touches the rows of a block, so the share of lost changes is that of the time
    which two processes spend in writing the same row. Only an epoch's end is waited for, so that costs can be taken.

    How the workers' steps interleave is not in anybody's hands: no two trainings are the same to the byte.

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
        each = max(1, threads // workers)
        generators = self.generator.spawn(workers)
        self._workers = Workers(
            [
                Task(make, embedding, output, self._done, number, workers, generator, each)
                for number, generator in enumerate(generators)
            ]
        )

    def train(self) -> list[EpochRecord]:
        """Train for all epochs and return a record of each. The workers' start is part of the first one's time.

        Raises
        ------
        TrainingDivergedError
            As `Trainer.train`.
        WorkerDiedError
            If a worker process ends.
        """
        started = perf_counter()
        with self._workers:
            self._seconds_to_start = perf_counter() - started
            return super().train()

    def train_epoch(self, epoch: int) -> EpochSums:
        """Let the workers take the steps of one epoch."""
        sums = self._workers.train_epoch(epoch, self._tell)
        self._tell()
        return sums

    @property
    def own_memory(self) -> int | None:
        """The bytes that the workers had for themselves at the end of the last epoch, together; None if unknown."""
        return self._workers.own_memory

    def _tell(self) -> None:
        self.pairs_done = float(self._counted.sum())
        self._tell_step()
