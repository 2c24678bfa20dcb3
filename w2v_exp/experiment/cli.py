"""Runs and sweeps of the command ``w2v-exp``.

`hydra.main` is not used. It parses the command line a second time with a parser that fails on Python 3.14, takes the
folder of a sweep from the text of an override, and finds launchers and sweepers only in a package ``hydra_plugins``,
which a user's folder of that name hides.
"""

from __future__ import annotations

import logging
import platform
import secrets
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, configure_log
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from w2v_exp.composer import Composer
from w2v_exp.config import (
    HYDRA_ERRORS,
    Sources,
    composition_errors,
    hydra_overrides,
    literal,
    parse_overrides,
    register_schema,
    without_hydra,
)
from w2v_exp.errors import UserError, visible
from w2v_exp.experiment.command import (
    BASIC_LAUNCHER,
    BASIC_SWEEPER,
    Command,
    Parser,
    check_command,
    is_information_request,
    parse,
    refuse_sweep,
)
from w2v_exp.experiment.config_errors import all_keys, explain
from w2v_exp.experiment.folders import (
    ARTIFACTS,
    is_shipped_folder,
    new_folder,
    require_delivered,
    require_free,
    require_free_sweep,
    sweep_lock,
)
from w2v_exp.experiment.job import RUN, SWEEP, run_job
from w2v_exp.experiment.my_text import with_picks
from w2v_exp.experiment.reference import ESTIMATE_USAGE, group_help, help_text
from w2v_exp.launching.settings import is_ours, read_settings
from w2v_exp.machine import freeze
from w2v_exp.processes import Terminated, fitted, termination_as_exception
from w2v_exp.reporting.escape import visible_console
from w2v_exp.results import RunResult, Sweep, read_result
from w2v_exp.tracking.companion import Companion, Mirror, may_accompany, will_accompany
from w2v_exp.tracking.history import package_versions
from w2v_exp.tracking.journal import FILE as JOURNAL
from w2v_exp.tracking.upload import is_uploaded, upload_problem
from w2v_exp.version import __version__

if TYPE_CHECKING:
    from w2v_exp.searching.search import SearchStudy

_log = logging.getLogger(__name__)

MISTAKE, FAILED, INTERRUPTED = 2, 1, 130
EMBEDDINGS = f"{ARTIFACTS}/embeddings.npz"
# Executes runs, given their overrides and the number of the first of them.
Launch = Callable[[list[list[str]], int], Any]


def estimate(arguments: list[str]) -> int:
    """Run ``w2v-exp estimate``: the command with ``estimate=true``."""
    if arguments in (["--help"], ["-h"]):
        print(ESTIMATE_USAGE)
        return 0
    return run([*arguments, "estimate=true"])


