"""Training in several processes that do not wait for each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.model.parameters import Parameters
from w2v_exp.processes import may_start_processes
from w2v_exp.training.observers import EpochRecord
from w2v_exp.training.shared_arrays import SharedArray
from w2v_exp.training.state import EpochSums, TrainingState
from w2v_exp.training.trainer import Trainer
from w2v_exp.training.worker import MakeTrainer, Task
from w2v_exp.training.workers import Workers


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
        self._stopwatch.start()
        with self._workers:
            self._stopwatch.stop()
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
        self._tell_step()

    def _new_workers(self) -> Workers:
        """Return workers to be started, with generators that none of the epochs up to here has had."""
        generators = self.generator.spawn(self._number * (1 + len(self.records)))[-self._number :]
        return Workers([self._make_task(number=n, generator=one) for n, one in enumerate(generators)])
