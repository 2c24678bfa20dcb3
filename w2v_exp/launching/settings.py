"""Settings of each launcher, checked before a sweep starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which
from typing import Any

from w2v_exp.errors import SettingError, UserError, check_number, check_whole, install_command
from w2v_exp.machine import MOST_CORES

OURS = "w2v_exp.launching.launch.launch_runs"
GROUP = "hydra/launcher"
MOST_OF_SLURM = 1_000_000  # minutes, runs, seconds or cores
EARLIER_SECONDS = 60  # by which Slurm may send the signal too early


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
        _require_package("joblib", "joblib", "joblib")


@dataclass(frozen=True)
class SlurmSettings:
    """One job of a Slurm cluster per run.

    Parameters
    ----------
    timeout_min : int
        Time limit of a run, in minutes.
    mem_gb : float, optional
        Memory of a run, in units of 2³⁰ bytes; None: the largest estimate among the sweep's runs.
    cpus_per_task : int, optional
        Cores of a run; None: the largest ``threads × workers`` of the sweep.
    array_parallelism : int
        Largest number of simultaneous runs.
    partition, account, qos, constraint : str, optional
        Passed to ``sbatch``.
    signal_delay_s : int
        Seconds before the time limit at which a run receives the signal to stop and save its results. Slurm may send
        it up to a minute earlier.
    setup : list of str, optional
        Shell commands before a run, such as ``module load``.
    additional_parameters : dict, optional
        Further options of ``sbatch``, by the names of its flags.
    """

    timeout_min: int = 60
    mem_gb: float | None = None
    cpus_per_task: int | None = None
    array_parallelism: int = 256
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    signal_delay_s: int = 120
    setup: list[str] | None = None
    additional_parameters: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_whole(
            self, "timeout_min", "array_parallelism", "signal_delay_s", at_least=1, at_most=MOST_OF_SLURM
        )
        if self.cpus_per_task is not None:
            check_whole(self, "cpus_per_task", at_least=1, at_most=MOST_OF_SLURM)
        if self.mem_gb is not None:
            check_number(self, "mem_gb", above=0, at_most=1e9)
        if self.signal_delay_s + EARLIER_SECONDS >= 60 * self.timeout_min:
            raise SettingError(
                "signal_delay_s",
                self.signal_delay_s,
                "a run would receive the signal to stop before it starts; must be below "
                f"60 × timeout_min - {EARLIER_SECONDS}, here {60 * self.timeout_min - EARLIER_SECONDS}.",
            )
        if isinstance(self.setup, str):
            raise SettingError(
                "setup", self.setup, "must be a list of commands, such as [module load python]."
            )

    def require_usable(self) -> None:
        """Raise `UserError` if submitit or Slurm's commands are missing."""
        _require_package("submitit", "submitit_slurm", "submitit")
        if which("sbatch") is None:
            raise UserError(
                f"{GROUP}=submitit_slurm: this machine has no sbatch. Use one that submits jobs to Slurm, or set "
                f"{GROUP}=joblib."
            )


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


def _require_package(package: str, name: str, extra: str) -> None:
    if find_spec(package) is None:
        raise UserError(
            f"{GROUP}={name}: needs the package {package}, which is not installed: {install_command(extra)}"
        )
