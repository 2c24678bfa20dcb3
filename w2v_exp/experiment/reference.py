"""List all groups, options and settings, for ``--help`` and the reference.

Defaults and comments are read from the files in ``conf/``, types from the classes of the options. The meaning of a
setting without a comment is that of the class's docstring.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml import YAMLError

from w2v_exp.choices import GROUPS, option_class
from w2v_exp.errors import UserError, spelled, suggestion
from w2v_exp.experiment import SUBCOMMANDS
from w2v_exp.loader import config_folder
from w2v_exp.plan import AUTO, AUTOMATIC, Plan

PURPOSES = {
    "corpus": "The text to train on.",
    "tokenizer": "The function that splits a text into words.",
    "vocabulary": "The words that are kept.",
    "subsampling": "Random removal of frequent words before pairs are made.",
    "labels": "The representation of (centre, context) pairs and their labels in memory.",
    "model": "The direction of prediction: from the centre word to its context, or from the context to the centre.",
    "objective": "The cost that training minimises.",
    "initialization": "The parameters that training starts from.",
    "optimizer": "The rule that turns gradients into steps.",
    "schedule": "The change of the learning rate during training.",
    "validation": "A held-out part of the text, to measure the cost on pairs that are not trained on.",
    "cache": "Encoded texts and counts that are kept on disk for later runs.",
    "counting": "The engine that counts the pairs of long texts (labels=counts). The counts do not depend on it.",
    "evaluation": "Scores of embeddings on word pairs and analogies, and associations of sets of words.",
    "explorer": "A page to explore the embeddings of a run in a browser.",
    "slices": "Embeddings for each slice of the text, such as its years, and the words that change.",
    "tracking": "The store of parameters, metrics and artifacts.",
    "checkpoint": "Saved states of training, from which an interrupted run can resume.",
    "stop": "Rules that end training before its last epoch.",
    "experiment": "Named configurations. Any key can still be overridden on the command line.",
    "sweep": "Named sweeps. Run the same command again to resume an interrupted one.",
    "hydra/sweeper": "The choice of the runs of a sweep. Without it: all combinations of the given values.",
    "hydra/launcher": "The execution of the runs of a sweep. Without it: one after the other, in one process.",
}
_KINDS = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "NoneType": "null",
}


class Setting(NamedTuple):
    """A key with a value.

    Parameters
    ----------
    key : str
        Without its group.
    kind : str
        The type, in words.
    default : str
        As on the command line; in an option, the default of this option.
    meaning : str
        From the comment behind the key, or from the class's docstring.
    """

    key: str
    kind: str
    default: str
    meaning: str


class Option(NamedTuple):
    """An option of a group: a file in ``conf/``.

    Parameters
    ----------
    name : str
        Name of the file, without its suffix.
    comment : list of str
        Lines of the first comment.
    settings : list of Setting
        Keys of the option; empty for experiments and sweeps, which set keys of other groups.
    """

    name: str
    comment: list[str]
    settings: list[Setting]


def default_options() -> dict[str, str | None]:
    """Return the default option of each group of `PURPOSES`; None: no option."""
    chosen: dict[str, str | None] = dict.fromkeys(PURPOSES)
    for entry in _read(config_folder() / "config.yaml")["defaults"]:
        if isinstance(entry, dict):
            chosen |= {group: option for group, option in entry.items() if group in PURPOSES}
    return chosen


def top_level_values() -> list[Setting]:
    """Return the keys of the top level that are not groups."""
    main = config_folder() / "config.yaml"
    types, meanings = typing.get_type_hints(Plan), _comments(main)
    return [
        Setting(
            key,
            _kind(types[key]) + (f" or {AUTO}" if key in AUTOMATIC else ""),
            spelled(value),
            meanings.get(key, ""),
        )
        for key, value in _read(main).items()
        if key not in ("defaults", "hydra")
    ]


def options(group: str, own: str | None = None) -> list[Option]:
    """Return the options of a group in ``conf/``, sorted by name.

    Those in a folder of the user's own (``--config-dir``) follow, or replace shipped options of the same name.
    """
    found = {file.stem: _option(group, file) for file in sorted((config_folder() / group).glob("*.yaml"))}
    for file in sorted(Path(own, group).glob("*.yaml")) if own else []:
        try:
            found[file.stem] = _option(group, file)
        except (UserError, OSError, ValueError, YAMLError):  # a run prints what is wrong in the file
            found[file.stem] = Option(file.stem, [], [])
    return [*found.values()]


def _option(group: str, file: Path) -> Option:
    return Option(file.stem, _first_comment(file), list(_settings(group, file)))


def _settings(group: str, file: Path) -> Iterator[Setting]:
    if group in ("experiment", "sweep"):
        return
    values, meanings = _read(file), _comments(file)
    if group not in GROUPS:
        for key, value in values.items():
            if key not in ("_target_", "name"):
                yield Setting(key, "", spelled(value), meanings.get(key, ""))
        return
    schema = re.search(r"/schema/\S+/(\w+)@", str(values.get("defaults", "")))
    made = option_class(group, str(values.get("name") or (schema[1] if schema else file.stem)))
    types, documented = typing.get_type_hints(made), _documented(made)
    for field in dataclasses.fields(made):
        make = field.default_factory
        default = field.default if make is dataclasses.MISSING else make()
        meaning = meanings.get(field.name) or documented.get(field.name, "")
        yield Setting(field.name, _kind(types[field.name]), spelled(values.get(field.name, default)), meaning)


def _read(file: Path) -> dict[str, Any]:
    values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    if not isinstance(values, dict):
        raise ValueError(f"{file}: is not a mapping.")
    return values


def _first_comment(file: Path) -> list[str]:
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        if not line.startswith(("# @package", "# w2v-exp", "# python -m")):
            lines.append(line[2:])
    return lines


def _comments(file: Path) -> dict[str, str]:
    """Return the comments behind the top-level keys of a configuration file."""
    found: dict[str, str] = {}
    key = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"(\w+):[^#]*(?:# (.*))?$", line):
            key = match[1]
            found[key] = match[2] or ""
        elif key and (more := re.match(r" {8,}# (.*)$", line)):
            found[key] += f" {more[1]}"
    return found


def _documented(made: type) -> dict[str, str]:
    """Return the description of each parameter in a class's docstrings."""
    found: dict[str, str] = {}
    for each in reversed(made.__mro__):
        text = inspect.cleandoc(each.__doc__ or "") if each is not object else ""
        if section := re.search(r"^(?:Parameters|Attributes)\n-+\n((?:.+\n?)+)", text, flags=re.MULTILINE):
            for names, meaning in re.findall(
                r"^([\w, ]+) : .*\n((?: {4}.*\n?)+)", section[1], flags=re.MULTILINE
            ):
                found |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return found


