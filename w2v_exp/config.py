"""The configuration: its schema, how it is composed, how it is recorded."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import re
import typing
import warnings
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, make_dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hydra import version

# hydra._internal, here and where it is imported elsewhere, is that of Hydra 1.3: pyproject.toml pins it below 1.4.
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString, RangeSweep
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc
from yaml import YAMLError

from w2v_exp.choices import GROUPS
from w2v_exp.errors import SettingError, UserError, short, shown, wrong_kind
from w2v_exp.loader import Loader, config_folder, first_line, load_plugins
from w2v_exp.plan import AUTOMATIC, MOST_RUNS, Plan, make_plan

_log = logging.getLogger(__name__)

PRIMARY = "config"
HYDRA_ERRORS = (HydraException, OmegaConfBaseException, OverflowError)


def options_of(group: str) -> list[str]:
    """Return the options of a group in ``conf/``."""
    return sorted(file.stem for file in (config_folder() / group).glob("*.yaml")) if group else []


@cache
def register_schema() -> None:
    """Register the schema of ``conf/`` with Hydra, once a process."""
    ConfigStore.instance().store(name="schema", node=_top_level_schema())
    schema = ConfigStore.instance().repo.setdefault("schema", {})
    for group, options in GROUPS.items():
        schema[group] = {f"{name}.yaml": _OptionSchema(group, name, made) for name, made in options.items()}


class _OptionSchema(ConfigNode):  # type: ignore[misc]
    """The schema of an option in Hydra's store, made when Hydra reads it: 50 take 0.05 s, of which a run needs 20."""

    def __init__(self, group: str, name: str, made: type) -> None:
        self.name, self.group, self.package, self.provider = f"{name}.yaml", f"schema/{group}", None, None
        self._made = made

    def __getattr__(self, attribute: str) -> Any:
        if attribute != "node":
            raise AttributeError(attribute)
        return OmegaConf.structured(_option_schema(self.name.removesuffix(".yaml"), self._made))


def _top_level_schema() -> type:
    """Return the schema of the top level: the fields of `Plan`."""
    types = typing.get_type_hints(Plan) | dict.fromkeys(AUTOMATIC, int | str)
    keys = [(key.name, Any if key.name in GROUPS else types[key.name]) for key in dataclasses.fields(Plan)]
    return make_dataclass("ConfigSchema", keys, namespace={"__doc__": Plan.__doc__}, repr=False, eq=False)


@cache
def _option_schema(name: str, made: type) -> type:
    types = typing.get_type_hints(made)
    fields: list[tuple[str, Any, Any]] = [("name", str, field(default=name))]
    for setting in dataclasses.fields(made):
        copied = field(default=setting.default, default_factory=setting.default_factory)
        fields.append((setting.name, types[setting.name], copied))
    # The methods, and a docstring from the signature, would take 10 ms for all of a run.
    described = {"__doc__": made.__doc__}
    return make_dataclass(f"{made.__name__}Schema", fields, namespace=described, repr=False, eq=False)


