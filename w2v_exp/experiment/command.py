"""A command line, parsed and checked before any work; messages for what is wrong in it."""

from __future__ import annotations

import re
import shlex
import unicodedata
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from itertools import product
from math import prod
from os.path import lexists
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString
from hydra.errors import (
    ConfigCompositionException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, OmegaConf, StringNode
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from w2v_exp.choices import GROUPS
from w2v_exp.config import (
    HYDRA_ERRORS,
    Sources,
    first_value,
    options_of,
    parse_overrides,
    plan_of,
    quoted,
    swept_values,
    without_hydra,
)
from w2v_exp.errors import SettingError, UserError, shown, suggestion
from w2v_exp.experiment import SUBCOMMANDS
from w2v_exp.experiment.changes import read_changes, require_distinct, select_changes
from w2v_exp.experiment.folders import compose_distinct, is_shipped_subdir, run_subdirs
from w2v_exp.launching.settings import GROUP as LAUNCHERS
from w2v_exp.launching.settings import is_ours, read_settings
from w2v_exp.plan import MOST_RUNS, Plan
from w2v_exp.runs import BASE, CHANGE
from w2v_exp.searching.settings import GROUP as SWEEPERS
from w2v_exp.searching.settings import is_search, require_optuna
from w2v_exp.searching.settings import read_settings as read_search
from w2v_exp.text.corpus import FileCorpus

if TYPE_CHECKING:
    from w2v_exp.searching.search import SearchRequest


_KINDS: dict[type, str] = {
    IntegerNode: "must be a whole number.",
    FloatNode: "must be a number.",
    BooleanNode: "must be true or false.",
    StringNode: "must be text.",
}


# What gensim, word2vec.c and fastText call a setting, and what it is here.
OTHER_NAMES = {
    **dict.fromkeys(("vector_size", "size", "layer1_size"), "dim"),
    "sg": "model=skipgram or model=cbow",
    "cbow": "model=cbow or model=skipgram",
    "hs": "objective=hierarchical_softmax",
    **dict.fromkeys(("negative", "neg"), "objective=negative_sampling objective.negatives"),
    **dict.fromkeys(("alpha", "start_alpha", "lr"), "learning_rate"),
    **dict.fromkeys(("min_alpha", "end_alpha"), "schedule=linear schedule.floor, a share of learning_rate"),
    **dict.fromkeys(("min_count", "minCount"), "vocabulary.min_count"),
    **dict.fromkeys(("max_vocab_size", "max_final_vocab"), "vocabulary.max_size"),
    **dict.fromkeys(("sample", "t"), "subsampling=word2vec subsampling.threshold"),
    **dict.fromkeys(("iter", "epoch"), "epochs"),
    "ws": "window",
    "cbow_mean": "model=cbow model.context, mean or sum",
    "ns_exponent": "objective=negative_sampling objective.exponent",
    "shrink_windows": "shrinking_window",
    "batch_words": "batch_size",
    "thread": "threads, or workers with labels=blocks",
    **dict.fromkeys(("sentences", "corpus_file", "train", "input"), "corpus=file corpus.path"),
    "trim_rule": "vocabulary.min_count, max_size, max_frequency and stop_words",
    "sorted_vocab": "no option: words are always sorted by count",
    "hashfxn": "no option: initialization does not depend on it",
}


def explain(error: Exception, known_keys: Callable[[], Iterable[str]] = list) -> UserError:
    """Return what a person should read instead of an error of Hydra's or OmegaConf's.

    Parameters
    ----------
    error : Exception
        What Hydra raised while it composed the configuration.
    known_keys : callable, optional
        Returns all keys and groups, for suggestions: they have to be composed.
    """
    if isinstance(error, UserError):
        return error
    text = str(error)
    if isinstance(error, OverflowError):
        named = re.search(r"full_key: (\S+)", text)  # OmegaConf adds it to the text of such an error only
        return UserError(f"{named[1] if named else 'A value'}: the number is too large.")
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        missing = str(error.missing_cfg_file)
        group, _, option = missing.rpartition("/")
        if missing.startswith("corpus/") and lexists(path := missing.removeprefix("corpus/")):
            return UserError(
                f"corpus={path}: not an option. To train on this path: corpus=file corpus.path={shlex.quote(path)}."
            )
        if not group:
            return UserError(f"--config-name={option}: there is no {option}.yaml in the folders of options.")
        options = sorted(map(str, error.options or [])) or options_of(group)
        place = f"{group}={option}"
        return UserError(
            f"{place}: not an option{suggestion(option, options)} Options: {', '.join(options)}."
        )
    if isinstance(error, OverrideParseException):
        return UserError(
            f"{shown(str(error.override), 80)}: not understood; write key=value, "
            "and quote a value with special characters."
        )
    cause = error.__cause__ or error.__context__ if isinstance(error, ConfigCompositionException) else error
    if not isinstance(cause, OmegaConfBaseException):
        return UserError(text.strip().splitlines()[0] if text.strip() else type(error).__name__)
    key = str(cause.full_key or cause.key)
    in_file = re.match(r"In '[^']*': ", text)
    if in_file and key in ("experiment", "sweep"):
        return UserError(f"{in_file[0]}{key}: unknown key. Begin the file with the line # @package _global_.")
    explained = _explain_value(cause, key, known_keys)
    return UserError(f"{in_file[0]}{explained}") if in_file else explained


def _explain_value(
    error: OmegaConfBaseException, key: str, known_keys: Callable[[], Iterable[str]]
) -> UserError:
    if isinstance(error, (ConfigKeyError, ConfigAttributeError)):
        return unknown_key(key, known_keys())
    if isinstance(error, MissingMandatoryValue):
        return UserError(f"{key}: needs a value.")
    if isinstance(error, ValidationError) and error.value is None:
        return UserError(f"{key}=null: needs a value.")
    if isinstance(error, ValidationError) and type(error.child_node) in _KINDS:
        return SettingError(key, error.value, _KINDS[type(error.child_node)])
    return UserError(f"{key}: {str(error.msg or error).splitlines()[0]}")


def unknown_key(key: str, known_keys: Iterable[str]) -> UserError:
    """Return the answer to a key that does not exist."""
    if key in OTHER_NAMES:
        return UserError(f"{key}: unknown key. Here it is {OTHER_NAMES[key]}.")
    prefix, _, last = key.rpartition(".")
    if options := _options_with(prefix, last):
        return UserError(f"{key}: unknown key. It belongs to {' or '.join(options)}; add that option.")
    known = list(known_keys)
    settings = {each.name for made in GROUPS.get(prefix, {}).values() for each in fields(made)}
    for close in get_close_matches(last, sorted(settings), n=1, cutoff=0.7):
        belongs = f" It belongs to {' or '.join(_options_with(prefix, close))}; add that option."
        is_known = f"{prefix}.{close}" in known
        return UserError(f"{key}: unknown key, did you mean {prefix}.{close}?{'' if is_known else belongs}")
    siblings = [name for name in known if name.rpartition(".")[0] == prefix]
    nearest = suggestion(key, siblings if siblings else known)
    if nearest == "." and (elsewhere := [name for name in known if name.rpartition(".")[2] == last]):
        nearest = f", did you mean {elsewhere[0]}?"
    elif nearest == "." and siblings and prefix:
        nearest = f". Known: {', '.join(siblings)}."
    return UserError(f"{key}: unknown key{nearest}")


def _options_with(group: str, setting: str) -> list[str]:
    """Return the options of a group that have a setting, as ``group=option``."""
    options = {name: made for name, made in GROUPS.get(group, {}).items() if name in options_of(group)}
    return [
        f"{group}={name}" for name, made in options.items() if setting in (each.name for each in fields(made))
    ]


def known_keys(config: DictConfig) -> list[str]:
    """Return every key of a configuration, dotted, and the groups."""
    keys: list[str] = [*GROUPS, "experiment", "sweep"]
    for key, value in config.items_ex(resolve=False):
        if isinstance(value, DictConfig):
            keys += [f"{key!s}.{setting!s}" for setting in value if setting != "name"]
        elif key not in keys:
            keys.append(str(key))
    return keys


CHOOSABLE = (*GROUPS, "experiment", "sweep", SWEEPERS, LAUNCHERS)
BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
LONGEST_NAME = 200  # of an option, which is the name of a file
INFORMATION = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]


