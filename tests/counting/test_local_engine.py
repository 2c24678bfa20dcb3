"""Tasks of counting in processes of this machine: each is executed, whatever dies."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from line_counting import counts, make_texts, start_driver, starts, tasks_of

from w2v_exp.counting.engines import LocalCounting, Task
from w2v_exp.errors import SettingError, UserError

pytestmark = pytest.mark.usefixtures("starts_processes")


def executed_by(folder: Path) -> set[int]:
    """Return the processes that have started a task."""
    return {int(line) for file in (folder / "starts").iterdir() for line in file.read_text().splitlines()}


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_ended(processes: set[int]) -> None:
    until = time.monotonic() + 60
    while any(map(is_alive, processes)):
        assert time.monotonic() < until, "processes are left"
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_each_task_is_executed_once_with_one_thread(workers: int, tmp_path: Path) -> None:
    make_texts(tmp_path, 7)
    with LocalCounting(workers).engine(tmp_path) as engine:
        assert sorted(engine.run(tasks_of(tmp_path))) == list(range(7))
        for_threads = [
            Task("line_counting:log_threads", {"target": str(tmp_path / f"{n}")}) for n in range(2)
        ]
        assert sorted(engine.run(for_threads)) == [0, 1]  # with the same processes
        assert list(engine.run([])) == []
    assert counts(tmp_path) == list(range(7))
    assert starts(tmp_path) == [1] * 7
    assert len(executed_by(tmp_path)) <= workers
    assert [(tmp_path / f"{n}").read_text() for n in range(2)] == ["1\n"] * 2


@pytest.mark.parametrize("way", ["kill", "memory", "exit"])
def test_a_task_whose_worker_dies_is_executed_again_and_no_other(way: str, tmp_path: Path) -> None:
    make_texts(tmp_path, 6)
    tasks = tasks_of(tmp_path)
    deaths = random.Random(way).choices(range(3), k=6) if way == "memory" else [0, 1, 0, 0, 2, 0]
    for task, times in zip(tasks, deaths, strict=True):
        task.arguments.update(deaths=times, ends=way)
    with LocalCounting(2).engine(tmp_path) as engine:
        assert sorted(engine.run(tasks)) == list(range(6))
    assert counts(tmp_path) == list(range(6))
    assert starts(tmp_path) == [1 + times for times in deaths]


@pytest.mark.parametrize(
    ("way", "reason"),
    [("kill", "SIGKILL"), ("memory", "ran out of memory"), ("exit", "exit code 3")],
)
def test_a_task_that_kills_each_worker_is_given_up(way: str, reason: str, tmp_path: Path) -> None:
    make_texts(tmp_path, 4)
    tasks = tasks_of(tmp_path)
    tasks[1].arguments.update(deaths=9, ends=way)
    with LocalCounting(2).engine(tmp_path) as engine, pytest.raises(UserError) as raised:
        list(engine.run(tasks))
    assert str(raised.value).startswith("counting.workers=2: a worker died 3 times in count_lines, ")
    assert reason in str(raised.value)
    assert starts(tmp_path) == [1, 3, 1, 1]
    assert counts(tmp_path) == [0, 2, 3]


def test_an_error_of_a_task_ends_all_and_is_raised(tmp_path: Path) -> None:
    make_texts(tmp_path, 4)
    for ends, kind in (("mistake", SettingError), ("defect", ZeroDivisionError)):
        tasks = tasks_of(tmp_path, seconds=60.0)
        tasks[1].arguments.update(deaths=9, ends=ends, seconds=0)
        with LocalCounting(2).engine(tmp_path) as engine:
            with pytest.raises(kind):
                list(engine.run(tasks))
            for_others = tasks_of(tmp_path)[2:]
            assert sorted(engine.run(for_others)) == list(range(len(for_others)))  # it can still be used
    assert counts(tmp_path) == [2, 3]


def test_tasks_of_an_iterator_that_is_closed_are_cancelled(tmp_path: Path) -> None:
    make_texts(tmp_path, 4)
    tasks = tasks_of(tmp_path, seconds=60.0)
    tasks[0].arguments["seconds"] = 0
    with LocalCounting(2).engine(tmp_path) as engine:
        finished = engine.run(tasks)
        assert next(finished) == 0
        finished.close()  # type: ignore[attr-defined]
        wait_until_ended(executed_by(tmp_path) - {int((tmp_path / "starts" / "0000").read_text())})
    wait_until_ended(executed_by(tmp_path))
    assert counts(tmp_path) == [0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_driver_that_ends_takes_its_workers_along_and_goes_on_the_next_time(
    number: signal.Signals, tmp_path: Path
) -> None:
    make_texts(tmp_path, 12)
    generator = random.Random(int(number))
    executed = [0] * 12
    for _ in range(2):
        driver = start_driver(tmp_path, "local", workers=2, seconds=0.02)
        for _ in range(generator.randint(1, 4)):
            assert driver.stdout is not None
            driver.stdout.readline()
        time.sleep(generator.random() * 0.03)
        driver.send_signal(number)
        _, errors = driver.communicate()
        assert driver.returncode in ((-9,) if number == signal.SIGKILL else (130,))
        if number != signal.SIGKILL:  # else Python removes semaphores, with a message
            assert errors == ""
        wait_until_ended(executed_by(tmp_path))
        done = {path.name for path in (tmp_path / "counts").glob("[0-9]*")}
        executed = [now if f"{i:04}" in done else 0 for i, now in enumerate(starts(tmp_path))]
    driver = start_driver(tmp_path, "local", workers=2)
    _, errors = driver.communicate()
    assert (driver.returncode, errors) == (0, "")
    assert counts(tmp_path) == list(range(12))
    assert all(now == before for now, before in zip(starts(tmp_path), executed, strict=True) if before)
