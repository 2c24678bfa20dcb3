"""A command line, parsed and checked before any work.

`parse` reads flags and overrides, and `check_command` turns them into a `Command`: every key, option and value is
checked, those of all runs of a sweep included, so that a mistake in the last value does not surface hours later.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, OverrideType, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from w2v_exp.choices import GROUPS
from w2v_exp.composer import Composer
from w2v_exp.config import (
    HYDRA_ERRORS,
    Sources,
    first_value,
    parse_overrides,
    plan_of,
    quoted,
    swept_values,
)
from w2v_exp.errors import SettingError, UserError, shown, suggestion
from w2v_exp.experiment import SUBCOMMANDS
from w2v_exp.experiment.config_errors import CHOOSABLE, OTHER_NAMES, all_keys, explain, unknown_key
from w2v_exp.experiment.fingerprint import NOT_OF_THE_RESULT
from w2v_exp.experiment.folders import compose_distinct, is_shipped_subdir, run_subdirs
from w2v_exp.experiment.my_text import with_picks
from w2v_exp.launching.settings import GROUP as LAUNCHERS
from w2v_exp.launching.settings import is_ours, read_settings
from w2v_exp.plan import MOST_RUNS, Plan
from w2v_exp.processes import collect_garbage
from w2v_exp.results import BASE, CHANGE
from w2v_exp.searching.settings import GROUP as SWEEPERS
from w2v_exp.searching.settings import is_search, require_optuna
from w2v_exp.searching.settings import read_settings as read_search
from w2v_exp.text.corpus import FileCorpus

if TYPE_CHECKING:
    from w2v_exp.searching.search import SearchRequest

BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
LONGEST_NAME = 200  # characters of an option's name, which is the name of a file
INFORMATION = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]


class Parser(ArgumentParser):
    """The flags of Hydra's command line, and the overrides.

    Hydra's own parser (1.3.8) cannot be constructed on Python 3.14, where help must be text (hydra #3121). It also has
    a flag that unpickles a file.
    """

    def __init__(self) -> None:
        super().__init__(prog="w2v-exp", add_help=False, description="w2v_exp, by Hydra")
        add = self.add_argument
        add("overrides", nargs="*", help="key=value: a value or choice other than the shipped one")
        add(
            "--help",
            "-h",
            nargs="?",
            const=True,
            metavar="GROUP",
            help="print all keys and options; with GROUP: all settings of the group",
        )
        add("--hydra-help", action="store_true", help="print Hydra's flags")
        add("--version", action="store_true", help="print the versions of w2v_exp and its main packages")
        add("--cfg", "-c", choices=["job", "hydra", "all"], help="print the configuration, and run nothing")
        add("--resolve", action="store_true", help="with --cfg: resolve interpolations")
        add("--package", "-p", help="with --cfg: print only this part")
        add("--run", "-r", action="store_true", help="one run (the default)")
        add("--multirun", "-m", action="store_true", help="a sweep over all combinations of values")
        add("--shell-completion", "-sc", action="store_true", help="print the script of shell completion")
        add("--config-path", "-cp", help="folder that is searched before the shipped configuration")
        add("--config-name", "-cn", help="primary configuration; default: config")
        add("--config-dir", "-cd", help="folder with additional options")
        add(
            "--info",
            "-i",
            const="all",
            nargs="?",
            choices=INFORMATION,
            help=f"print information on the configuration or on Hydra [{'|'.join(INFORMATION)}]",
        )

    def error(self, message: str) -> NoReturn:
        """Raise `UserError` instead of printing the usage and ending the process."""
        raise UserError(f"{shown(message, 300)}. --hydra-help lists the flags.")


def parse(arguments: Sequence[str]) -> Namespace:
    """Return the flags and overrides of a command line, in any order.

    Raises
    ------
    UserError
        For an unknown flag or word, contradicting flags, or characters that are not text.
    """
    for argument in arguments:
        for character in argument:
            kind = unicodedata.category(character)
            if kind == "Cs":
                raise UserError(f"{shown(argument, 80)}: is not UTF-8 text.")
            if kind == "Cc" and character not in "\t\n\r":
                raise UserError(f"{shown(argument, 80)}: has a control character ({character!r}).")
    parsed: Namespace = Parser().parse_intermixed_args(list(arguments))
    if parsed.help and parsed.help is not True and "=" in parsed.help:  # an override after --help
        parsed.help = True
    for word in parsed.overrides:
        if "=" not in word and not word.startswith("~"):
            raise _not_an_override(word)
    kinds = {
        "--run": parsed.run,
        "--multirun": parsed.multirun,
        "--cfg": parsed.cfg,
        "--info": parsed.info,
        "--shell-completion": parsed.shell_completion,
    }
    if len(given := [flag for flag, value in kinds.items() if value]) > 1:
        raise UserError(f"{given[0]} and {given[1]}: give only one of them.")
    if parsed.resolve and not parsed.cfg:
        raise UserError("--resolve: only with --cfg.")
    return parsed


def _not_an_override(word: str) -> UserError:
    """Return the message for a word that is not an override."""
    if word in SUBCOMMANDS:
        return UserError(f"{word}: a sub-command comes first: w2v-exp {word} …")
    listed = f"Sub-commands: {', '.join(SUBCOMMANDS)}. Values are written key=value."
    return UserError(f"{shown(word, 80)}: not a sub-command{suggestion(word, SUBCOMMANDS)} {listed}")


def is_information_request(parsed: Namespace) -> bool:
    """Return whether to print information (``--cfg`` …) instead of a run."""
    return bool(parsed.hydra_help or parsed.cfg or parsed.info)


@dataclass(frozen=True)
class Command:
    """A checked command line.

    Parameters
    ----------
    fixed : list of str
        The overrides of every run.
    swept : dict of str to list of str
        The values of each swept key, in the order of the command; empty for a single run. In a search, sample values
        by which each key is checked.
    composer : Composer
        Composes the configurations of the runs.
    plan : Plan
        The plan of the first run.
    config : DictConfig
        The configuration of the first run, with Hydra's own part.
    is_sweep : bool
        Whether this is a sweep, possibly of one run.
    search : SearchRequest or None
        The search, if the sweep is one.
    subdirs : list of str or None
        The folder of each run below that of the sweep; None: the run's number.
    changes : dict of str to list of str
        The overrides of each value of the key ``change``, if it is swept.
    picks : tuple of str
        Lines on the settings that ``experiment=my_text`` has picked.
    """

    fixed: list[str]
    swept: dict[str, list[str]]
    composer: Composer
    plan: Plan
    config: DictConfig
    is_sweep: bool
    search: SearchRequest | None = None
    subdirs: list[str] | None = None
    changes: Mapping[str, list[str]] = field(default_factory=dict)
    picks: tuple[str, ...] = ()

    @property
    def sources(self) -> Sources:
        """The folders of options."""
        return self.composer.sources

    @property
    def runs(self) -> int:
        """The number of runs."""
        if self.search:
            return self.search.settings.n_trials
        return prod(len(values) for values in self.swept.values())

    def run_overrides(self) -> list[list[str]]:
        """Return the overrides of each run of a grid, without Hydra's own keys."""
        task = self.task
        runs = [_with(task, values, self.changes) for values in _combinations(self.swept)]
        if self.subdirs is None:
            return runs
        return [
            [*run, f"hydra.sweep.subdir={quoted(subdir)}"]
            for run, subdir in zip(runs, self.subdirs, strict=True)
        ]

    @property
    def task(self) -> list[str]:
        """The overrides of every run, without those of Hydra's own keys."""
        parsed = parse_overrides(self.fixed)
        return [str(override.input_line) for override in parsed if not override.is_hydra_override()]

    def sweep_arguments(self, folder: Path) -> list[str]:
        """Return the overrides of the sweep as a whole, in this folder.

        Hydra composes every run again, so values that hold for all of them come last. Paths are relative to the
        current folder of the command, also with ``hydra.job.chdir=true``: a run writes to its own folder anyway.
        """
        texts = {key: ",".join(values) for key, values in self.swept.items()}
        if self.search:
            texts = self.search.space.texts
        decided = [f"++hydra.sweep.dir={quoted(str(folder.absolute()))}", "++hydra.mode=MULTIRUN"]
        if "params" in self.config.hydra.sweeper:  # they are among the arguments
            decided.append("++hydra.sweeper.params=null")
        return [*_with(self.fixed, texts), *decided, "++hydra.job.chdir=false"]

    def plans(self) -> Iterator[tuple[dict[str, str], Plan]]:
        """Yield the swept values and the plan of every run.

        In a search these are corners of its space.
        """
        for values in _combinations(self.swept):
            yield values, plan_of(self.composer.compose(_with(self.fixed, values, self.changes)))


