"""Plans of configurations, for tests that need no command line."""

from __future__ import annotations

from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from w2v_exp.choices import GROUPS
from w2v_exp.config import register_schema
from w2v_exp.loader import config_folder
from w2v_exp.plan import Plan, make_plan


def plan_of(*overrides: str) -> Plan:
    """Return the plan of what is said on a command line: options of groups, and values."""
    choices = tuple(sorted(text for text in overrides if text.partition("=")[0] in GROUPS))
    values = [text for text in overrides if text not in choices]
    config = _composed(choices).copy()
    for override in OverridesParser.create().parse_overrides(values):
        OmegaConf.update(config, str(override.key_or_group), override.value())
    return make_plan(config)


@cache
def _composed(choices: tuple[str, ...]) -> DictConfig:
    """Return what Hydra composes of these options. It takes a fifth of a second: once a process is enough."""
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("config", [*choices])
