"""The experiment ``my_text``: settings picked for a text and the machine, as overrides before the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString
from omegaconf import DictConfig, OmegaConf

from w2v_exp.choices import GROUPS, make_choice
from w2v_exp.config import (
    HYDRA_ERRORS,
    Sources,
    composition_errors,
    first_value,
    flat_values,
    hydra_values,
    override_of,
    parse_overrides,
    swept_values,
    without_hydra,
)
from w2v_exp.errors import SettingError, UserError, visible
from w2v_exp.experiment.config_errors import all_keys, explain
from w2v_exp.machine import available_cores, available_memory
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.size import estimated_bytes

NAME = "my_text"
PATH = "corpus.path"
DECISIVE = ("corpus", "objective", "labels", "model")  # groups that the other picks depend on


def with_picks(
    sources: Sources, texts: Sequence[str], size: int | None = None, tokens: int | None = None
) -> tuple[list[str], tuple[str, ...]]:
    """Return the overrides of a command with the picks of ``experiment=my_text``, and the lines on them.

    The picks come first, so that the user's overrides prevail, and everything else is as if the user had typed them.
    Without this experiment, the overrides are returned as they are, and no lines.

    Parameters
    ----------
    sources : Sources
        The folders of options.
    texts : sequence of str
        The overrides of the command.
    size, tokens : int, optional
        Bytes, or words, of a text that is given in Python; None: the size of the corpus that the overrides name.

    Raises
    ------
    UserError
        If the text is not found or empty, or for a sweep over something that the picks depend on.
    """
    if not any("experiment" in text for text in texts):
        return [*texts], ()
    from w2v_exp.picks import pick_settings

    try:
        overrides = parse_overrides(texts)
        if not _is_chosen(overrides):
            return [*texts], ()
        given = _given(overrides)
        is_named = size is None and tokens is None
        others = _has_other_files(sources, overrides)
        if is_named and not others and (path := _only_path(overrides)):
            size = _size({"name": "file", "path": path})
        elif is_named or others:
            config = sources.compose([*_corpus_overrides(overrides)])
            if others:
                given = _set_elsewhere(config) | given
            if is_named:
                size = _largest_size(config, overrides)
        cores, memory = available_cores(), available_memory()
        picks = pick_settings(size, cores=cores, memory=memory, tokens=tokens, given=given)
    except HYDRA_ERRORS as error:
        raise explain(error, lambda: all_keys(sources, texts)) from error
    picked = [override_of(key, value) for key, value in picks.settings.items()]
    return [*picked, *texts], tuple(map(visible, picks.lines))


def _is_chosen(overrides: Iterable[Override]) -> bool:
    """Return whether the last ``experiment=…`` is this one.

    Raises
    ------
    UserError
        If it is one of several in a sweep.
    """
    chosen = [each for each in overrides if each.key_or_group == "experiment" and not each.is_delete()]
    if not chosen:
        return False
    value = chosen[-1].value()
    if not isinstance(value, Glob | ChoiceSweep):
        return NAME in map(_plain, value if isinstance(value, list) else [value])
    if NAME in (value.filter([NAME]) if isinstance(value, Glob) else map(_plain, value.list)):
        raise UserError(
            f"{chosen[-1].input_line}: {NAME} picks settings for the whole command, so it cannot be one of several. "
            "Run it on its own, or sweep the other experiments."
        )
    return False


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, QuotedString) else value


def _only_path(overrides: Iterable[Override]) -> str | None:
    """Return the path of the text, if the overrides choose nothing else of the corpus: a composition takes 0.06 s."""
    texts = [each for each in overrides if str(each.key_or_group).partition(".")[0] == "corpus"]
    texts = [
        each for each in texts if each.input_line != "corpus=file"
    ]  # as `train` has it, and the experiment
    if [str(each.key_or_group) for each in texts] != [PATH] or texts[0].is_sweep_override():
        return None
    path = _plain(texts[0].value())
    return path if isinstance(path, str) and "$" not in path and "\\" not in path else None


def _corpus_overrides(overrides: Iterable[Override]) -> Iterator[str]:
    """Yield the overrides that the corpus depends on, with the first value of each sweep."""
    for override in overrides:
        key = str(override.key_or_group)
        if key in ("experiment", "sweep", "hydra.searchpath") or key.partition(".")[0] == "corpus":
            if override.is_sweep_override() and not isinstance(override.value(), Glob):
                yield f"{override.get_key_element()}={first_value(override)}"
            else:
                yield str(override.input_line)


def _largest_size(config: DictConfig, overrides: Iterable[Override]) -> int | None:
    """Return the bytes of the corpus; of several in a sweep the largest, so that their runs have the same settings."""
    with hydra_values(config), composition_errors():
        described: Any = OmegaConf.to_container(config.corpus, resolve=True, throw_on_missing=True)
    paths = [each for each in overrides if each.key_or_group == PATH]
    choices = [described]
    if paths and paths[-1].is_sweep_override():
        several = parse_overrides([f"{PATH}={value}" for value in swept_values(paths[-1])])
        choices = [described | {"path": str(_plain(each.value()))} for each in several]
    sizes = [*map(_size, choices)]
    known = [size for size in sizes if size is not None]
    return max(known) if len(known) == len(sizes) else None


def _size(described: dict[str, Any]) -> int | None:
    """Return the bytes of the corpus of a configuration, which must not be empty; None: unknown."""
    corpus = make_choice("corpus", described)
    size = estimated_bytes(corpus)
    if size == 0 and isinstance(corpus, FileCorpus):
        raise SettingError(PATH, corpus.path, "is empty. Name a file with text.")
    return size


def _given(overrides: Iterable[Override]) -> dict[str, Any]:
    """Return the user's value of each key; in a sweep, its largest number or its first value.

    Raises
    ------
    UserError
        For a sweep over something that the picks depend on.
    """
    given: dict[str, Any] = {}
    for override in overrides:
        key = str(override.key_or_group)
        if override.is_hydra_override() or override.is_delete():
            continue
        if not override.is_sweep_override():
            given[key] = _plain(override.value())
        elif key in DECISIVE:
            raise UserError(
                f"{override.input_line}: the picks of experiment={NAME} depend on {key}, so it cannot be swept. "
                "Give each value in a command of its own."
            )
        else:
            given[key] = _largest_value(override)
    return given


def _largest_value(override: Override) -> Any:
    if isinstance(override.value(), Glob):
        return ""
    if override.is_interval_sweep():
        return override.value().end
    values = swept_values(override)
    try:
        return max(values, key=float)
    except ValueError:
        return values[0]


def _has_other_files(sources: Sources, overrides: Iterable[Override]) -> bool:
    """Return whether files other than those of the experiment may set a picked key."""
    several = any(each.key_or_group == "experiment" and isinstance(each.value(), list) for each in overrides)
    return several or bool(sources.flags) or any(each.key_or_group == "sweep" for each in overrides)


def _set_elsewhere(config: DictConfig) -> dict[str, Any]:
    """Return the values that a named sweep or a file of the user sets: these prevail over picks, too."""
    base = Sources().compose([f"experiment={NAME}"])
    chosen, usual = config.hydra.runtime.choices, base.hydra.runtime.choices
    found = {group: str(chosen[group]) for group in GROUPS if chosen.get(group) != usual.get(group)}
    before, after = (
        flat_values(OmegaConf.to_container(without_hydra(each), resolve=False))  # type: ignore[arg-type]
        for each in (base, config)
    )
    found |= {key: value for key, value in after.items() if before.get(key) != value}
    params = config.hydra.sweeper.get("params") or {}
    swept = parse_overrides([f"{key}={value}" for key, value in params.items() if value is not None])
    return found | _given(swept)
