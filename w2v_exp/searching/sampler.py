"""What proposes the next trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from w2v_exp.searching.space import readable


class ReadableSampler(TPESampler):
    """Tree-structured Parzen estimators (Bergstra et al. 2011), whose numbers have no more digits than help.

    Parameters
    ----------
    seed : int
        Of the search.
    place : int
        Of the trial in it, from 0. What is proposed depends on these two and on the trials before only: a search that
        goes on in another process proposes what it would have proposed anyway.
    startup_trials : int
        So many of the first ones are random.
    """

    def __init__(self, seed: int, place: int, startup_trials: int) -> None:
        # Of trials at once, one keeps away from what the others are at (constant_liar).
        super().__init__(
            seed=int(np.random.SeedSequence([seed, place]).generate_state(1)[0]),
            n_startup_trials=startup_trials,
            constant_liar=True,
        )

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values that are drawn together."""
        drawn = super().sample_relative(study, trial, search_space)
        return {name: readable(value, search_space[name]) for name, value in drawn.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value that is drawn by itself, as all are while they are random."""
        drawn = super().sample_independent(study, trial, param_name, param_distribution)
        return readable(drawn, param_distribution)
