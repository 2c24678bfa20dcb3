"""Hydra's loader of configurations: checked files, and half of the time.

A configuration is composed from 45 files and schemas. Hydra alone takes 0.12 s for it, in which it parses, copies and
merges each of them in Python.
"""

from __future__ import annotations

import copy
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import InputDefault, ResultDefault
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, HydraException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from w2v_exp.errors import UserError, shown

_log = logging.getLogger(__name__)


@cache
def config_folder() -> Path:
    """Return the folder ``conf/``.

    It is inside the package if that is installed, and next to it in a checkout.
    """
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


class Loader(ConfigLoaderImpl):  # type: ignore[misc]
    """Hydra's loader, with the same results."""

    def _compose_config_from_defaults_list(
        self, defaults: Sequence[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:
        """Return the files merged at once. Merged one by one, each time all nodes so far are visited: 0.02 s."""
        config = OmegaConf.create()
        try:
            with flag_override(config, "no_deepcopy_set_nodes", True):
                config.merge_with(*(self._loaded_once(each, repo) for each in defaults))
        except OmegaConfBaseException:
            # Hydra's own names the file; that file and others are read again, since their nodes are in `config` now.
            repo.cache.clear()
            composed: DictConfig = super()._compose_config_from_defaults_list(defaults, repo)
            return composed
        _strip_defaults(config)
        return config

    def _loaded_once(self, default: ResultDefault, repo: IConfigRepository) -> DictConfig:
        """Return a file's configuration, whose nodes may become those of another one; it is read again for others."""
        loaded: DictConfig = self._load_single_config(default, repo).config
        repo.cache.pop(f"config_path={default.config_path}", None)
        return loaded

    @staticmethod
    def _embed_result_config(result: ConfigResult, package: str | None) -> ConfigResult:
        """Return a file's configuration at its place. Hydra's own copies it: 0.01 s."""
        place = result.header["package"] if package is None else package
        if not place:
            return result
        config = OmegaConf.create(flags={"no_deepcopy_set_nodes": True})
        OmegaConf.update(config, place, result.config, merge=False)
        return replace(result, config=config)


def _strip_defaults(config: DictConfig) -> None:
    """Remove the defaults lists of structured configurations, which Hydra has flagged."""
    if config._is_missing() or config._is_none():
        return
    with flag_override(config, ["readonly", "struct"], False):
        if config._get_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS"):
            config._set_flag("HYDRA_REMOVE_TOP_LEVEL_DEFAULTS", None)
            config.pop("defaults", None)
    for _, value in config.items_ex(resolve=False):
        if isinstance(value, DictConfig):
            _strip_defaults(value)


class _Repository(CachingConfigRepository):  # type: ignore[misc]
    """Hydra's cache of the files of a composition, without a copy of all schemas."""

    def __init__(self, delegate: IConfigRepository) -> None:
        self.delegate = copy.copy(delegate)  # only its list of sources is ever replaced
        self.cache: dict[str, ConfigResult | None] = {}


def first_line(error: BaseException) -> str:
    """Return the first line of an error, without a full stop."""
    lines = str(error).strip().splitlines()
    return shown(lines[0].rstrip("."), 200) if lines else type(error).__name__


@cache
def _yaml_reader() -> Any:
    """Return OmegaConf's class that reads YAML, ten times as fast by libyaml, if PyYAML has it.

    libyaml crashes on a file of a million brackets, so it reads the shipped files only.
    """
    python = get_yaml_loader()
    if not yaml.__with_libyaml__:
        return python

    class Reader(yaml.cyaml.CParser, python):  # type: ignore[misc, valid-type]
        def __init__(self, text: str) -> None:
            super().__init__(text)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return Reader


_SCHEMA = re.compile("/(schema/.+)@_here_")


class CheckedFileSource(FileConfigSource):  # type: ignore[misc]
    """Hydra's source of YAML files, with the name of the file in errors."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the configuration of a file.

        Raises
        ------
        UserError
            If it is not valid YAML, or cannot be read.
        """
        file = Path(self.path, self._normalize_file_name(config_path))
        try:
            is_shipped = self.path == str(config_folder())
            loaded = self._load_shipped(file) if is_shipped else super().load_config(config_path)
        except (HydraException, OmegaConfBaseException):
            raise
        except RecursionError:
            raise UserError(f"{file}: is nested too deeply.") from None
        except UnicodeDecodeError:
            raise UserError(f"{file}: is not UTF-8 text.") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = f", line {mark.line + 1}" if mark else ""
            raise UserError(f"{file}{line}: not valid YAML ({error.problem}).") from error
        except yaml.YAMLError as error:
            raise UserError(f"{file}: not valid YAML ({first_line(error)}).") from error
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror or error}).") from error
        except Exception as error:
            raise UserError(f"{file}: cannot be read ({first_line(error)}).") from error
        if not isinstance(loaded.config, DictConfig):
            raise ConfigCompositionException(f"{file}: is a list; a mapping (key: value) is expected.")
        return loaded

    def _load_shipped(self, file: Path) -> ConfigResult:
        """Return the configuration of a shipped file, already merged with its schema if that is all it begins with.

        Merged by way of the defaults list, the schemas are half of the files of a composition, and take 0.02 s.
        """
        text = file.read_text(encoding="utf-8")
        content = yaml.load(text, _yaml_reader()) or {}
        schema = content.get("defaults")
        if isinstance(schema, list) and len(schema) == 1 and (named := _SCHEMA.fullmatch(str(schema[0]))):
            del content["defaults"]
            values = ConfigStore.instance()._load(f"{named[1]}.yaml").node
            values.merge_with(content)
        else:
            values = OmegaConf.create(content)
        header = ConfigSource._get_header_dict(text)
        return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", values, header)


_create_interpolation_map = defaults_list._create_interpolation_map


def _choices_to_interpolate(overrides: Any, defaults: list[InputDefault], self_added: bool) -> DictConfig:
    """Return the choices to which a defaults list refers by ``${…}``; without such a reference none.

    Hydra makes them for each of 45 files, a quarter of the time of a composition.
    """
    refers = any(default.is_interpolation() for default in defaults)
    choices: DictConfig = (
        _create_interpolation_map(overrides, defaults, self_added) if refers else OmegaConf.create()
    )
    return choices


def load_plugins() -> None:
    """Load Hydra's plug-ins, once a process.

    Hydra imports every module of a package ``hydra_plugins``. One that cannot be imported, for example a user's folder
    that has this name by chance, must not end a run that does not use it.
    """
    try:
        Plugins.instance()
    except (Exception, SystemExit) as error:
        _log.warning(f"hydra_plugins: ignored, it cannot be imported ({first_line(error)}).")
        shadowed = {
            name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith("hydra_plugins")
        }
        sys.modules["hydra_plugins"] = None  # type: ignore[assignment]  # importing it raises ImportError
        try:
            Plugins.instance()
        finally:
            del sys.modules["hydra_plugins"]
            sys.modules.update(shadowed)
    defaults_list._create_interpolation_map = _choices_to_interpolate
    config_loader_impl.CachingConfigRepository = _Repository
    # `SourcesRegistry.register` keeps the class that is there.
    SourcesRegistry.instance().types[CheckedFileSource.scheme()] = CheckedFileSource