def _kind(hint: Any) -> str:
    """Return a type in words.

    >>> _kind(int), _kind(list[str] | None)
    ('whole number', 'list or null')
    """
    alternatives = typing.get_args(hint) if typing.get_origin(hint) not in (list, dict) else ()
    if alternatives:
        return " or ".join(map(_kind, alternatives))
    name = getattr(typing.get_origin(hint) or hint, "__name__", "")
    return {"dict": "mapping"}.get(name, _KINDS.get(name, name))


USAGE = """\
Train word embeddings in many configurations with a NumPy word2vec, and compare
the results.

  w2v-exp                                one run: the article on its sentence
  w2v-exp window=5 optimizer=adam        one run with another value and option
  w2v-exp window=3,5 dim=10,50 -m        a sweep over all combinations
  w2v-exp 'changes={wide: window=5, deep: epochs=9000}' -m
                                         the base, and the base with each change
  w2v-exp experiment=my_text corpus.path=books/
                                         your own text, settings by its size
  w2v-exp experiment=article             a named experiment
  w2v-exp sweep=schedules                a named sweep
  w2v-exp optimizer=adam --cfg job       print the configuration, run nothing
  w2v-exp --help objective               all options and settings of a group

`python -m w2v_exp` is the same command. Put quotes around a value with special
characters: 'corpus.text="a rose is a rose"'. --config-dir adds your own folder
of options; --hydra-help lists Hydra's other flags.

Sub-commands (w2v-exp SUB-COMMAND --help):"""
ESTIMATE_USAGE = """\
Print the estimated memory and training time of each label encoding, and train nothing.

  w2v-exp estimate window=5                                             for the article's sentence
  w2v-exp estimate experiment=my_text corpus.path=big.txt               for a text of your own
  w2v-exp estimate window=3,5 dim=100,200 -m                            for each run of a sweep

The values are those of a run: see w2v-exp --help."""