def check_command(parsed: Namespace, size: int | None = None, tokens: int | None = None) -> Command:
    """Return the command of a parsed command line, checked, with the picks of ``experiment=my_text``.

    Every key, every option and every value is checked, swept ones included. `size` and `tokens` are as in `with_picks`.

    Raises
    ------
    UserError
        For the first mistake, with a suggestion if a similar key or option exists.
    """
    sources = Sources.of(parsed)
    texts, picks = with_picks(sources, parsed.overrides, size, tokens)
    try:
        return replace(_checked_command(Composer(sources), texts, multirun=parsed.multirun), picks=picks)
    except HYDRA_ERRORS as error:
        raise explain(error, lambda: all_keys(sources, parsed.overrides)) from error


def _checked_command(composer: Composer, texts: list[str], *, multirun: bool) -> Command:
    sources = composer.sources
    overrides = parse_overrides(texts)
    given = {str(override.key_or_group) for override in overrides}
    fixed, swept = _split(sources, overrides)
    # For a single run without the copy that a composer keeps for other runs: 0.01 s.
    config = _first(composer if multirun or "repeats" in given else sources, fixed, swept)
    collect_garbage()  # the configurations of the other runs are not kept
    is_sweep = multirun or config.hydra.mode == RunMode.MULTIRUN
    if not is_sweep:
        refuse_sweep(swept.values())
    if is_sweep and (in_file := [text for key, text in _sweep_params(config) if key not in given]):
        fixed_in_file, swept_in_file = _split(sources, parse_overrides(in_file))
        fixed, swept = fixed_in_file + fixed, swept_in_file | swept
        config = _first(composer, fixed, swept)
    plan = plan_of(config)
    search = _search_request(config, plan, swept, given, is_sweep)
    values = search.space.sample_values() if search else {key: swept_values(swept[key]) for key in swept}
    if plan.repeats > 1:
        if search or "seed" in swept or "repeats" in swept:
            raise SettingError(
                "repeats",
                plan.repeats,
                "is not supported in a search, which runs each trial once. Repeat its best trial."
                if search
                else "sets the seeds itself. Do not sweep seed or repeats.",
            )
        fixed = [text for text in fixed if text.lstrip("+").partition("=")[0] != "seed"]
        values["seed"] = [str(plan.seed + number) for number in range(plan.repeats)]
        is_sweep = True
    changes: Mapping[str, list[str]] = {}
    if plan.changes or plan.change is not None:
        changes = _changes(config, plan, values, is_sweep)
        fixed = [text for text in fixed if text.lstrip("+").partition("=")[0] != CHANGE]
        values = {CHANGE: [*changes]} | {key: values[key] for key in values if key != CHANGE}
    if not search and (runs := prod(map(len, values.values()))) > MOST_RUNS:
        raise UserError(
            f"{', '.join(values)}: {runs:,} combinations; a sweep has at most {MOST_RUNS:,} runs. "
            "Sweep fewer values, or search: hydra/sweeper=optuna."
        )
    _check_launcher(config, list(values), is_sweep, plan)
    for key in [key for key in values if key != CHANGE]:
        # Seeds of repeats are consecutive numbers: the first and the last are enough.
        is_repeated = plan.repeats > 1 and key == "seed"
        for value in (values[key][0], values[key][-1]) if is_repeated else values[key]:
            try:
                _check_swept(composer, config, fixed, values, key, value)
            except HYDRA_ERRORS as error:
                hint = search.space.hint(key) if search else ""
                raise UserError(f"{explain(error)}{hint}") from error
    subdirs = None
    if is_sweep and search and not is_shipped_subdir(config):
        raise UserError("hydra.sweep.subdir: a search numbers the folders of its trials. Leave it out.")
    if is_sweep and not search:
        subdirs = _compose_runs(composer, config, fixed, values, changes)
    return Command(fixed, values, composer, plan, config, is_sweep, search, subdirs, changes)


