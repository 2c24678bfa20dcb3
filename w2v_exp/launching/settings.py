"""Settings of each launcher, checked before a sweep starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from w2v_exp.errors import SettingError, UserError, check_number, check_whole, install_command
from w2v_exp.machine import MOST_CORES
from w2v_exp.slurm import JobSettings, require_slurm

OURS = "w2v_exp.launching.launch.launch_runs"
GROUP = "hydra/launcher"


@dataclass(frozen=True)
class JoblibSettings:
    """Simultaneous runs in worker processes of this machine.

    Parameters
    ----------
    n_jobs : int, optional
        Number of simultaneous runs; None: limited by the cores, at ``threads × workers`` each.
    memory_gb : float, optional
        Memory of all simultaneous runs, in units of 10⁹ bytes; None: the available memory.
    """

    n_jobs: int | None = None
    memory_gb: float | None = None

    def __post_init__(self) -> None:
        if self.n_jobs is not None:
            check_whole(self, "n_jobs", at_least=1, at_most=MOST_CORES)
        if self.memory_gb is not None:
            check_number(self, "memory_gb", above=0, at_most=1e9)

    def require_usable(self) -> None:
        """Raise `UserError` if joblib is not installed."""
        if find_spec("joblib") is None:
            raise UserError(
                f"{GROUP}=joblib: needs the package joblib, which is not installed: {install_command('joblib')}"
            )


@dataclass(frozen=True)
class SlurmSettings(JobSettings):
    """One job of a Slurm cluster per run.

    Without a setting, the memory of a job is the largest estimate among the sweep's runs, and its cores are the largest
    ``threads × workers``.
    """

    def require_usable(self) -> None:
        """Raise `UserError` if submitit or Slurm's commands are missing."""
        require_slurm(f"{GROUP}=submitit_slurm", f"{GROUP}=joblib")


Settings = JoblibSettings | SlurmSettings
LAUNCHERS: dict[str, type[Settings]] = {"joblib": JoblibSettings, "submitit_slurm": SlurmSettings}


def is_ours(launcher: Mapping[str, Any]) -> bool:
    """Return whether ``hydra.launcher`` is one of `LAUNCHERS`."""
    return launcher.get("_target_") == OURS


def read_settings(launcher: Mapping[str, Any]) -> Settings:
    """Return the checked settings of one of `LAUNCHERS`, from ``hydra.launcher``.

    Raises
    ------
    SettingError
        For the first invalid setting.
    """
    settings = {key: value for key, value in launcher.items() if key not in ("_target_", "name")}
    try:
        return LAUNCHERS[launcher["name"]](**settings)
    except SettingError as error:
        raise error.within("hydra.launcher") from None
