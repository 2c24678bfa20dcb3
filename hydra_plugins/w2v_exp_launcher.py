"""The launcher as Hydra finds it: in a package of this name, which has no ``__init__.py`` because plugins share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SweepLauncher(Launcher):  # type: ignore[misc]
    """Spreads the runs of a sweep as the options in ``conf/hydra/launcher`` say.

    Parameters
    ----------
    name : str
        Of the option; see `w2v_exp.launching.settings.LAUNCHERS`.
    **settings : object
        What it is told.
    """

    def __init__(self, name: str, **settings: Any) -> None:
        self._name, self._settings = name, settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what every launcher is given."""
        self._config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Do these runs, and return what Hydra wants of each."""
        from w2v_exp.launching.launch import launch  # late: Hydra loads this file in every process

        return launch(self._name, self._settings, self._config, job_overrides, initial_job_idx)
