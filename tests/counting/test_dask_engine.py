"""Tasks of counting on a Dask cluster: each is executed, whatever dies."""

from __future__ import annotations

import http.server
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs the extra dask")
import dask
from dask_cluster import cluster
from line_counting import counts, make_texts, start_driver, starts, tasks_of
from processes import Command

from w2v_exp.counting import dask_engine
from w2v_exp.counting.dask_engine import PER_THREAD, DaskCounting
from w2v_exp.counting.engines import Task
from w2v_exp.errors import SettingError, UserError

pytestmark = pytest.mark.usefixtures("starts_processes")
ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Return the address of a cluster of two workers."""
    with cluster(tmp_path / "cluster", workers=2) as started:
        yield started.address


def test_tasks_on_a_cluster_of_this_machine_survive_their_workers(tmp_path: Path) -> None:
    make_texts(tmp_path, 8)
    tasks = tasks_of(tmp_path)
    deaths = [0, 2, 0, 0, 1, 0, 0, 1]
    for task, times in zip(tasks, deaths, strict=True):
        task.arguments.update(deaths=times, ends="kill" if times < 2 else "memory")
    with DaskCounting(workers=2).engine(tmp_path / "engine") as engine:
        assert sorted(engine.run(tasks)) == list(range(8))
        assert list(engine.run([])) == []
    assert counts(tmp_path) == list(range(8))
    assert all(now >= 1 + times for now, times in zip(starts(tmp_path), deaths, strict=True))
    assert list((tmp_path / "engine").iterdir()) == []


@pytest.mark.parametrize("way", ["kill", "memory"])
def test_a_task_that_kills_all_workers_is_given_up(way: str, tmp_path: Path) -> None:
    make_texts(tmp_path, 3)
    tasks = tasks_of(tmp_path)
    tasks[1].arguments.update(deaths=99, ends=way)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        DaskCounting(workers=2).engine(tmp_path / "engine") as engine,
        pytest.raises(
            UserError, match=r"^counting.address=null: workers died again and again in count_lines, "
        ),
    ):
        list(engine.run(tasks))
    assert starts(tmp_path)[1] >= 3


def test_an_error_of_a_task_is_raised_as_it_is(address: str, tmp_path: Path) -> None:
    make_texts(tmp_path, 4)
    with DaskCounting(address).engine(tmp_path / "engine") as engine:
        for ends, kind in (("mistake", SettingError), ("defect", ZeroDivisionError)):
            tasks = tasks_of(tmp_path)
            tasks[-1].arguments.update(deaths=9, ends=ends)
            with pytest.raises(kind):
                list(engine.run(tasks))
        assert sorted(engine.run(tasks_of(tmp_path))) == list(range(len(tasks_of(tmp_path)) or 1))


def test_few_tasks_are_sent_at_once(address: str, tmp_path: Path) -> None:
    make_texts(tmp_path, 40)
    with DaskCounting(address).engine(tmp_path / "engine") as engine:
        most = 0
        for done, _ in enumerate(engine.run(tasks_of(tmp_path))):
            most = max(most, sum(starts(tmp_path)) - done)
            time.sleep(0.01)  # in which workers would start all that they have
    assert most <= PER_THREAD * 2
    assert starts(tmp_path) == [1] * 40


def test_workers_that_are_killed_and_added_at_any_moment_change_nothing(tmp_path: Path) -> None:
    make_texts(tmp_path, 30)
    generator = random.Random(7)
    with cluster(tmp_path / "cluster", workers=2) as started:
        engine_of_cluster = DaskCounting(started.address).engine(tmp_path / "engine")
        with engine_of_cluster as engine:
            for done, _ in enumerate(engine.run(tasks_of(tmp_path, seconds=0.02))):
                if done in (3, 11, 19):
                    started.add_worker()
                    time.sleep(generator.random() * 0.05)
                    started.workers.pop(0).kill()
    assert counts(tmp_path) == list(range(30))
    assert sum(starts(tmp_path)) <= 30 + 3 * PER_THREAD


def test_after_the_death_of_the_scheduler_the_same_command_continues(tmp_path: Path) -> None:
    make_texts(tmp_path, 12)
    generator = random.Random(3)
    for attempt in range(2):
        before = starts(tmp_path)
        done = {int(path.name) for path in (tmp_path / "counts").glob("[0-9]*")}
        with cluster(tmp_path / f"cluster{attempt}", workers=2) as started:
            driver = start_driver(tmp_path, "dask", address=started.address, seconds=0.03)
            assert driver.stdout is not None
            for _ in range(generator.randint(1, 4)):
                driver.stdout.readline()
            time.sleep(generator.random() * 0.05)
            started.scheduler.kill()
            _, errors = driver.communicate(timeout=120)
        assert driver.returncode == 2
        assert errors == (
            f"counting.address={started.address}: the connection to the scheduler is lost. Run the same command "
            "again: finished counts are kept.\n"
        )
        assert [starts(tmp_path)[index] for index in done] == [before[index] for index in done]
    with cluster(tmp_path / "last", workers=2) as started:
        driver = start_driver(tmp_path, "dask", address=started.address)
        _, errors = driver.communicate(timeout=120)
    assert (driver.returncode, errors) == (0, "")
    assert counts(tmp_path) == list(range(12))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_driver_that_ends_leaves_the_cluster_to_the_next_one(
    number: signal.Signals, address: str, tmp_path: Path
) -> None:
    make_texts(tmp_path, 12)
    driver = start_driver(tmp_path, "dask", address=address, seconds=0.03)
    assert driver.stdout is not None
    for _ in range(3):
        driver.stdout.readline()
    driver.send_signal(number)
    _, errors = driver.communicate(timeout=120)
    assert (driver.returncode, errors) == (130 if number == signal.SIGINT else -9, "")
    driver = start_driver(tmp_path, "dask", address=address)
    _, errors = driver.communicate(timeout=120)
    assert (driver.returncode, errors) == (0, "")
    assert counts(tmp_path) == list(range(12))
    assert sum(starts(tmp_path)) <= 12 + PER_THREAD * 2


def opened(address: str, folder: Path) -> str:
    """Return the message of an engine that cannot be used."""
    with pytest.raises(UserError) as raised, DaskCounting(address).engine(folder) as engine:
        list(engine.run([]))  # needs no cluster
        list(engine.run([Task("line_counting:count_lines", {})]))
    message = str(raised.value)
    assert message.startswith(f"counting.address={address}: ")
    assert "\n" not in message
    return message.partition(": ")[2]


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let waits that end in an error be short."""
    monkeypatch.setattr(dask_engine, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(dask_engine, "FIRST_WORKER_SECONDS", 1.0)


@pytest.mark.usefixtures("short_waits")
def test_an_address_without_a_scheduler_is_one_line(tmp_path: Path) -> None:
    assert opened("tcp://127.0.0.1:1", tmp_path).startswith("no Dask scheduler responds there (Timed out")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.daemon_threads = True
    server.RequestHandlerClass.log_message = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    problem = opened(f"tcp://127.0.0.1:{server.server_port}", tmp_path)  # as that of the scheduler's web page
    server.shutdown()
    server.server_close()
    assert problem.startswith("no Dask scheduler responds there (no answer in 1 s).")


@pytest.mark.usefixtures("short_waits")
def test_a_cluster_that_cannot_count_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"  # as of a machine without w2v_exp
    (other / "w2v_exp").mkdir(parents=True)
    (other / "w2v_exp" / "__init__.py").touch()
    version = tmp_path / "version" / "dask-1.0.dist-info"
    version.mkdir(parents=True)
    (version / "METADATA").write_text("Metadata-Version: 2.1\nName: dask\nVersion: 1.0\n")
    with cluster(tmp_path / "cluster") as started:
        problem = opened(started.address, tmp_path)
        assert problem.startswith(
            "no worker has connected to this scheduler within 1 s. Start some with: dask worker"
        )
        monkeypatch.undo()
        for path, reason in (
            (other, "has no w2v_exp, or another version. Install the same one."),
            (version.parent, f"dask {dask.__version__} here, 1.0 on the worker tcp://"),
        ):
            worker = started.add_worker(PYTHONPATH=f"{path}:{ROOT}")
            assert reason in opened(started.address, tmp_path)
            worker.terminate()
            worker.wait()
        started.add_worker()
        unshared = Path("/proc/self/cwd/counts")  # another folder for each process
        assert f"does not see the folder {unshared}" in opened(started.address, unshared)
        assert not list((tmp_path / "cluster").glob("counts*"))


def test_a_run_does_not_depend_on_the_engine(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the king and the queen and the king of the hill\n" * 50)
    run = [
        *(
            "corpus=file",
            "corpus.path=text.txt",
            "tokenizer=whitespace",
            "labels=counts",
            "dim=3",
            "epochs=2",
        ),
        *("cache=none", "tracking=none", "explorer=none"),
    ]
    for engine in (["counting=local"], ["counting=dask", "counting.workers=1"]):
        done = command(
            *run, *engine, f"hydra.run.dir={engine[0]}", **{"W2V_EXP_CACHE": str(tmp_path / "cache")}
        )
        assert done.returncode == 0, done.stderr
    files = [tmp_path / name / "artifacts" / "embeddings.npz" for name in ("counting=local", "counting=dask")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert list((tmp_path / "cache").glob("counts*")) == []
