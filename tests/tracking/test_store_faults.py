"""A store that is locked, full or away costs no training and loses nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import Server, wait_for
from processes import Command, start_command

from w2v_exp.errors import UserError
from w2v_exp.experiment.record import RunRecord, UploadedRecord
from w2v_exp.experiment.sync import main as sync
from w2v_exp.tracking import upload
from w2v_exp.tracking.journal import Header, Journal
from w2v_exp.tracking.store import open_store, retry
from w2v_exp.tracking.upload import Cursor, Uploader, is_uploaded
from w2v_exp.training.trainer import EpochRecord

LOCK = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute(f"BEGIN {sys.argv[2]}")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked_database(database: Path, kind: str = "EXCLUSIVE") -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the lock of a database; it lets go when its standard input is closed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(database), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    try:
        yield holder
    finally:
        holder.communicate()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "artifacts"
    folder.mkdir(parents=True)
    (folder / "costs.csv").write_text("epoch,cost\n0,2.5\n")
    return folder


def begun(store: Path, files: Path) -> RunRecord:
    return begun_at(f"sqlite:///{store}", files)


def begun_at(address: str, files: Path) -> RunRecord:
    opened = open_store(address)
    journal = Journal.create(files.parent, Header("a run"))
    uploader = Uploader(opened.client, journal, Cursor.of(opened), is_new=True)
    try:
        uploader.upload()
    except BaseException:
        uploader.discard()
        raise
    return UploadedRecord(journal, uploader, files, epochs=3, points=500)


def recorded(folder: Path) -> list[tuple[str, float, int]]:
    """Return the metrics in a journal, by name, value and step."""
    return [
        (name, value, entry.step)
        for entry in Journal.open(folder).entries()
        for name, value in entry.metrics.items()
    ]


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch, 2.5 - epoch, 0.1, float("nan"), 1.0)


def logged(store: Path, run_id: str, metric: str = "cost") -> list[tuple[int, float]]:
    history = MlflowClient(f"sqlite:///{store}").get_metric_history(run_id, metric)
    return sorted((point.step, point.value) for point in history)


@pytest.mark.usefixtures("starts_processes")
def test_a_slow_upload_that_nothing_waits_for_is_not_reported(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = open_store(f"sqlite:///{store}")
    journal = Journal.create(tmp_path, Header("a run"))
    uploader = Uploader(opened.client, journal, Cursor.of(opened), is_new=True, is_beside=True)
    with locked_database(store):
        assert not uploader.send(0.1)
        assert not uploader.send(0.1)
    assert uploader.finish() == ""
    journal.close()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("starts_processes")
def test_training_continues_while_a_database_is_locked_and_is_uploaded_when_it_is_free(
    store: Path, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upload, "WAIT_SECONDS", 0.1)
    run = begun(store, files)
    with locked_database(store):
        for epoch in range(3):
            run.on_epoch(record(epoch))
            run.flush()
        assert capsys.readouterr().err.count("MLflow is not available (it does not respond)") == 1
        # A process that is killed now has its metrics on disk, with their times.
        assert recorded(files.parent)[::2] == [("cost", 2.5, 0), ("cost", 1.5, 1), ("cost", 0.5, 2)]
        assert not is_uploaded(files.parent)
    assert run.finish("FINISHED") == ""
    assert logged(store, run.run_id) == [(0, 2.5), (1, 1.5), (2, 0.5)]
    client = MlflowClient(f"sqlite:///{store}")
    assert client.get_run(run.run_id).info.status == "FINISHED"
    assert [file.path for file in client.list_artifacts(run.run_id)] == ["costs.csv"]
    assert is_uploaded(files.parent)
    assert not files.exists()
    assert "All data of the run have been uploaded to MLflow." in capsys.readouterr().err


@pytest.mark.usefixtures("starts_processes")
def test_data_that_a_store_never_took_are_uploaded_by_a_command_that_can_be_repeated(
    store: Path, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upload, "WAIT_SECONDS", 0.1)
    run = begun(store, files)
    run.on_epoch(record(0))
    run.flush()  # what is told already is told no second time
    with locked_database(store):
        run.on_epoch(record(1))
        run.on_epoch(record(2))
        run.log_table("words", {"word": ["a"], "cosine": [float("nan")]})
        run.set_tag("reason", "for nothing")
        taken = time.time()
        monkeypatch.setattr(Uploader.finish, "__defaults__", (0.2,))  # seconds, instead of a minute
        assert "MLflow does not have all data of this run (it does not respond)" in run.finish("FINISHED")
        begun_only = Cursor.read(files.parent)
    time.sleep(1.1)  # later
    for _ in range(2):
        assert sync([str(files.parent.parent), "--uri", f"sqlite:///{store}"]) == 0
        assert logged(store, run.run_id) == [(0, 2.5), (1, 1.5), (2, 0.5)]
        begun_only.write(files.parent)  # as if the process had been killed between the upload and the cursor
    assert f"run {run.run_id}: upload complete" in capsys.readouterr().out
    client = MlflowClient(f"sqlite:///{store}")
    times = [point.timestamp / 1000 for point in client.get_metric_history(run.run_id, "cost")]
    assert all(when <= taken for when in times)
    stored = client.get_run(run.run_id)
    assert (stored.info.status, stored.data.tags["reason"]) == ("FINISHED", "for nothing")
    assert stored.info.end_time <= (taken + 1) * 1000
    assert {file.path for file in client.list_artifacts(run.run_id)} == {"costs.csv", "words.json"}


def test_the_command_reports_mistakes_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/gone.db")
    assert sync([str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert sync([str(tmp_path)]) == 0
    assert "Nothing to upload" in capsys.readouterr().out
    Journal.create(tmp_path, Header("a run")).close()
    assert sync([str(tmp_path)]) == 0  # of a run without a store
    assert "Nothing to upload" in capsys.readouterr().out
    Cursor(f"sqlite:///{tmp_path}/gone.db", "e", run_id="0" * 32).write(tmp_path)
    assert sync([str(tmp_path)]) == 1
    assert "there is no such database" in capsys.readouterr().err
    (tmp_path / "journal.jsonl").write_text("{\n")
    assert sync([str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "journal.jsonl").unlink()
    (tmp_path / "pending.json").write_text("{}")
    assert sync([str(tmp_path)]) == 1
    assert "was written by an earlier w2v_exp. Upload it with that one" in capsys.readouterr().err
    assert (tmp_path / "pending.json").exists()


def test_a_deleted_run_ends_the_waiting(store: Path, files: Path) -> None:
    run = begun(store, files)
    MlflowClient(f"sqlite:///{store}").delete_run(run.run_id)
    run.on_epoch(record(0))
    assert "must be in the 'active' state" in run.finish("FINISHED")
    assert files.exists()


@contextmanager
def small_disk(place: Path, size: str, access: str = "rw") -> Iterator[None]:
    """Mount a disk of this size in memory."""
    place.mkdir(parents=True, exist_ok=True)
    mount = shutil.which("mount")
    if sys.platform != "linux" or os.geteuid() or mount is None:
        pytest.skip("only root mounts disks")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size},{access}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.mark.usefixtures("starts_processes")
def test_a_disk_that_is_full_for_artifacts_keeps_them_until_there_is_room(
    command: Command, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    disk = tmp_path / "mlartifacts"
    with small_disk(disk, "8m"):
        (disk / "filled").write_bytes(bytes((8 << 20) - (16 << 10)))  # room for four pages
        done = command("epochs=5", "tracking.plots=false", "resume=true")
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert "information explained" in done.stdout
        (folder,) = tmp_path.glob("outputs/runs/*")
        assert f"w2v-exp sync {folder}\n" in done.stderr
        client = MlflowClient(f"sqlite:///{store}")
        (run,) = client.search_runs(["1"])
        assert run.info.status == "FAILED"  # until it is whole: resume would take it for done
        assert "No space left" in run.data.tags["pending"]
        assert len(logged(store, run.info.run_id)) == 5
        assert run.data.metrics["information_explained"]
        assert sync([str(tmp_path / "outputs")]) == 1  # nothing has changed
        (disk / "filled").unlink()
        assert sync([str(tmp_path / "outputs")]) == 0
        (run,) = client.search_runs(["1"])
        assert run.info.status == "FINISHED"
        assert "pending" not in run.data.tags
        artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"embeddings.npz", "costs.csv", "neighbours.json", "config.yaml"} <= artifacts
    assert is_uploaded(folder)


def fill(disk: Path) -> None:
    """Leave no byte on a disk."""
    with (disk / "filled").open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(4096)):
            pass


@pytest.mark.usefixtures("starts_processes")
def test_a_disk_that_is_full_for_the_database_is_not_waited_for_and_loses_nothing(
    files: Path, tmp_path: Path, empty_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "4m"):
        store = Path(shutil.copy(empty_store, disk / "mlflow.db"))
        run = begun(store, files)
        fill(disk)
        other = tmp_path / "other" / "artifacts"
        other.mkdir(parents=True)
        run.on_epoch(record(0))
        assert "database or disk is full" in run.finish("FINISHED")
        with pytest.raises(UserError, match="full"):
            retry(lambda: begun(store, other).run_id, f"sqlite:///{store}", 1000)
        assert ("cost", 2.5, 0) in recorded(files.parent)
        (disk / "filled").unlink()
        assert sync([str(files.parent), "--uri", f"sqlite:///{store}"]) == 0
        assert logged(store, run.run_id) == [(0, 2.5)]
        client = MlflowClient(f"sqlite:///{store}")
        assert client.get_run(run.run_id).info.status == "FINISHED"
        assert [file.path for file in client.list_artifacts(run.run_id)] == ["costs.csv"]


@pytest.mark.usefixtures("starts_processes", "store")
def test_a_disk_that_is_full_for_a_runs_own_files_fails_it_in_a_line(
    command: Command, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "outputs", "64k"):
        done = command("epochs=5", "dim=400", "tracking.plots=false")
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        (run,) = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_runs(["1"])
        assert run.info.status == "FAILED"
        assert "No space left on device" in run.data.tags["reason"]
        assert run.data.metrics["cost"] > 1


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
def test_a_lock_that_outlasts_sqlites_patience_costs_no_training(store: Path, tmp_path: Path) -> None:
    """Sqlite gives up after the 20 s that MLflow sets."""
    process = start_command("epochs=400000", "tracking.plots=false", folder=tmp_path)
    wait_for(lambda: list(tmp_path.glob("outputs/runs/*/artifacts/vocabulary.tsv")))
    time.sleep(2)
    with locked_database(store):
        time.sleep(35)
        assert process.poll() is None
    _, said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    assert "MLflow is not available" in said
    assert "All data of the run have been uploaded to MLflow." in said
    assert "Traceback" not in said
    (run,) = MlflowClient(f"sqlite:///{store}").search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert len({step for step, _ in logged(store, run.info.run_id)}) == 500
    assert len(logged(store, run.info.run_id)) == 500


@pytest.fixture
def server(tmp_path: Path, store: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.kill()


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
@pytest.mark.parametrize("gone", ["killed", "stopped"])
def test_a_server_that_is_away_for_half_a_minute_costs_no_training(
    server: Server, tmp_path: Path, gone: str
) -> None:
    process = start_command(
        "epochs=400000", "tracking.plots=false", folder=tmp_path, MLFLOW_TRACKING_URI=server.uri
    )
    wait_for(lambda: list(tmp_path.glob("outputs/runs/*/artifacts/vocabulary.tsv")))
    time.sleep(2)
    if gone == "killed":
        server.kill()
    else:
        server.send(signal.SIGSTOP)
    time.sleep(30)
    if gone == "killed":
        server.start()
    else:
        server.send(signal.SIGCONT)
    _, said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    client = MlflowClient(server.uri)
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "cost")
    assert sorted(point.step for point in history) == sorted({point.step for point in history})
    assert len(history) == 500
    assert "embeddings.npz" in {file.path for file in client.list_artifacts(run.info.run_id)}


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
def test_a_server_that_stays_away_leaves_all_on_disk(server: Server, tmp_path: Path) -> None:
    process = start_command(
        "epochs=100000", "tracking.plots=false", folder=tmp_path, MLFLOW_TRACKING_URI=server.uri
    )
    wait_for(lambda: list(tmp_path.glob("outputs/runs/*/artifacts/vocabulary.tsv")))
    time.sleep(2)
    server.kill()
    _, said = process.communicate(timeout=900)
    assert process.returncode == 1, said
    (folder,) = tmp_path.glob("outputs/runs/*")
    assert f"w2v-exp sync {folder}\n" in said  # the store is that of MLFLOW_TRACKING_URI
    assert "Traceback" not in said
    server.start()
    assert sync([str(tmp_path / "outputs"), "--uri", server.uri]) == 0
    client = MlflowClient(server.uri)
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "cost")) == 500
    assert "embeddings.npz" in {file.path for file in client.list_artifacts(run.info.run_id)}


@pytest.mark.usefixtures("starts_processes")
def test_processes_that_start_on_a_store_that_is_not_there_all_find_it(tmp_path: Path) -> None:
    import multiprocessing

    fork = multiprocessing.get_context("fork")  # MLflow is loaded already
    barrier = fork.Barrier(5)
    address = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"

    def begin(number: int) -> None:
        barrier.wait()
        files = tmp_path / str(number) / "artifacts"
        files.mkdir(parents=True)
        run = begun_at(address, files)
        run.on_epoch(record(0))
        assert run.finish("FINISHED") == ""

    processes = [fork.Process(target=begin, args=(number,)) for number in range(5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 5
    with sqlite3.connect(tmp_path / "new" / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone() == (5,)
        assert database.execute("SELECT count(*) FROM experiments WHERE name = 'w2v_exp'").fetchone() == (1,)