def refuse_sweep(overrides: Iterable[Override]) -> None:
    """Raise `UserError` if an override has several values."""
    for override in overrides:
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: several values make a sweep; add -m to run it.")


def _split(sources: Sources, overrides: Sequence[Override]) -> tuple[list[str], dict[str, Override]]:
    """Return the overrides of all runs, and those of swept keys by key.

    Of several overrides of a key, only the last one is kept.
    """
    fixed: dict[str, str] = {}  # by the text before =, with its prefix
    swept: dict[str, Override] = {}
    for number, override in enumerate(overrides):
        key, text = str(override.key_or_group), str(override.input_line)
        place = text.partition("=")[0] if override.type == OverrideType.CHANGE else f"#{number}"
        fixed.pop(place, None)
        if key in CHOOSABLE:
            _require_options(sources, key, override, [*fixed.values()])
        if not override.is_sweep_override():
            swept.pop(key, None)
            fixed[place] = text
        elif isinstance(override.value(), Glob):
            options = override.value().filter(sources.options(key, [*fixed.values()]))
            if not options:
                raise UserError(f"{text}: matches nothing.")
            (swept[key],) = parse_overrides([f"{override.get_key_element()}=choice({','.join(options)})"])
        else:
            swept[key] = override
    return [*fixed.values()], swept