class Parser(ArgumentParser):
    """The flags of Hydra's command line, and the overrides.

    Hydra's own parser (1.3.8) cannot be made on Python 3.14, where help must be text (hydra #3121). It also has a flag
    that unpickles a file.
    """

    def __init__(self) -> None:
        super().__init__(prog="w2v-exp", add_help=False, description="w2v_exp, by Hydra")
        add = self.add_argument
        add("overrides", nargs="*", help="key=value: what is to differ from the shipped configuration")
        add(
            "--help",
            "-h",
            nargs="?",
            const=True,
            metavar="GROUP",
            help="all keys and options; of a group, all settings",
        )
        add("--hydra-help", action="store_true", help="Hydra's flags")
        add("--version", action="store_true", help="the versions of w2v_exp and its main packages")
        add("--cfg", "-c", choices=["job", "hydra", "all"], help="print the configuration instead of a run")
        add("--resolve", action="store_true", help="with --cfg: resolve interpolations")
        add("--package", "-p", help="with --cfg: print only this part")
        add("--run", "-r", action="store_true", help="one run (the default)")
        add("--multirun", "-m", action="store_true", help="a sweep over all combinations of values")
        add("--shell-completion", "-sc", action="store_true", help="install or uninstall shell completion")
        add("--config-path", "-cp", help="a folder that comes before the shipped configuration")
        add("--config-name", "-cn", help="another primary configuration than config")
        add("--config-dir", "-cd", help="a folder with more options")
        add(
            "--info",
            "-i",
            const="all",
            nargs="?",
            choices=INFORMATION,
            help=f"print Hydra's information [{'|'.join(INFORMATION)}]",
        )

    def error(self, message: str) -> NoReturn:
        """Raise `UserError` instead of printing the usage and leaving the process."""
        raise UserError(f"{shown(message, 300)}. --hydra-help lists the flags.")