def run(arguments: list[str]) -> int:
    """Execute a command line of a run or sweep, and return the exit code.

    0: success. 1: a run failed. 2: the command line or the configuration is wrong; nothing was run. 129, 130 and 143:
    ended by SIGHUP, Ctrl-C or SIGTERM.
    """
    try:
        return _run(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a folder without permission
        place = f"{error.filename}: " if error.filename else ""
        print(visible(f"{place}{error.strerror or error}."), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as interruption:
        notes = getattr(interruption, "__notes__", ["No training had begun."])
        print("Interrupted.", *notes, file=sys.stderr)
        return interruption.exit_code if isinstance(interruption, Terminated) else INTERRUPTED


def _run(arguments: list[str]) -> int:
    register_schema()
    parsed = parse(arguments)
    if parsed.help:
        own = Sources.of(parsed).config_dir
        print(help_text(own) if parsed.help is True else group_help(parsed.help, own))
        return 0
    if parsed.version:
        print(version_text())
        return 0
    if parsed.shell_completion:
        from w2v_exp.experiment.completion import shell_completion

        print(shell_completion(parsed.overrides))
        return 0
    if is_information_request(parsed):
        return _print_information(parsed)
    with ExitStack() as stack:
        companion = stack.enter_context(closing(Companion())) if will_accompany(parsed.overrides) else None
        return _run_command(parsed, arguments, companion, stack)


def _run_command(
    parsed: Namespace, arguments: list[str], companion: Companion | None, stack: ExitStack
) -> int:
    """Execute a run or a sweep, with a companion that may have been started for it."""
    command = check_command(parsed)
    print(fitted("".join(f"{line}\n" for line in command.picks), sys.stdout), end="", flush=True)
    try:
        if command.plan.estimate:
            return _estimate(command)
        companion = _opened(companion, command, stack)
        # Imported before signals raise exceptions, which may be lost in an import.
        import w2v_exp.experiment.run
        import w2v_exp.experiment.run_report

        if command.is_sweep:
            import w2v_exp.experiment.report  # noqa: F401
        freeze()  # these modules: a run collects the other objects

        with termination_as_exception():
            if command.is_sweep:
                folder = new_folder(command.config, "sweep", _study_name(command))
                with _results_noted(folder, f"*/{EMBEDDINGS}"):
                    return _run_sweep(command, arguments, companion, folder)
            folder = new_folder(command.config, "run")
            with _results_noted(folder, EMBEDDINGS):
                return _run_once(command, companion, folder)
    except HYDRA_ERRORS as error:
        raise explain(error) from error


@contextmanager
def _results_noted(folder: Path, pattern: str) -> Iterator[None]:
    """Add to an interruption that results are kept if the folder has embeddings: a run writes them when it ends."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        if any(folder.glob(pattern)):
            interruption.add_note("Results up to here are kept.")
        raise


def version_text() -> str:
    """Return the versions of w2v_exp and of packages that affect results."""
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{package} {version}" for package, version in package_versions().items()]
    return f"w2v_exp {__version__}\n{', '.join(versions)}"


def _print_information(parsed: Namespace) -> int:
    """Print the configuration, or information on Hydra."""
    sources = Sources.of(parsed)
    hydra = Hydra.create_main_hydra2("w2v_exp", sources.search_path())
    name, overrides = sources.config_name, parsed.overrides
    if parsed.cfg:
        with suppress(UserError):  # without a text there are no picks to print
            overrides, _ = with_picks(sources, overrides)
    try:
        with composition_errors():
            parsed_overrides = parse_overrides(overrides)
            refuse_sweep(parsed_overrides)
            overrides = [str(override.input_line) for override in parsed_overrides]
            if parsed.hydra_help:
                hydra.hydra_help(name, args_parser=Parser(), args=parsed)
            elif parsed.cfg:
                hydra.show_cfg(name, overrides, parsed.cfg, parsed.package, parsed.resolve)
            else:
                hydra.show_info(parsed.info, name, overrides)
    except SystemExit:  # Hydra has printed the error
        return MISTAKE
    except HYDRA_ERRORS as error:
        raise explain(error, lambda: all_keys(sources, overrides)) from error
    finally:
        GlobalHydra.instance().clear()
    return 0


def _estimate(command: Command) -> int:
    """Print the estimated memory and time of every run, and train nothing."""
    from w2v_exp.experiment.estimate_tables import MOST_ESTIMATED, show_estimates

    runs = prod(len(values) for values in command.swept.values())
    if runs > MOST_ESTIMATED:
        raise UserError(
            f"estimate=true: {runs:,} runs; at most {MOST_ESTIMATED} are estimated. Sweep fewer values."
        )
    show_estimates(command.plans(), visible_console())
    return 0


def _opened(companion: Companion | None, command: Command, stack: ExitStack) -> Companion | None:
    """Return the process that uploads the runs; None if this one does. Refuse an unusable store before any run."""
    tracking, hydra = command.plan.mlflow, command.config.hydra
    is_local = hydra.launcher.get("_target_") == BASIC_LAUNCHER or hydra.launcher.get("name") == "joblib"
    is_grid = hydra.sweeper.get("_target_") == BASIC_SWEEPER
    if tracking and is_local and is_grid and may_accompany(tracking):
        companion = companion or stack.enter_context(closing(Companion()))
        companion.open(tracking)
        return companion
    if companion:
        companion.close()
    if tracking:
        from w2v_exp.tracking.store import check_store

        check_store(tracking.uri, tracking.experiment)
    return None


def _run_once(command: Command, companion: Companion | None, folder: Path) -> int:
    _upload_pending(command, [folder])
    require_free(folder)
    with read_write(command.config), open_dict(command.config):
        command.config.hydra.run.dir = literal(str(folder))
        command.config.hydra.mode = RunMode.RUN
        command.config.hydra.job.chdir = False  # paths are relative to the current folder of the command
    attempt = partial(_attempt, mirror=companion)
    try:  # `Hydra.run` would compose the configuration twice more
        result = run_job(attempt, command.config, RUN, Callbacks(command.config)).return_value
    finally:  # interrupted, too
        if companion:
            companion.flush()
    if isinstance(result, UserError):
        raise result
    from w2v_exp.experiment.run_report import print_run

    if companion:
        if problem := companion.problem(folder):
            problem = upload_problem(folder, companion.uri, problem)
            _log.warning(problem)
        uploaded = read_result(folder)  # which has the id of the run now
        result = replace(uploaded or result, reason=result.reason or problem)
    print_run(result, command.plan, folder / ARTIFACTS, companion)
    if result.done:
        return FAILED if result.reason else 0
    status = "failed" if result.status == "FAILED" else "did not finish"
    print(f"The run {status}. {result.reason}", file=sys.stderr)
    return FAILED


def _attempt(config: DictConfig, mirror: Mirror | None) -> RunResult | UserError:
    """Execute a run and return its result, or the `UserError` that it raised.

    A raised error would be printed by Hydra.
    """
    from w2v_exp.experiment.run import execute

    try:
        return execute(config, mirror)
    except UserError as error:
        return error


def _upload_pending(command: Command, folders: Sequence[Path]) -> None:
    """Upload the data that earlier runs in these folders could not log.

    The command may be the same as before, and finished runs are recognised by their data in MLflow.
    """
    if all(map(is_uploaded, folders)):
        return
    from w2v_exp.experiment.sync import upload_earlier
    from w2v_exp.tracking.store import RETRY_SECONDS

    for folder in folders:
        upload_earlier(folder, command.plan.mlflow, RETRY_SECONDS if command.is_sweep else 0.0)


def _study_name(command: Command) -> str | None:
    return command.search.settings.study_name if command.search else None


def _run_sweep(command: Command, arguments: list[str], companion: Companion | None, folder: Path) -> int:
    require_free_sweep(folder)
    with sweep_lock(folder):
        subdirs = command.subdirs or [*map(str, range(command.runs))]
        if command.search:  # all earlier trials: the numbers of the next ones are not known yet
            subdirs = [
                file.parent.name for file in folder.glob(f"*/{JOURNAL}") if file.parent.name.isdecimal()
            ]
        _upload_pending(command, [folder, *(folder / subdir for subdir in subdirs)])
        require_delivered(folder)
        if not command.search:
            for subdir in subdirs:
                require_free(folder / subdir)
            results = _recorded_sweep(command, arguments, folder, companion)
            succeeded = all(result.done and not result.reason for result in results)
            succeeded = succeeded and not (companion and companion.has_failed)
            return 0 if len(results) == command.runs and succeeded else FAILED
        study = command.search.open_study(without_hydra(command.config), folder)
        try:
            _recorded_sweep(command, arguments, folder, companion, study)
        finally:
            print(command.search.summarize(study, command.fixed, command.sources.flags))
        return 0 if study.best and len(study.ended) >= command.runs else FAILED


def _recorded_sweep(
    command: Command,
    arguments: list[str],
    folder: Path,
    companion: Companion | None,
    study: SearchStudy | None = None,
) -> list[RunResult]:
    """Write the file of a sweep, launch its runs, and compare them.

    Returns
    -------
    list of RunResult
        Of the runs that were started.
    """
    from w2v_exp.experiment.report import LivePage, finish_sweep

    sweep = Sweep(
        folder.name,
        f"w2v-exp {shlex.join(arguments)}",
        list(command.swept),
        command.runs,
        study.name if study else None,
        command.search.target if command.search else None,
        # A resumed search is the same sweep.
        id=study.folder_id() if study else secrets.token_hex(8),
        subdirs=command.subdirs,
        changes=dict(command.changes),
    )
    if not study and not is_shipped_folder(command.config, "sweep"):
        # A user's folder may have had an earlier sweep, which MLflow has by the folder's name.
        sweep = replace(sweep, name=f"{folder.absolute().name}-{sweep.id[:4]}")
    sweep.write(folder)
    if (tracking := command.plan.mlflow) and not companion:
        from w2v_exp.tracking.store import open_store

        # Before any run: the database must not be created by several processes at once.
        open_store(tracking.uri, tracking.experiment)
    try:
        _launch_runs(command, folder, companion, study, LivePage(folder).update)
    finally:
        results = finish_sweep(folder, command.plan, companion)
    return results


def _launch_runs(
    command: Command,
    folder: Path,
    companion: Companion | None,
    study: SearchStudy | None,
    on_end: Callable[[int], None],
) -> None:
    """Launch the runs of a sweep in its folder, and wait for their end.

    Parameters
    ----------
    command : Command
        The sweep.
    folder : Path
        Its folder.
    companion : Companion, optional
        The process that uploads the runs.
    study : SearchStudy, optional
        The study of a search.
    on_end : callable
        Is called when runs have ended, with their number; other processes than this one do not call it.
    """
    from w2v_exp.experiment.run import execute

    job = partial(execute, mirror=companion) if companion else execute
    composer, name = command.composer, command.sources.config_name
    config = composer.compose(command.sweep_arguments(folder), RunMode.MULTIRUN)
    callbacks = Callbacks(config)
    context = HydraContext(config_loader=composer.loader, callbacks=callbacks)
    callbacks.on_multirun_start(config=config, config_name=name)
    OmegaConf.save(config, folder / "multirun.yaml")
    if command.search and study:
        from w2v_exp.searching.search import run_search

        run_search(command.search, study, command.task, _launcher(command, config, context, job, on_end))
    elif config.hydra.sweeper.get("_target_") == BASIC_SWEEPER:
        _launch_grid(command, config, _launcher(command, config, context, job, on_end, companion))
    else:
        sweeper = Plugins.instance().instantiate_sweeper(
            hydra_context=context, task_function=job, config=config
        )
        sweeper.sweep(OmegaConf.to_container(config.hydra.overrides.task, resolve=False))
    callbacks.on_multirun_end(config=config, config_name=name)


def _launch_grid(command: Command, config: DictConfig, launch: Launch) -> None:
    runs = command.run_overrides()
    at_once = config.hydra.sweeper.get("max_batch_size") or len(runs)
    for first in range(0, len(runs), at_once):
        for done in launch(runs[first : first + at_once], first) or ():
            _ = done.return_value  # raises the error of a run that failed because of a bug


def _run_here(
    composer: Composer,
    sweep: DictConfig,
    callbacks: Callbacks,
    execute: Callable[[Any], RunResult],
    on_end: Callable[[int], None],
    overrides: list[list[str]],
    first: int,
) -> list[JobReturn]:
    """Execute runs one after the other, as Hydra's `BasicLauncher`, which would compose each of them anew."""
    done = []
    common = hydra_overrides(sweep)
    for number, given in enumerate(overrides, first):
        config = composer.compose([*common, *given])
        OmegaConf.copy_cache(from_config=sweep, to_config=config)  # ${now:…} is the same in all runs
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        done.append(run_job(execute, config, SWEEP, callbacks))
        configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
        on_end(1)
    return done


def _launcher(
    command: Command,
    config: DictConfig,
    context: HydraContext,
    execute: Callable[[Any], RunResult],
    on_end: Callable[[int], None],
    companion: Companion | None = None,
) -> Launch:
    """Return the function that executes runs: of w2v_exp, or of a plug-in.

    Launchers of w2v_exp whose runs are in other processes return nothing, all others how each run ended.
    """
    if is_ours(config.hydra.launcher):
        from w2v_exp.launching.launch import launch_runs

        settings = read_settings(config.hydra.launcher)
        return partial(launch_runs, settings, config, command.composer, on_end=on_end, mirror=companion)
    if config.hydra.launcher.get("_target_") == BASIC_LAUNCHER:
        return partial(_run_here, command.composer, config, context.callbacks, execute, on_end)
    launch: Launch = (
        Plugins.instance()
        .instantiate_launcher(hydra_context=context, task_function=execute, config=config)
        .launch
    )
    return launch
