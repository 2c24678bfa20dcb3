"""Optimizers: updates of a matrix by a gradient.

A gradient is given for some rows of a matrix, each row once (the gradients of a word that repeats in a batch are summed
before). The other rows have gradient zero, and every optimizer treats them as its dense textbook version does: with
momentum they keep moving. The ``lazy_`` variants leave them as they are.

An optimizer is a frozen description; its arrays for a matrix are a state, made by `initial_state`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import check_number

State = dict[str, NDArray[Any]]
Rows = slice | NDArray[np.integer[Any]]
ALL_ROWS = slice(None)


class Optimizer(Protocol):
    """A rule that updates a matrix by a gradient."""

    @property
    def rows_are_independent(self) -> bool:
        """Whether the rows of a dense gradient may be updated in several calls."""

    @property
    def is_plain(self) -> bool:
        """Whether an update is the gradient times the rate, as for blocks."""

    @property
    def state_matrices(self) -> int:
        """Number of arrays of the matrix's shape in the state."""

    @property
    def temporary_matrices(self) -> int:
        """Number of temporary arrays of the updated rows' shape during an update."""

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return the state for a matrix before its first step."""

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Update `matrix` and `state` in place.

        May overwrite `gradient`, shape (len(rows), dim).
        """


@dataclass(frozen=True)
class GradientDescent:
    """Stochastic gradient descent: θ ← θ − η·g."""

    rows_are_independent: ClassVar[bool] = True
    is_plain: ClassVar[bool] = True
    state_matrices: ClassVar[int] = 0
    temporary_matrices: ClassVar[int] = 1

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return an empty state."""
        return {}

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Update `matrix` in place."""
        gradient *= learning_rate
        _apply(np.subtract, matrix, rows, gradient)


@dataclass(frozen=True)
class Momentum:
    """Heavy ball (Polyak 1964): v ← μ·v + g, θ ← θ − η·v.

    Parameters
    ----------
    momentum : float
        μ, at least 0 and below 1.
    """

    rows_are_independent: ClassVar[bool] = False
    is_plain: ClassVar[bool] = False
    state_matrices: ClassVar[int] = 1
    temporary_matrices: ClassVar[int] = 1

    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_number(self, "momentum", at_least=0, below=1)

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return a velocity of zero for every parameter."""
        return {"velocity": np.zeros_like(matrix)}

    def moving_rows(self, rows: Rows) -> Rows:
        """Return the rows that a step changes: all of them."""
        return ALL_ROWS

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Update `matrix` and `state` in place."""
        moving, velocity = self.moving_rows(rows), state["velocity"]
        _apply(np.multiply, velocity, moving, self.momentum)
        _apply(np.add, velocity, rows, gradient)
        _apply(np.subtract, matrix, moving, learning_rate * velocity[moving])


@dataclass(frozen=True)
class LazyMomentum(Momentum):
    """Momentum that leaves rows without gradient and their velocity unchanged."""

    def moving_rows(self, rows: Rows) -> Rows:
        """Return the rows that have a gradient."""
        return rows


@dataclass(frozen=True)
class Adagrad:
    """Adagrad (Duchi et al. 2011): s ← s + g², θ ← θ − η·g / (√s + ε).

    Rows without gradient do not change.

    Parameters
    ----------
    epsilon : float
        ε, above 0.
    """

    rows_are_independent: ClassVar[bool] = True
    is_plain: ClassVar[bool] = False
    state_matrices: ClassVar[int] = 1
    temporary_matrices: ClassVar[int] = 2

    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_number(self, "epsilon", above=0)

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return sums of zero for every parameter."""
        return {"squares": np.zeros_like(matrix)}

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Update `matrix` and `state` in place."""
        squares = state["squares"]
        _apply(np.add, squares, rows, gradient * gradient)
        scale = np.sqrt(squares[rows])
        scale += self.epsilon
        gradient /= scale
        gradient *= learning_rate
        _apply(np.subtract, matrix, rows, gradient)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1): θ ← θ − η·m̂ / (√v̂ + ε).

    m̂ and v̂ are corrected for bias.

    Parameters
    ----------
    beta1, beta2 : float
        Decay of the first and second moment of the gradient, at least 0 and below 1.
    epsilon : float
        ε, above 0.
    """

    rows_are_independent: ClassVar[bool] = False
    is_plain: ClassVar[bool] = False
    state_matrices: ClassVar[int] = 2
    temporary_matrices: ClassVar[int] = 2

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_number(self, "beta1", at_least=0, below=1)
        check_number(self, "beta2", at_least=0, below=1)
        check_number(self, "epsilon", above=0)

    def initial_state(self, matrix: NDArray[Any]) -> State:
        """Return moments of zero for every parameter, and a step count of 0."""
        return {
            "mean": np.zeros_like(matrix),
            "variance": np.zeros_like(matrix),
            "steps": np.zeros((), np.int64),
        }

    def moving_rows(self, rows: Rows) -> Rows:
        """Return the rows that a step changes: all of them."""
        return ALL_ROWS

    def update(
        self, matrix: NDArray[Any], state: State, rows: Rows, gradient: NDArray[Any], learning_rate: float
    ) -> None:
        """Update `matrix` and `state` in place."""
        moving, mean, variance = self.moving_rows(rows), state["mean"], state["variance"]
        state["steps"] += 1
        steps = int(state["steps"])
        _apply(np.multiply, mean, moving, self.beta1)
        _apply(np.add, mean, rows, (1 - self.beta1) * gradient)
        gradient *= gradient
        _apply(np.multiply, variance, moving, self.beta2)
        _apply(np.add, variance, rows, (1 - self.beta2) * gradient)
        scale = np.sqrt(variance[moving] / (1 - self.beta2**steps))
        scale += self.epsilon
        _apply(np.subtract, matrix, moving, (learning_rate / (1 - self.beta1**steps)) * mean[moving] / scale)


@dataclass(frozen=True)
class LazyAdam(Adam):
    """Adam that leaves rows without gradient and their moments unchanged.

    The step count of the bias correction is that of the matrix, not of each row.
    """

    def moving_rows(self, rows: Rows) -> Rows:
        """Return the rows that have a gradient."""
        return rows


def _apply(operation: np.ufunc, matrix: NDArray[Any], rows: Rows, values: NDArray[Any] | float) -> None:
    """Replace ``matrix[rows]`` by ``operation(matrix[rows], values)``."""
    part = matrix[rows]  # a view for a slice, else a copy
    operation(part, values, part)
    if not isinstance(rows, slice):
        matrix[rows] = part


OPTIMIZERS = {
    "sgd": GradientDescent,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "adam": Adam,
    "lazy_momentum": LazyMomentum,
    "lazy_adam": LazyAdam,
}