@dataclass(frozen=True)
class Sources:
    """The folders of options, and the primary configuration.

    Parameters
    ----------
    config_name : str
        The primary configuration (``--config-name``).
    config_dir : str, optional
        A folder with more options (``--config-dir``).
    config_path : str, optional
        A folder, or package (``pkg://…``), that is searched before ``conf/`` (``--config-path``). In Hydra it would
        replace ``conf/``; here ``conf/`` is still searched.
    """

    config_name: str = PRIMARY
    config_dir: str | None = None
    config_path: str | None = None

    @classmethod
    def of(cls, parsed: Namespace) -> Sources:
        """Return the sources that a command line names, checked.

        Raises
        ------
        UserError
            If a folder does not exist.
        """
        for flag, folder in (("--config-dir", parsed.config_dir), ("--config-path", parsed.config_path)):
            is_package = flag == "--config-path" and (folder or "").startswith("pkg://")
            if folder is not None and not is_package and not os.path.isdir(folder):  # noqa: PTH112  (Path.is_dir raises for some texts)
                raise UserError(f"{flag}={folder}: no such folder, seen from {Path.cwd()}.")
        return cls(parsed.config_name or PRIMARY, parsed.config_dir, parsed.config_path)

    @property
    def flags(self) -> list[str]:
        """The command-line flags that name these sources."""
        named = {"dir": self.config_dir, "path": self.config_path}
        flags = [f"--config-{flag}={value}" for flag, value in named.items() if value is not None]
        return flags + ([f"--config-name={self.config_name}"] if self.config_name != PRIMARY else [])

    def absolute(self) -> Sources:
        """Return the same sources, independent of the current folder."""
        return replace(
            self,
            config_dir=None if self.config_dir is None else _absolute(self.config_dir),
            config_path=None if self.config_path is None else _absolute(self.config_path),
        )

    def search_path(self) -> ConfigSearchPath:
        """Return the folders in the order in which Hydra searches them."""
        load_plugins()
        shipped = str(config_folder())
        search_path = create_config_search_path(
            shipped if self.config_path is None else _absolute(self.config_path)
        )
        before_schema = SearchPathQuery(provider="schema")
        if self.config_path is not None:
            search_path.prepend("w2v_exp", f"file://{shipped}", before_schema)
        if self.config_dir is not None:
            search_path.prepend("command-line", f"file://{_absolute(self.config_dir)}", before_schema)
        return search_path

    def loader(self) -> ConfigLoader:
        """Return Hydra's loader, which composes configurations from these sources."""
        version.setbase("1.3")
        setup_globals()
        JobRuntime.instance().set("name", "w2v_exp")
        return Loader(self.search_path())

    def compose(self, overrides: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
        """Return the composed configuration, with Hydra's own part.

        Raises
        ------
        UserError, HydraException, OmegaConfBaseException
            If it cannot be composed.
        """
        with warnings.catch_warnings(record=True) as warned, composition_errors():
            try:
                composed: DictConfig = self.loader().load_configuration(
                    self.config_name, list(overrides), mode
                )
                return composed
            finally:
                _require_search_path(warned)

    def options(self, group: str, overrides: Sequence[str] = ()) -> list[str]:
        """Return the options of a group, with those in ``hydra.searchpath``."""
        loader = self.loader()
        with warnings.catch_warnings(), composition_errors():
            warnings.simplefilter("ignore")
            searched = [text for text in overrides if text.lstrip("+").startswith("hydra.searchpath=")]
            _, repository = loader._parse_overrides_and_create_caching_repo(self.config_name, searched)
            return list(repository.get_group_options(group))


def _absolute(folder: str) -> str:
    return folder if folder.startswith("pkg://") else str(Path(folder).absolute())


def _require_search_path(warned: list[warnings.WarningMessage]) -> None:
    """Raise `UserError` for a missing search path; log Hydra's other warnings."""
    for warning in warned:
        text = str(warning.message)
        if found := re.match(
            r"provider=hydra\.searchpath.*?, path=(.*) is not available\.$", text, re.DOTALL
        ):
            raise UserError(f"hydra.searchpath=[{found[1]}]: no such folder.")
    for warning in warned:
        _log.warning(f"{type(warning.message).__name__}: {' '.join(str(warning.message).split())}")


def parse_overrides(texts: Sequence[str]) -> list[Override]:
    """Return parsed overrides.

    In addition to Hydra's grammar, an unquoted value may have ``=`` and letters outside ASCII, and
    ``changes={name: key=value, …}`` and ``changes.name=key=value`` are parsed as YAML and add to changes in files.

    Raises
    ------
    UserError, HydraException
        For the first that cannot be parsed.
    """
    parser = OverridesParser.create()
    parsed: list[Override] = []
    for text in texts:
        try:
            parsed += parser.parse_overrides(_change_overrides(text) or [_leniently(text)])
        except RecursionError:
            raise UserError(f"{shown(text, 80)}: brackets are nested too deeply.") from None
        except (HydraException, UserError):
            raise
        except ValueError as error:  # Python parses no whole number of more than 4,300 digits
            raise UserError(f"{shown(text, 80)}: has a number of too many digits.") from error
        except Exception as error:
            raise UserError(f"{shown(text, 80)}: not understood ({first_line(error)}).") from error
    return parsed


# A key, and a value without quotes, brackets, commas or backslashes other than in ${…}.
SIMPLE = re.compile(r"""([+\w./@-]+)=((?:[^'"[\]{}(),\\$]|\$\{[^'"{}\\]*\}|\$(?!\{))*)""")


def _leniently(text: str) -> str:
    """Return an override with its value quoted if Hydra's grammar requires it.

    Unquoted, Hydra accepts neither ``=`` nor letters outside ASCII.

    >>> _leniently("corpus.path=josé/a=b.txt"), _leniently("window=2,3")
    ("corpus.path='josé/a=b.txt'", 'window=2,3')
    """
    found = SIMPLE.fullmatch(text)
    if found and ("=" in found[2] or not found[2].isascii()):
        return f"{found[1]}='{found[2]}'"
    return text


CHANGES = re.compile(r"\+?changes(?:\.([^=]*))?=(.*)", re.DOTALL)


def _change_overrides(text: str) -> list[str]:
    """Return an override of ``changes`` in Hydra's grammar; else nothing.

    >>> _change_overrides("changes={wide: window=5, slow: [optimizer=sgd, learning_rate=0.01]}")
    ["++changes={wide:'window=5',slow:['optimizer=sgd','learning_rate=0.01']}"]
    >>> _change_overrides("changes.wide=window=5")
    ["++changes={wide:'window=5'}"]
    """
    if not (found := CHANGES.fullmatch(text)):
        return []
    name, value = found.groups()
    try:
        sets = OmegaConf.to_container(OmegaConf.create(f"value: {value}"))["value"]  # type: ignore[index, call-overload]
    except (YAMLError, OmegaConfBaseException) as error:
        raise UserError(
            f"{shown(text, 80)}: not valid YAML ({getattr(error, 'problem', None) or first_line(error)}). "
            "Write changes={name: key=value, other: key=value}."
        ) from error
    sets = sets if name is None else {name: sets}
    if not isinstance(sets, dict) or not all(isinstance(each, str) for each in sets):
        raise UserError(
            f"{shown(text, 80)}: must be named sets of overrides. Write changes={{name: key=value, other: key=value}}."
        )
    return [f"++changes={_written(sets)}"]


def _written(value: Any) -> str:
    """Return a value in Hydra's grammar, with its interpolations."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_written(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, str):
        return str(QuotedString(value, Quote.single).with_quotes())
    return "null" if value is None else str(value)


def quoted(text: str) -> str:
    r"""Return a text, quoted as the literal value of an override.

    >>> quoted("it's ${no} interpolation")
    "'it\\'s \\${no} interpolation'"
    """
    value: str = QuotedString(literal(text), Quote.single).with_quotes()
    return value


# Without quotes, Hydra parses the excluded words as other types than text.
_PLAIN_TEXT = re.compile(r"(?!(?:null|true|false|nan|inf)$)[a-z][\w./-]*", re.ASCII | re.IGNORECASE)


def override_of(key: str, value: Any) -> str:
    r"""Return the override that gives a key a value of Python, quoted where Hydra's grammar needs it.

    >>> override_of("dim", 10), override_of("objective", "softmax"), override_of("probes", ["true", "king's"])
    ('dim=10', 'objective=softmax', "probes=['true','king\\'s']")

    Raises
    ------
    SettingError
        If the value is an object that no override can express.
    """
    return f"{key}={_override_value(key, value)}"


def _override_value(key: str, value: Any) -> str:
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return value if _PLAIN_TEXT.fullmatch(value) else quoted(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_override_value(key, each) for each in value)}]"
    if isinstance(value, np.ndarray):
        return _override_value(key, value.tolist())
    if key == "tokenizer" and callable(value):
        problem = "is a function. Give sentences, such as [function(line) for line in lines]."
        raise SettingError(key, short(value), problem)
    raise wrong_kind(key, value, "a number, a string, a list, a dict, True, False or None")


def literal(text: str) -> str:
    """Return a text as a value of a configuration, interpolations escaped."""
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)


def swept_values(override: Override) -> list[str]:
    """Return the values of a sweep such as ``3,5`` or ``range(1,4)``.

    Raises
    ------
    UserError
        If it has none, too many, or is an interval.
    """
    if override.is_interval_sweep():
        raise UserError(
            f"{override.input_line}: an interval has no list of values. A search draws from it: hydra/sweeper=optuna."
        )
    require_countable(override)
    if not (listed := [str(value) for value in override.sweep_string_iterator()]):
        raise UserError(f"{override.input_line}: has no values.")
    return listed


def require_countable(override: Override) -> None:
    """Refuse a range of too many values, before they are listed.

    Raises
    ------
    UserError
        With the number of values and the limit.
    """
    if (number := range_length(override)) > MOST_RUNS:
        raise UserError(
            f"{override.input_line}: {number:,} values; a sweep has at most {MOST_RUNS:,} runs. "
            "Give a larger step, or search the range: hydra/sweeper=optuna."
        )


def range_length(override: Override) -> int:
    """Return the number of values of a range; 0 for other values.

    Raises
    ------
    UserError
        If it has no finite end, or no step.
    """
    value = override.value()
    if not isinstance(value, RangeSweep):
        return 0
    start, stop, step = value.start, value.stop, value.step
    if start is None or stop is None or not step or not all(map(math.isfinite, (start, stop, step))):
        raise UserError(f"{override.input_line}: a range needs two finite ends and a step that is not 0.")
    return max(0, math.ceil((Fraction(stop) - Fraction(start)) / Fraction(step)))


def first_value(override: Override) -> str:
    """Return the first value of a sweep; the lower end of an interval."""
    if override.is_interval_sweep():
        return f"{override.value().start:.15g}"
    range_length(override)
    if getattr(override.value(), "shuffle", False):  # to shuffle, Hydra lists all values
        require_countable(override)
    for value in override.sweep_string_iterator():
        return str(value)
    raise UserError(f"{override.input_line}: has no values.")


def hydra_overrides(config: DictConfig) -> list[str]:
    """Return the overrides of Hydra's own part, as they were given: their interpolations are those of each run."""
    given: Any = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    return [str(each) for each in given]


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a configuration without Hydra's own part."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def plan_of(config: DictConfig) -> Plan:
    """Return the checked plan of a composed configuration.

    Raises
    ------
    UserError
        For the first invalid setting.
    """
    with hydra_values(config), composition_errors():
        return make_plan(config)


@contextmanager
def hydra_values(config: DictConfig) -> Iterator[None]:
    """Resolve ``${hydra:…}`` by this configuration inside the block."""
    current = HydraConfig.instance().cfg
    HydraConfig.instance().cfg = config
    try:
        yield
    finally:
        HydraConfig.instance().cfg = current


def flat_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a configuration by dotted key, without the names of options."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{setting}": each for setting, each in value.items() if setting != "name"}
        else:
            flat[key] = value
    return flat


