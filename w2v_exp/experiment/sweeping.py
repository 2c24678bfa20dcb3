"""A sweep through Hydra's interfaces: its launchers and sweepers, ours and those of others, without `hydra.main`.

`hydra.main` would read the command line again, by a parser that Python 3.14 refuses; take the sweep's folder from the
text of an override; and find our classes only in a package ``hydra_plugins``, which a folder of the user's of that name
hides.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from w2v_exp.experiment.command import Command
from w2v_exp.launching.settings import is_ours

if TYPE_CHECKING:
    from w2v_exp.searching.study import SearchStudy

BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def run_sweep(
    command: Command, folder: Path, job: Callable[[Any], Any], study: SearchStudy | None = None
) -> None:
    """Launch the runs of a sweep, and return when all have ended.

    Parameters
    ----------
    command : Command
        A sweep.
    folder : Path
        Of the sweep.
    job : callable
        Runs one configuration.
    study : SearchStudy, optional
        Of a search.
    """
    sources = command.sources
    loader = sources.loader()
    config = loader.load_configuration(sources.config_name, command.sweep_arguments(folder), RunMode.MULTIRUN)
    callbacks = Callbacks(config)
    context = HydraContext(config_loader=loader, callbacks=callbacks)
    callbacks.on_multirun_start(config=config, config_name=sources.config_name)
    OmegaConf.save(config, folder / "multirun.yaml")
    if command.search and study:
        from w2v_exp.searching.search import Search

        launcher = _launcher(command, config, context, job)
        Search(command.search.settings, study, command.search.space, command.task, launcher).run()
    elif config.hydra.sweeper.get("_target_") == BASIC:
        _launch_grid(command, config, _launcher(command, config, context, job))
    else:
        sweeper = Plugins.instance().instantiate_sweeper(
            hydra_context=context, task_function=job, config=config
        )
        sweeper.sweep(OmegaConf.to_container(config.hydra.overrides.task, resolve=False))
    callbacks.on_multirun_end(config=config, config_name=sources.config_name)


def _launch_grid(command: Command, config: DictConfig, launcher: Launcher) -> None:
    runs = command.run_overrides()
    at_once = config.hydra.sweeper.get("max_batch_size") or len(runs)
    for first in range(0, len(runs), at_once):
        for done in launcher.launch(runs[first : first + at_once], initial_job_idx=first):
            _ = done.return_value  # raises the error of a run that has failed by an error of the code


def _launcher(
    command: Command, config: DictConfig, context: HydraContext, job: Callable[[Any], Any]
) -> Launcher:
    """Return what starts the runs. Ours are not plugins that Hydra has to find."""
    settings = config.hydra.launcher
    if not is_ours(settings):
        return Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=job, config=config
        )
    from w2v_exp.launching.launch import SweepLauncher

    return SweepLauncher(
        settings.name,
        {key: value for key, value in settings.items() if key not in ("_target_", "name")},
        config,
        command.sources.absolute(),
    )
