"""The sweeper that searches, as Hydra finds it."""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SearchSweeper(Sweeper):  # type: ignore[misc]
    """Searches as ``conf/hydra/sweeper/optuna.yaml`` says.

    Parameters
    ----------
    params : DictConfig, optional
        What a named sweep searches; the command has put it among the arguments.
    **settings : object
        See `w2v_exp.searching.settings.SearchSettings`.
    """

    def __init__(self, params: DictConfig | None = None, **settings: Any) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what every sweeper is given."""
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search, until there are as many trials as were asked for."""
        from w2v_exp.searching.search import search  # late: Hydra loads this file in every process

        search(self._settings, self._config, self._launcher, arguments)
