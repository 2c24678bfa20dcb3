"""The configuration in ``conf/``: where it is, and its schema, which Hydra checks it by."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import field, make_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.resolvers import oc

from w2v_exp.choices import GROUPS
from w2v_exp.plan import Plan


@cache
def register_schema() -> None:
    """Tell Hydra what every file in ``conf/`` may hold. Once is enough for a process."""
    store = ConfigStore.instance()
    store.store(name="schema", node=_top_level_schema())
    for group, options in GROUPS.items():
        for name, made in options.items():
            store.store(group=f"schema/{group}", name=name, node=_option_schema(name, made))


def _top_level_schema() -> type:
    """Return the schema of the top level: a choice in every group, and the knobs, as a plan has them."""
    types = typing.get_type_hints(Plan)
    keys = [(key.name, Any if key.name in GROUPS else types[key.name]) for key in dataclasses.fields(Plan)]
    return make_dataclass("ConfigSchema", keys)


def _option_schema(name: str, made: type) -> type:
    types = typing.get_type_hints(made)
    fields: list[tuple[str, Any, Any]] = [("name", str, field(default=name))]
    for setting in dataclasses.fields(made):
        copied = field(default=setting.default, default_factory=setting.default_factory)
        fields.append((setting.name, types[setting.name], copied))
    return make_dataclass(f"{made.__name__}Schema", fields)


def recorded_values(config: DictConfig | ListConfig) -> Any:
    """Return the values of a configuration as dictionaries and lists, as they are logged and written.

    Values are resolved, but those that depend on a variable of the environment, also by way of other keys, stay as they
    are spelled (``${oc.env:NAME}``): such a variable may hold a secret.
    """
    spelled: Any = OmegaConf.to_container(config, resolve=False)
    keys = list(config.keys()) if isinstance(config, DictConfig) else range(len(config))
    values = {key: _recorded_value(config, key, spelled[key]) for key in keys}
    return values if isinstance(config, DictConfig) else list(values.values())


def _recorded_value(config: DictConfig | ListConfig, key: Any, spelled: Any) -> Any:
    if not OmegaConf.is_interpolation(config, key):
        return recorded_values(config[key]) if isinstance(spelled, dict | list) else spelled
    read = []

    def noting(*names: Any) -> Any:
        read.append(names)
        return oc.env(*names)

    OmegaConf.register_new_resolver("oc.env", noting, replace=True)
    try:
        value = config[key]
        value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
    return spelled if read else value


def config_folder() -> Path:
    """Return the folder ``conf/``: inside the package where it is installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"
