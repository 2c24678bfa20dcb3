"""What can be said to each launcher, checked before a sweep begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from w2v_exp.cores import available_cores
from w2v_exp.errors import SettingError, UserError
from w2v_exp.memory import available_memory
from w2v_exp.validation import require_number, require_whole

if TYPE_CHECKING:  # what runs are made of is loaded by sweeps that launch some
    from w2v_exp.launching.engine import Engine
    from w2v_exp.launching.room import Room
    from w2v_exp.launching.task import Task

OURS = "hydra_plugins.w2v_exp_launcher.SweepLauncher"
GROUP = "hydra/launcher"


class Settings(Protocol):
    """What a launcher was told."""

    def require_usable(self) -> None:
        """Refuse a launcher that cannot work here."""

    def engine(self, folder: str, tasks: Sequence[Task]) -> Engine:
        """Return what does these runs of the sweep in a folder."""

    def room(self) -> Room | None:
        """Return how many runs fit at once, or None if the engine knows that."""


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
            require_whole("n_jobs", self.n_jobs, at_least=1)
        if self.memory_gb is not None:
            require_number("memory_gb", self.memory_gb, above=0)

    def room(self) -> Room:
        """Return how many runs fit at once."""
        from w2v_exp.launching.needs import Appraiser
        from w2v_exp.launching.room import Room

        memory = available_memory() if self.memory_gb is None else round(self.memory_gb * 1e9)
        return Room(Appraiser(), available_cores(), memory, self.n_jobs)


@dataclass(frozen=True)
class JoblibSettings(MachineSettings):
    """Runs in processes that stay for the next one."""

    def require_usable(self) -> None:
        """Refuse it where joblib is not installed."""
        _require_package("joblib", "joblib", "joblib")

    def engine(self, folder: str, tasks: Sequence[Task]) -> Engine:
        """Return the processes."""
        from w2v_exp.launching.workers import Workers

        return Workers()


LAUNCHERS: dict[str, type[Settings]] = {"joblib": JoblibSettings}


def make_settings(name: str, settings: Mapping[str, Any]) -> Settings:
    """Return what a launcher was told, checked.

    Raises
    ------
    SettingError
        For the first setting that cannot be used.
    """
    try:
        return LAUNCHERS[name](**settings)
    except SettingError as error:
        raise error.within("hydra.launcher") from None


def require_usable(launcher: Mapping[str, Any]) -> None:
    """Refuse, before anything is done, a launcher of ours that cannot work; those of others are let be.

    Raises
    ------
    UserError
        With what is missing, or wrong, and what to do.
    """
    if launcher["_target_"] == OURS:
        settings = {key: value for key, value in launcher.items() if key not in ("_target_", "name")}
        make_settings(launcher["name"], settings).require_usable()


def _require_package(package: str, name: str, extra: str) -> None:
    if find_spec(package) is None:
        raise UserError(
            f"{GROUP}={name}: needs the package {package}, which is not installed: pip install 'w2v_exp[{extra}]'."
        )
