"""Whether a difference is more than what another seed would have made."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

SURE = 0.95


@dataclass(frozen=True)
class Difference:
    """The difference that a choice makes, over the seeds that it and the settings it is compared with share.

    Parameters
    ----------
    mean : float
        Of the differences, seed by seed.
    deviation : float or None
        Their standard deviation, of a sample; None for a single seed.
    seeds : int
        How many.
    """

    mean: float
    deviation: float | None
    seeds: int

    @classmethod
    def of(
        cls, values: Mapping[int, float | None], reference: Mapping[int, float | None]
    ) -> Difference | None:
        """Return the difference of values by seed from others; None if there is no seed where both are known."""
        pairs = [(values[seed], reference[seed]) for seed in values if seed in reference]
        differences = [value - other for value, other in pairs if value is not None and other is not None]
        if not differences:
            return None
        deviation = statistics.stdev(differences) if len(differences) > 1 else None
        return cls(statistics.fmean(differences), deviation, len(differences))

    @property
    def margin(self) -> float | None:
        """Half the width of the 95 % confidence interval of the mean: Student's t, paired; None for a single seed."""
        if self.deviation is None:
            return None
        from scipy.stats import t

        return float(t.ppf((1 + SURE) / 2, self.seeds - 1)) * self.deviation / math.sqrt(self.seeds)

    @property
    def exceeds_noise(self) -> bool | None:
        """Whether the interval is without 0; None for a single seed, of which nothing can be said."""
        return None if self.margin is None else abs(self.mean) > self.margin
