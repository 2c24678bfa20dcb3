"""Uploads from folders: nothing is stored twice, and what a folder holds is not trusted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from mlflow import MlflowClient
from test_store_faults import locked_database

from w2v_exp.choices import MlflowTracking
from w2v_exp.experiment.sync import main as sync
from w2v_exp.files import locked
from w2v_exp.launching.task import end_lost_record
from w2v_exp.results import RunResult
from w2v_exp.tracking import upload
from w2v_exp.tracking.history import LOCK
from w2v_exp.tracking.journal import FILE, End, Header, Journal
from w2v_exp.tracking.store import open_store
from w2v_exp.tracking.upload import Cursor, Uploader, is_uploaded

TAGS = {"sweep": "it's a sweep", "sweep.number": "3"}


@pytest.fixture
def client(store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Return a client of the store that is configured."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    return MlflowClient(f"sqlite:///{store}")


def begin(store: Path, folder: Path) -> tuple[Journal, str]:
    """Begin a run that has one metric in the store; return its journal and its id."""
    folder.mkdir(exist_ok=True)
    opened = open_store(f"sqlite:///{store}")
    journal = Journal.create(folder, Header("a run", tags=TAGS, params={"seed": "0"}))
    journal.log_metrics({"cost": 2.5}, 0)
    uploader = Uploader(opened.client, journal, Cursor.of(opened), is_new=True)
    uploader.upload()
    return journal, uploader.cursor.run_id


def leave(store: Path, folder: Path, end: End, **tags: str) -> str:
    """Leave a run that has ended, and of whose end the store knows nothing; return its id."""
    journal, run = begin(store, folder)
    journal.log_metrics({"cost": 1.5}, 1)
    if tags:
        journal.set_tags(tags)
    journal.end(end)
    journal.close()
    return run


def points_of(client: MlflowClient, run: str) -> list[tuple[int, float, int]]:
    return sorted((p.step, p.value, p.timestamp) for p in client.get_metric_history(run, "cost"))


class Killed(BaseException):
    """The end of the process, at this line."""


@pytest.mark.second_tier
def test_a_process_that_is_killed_between_upload_and_cursor_leaves_no_doubled_point(
    client: MlflowClient, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of its writes of the cursor."""
    opened = open_store()
    expected: list[Any] = []
    number_of_writes = 0
    while True:
        folder = tmp_path / str(number_of_writes)
        folder.mkdir()
        (folder / "artifacts").mkdir()
        (folder / "artifacts" / "costs.csv").touch()
        journal = Journal.create(folder, Header("a run", params={"seed": "0"}, tags={"n": str(folder)}))
        for step in range(1500):
            journal.log_metrics({"cost": step / 7, "rate": 0.5}, step)
        journal.end(End("FINISHED", "artifacts", move=True))
        left = number_of_writes
        write = Cursor.write

        def killed(cursor: Cursor, place: Path, write: Any = write) -> None:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            write(cursor, place)

        with monkeypatch.context() as patch:
            patch.setattr(Cursor, "write", killed)
            try:
                Uploader(opened.client, journal, Cursor.of(opened), is_new=True).upload()
                was_killed = False
            except Killed:
                was_killed = True
        journal.close()
        if not (folder / upload.UPLOADED_FILE).exists():
            assert number_of_writes == 0  # before anything was sent
            Cursor.of(opened).write(folder)
        assert sync([str(folder)]) == 0
        assert is_uploaded(folder)
        (run,) = client.search_runs(["1"], f"tags.n = '{folder}'")
        assert run.info.status == "FINISHED"
        assert run.data.params == {"seed": "0"}
        assert len(points_of(client, run.info.run_id)) == 1500
        assert len(client.get_metric_history(run.info.run_id, "rate")) == 1500
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["costs.csv"]
        values = [point[:2] for point in points_of(client, run.info.run_id)]
        expected = expected or values
        assert values == expected
        if not was_killed:
            break
        number_of_writes += 1
    assert number_of_writes == 6  # store, run, header, and three batches of metrics


def outside(folder: Path) -> str:
    return "../secret"


def around(folder: Path) -> str:
    return "."


def absolute(folder: Path) -> str:
    return str(folder.parent / "secret")


def through_a_link(folder: Path) -> str:
    (folder / "artifacts").symlink_to(folder.parent / "secret")
    return "artifacts"


def through_a_link_within(folder: Path) -> str:
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "mine").symlink_to(folder.parent / "secret" / "key")
    return "artifacts"


def through_a_link_to_a_folder(folder: Path) -> str:
    (folder / "artifacts" / "deep").mkdir(parents=True)
    (folder / "artifacts" / "deep" / "mine").symlink_to(folder.parent / "secret")
    return "artifacts"


