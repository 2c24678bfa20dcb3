"""Hydra's errors, said again for people: the key, the value, what is allowed, the nearest known spelling."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Iterable
from os.path import lexists

from hydra.errors import (
    ConfigCompositionException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from w2v_exp.choices import GROUPS
from w2v_exp.config import options_of
from w2v_exp.errors import SettingError, UserError
from w2v_exp.reporting.escape import shown
from w2v_exp.validation import suggestion

_KINDS = {
    "Integer": "must be a whole number.",
    "Float": "must be a number.",
    "Boolean": "must be true or false.",
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
        key = re.search(r"full_key: (\S+)", text)
        return UserError(f"{key[1] if key else 'A value'}: the number is too large.")
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
    if unknown := re.match(r"Could not (?:override|append to config|delete.*?) ?'([^'=]+)", text):
        return unknown_key(unknown[1].strip(), known_keys())
    if "Ambiguous value for argument" in text:
        argument = re.search(r"'([^']*)'", text)
        return UserError(
            f"{argument[1] if argument else text}: several values make a sweep; add -m to run it."
        )
    cause = error.__cause__ or error.__context__ if isinstance(error, ConfigCompositionException) else error
    if isinstance(cause, OmegaConfBaseException):
        in_file = re.match(r"In '[^']*': ", text)
        return UserError(f"{in_file[0] if in_file else ''}{_explain_value(cause)}")
    return UserError(text.strip().splitlines()[0] if text.strip() else type(error).__name__)


def unknown_key(key: str, known_keys: Iterable[str]) -> UserError:
    """Return the answer to a key that does not exist."""
    if key in OTHER_NAMES:
        return UserError(f"{key}: unknown key. Here it is {OTHER_NAMES[key]}.")
    prefix, _, last = key.rpartition(".")
    if options := _options_with(prefix, last):
        return UserError(f"{key}: unknown key. It belongs to {' or '.join(options)}; add that option.")
    known = list(known_keys)
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
        f"{group}={name}"
        for name, made in options.items()
        if setting in (field.name for field in dataclasses.fields(made))
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


def _explain_value(error: OmegaConfBaseException) -> UserError:
    text = str(error.msg or error).splitlines()[0]
    key = str(error.full_key or error.key)
    if found := re.match(r"Value '(.*)' of type '.*' could not be converted to (\w+)", text):
        return SettingError(key, found[1], _KINDS.get(found[2], f"must be of type {found[2]}."))
    if found := re.match(r"Value '(.*)' is not a valid bool", text):
        return SettingError(key, found[1], _KINDS["Boolean"])
    if "is not Optional" in text or "Incompatible value 'None'" in text:
        return UserError(f"{key}=null: needs a value.")
    if "Missing mandatory value" in text:
        return UserError(f"{key}: needs a value.")
    if "not in" in text and "Key" in text:
        return UserError(f"{key}: unknown key.")
    return UserError(f"{key}: {text}")
