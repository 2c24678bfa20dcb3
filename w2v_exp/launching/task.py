"""One run of a sweep, as it is sent to the process that does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobStatus, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from w2v_exp.config import Sources, plan_of, register_schema, without_hydra
from w2v_exp.experiment.identity import Identity
from w2v_exp.launching.output import output_to
from w2v_exp.plan import Plan


class Task(NamedTuple):
    """A run of a sweep: a few words, from which any process makes the same configuration.

    Parameters
    ----------
    number : int
        Of the run in its sweep, from 0.
    overrides : tuple of str
        What makes its configuration, Hydra's own part included.
    sources : Sources
        Where its options are; by absolute paths.
    """

    number: int
    overrides: tuple[str, ...]
    sources: Sources

    @classmethod
    def of_sweep(cls, sweep: DictConfig, sources: Sources, number: int, overrides: Sequence[str]) -> Task:
        """Return a run of the sweep that Hydra has composed."""
        return cls(number, tuple(map(str, [*sweep.hydra.overrides.hydra, *overrides])), sources)

    def composed(self) -> DictConfig:
        """Return the run's configuration, as Hydra's own launcher would make it."""
        config = self.sources.compose(self.overrides)
        with read_write(config.hydra.job), open_dict(config.hydra.job):
            config.hydra.job.num = self.number
            config.hydra.job.id = str(self.number)
        return config


def task_plan(task: Task) -> Plan:
    """Return the plan of a run, checked."""
    return plan_of(task.composed())


def task_identity(config: DictConfig) -> Identity:
    """Return who the run of a composed configuration is, without beginning it."""
    folder = Path(config.hydra.sweep.dir) / str(OmegaConf.select(config, "hydra.sweep.subdir"))
    return Identity.of_job(without_hydra(config), config.hydra, folder.absolute())


def perform(task: Task) -> None:
    """Do a run, in whatever process: its result is in its folder then, and in its store."""
    _perform(task, _composed_here(task))


def perform_quietly(task: Task) -> None:
    """Do a run whose words go to a file in its folder, for several runs would talk at the same time."""
    config = _composed_here(task)
    with output_to(task_identity(config).folder):
        _perform(task, config)


def _composed_here(task: Task) -> DictConfig:
    """Return a run's configuration, in a process that has perhaps seen nothing of Hydra yet."""
    register_schema()
    return task.composed()


def _perform(task: Task, config: DictConfig) -> None:
    from w2v_exp.experiment.job import job  # late: who only sends tasks need not load what trains
    from w2v_exp.launching.lost_run import has_told, tell_end

    context = HydraContext(config_loader=None, callbacks=Callbacks(config))
    try:
        done = run_job(
            job,
            config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=context,
        )
    except KeyboardInterrupt as interruption:
        if not has_told(task):  # else the signal came when the run had ended
            tell_end(task, "KILLED", str(interruption) or "interrupted")
        raise
    if done.status == JobStatus.FAILED:
        # An error of the code is told like a run's other failures: who has started this may be far away, or gone.
        error = done._return_value  # the public property would raise it
        tell_end(task, "FAILED", f"{type(error).__name__}: {error}")
        raise error