@dataclass(frozen=True)
class Command:
    """A command line, checked.

    Parameters
    ----------
    fixed : list of str
        The overrides that hold for every run.
    swept : dict of str to list of str
        The values of each swept key, in the order of the command; empty for a single run. Of a search, values by which
        each key can be checked.
    sources : Sources
        Where options are looked for.
    plan : Plan
        The first run, checked.
    config : DictConfig
        The first run's configuration, Hydra's own part included.
    is_sweep : bool
        Whether Hydra is to sweep, be it over one run.
    search : SearchRequest or None
        What is searched, and how, if the sweep is a search.
    subdirs : list of str or None
        The folder of each run below that of the sweep; None if it is the run's number.
    changes : dict of str to list of str
        The overrides of each value of the key ``change``, if it is swept.
    """

    fixed: list[str]
    swept: dict[str, list[str]]
    sources: Sources
    plan: Plan
    config: DictConfig
    is_sweep: bool
    search: SearchRequest | None = None
    subdirs: list[str] | None = None
    changes: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """The number of runs."""
        if self.search:
            return self.search.settings.n_trials
        return prod(len(values) for values in self.swept.values())

    def run_overrides(self) -> list[list[str]]:
        """Return what is to be overridden for each run of a grid, beside Hydra's own keys."""
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
        """The overrides that hold for every run and are not of Hydra's own keys."""
        parsed = parse_overrides(self.fixed)
        return [str(override.input_line) for override in parsed if not override.is_hydra_override()]

    def sweep_arguments(self, folder: Path) -> list[str]:
        """Return the overrides of the sweep as a whole, in this folder.

        Hydra composes every run again; so what has been decided for all of them stands last. Paths are meant from the
        folder of the command, also with ``hydra.job.chdir=true``: a run writes to its own folder anyway.
        """
        texts = {key: ",".join(values) for key, values in self.swept.items()}
        if self.search:
            texts = self.search.space.texts
        decided = [f"++hydra.sweep.dir={quoted(str(folder.absolute()))}", "++hydra.mode=MULTIRUN"]
        if "params" in self.config.hydra.sweeper:  # they are among the arguments
            decided.append("++hydra.sweeper.params=null")
        return [*_with(self.fixed, texts), *decided, "++hydra.job.chdir=false"]

    def plans(self) -> Iterator[tuple[dict[str, str], Plan]]:
        """Return the plan of every run, with its swept values; of a search, of its space's corners."""
        for values in _combinations(self.swept):
            yield values, plan_of(self.sources.compose(_with(self.fixed, values, self.changes)))


def parse(arguments: Sequence[str]) -> Namespace:
    """Return the flags and overrides of a command line, in any order.

    Raises
    ------
    UserError
        If it is not understood, or has characters that are no text.
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
    """Return the message for a word that is neither ``key=value`` nor a sub-command in the first place."""
    if word in SUBCOMMANDS:
        return UserError(f"{word}: a sub-command comes first: w2v-exp {word} …")
    listed = f"Sub-commands: {', '.join(SUBCOMMANDS)}. Values are written key=value."
    return UserError(f"{shown(word, 80)}: not a sub-command{suggestion(word, SUBCOMMANDS)} {listed}")


def asks_for_information(parsed: Namespace) -> bool:
    """Return whether the command line asks for information of Hydra's (``--cfg``, ``--info`` …), not for a run."""
    return bool(parsed.hydra_help or parsed.cfg or parsed.info or parsed.shell_completion)


