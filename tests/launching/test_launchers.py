"""Runs and summary of a sweep do not depend on the launcher; a process that is killed loses its run alone."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from processes import Command
from sweeps import end_group, processes_that_hold, runs_of, start, wait_for

from w2v_exp.config import Sources
from w2v_exp.embeddings import Embeddings
from w2v_exp.launching.task import Task, run_task
from w2v_exp.processes import Terminated
from w2v_exp.reporting.summary_page import FILE as PAGE
from w2v_exp.results import Sweep, read_result, write_result

linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")
SWEEP = ["window=2,3", "dim=4", "epochs=5", "tracking.plots=false", "-m"]
LONG = "100000000"  # epochs that nobody waits for
OF_THE_TIME = ("seconds", "pairs_per_second", "resident", "available", "peak_memory")
OF_THE_SWEEP = ("sweep", "hydra_output", "heartbeat", "journal")  # names, times and ids


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, _forking: Any) -> Any:
    """Return a function that runs the sweep by a launcher, once, in a folder of its own."""
    made: dict[str, Path] = {}

    def sweep(launcher: str) -> Path:
        if launcher not in made:
            folder = tmp_path_factory.mktemp(launcher)
            shutil.copy(empty_store, folder / "mlflow.db")
            done = _forking.run(*SWEEP, f"hydra/launcher={launcher}", folder=folder)
            assert done.returncode == 0, done.stderr
            assert "2 finished runs" in done.stdout
            assert done.stderr == ""
            made[launcher] = folder
        return made[launcher]

    return sweep


def facts(folder: Path) -> dict[str, Any]:
    """Return what must not depend on who has spread a sweep."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    told = {}
    for name, run in runs_of(f"sqlite:///{folder / 'mlflow.db'}").items():
        archive = client.download_artifacts(run.info.run_id, "embeddings.npz", str(folder))
        told[name] = {
            "status": run.info.status,
            "params": run.data.params,
            "tags": {
                key: value
                for key, value in run.data.tags.items()
                if key not in OF_THE_SWEEP
                and not key.startswith("mlflow.")
                and not any(part in key for part in OF_THE_TIME)
            },
            "metrics": {
                key: value
                for key, value in run.data.metrics.items()
                if not any(part in key for part in OF_THE_TIME)
            },
            "history": [
                (point.step, point.value) for point in client.get_metric_history(run.info.run_id, "cost")
            ],
            "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            "vectors": Embeddings.load(archive).input.tobytes(),
        }
    return told


def summary(folder: Path) -> list[dict[str, str]]:
    """Return the table of a sweep, without what depends on the time of day."""
    (table,) = folder.glob("outputs/sweeps/*/comparison.csv")
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    return [
        {
            key: value
            for key, value in row.items()
            if not any(part in key for part in (*OF_THE_TIME, "run_id"))
        }
        for row in rows
    ]


