"""Finished runs are skipped, those that died are run again, and those that are running are left alone."""

from __future__ import annotations

import csv
import gc
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf
from plans import plan_of
from processes import Command, environment

from w2v_exp.errors import UserError
from w2v_exp.experiment import cli
from w2v_exp.experiment.record import resumes
from w2v_exp.experiment.run_info import RunInfo
from w2v_exp.experiment.subcommands import compare_runs
from w2v_exp.files import locked
from w2v_exp.reporting.comparison import compare
from w2v_exp.results import Sweep
from w2v_exp.tracking.history import (
    DEAD_AFTER_SECONDS,
    LOCK,
    earlier_runs,
    recorded_results,
    recorded_runs,
    recorded_sweep,
    skipped_results,
)
from w2v_exp.tracking.journal import Journal
from w2v_exp.tracking.store import Store, open_store
from w2v_exp.training.checkpoints import CheckpointFolder
from w2v_exp.training.trainer import Trainer

ONCE = ["epochs=5", "tracking.plots=false"]


def opened(folder: Path) -> Store:
    return open_store(f"sqlite:///{folder / 'mlflow.db'}")


def runs_in(folder: Path) -> list[Any]:
    store = opened(folder)
    return recorded_runs(store, "")


def newest_comparison(folder: Path) -> Path:
    return max(folder.glob("outputs/sweeps/*/comparison.csv"), key=lambda file: file.stat().st_mtime_ns)


