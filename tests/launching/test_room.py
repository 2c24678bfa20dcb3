"""How many runs are let in at once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from w2v_exp.config import Sources
from w2v_exp.errors import UserError
from w2v_exp.launching.launch import Needs, Room
from w2v_exp.launching.settings import make_settings
from w2v_exp.launching.task import Task


def tasks(*needs: tuple[int, int]) -> tuple[list[Task], dict[int, Needs]]:
    made = [Task(number, (), Sources()) for number in range(len(needs))]
    return made, {number: Needs(*each) for number, each in enumerate(needs)}


def let_in(room: Room, waiting: list[Task]) -> list[bool]:
    return [room.take(task) for task in waiting]


def test_cores_decide_where_there_is_memory() -> None:
    waiting, needs = tasks((1, 10), (2, 10), (1, 10), (1, 10))
    room = Room(lambda task: needs[task.number], cores=4, memory=1000)
    assert let_in(room, waiting) == [True, True, True, False]
    room.free(waiting[0])
    assert room.take(waiting[3])


def test_memory_decides_where_there_are_cores() -> None:
    waiting, needs = tasks((1, 400), (1, 400), (1, 400), (1, 200))
    room = Room(lambda task: needs[task.number], cores=8, memory=1000)
    assert let_in(room, waiting) == [True, True, False, True]


def test_a_number_of_runs_takes_the_place_of_cores_but_not_of_memory() -> None:
    waiting, needs = tasks((1, 300), (1, 300), (1, 300), (1, 300))
    assert sum(let_in(Room(lambda task: needs[task.number], 1, 9999, runs=3), waiting)) == 3
    assert sum(let_in(Room(lambda task: needs[task.number], 1, 700, runs=3), waiting)) == 2


def test_where_nobody_knows_the_memory_it_decides_nothing() -> None:
    waiting, needs = tasks((1, 10**15), (1, 10**15))
    assert let_in(Room(lambda task: needs[task.number], 2, None), waiting) == [True, True]


def test_what_fits_nowhere_is_let_in_alone() -> None:
    waiting, needs = tasks((16, 5000), (1, 1))
    room = Room(lambda task: needs[task.number], cores=2, memory=1000)
    assert let_in(room, waiting) == [True, False]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_jobs": 0}, "hydra.launcher.n_jobs=0: must be a whole number, 1 or more."),
        ({"memory_gb": 0}, "hydra.launcher.memory_gb=0: must be a number above 0."),
    ],
)
def test_what_a_launcher_cannot_be_told_is_said_by_its_key(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make_settings("joblib", settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"timeout_min": 0}, "hydra.launcher.timeout_min=0: must be"),
        (
            {"timeout_min": 3},
            "hydra.launcher.signal_delay_s=120: a run would be asked to end before it has begun",
        ),
        ({"mem_gb": -1}, "hydra.launcher.mem_gb=-1: must be"),
        ({"cpus_per_task": 1.5}, "hydra.launcher.cpus_per_task=1.5: must be"),
        ({"setup": "module load python"}, "hydra.launcher.setup=module load python: must be a list"),
    ],
)
def test_what_slurm_cannot_be_asked_for_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(said)}"):
        make_settings("submitit_slurm", settings)
