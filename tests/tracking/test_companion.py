"""The companion process uploads what a command's own process would, and nothing is lost when either is killed."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from processes import Command, run_python, start_command

from w2v_exp.choices import MlflowTracking
from w2v_exp.errors import UserError
from w2v_exp.experiment.sync import main as sync
from w2v_exp.results import read_result
from w2v_exp.tracking import companion, database
from w2v_exp.tracking.companion import SETTLE_SECONDS, may_accompany
from w2v_exp.tracking.journal import End, Header, Journal
from w2v_exp.tracking.locations import SQLITE, parse_address, sqlite_uri
from w2v_exp.tracking.store import check_store, open_store
from w2v_exp.tracking.upload import Cursor, is_uploaded

SMALL = ("epochs=40", "dim=4", "tracking.plots=false", "explorer=none")
WITHOUT_MLFLOW = (
    "import sys; from w2v_exp.__main__ import run; code = run(sys.argv[1:]); "
    "sys.exit('MLflow was imported' if 'mlflow' in sys.modules else code)"
)
# Times, memory and places, which differ from run to run.
VARIABLE = (
    "seconds",
    "_mb",
    "per_second",
    "heartbeat",
    "hydra_output",
    "journal",
    "sweep",
    "command",
    "note",
)


@pytest.fixture(autouse=True)
def _current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def content(folder: Path) -> list[dict[str, Any]]:
    """Return what a store has of each run, but for what differs from one execution to the next."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'w2v_exp'")
    found = []
    for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]):
        metrics = {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        found.append(
            {
                "name": run.info.run_name,
                "status": run.info.status,
                "params": {key: value for key, value in run.data.params.items() if key != "command"},
                "metric names": sorted(metrics),
                "metrics": {
                    key: each for key, each in metrics.items() if not any(v in key for v in VARIABLE)
                },
                "tag names": sorted(run.data.tags),
                "tags": {
                    key: each for key, each in run.data.tags.items() if not any(v in key for v in VARIABLE)
                },
                "text": [(data.dataset.name, data.dataset.digest) for data in run.inputs.dataset_inputs],
                "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            }
        )
    return sorted(found, key=lambda run: str(run["name"]))


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize(
    "arguments",
    [SMALL, (*SMALL, "window=2,3", "-m"), (*SMALL, "window=2,3", "-m", "hydra/launcher=joblib")],
    ids=["run", "sweep", "joblib"],
)
def test_a_store_has_the_same_content_with_a_companion_and_without(
    command: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    here, beside = tmp_path / "here", tmp_path / "beside"
    for folder in (here, beside):
        folder.mkdir()
    assert command(*arguments, folder=here).returncode == 0
    done = run_python("-c", WITHOUT_MLFLOW, *arguments, folder=beside)
    assert done.returncode == 0, done.stderr
    assert content(beside) == content(here)
    assert "Browse: w2v-exp ui" in done.stdout
    assert sync([str(beside)]) == 0  # nothing is left


@pytest.mark.usefixtures("starts_processes")
def test_runs_that_have_finished_are_skipped_with_a_companion(tmp_path: Path) -> None:
    arguments = (*SMALL, "window=2,3", "resume=true", "-m")
    done = run_python("-c", WITHOUT_MLFLOW, *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    again = run_python("-m", "w2v_exp", *arguments, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    (latest,) = (folder for folder in (tmp_path / "outputs/sweeps").iterdir() if folder.name in again.stdout)
    results = [read_result(latest / number) for number in "01"]
    assert [result.status for result in results if result] == ["SKIPPED"] * 2
    names = [str(run.info.run_name) for run in stored_runs(tmp_path)]
    assert sorted(name for name in names if "summary" not in name) == ["window=2", "window=3"]


def companions(folder: Path) -> list[int]:
    """Return the process ids of the companions of commands in a folder."""
    found = []
    for place in Path("/proc").iterdir():
        with suppress(OSError):
            is_one = place.name.isdecimal() and companion.__name__ in (place / "cmdline").read_text()
            if is_one and (place / "cwd").readlink() == folder:
                found.append(int(place.name))
    return found


def wait_for(found: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Return the first true result of a function."""
    until = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < until, "it has not happened"
        time.sleep(0.1)
    return result


def stored_runs(folder: Path) -> list[Any]:
    if not (folder / "mlflow.db").exists():
        return []
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return list(client.search_runs([each.experiment_id for each in client.search_experiments()]))


LONG = ("epochs=1000000", "dim=4", "tracking.plots=false", "explorer=none", "hydra.run.dir=run")


@pytest.mark.usefixtures("starts_processes", "store")
def test_a_companion_ends_with_its_command_and_the_rest_can_be_uploaded(tmp_path: Path) -> None:
    process = start_command(*LONG, folder=tmp_path)
    wait_for(lambda: [run for run in stored_runs(tmp_path) if "cost" in run.data.metrics])
    (identity,) = companions(tmp_path)
    process.kill()
    process.communicate()
    wait_for(lambda: not Path(f"/proc/{identity}").exists())
    assert sync([str(tmp_path)]) == 0
    assert is_uploaded(tmp_path / "run")
    (run,) = stored_runs(tmp_path)
    steps = [
        point.step
        for point in MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_metric_history(
            run.info.run_id, "cost"
        )
    ]
    assert len(steps) == len(set(steps))


@pytest.mark.usefixtures("starts_processes", "store")
def test_a_command_whose_companion_is_killed_finishes_its_run_and_names_the_remedy(tmp_path: Path) -> None:
    process = start_command(*LONG, "stop.minutes=0.2", folder=tmp_path)
    os.kill(wait_for(lambda: companions(tmp_path))[0], signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == 1
    assert (
        "MLflow does not have all data of this run (the process that uploads was ended). They are kept"
        in said
    )
    assert "w2v-exp sync run" in said
    assert sync([str(tmp_path)]) == 0
    (run,) = stored_runs(tmp_path)
    assert run.info.status == "FINISHED"


@pytest.mark.usefixtures("starts_processes", "store")
def test_an_interrupted_command_has_uploaded_its_end(tmp_path: Path) -> None:
    process = start_command(*LONG, folder=tmp_path)
    wait_for(lambda: [run for run in stored_runs(tmp_path) if "cost" in run.data.metrics])
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    (run,) = stored_runs(tmp_path)
    assert run.info.status == "KILLED"
    assert is_uploaded(tmp_path / "run")
    assert not companions(tmp_path)


@pytest.mark.usefixtures("starts_processes")
def test_a_store_that_is_locked_meanwhile_is_waited_for(store: Path, tmp_path: Path) -> None:
    process = start_command(*LONG, "stop.minutes=0.1", folder=tmp_path)
    wait_for((tmp_path / "run" / "journal.jsonl").exists)
    with closing(sqlite3.connect(store, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        wait_for(lambda: b'"end"' in (tmp_path / "run" / "journal.jsonl").read_bytes())
        time.sleep(2)
        holder.execute("ROLLBACK")
    _, said = process.communicate()
    assert process.returncode == 0, said
    (run,) = stored_runs(tmp_path)
    assert run.info.status == "FINISHED"


def refused_without(tracking: MlflowTracking) -> str:
    """Return why MLflow itself refuses a store; empty if it does not."""
    try:
        check_store(tracking.uri, tracking.experiment)
    except UserError as error:
        return str(error)
    return ""


def no_change(store: Path) -> None:
    """Leave the store as it is."""


def of_an_older_mlflow(store: Path) -> None:
    with closing(sqlite3.connect(store)) as opened, opened:
        opened.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")


def of_a_newer_mlflow(store: Path) -> None:
    with closing(sqlite3.connect(store)) as opened, opened:
        opened.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")


def of_another_program(store: Path) -> None:
    store.unlink()
    with closing(sqlite3.connect(store)) as opened, opened:
        opened.execute("CREATE TABLE songs (title TEXT)")


def no_database(store: Path) -> None:
    store.write_text("This is no database, though it has the name of one. " * 40)


def with_a_deleted_experiment(store: Path) -> None:
    opened = open_store(f"sqlite:///{store}")
    opened.client.delete_experiment(opened.experiment_id)


def with_artifacts_that_are_gone(store: Path) -> None:
    MlflowClient(f"sqlite:///{store}").create_experiment("w2v_exp", "file:///nowhere/else/mlartifacts")


def with_an_experiment(store: Path) -> None:
    open_store(f"sqlite:///{store}")


def missing(store: Path) -> None:
    store.unlink()


def missing_beside_its_journal(store: Path) -> None:
    store.rename(f"{store}-journal")


@pytest.mark.parametrize(
    ("change", "usable"),
    [
        (no_change, True),
        (with_an_experiment, True),
        (missing, True),
        (of_an_older_mlflow, False),
        (of_a_newer_mlflow, False),
        (of_another_program, False),
        (no_database, False),
        (with_a_deleted_experiment, False),
        (with_artifacts_that_are_gone, False),
        (missing_beside_its_journal, False),
    ],
)
def test_a_companion_is_trusted_only_with_a_store_that_mlflow_accepts(
    store: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], usable: bool
) -> None:
    change(store)
    tracking = MlflowTracking(uri=f"sqlite:///{store}")
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "mlflow")
        assert may_accompany(tracking) == usable
    if usable:
        assert not refused_without(tracking)
        open_store(tracking.uri)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:5000", "postgresql+psycopg://host/database", "sqlite:////nowhere/mlflow.db"]
)
def test_other_stores_are_left_to_mlflow(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.delitem(sys.modules, "mlflow")
    assert not may_accompany(MlflowTracking(uri=uri))


def test_an_experiment_by_its_id_is_left_to_mlflow(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "1")
    monkeypatch.delitem(sys.modules, "mlflow")
    assert not may_accompany(MlflowTracking(uri=f"sqlite:///{store}"))


def test_the_newest_revision_in_the_files_is_that_of_mlflow() -> None:
    assert database._newest_revision() == database._current_revision()


@pytest.mark.parametrize(
    "name", ["mlflow.db", "a folder.db", "josé.db", "a%20b.db", "what?.db", "a+b-c_d.db"]
)
def test_an_address_without_sqlalchemy_is_that_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def addressed() -> tuple[Any, str]:
        try:
            written = sqlite_uri(tmp_path / name)
            return parse_address(f"{SQLITE}:///{tmp_path / name}"), written
        except UserError as error:
            return str(error), ""

    quick = addressed()
    monkeypatch.setattr("w2v_exp.tracking.locations.PLAIN_PATH", re.compile(r"(?!)"))
    assert addressed() == quick


def followed(folder: Path) -> companion._Followed:
    return companion._Followed(folder)


def test_a_journal_that_replaces_that_of_an_earlier_run_is_uploaded_as_a_new_run(
    store: Path, tmp_path: Path
) -> None:
    opened = open_store(f"sqlite:///{store}")
    folder = tmp_path / "run"
    folder.mkdir()
    earlier = Journal.create(folder, Header("earlier"))
    earlier.end(End("FINISHED"))
    earlier.close()
    cursor = Cursor.of(opened)
    cursor.run_id, cursor.offset = "0" * 32, earlier.length
    cursor.write(folder)

    mirror = followed(folder)
    assert mirror.upload(opened) is False
    assert stored_runs(tmp_path) == []  # the earlier one is uploaded

    (folder / "uploaded.json").unlink()
    new = Journal.create(folder, Header("new"))
    mirror.upload(opened)
    assert stored_runs(tmp_path) == []  # it has no cursor yet
    Cursor(opened.uri, opened.experiment).write(folder)
    new.log_metrics({"cost": 2.5}, 1)
    mirror.upload(opened)
    new.log_metrics({"cost": 2.0}, 2)
    new.end(End("FINISHED"))
    mirror.has_ended = True
    assert mirror.upload(opened)
    (run,) = stored_runs(tmp_path)
    assert (run.info.run_name, run.info.status, run.data.metrics) == ("new", "FINISHED", {"cost": 2.0})
    assert is_uploaded(folder)
    new.close()


def test_a_line_that_is_being_written_is_uploaded_when_it_is_complete(store: Path, tmp_path: Path) -> None:
    opened = open_store(f"sqlite:///{store}")
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal.create(folder, Header("a run"))
    journal.log_metrics({"cost": 2.5}, 1)
    line = journal.read(len(journal.header.line()))
    Cursor(opened.uri, opened.experiment).write(folder)
    mirror = followed(folder)
    with journal.path.open("ab") as stream:
        stream.write(line[:10])
        stream.flush()
        mirror.upload(opened)
        stream.write(line[10:].replace(b"2.5", b"1.5").replace(b'"step": 1', b'"step": 2'))
    mirror.upload(opened)
    (run,) = stored_runs(tmp_path)
    assert run.data.metrics == {"cost": 1.5}
    journal.close()


def test_a_run_that_ends_at_once_is_uploaded_in_one_go() -> None:
    mirror = followed(Path("nowhere"))
    assert 0 < mirror.due - time.monotonic() <= SETTLE_SECONDS
