"""Configurations that are derived from others are those that Hydra composes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, ListConfig
from processes import Command
from properties import examples

from w2v_exp import loader
from w2v_exp.composer import Composer
from w2v_exp.config import HYDRA_ERRORS, Sources, register_schema
from w2v_exp.errors import UserError


def described(node: Any) -> Any:
    """Return all that a node of a configuration is: its content in order, types and flags, unresolved."""
    content = node._value()
    if isinstance(node, DictConfig) and isinstance(content, dict):
        content = [(key, described(value)) for key, value in content.items()]
    elif isinstance(node, ListConfig) and isinstance(content, list):
        content = [described(value) for value in content]
    metadata = {key: value for key, value in vars(node._metadata).items() if key != "resolver_cache"}
    return type(node), content, metadata


def outcome(composer: Composer | Sources, overrides: Sequence[str], mode: RunMode) -> Any:
    try:
        return described(composer.compose(overrides, mode))
    except (UserError, *HYDRA_ERRORS) as error:
        return type(error), str(error)


def assert_equal(composer: Composer, *overrides: str, mode: RunMode = RunMode.RUN) -> None:
    assert outcome(composer, overrides, mode) == outcome(composer.sources, overrides, mode)


@pytest.fixture(scope="module")
def composer() -> Composer:
    register_schema()
    return Composer(Sources())


OVERRIDES = [
    "",
    "window=5 dim=10 window=7",
    "labels=dense window=5 ++labels.name=x",
    "corpus.path=a corpus=file",
    "+own=1 +own=2",
    "+own={a: {b: 1}} own.a.b=${window}",
    "probes=[a,b] ~probes ~stop",
    "~probes=[a]",
    "changes={wide: window=5} +changes.deep=1",
    "labels={name: sparse}",
    "labels@there=dense",
    "experiment=article dim=3 seed=1",
    "hydra/launcher=joblib hydra.launcher.n_jobs=2 window=3",
    "hydra.sweep.dir=a hydra.sweep={dir: b, subdir: c} hydra.mode=MULTIRUN ++hydra.job.chdir=false",
    "hydra={sweep: {dir: a}} hydra.sweep.dir=b",
    "hydra.sweep.dir=b hydra={sweep: {dir: a}}",
    "hydra.job.chdir=true hydra.job={chdir: false}",
    "hydra.job.name=own hydra.job.override_dirname=own window=2",
    "hydra.job.config.override_dirname.kv_sep=- hydra.job.config.override_dirname.exclude_keys=[seed] seed=2 dim=3",
    "hydra.overrides.task=[a] hydra.overrides.hydra=[b] window=2",
    "hydra.runtime.choices.own=1 window=2",
    "hydra.job.env_copy=[PATH] window=2",
    "hydra.verbose=true hydra.output_subdir=null window=2",
    "hydra.sweeper.params={window: 3}",
    "hydra.launcher=null",
    "window=x dim=wide",
    "windw=3",
    "labels=dens labels.own=2 windw=3",
    "hydra.swep.dir=a",
    "window= dim",
    "window=3,5",
    "epochs=1e3 learning_rate=1 dtype=null corpus.language=null",
]


@pytest.mark.parametrize("overrides", OVERRIDES)
@pytest.mark.cases(every=8)
def test_derived_and_composed_configurations_are_equal(composer: Composer, overrides: str) -> None:
    texts = overrides.replace(": ", ":\t").replace(", ", ",\t").split(" ")
    assert_equal(composer, *(text.replace("\t", " ") for text in texts if text))


def test_sweeps_as_a_whole_are_equal(composer: Composer) -> None:
    swept = ["window=3,5", "labels=dense,sparse", "seed=range(4)", "hydra.sweep.dir=a"]
    assert_equal(composer, "dim=4", *swept, mode=RunMode.MULTIRUN)


PLAIN = st.sampled_from([text for line in OVERRIDES for text in line.split() if "{" not in text])


@pytest.mark.second_tier
@given(st.lists(PLAIN, max_size=6), st.sampled_from([RunMode.RUN, RunMode.MULTIRUN]))
@settings(max_examples=examples(15))
def test_derived_and_composed_configurations_of_any_overrides_are_equal(
    composer: Composer, overrides: list[str], mode: RunMode
) -> None:
    assert_equal(composer, *overrides, mode=mode)


PRIMARIES = {
    "variables that are copied": "hydra: {job: {env_copy: [PATH]}}",
    "more folders": "hydra: {searchpath: ['file://more']}",
    "a missing option": "defaults: [config, {own: ???}, _self_]\nhydra: {searchpath: ['file://more']}",
    "an interpolation of Hydra": "seed: ${hydra:job.num}",
}


@pytest.mark.second_tier
@pytest.mark.parametrize("text", PRIMARIES.values(), ids=PRIMARIES)
def test_primary_configurations_of_a_user_are_equal(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    register_schema()
    Path("more/own").mkdir(parents=True)
    for option in "xy":
        Path(f"more/own/{option}.yaml").write_text(f"# @package _global_\nwindow: 1{ord(option)}\n")
    defaults = "" if "defaults" in text else "defaults: [config, _self_]\n"
    Path("mine.yaml").write_text(defaults + text)
    composer = Composer(Sources(config_name="mine", config_dir="."))
    for overrides in (["+own=x", "dim=3"], ["own=x", "dim=3"], ["own=z"]):
        assert_equal(composer, *overrides)
    assert_equal(composer, "own=x,y", mode=RunMode.MULTIRUN)


def test_an_option_that_follows_another_one_is_found(tmp_path: Path) -> None:
    register_schema()
    (tmp_path / "own").mkdir()
    for option, window in {"sparse": 11, "dense": 12}.items():
        (tmp_path / f"own/{option}.yaml").write_text(f"# @package _global_\nwindow: {window}\n")
    (tmp_path / "mine.yaml").write_text("defaults: [config, {own: '${labels}'}, _self_]\n")
    composer = Composer(Sources(config_name="mine", config_dir=str(tmp_path)))
    assert [composer.compose(overrides).window for overrides in ([], ["labels=dense"])] == [11, 12]


@pytest.mark.parametrize(
    ("overrides", "compositions"),
    [
        ("", 1),
        ("window=2,3 dim=4,5 -m", 1),
        ("seed=range(3) hydra.sweep.subdir=s${seed} -m", 1),
        ("schedule.decay=0.9,0.8 -m", 1),
        ("window=2 repeats=3", 1),
        (
            "labels=dense,sparse window=2,3 -m",
            3,
        ),  # each encoding, and the sweep as a whole, which has the default one
        ("changes.wide=window=4 changes.adam=optimizer=adam -m", 2),
    ],
)
@pytest.mark.cases(every=4)
def test_a_command_composes_each_choice_of_options_once(
    overrides: str, compositions: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = []
    original = ConfigLoaderImpl.load_configuration

    def counted(*arguments: Any, **named: Any) -> DictConfig:
        composed.append(arguments)
        return original(*arguments, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    quick = "tracking=none epochs=0 cache=none explorer=none checkpoint=none bounds=false"
    done = command(*quick.split(), *overrides.split())
    assert done.returncode == 0, done.stderr
    assert len(composed) == compositions


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["experiment=wikipedia_sgns", "corpus.path=big.txt", "window=7"],
        ["optimizer=adam", "optimizer.beta1=0.5", "hydra/launcher=joblib", "hydra.searchpath=[.]"],
        ["~stop", "+own={a: ${window}}"],
    ],
)
def test_hydras_own_loader_returns_the_same(overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    register_schema()
    ours = Sources().loader().load_configuration("config", overrides, RunMode.RUN)
    search_path = Sources().search_path()
    monkeypatch.setattr(config_loader_impl, "CachingConfigRepository", CachingConfigRepository)
    monkeypatch.setattr(defaults_list, "_create_interpolation_map", loader._create_interpolation_map)
    monkeypatch.setitem(SourcesRegistry.instance().types, "file", FileConfigSource)
    theirs = ConfigLoaderImpl(search_path).load_configuration("config", overrides, RunMode.RUN)
    assert described(ours) == described(theirs)
    assert all(child._get_parent() is parent for parent in _containers(ours) for child in _children(parent))


def _children(node: Any) -> list[Any]:
    content = node._content
    return [*content.values()] if isinstance(content, dict) else content if isinstance(content, list) else []


def _containers(node: Any) -> Iterator[Any]:
    """Yield a configuration and all mappings and lists in it."""
    yield node
    for child in _children(node):
        if isinstance(child, DictConfig | ListConfig):
            yield from _containers(child)
