"""The same training twice: by the baseline, and by the real trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from benchmarks import baseline
from w2v_exp.examples.batches import Examples, TrainingExamples
from w2v_exp.examples.pairs import Pairs
from w2v_exp.examples.streamed import StreamedExamples
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.training.schedules import StepDecay
from w2v_exp.training.trainer import Trainer

DIM = 50
WINDOW = 5


@dataclass(frozen=True)
class Training:
    """A training run that both can do, from the same initial parameters.

    Parameters
    ----------
    pairs : Pairs
        For the trainer.
    baseline_ids : pair of ndarray, shape (1, m)
        The same pairs as the baseline has them.
    epochs, batch_size : int
        The same for both.
    dim : int
        Of the parameters.
    ids : ndarray of int32, optional
        The text that the pairs are of, window `WINDOW`; only streamed labels need it.
    """

    pairs: Pairs
    baseline_ids: tuple[NDArray[np.int64], NDArray[np.int64]]
    epochs: int
    batch_size: int
    dim: int = DIM
    ids: NDArray[np.int32] | None = None

    def parameters(self, dtype: DTypeLike = np.float64) -> Parameters:
        """Return new parameters, the same each time."""
        return ArticleInitialization()(self.pairs.vocabulary_size, self.dim, np.random.default_rng(0), dtype)

    def trainer(
        self,
        objective: Softmax,
        *,
        labels: str = "sparse",
        dtype: DTypeLike = np.float64,
        threads: int = 1,
    ) -> Trainer:
        """Return a trainer of new parameters."""
        return Trainer(
            self._examples(labels, dtype),
            self.parameters(dtype),
            objective=objective,
            schedule=StepDecay(),
            epochs=self.epochs,
            threads=threads,
        )

    def _examples(self, labels: str, dtype: DTypeLike) -> TrainingExamples:
        V, size = self.pairs.vocabulary_size, self.batch_size
        if labels != "streamed":
            return Examples(self.pairs, labels=labels, batch_size=size, order="corpus", dtype=dtype)
        if self.ids is None:
            raise ValueError("Streamed labels need the text.")
        return StreamedExamples(self.ids, WINDOW, V, batch_size=size, order="corpus")

    def ours(self, objective: Softmax, **choices: Any) -> Callable[[], object]:
        """Return our training, ready to be timed."""
        return self.trainer(objective, **choices).train

    def baseline(self, parameters: Parameters | None = None) -> Callable[[], object]:
        """Return the baseline's training, of new parameters if none are given, ready to be timed."""
        parameters = parameters or self.parameters()
        return partial(
            baseline.train,
            parameters.embedding,
            parameters.output,
            *self.baseline_ids,
            epochs=self.epochs,
            batch_size=self.batch_size,
        )

    def difference(self, objective: Softmax, *, tolerance: float, **choices: Any) -> float:
        """Train both ways, and return how far the parameters are apart at the most.

        Raises
        ------
        ArithmeticError
            If that is more than the tolerance.
        """
        expected, trainer = self.parameters(), self.trainer(objective, **choices)
        self.baseline(expected)()
        trainer.train()
        difference = max(
            float(np.abs(expected.embedding - trainer.parameters.embedding).max()),
            float(np.abs(expected.output - trainer.parameters.output).max()),
        )
        require_equal("parameters", difference, tolerance)
        return difference


def require_equal(what: str, difference: float, tolerance: float) -> None:
    """Raise `ArithmeticError` if our results and the baseline's are further apart than they may be."""
    if not difference <= tolerance:
        raise ArithmeticError(
            f"The {what} of the baseline and ours differ by {difference:.2g}; {tolerance:g} is allowed."
        )
