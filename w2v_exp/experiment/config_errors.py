"""Messages for unknown keys and options, and for values of a wrong type.

Hydra and OmegaConf raise about twenty kinds of errors. Each becomes one line with the key, the problem and a remedy.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from os.path import lexists

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, StringNode
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from w2v_exp.choices import GROUPS
from w2v_exp.config import HYDRA_ERRORS, Sources, options_of, without_hydra
from w2v_exp.errors import SettingError, UserError, shown, suggestion
from w2v_exp.launching.settings import GROUP as LAUNCHERS
from w2v_exp.searching.settings import GROUP as SWEEPERS
from w2v_exp.text.file_search import is_address

CHOOSABLE = (*GROUPS, "experiment", "sweep", SWEEPERS, LAUNCHERS)
EXPECTED: dict[type, str] = {
    IntegerNode: "must be a whole number.",
    FloatNode: "must be a number.",
    BooleanNode: "must be true or false.",
    StringNode: "must be text.",
}
# Names of settings in gensim, word2vec.c and fastText, and the remedy for each.
OTHER_NAMES = {
    **dict.fromkeys(("vector_size", "size", "layer1_size"), "Use dim."),
    "sg": "Use model=skipgram or model=cbow.",
    "cbow": "Use model=cbow or model=skipgram.",
    "hs": "Use objective=hierarchical_softmax.",
    **dict.fromkeys(("negative", "neg"), "Use objective=negative_sampling objective.negatives."),
    **dict.fromkeys(("alpha", "start_alpha", "lr"), "Use learning_rate."),
    **dict.fromkeys(
        ("min_alpha", "end_alpha"), "Use schedule=linear schedule.floor, a share of learning_rate."
    ),
    **dict.fromkeys(("min_count", "minCount"), "Use vocabulary.min_count."),
    **dict.fromkeys(("max_vocab_size", "max_final_vocab"), "Use vocabulary.max_size."),
    **dict.fromkeys(("sample", "t"), "Use subsampling=word2vec subsampling.threshold."),
    **dict.fromkeys(("iter", "epoch"), "Use epochs."),
    "ws": "Use window.",
    "cbow_mean": "Use model=cbow model.context, mean or sum.",
    "ns_exponent": "Use objective=negative_sampling objective.exponent.",
    "shrink_windows": "Use shrinking_window.",
    "batch_words": "Use batch_size.",
    "thread": "Use threads, or workers with labels=blocks.",
    **dict.fromkeys(("sentences", "corpus_file", "train", "input"), "Use corpus=file corpus.path."),
    "trim_rule": "Use vocabulary.min_count, max_size, max_frequency and stop_words.",
    "sorted_vocab": "Leave it out: words are always sorted by count.",
    "hashfxn": "Leave it out: initialization does not depend on it.",
}


def explain(error: Exception, known_keys: Callable[[], Iterable[str]] = list) -> UserError:
    """Return a message for a user in place of an error of Hydra or OmegaConf.

    Parameters
    ----------
    error : Exception
        Raised by Hydra during the composition of the configuration.
    known_keys : callable, optional
        Returns all keys and groups, for suggestions. It is called only for an unknown key: it composes a configuration.
    """
    if isinstance(error, UserError):
        return error
    text = str(error)
    if isinstance(error, OverflowError):
        named = re.search(r"full_key: (\S+)", text)  # OmegaConf has the key in the text of this error only
        return UserError(f"{named[1] if named else 'A value'}: the number is too large.")
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_file(str(error.missing_cfg_file), sorted(map(str, error.options or [])))
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
    explained = _invalid_value(cause, key, known_keys)
    return UserError(f"{in_file[0]}{explained}") if in_file else explained


def _missing_file(missing: str, options: list[str]) -> UserError:
    """Return the message for an option that has no file."""
    group, _, option = missing.rpartition("/")
    path = missing.removeprefix("corpus/")
    if path != missing and (lexists(path) or is_address(path)):
        return UserError(
            f"corpus={path}: not an option. To train on this path: corpus=file corpus.path={shlex.quote(path)}."
        )
    if not group:
        return UserError(f"--config-name={option}: there is no {option}.yaml in the folders of options.")
    options = options or options_of(group)
    return UserError(
        f"{group}={option}: not an option{suggestion(option, options)} Options: {', '.join(options)}."
    )


def _invalid_value(
    error: OmegaConfBaseException, key: str, known_keys: Callable[[], Iterable[str]]
) -> UserError:
    if isinstance(error, (ConfigKeyError, ConfigAttributeError)):
        return unknown_key(key, known_keys())
    if isinstance(error, MissingMandatoryValue):
        return UserError(f"{key}: needs a value.")
    if isinstance(error, ValidationError) and error.value is None:
        return UserError(f"{key}=null: needs a value.")
    if isinstance(error, ValidationError) and type(error.child_node) in EXPECTED:
        return SettingError(key, error.value, EXPECTED[type(error.child_node)])
    if isinstance(error, ValidationError) and "Union[int, str]" in str(error.msg):
        value = found[1] if (found := re.match(r"Value '(.*)' of type", str(error.msg))) else error.value
        return SettingError(key, value, "must be a whole number, 1 or more, or auto.")
    if "is not a ListConfig" in str(error.msg):
        return UserError(f"{key}: must be a list, in brackets: {key}=[…].")
    return UserError(f"{key}: {str(error.msg or error).splitlines()[0]}")


def unknown_key(key: str, known_keys: Iterable[str]) -> UserError:
    """Return the message for an unknown key, with the nearest known key."""
    if key in OTHER_NAMES:
        return UserError(f"{key}: unknown key. {OTHER_NAMES[key]}")
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
    if nearest != ".":
        return UserError(f"{key}: unknown key{nearest}")
    if elsewhere := [name for name in known if name.rpartition(".")[2] == last]:
        return UserError(f"{key}: unknown key, did you mean {elsewhere[0]}?")
    if siblings and prefix:
        return UserError(f"{key}: unknown key. Known: {', '.join(siblings)}.")
    return UserError(f"{key}: unknown key. w2v-exp --help lists all keys.")


def _options_with(group: str, setting: str) -> list[str]:
    """Return the options of a group that have a setting, as ``group=option``."""
    options = {name: made for name, made in GROUPS.get(group, {}).items() if name in options_of(group)}
    return [
        f"{group}={name}" for name, made in options.items() if setting in (each.name for each in fields(made))
    ]


def all_keys(sources: Sources, overrides: Sequence[str]) -> list[str]:
    """Return all known keys, for suggestions.

    The options on the command line, which add keys, are composed where possible.
    """
    choices = [text for text in overrides if text.split("=", 1)[0] in CHOOSABLE and "," not in text]
    for chosen in (choices, []):
        try:
            config = sources.compose(chosen)
        except (UserError, *HYDRA_ERRORS):
            continue
        of_hydra = [f"hydra.{part}.{key}" for part in ("sweeper", "launcher") for key in config.hydra[part]]
        return [*_keys_of(without_hydra(config)), *of_hydra]
    return []


def _keys_of(config: DictConfig) -> list[str]:
    """Return every dotted key of a configuration, and the groups."""
    keys: list[str] = [*GROUPS, "experiment", "sweep"]
    for key, value in config.items_ex(resolve=False):
        if isinstance(value, DictConfig):
            keys += [f"{key!s}.{setting!s}" for setting in value if setting != "name"]
        elif key not in keys:
            keys.append(str(key))
    return keys
