"""The space of a search, and the sampler that proposes its next point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from w2v_exp.config import swept_values
from w2v_exp.errors import UserError

DIGITS = 4  # of a value from an interval: precise enough for a search, and readable
INNER = 0.382  # position of a sample value between the ends of an interval


@dataclass(frozen=True)
class Space:
    """The searched keys.

    Parameters
    ----------
    texts : dict of str to str
        The value of each key in Hydra's syntax, such as ``choice(10,50)``.
    distributions : dict of str to BaseDistribution
        The same as distributions of Optuna.
    """

    texts: dict[str, str]
    distributions: dict[str, BaseDistribution]

    @classmethod
    def of(cls, overrides: Mapping[str, Override]) -> Space:
        """Return the space of swept keys.

        Raises
        ------
        UserError
            If there are none, or for the first that has no distribution.
        """
        if not overrides:
            raise UserError(
                "hydra/sweeper=optuna: needs a search space. Add keys with choice(…), range(…) or "
                "interval(…), such as 'learning_rate=tag(log, interval(0.001,1))'."
            )
        texts = {key: str(override.input_line).split("=", 1)[1] for key, override in overrides.items()}
        return cls(texts, {key: _distribution(override) for key, override in overrides.items()})

    def sample_values(self) -> dict[str, list[str]]:
        """Return values that validate each key: all choices, or both ends of a range of numbers and one between."""
        return {key: _sample_values(distribution) for key, distribution in self.distributions.items()}

    def hint(self, key: str) -> str:
        """Return the syntax for whole numbers, for a message about a key that was given an interval."""
        distribution = self.distributions[key]
        if not isinstance(distribution, FloatDistribution) or distribution.step is not None:
            return ""
        return f" For whole numbers write int({self.texts[key]})."

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """Return the overrides of a trial's run."""
        return [f"{key}={as_text(params[key])}" for key in self.distributions]


def as_text(value: Any) -> str:
    """Return a trial's value as text of the command line."""
    return value if isinstance(value, str) else repr(value)


def readable(value: Any, distribution: BaseDistribution) -> Any:
    """Return a number from an interval, rounded to `DIGITS` digits of its range; other values unchanged.

    >>> readable(0.0123456789, FloatDistribution(0.001, 1, log=True))
    0.01235
    >>> readable(0.30000000000000004, FloatDistribution(0.1, 0.9, step=0.1))
    0.3
    """
    if not isinstance(distribution, FloatDistribution):
        return value
    low, high = distribution.low, distribution.high
    if low == high:
        return low
    if distribution.step is not None:
        decimals = max(-_exponent(number) for number in (low, distribution.step))
    else:
        scale = min(value, high - low) if distribution.log else high - low
        decimals = DIGITS - 1 - math.floor(math.log10(scale))
    return min(max(round(value, decimals), low), high)


def _exponent(number: float) -> int:
    exponent = Decimal(repr(number)).as_tuple().exponent
    assert isinstance(exponent, int)  # a finite number
    return exponent


def _distribution(override: Override) -> BaseDistribution:
    value = override.value()
    tags = set(getattr(value, "tags", ()))
    logarithmic = "log" in tags
    if tags - {"log"}:
        raise _problem(
            override, f"tag {', '.join(sorted(tags - {'log'}))}: not supported; the only tag is log"
        )
    if isinstance(value, IntervalSweep):
        return _interval(override, value, logarithmic)
    if isinstance(value, RangeSweep):
        return _range(override, value, logarithmic)
    if logarithmic:
        raise _problem(override, "the tag log needs an interval or a range")
    return CategoricalDistribution(list(dict.fromkeys(swept_values(override))))


def _interval(override: Override, value: IntervalSweep, logarithmic: bool) -> BaseDistribution:
    low, high = value.start, value.end
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise _problem(override, "the end of an interval must be above its start")
    if logarithmic and low <= 0:
        raise _problem(override, "an interval with the tag log must start above 0")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=logarithmic)
    return FloatDistribution(low, high, log=logarithmic)


def _range(override: Override, value: RangeSweep, logarithmic: bool) -> BaseDistribution:
    step = abs(value.step)
    count = (
        math.ceil((Decimal(str(value.stop)) - Decimal(str(value.start))) / Decimal(str(value.step)))
        if step
        else 0
    )
    if count < 1:
        raise _problem(override, "the range is empty")
    last = Decimal(str(value.start)) + (count - 1) * Decimal(str(value.step))
    low, high = sorted((Decimal(str(value.start)), last))
    if logarithmic and (step != 1 or low < 1):
        raise _problem(override, "a range with the tag log must start at 1 or above, with step 1")
    if all(isinstance(number, int) for number in (value.start, value.step)):
        return IntDistribution(int(low), int(high), log=logarithmic, step=int(step))
    return FloatDistribution(float(low), float(high), step=float(step))


def _problem(override: Override, problem: str) -> UserError:
    return UserError(f"{override.input_line}: {problem}.")


def _sample_values(distribution: BaseDistribution) -> list[str]:
    if isinstance(distribution, CategoricalDistribution):
        return [str(choice) for choice in distribution.choices]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution) or distribution.step is not None:
        return [as_text(number) for number in dict.fromkeys((low, high))]
    return [as_text(number) for number in (low, readable(low + INNER * (high - low), distribution), high)]


class ReadableSampler(TPESampler):
    """Tree-structured Parzen estimators (Bergstra et al. 2011) with values of few digits.

    Parameters
    ----------
    seed : int
        Seed of the search.
    number : int
        Number of the trial, from 0. Its values depend on the seed, this number and the earlier trials only, so a
        resumed search proposes the same values as an uninterrupted one.
    startup_trials : int
        Number of random trials at the start.
    """

    def __init__(self, seed: int, number: int, startup_trials: int) -> None:
        # constant_liar: simultaneous trials keep a distance from one another.
        super().__init__(
            seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]),
            n_startup_trials=startup_trials,
            constant_liar=True,
        )

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values that are sampled jointly."""
        drawn = super().sample_relative(study, trial, search_space)
        return {name: readable(value, search_space[name]) for name, value in drawn.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value that is sampled independently, as in the random trials."""
        drawn = super().sample_independent(study, trial, param_name, param_distribution)
        return readable(drawn, param_distribution)