@pytest.mark.usefixtures("store")
def test_a_named_sweep_is_taken_up_where_it_is_incomplete(command: Command, tmp_path: Path) -> None:
    sweep = ["sweep=window_dim", "window=3", *ONCE]
    assert command(*sweep, "dim=10").returncode == 0
    (first,) = runs_in(tmp_path)
    done = command(*sweep)
    assert done.returncode == 0, done.stderr
    assert "2 finished runs of 2 configurations, 1 reused from earlier runs" in done.stdout
    runs = {run.data.params["dim"]: run for run in runs_in(tmp_path)}
    assert len(runs_in(tmp_path)) == len(runs) == 2
    assert runs["10"].info.run_id == first.info.run_id
    assert runs["10"].data.tags["fingerprint"] != runs["50"].data.tags["fingerprint"]

    with newest_comparison(tmp_path).open(newline="") as stream:
        rows = {row["dim"]: row for row in csv.DictReader(stream)}
    assert (rows["10"]["status"], rows["10"]["skipped"]) == ("SKIPPED", first.info.run_id)
    assert (rows["50"]["status"], rows["50"]["skipped"]) == ("FINISHED", "")
    for dim, run in runs.items():
        assert float(rows[dim]["information_explained"]) == run.data.metrics["information_explained"]

    store = opened(tmp_path)
    named, _ = recorded_sweep(store)
    (summary,) = store.client.search_runs(
        [store.experiment_id], f"tags.kind = 'summary' and tags.sweep = '{named}'"
    )
    link = f"[{first.info.run_id}](#/runs/{first.info.run_id})"
    assert link in summary.data.tags["mlflow.note.content"]
    # The store alone knows what was skipped, too: so does `w2v-exp compare`.
    results = recorded_results(store, recorded_runs(store, f"tags.sweep = '{named}'")) + skipped_results(
        store, named
    )
    compare(results).write_csv(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == newest_comparison(tmp_path).read_text()

    assert command(*sweep, "dim=10", "force=true").returncode == 0
    assert len(runs_in(tmp_path)) == 3


@pytest.mark.usefixtures("store")
def test_a_single_run_is_skipped_if_asked_for_and_a_dead_one_runs_again(
    command: Command, tmp_path: Path
) -> None:
    assert command(*ONCE).returncode == 0
    (run,) = runs_in(tmp_path)
    done = command(*ONCE, "resume=true")
    assert done.returncode == 0, done.stderr
    assert f"Skipped: finished earlier as run {run.info.run_id}" in done.stdout
    assert "information explained" in done.stdout
    assert len(runs_in(tmp_path)) == 1

    opened(tmp_path).client.update_run(
        run.info.run_id, "RUNNING"
    )  # as SIGKILL leaves it; nobody holds its lock
    assert command(*ONCE, "resume=true").returncode == 0
    dead, again = runs_in(tmp_path)
    assert (dead.info.status, again.info.status) == ("KILLED", "FINISHED")
    assert dead.data.tags["reason"] == "its process was gone"


@pytest.mark.usefixtures("starts_processes", "store")
def test_a_run_is_alive_until_it_is_killed(command: Command, tmp_path: Path) -> None:
    endless = ["epochs=100000000", "tracking.points=10", "tracking.plots=false", "resume=true"]
    process = subprocess.Popen(
        [sys.executable, "-m", "w2v_exp", *endless],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not runs_in(tmp_path):
            assert process.poll() is None
            time.sleep(0.05)
        (run,) = runs_in(tmp_path)
        done = command(*endless)
        assert done.returncode == 1
        assert (
            f"run {run.info.run_id} is training the same configuration on {socket.gethostname()}"
            in done.stderr
        )
        assert len(runs_in(tmp_path)) == 1
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    found = earlier_runs(opened(tmp_path), run.data.tags["fingerprint"])
    assert [each.info.status for each in found.dead] == ["RUNNING"]  # it could tell nobody
    assert not found.alive


@pytest.mark.usefixtures("store")
def test_runs_are_told_apart_by_how_they_are(tmp_path: Path) -> None:
    store = opened(tmp_path)
    now = int(time.time())

    def run(status: str, host: str = "another", beat: int = now) -> str:
        tags = {
            "fingerprint": "f",
            "host": host,
            "heartbeat": str(beat),
            "hydra_output": str(tmp_path / "gone"),
        }
        created: str = store.client.create_run(store.experiment_id, tags=tags).info.run_id
        if status != "RUNNING":
            store.client.set_terminated(created, status)
        return created

    finished = run("FINISHED")
    store.client.delete_run(run("FINISHED"))
    beating = run("RUNNING", beat=now - 30)
    not_seen_from_here = run("RUNNING", socket.gethostname(), now - 30)
    silent = run("RUNNING", beat=now - int(DEAD_AFTER_SECONDS) - 1)
    failed, killed = run("FAILED"), run("KILLED")
    found = earlier_runs(store, "f")
    assert [each.info.run_id for each in found.finished] == [finished]
    assert {each.info.run_id for each in found.alive} == {beating, not_seen_from_here}
    assert {each.info.run_id for each in found.dead} == {silent, failed, killed}
    assert earlier_runs(store, "g").dead == []


@pytest.mark.parametrize(
    ("overrides", "in_named_sweep", "expected"),
    [
        ([], True, True),
        ([], False, False),
        (["resume=true"], False, True),
        (["resume=false"], True, False),
        (["force=true"], True, False),
        (["resume=true", "force=true"], True, False),
        (["tracking=none"], True, True),
        (["resume=true", "tracking=none"], False, True),
    ],
)
def test_who_resumes(overrides: list[str], in_named_sweep: bool, expected: bool) -> None:
    choices = {"corpus": "article"} | ({"sweep": "window_dim"} if in_named_sweep else {})
    sweep = Sweep("s", "", ["window"], 2) if in_named_sweep else None
    info = RunInfo("a", 0, sweep, {}, [], choices, OmegaConf.create(), Path())
    assert resumes(plan_of(*overrides), info) == expected


UNTRACKED = [*ONCE[:1], "tracking=none", "explorer=none", "bounds=false", "dim=2"]


def results_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the results in a folder and below it, by the folders of their runs."""
    return {
        str(file.parent.relative_to(folder)): json.loads(file.read_text())
        for file in folder.rglob("result.json")
    }


@pytest.mark.parametrize("place", [[], ["hydra.run.dir=runs/${now:%f}"]])
def test_without_tracking_a_finished_run_is_found_in_its_folder(
    place: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*UNTRACKED, *place, "resume=true"]
    assert cli.run(command) == 0
    ((first, result),) = results_in(tmp_path).items()
    capsys.readouterr()
    assert cli.run(command) == 0
    assert f"Skipped: finished earlier as run {first}" in capsys.readouterr().out
    (again,) = (values for folder, values in results_in(tmp_path).items() if folder != first)
    assert (again["status"], again["run_id"]) == ("SKIPPED", first)
    assert again["metrics"] == result["metrics"]
    assert len([*tmp_path.rglob("embeddings.npz")]) == 1
    assert cli.run([*command, "seed=1"]) == 0
    assert cli.run([*command, "force=true"]) == 0
    assert len([*tmp_path.rglob("embeddings.npz")]) == 3
    shutil.rmtree(tmp_path / first)
    (tmp_path / "mlruns").mkdir()  # a folder that is none of ours
    assert cli.run([*command, "seed=1"]) == 0
    assert len([*tmp_path.rglob("embeddings.npz")]) == 2


@pytest.mark.second_tier
@pytest.mark.parametrize("place", [[], ["hydra.sweep.dir=many"]])
def test_without_tracking_an_interrupted_sweep_is_completed(
    place: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*UNTRACKED, *place, "resume=true", "seed=0,1,2", "-m"]
    train_epoch, begun = Trainer.train_epoch, 0

    def interrupted(trainer: Trainer, epoch: int) -> Any:
        nonlocal begun
        begun += epoch == 3
        if begun == 2:
            raise KeyboardInterrupt
        return train_epoch(trainer, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", interrupted)
        assert cli.run(command) == 130
    finished = [name for name, result in results_in(tmp_path).items() if result["status"] == "FINISHED"]
    assert len(finished) == 1
    embeddings = (tmp_path / finished[0] / "artifacts" / "embeddings.npz").read_bytes()
    capsys.readouterr()
    assert cli.run(command) == 0
    assert "3 finished runs of 1 configuration, 1 reused" in capsys.readouterr().out
    statuses = sorted(result["status"] for result in results_in(tmp_path).values())
    assert statuses == ["FINISHED"] * (2 if place else 3) + ["SKIPPED"]
    assert (tmp_path / finished[0] / "artifacts" / "embeddings.npz").read_bytes() == embeddings
    for _ in range(2):
        assert cli.run(command) == 0
        assert "3 reused" in capsys.readouterr().out


def test_a_sweep_is_compared_by_its_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run([*UNTRACKED, "hydra.sweep.dir=many", "window=2,3", "-m"]) == 0
    printed = capsys.readouterr().out.partition("summary.html\n")[2]
    table = printed.partition("files: ")[0]
    assert compare_runs(["many", "--out", "again"]) == 0
    assert capsys.readouterr().out.partition("Written to")[0] == table
    comparison = (tmp_path / "many" / "comparison.csv").read_text()
    assert (tmp_path / "again" / "comparison.csv").read_text() == comparison
    # A run that was killed is known by its journal.
    (tmp_path / "many" / "1" / "result.json").unlink()
    journal = tmp_path / "many" / "1" / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:3]) + '{"metr')
    assert compare_runs(["many"]) == 0
    printed = capsys.readouterr()
    assert "KILLED window=3 seed=0: did not end" in printed.out
    assert "ignored its incomplete last line" in printed.err
    assert compare_runs(["again"]) == 2
    assert "again: not the folder of a sweep" in capsys.readouterr().err


def test_without_tracking_a_run_that_is_running_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*UNTRACKED, "resume=true"]
    assert cli.run([*command, "hydra.run.dir=runs/first"]) == 0
    (tmp_path / "runs" / "first" / "result.json").unlink()
    with locked(tmp_path / "runs" / "first" / LOCK):
        assert cli.run([*command, "hydra.run.dir=runs/second"]) == 1
        problem = capsys.readouterr().err
        assert f"run {tmp_path / 'runs' / 'first'} is training the same configuration" in problem
    assert cli.run([*command, "hydra.run.dir=runs/second"]) == 0
    assert results_in(tmp_path)["runs/second"]["status"] == "FINISHED"


def test_a_run_is_resumed_in_its_record_with_and_without_tracking(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First without, then with, then without: the journal has all points, and the store those of its journal."""
    monkeypatch.chdir(tmp_path)
    settings = [*(text for text in UNTRACKED if text != "tracking=none"), "checkpoint.every='1 epoch'"]
    train_epoch, until = Trainer.train_epoch, 0

    def interrupted(trainer: Trainer, epoch: int) -> Any:
        if epoch == until:
            raise KeyboardInterrupt
        return train_epoch(trainer, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", interrupted)
        for until, tracking in ((1, "none"), (3, "mlflow"), (4, "none")):
            assert cli.run([*settings, f"tracking={tracking}"]) == 130
            (journal,) = tmp_path.glob("outputs/runs/*/journal.jsonl")
            entries = list(Journal.open(journal.parent).entries())
            assert [entry.step for entry in entries if "cost" in entry.metrics] == [*range(until)]
            assert (journal.parent / "uploaded.json").exists() == (tracking == "mlflow")
    (run,) = runs_in(tmp_path)
    history = opened(tmp_path).client.get_metric_history(run.info.run_id, "cost")
    assert sorted(point.step for point in history) == [0, 1, 2]
    assert cli.run([*settings, "tracking=none"]) == 0
    (journal,) = tmp_path.glob("outputs/runs/*/journal.jsonl")
    assert Journal.open(journal.parent).tags()["continued"] == "3"
    entries = list(Journal.open(journal.parent).entries())
    assert [entry.step for entry in entries if "cost" in entry.metrics] == [*range(5)]
    end = Journal.open(journal.parent).last_end()
    assert end is not None
    assert end.status == "FINISHED"


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_a_run_is_found_by_its_fingerprint_among_ten_thousand(tmp_path: Path) -> None:
    store = opened(tmp_path)
    template = store.client.create_run(store.experiment_id, tags={"fingerprint": "wanted"}).info.run_id
    store.client.set_terminated(template, "FINISHED")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        copy_run(database, template, 10_000)
    assert not earlier_runs(store, "none").finished
    assert [run.info.run_id for run in earlier_runs(store, "wanted").finished] == [template]


def copy_run(database: Any, template: str, number: int) -> None:
    """Copy a run so many times, with tags, params and metrics as real ones have; each has its own fingerprint."""
    listed = ", ".join(row[1] for row in database.execute("PRAGMA table_info(runs)") if row[1] != "run_uuid")
    names = [f"{each:032x}" for each in range(number)]
    database.executemany(
        f"INSERT INTO runs (run_uuid, {listed}) SELECT ?, {listed} FROM runs WHERE run_uuid = '{template}'",
        [(run,) for run in names],
    )
    tags = [(key, run, "value") for run in names for key in ("host", *(f"tag{k}" for k in range(20)))]
    tags += [("fingerprint", run, run) for run in names]
    database.executemany("INSERT INTO tags (key, run_uuid, value) VALUES (?, ?, ?)", tags)
    params = [(f"param{k}", run) for run in names for k in range(60)]
    database.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?, 'value', ?)", params)
    database.executemany(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, 1, 0, 0, 0, ?)",
        [(f"metric{k}", run) for run in names for k in range(20)],
    )


def test_checkpoints_of_a_run_that_had_finished_are_deleted(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was killed after the store had all of the run, and before it could delete them."""
    monkeypatch.chdir(tmp_path)
    settings = [*ONCE, "explorer=none", "bounds=false", "checkpoint.every='1 epoch'", "resume=true"]
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFolder, "remove", CheckpointFolder.release)
        assert cli.run(settings) == 0
    assert [*tmp_path.glob("outputs/checkpoints/*/checkpoint.npz")]
    assert cli.run(settings) == 0
    assert not [*tmp_path.glob("outputs/checkpoints/*")]
    assert len(runs_in(tmp_path)) == 1


def test_a_run_that_cannot_begin_in_the_store_leaves_its_checkpoints_to_others(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [*ONCE, "explorer=none", "bounds=false", "checkpoint.every='2 epochs'"]

    def fail(trainer: Trainer, epoch: int) -> Any:
        raise UserError("at an epoch")

    with monkeypatch.context() as patch:
        train_epoch = Trainer.train_epoch
        patch.setattr(
            Trainer, "train_epoch", lambda self, epoch: (fail if epoch == 3 else train_epoch)(self, epoch)
        )
        assert cli.run(settings) == 1
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "update_run", fail)
        assert cli.run(settings) == 2
    capsys.readouterr()
    gc.disable()  # which would close the file
    try:
        assert cli.run(settings) == 0
    finally:
        gc.enable()
    assert "Resuming from checkpoint: epoch 3" in capsys.readouterr().err
    assert [run.info.status for run in runs_in(tmp_path)] == ["FINISHED"]
