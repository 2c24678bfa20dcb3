"""What the machine can do, and how near a step comes to it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from threadpoolctl import threadpool_limits

from benchmarks.sizes import Size
from benchmarks.steps import DEFAULT, real_training
from benchmarks.timing import alternate
from benchmarks.training import DIM
from w2v_exp.model.softmax import transposed_product

DTYPES: tuple[type[np.floating[Any]], ...] = (np.float64, np.float32)


@dataclass(frozen=True)
class Anatomy:
    """Where the time of a step at a real vocabulary goes, and what the machine would need at its best.

    Parameters
    ----------
    dtype : str
        Of the parameters.
    threads : int
        Of BLAS.
    distinct_centres : float
        k, the mean over the batches.
    gemm_rate : float
        10⁹ floating-point operations a second of a product of square matrices, the machine's best.
    exponential_rate : float
        10⁹ exponentials a second, in place, in cache.
    copy_rate : float
        10⁹ bytes read and written a second by copying large arrays.
    step_seconds : float
        A whole step, batch and update included.
    product_seconds : float
        Its three products alone.
    product_operations : float
        Floating-point operations of these.
    floor_seconds : float
        These operations at the best rate, and the exponentials at theirs: what no code of this kind beats.
    traffic_seconds : float
        What moving the output weights, their gradient and the logits would take at the copying rate, were they
        in memory and not in a cache: 8 passes over a (V, dim) and 10 over a (k, V) matrix.
    """

    dtype: str
    threads: int
    distinct_centres: float
    gemm_rate: float
    exponential_rate: float
    copy_rate: float
    step_seconds: float
    product_seconds: float
    product_operations: float
    floor_seconds: float
    traffic_seconds: float

    @property
    def product_share(self) -> float:
        """The share of the step that is spent in the products."""
        return self.product_seconds / self.step_seconds

    @property
    def product_rate(self) -> float:
        """10⁹ floating-point operations a second of the products as they are: narrow."""
        return self.product_operations / self.product_seconds / 1e9

    @property
    def floor_share(self) -> float:
        """How near the step comes to the floor: 1 is there."""
        return self.floor_seconds / self.step_seconds

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON has it."""
        shares = {"product_share": self.product_share, "floor_share": self.floor_share}
        return asdict(self) | shares | {"product_rate": self.product_rate}


def anatomy(size: Size, threads: int) -> list[Anatomy]:
    """Measure rates of the machine, and a step beside its products, in both precisions."""
    with threadpool_limits(threads, "blas"):
        return [_anatomy_of(dtype, size, threads) for dtype in DTYPES]


def _anatomy_of(dtype: type[np.floating[Any]], size: Size, threads: int) -> Anatomy:
    training = real_training(size)
    trainer = training.trainer(DEFAULT, dtype=dtype)
    centres = [batch.centres for batch in trainer.examples.batches(trainer.generator)]
    parameters = training.parameters(dtype)
    V = training.pairs.vocabulary_size

    def products() -> None:
        for batch in centres:
            hidden = parameters.embedding[batch]
            scores = hidden.dot(parameters.output.T)
            scores.dot(parameters.output)
            transposed_product(scores, hidden)

    def steps() -> Callable[[], object]:
        return training.ours(DEFAULT, dtype=dtype)

    gemm, exponentials, copy = machine_rates(dtype, size, threads)
    step_seconds, product_seconds = (
        statistics.median(seconds) / size.steps
        for seconds in alternate([steps, lambda: products], size.repeats, threads)
    )
    k = statistics.fmean(len(batch) for batch in centres)
    operations = 3 * 2 * k * V * DIM
    floor = operations / (gemm * 1e9) + k * V / (exponentials * 1e9)
    traffic = (8 * V * DIM + 10 * k * V) * np.dtype(dtype).itemsize / (copy * 1e9)
    return Anatomy(
        np.dtype(dtype).name,
        threads,
        k,
        gemm,
        exponentials,
        copy,
        step_seconds,
        product_seconds,
        operations,
        floor,
        traffic,
    )


def machine_rates(dtype: DTypeLike, size: Size, threads: int) -> tuple[float, float, float]:
    """Return 10⁹ operations of square products, exponentials and bytes copied, each a second, at best."""
    side, length = (1024, 32 << 20) if size.steps > 2 else (64, 1 << 16)
    square, product = np.ones((side, side), dtype), np.empty((side, side), dtype)
    numbers = np.linspace(-20, 0, 1 << 14).astype(dtype)
    exponentials = np.empty_like(numbers)
    source, target = (
        np.ones(length // np.dtype(dtype).itemsize, dtype),
        np.empty(length // np.dtype(dtype).itemsize, dtype),
    )

    def exponentiate() -> None:
        for _ in range(100):
            np.exp(numbers, out=exponentials)

    works: list[Callable[[], object]] = [
        lambda: np.matmul(square, square, out=product),
        exponentiate,
        lambda: np.copyto(target, source),
    ]
    amounts = [2 * side**3, 100 * len(numbers), 2 * length]
    kinds = [partial(lambda work: work, work) for work in works]
    taken = alternate(kinds, 2 * size.repeats, threads)
    gemm, exponential, copy = (
        amount / min(seconds) / 1e9 for amount, seconds in zip(amounts, taken, strict=True)
    )
    return gemm, exponential, copy
