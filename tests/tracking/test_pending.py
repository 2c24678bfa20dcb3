"""Pending data are not trusted: only files of their own run are uploaded, and only to the configured store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from test_store_faults import locked_database

from w2v_exp.choices import MlflowTracking
from w2v_exp.experiment.replay import main as replay
from w2v_exp.launching.task import end_lost_record
from w2v_exp.runs import RunResult
from w2v_exp.tracking import upload
from w2v_exp.tracking.store import open_store
from w2v_exp.tracking.upload import FILE, Pending, Taken

NAMES = [field.name for field in fields(Pending)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture
def run(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the id of a run in the store that is configured."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    opened = open_store()
    return str(opened.client.create_run(opened.experiment_id).info.run_id)


def keep(folder: Path, store: Path, run: str, **values: Any) -> None:
    folder.mkdir(exist_ok=True)
    pending = asdict(Pending(f"sqlite:///{store}", "w2v_exp", run_id=run)) | values
    (folder / FILE).write_text(json.dumps(pending))


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
    made: Callable[[Path], str], run: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "run"
    secret.mkdir()
    folder.mkdir()
    (secret / "key").write_text("42")
    keep(folder, store, run, files=made(folder), moved=True, status="FINISHED")
    assert replay([str(folder)]) == 1
    assert "outside of the run's folder" in capsys.readouterr().err
    assert (secret / "key").read_text() == "42"
    assert (folder / FILE).exists()
    client = MlflowClient(f"sqlite:///{store}")
    assert client.get_run(run).info.status == "RUNNING"
    assert not client.list_artifacts(run)


def test_a_store_that_is_not_the_configured_one_is_named_by_the_user(
    run: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    keep(folder, store, run, status="FINISHED")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    assert replay([str(folder)]) == 1
    said = capsys.readouterr().err
    assert f"the configured store is sqlite:///{tmp_path}/mine.db. Add --uri sqlite:///{store}" in said
    assert MlflowClient(f"sqlite:///{store}").get_run(run).info.status == "RUNNING"
    assert replay([str(folder), "--uri", f"sqlite:///{store}"]) == 0
    assert MlflowClient(f"sqlite:///{store}").get_run(run).info.status == "FINISHED"


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1), ("no", 1)])
def test_on_a_terminal_the_user_is_asked(
    answer: str, code: int, run: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    keep(folder, store, run, status="FINISHED")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    assert replay([str(folder)]) == code


def test_files_that_a_killed_process_had_delivered_are_no_obstacle(
    run: str, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    keep(folder, store, run, files="artifacts", moved=True, status="FINISHED")
    assert replay([str(folder)]) == 0
    assert MlflowClient(f"sqlite:///{store}").get_run(run).info.status == "FINISHED"


@given(
    pending=st.builds(
        Pending,
        uri=st.text(),
        experiment=st.text(),
        run_id=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
        tags=st.dictionaries(st.text(), st.text(), max_size=3),
        metrics=st.lists(
            st.builds(
                Taken, st.text(), st.floats(allow_nan=False), st.integers(0, 2**40), st.integers(0, 2**40)
            ),
            max_size=3,
        ),
        status=st.sampled_from(["", "FINISHED", "FAILED", "KILLED"]),
        moved=st.booleans(),
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(pending: Pending, tmp_path: Path) -> None:
    pending.write(tmp_path)
    assert Pending.read(tmp_path) == pending


@given(
    changed=st.dictionaries(st.sampled_from([*NAMES, "colour"]), JSON, min_size=1)
    | st.binary()
    | st.text('[]{}",:0', max_size=30)
    | st.just("[" * 100_000)
    | JSON.filter(lambda value: not isinstance(value, dict))
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_refused_in_a_line(changed: Any, tmp_path: Path) -> None:
    whole = asdict(Pending("sqlite:///a.db", "w2v_exp"))
    if isinstance(changed, bytes):
        (tmp_path / FILE).write_bytes(changed)
    elif isinstance(changed, str):
        (tmp_path / FILE).write_text(changed, encoding="utf-8", errors="surrogatepass")
    else:
        value = whole | changed if isinstance(changed, dict) else changed
        (tmp_path / FILE).write_text(json.dumps(value))
    try:
        pending = Pending.read(tmp_path)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
    else:
        pending.write(tmp_path)
        assert repr(Pending.read(tmp_path)) == repr(pending)  # NaN is not equal to itself


TAGS = {"sweep": "it's a sweep", "sweep.number": "3"}


def begin(store: Path) -> str:
    opened = open_store(f"sqlite:///{store}")
    run = opened.client.create_run(opened.experiment_id, tags=TAGS | {"mlflow.user": "ann"})
    opened.client.log_param(run.info.run_id, "seed", "0")
    opened.client.log_metric(run.info.run_id, "cost", 2.5)
    return str(run.info.run_id)


def lost() -> RunResult:
    return RunResult(name="window=2", swept={}, seed=0, status="KILLED", reason="its process was killed")


def test_a_lost_run_is_ended_with_what_it_has_logged(store: Path, tmp_path: Path) -> None:
    run = begin(store)
    result = end_lost_record(MlflowTracking(f"sqlite:///{store}"), TAGS, tmp_path, lost())
    assert (result.run_id, result.metrics["cost"], result.reason) == (run, 2.5, "its process was killed")
    ended = MlflowClient(f"sqlite:///{store}").get_run(run)
    assert (ended.info.status, ended.data.tags["reason"]) == ("KILLED", "its process was killed")
    assert not (tmp_path / FILE).exists()


def test_a_lost_run_that_had_not_begun_is_no_run_of_the_store(store: Path, tmp_path: Path) -> None:
    open_store(f"sqlite:///{store}")
    assert end_lost_record(MlflowTracking(f"sqlite:///{store}"), TAGS, tmp_path, lost()) == lost()
    assert not (tmp_path / FILE).exists()


def test_the_end_of_a_lost_run_waits_for_the_lock_of_the_database(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upload, "WAIT_SECONDS", 0.1)
    run = begin(store)
    found: list[RunResult] = []
    with locked_database(store, "IMMEDIATE"):
        ending = Thread(
            target=lambda: found.append(
                end_lost_record(MlflowTracking(f"sqlite:///{store}"), TAGS, tmp_path, lost())
            )
        )
        ending.start()
        time.sleep(0.5)
        assert not found
    ending.join(60)
    assert found[0].run_id == run
    assert MlflowClient(f"sqlite:///{store}").get_run(run).info.status == "KILLED"


def test_the_end_of_a_lost_run_is_kept_with_its_own_metrics_while_the_store_stays_locked(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, uri = begin(store), f"sqlite:///{store}"
    Pending(uri, "w2v_exp", run_id=run, metrics=[Taken("cost", 1.5, 1, 1)]).write(tmp_path)
    with locked_database(store, "IMMEDIATE"):
        result = end_lost_record(MlflowTracking(uri), TAGS, tmp_path, lost(), patience=0.2)
        assert result.reason == "its process was killed (it does not answer)"
        assert result.status == "KILLED"
        assert (tmp_path / FILE).exists()
    assert replay([str(tmp_path), "--uri", uri]) == 0
    ended = MlflowClient(uri).get_run(run)
    assert (ended.info.status, ended.data.metrics["cost"]) == ("KILLED", 1.5)


def test_a_damaged_file_of_a_lost_run_costs_its_metrics_only(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begin(store)
    (tmp_path / FILE).write_text('{"uri":')
    result = end_lost_record(MlflowTracking(f"sqlite:///{store}"), TAGS, tmp_path, lost())
    assert result.run_id == run
    assert "is damaged: not JSON" in capsys.readouterr().err
    assert MlflowClient(f"sqlite:///{store}").get_run(run).info.status == "KILLED"


def test_a_finished_run_is_never_set_back(run: str, store: Path, tmp_path: Path) -> None:
    """It was resumed in another folder, after its data had been kept in this one."""
    client = MlflowClient(f"sqlite:///{store}")
    client.set_terminated(run, "FINISHED", 5)
    kept = {"metrics": [("cost", 1.5, 1, 1)], "tags": {"reason": "interrupted"}}
    for number, status in enumerate(("", "KILLED", "FAILED", "FINISHED")):
        folder = tmp_path / str(number)
        (folder / "artifacts").mkdir(parents=True)
        (folder / "artifacts" / "costs.csv").touch()
        keep(folder, store, run, **kept, status=status, files="artifacts", moved=True, end_time=7)
        assert replay([str(folder)]) == 0
        assert not (folder / FILE).exists()
    found = client.get_run(run)
    assert (found.info.status, found.info.end_time, found.data.metrics) == ("FINISHED", 5, {})
    assert "reason" not in found.data.tags
    assert not client.list_artifacts(run)


def test_a_lost_run_that_had_finished_stays_finished(store: Path, tmp_path: Path) -> None:
    run = begin(store)
    MlflowClient(f"sqlite:///{store}").set_terminated(run, "FINISHED")
    result = end_lost_record(MlflowTracking(f"sqlite:///{store}"), TAGS, tmp_path, lost())
    assert (result.status, result.reason, result.run_id) == ("FINISHED", "", run)
    assert (result.name, result.metrics["cost"]) == ("window=2", 2.5)
    found = MlflowClient(f"sqlite:///{store}").get_run(run)
    assert (found.info.status, "reason" in found.data.tags) == ("FINISHED", False)


def test_a_run_that_was_lost_while_it_waited_for_the_store_has_finished(store: Path, tmp_path: Path) -> None:
    run, uri = begin(store), f"sqlite:///{store}"
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "costs.csv").touch()
    last = [Taken("cost", 1.5, 1, 1)]
    Pending(uri, "w2v_exp", run, metrics=last, files="artifacts", status="FINISHED", end_time=5).write(
        tmp_path
    )
    result = end_lost_record(MlflowTracking(uri), TAGS, tmp_path, lost())
    assert (result.status, result.reason, result.metrics["cost"]) == ("FINISHED", "", 1.5)
    found = MlflowClient(uri).get_run(run)
    assert (found.info.status, found.info.end_time) == ("FINISHED", 5)
    assert "reason" not in found.data.tags
    assert [file.path for file in MlflowClient(uri).list_artifacts(run)] == ["costs.csv"]