def understand(parsed: Namespace) -> Command:
    """Check a command line: every key, every option and every value, swept ones included.

    Raises
    ------
    UserError
        With what is wrong and what is meant, perhaps.
    """
    sources = Sources.of(parsed)
    try:
        return _understand(sources, parsed.overrides, multirun=parsed.multirun)
    except HYDRA_ERRORS as error:
        raise explain(error, lambda: all_keys(sources, parsed.overrides)) from error


def _understand(sources: Sources, texts: list[str], *, multirun: bool) -> Command:
    overrides = parse_overrides(texts)
    given = {str(override.key_or_group) for override in overrides}
    fixed, swept = _split(sources, overrides)
    config = _first(sources, fixed, swept)
    is_sweep = multirun or config.hydra.mode == RunMode.MULTIRUN
    if not is_sweep:
        refuse_sweep(swept.values())
    if is_sweep and (in_file := [text for key, text in _sweep_params(config) if key not in given]):
        fixed_in_file, swept_in_file = _split(sources, parse_overrides(in_file))
        fixed, swept = fixed_in_file + fixed, swept_in_file | swept
        config = _first(sources, fixed, swept)
    plan = plan_of(config)
    search = _search_request(config, plan, swept, given, is_sweep)
    values = search.space.sample_values() if search else {key: swept_values(swept[key]) for key in swept}
    if plan.repeats > 1:
        if search or "seed" in swept or "repeats" in swept:
            raise SettingError(
                "repeats",
                plan.repeats,
                "a search tries everything once; repeat its best."
                if search
                else "repeats make seeds of their own; do not sweep seed or repeats.",
            )
        fixed = [text for text in fixed if text.lstrip("+").partition("=")[0] != "seed"]
        values["seed"] = [str(plan.seed + number) for number in range(plan.repeats)]
        is_sweep = True
    changes: Mapping[str, list[str]] = {}
    if plan.changes or plan.change is not None:
        changes = _asked_changes(config, plan, values, is_sweep)
        fixed = [text for text in fixed if text.lstrip("+").partition("=")[0] != CHANGE]
        values = {CHANGE: [*changes]} | {key: values[key] for key in values if key != CHANGE}
    if not search and (runs := prod(map(len, values.values()))) > MOST_RUNS:
        raise UserError(
            f"{', '.join(values)}: {runs:,} combinations; a sweep has at most {MOST_RUNS:,} runs. "
            "Sweep fewer values, or search: hydra/sweeper=optuna."
        )
    _check_launcher(config, list(values), is_sweep, plan)
    for key in [key for key in values if key != CHANGE]:
        # Where all are whole numbers in a row, as the seeds of repeats, the ends do for all of them.
        is_repeated = plan.repeats > 1 and key == "seed"
        for value in (values[key][0], values[key][-1]) if is_repeated else values[key]:
            try:
                _check_swept(sources, config, fixed, values, key, value)
            except HYDRA_ERRORS as error:
                hint = search.space.hint(key) if search else ""
                raise UserError(f"{explain(error)}{hint}") from error
    subdirs = None
    if is_sweep and search and not is_shipped_subdir(config):
        raise UserError("hydra.sweep.subdir: a search finds its trials by their numbers; leave it as it is.")
    if is_sweep and not search:
        subdirs = _compose_runs(sources, config, fixed, values, changes)
    return Command(fixed, values, sources, plan, config, is_sweep, search, subdirs, changes)


def refuse_sweep(overrides: Iterable[Override]) -> None:
    """Raise `UserError` if an override has several values, which only a sweep can have."""
    for override in overrides:
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: several values make a sweep; add -m to run it.")


def _compose_runs(
    sources: Sources,
    config: DictConfig,
    fixed: list[str],
    values: Mapping[str, list[str]],
    changes: Mapping[str, list[str]],
) -> list[str] | None:
    """Compose the runs of a grid and return their folders, None if these are their numbers; check each change."""
    combinations = [*_combinations(values)]
    plans: dict[str, Plan] = {}  # of the first run with each change

    def compose(chosen: Mapping[str, str]) -> DictConfig:
        name = chosen[CHANGE] if changes else BASE
        try:
            composed = sources.compose(_with(fixed, chosen, changes))
            if changes and name not in plans:
                plans[name] = plan_of(composed)
        except (UserError, *HYDRA_ERRORS) as error:
            explained = explain(error, lambda: all_keys(sources, fixed))
            raise explained if name == BASE else UserError(f"changes.{name}: {explained}") from error
        return composed

    composed = compose_distinct(compose, combinations)
    require_distinct(plans)
    return None if is_shipped_subdir(config) else run_subdirs(composed, fixed, combinations)


