"""Settings of each launcher, checked before a sweep begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which
from typing import Any

from w2v_exp.errors import SettingError, UserError, check_number, check_whole, install_command
from w2v_exp.machine import MOST_CORES

OURS = "w2v_exp.launching.launch.SweepLauncher"
GROUP = "hydra/launcher"
LARGEST_OF_SLURM = 1_000_000  # minutes, runs, seconds or cores
EARLIER_SECONDS = 60  # so much sooner than it was told, Slurm may send a signal


@dataclass(frozen=True)
class MachineSettings:
    """Runs at once on this machine.

    Parameters
    ----------
    n_jobs : int, optional
        So many at most; None takes as many as keep the cores busy with their threads and workers.
    memory_gb : float, optional
        What they may take together, in units of 10⁹ bytes; None takes what is available.
    """

    n_jobs: int | None = None
    memory_gb: float | None = None

    def __post_init__(self) -> None:
        if self.n_jobs is not None:
            check_whole(self, "n_jobs", at_least=1, at_most=MOST_CORES)
        if self.memory_gb is not None:
            check_number(self, "memory_gb", above=0, at_most=1e9)


@dataclass(frozen=True)
class JoblibSettings(MachineSettings):
    """Runs in processes that stay for the next one."""

    def require_usable(self) -> None:
        """Refuse it where joblib is not installed."""
        _require_package("joblib", "joblib", "joblib")


@dataclass(frozen=True)
class LocalSettings(MachineSettings):
    """Each run in a process of its own, as on a cluster."""

    def require_usable(self) -> None:
        """Refuse it where submitit is not installed."""
        _require_package("submitit", "submitit_local", "submitit")


@dataclass(frozen=True)
class SlurmSettings:
    """Each run as a job of a Slurm cluster.

    Parameters
    ----------
    timeout_min : int
        Minutes that a run may take; it is asked to end `signal_delay_s` before, or up to a minute sooner.
    mem_gb : float, optional
        Memory of a run, in units of 2³⁰ bytes; None takes the largest estimate of the sweep's runs.
    cpus_per_task : int, optional
        Cores of a run; None takes the most that a run keeps busy with its threads and workers.
    array_parallelism : int
        Runs at once, at most.
    partition, account, qos, constraint : str, optional
        As Slurm has them.
    signal_delay_s : int
        Seconds that a run has to write down what there is, before its time is over.
    setup : list of str, optional
        Commands of the shell before a run, such as ``module load``.
    additional_parameters : dict, optional
        Whatever else ``sbatch`` knows, by the names of its flags.
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
            self, "timeout_min", "array_parallelism", "signal_delay_s", at_least=1, at_most=LARGEST_OF_SLURM
        )
        if self.cpus_per_task is not None:
            check_whole(self, "cpus_per_task", at_least=1, at_most=LARGEST_OF_SLURM)
        if self.mem_gb is not None:
            check_number(self, "mem_gb", above=0, at_most=1e9)
        if self.signal_delay_s + EARLIER_SECONDS >= 60 * self.timeout_min:
            raise SettingError(
                "signal_delay_s",
                self.signal_delay_s,
                f"a run would be asked to end before it has begun, for Slurm may ask a minute early; must be below "
                f"60 × timeout_min - {EARLIER_SECONDS}, here {60 * self.timeout_min - EARLIER_SECONDS}.",
            )
        if isinstance(self.setup, str):
            raise SettingError(
                "setup", self.setup, "must be a list of commands, such as [module load python]."
            )

    def require_usable(self) -> None:
        """Refuse it where submitit or Slurm's commands are missing."""
        _require_package("submitit", "submitit_slurm", "submitit")
        if which("sbatch") is None:
            raise UserError(
                f"{GROUP}=submitit_slurm: there is no sbatch on this machine; start the sweep on one that submits to "
                f"Slurm, or spread it here with {GROUP}=joblib."
            )


Settings = JoblibSettings | LocalSettings | SlurmSettings
LAUNCHERS: dict[str, type[Settings]] = {
    "joblib": JoblibSettings,
    "submitit_local": LocalSettings,
    "submitit_slurm": SlurmSettings,
}


def make_settings(name: str, settings: Mapping[str, Any]) -> Settings:
    """Return the settings of a launcher, checked.

    Raises
    ------
    SettingError
        For the first setting that cannot be used.
    """
    try:
        return LAUNCHERS[name](**settings)
    except SettingError as error:
        raise error.within("hydra.launcher") from None


def is_ours(launcher: Mapping[str, Any]) -> bool:
    """Return whether a launcher, ``hydra.launcher``, is one of ours."""
    return launcher.get("_target_") == OURS


def require_usable(launcher: Mapping[str, Any]) -> None:
    """Refuse, before anything is done, a launcher of ours that cannot work; those of others are let be.

    Raises
    ------
    UserError
        With what is missing, or wrong, and what to do.
    """
    if is_ours(launcher):
        settings = {key: value for key, value in launcher.items() if key not in ("_target_", "name")}
        make_settings(launcher["name"], settings).require_usable()


def _require_package(package: str, name: str, extra: str) -> None:
    if find_spec(package) is None:
        raise UserError(
            f"{GROUP}={name}: needs the package {package}, which is not installed: {install_command(extra)}"
        )
