"""Configurations of a command, composed once for each choice of options.

A configuration is composed from 45 files and schemas in 0.06 s. The runs of a sweep differ in few values, so a
`Composer` composes each choice of options once, and applies the other overrides to a copy, in 0.01 s. It applies them
with Hydra's own functions, and leaves to Hydra what it cannot derive.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

from w2v_exp.config import HYDRA_ERRORS, Sources, composition_errors
from w2v_exp.errors import UserError

# Keys of Hydra's own part that Hydra does not read while it composes.
UNREAD = ("hydra.mode", "hydra.run", "hydra.sweep", "hydra.sweeper", "hydra.launcher", "hydra.job.chdir")


class Composer:
    """Composes configurations from the same sources, equal to those of `Sources.compose`.

    Files that change after the first composition have no effect: the runs of a sweep have the options that were checked
    before the first of them.

    Parameters
    ----------
    sources : Sources
        The folders of options.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._parser = OverridesParser.create()
        self._parsed: dict[str, Override] = {}
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    @cached_property
    def loader(self) -> ConfigLoader:
        """Hydra's loader, for plug-ins."""
        return self.sources.loader()

    def compose(self, overrides: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
        """Return the configuration of these overrides, with Hydra's own part.

        Raises
        ------
        UserError, HydraException, OmegaConfBaseException
            If it cannot be composed.
        """
        # Of several mistakes, Hydra may find another one first; below it reports that.
        with suppress(UserError, *HYDRA_ERRORS), composition_errors():
            if derived := self._derive([self._parse(text) for text in overrides], mode):
                return derived
        return self.sources.compose(overrides, mode)

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            (self._parsed[text],) = self._parser.parse_overrides([text])
        return self._parsed[text]

    def _derive(self, overrides: Sequence[Override], mode: RunMode) -> DictConfig | None:
        """Return a copy of the composed options with the other overrides; None if it might differ from Hydra's."""
        ConfigLoaderImpl.validate_sweep_overrides_legal(overrides, mode, from_shell=True)
        choosing: list[Override] = []
        values: list[Override] = []
        for override in overrides:
            if override.is_sweep_override():
                continue  # Hydra composes a sweep without swept keys
            if not self._is_choosing(override):
                values.append(override)
            elif any(_is_within(value, override) for value in values):
                return None  # applied first, it would not prevail
            else:
                choosing.append(override)
        if not any(override.is_add() for override in choosing):  # these are composed in their order
            choosing.sort(key=lambda override: override.key_or_group.startswith("hydra"))
        options = self._compose_options(choosing, mode)
        if options.hydra.searchpath or options.hydra.job.env_copy:
            return None  # folders that may have more groups; variables that Hydra copies after all overrides
        config = copy.deepcopy(options)
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        # As Hydra does after it has applied all overrides; the options' own ones are listed already.
        hydra: Any = config.hydra
        for override in reversed(choosing):
            _list_of(override, hydra).pop()
        for override in overrides:
            _list_of(override, hydra).append(override.input_line)
        task = [override for override in overrides if not override.is_hydra_override()]
        form = hydra.job.config.override_dirname
        hydra.job.override_dirname = get_overrides_dirname(
            task, form.exclude_keys, form.item_sep, form.kv_sep
        )
        hydra.runtime.cwd = os.getcwd()  # noqa: PTH109  (Hydra's own text)
        return config

    def _is_choosing(self, override: Override) -> bool:
        """Return whether Hydra needs this override before it merges the files."""
        key = override.key_or_group
        if key == "hydra" or override.is_hydra_override():
            return not any(key == unread or key.startswith(f"{unread}.") for unread in UNREAD)
        return self.loader.repository.group_exists(key) and not isinstance(override.value(), dict)

    def _compose_options(self, choosing: Sequence[Override], mode: RunMode) -> DictConfig:
        """Return the configuration of some options, which must not be modified.

        A complete one also serves a sweep as a whole, in which Hydra allows a missing option.
        """
        texts = tuple(str(override.input_line) for override in choosing)
        of_run, of_mode = (RunMode.RUN.name, *texts), (mode.name, *texts)
        if of_run in self._composed:
            return self._composed[of_run]
        if of_mode not in self._composed:
            self._composed[of_mode] = self.sources.compose(texts, mode)
        return self._composed[of_mode]


def _list_of(override: Override, hydra: Any) -> Any:
    """Return the list of Hydra's own part in which an override is recorded."""
    return hydra.overrides.hydra if override.is_hydra_override() else hydra.overrides.task


def _is_within(value: Override, choosing: Override) -> bool:
    """Return whether the key of a value is, contains or belongs to that of another override."""
    one, other = f"{value.key_or_group}.", f"{choosing.key_or_group}."
    return one.startswith(other) or other.startswith(one)