def _asked_changes(
    config: DictConfig, plan: Plan, values: Mapping[str, list[str]], is_sweep: bool
) -> dict[str, list[str]]:
    """Return the base and the changes that are asked for, with their overrides, checked one by one."""
    if not plan.changes:
        raise SettingError(CHANGE, plan.change, "there are no changes. Add changes={name: key=value}.")
    if not is_sweep:
        raise UserError("changes: each makes a run of its own; add -m to run them.")
    if config.hydra.sweeper.get("_target_") != BASIC_SWEEPER:
        raise UserError(f"changes: run as a list, not by another sweeper. Leave out {SWEEPERS}.")
    # As they are spelled: one may refer to the environment.
    spelled: Any = OmegaConf.to_container(config.changes, resolve=False)
    sets = read_changes(spelled, values.keys())
    return select_changes(sets, values.get(CHANGE) or ([str(plan.change)] if plan.change is not None else []))


def _combinations(values: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Return the values of every run."""
    for combination in product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def _with(
    fixed: list[str], values: Mapping[str, str], changes: Mapping[str, list[str]] | None = None
) -> list[str]:
    """Return the overrides of a run by its swept values; those of its change stand last, and so prevail."""
    changed = changes[values[CHANGE]] if changes else []
    return [*fixed, *(f"{key}={value}" for key, value in values.items()), *changed]


def _split(sources: Sources, overrides: Sequence[Override]) -> tuple[list[str], dict[str, Override]]:
    """Return the overrides that hold for all runs, and those of swept keys, by key; of a key, the last one counts."""
    fixed: list[str] = []
    swept: dict[str, Override] = {}
    for override in overrides:
        key = str(override.key_or_group)
        if key in CHOOSABLE:
            _require_options(sources, key, override, fixed)
        if not override.is_sweep_override():
            swept.pop(key, None)
            fixed.append(str(override.input_line))
        elif isinstance(override.value(), Glob):
            options = override.value().filter(sources.options(key, fixed))
            if not options:
                raise UserError(f"{override.input_line}: matches nothing.")
            (swept[key],) = parse_overrides([f"{override.get_key_element()}=choice({','.join(options)})"])
        else:
            swept[key] = override
    return fixed, swept


def _require_options(sources: Sources, key: str, override: Override, fixed: list[str]) -> None:
    """Refuse what is no name of an option: of numbers and null Hydra raises errors that do not name the key."""
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


def _first(sources: Sources, fixed: list[str], swept: Mapping[str, Override]) -> DictConfig:
    """Return the configuration of the first run, of which Hydra's part is whole."""
    values = {override.get_key_element(): first_value(override) for override in swept.values()}
    config = sources.compose(_with(fixed, values))
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
    """Return what a file sweeps (``hydra.sweeper.params``): its keys, and as overrides."""
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
    """Return the search that is asked for, checked; None if the sweep is no search, or there is no sweep."""
    if not is_search(config.hydra.sweeper):
        return None
    if not is_sweep:
        if SWEEPERS in given:
            raise UserError(f"{SWEEPERS}=optuna: searches by many runs; add -m.")
        return None
    require_optuna()
    from w2v_exp.searching.search import SearchRequest
    from w2v_exp.searching.space import Space

    settings = read_search(config.hydra.sweeper)
    return SearchRequest(settings, settings.direction_for(plan), Space.of(swept))


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
    if is_ours(config.hydra.launcher):
        read_settings(config.hydra.launcher).require_usable()


def _check_swept(
    sources: Sources,
    config: DictConfig,
    fixed: list[str],
    values: Mapping[str, list[str]],
    key: str,
    value: str,
) -> None:
    """Check one value of one swept key, everything else being as in the first run."""
    if key in GROUPS or key in ("experiment", "sweep"):
        first = {each: value if each == key else given[0] for each, given in values.items()}
        changed = sources.compose(_with(fixed, first))
    else:
        changed = config.copy()
        (override,) = parse_overrides([f"{key}={value}"])
        OmegaConf.update(changed, key, override.value())
    plan_of(changed)


def all_keys(sources: Sources, overrides: Sequence[str]) -> list[str]:
    """Return all keys, as far as the choices on the command line can be made."""
    choices = [text for text in overrides if text.split("=", 1)[0] in CHOOSABLE and "," not in text]
    for chosen in (choices, []):
        try:
            config = sources.compose(chosen)
        except (UserError, *HYDRA_ERRORS):
            continue
        spreading = [f"hydra.{part}.{key}" for part in ("sweeper", "launcher") for key in config.hydra[part]]
        return [*known_keys(without_hydra(config)), *spreading]
    return []
