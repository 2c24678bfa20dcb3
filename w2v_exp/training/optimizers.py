"""Optimizers: what a step does with a gradient.

A gradient arrives for some rows of a matrix, each row once (the gradients of a word that repeats in a batch
are summed before). The other rows have the gradient zero, and every optimizer treats them as the dense
textbook version does: with momentum they move on. The ``lazy_`` variants leave them alone.

An optimizer is a frozen description; what it remembers of a matrix is a state, made by `initial_state`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v_exp.validation import check_number

State = dict[str, NDArray[Any]]
Rows = slice | NDArray[np.integer[Any]]
ALL_ROWS = slice(None)


class Optimizer(Protocol):
    """A rule that changes a matrix by a gradient."""

    @property
    def rows_are_independent(self) -> bool:
        """Whether a gradient for all rows may be given in blocks of rows, one update after the other."""

    @property
    def remembered(self) -> int:
        """How many matrices like a parameter's the state has."""

    @property
    def passing(self) -> int:
        """How many matrices like the rows that an update changes come and go during it."""

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return what the rule remembers of a matrix before its first step."""

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Change `matrix` and `state` in place; `gradient`, of shape (len(rows), dim), may be overwritten."""


@dataclass(frozen=True)
class GradientDescent:
    """Stochastic gradient descent: θ ← θ − η·g."""

    rows_are_independent: ClassVar[bool] = True
    remembered: ClassVar[int] = 0
    passing: ClassVar[int] = 1

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return an empty state."""
        return {}

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Change `matrix` in place."""
        gradient *= learning_rate
        _subtract(matrix, rows, gradient)


@dataclass(frozen=True)
class Momentum:
    """Heavy ball (Polyak 1964): v ← μ·v + g, θ ← θ − η·v.

    Parameters
    ----------
    momentum : float
        μ, at least 0 and below 1.
    """

    rows_are_independent: ClassVar[bool] = False
    remembered: ClassVar[int] = 1
    passing: ClassVar[int] = 1

    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_number(self, "momentum", at_least=0, below=1)

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return a velocity of zero for every parameter."""
        return {"velocity": np.zeros_like(matrix)}

    def moving_rows(self, rows: Rows) -> Rows:
        """Return the rows that a step changes: all of them, gradient or not."""
        return ALL_ROWS

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Change `matrix` and `state` in place."""
        moving, velocity = self.moving_rows(rows), state["velocity"]
        _multiply(velocity, moving, self.momentum)
        _add(velocity, rows, gradient)
        _subtract(matrix, moving, learning_rate * velocity[moving])


@dataclass(frozen=True)
class LazyMomentum(Momentum):
    """Momentum that leaves rows without gradient, and their velocity, as they are."""

    def moving_rows(self, rows: Rows) -> Rows:
        """Return the rows that have a gradient."""
        return rows


@dataclass(frozen=True)
class Adagrad:
    """Adagrad (Duchi et al. 2011): s ← s + g², θ ← θ − η·g / (√s + ε). Rows without gradient stay.

    Parameters
    ----------
    epsilon : float
        ε, above 0.
    """

    rows_are_independent: ClassVar[bool] = True
    remembered: ClassVar[int] = 1
    passing: ClassVar[int] = 2

    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_number(self, "epsilon", above=0)

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return sums of zero for every parameter."""
        return {"squares": np.zeros_like(matrix)}

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Change `matrix` and `state` in place."""
        squares = state["squares"]
        _add(squares, rows, gradient * gradient)
        scale = np.sqrt(squares[rows])
        scale += self.epsilon
        gradient /= scale
        gradient *= learning_rate
        _subtract(matrix, rows, gradient)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), bias-corrected: θ ← θ − η·m̂ / (√v̂ + ε).

    Parameters
    ----------
    beta1, beta2 : float
        Decay of the mean and of the uncentred variance of the gradient, at least 0 and below 1.
    epsilon : float
        ε, above 0.
    """

    rows_are_independent: ClassVar[bool] = False
    remembered: ClassVar[int] = 2
    passing: ClassVar[int] = 2

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_number(self, "beta1", at_least=0, below=1)
        check_number(self, "beta2", at_least=0, below=1)
        check_number(self, "epsilon", above=0)

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return moments of zero for every parameter, and the number of steps so far."""
        return {
            "mean": np.zeros_like(matrix),
            "variance": np.zeros_like(matrix),
            "steps": np.zeros((), np.int64),
        }

    def moving_rows(self, rows: Rows) -> Rows:
        """Return the rows that a step changes: all of them, gradient or not."""
        return ALL_ROWS

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Change `matrix` and `state` in place."""
        moving, mean, variance = self.moving_rows(rows), state["mean"], state["variance"]
        state["steps"] += 1
        steps = int(state["steps"])
        _multiply(mean, moving, self.beta1)
        _add(mean, rows, (1 - self.beta1) * gradient)
        gradient *= gradient
        _multiply(variance, moving, self.beta2)
        _add(variance, rows, (1 - self.beta2) * gradient)
        scale = np.sqrt(variance[moving] / (1 - self.beta2**steps))
        scale += self.epsilon
        _subtract(matrix, moving, (learning_rate / (1 - self.beta1**steps)) * mean[moving] / scale)


@dataclass(frozen=True)
class LazyAdam(Adam):
    """Adam that leaves rows without gradient, and their moments, as they are; steps are counted for all."""

    def moving_rows(self, rows: Rows) -> Rows:
        """Return the rows that have a gradient."""
        return rows


def _subtract(matrix: NDArray[Any], rows: Rows, values: NDArray[Any]) -> None:
    if isinstance(rows, slice):  # `matrix[rows] -= values` would copy the slice onto itself as well
        part = matrix[rows]
        part -= values
    else:
        matrix[rows] -= values


def _add(matrix: NDArray[Any], rows: Rows, values: NDArray[Any]) -> None:
    if isinstance(rows, slice):
        np.add(matrix[rows], values, out=matrix[rows])
    else:
        matrix[rows] += values


def _multiply(matrix: NDArray[Any], rows: Rows, factor: float) -> None:
    if isinstance(rows, slice):
        np.multiply(matrix[rows], factor, out=matrix[rows])
    else:
        matrix[rows] *= factor


OPTIMIZERS = {
    "sgd": GradientDescent,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "adam": Adam,
    "lazy_momentum": LazyMomentum,
    "lazy_adam": LazyAdam,
}
