"""Counts on engines whose driver, workers or scheduler are killed, or that have few open files."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from count_text import assert_counted, results, write_text
from processes import environment
from properties import examples

pytestmark = pytest.mark.usefixtures("starts_processes")
PROGRAM = Path(__file__).with_name("count_text.py")
ROOT = Path(__file__).parents[2]


def start(folder: Path, option: str, **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PROGRAM, folder, option, json.dumps(settings)],
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_lines(driver: subprocess.Popen[str], number: int) -> None:
    assert driver.stdout is not None
    for _ in range(number):
        driver.stdout.readline()


def assert_none_made_again(before: dict[str, int], folder: Path) -> None:
    """Compare with the results of before: each is the same file."""
    after = results(folder)
    assert {name: after.get(name) for name in before} == before


@pytest.mark.parametrize("option", ["local", "dask"])
def test_a_count_whose_driver_is_killed_continues(option: str, tmp_path: Path) -> None:
    if option == "dask":
        pytest.importorskip("distributed", reason="needs the extra dask")
    write_text(tmp_path)
    generator = random.Random(2)
    before: dict[str, int] = {}
    for _ in range(3):
        driver = start(tmp_path, option, workers=2)
        read_lines(driver, generator.randint(1, 30))
        time.sleep(generator.random() * 0.05)
        driver.kill()
        driver.communicate()
        assert_none_made_again(before, tmp_path)
        before = results(tmp_path)
    driver = start(tmp_path, option, workers=2)
    _, errors = driver.communicate(timeout=120)
    assert (driver.returncode, errors) == (0, "")
    assert before
    assert_none_made_again(before, tmp_path)
    assert_counted(tmp_path)


def workers_of(driver: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("seed", range(examples(2)))
def test_a_count_whose_worker_is_killed_goes_on(seed: int, tmp_path: Path) -> None:
    write_text(tmp_path)
    chance = random.Random(seed)
    driver = start(tmp_path, "local", workers=2)
    read_lines(driver, chance.randint(2, 40))
    with suppress(OSError, IndexError):  # they have ended
        os.kill(chance.choice(workers_of(driver)), signal.SIGKILL)
    _, errors = driver.communicate(timeout=120)
    assert (driver.returncode, errors) == (0, "")
    assert_counted(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(examples(10)))
def test_a_count_that_is_killed_at_random_moments_continues(seed: int, tmp_path: Path) -> None:
    write_text(tmp_path)
    chance = random.Random(seed)
    for _ in range(4):
        driver = start(tmp_path, "local", workers=2)
        try:
            driver.communicate(timeout=chance.uniform(0.3, 4))
            break  # it was faster
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.communicate()
    driver = start(tmp_path, "local", workers=2)
    _, errors = driver.communicate(timeout=120)
    assert (driver.returncode, errors) == (0, "")
    assert_counted(tmp_path)


def test_a_count_whose_scheduler_and_workers_are_killed_continues(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    from dask_cluster import cluster

    write_text(tmp_path)
    generator = random.Random(5)
    before: dict[str, int] = {}
    for number in range(2):
        with cluster(tmp_path / f"cluster{number}", workers=2) as started:
            driver = start(tmp_path, "dask", address=started.address)
            read_lines(driver, generator.randint(2, 12))
            started.workers.pop().kill()
            read_lines(driver, generator.randint(1, 12))
            time.sleep(generator.random() * 0.05)
            started.scheduler.kill()
            _, errors = driver.communicate(timeout=120)
        assert driver.returncode == 2
        assert errors.startswith(
            f"counting.address={started.address}: the connection to the scheduler is lost."
        )
        assert_none_made_again(before, tmp_path)
        before = results(tmp_path)
    with cluster(tmp_path / "last", workers=1) as started:
        driver = start(tmp_path, "dask", address=started.address)
        _, errors = driver.communicate(timeout=120)
    assert (driver.returncode, errors) == (0, "")
    assert before
    assert_none_made_again(before, tmp_path)
    assert_counted(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_text_of_more_shards_than_open_files_is_counted(workers: int, tmp_path: Path) -> None:
    write_text(tmp_path)
    command = [sys.executable, str(PROGRAM), str(tmp_path), "local", json.dumps({"workers": workers})]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -Sn 32; exec "$@"', "bash", *command],
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_counted(tmp_path)


@pytest.mark.slurm
def test_a_count_on_slurm_whose_driver_is_killed_continues(tmp_path: Path) -> None:
    write_text(tmp_path)
    command = shlex.join(
        [sys.executable, str(PROGRAM), str(tmp_path), "slurm", json.dumps({"tasks_per_job": 4})]
    )
    waits = 'until [ "$(ls counts/words 2> /dev/null | wc -l)" -ge 6 ]; do sleep 0.05; done'
    done = subprocess.run(
        [
            *(ROOT / "tests" / "services" / "slurm_on_loopback.sh", "bash", "-c"),
            f"{command} & driver=$!; {waits}; kill -KILL $driver; wait $driver; ls -i counts/words > before; {command}",
        ],
        cwd=tmp_path,
        env=environment(NODES="2", PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    numbers = {
        f"words/{name}": int(number)
        for number, name in map(str.split, (tmp_path / "before").read_text().splitlines())
    }
    assert len(numbers) >= 6
    assert_none_made_again(numbers, tmp_path)
    assert_counted(tmp_path)