def recorded_values(config: DictConfig | ListConfig) -> Any:
    """Return the values of a configuration as they are logged and written.

    Values are resolved, except those that depend on a variable of the environment, directly or by way of other keys:
    these stay unresolved (``${oc.env:NAME}``), because such a variable may hold a secret.
    """
    spelled: Any = OmegaConf.to_container(config, resolve=False)
    if not _has_interpolation(spelled):
        return spelled
    keys = list(config.keys()) if isinstance(config, DictConfig) else range(len(config))
    values = {key: _recorded_value(config, key, spelled[key]) for key in keys}
    return values if isinstance(config, DictConfig) else list(values.values())


def _has_interpolation(values: Any) -> bool:
    if isinstance(values, dict | list):
        return any(map(_has_interpolation, values.values() if isinstance(values, dict) else values))
    return isinstance(values, str) and "${" in values


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


@contextmanager
def composition_errors() -> Iterator[None]:
    """Convert errors that Hydra does not expect into `UserError`.

    Hydra checks little of its input. An option that is null, a file that includes itself or a list in place of a
    mapping raise ValueError, RecursionError, AttributeError …
    """
    try:
        yield
    except (HydraException, OmegaConfBaseException, OverflowError, UserError):
        raise  # OmegaConf raises OverflowError for a whole number that is too large for a float
    except RecursionError:
        raise UserError(
            "The configuration is nested too deeply: a file includes itself, or too many brackets."
        ) from None
    except Exception as error:
        raise UserError(f"The configuration cannot be composed: {first_line(error)}.") from error
