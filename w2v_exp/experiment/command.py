"""A command line, understood and checked before any work is done."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from w2v_exp.choices import GROUPS
from w2v_exp.config import config_folder
from w2v_exp.errors import SettingError, UserError
from w2v_exp.experiment.explanation import (
    HYDRA_ERRORS,
    explain,
    first_value,
    known_keys,
    options_of,
    swept_values,
)
from w2v_exp.launching.settings import GROUP as LAUNCHERS
from w2v_exp.launching.settings import require_usable
from w2v_exp.plan import MOST_RUNS, Plan, make_plan
from w2v_exp.searching.settings import GROUP as SWEEPERS
from w2v_exp.searching.settings import is_search
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.validation import suggestion

if TYPE_CHECKING:  # what loads Optuna is loaded by searches only
    from w2v_exp.searching.begun import AskedSearch


@dataclass(frozen=True)
class Command:
    """What was asked for.

    Parameters
    ----------
    fixed : list of str
        The overrides that hold for every run.
    swept : dict of str to list of str
        The values of each swept key, in the order of the command; empty for a single run. Of a search, values by which
        each key can be checked.
    flags : list of str
        Hydra's own flags, passed on to it.
    plan : Plan
        The first run, checked.
    config : DictConfig
        The first run's configuration, Hydra's own part included.
    is_sweep : bool
        Whether Hydra is to sweep, be it over one run.
    parsed : Namespace
        The command line, as Hydra reads it.
    search : AskedSearch or None
        What is searched, and how, if the sweep is a search.
    """

    fixed: list[str]
    swept: dict[str, list[str]]
    flags: list[str]
    plan: Plan
    config: DictConfig
    is_sweep: bool
    parsed: Namespace
    search: AskedSearch | None = None

    @property
    def runs(self) -> int:
        """How many runs this makes."""
        if self.search:
            return self.search.settings.n_trials
        return prod(len(values) for values in self.swept.values())

    def plans(self) -> Iterator[tuple[dict[str, str], Plan]]:
        """Return the plan of every run, with the swept values that it has; of a search, of its space's corners."""
        for values in product(*self.swept.values()):
            swept = dict(zip(self.swept, values, strict=True))
            overrides = [*self.fixed, *(f"{key}={value}" for key, value in swept.items())]
            yield swept, make_plan(without_hydra(_compose(self.parsed, overrides)))

    def hydra_arguments(self) -> list[str]:
        """Return the arguments that make Hydra do this sweep."""
        texts = {key: ",".join(values) for key, values in self.swept.items()}
        sweep = [f"{key}={text}" for key, text in (self.search.space.texts if self.search else texts).items()]
        # The sweep's parameters stand in the arguments, those of a sweep's file included.
        arguments = [*self.flags, *self.fixed, *sweep, "hydra.sweeper.params=null", "hydra.mode=MULTIRUN"]
        if self.config.hydra.runtime.choices["hydra/sweeper"] == "basic":
            arguments.append("hydra.sweeper._target_=hydra_plugins.w2v_exp_grid.GridSweeper")
        return arguments


def parse(arguments: list[str]) -> Namespace:
    """Return Hydra's own understanding of a command line: flags and overrides, in any order (Hydra wants one)."""
    parsed: Namespace = get_args_parser().parse_intermixed_args(arguments)
    return parsed


def asks_for_information(parsed: Namespace) -> bool:
    """Return whether the command line asks to be told something (``--help``, ``--cfg``), not to run."""
    return bool(parsed.hydra_help or parsed.cfg or parsed.info or parsed.shell_completion)


def understand(parsed: Namespace) -> Command:
    """Check a command line: every key, every option and every value, swept ones included.

    Raises
    ------
    UserError
        With what is wrong and what is meant, perhaps.
    """
    try:
        return _understand(parsed)
    except HYDRA_ERRORS as error:
        raise explain(error, all_keys(parsed)) from error
    except OverflowError as error:  # OmegaConf's, of a whole number that is too large for a float
        raise explain(error, []) from error


def _understand(parsed: Namespace) -> Command:
    fixed, swept = _split(parsed.overrides)
    config = _compose(parsed, [*fixed, *(f"{key}={first_value(swept[key])}" for key in swept)])
    is_sweep = parsed.multirun or config.hydra.mode == RunMode.MULTIRUN
    if swept and not is_sweep:
        raise UserError(
            f"{next(iter(swept.values())).input_line}: several values make a sweep; add -m to run it."
        )
    given = {override.split("=", 1)[0].lstrip("+~") for override in fixed} | set(swept)
    from_file = config.hydra.sweeper.get("params") or {}
    _, swept_in_file = _split([f"{key}={value}" for key, value in from_file.items() if key not in given])
    swept = swept_in_file | swept
    plan = make_plan(without_hydra(config))
    search = _asked_search(config, plan, swept, given, is_sweep)
    values = search.space.tried() if search else {key: swept_values(swept[key]) for key in swept}
    if plan.repeats > 1:
        if search or "seed" in swept or "repeats" in swept:
            raise SettingError(
                "repeats",
                plan.repeats,
                "a search tries everything once; repeat its best."
                if search
                else "repeats make seeds of their own; do not sweep seed or repeats.",
            )
        fixed = [override for override in fixed if not override.startswith("seed=")]
        values["seed"] = [str(plan.seed + number) for number in range(plan.repeats)]
        is_sweep = True
    if not search and (runs := prod(map(len, values.values()))) > MOST_RUNS:
        raise UserError(
            f"{', '.join(values)}: {runs:,} combinations; a sweep has at most {MOST_RUNS:,} runs. "
            "Sweep fewer values, or search: hydra/sweeper=optuna."
        )
    _check_launcher(config, list(values), is_sweep, plan)
    for key in values:
        # Where all are whole numbers in a row, as the seeds of repeats, the ends do for all of them.
        is_repeated = plan.repeats > 1 and key == "seed"
        for value in (values[key][0], values[key][-1]) if is_repeated else values[key]:
            try:
                _check_swept(parsed, config, fixed, key, value)
            except HYDRA_ERRORS as error:
                hint = search.space.hint(key) if search else ""
                raise UserError(f"{explain(error, [])}{hint}") from error
    return Command(fixed, values, _flags(parsed), plan, config, is_sweep, parsed, search)


