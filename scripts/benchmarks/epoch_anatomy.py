"""Where the time of an exact epoch goes."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bar import Bar

PROMISED_SHARE, WISHED_SHARE = 50.0, 70.0  # percent of the machine's rate


@dataclass(frozen=True)
class EpochAnatomy:
    """Where the time of an exact epoch goes.

    Parameters
    ----------
    words : int
        V.
    threads : int
        Of the trainer and of BLAS.
    operations : float
        Floating-point operations of its three products: 6·V²·dim.
    gemm_rates : list of float
        Operations a second of float32 products of square matrices, in each repeat: the mean of several that stand
        before, between and after the other measurements.
    epoch_seconds, product_seconds, exponential_seconds : list of float
        Of the epoch, of its products alone and of its exponentials alone, repeat by repeat.
    """

    words: int
    threads: int
    operations: float
    gemm_rates: list[float]
    epoch_seconds: list[float]
    product_seconds: list[float]
    exponential_seconds: list[float]

    @property
    def share_of_rate(self) -> float:
        """What percentage of the rate of square products the whole epoch reaches: the median over the repeats."""
        return self._percentage(self.epoch_seconds)

    @property
    def products_share_of_rate(self) -> float:
        """What percentage of that rate the products reach by themselves."""
        return self._percentage(self.product_seconds)

    @property
    def rest_seconds(self) -> float:
        """What is neither product nor exponential: labels, gradients' factors, updates."""
        return statistics.median(
            epoch - products - exponentials
            for epoch, products, exponentials in zip(
                self.epoch_seconds, self.product_seconds, self.exponential_seconds, strict=True
            )
        )

    @property
    def bar(self) -> Bar:
        """What is promised of it."""
        cores = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return Bar(
            f"an exact epoch, {cores}: of the rate of square products",
            self.share_of_rate,
            "%",
            PROMISED_SHARE,
            WISHED_SHARE,
            at_most=False,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON has it."""
        shares = {
            "share_of_rate": self.share_of_rate,
            "products_share_of_rate": self.products_share_of_rate,
            "rest_seconds": self.rest_seconds,
        }
        return asdict(self) | shares

    def _percentage(self, all_seconds: list[float]) -> float:
        return 100 * statistics.median(
            self.operations / seconds / rate
            for seconds, rate in zip(all_seconds, self.gemm_rates, strict=True)
        )
