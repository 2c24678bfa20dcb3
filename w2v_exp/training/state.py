"""What a training is at a moment: all that it needs to go on from there as if nothing had been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.representation import ShortRepr
from w2v_exp.training.observers import EpochRecord

GeneratorState = Mapping[str, Any]  # as `numpy.random.BitGenerator.state`


@dataclass
class EpochSums:
    """What the steps of an epoch add up to.

    Parameters
    ----------
    cost : float
        The negative log-likelihood of its pairs.
    article_cost : float
        The article's figure, or NaN.
    pairs : float
        How many there were.
    learning_rate : float
        At its last step.
    steps : int
        How many there were.
    """

    cost: float = 0.0
    article_cost: float = 0.0
    pairs: float = 0.0
    learning_rate: float = 0.0
    steps: int = 0

    def add(self, cost: float, article_cost: float, pairs: float, learning_rate: float) -> None:
        """Add a step."""
        self.cost += cost
        self.article_cost += article_cost
        self.pairs += pairs
        self.learning_rate = learning_rate
        self.steps += 1


@dataclass(frozen=True, repr=False)
class TrainingState(ShortRepr):
    """What a training is between two steps.

    Parameters
    ----------
    records : list of EpochRecord
        The epochs that are over.
    sums : EpochSums
        Of the epoch that is under way; of no step between two epochs.
    pairs_done, train_seconds : float
        Since training began.
    ended_by : str
        Who has asked training to stop; empty while it goes on.
    epoch_generator : dict
        The state of the generator when that epoch began: all that chance decides of its batches comes from there.
    generator : dict
        Its state now.
    arrays : mapping of str to ndarray
        The parameters, and what the optimizer remembers. Those of `Trainer.state` are the trainer's own: they change as
        it goes on.
    """

    records: list[EpochRecord]
    sums: EpochSums
    pairs_done: float
    train_seconds: float
    ended_by: str
    epoch_generator: GeneratorState
    generator: GeneratorState
    arrays: Mapping[str, NDArray[Any]]

    def copy_into(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy the values of all arrays into those of a training that is to become this one.

        Raises
        ------
        ValueError
            If one of them is not there, or of another shape or dtype.
        """
        for name, array in arrays.items():
            saved = self.arrays.get(name)
            if saved is None or (saved.shape, saved.dtype) != (array.shape, array.dtype):
                raise ValueError(f"The state of another training: its array {name} is not like this one's.")
            np.copyto(array, saved)