def _split(overrides: list[str]) -> tuple[list[str], dict[str, Override]]:
    """Return the overrides that hold for all runs, and those of swept keys, by key."""
    fixed: list[str] = []
    swept: dict[str, Override] = {}
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except ValueError as error:  # Python reads no whole number of more than 4,300 digits
        longest = max(overrides, key=len)
        raise UserError(f"{longest[:40]}…: has a number of too many digits.") from error
    for text, override in zip(overrides, parsed, strict=True):
        if override.is_sweep_override():
            swept[str(override.key_or_group)] = override
        else:
            fixed.append(text)
    return fixed, swept


def _asked_search(
    config: DictConfig, plan: Plan, swept: dict[str, Override], given: set[str], is_sweep: bool
) -> AskedSearch | None:
    """Return the search that is asked for, checked; None if the sweep is no search, or there is no sweep."""
    if not is_search(config.hydra.sweeper):
        return None
    if not is_sweep:
        if SWEEPERS in given:
            raise UserError(f"{SWEEPERS}=optuna: searches by many runs; add -m.")
        return None
    if "hydra.sweep.subdir" in given:
        raise UserError("hydra.sweep.subdir: a search finds its trials by their numbers; leave it as it is.")
    from w2v_exp.searching.settings import make_settings, require_optuna

    require_optuna()
    from w2v_exp.searching.begun import AskedSearch
    from w2v_exp.searching.space import Space

    settings = make_settings(config.hydra.sweeper)
    return AskedSearch(settings, settings.direction_for(plan), Space.of(swept))


def _compose(parsed: Namespace, overrides: list[str]) -> DictConfig:
    return compose_config(overrides, parsed.config_name or "config", parsed.config_dir)


def compose_config(overrides: list[str], config_name: str, added_folder: str | None) -> DictConfig:
    """Return the configuration that Hydra will make of these overrides, its own part included."""
    search = [f"hydra.searchpath=[file://{Path(added_folder).absolute()}]"] if added_folder else []
    at_work = GlobalHydra.instance().hydra  # on a sweep that launches runs
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config: DictConfig = compose(config_name, [*overrides, *search], return_hydra_config=True)
            return config
    finally:
        GlobalHydra.instance().hydra = at_work


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a configuration without Hydra's own part."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _check_launcher(config: DictConfig, swept: list[str], is_sweep: bool, plan: Plan) -> None:
    """Check what spreads the runs: one for all of them, and only where there are several."""
    for key in swept:
        if key.startswith("hydra"):
            raise UserError(f"{key}: holds for a sweep, and cannot be swept itself.")
    chosen = config.hydra.runtime.choices.get(LAUNCHERS, "basic")
    if chosen != "basic" and not is_sweep:
        raise UserError(
            f"{LAUNCHERS}={chosen}: spreads the runs of a sweep; add -m, also for a sweep of one run."
        )
    if chosen != "basic" and isinstance(plan.corpus, FileCorpus) and plan.corpus.is_pipe:
        raise SettingError(
            "corpus.path",
            plan.corpus.path,
            f"is a pipe, which other processes cannot read; save the text to a file, or leave out {LAUNCHERS}.",
        )
    require_usable(config.hydra.launcher)


def _check_swept(parsed: Namespace, config: DictConfig, fixed: list[str], key: str, value: str) -> None:
    """Check one value of one swept key, everything else being as in the first run."""
    if key in GROUPS or key in ("experiment", "sweep"):
        if parsed.config_dir is None and value not in (options := options_of(key)):
            raise UserError(
                f"{key}={value}: not an option{suggestion(value, options)} Options: {', '.join(options)}."
            )
        changed = _compose(
            parsed, [*(text for text in fixed if not text.startswith(f"{key}=")), f"{key}={value}"]
        )
    else:
        changed = config.copy()
        (override,) = OverridesParser.create().parse_overrides([f"{key}={value}"])
        OmegaConf.update(changed, key, override.value())
    make_plan(without_hydra(changed))


def _flags(parsed: Namespace) -> list[str]:
    flags = [f"--config-dir={parsed.config_dir}"] if parsed.config_dir else []
    return [*flags, f"--config-name={parsed.config_name}"] if parsed.config_name else flags


def all_keys(parsed: Namespace) -> list[str]:
    """Return all keys, as far as the choices on the command line can be made."""
    groups = (*GROUPS, SWEEPERS, LAUNCHERS)
    choices = [text for text in parsed.overrides if text.split("=", 1)[0] in groups and "," not in text]
    for overrides in (choices, []):
        try:
            config = _compose(parsed, overrides)
        except HYDRA_ERRORS:
            continue
        spreading = [f"hydra.{part}.{key}" for part in ("sweeper", "launcher") for key in config.hydra[part]]
        return [*known_keys(without_hydra(config)), *spreading]
    return []
