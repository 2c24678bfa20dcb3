"""A run as a job of Hydra."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import hydra.core.utils
import pytest
import yaml
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader
from properties import examples

from w2v_exp.config import Sources, register_schema
from w2v_exp.experiment.job import SWEEP, as_yaml, run_job


class Noting(Callback):  # type: ignore[misc]
    """Notes its calls, with what a callback may read of a job."""

    calls: list[Any]

    def __init__(self) -> None:
        Noting.calls = []

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        self.calls.append(("start", config.hydra.runtime.output_dir, os.environ.get("OF_THE_JOB")))

    def on_job_end(self, config: DictConfig, job_return: Any, **_: Any) -> None:
        done = job_return
        self.calls.append(
            (done.status, str(done._return_value), done.overrides, done.cfg, done.working_dir, done.task_name)
        )
        self.calls.append(OmegaConf.to_yaml(done.hydra_cfg))


def task(config: DictConfig) -> list[Any]:
    if config.window == 3:
        raise ValueError("fails")
    return [
        config.window,
        HydraConfig.get().job.name,
        HydraConfig.get().sweep.subdir,
        os.environ["OF_THE_JOB"],
    ]


def outcome(of_hydra: bool, overrides: list[str]) -> Any:
    config = Sources().compose(overrides)
    callbacks, before = Callbacks(config), HydraConfig.instance().cfg
    if of_hydra:
        context = HydraContext(config_loader=None, callbacks=callbacks)
        done = hydra.core.utils.run_job(task, config, *SWEEP, hydra_context=context)
    else:
        done = run_job(task, config, SWEEP, callbacks)
    assert HydraConfig.instance().cfg is before
    assert "OF_THE_JOB" not in os.environ
    result = done.return_value if done.status == JobStatus.COMPLETED else repr(done._return_value)
    files = {str(file): file.read_text() for file in sorted(Path("sweep").rglob("*.yaml"))}
    return result, done.overrides, Noting.calls, files, logging.getLogger().level


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["hydra.output_subdir=null"],
        ["hydra.output_subdir=own"],
        ["window=3"],
        ["corpus.text='${window} é: 1e3'"],
    ],
)
def test_a_job_is_executed_as_hydra_executes_it(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_schema()
    overrides = [
        *(
            "corpus=text",
            "corpus.text=a b",
            "hydra.sweep.dir=x/../sweep",
            "hydra.sweep.subdir=w${window}",
            *more,
        ),
        "+hydra.callbacks={noting: {_target_: " + f"{Noting.__module__}.Noting" + "}}",
        "+hydra.job.env_set.OF_THE_JOB=1",
    ]
    outcomes = []
    for of_hydra in (True, False):
        (tmp_path / "at").mkdir()
        monkeypatch.chdir(tmp_path / "at")
        outcomes.append(outcome(of_hydra, overrides))
        (tmp_path / "at").rename(tmp_path / f"was {of_hydra}")
    assert outcomes[0] == outcomes[1]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
@settings(max_examples=examples(40))
def test_values_are_read_from_yaml_as_they_were_written(value: Any) -> None:
    values = {"own": value, "text": "1e3", "other": "é: [${x}]\n", "long": "word " * 40}
    assert repr(yaml.load(as_yaml(values), get_yaml_loader())) == repr(values)