def _require_options(sources: Sources, key: str, override: Override, fixed: list[str]) -> None:
    """Refuse a value that cannot be the name of an option.

    For numbers and null, Hydra's errors do not name the key.
    """
    value = override.value()
    if isinstance(value, Glob) or (
        value is None and (override.is_delete() or key in ("experiment", "sweep"))
    ):
        return
    several = value.list if isinstance(value, ChoiceSweep) else value
    if not isinstance(several, list) or (key in GROUPS and not isinstance(value, ChoiceSweep)):
        several = [several]
    names = [each.text if isinstance(each, QuotedString) else each for each in several]
    if not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names):
        options = ", ".join(sources.options(key, fixed))
        raise UserError(f"{shown(str(override.input_line), 80)}: must name an option. Options: {options}.")


def _first(composer: Composer | Sources, fixed: list[str], swept: Mapping[str, Override]) -> DictConfig:
    """Return the configuration of the first run, checked for completeness."""
    values = {override.get_key_element(): first_value(override) for override in swept.values()}
    config = composer.compose(_with(fixed, values))
    for part in ("run", "sweep", "sweeper", "launcher", "job", "runtime", "overrides"):
        if not isinstance(OmegaConf.select(config, f"hydra.{part}"), DictConfig):
            raise UserError(f"hydra.{part}: needs a value.")
    for setting in fields(Plan):
        is_group = setting.name in GROUPS
        if setting.name not in config or (is_group and not OmegaConf.is_dict(config[setting.name])):
            raise UserError(f"{setting.name}: needs a value.")
    for key in config:  # added by +key=value
        if key in OTHER_NAMES:
            raise unknown_key(str(key), [])
    return config


def _sweep_params(config: DictConfig) -> Iterator[tuple[str, str]]:
    """Yield the key and override of each of ``hydra.sweeper.params``."""
    params = config.hydra.sweeper.get("params")
    if params is None:
        return
    if not isinstance(params, DictConfig):
        raise UserError("hydra.sweeper.params: must be a mapping, as window: 3,5.")
    for key, value in params.items():
        yield str(key).lstrip("+~"), f"{key!s}={'null' if value is None else value}"