def test_runs_names_tags_and_summary_are_those_of_the_basic_launcher(swept: Any) -> None:
    plain, spread = swept("basic"), swept("joblib")
    assert sorted(facts(plain)) == ["window=2", "window=3"]
    assert facts(spread) == facts(plain)
    assert summary(spread) == summary(plain)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hydra/launcher=joblib"], "hydra/launcher=joblib: runs a sweep; add -m"),
        (["hydra/launcher=job", "-m"], "hydra/launcher=job: not an option, did you mean joblib?"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0", "-m"], "hydra.launcher.n_jobs=0: must be"),
        (["hydra/launcher=joblib,basic", "-m"], "hydra/launcher: applies to the whole sweep"),
    ],
)
def test_a_launcher_that_cannot_work_is_refused_before_anything_is_done(
    arguments: list[str], said: str, command: Command, tmp_path: Path
) -> None:
    done = command("window=2,3", *arguments) if "-m" in arguments else command(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert not (tmp_path / "outputs").exists()


@pytest.fixture
def begun(starts_processes: None, tmp_path: Path, store: Path) -> Iterator[Any]:
    """Return a function that starts a sweep, and waits until some of its runs train."""
    started = []

    def begin(*arguments: str, training: list[int]) -> Any:
        process = start(*arguments, "tracking.plots=false", "-m", folder=tmp_path)
        started.append(process)
        for number in training:
            wait_for(
                lambda number=number: (
                    process.poll() is not None
                    or list(tmp_path.glob(f"outputs/sweeps/*/{number}/artifacts/vocabulary.tsv"))
                ),
                f"run {number}",
            )
        assert process.poll() is None, process.communicate()
        return process

    yield begin
    for process in started:
        end_group(process)


@linux
def test_a_worker_that_is_killed_loses_its_run_alone_which_resume_does_again(
    tmp_path: Path, begun: Any, process_command: Command
) -> None:
    sweep = [f"epochs=5,{LONG},6", "stop.minutes=0.1"]  # enough for the kill, also on a busy machine
    process = begun(*sweep, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", training=[1])
    (folder,) = tmp_path.glob("outputs/sweeps/*/1")
    (worker,) = processes_that_hold(folder / "running.lock")
    os.kill(worker, signal.SIGKILL)
    said, errors = process.communicate()
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    lost = f"epochs={LONG}"
    runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert {name: run.info.status for name, run in runs.items()} == {
        "epochs=5": "FINISHED",
        lost: "KILLED",
        "epochs=6": "FINISHED",
    }
    assert "was killed" in runs[lost].data.tags["reason"]
    assert "was killed" in said
    (table,) = tmp_path.glob("outputs/sweeps/*/comparison.csv")
    assert "KILLED" in table.read_text()

    again = process_command(*sweep, "resume=true", "tracking.plots=false", "-m")
    assert again.returncode == 0, again.stderr
    assert "3 finished runs of 3 configurations, 2 reused from earlier runs" in again.stdout
    finished = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}", "attributes.status = 'FINISHED'")
    assert finished[lost].data.tags["ended_by"] == "minutes"


@linux
@pytest.mark.slow
def test_a_worker_that_is_killed_while_the_database_is_locked_ends_its_own_run_alone(
    tmp_path: Path, begun: Any
) -> None:
    process = begun(
        *(f"epochs=5,{LONG},6", "stop.minutes=0.3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        training=[1],
    )
    (folder,) = tmp_path.glob("outputs/sweeps/*/1")
    (worker,) = processes_that_hold(folder / "running.lock")
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        os.kill(worker, signal.SIGKILL)
        time.sleep(25)  # SQLite itself gives up after 20
        assert process.poll() is None
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert {name: run.info.status for name, run in runs.items()} == {
        "epochs=5": "FINISHED",
        f"epochs={LONG}": "KILLED",
        "epochs=6": "FINISHED",
    }


@linux
@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_and_keeps_what_there_is(
    signal_number: int, tmp_path: Path, begun: Any
) -> None:
    process = begun(
        f"epochs={LONG},{LONG[:-1]}",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "checkpoint.every=1s",
        training=[0, 1],
    )
    wait_for(lambda: len([*tmp_path.glob("outputs/checkpoints/*/checkpoint.npz")]) == 2, "their checkpoints")
    if signal_number == signal.SIGINT:
        os.killpg(process.pid, signal_number)  # as a terminal does
    else:
        process.send_signal(signal_number)
    _, errors = process.communicate()
    assert process.returncode == (130 if signal_number == signal.SIGINT else 143), errors
    assert "Traceback" not in errors
    runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert {run.info.status for run in runs.values()} == {"KILLED"}
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    for run in runs.values():
        assert "embeddings.npz" in {file.path for file in client.list_artifacts(run.info.run_id)}
    assert not any(processes_that_hold(file) for file in tmp_path.glob("outputs/sweeps/*/*/running.lock"))


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_workers_end_without_a_word(process_command: Command) -> None:
    done = process_command(
        "window=2,3", "epochs=5", "hydra/launcher=joblib", "-m"
    )  # pictures' libraries make locks
    assert (done.returncode, done.stderr) == (0, "")


@linux
@pytest.mark.slow
def test_runs_end_when_their_sweep_is_killed(tmp_path: Path, begun: Any) -> None:
    process = begun(f"epochs={LONG},7", "hydra/launcher=joblib", training=[0])
    (folder,) = tmp_path.glob("outputs/sweeps/*/0")
    assert processes_that_hold(folder / "running.lock")
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not processes_that_hold(folder / "running.lock"), "the end of the worker")
    runs = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert runs[f"epochs={LONG}"].info.status == "KILLED"


@pytest.mark.slow
def test_memory_decides_how_many_run_at_once(tmp_path: Path, store: Path, process_command: Command) -> None:
    """Where two do not fit, none begins before the one before it has ended."""
    done = process_command(
        *("dim=4,5,6", "epochs=2000", "tracking.plots=false", "-m", "hydra/launcher=joblib"),
        *("hydra.launcher.n_jobs=3", "hydra.launcher.memory_gb=0.5"),
    )
    assert done.returncode == 0, done.stderr
    runs = runs_of(f"sqlite:///{store}").values()
    times = sorted((run.info.start_time, run.info.end_time) for run in runs)
    assert len(times) == 3
    assert all(after[0] >= before[1] for before, after in pairwise(times))


def test_a_signal_that_comes_when_a_run_has_ended_does_not_change_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = Sweep("many", "", ["window"], 1, id="this")
    sweep.write(tmp_path / "many")

    def write_and_interrupt(*arguments: Any) -> None:
        write_result(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("w2v_exp.experiment.run.write_result", write_and_interrupt)
    quick = ("tracking=none", "epochs=1", "dim=2", "explorer=none", "checkpoint=none", "bounds=false")
    overrides = ("hydra.mode=MULTIRUN", "hydra.sweep.dir=many", *quick, "window=2")
    with pytest.raises(Terminated):
        run_task(Task(0, overrides, Sources().absolute()))
    result = read_result(tmp_path / "many" / "0", sweep)
    assert result is not None
    assert (result.status, result.reason) == ("FINISHED", "")


@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]])
def test_a_killed_sweep_leaves_a_page_of_its_runs(
    tmp_path: Path, launcher: list[str], starts_processes: None, command: Command
) -> None:
    arguments = [
        "window=3,5",
        "seed=1,2,3",
        "tracking=none",
        "hydra.sweep.dir=s",
        "epochs=40000",
        *launcher,
        "-m",
    ]
    process = start(*arguments, folder=tmp_path)
    page = tmp_path / "s" / PAGE
    try:
        wait_for(lambda: page.exists() and "<strong>0 of 6" not in page.read_text(), "a page with a run")
    finally:
        end_group(process)
    text = page.read_text()
    assert " of 6 runs, so far." in text
    assert text.rstrip().endswith("</html>")
    assert command("compare", "s", "--out", "s").returncode == 0
    assert "so far" not in page.read_text()
