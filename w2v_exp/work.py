"""Work: what training does, in operations that take known times on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

REPEATS = 3  # of which the fastest counts: others were interrupted
CENTRES, WORDS = 64, 2048  # of the measured product
STACK = 32  # matrices of 32 × 32 scores
PASSED = 1 << 20  # numbers of the measured passes: more than the second-level cache holds
SORTED = 1 << 14


@dataclass(frozen=True)
class Work:
    """Operations, by what limits their speed.

    Parameters
    ----------
    products : float
        Floating-point operations in products of large matrices.
    stacked_products : float
        Floating-point operations in stacks of small matrices.
    exponentials : float
        Numbers whose exponential or logarithm is taken.
    passed : float
        Numbers that are read and written by simple arithmetic, each time they are.
    gathered : float
        Numbers that are sorted, or fetched from or put in arbitrary places.
    calls : float
        Calls of NumPy, each of which takes a microsecond whatever it does.
    """

    products: float = 0.0
    stacked_products: float = 0.0
    exponentials: float = 0.0
    passed: float = 0.0
    gathered: float = 0.0
    calls: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, times: float) -> Work:
        return Work(*(number * times for number in astuple(self)))

    def seconds(self, rates: Rates) -> float:
        """Return how long this takes on one core."""
        products = (number * rate for number, rate in zip(astuple(self), astuple(rates), strict=True))
        return float(sum(products))


@dataclass(frozen=True)
class Rates:
    """Seconds for one of each kind of operation of `Work`."""

    products: float
    stacked_products: float
    exponentials: float
    passed: float
    gathered: float
    calls: float


@cache
def measure_rates(dtype: str, dim: int) -> Rates:
    """Measure the rates of one core in some 30 milliseconds, with matrices of `dim` columns."""
    generator = np.random.default_rng(0)
    dim = min(dim, 1000)

    def numbers(*shape: int) -> NDArray[Any]:
        return generator.random(shape).astype(dtype)

    hidden, output, table = numbers(CENTRES, dim), numbers(WORDS, dim), numbers(CENTRES, WORDS)
    several, others = numbers(STACK, 32, dim), numbers(STACK, 32, dim).transpose(0, 2, 1)
    values, again = numbers(PASSED), numbers(PASSED)
    few = numbers(16)
    places = generator.integers(WORDS, size=SORTED)

    def product() -> None:
        hidden.dot(output.T, table)
        table.dot(output)
        table.T.dot(hidden)

    def call() -> None:
        for _ in range(100):
            np.add(few, few, out=few)

    few.fill(0)
    with threadpool_limits(1, "blas"):
        return Rates(
            products=_fastest(product) / (6 * CENTRES * WORDS * dim),
            stacked_products=_fastest(lambda: np.matmul(several, others)) / (2 * STACK * 32 * 32 * dim),
            exponentials=_fastest(lambda: np.exp(values, out=again)) / PASSED,
            passed=_fastest(lambda: np.multiply(values, again, out=again)) / PASSED,
            gathered=_fastest(lambda: np.sort(places)) / SORTED,
            calls=_fastest(call) / 100,
        )


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS + 1):  # the first one also finds its memory
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return min(seconds[1:])