def _search_request(
    config: DictConfig, plan: Plan, swept: dict[str, Override], given: set[str], is_sweep: bool
) -> SearchRequest | None:
    """Return the checked search of the command; None if it is not a search."""
    if not is_sweep and SWEEPERS not in given:
        return None
    if not is_search(config.hydra.sweeper):
        return None
    if not is_sweep:
        raise UserError(f"{SWEEPERS}=optuna: a search has several runs; add -m.")
    require_optuna()
    from w2v_exp.searching.search import SearchRequest
    from w2v_exp.searching.space import Space

    settings = read_search(config.hydra.sweeper)
    return SearchRequest(settings, settings.direction_for(plan), Space.of(swept))


def _check_launcher(config: DictConfig, swept: list[str], is_sweep: bool, plan: Plan) -> None:
    """Refuse a launcher without a sweep or for a pipe, and swept Hydra keys."""
    for key in swept:
        if key.startswith("hydra"):
            raise UserError(f"{key}: applies to the whole sweep and cannot be swept.")
    chosen = config.hydra.runtime.choices.get(LAUNCHERS, "basic")
    if chosen != "basic" and not is_sweep:
        raise UserError(f"{LAUNCHERS}={chosen}: runs a sweep; add -m, also for a sweep of one run.")
    if chosen != "basic" and isinstance(plan.corpus, FileCorpus) and plan.corpus.is_pipe:
        raise SettingError(
            "corpus.path",
            plan.corpus.path,
            f"is a pipe, which other processes cannot read. Save the text to a file, or leave out {LAUNCHERS}.",
        )
    if is_sweep and is_ours(config.hydra.launcher):
        read_settings(config.hydra.launcher).require_usable()


def _check_swept(
    composer: Composer,
    config: DictConfig,
    fixed: list[str],
    values: Mapping[str, list[str]],
    key: str,
    value: str,
) -> None:
    """Check one value of a swept key, with the first values of the others."""
    if key in GROUPS or key in ("experiment", "sweep"):
        first = {each: value if each == key else given[0] for each, given in values.items()}
        changed = composer.compose(_with(fixed, first))
    else:
        changed = config.copy()
        (override,) = parse_overrides([f"{key}={value}"])
        OmegaConf.update(changed, key, override.value())
    plan_of(changed)


def _compose_runs(
    composer: Composer,
    config: DictConfig,
    fixed: list[str],
    values: Mapping[str, list[str]],
    changes: Mapping[str, list[str]],
) -> list[str] | None:
    """Compose the runs of a grid, and check each change.

    Returns
    -------
    list of str or None
        The folder of each run below that of the sweep; None if they are numbered.
    """
    combinations = [*_combinations(values)]
    plans: dict[str, Plan] = {}  # of the first run with each change

    def compose(chosen: Mapping[str, str]) -> DictConfig:
        name = chosen[CHANGE] if changes else BASE
        try:
            composed = composer.compose(_with(fixed, chosen, changes))
            if changes and name not in plans:
                plans[name] = plan_of(composed)
        except (UserError, *HYDRA_ERRORS) as error:
            explained = explain(error, lambda: all_keys(composer.sources, fixed))
            raise explained if name == BASE else UserError(f"changes.{name}: {explained}") from error
        return composed

    composed = compose_distinct(compose, combinations)
    _require_distinct(plans)
    return None if is_shipped_subdir(config) else run_subdirs(composed, fixed, combinations)


