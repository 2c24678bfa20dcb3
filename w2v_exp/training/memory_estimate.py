"""How much memory a run will need at its peak, before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import DTypeLike

from w2v_exp.examples.statistics import ExamplesMemory
from w2v_exp.model.parameters import Parameters
from w2v_exp.training.optimizers import Optimizer


@dataclass(frozen=True)
class MemoryEstimate:
    """The memory of a run, in bytes.

    Parameters
    ----------
    examples, parameters, optimizer : int
        What stays: the examples, both matrices, and what the optimizer remembers of them.
    step : int
        The most that is there for a while beside these, during the first steps.
    peak_build : int
        The most at once before the first step, while examples and parameters are made.
    """

    examples: int
    parameters: int
    optimizer: int
    step: int
    peak_build: int

    @property
    def total(self) -> int:
        """The peak."""
        return max(self.peak_build, self.examples + self.parameters + self.optimizer + self.step)


def estimate_memory(
    examples: ExamplesMemory,
    vocabulary_size: int,
    dim: int,
    dtype: DTypeLike,
    *,
    optimizer: Optimizer,
    step: int,
    objective: int = 0,
) -> MemoryEstimate:
    """Return what a run on these examples will need, with parameters of shape (V, dim).

    Parameters
    ----------
    examples, vocabulary_size, dim, dtype, optimizer
        What is trained how.
    step : int
        What the largest step takes, in bytes: see `Steps.memory` and `BlockSteps.memory`.
    objective : int
        What an objective holds of a text.
    """
    parameters = Parameters.memory(vocabulary_size, dim, dtype)
    drawing = Parameters.drawing_memory(vocabulary_size, dim)
    return MemoryEstimate(
        examples=examples.resident + objective,
        parameters=parameters,
        optimizer=optimizer.state_matrices * parameters,
        step=step,
        peak_build=max(examples.peak_build, examples.resident + parameters + drawing),
    )
