"""A run as a job of Hydra: its folder, logging, environment and callbacks."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, configure_log, env_override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf._utils import get_omega_conf_dumper

from w2v_exp.config import hydra_values, without_hydra

RUN, SWEEP = ("hydra.run.dir",), ("hydra.sweep.dir", "hydra.sweep.subdir")  # keys of the folder of a job


def run_job(
    task: Callable[[Any], Any], config: DictConfig, keys: tuple[str, ...], callbacks: Callbacks
) -> JobReturn:
    """Execute a task as a job and return how it ended, as Hydra's `run_job` does.

    That copies the configuration six times, which takes 0.03 s. The current folder is never changed
    (``hydra.job.chdir=false``).

    Parameters
    ----------
    task : callable
        Is called with the configuration without Hydra's own part, which `HydraConfig` has meanwhile.
    config : DictConfig
        The configuration; the job's folder becomes a part of it.
    keys : tuple of str
        `RUN` or `SWEEP`.
    callbacks : Callbacks
        Of ``hydra.callbacks``.
    """
    with hydra_values(config):
        hydra = config.hydra
        folder = Path(*(str(OmegaConf.select(config, key)) for key in keys))
        with read_write(hydra.runtime), open_dict(hydra.runtime):
            hydra.runtime.output_dir = os.path.abspath(folder)  # noqa: PTH100  (without ..)
        own = without_hydra(config)
        OmegaConf.copy_cache(from_config=config, to_config=own)
        OmegaConf.set_struct(own, True)
        OmegaConf.set_readonly(hydra, True)
        folder.mkdir(parents=True, exist_ok=True)
        configure_log(hydra.job_logging, hydra.verbose)
        if hydra.output_subdir is not None:
            _write_configuration(config, folder / str(hydra.output_subdir))
        done = JobReturn(
            overrides=OmegaConf.to_container(hydra.overrides.task),
            cfg=own,
            hydra_cfg=OmegaConf.masked_copy(config, "hydra") if callbacks.callbacks else None,
            working_dir=str(Path.cwd()),
            task_name=JobRuntime.instance().get("name"),
        )
        with env_override(hydra.job.env_set):
            callbacks.on_job_start(config=config, task_function=task)
            try:
                done.return_value = task(own)
                done.status = JobStatus.COMPLETED
            except Exception as error:
                done.return_value = error
                done.status = JobStatus.FAILED
        for handler in logging.getLogger().handlers:
            handler.flush()
        callbacks.on_job_end(config=config, job_return=done)
        return done


def _write_configuration(config: DictConfig, folder: Path) -> None:
    """Write the configuration, Hydra's own part, and the overrides, unresolved."""
    values: Any = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    hydra = {"hydra": values.pop("hydra")}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "config": values,
        "hydra": hydra,
        "overrides": hydra["hydra"]["overrides"]["task"],
    }.items():
        (folder / f"{name}.yaml").write_text(as_yaml(content), encoding="utf-8")


class _Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]  # in C where PyYAML has been built with it
    """OmegaConf's dumper, which quotes texts that look like numbers."""


_Dumper.add_representer(str, get_omega_conf_dumper().str_representer)


def as_yaml(values: Mapping[str, Any] | list[Any]) -> str:
    """Return values as YAML, written as `OmegaConf.to_yaml` writes them."""
    text: str = yaml.dump(
        values, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=_Dumper
    )
    return text