def _combinations(values: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Yield the swept values of every run."""
    for combination in product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def _with(
    fixed: list[str], values: Mapping[str, str], changes: Mapping[str, list[str]] | None = None
) -> list[str]:
    """Return the overrides of a run with these swept values.

    Those of its change come last, so they prevail.
    """
    changed = changes[values[CHANGE]] if changes else []
    return [*fixed, *(f"{key}={value}" for key, value in values.items()), *changed]


# Sweeps of one change at a time: the base configuration, then the base with each of some named sets of overrides.

# A name is the value of an override and part of a run's name. Hydra parses the excluded words as other types than text.
CHANGE_NAME = re.compile(r"(?!(?:null|true|false|nan|inf)$)[a-z][\w.+-]{0,39}", re.ASCII | re.IGNORECASE)
OF_THE_SWEEP = ("changes", CHANGE, "sweep", "seed", "repeats", "estimate", "resume", "force")


def _changes(
    config: DictConfig, plan: Plan, values: Mapping[str, list[str]], is_sweep: bool
) -> dict[str, list[str]]:
    """Return the checked overrides of the base and of each change to run.

    Raises
    ------
    UserError
        For ``change`` without ``changes``, an unknown name, or what `read_changes` refuses.
    """
    if not plan.changes:
        raise SettingError(CHANGE, plan.change, "there are no changes. Add changes={name: key=value}.")
    if not is_sweep:
        raise UserError("changes: each change is a run of its own; add -m to run them.")
    if config.hydra.sweeper.get("_target_") != BASIC_SWEEPER:
        raise UserError(f"changes: not supported with another sweeper. Leave out {SWEEPERS}.")
    # Unresolved: an override may refer to the environment.
    spelled: Any = OmegaConf.to_container(config.changes, resolve=False)
    sets = read_changes(spelled, values.keys())
    wanted = values.get(CHANGE) or ([str(plan.change)] if plan.change is not None else [])
    for name in wanted:
        if name not in sets and name != BASE:
            raise UserError(f"{CHANGE}={shown(name, 80)}: not a change{suggestion(name, list(sets))}")
    return {BASE: []} | {name: sets[name] for name in wanted or sets if name != BASE}


def read_changes(changes: Mapping[Any, Any], swept: Collection[str]) -> dict[str, list[str]]:
    """Return the overrides of each change, by its name.

    Parameters
    ----------
    changes : mapping
        The value of ``changes``: for each name a text, as it would be typed on a command line, or a list of overrides.
    swept : collection of str
        The other keys of the sweep, which no change may set.

    Raises
    ------
    UserError
        For the first change that cannot be parsed, has several values for a key, or sets a key of the whole sweep.
    """
    sets = {}
    for name, given in changes.items():
        place = f"changes.{shown(str(name), 40)}"
        if not isinstance(name, str) or not CHANGE_NAME.fullmatch(name) or name == BASE:
            raise UserError(
                f"{place}: not a name of a change. Use up to 40 letters, digits and _.+- after a letter; "
                f"{BASE} is the configuration without a change."
            )
        try:
            texts = shlex.split(given) if isinstance(given, str) else given
        except ValueError as error:
            raise UserError(
                f"{place}={shown(given, 80)}: {str(error).lower()}. Close the quotation."
            ) from error
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{place}: must be overrides. Write {place}='key=value key=value'.")
        try:
            overrides = parse_overrides(texts)
        except (HydraException, UserError) as error:
            raise UserError(
                f"{place}={shown(shlex.join(texts), 80)}: not understood; write key=value, "
                "and quote a value with special characters."
            ) from error
        for override in overrides:
            key = str(override.key_or_group)
            if override.is_sweep_override():
                raise UserError(
                    f"{place}: {override.input_line} has several values. Make each a change of its own."
                )
            if override.is_hydra_override() or key in OF_THE_SWEEP:
                raise UserError(f"{place}: {key} applies to the whole sweep. Set it beside the changes.")
            if key in swept:
                raise UserError(
                    f"{place}: {key} is swept as well. Leave it out of the changes or of the sweep."
                )
        sets[name] = [str(override.input_line) for override in overrides]
    return sets


def _require_distinct(plans: Mapping[str, Plan]) -> None:
    """Refuse a change with the same results as the base or another change.

    Parameters
    ----------
    plans : mapping of str to Plan
        By change, the base included; equal in all other swept keys.

    Raises
    ------
    UserError
        With the names of both.
    """
    earlier: dict[str, list[Any]] = {}
    for name, plan in plans.items():
        values = [getattr(plan, key.name) for key in fields(Plan) if key.name not in NOT_OF_THE_RESULT]
        for other, others in earlier.items():
            if values == others:
                same = "changes nothing" if other == BASE else f"makes the same run as changes.{other}"
                raise UserError(f"changes.{name}: {same}. Leave it out: '~changes.{name}'.")
        earlier[name] = values