def help_text(own: str | None = None) -> str:
    """Return the text of ``--help``, with the options in the folder `own`."""
    commands = [_row(name, meaning) for name, meaning in SUBCOMMANDS.items()]
    lines = ["Values (key=value):"]
    lines += [_row(f"{each.key}={each.default}", each.meaning) for each in top_level_values()]
    sections = ["\n".join([USAGE, *commands]), "\n".join(lines)]
    for group, default in default_options().items():
        lines = [_group_line(group, default)]
        for option in options(group, own):
            name = f"{option.name}{DEFAULT if option.name == default else ''}"
            lines.append(_row(name, option.comment[0] if option.comment else ""))
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def _row(name: str, meaning: str) -> str:
    """Return a line of a table; on a terminal, the meaning is wrapped within its column."""
    if not sys.stdout.isatty():
        return f"  {name:24} {meaning}".rstrip()
    first, *others = _wrapped(" " * 27, meaning) or [""]
    return "\n".join([f"  {name:24} {first.lstrip()}".rstrip(), *others])


def group_help(name: str, own: str | None = None) -> str:
    """Return the text of ``--help NAME``: the options of a group, or a key.

    The options in the folder `own` are as in `options`.

    Raises
    ------
    UserError
        If `name` is neither a group nor a key.
    """
    values = {each.key: each for each in top_level_values()}
    if name in values:
        return "\n".join(_setting_lines("", values[name], ""))
    short = {group.rpartition("/")[2]: group for group in PURPOSES}
    group = short.get(name, name if name in PURPOSES else name.partition(".")[0])
    if group not in PURPOSES:
        raise UserError(
            f"--help {name}: not a group or key{suggestion(name, [*PURPOSES, *values])} Groups: {', '.join(PURPOSES)}."
        )
    default = default_options()[group]
    lines = [_group_line(group, default)]
    if any(option.settings for option in options(group, own)):
        lines.append("Each setting is printed with its default.")
    for option in options(group, own):
        lines += ["", f"{group}={option.name}{DEFAULT if option.name == default else ''}"]
        lines += _wrapped("    ", " ".join(option.comment))
        for setting in option.settings:
            lines += _setting_lines("    ", setting, f"{group.replace('/', '.')}.")
    return "\n".join(lines)


DEFAULT = " (default)"


def _group_line(group: str, default: str | None) -> str:
    """Return the line on a group: its purpose, and the option that is used if none is chosen."""
    line = f"{group}=…  {PURPOSES[group]} Default: {default or 'none of these'}."
    return "\n  ".join(_wrapped("", line, less=2)) if sys.stdout.isatty() else line


def _setting_lines(indent: str, setting: Setting, prefix: str) -> list[str]:
    """Return lines with ``key=default``, the type, and the meaning."""
    kind = f"  ({setting.kind})" if setting.kind else ""
    default = textwrap.shorten(setting.default, 60, placeholder=" …]")
    return [f"{indent}{prefix}{setting.key}={default}{kind}", *_wrapped(f"{indent}    ", setting.meaning)]


def _wrapped(indent: str, text: str, less: int = 0) -> list[str]:
    width = min(shutil.get_terminal_size((100, 24)).columns, 120) - less
    return textwrap.wrap(
        text, max(width, 40), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
