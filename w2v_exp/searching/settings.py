"""Settings of a search, checked before it starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, get_args

from w2v_exp.errors import (
    SettingError,
    UserError,
    check_whole,
    install_command,
    refuse_secret,
    require_choice,
    suggestion,
)
from w2v_exp.machine import MOST_CORES
from w2v_exp.metrics import Direction, logged_metrics
from w2v_exp.plan import MOST_RUNS, Plan

OURS = "w2v_exp.searching.search.run_search"
GROUP = "hydra/sweeper"
KEY = "hydra.sweeper"


@dataclass(frozen=True)
class SearchSettings:
    """Metric, number of trials, sampler and study of a search.

    Parameters
    ----------
    metric : str
        Target metric, any that a run logs.
    direction : str, optional
        ``minimize`` or ``maximize``; None: the better direction of the metric.
    n_trials : int
        Total number of trials, earlier ones included.
    n_jobs : int
        Number of simultaneous trials.
    startup_trials : int
        Number of random trials before the TPE sampler starts.
    seed : int
        Seed of the sampler.
    study_name : str, optional
        Name of the study, and of its folder; None: that of the sweep's folder.
    storage : str, optional
        Database URL of the study; None: a file in the sweep's folder.

    Raises
    ------
    SettingError
        For the first invalid setting.
    """

    metric: str = "cost"
    direction: Direction | None = None
    n_trials: int = 20
    n_jobs: int = 1
    startup_trials: int = 10
    seed: int = 0
    study_name: str | None = None
    storage: str | None = None

    def __post_init__(self) -> None:
        check_whole(self, "n_trials", at_least=1, at_most=MOST_RUNS)
        check_whole(self, "n_jobs", at_least=1, at_most=MOST_CORES)
        check_whole(self, "startup_trials", "seed", at_least=0)
        if self.direction is not None:
            require_choice("direction", self.direction, get_args(Direction))
        if self.storage is not None:
            refuse_secret("storage", self.storage, "Remove it and set PGPASSWORD, or use ~/.pgpass.")
        if self.study_name is not None and not re.fullmatch(r"\w[\w.-]*", str(self.study_name)):
            raise SettingError(
                "study_name",
                self.study_name,
                "must be the name of a folder: letters, digits, _, - and . (not as the first character).",
            )

    def direction_for(self, plan: Plan) -> Direction:
        """Return the direction of the search, from the metrics that runs of this plan log.

        Raises
        ------
        SettingError
            If runs of this plan do not log the metric.
        """
        known = logged_metrics(plan)
        if self.metric not in known:
            raise SettingError(
                f"{KEY}.metric",
                self.metric,
                f"is not logged by these runs{suggestion(self.metric, known)} They log: {', '.join(known)}.",
            )
        return self.direction or known[self.metric]


def read_settings(sweeper: Mapping[str, Any]) -> SearchSettings:
    """Return the checked settings of a search, from ``hydra.sweeper``.

    Raises
    ------
    SettingError
        For the first invalid setting.
    """
    try:
        return SearchSettings(
            **{key: value for key, value in sweeper.items() if key not in ("_target_", "params")}
        )
    except SettingError as error:
        raise error.within(KEY) from None


def is_search(sweeper: Mapping[str, Any]) -> bool:
    """Return whether ``hydra.sweeper`` is that of a search."""
    return sweeper.get("_target_") == OURS


def require_optuna() -> None:
    """Raise `UserError` if Optuna is not installed."""
    if find_spec("optuna") is None:
        raise UserError(
            f"{GROUP}=optuna: needs the package optuna, which is not installed: {install_command('search')}"
        )
