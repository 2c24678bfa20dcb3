"""The application: understands a command line, runs what it asks for, and says how it went."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from math import prod
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.callbacks import Callbacks
from hydra.core.utils import run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write

from w2v_exp.choices import MlflowTracking
from w2v_exp.config import config_folder, register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.command import (
    Command,
    all_keys,
    asks_for_information,
    parse,
    understand,
    without_hydra,
)
from w2v_exp.experiment.explanation import HYDRA_ERRORS, explain
from w2v_exp.experiment.help import help_text
from w2v_exp.experiment.interruption import Terminated, termination_as_exception
from w2v_exp.experiment.sweep import Sweep
from w2v_exp.reporting.results import RunResult
from w2v_exp.reporting.words import visible_console

MISTAKE, FAILED, INTERRUPTED, TERMINATED = 2, 1, 130, 143


def run(arguments: list[str]) -> int:
    """Do what a command line asks for and return the exit code: 0 if all of it went well.

    1: a run failed. 2: the command line or the configuration is wrong, and nothing was done. 130, 143: interrupted.
    """
    register_schema()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors come here, instead of being printed by Hydra
    parsed = parse(arguments)
    try:
        with termination_as_exception():
            if parsed.help:
                print(help_text())
                return 0
            if asks_for_information(parsed):
                flags = [argument for argument in arguments if argument not in parsed.overrides]
                _call_hydra([*flags, *parsed.overrides], lambda config: None)
                return 0
            command = understand(parsed)
            if command.plan.estimate:
                return _estimate(command)
            return _run_sweep(command, arguments) if command.is_sweep else _run_once(command)
    except UserError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except HYDRA_ERRORS as error:
        print(explain(error, all_keys(parsed)), file=sys.stderr)
        return MISTAKE
    except BrokenPipeError:
        raise
    except OSError as error:  # a disk that is full, a folder that is shut
        place = f"{error.filename}: " if error.filename else ""
        print(f"{place}{error.strerror or error}.", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as interruption:
        print("Interrupted. What was done up to here is kept.", file=sys.stderr)
        return TERMINATED if isinstance(interruption, Terminated) else INTERRUPTED


def _estimate(command: Command) -> int:
    """Show what every run would need of memory; nothing is trained, written or logged."""
    from w2v_exp.experiment.estimate_tables import MOST_ESTIMATED, show_estimates

    runs = prod(len(values) for values in command.swept.values())
    if runs > MOST_ESTIMATED:
        raise UserError(
            f"estimate=true: estimates at most {MOST_ESTIMATED} runs, and these are {runs:,}. Sweep fewer."
        )
    show_estimates(command.plans(), visible_console())
    return 0


def _run_once(command: Command) -> int:
    folder = _folder(command, "run")
    with read_write(command.config), open_dict(command.config):
        command.config.hydra.run.dir = str(folder)
    # As Hydra's launchers do it. Its own way to a single run would compose the configuration twice more.
    context = HydraContext(config_loader=None, callbacks=Callbacks(command.config))
    result = run_job(
        _attempt, command.config, job_dir_key="hydra.run.dir", job_subdir_key=None, hydra_context=context
    ).return_value
    if isinstance(result, UserError):
        raise result
    from w2v_exp.experiment.announcement import announce_run

    announce_run(visible_console(), result, command.plan, folder / "artifacts")
    if result.done:
        return FAILED if result.reason else 0
    said = "failed" if result.status == "FAILED" else "was not done"
    print(f"The run {said}. {result.reason}", file=sys.stderr)
    return FAILED


def _attempt(config: DictConfig) -> RunResult | UserError:
    """Run a job and return its result, or the mistake that kept it from beginning: Hydra would print that itself."""
    from w2v_exp.experiment.job import job

    try:
        return job(config)
    except UserError as error:
        return error


def _run_sweep(command: Command, arguments: list[str]) -> int:
    folder = _folder(command, "sweep")
    if not command.search:
        results = _do_sweep(command, arguments, folder)
        return 0 if all(result.done and not result.reason for result in results) else FAILED
    with command.search.begun(without_hydra(command.config), folder) as study:
        try:
            _do_sweep(command, arguments, folder, study.name)
        finally:
            print(command.search.outcome(study, command.fixed, command.flags))
        return 0 if study.best else FAILED


def _do_sweep(
    command: Command, arguments: list[str], folder: Path, study: str | None = None
) -> list[RunResult]:
    from w2v_exp.experiment.job import job
    from w2v_exp.experiment.summary import finish_sweep

    said = f"python -m w2v_exp {shlex.join(arguments)}"
    sought = command.search.sought if command.search else None
    Sweep(folder.name, said, list(command.swept), command.runs, study, sought).write(folder)
    if isinstance(command.plan.tracking, MlflowTracking):
        from w2v_exp.tracking.store import open_store

        # Before any run: several processes that make the database at once get into each other's way.
        open_store(command.plan.tracking.uri, command.plan.tracking.experiment)
    try:
        _call_hydra([*command.hydra_arguments(), f"hydra.sweep.dir={folder}"], job)
    finally:
        results = finish_sweep(folder, command.plan)
    return results


def _call_hydra(arguments: list[str], job: Callable[[Any], Any]) -> None:
    sys.argv = [sys.argv[0], *arguments]
    hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")(job)()


def _folder(command: Command, mode: str) -> Path:
    """Return where Hydra is to write: where the user says, or a new folder below outputs/.

    Its name is that of the study of a search, or else the time, with four random digits for those who start in the
    same second.
    """
    key = f"hydra.{mode}.dir="
    for override in reversed(command.fixed):
        if override.startswith(key):
            return Path(override.removeprefix(key))
    if mode == "sweep" and command.search and (name := command.search.settings.study_name):
        return Path(f"outputs/sweeps/{name}")
    return Path(f"outputs/{mode}s/{datetime.now():%Y-%m-%d_%H-%M-%S}-{secrets.token_hex(2)}")
