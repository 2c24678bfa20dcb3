"""Learning-rate schedules: pure functions of training progress.

A schedule is called with ``step`` (0 to total_steps − 1), ``total_steps``, ``epoch`` (0 to epochs − 1) and ``epochs``,
all integers of any type, and returns the factor of the configured learning rate for that step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import index
from typing import Protocol

from w2v_exp.errors import check_number, check_whole


class Schedule(Protocol):
    """The factor of the learning rate at each step."""

    def __call__(self, step: int, total_steps: int, epoch: int, epochs: int) -> float:
        """Return the factor for this step."""


@dataclass(frozen=True)
class Constant:
    """factor = 1."""

    def __call__(self, step: int, total_steps: int, epoch: int, epochs: int) -> float:
        """Return the factor for this step.

        >>> Constant()(7, 10, 3, 5)
        1.0
        """
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """factor = decay^n, the article's.

    n is the number of multiples of max(1, ⌊epochs / times⌋) in 0 … epoch − 1.

    The article multiplies the rate by 0.98 after each epoch whose number is a multiple of ``epochs // 100``,
    epoch 0 included. That divides by zero below 100 epochs, where this schedule decays after every epoch.

    Parameters
    ----------
    decay : float
        Factor of each decay, above 0 and at most 1.
    times : int
        Number of decays in a run (about one more where `times` does not divide the epochs).
    """

    decay: float = 0.98
    times: int = 100

    def __post_init__(self) -> None:
        check_number(self, "decay", above=0, at_most=1)
        check_whole(self, "times", at_least=1)

    def __call__(self, step: int, total_steps: int, epoch: int, epochs: int) -> float:
        """Return the factor for this step.

        >>> round(0.05 * StepDecay()(4999, 5000, 4999, 5000), 5)
        0.00663
        """
        interval = index(epochs) // self.times or 1
        return self.decay ** (-(-index(epoch) // interval))


@dataclass(frozen=True)
class Exponential:
    """factor = final^(step / (total_steps − 1)): from 1 to `final`.

    Parameters
    ----------
    final : float
        The factor at the last step, above 0 and at most 1.
    """

    final: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "final", above=0, at_most=1)

    def __call__(self, step: int, total_steps: int, epoch: int, epochs: int) -> float:
        """Return the factor for this step.

        >>> Exponential(final=0.01)(5, 11, 0, 1)
        0.1
        """
        return float(self.final ** (index(step) / max(1, index(total_steps) - 1)))


@dataclass(frozen=True)
class Linear:
    """factor = max(floor, 1 − step / total_steps), word2vec.c's.

    Parameters
    ----------
    floor : float
        Lower limit of the factor, from 0 to 1.
    """

    floor: float = 0.0001

    def __post_init__(self) -> None:
        check_number(self, "floor", at_least=0, at_most=1)

    def __call__(self, step: int, total_steps: int, epoch: int, epochs: int) -> float:
        """Return the factor for this step.

        >>> Linear()(5, 10, 0, 1)
        0.5
        """
        return max(self.floor, 1 - index(step) / index(total_steps))


@dataclass(frozen=True)
class Cosine:
    """factor = a linear rise, then half a cosine down.

    The rise is (step + 1) / w over the first w = ⌊warm_up · total_steps⌋ steps.

    With t = (step − w) / (total_steps − w), factor = final + (1 − final)·(1 + cos πt) / 2 (Loshchilov &
    Hutter 2017, equation 5, one cycle). t stays below 1, so that with `final` 0 the last step has an effect.

    Parameters
    ----------
    warm_up : float
        Share of the steps in which the rate rises, at least 0 and below 1.
    final : float
        The factor one step after the last, from 0 to 1.
    """

    warm_up: float = 0.05
    final: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "warm_up", at_least=0, below=1)
        check_number(self, "final", at_least=0, at_most=1)

    def __call__(self, step: int, total_steps: int, epoch: int, epochs: int) -> float:
        """Return the factor for this step.

        >>> [round(Cosine(warm_up=0.4)(step, 5, 0, 1), 3) for step in range(5)]
        [0.5, 1.0, 1.0, 0.75, 0.25]
        """
        step, total_steps = index(step), index(total_steps)
        warm_up_steps = math.floor(self.warm_up * total_steps)
        if step < warm_up_steps:
            return (step + 1) / warm_up_steps
        share = (step - warm_up_steps) / (total_steps - warm_up_steps)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class InverseTime:
    """factor = 1 / (1 + decay · step / total_steps).

    Parameters
    ----------
    decay : float
        At least 0; the factor ends near 1 / (1 + decay).
    """

    decay: float = 9.0

    def __post_init__(self) -> None:
        check_number(self, "decay", at_least=0)

    def __call__(self, step: int, total_steps: int, epoch: int, epochs: int) -> float:
        """Return the factor for this step.

        >>> InverseTime(decay=3)(10, 10, 0, 1)
        0.25
        """
        return 1 / (1 + self.decay * index(step) / index(total_steps))


SCHEDULES = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": Exponential,
    "linear": Linear,
    "cosine": Cosine,
    "inverse_time": InverseTime,
}