@pytest.mark.parametrize(
    "made",
    [outside, around, absolute, through_a_link, through_a_link_within, through_a_link_to_a_folder],
)
def test_only_files_below_the_runs_own_folder_are_uploaded_and_deleted(
    made: Callable[[Path], str],
    client: MlflowClient,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "run"
    secret.mkdir()
    folder.mkdir()
    (secret / "key").write_text("42")
    run = leave(store, folder, End("FINISHED", made(folder), move=True))
    assert sync([str(folder)]) == 1
    assert "outside of the run's folder" in capsys.readouterr().err
    assert (secret / "key").read_text() == "42"
    assert not is_uploaded(folder)
    assert client.get_run(run).info.status == "RUNNING"
    assert not client.list_artifacts(run)


def test_a_store_that_is_not_the_configured_one_is_named_by_the_user(
    client: MlflowClient,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    run = leave(store, folder, End("FINISHED"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    assert sync([str(folder)]) == 1
    problem = capsys.readouterr().err
    assert f"the configured store is sqlite:///{tmp_path}/mine.db. Add --uri sqlite:///{store}" in problem
    assert client.get_run(run).info.status == "RUNNING"
    assert sync([str(folder), "--uri", f"sqlite:///{store}"]) == 0
    assert client.get_run(run).info.status == "FINISHED"


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1), ("no", 1)])
def test_on_a_terminal_the_user_is_asked(
    answer: str, code: int, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    leave(store, folder, End("FINISHED"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    assert sync([str(folder)]) == code


def test_files_that_a_killed_process_had_uploaded_are_no_obstacle(
    client: MlflowClient, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    run = leave(store, folder, End("FINISHED", "artifacts", move=True))
    assert sync([str(folder)]) == 0
    assert client.get_run(run).info.status == "FINISHED"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"uri": 5}', "\0"])
def test_a_damaged_cursor_is_reported_in_one_line(
    content: str, client: MlflowClient, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = leave(store, tmp_path / "run", End("FINISHED"))
    (tmp_path / "run" / upload.UPLOADED_FILE).write_text(content)
    assert sync([str(tmp_path)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert client.get_run(run).info.status == "RUNNING"


def test_an_id_that_is_none_is_refused(
    client: MlflowClient, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(store, tmp_path / "run", End("FINISHED"))
    Cursor(f"sqlite:///{store}", "w2v_exp", run_id="../../etc").write(tmp_path / "run")
    assert sync([str(tmp_path)]) == 1
    assert "its values are not those of an upload" in capsys.readouterr().err


def test_an_active_run_is_skipped(
    client: MlflowClient, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = leave(store, tmp_path / "run", End("FINISHED"))
    with locked(tmp_path / "run" / LOCK):
        assert sync([str(tmp_path)]) == 0
    assert "still active and uploads its own data; skipped" in capsys.readouterr().out
    assert client.get_run(run).info.status == "RUNNING"


def test_a_run_with_an_unreadable_lock_is_not_active(
    client: MlflowClient, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = leave(store, tmp_path / "run", End("FINISHED"))
    (tmp_path / "run" / LOCK).mkdir()
    assert sync([str(tmp_path)]) == 0
    assert "upload complete" in capsys.readouterr().out
    assert client.get_run(run).info.status == "FINISHED"


def test_a_run_that_did_not_begin_in_the_store_leaves_nothing(
    client: MlflowClient, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = open_store()
    Journal.create(tmp_path, Header("a run")).close()
    Cursor.of(opened).write(tmp_path)
    assert sync([str(tmp_path)]) == 0
    assert "did not begin" in capsys.readouterr().out
    assert not (tmp_path / FILE).exists()
    assert not client.search_runs(["1"])


def lost() -> RunResult:
    return RunResult(name="window=2", swept={}, seed=0, status="KILLED", reason="its process was killed")


def test_a_crashed_run_is_ended_with_the_metrics_of_its_journal(
    client: MlflowClient, store: Path, tmp_path: Path
) -> None:
    journal, run = begin(store, tmp_path)
    journal.log_metrics({"cost": 1.5}, 1)  # and not uploaded
    journal.close()
    result = end_lost_record(MlflowTracking(), TAGS, tmp_path, lost())
    assert (result.run_id, result.metrics["cost"], result.reason) == (run, 1.5, "its process was killed")
    assert result.curves == {"cost": [(0, 2.5), (1, 1.5)]}
    ended = client.get_run(run)
    assert (ended.info.status, ended.data.tags["reason"]) == ("KILLED", "its process was killed")
    assert ended.data.metrics["cost"] == 1.5
    assert is_uploaded(tmp_path)


def test_a_crashed_run_without_a_store_has_the_metrics_of_its_journal(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, Header("a run", tags=TAGS))
    journal.log_metrics({"cost": 1.5}, 1)
    journal.close()
    result = end_lost_record(None, TAGS, tmp_path, lost())
    assert (result.status, result.run_id, result.metrics) == ("KILLED", "", {"cost": 1.5})


@pytest.mark.usefixtures("client")
def test_a_crashed_run_that_had_not_begun_is_no_run_of_the_store(store: Path, tmp_path: Path) -> None:
    open_store()
    assert end_lost_record(MlflowTracking(), TAGS, tmp_path, lost()) == lost()
    begun, _ = begin(store, tmp_path)  # of an earlier sweep in the same folder
    begun.end(End("FINISHED"))
    begun.close()
    assert end_lost_record(MlflowTracking(), TAGS | {"sweep": "next"}, tmp_path, lost()) == lost()


@pytest.mark.usefixtures("starts_processes")
def test_the_end_of_a_crashed_run_waits_for_the_lock_of_the_database(
    client: MlflowClient, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "WAIT_SECONDS", 0.1)
    journal, run = begin(store, tmp_path)
    journal.close()
    found: list[RunResult] = []
    with locked_database(store, "IMMEDIATE"):
        ending = Thread(
            target=lambda: found.append(end_lost_record(MlflowTracking(), TAGS, tmp_path, lost()))
        )
        ending.start()
        time.sleep(0.5)
        assert not found
    ending.join(60)
    assert found[0].run_id == run
    assert client.get_run(run).info.status == "KILLED"


@pytest.mark.usefixtures("starts_processes")
def test_the_end_of_a_crashed_run_stays_pending_while_the_store_is_locked(
    client: MlflowClient, store: Path, tmp_path: Path
) -> None:
    journal, run = begin(store, tmp_path)
    journal.close()
    with locked_database(store, "IMMEDIATE"):
        result = end_lost_record(MlflowTracking(), TAGS, tmp_path, lost(), patience=0.2)
        assert result.reason == "its process was killed (it does not respond)"
        assert result.status == "KILLED"
        assert not is_uploaded(tmp_path)
    assert sync([str(tmp_path)]) == 0
    ended = client.get_run(run)
    assert (ended.info.status, ended.data.metrics["cost"]) == ("KILLED", 2.5)


def test_a_damaged_journal_of_a_crashed_run_costs_its_metrics_only(
    client: MlflowClient, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal, run = begin(store, tmp_path)
    journal.close()
    (tmp_path / FILE).write_text('{"uri":\n')
    result = end_lost_record(MlflowTracking(), TAGS, tmp_path, lost())
    assert result.run_id == run
    assert "is damaged: a line is not JSON" in capsys.readouterr().err
    assert client.get_run(run).info.status == "KILLED"


def test_a_finished_run_is_never_set_back(client: MlflowClient, store: Path, tmp_path: Path) -> None:
    """This folder is a copy of that in which it finished."""
    for number, status in enumerate(("KILLED", "FAILED", "FINISHED")):
        folder = tmp_path / str(number)
        (folder / "artifacts").mkdir(parents=True)
        (folder / "artifacts" / "costs.csv").touch()
        run = leave(store, folder, End(status, "artifacts", move=True), reason="interrupted")
        client.set_terminated(run, "FINISHED", 5)
        assert sync([str(folder)]) == 0
        assert is_uploaded(folder)
        found = client.get_run(run)
        assert (found.info.status, found.info.end_time) == ("FINISHED", 5)
        assert found.data.metrics == {"cost": 2.5}
        assert "reason" not in found.data.tags
        assert not client.list_artifacts(run)


def test_a_run_that_crashed_while_it_waited_for_the_store_has_finished(
    client: MlflowClient, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "costs.csv").touch()
    run = leave(store, tmp_path, End("FINISHED", "artifacts", move=True))
    result = end_lost_record(MlflowTracking(), TAGS, tmp_path, lost())
    assert (result.status, result.reason, result.metrics["cost"]) == ("FINISHED", "", 1.5)
    assert (result.name, result.run_id) == ("window=2", run)
    found = client.get_run(run)
    assert found.info.status == "FINISHED"
    assert "reason" not in found.data.tags
    assert [file.path for file in client.list_artifacts(run)] == ["costs.csv"]


def test_an_end_before_a_resumption_is_void(client: MlflowClient, store: Path, tmp_path: Path) -> None:
    journal, run = begin(store, tmp_path)
    journal.set_tags({"reason": "interrupted"})
    journal.end(End("KILLED", "artifacts"))
    journal.resume({"continued": "1"})
    journal.log_metrics({"cost": 1.0}, 1)
    journal.close()
    assert sync([str(tmp_path)]) == 0
    found = client.get_run(run)
    assert (found.info.status, found.data.tags["continued"]) == ("RUNNING", "1")
    assert "reason" not in found.data.tags
    assert found.data.metrics["cost"] == 1.0
    assert (
        json.loads((tmp_path / upload.UPLOADED_FILE).read_text())["offset"]
        == (tmp_path / FILE).stat().st_size
    )


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"words": []}'], ids=["empty", "cut", "list", "other"]
)
def test_a_run_whose_pictures_are_damaged_is_uploaded_without_them(
    store: Path, tmp_path: Path, content: bytes, client: MlflowClient
) -> None:
    folder = tmp_path / "run"
    run = leave(store, folder, End("FINISHED", "artifacts"))
    (folder / "artifacts").mkdir(exist_ok=True)
    (folder / "artifacts" / upload.PICTURES).write_bytes(content)
    assert sync([str(folder)]) == 0
    assert client.get_run(run).info.status == "FINISHED"
    assert upload.PICTURES not in [file.path for file in client.list_artifacts(run)]
