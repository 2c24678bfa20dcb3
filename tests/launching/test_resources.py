"""Resources of this machine, and settings of launchers."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from w2v_exp.config import Sources
from w2v_exp.errors import UserError
from w2v_exp.launching.launch import ResourcePool, Resources
from w2v_exp.launching.settings import read_settings
from w2v_exp.launching.task import Task


def tasks(*needs: tuple[int, int]) -> tuple[list[Task], dict[int, Resources]]:
    made = [Task(number, (), Sources()) for number in range(len(needs))]
    return made, {number: Resources(*each) for number, each in enumerate(needs)}


def reserved(pool: ResourcePool, waiting: list[Task]) -> list[bool]:
    return [pool.reserve(task) for task in waiting]


def test_cores_limit_the_runs_where_memory_is_sufficient() -> None:
    waiting, needs = tasks((1, 10), (2, 10), (1, 10), (1, 10))
    pool = ResourcePool(lambda task: needs[task.number], cores=4, memory=1000)
    assert reserved(pool, waiting) == [True, True, True, False]
    pool.release(waiting[0])
    assert pool.reserve(waiting[3])


def test_memory_limits_the_runs_where_cores_are_sufficient() -> None:
    waiting, needs = tasks((1, 400), (1, 400), (1, 400), (1, 200))
    pool = ResourcePool(lambda task: needs[task.number], cores=8, memory=1000)
    assert reserved(pool, waiting) == [True, True, False, True]


def test_a_number_of_runs_replaces_the_limit_of_cores_but_not_of_memory() -> None:
    waiting, needs = tasks((1, 300), (1, 300), (1, 300), (1, 300))
    assert sum(reserved(ResourcePool(lambda task: needs[task.number], 1, 9999, runs=3), waiting)) == 3
    assert sum(reserved(ResourcePool(lambda task: needs[task.number], 1, 700, runs=3), waiting)) == 2


def test_unknown_memory_is_no_limit() -> None:
    waiting, needs = tasks((1, 10**15), (1, 10**15))
    assert reserved(ResourcePool(lambda task: needs[task.number], 2, None), waiting) == [True, True]


def test_a_run_that_does_not_fit_starts_alone() -> None:
    waiting, needs = tasks((16, 5000), (1, 1))
    pool = ResourcePool(lambda task: needs[task.number], cores=2, memory=1000)
    assert reserved(pool, waiting) == [True, False]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_jobs": 0}, "hydra.launcher.n_jobs=0: must be a whole number, 1 or more."),
        ({"memory_gb": 0}, "hydra.launcher.memory_gb=0: must be a number above 0."),
    ],
)
def test_invalid_settings_of_joblib_are_named_by_their_keys(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_settings({"name": "joblib", **settings})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"timeout_min": 0}, "hydra.launcher.timeout_min=0: must be"),
        (
            {"timeout_min": 3},
            "hydra.launcher.signal_delay_s=120: a job would receive the signal to stop before it starts",
        ),
        ({"mem_gb": -1}, "hydra.launcher.mem_gb=-1: must be"),
        ({"cpus_per_task": 1.5}, "hydra.launcher.cpus_per_task=1.5: must be"),
        ({"setup": "module load python"}, "hydra.launcher.setup=module load python: must be a list"),
    ],
)
def test_invalid_settings_of_slurm_are_named_by_their_keys(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(said)}"):
        read_settings({"name": "submitit_slurm", **settings})


@pytest.mark.usefixtures("starts_processes")
def test_a_launcher_needs_only_the_package_of_its_own() -> None:
    code = "import sys; sys.modules.update(joblib=None, submitit=None); import w2v_exp.launching.launch"
    subprocess.run([sys.executable, "-c", code], check=True)
