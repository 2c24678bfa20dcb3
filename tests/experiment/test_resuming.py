"""What has finished before is not run again, what died is, and what is alive is left alone."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from processes import Command, environment, run_python

from w2v_exp.tracking.earlier import DEAD_AFTER_SECONDS, earlier_runs
from w2v_exp.tracking.store import Store, open_store

SWEEP = ["sweep=window_dim", "epochs=5", "tracking.plots=false"]
pytestmark = pytest.mark.usefixtures("store")


def opened(folder: Path) -> Store:
    return open_store(f"sqlite:///{folder / 'mlflow.db'}")


def runs_in(folder: Path) -> list[Any]:
    store = opened(folder)
    found = store.client.search_runs([store.experiment_id], order_by=["attributes.start_time ASC"])
    return [run for run in found if run.data.tags.get("kind") != "summary"]


def newest_comparison(folder: Path) -> list[dict[str, str]]:
    newest = max(folder.glob("outputs/sweeps/*/comparison.csv"), key=lambda file: file.stat().st_mtime_ns)
    with newest.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_named_sweep_is_taken_up_where_it_is_incomplete(command: Command, tmp_path: Path) -> None:
    # The first has half of its runs; the second needs the others only, and compares all four.
    assert command(*SWEEP, "window=3").returncode == 0
    done = command(*SWEEP)
    assert done.returncode == 0, done.stderr
    assert "4 finished runs of 4 configurations, 2 of them before, and not run again" in done.stdout
    found = runs_in(tmp_path)
    assert len(found) == 4
    assert len({run.data.tags["fingerprint"] for run in found}) == 4
    first = {run.info.run_id for run in found[:2]}
    rows = newest_comparison(tmp_path)
    assert {row["skipped"] for row in rows if row["window"] == "3"} == first
    assert {row["status"] for row in rows if row["window"] == "3"} == {"SKIPPED"}
    assert {row["status"] for row in rows if row["window"] == "5"} == {"FINISHED"}
    for row in rows:
        (run,) = [
            each
            for each in found
            if (each.data.params["window"], each.data.params["dim"]) == (row["window"], row["dim"])
        ]
        assert float(row["information_explained"]) == run.data.metrics["information_explained"]
    store = opened(tmp_path)
    summary, _ = store.client.search_runs(
        [store.experiment_id], "tags.kind = 'summary'", order_by=["attributes.start_time DESC"]
    )
    for run_id in first:
        assert f"[{run_id}](#/runs/{run_id})" in summary.data.tags["mlflow.note.content"]
    # The comparison of the store alone knows the skipped runs, too.
    script = Path(__file__).parents[2] / "scripts" / "compare.py"
    compared = run_python(str(script), "--out", "compared", folder=tmp_path)
    assert compared.returncode == 0, compared.stderr
    with (tmp_path / "compared" / "comparison.csv").open(newline="") as stream:
        assert list(csv.DictReader(stream)) == rows


def test_a_sweep_of_nothing_new_runs_nothing_and_force_runs_all(command: Command, tmp_path: Path) -> None:
    small = [*SWEEP, "window=3", "dim=10,50"]
    command(*small)
    done = command(*small)
    assert (done.returncode, len(runs_in(tmp_path))) == (0, 2)
    assert command(*small, "force=true").returncode == 0
    assert len(runs_in(tmp_path)) == 4


def test_other_runs_are_skipped_only_where_that_is_asked_for(command: Command, tmp_path: Path) -> None:
    once = ["epochs=5", "tracking.plots=false"]
    command(*once)
    command(*once)
    assert len(runs_in(tmp_path)) == 2
    done = command(*once, "resume=true")
    assert done.returncode == 0, done.stderr
    newest = runs_in(tmp_path)[-1].info.run_id
    assert f"It has finished before, as run {newest}" in done.stdout
    assert "information explained" in done.stdout
    assert len(runs_in(tmp_path)) == 2
    assert command(*once, "resume=true", "seed=1").returncode == 0
    assert len(runs_in(tmp_path)) == 3
    assert command("sweep=window_dim", "window=3", "dim=50", *once, "resume=false").returncode == 0
    assert len(runs_in(tmp_path)) == 4


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_what_did_not_finish_runs_again(command: Command, tmp_path: Path, status: str) -> None:
    once = ["epochs=5", "tracking.plots=false", "resume=true"]
    command(*once)
    (run,) = runs_in(tmp_path)
    opened(tmp_path).client.set_terminated(run.info.run_id, status)
    assert command(*once).returncode == 0
    assert sorted(run.info.status for run in runs_in(tmp_path)) == sorted([status, "FINISHED"])


def test_a_run_that_was_deleted_runs_again(command: Command, tmp_path: Path) -> None:
    once = ["epochs=5", "tracking.plots=false", "resume=true"]
    command(*once)
    (run,) = runs_in(tmp_path)
    opened(tmp_path).client.delete_run(run.info.run_id)
    assert command(*once).returncode == 0
    assert len(runs_in(tmp_path)) == 1


def test_a_run_that_is_alive_is_left_alone_and_runs_again_once_it_is_killed(
    command: Command, tmp_path: Path
) -> None:
    once = ["epochs=100000000", "tracking.points=10", "tracking.plots=false", "resume=true"]
    process = subprocess.Popen(
        [sys.executable, "-m", "w2v_exp", *once],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("outputs/runs/*/artifacts/vocabulary.tsv")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (run,) = runs_in(tmp_path)
        done = command(*once)
        assert done.returncode == 1
        assert f"run {run.info.run_id} does the same on {socket.gethostname()}" in done.stderr
        assert len(runs_in(tmp_path)) == 1
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert runs_in(tmp_path)[0].info.status == "RUNNING"  # it could tell nobody
    store = opened(tmp_path)
    assert len(earlier_runs(store, run.data.tags["fingerprint"]).dead) == 1
    done = command(*once[1:], "epochs=5")  # another run: nothing is said of the dead one
    assert done.returncode == 0
    statuses = [each.info.status for each in runs_in(tmp_path)]
    assert statuses == ["RUNNING", "FINISHED"]


def test_a_run_of_another_machine_is_alive_while_its_heart_beats(tmp_path: Path) -> None:
    store = opened(tmp_path)
    now = int(time.time())

    def run(host: str, beat: int) -> str:
        tags = {
            "fingerprint": "f",
            "host": host,
            "heartbeat": str(beat),
            "hydra_output": str(tmp_path / "gone"),
        }
        created: str = store.client.create_run(store.experiment_id, tags=tags).info.run_id
        return created

    beating = run("another", now - 30)
    silent = run("another", now - int(DEAD_AFTER_SECONDS) - 1)
    unseen = run(socket.gethostname(), now - 30)  # of this machine, but its folder is not here
    found = earlier_runs(store, "f")
    assert {each.info.run_id for each in found.alive} == {beating, unseen}
    assert [each.info.run_id for each in found.dead] == [silent]
    assert earlier_runs(store, "g").dead == []


def test_a_dead_run_is_told_so_when_it_runs_again(command: Command, tmp_path: Path) -> None:
    once = ["epochs=5", "tracking.plots=false", "resume=true"]
    command(*once)
    (run,) = runs_in(tmp_path)
    client: MlflowClient = opened(tmp_path).client
    client.update_run(run.info.run_id, "RUNNING")  # what a SIGKILL would have left; nobody holds its lock
    assert command(*once).returncode == 0
    dead, again = runs_in(tmp_path)
    assert (dead.info.status, again.info.status) == ("KILLED", "FINISHED")
    assert dead.data.tags["reason"] == "its process was gone"


def test_resume_needs_a_store(command: Command) -> None:
    done = command("resume=true", "tracking=none")
    assert done.returncode == 2
    assert "resume=True: finished runs are looked up in MLflow; it needs tracking=mlflow." in done.stderr
    assert command("sweep=window_dim", "tracking=none", "epochs=1", "window=3").returncode == 0


@pytest.mark.slow
def test_a_look_up_among_ten_thousand_runs_takes_less_than_a_second(tmp_path: Path) -> None:
    import sqlite3

    store = opened(tmp_path)
    tags = {"fingerprint": "wanted", "host": "h", "heartbeat": "0", "sweep": "s"}
    template = store.client.create_run(store.experiment_id, tags=tags).info.run_id
    store.client.set_terminated(template, "FINISHED")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        copy_runs(database, template, 10_000)
    earlier_runs(store, "none")  # the first query connects
    started = time.perf_counter()
    found = earlier_runs(store, "wanted")
    seconds = time.perf_counter() - started
    assert [run.info.run_id for run in found.finished] == [template]
    assert seconds < 1


def copy_runs(database: Any, template: str, number: int) -> None:
    """Copy a run so many times, with params, metrics and tags as real ones have; each with a fingerprint of its own."""
    columns = [row[1] for row in database.execute("PRAGMA table_info(runs)") if row[1] != "run_uuid"]
    listed = ", ".join(columns)
    for each in range(number):
        run = f"{each:032x}"
        database.execute(
            f"INSERT INTO runs (run_uuid, {listed}) SELECT ?, {listed} FROM runs WHERE run_uuid = ?",
            (run, template),
        )
        tags = [("fingerprint", f"{each:x}"), ("host", "h"), *((f"tag{k}", "value") for k in range(20))]
        database.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", [(k, v, run) for k, v in tags]
        )
        params = [(f"param{k}", "value", run) for k in range(60)]
        database.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", params)
        metrics = [(f"metric{k}", 1.0, 0, 0, 0, run) for k in range(20)]
        database.executemany(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)",
            metrics,
        )
