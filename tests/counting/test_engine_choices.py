"""The group `counting`: its settings are checked, and what an engine needs is named."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2v_exp.choices import GROUPS, make_choice
from w2v_exp.counting.engines import LocalEngine, Task
from w2v_exp.errors import SettingError, UserError
from w2v_exp.slurm import JobSettings

CONF = Path(__file__).parents[2] / "conf" / "counting"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "local", "workers": 0}, "counting.workers=0: must be a whole number, 1 or more."),
        ({"name": "local", "address": "x"}, "counting.address=x: unknown key"),
        ({"name": "dask", "workers": True}, "counting.workers=True: must be a whole number"),
        (
            {"name": "dask", "address": "10.0.0.1"},
            "counting.address=10.0.0.1: must have the form tcp://machine:8786.",
        ),
        ({"name": "dask", "address": "http://a:1"}, "counting.address=http://a:1: must have the form"),
        (
            {"name": "dask", "address": "tcp://a:1", "workers": 2},
            "counting.workers=2: the cluster of counting.address has its own workers; leave it out.",
        ),
        ({"name": "slurm", "tasks_per_job": 0}, "counting.tasks_per_job=0: must be a whole number"),
        ({"name": "slurm", "timeout_min": 1}, "counting.signal_delay_s=120: a job would receive the signal"),
        ({"name": "slurm", "mem_gb": 0}, "counting.mem_gb=0: must be a number above 0 and"),
        ({"name": "slurm", "setup": "module load x"}, "counting.setup=module load x: must be a list"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as raised:
        make_choice("counting", settings)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "tls://node-1.local:1", "node:8786", "tcp://[::1]:8786"]
)
def test_addresses_of_schedulers_are_accepted(address: str) -> None:
    assert make_choice("counting", {"name": "dask", "address": address}).address == address


@pytest.mark.parametrize(("name", "package"), [("dask", "distributed"), ("slurm", "submitit")])
def test_a_missing_package_is_named_before_anything_starts(
    name: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with (
        pytest.raises(
            UserError, match=rf"^counting={name}: needs the package {package}, which is not installed: pip"
        ),
        make_choice("counting", {"name": name}).engine(tmp_path / "counts"),
    ):
        pass
    assert not (tmp_path / "counts").exists()


@pytest.mark.parametrize("name", GROUPS["counting"])
def test_the_files_of_the_options_have_the_defaults_of_the_classes(name: str) -> None:
    settings = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    defaults = {field.name: field.default for field in dataclasses.fields(GROUPS["counting"][name])}
    assert {key: value or None for key, value in settings.items() if key != "defaults"} == defaults


def test_launcher_and_engine_have_the_same_settings_of_jobs() -> None:
    launcher = yaml.safe_load((CONF.parent / "hydra" / "launcher" / "submitit_slurm.yaml").read_text())
    engine = yaml.safe_load((CONF / "slurm.yaml").read_text())
    shared = {field.name for field in dataclasses.fields(JobSettings)}
    assert shared == set(launcher) - {"_target_", "name"}
    assert shared == set(engine) - {"defaults", "tasks_per_job"}


def test_one_worker_executes_in_this_process(tmp_path: Path) -> None:
    engine = LocalEngine(1)
    tasks = [Task("os:mkdir", {"path": str(tmp_path / name)}) for name in "ab"]
    assert list(engine.run(tasks)) == [0, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    with pytest.raises(FileExistsError):
        list(engine.run(tasks))
    engine.close()
