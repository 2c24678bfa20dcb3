"""A store's database is complete or not there, whatever happens while it is created or migrated."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from processes import Command, run_command, start_command
from test_store_faults import locked_database, small_disk

from w2v_exp.errors import UserError
from w2v_exp.tracking import database as databases
from w2v_exp.tracking.store import check_store, connect, open_store

OLD = "acf3f17fdcc7"  # the schema of MLflow 2.4
RUN = ("epochs=1", "dim=2", "tracking.plots=false", "explorer=none", "checkpoint=none")


def address(file: Path) -> str:
    return f"sqlite:///{file}"


@cache
def old_database() -> bytes:
    """Return a database of an earlier MLflow, made by MLflow's own migrations up to there."""
    import sqlalchemy
    from alembic import command
    from mlflow.store.db.utils import InitialBase, _get_alembic_config

    logging.getLogger("alembic").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        file = Path(folder, "old.db")
        engine = sqlalchemy.create_engine(address(file), poolclass=sqlalchemy.NullPool)
        InitialBase.metadata.create_all(engine)
        config = _get_alembic_config(address(file))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, OLD)
        return file.read_bytes()


def make_old(file: Path) -> None:
    file.write_bytes(old_database())


def add_run(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
            "VALUES (7, 'old', ?, 'active')",
            (f"file://{file.parent}/mlartifacts",),
        )
        database.execute(
            "INSERT INTO runs (run_uuid, name, experiment_id, user_id, status, lifecycle_stage, start_time) "
            "VALUES (?, 'an old run', 7, 'ann', 'FINISHED', 'active', 1)",
            ("a" * 32,),
        )


def revision_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def in_a_process(work: Callable[[], None]) -> int:
    """Return the exit code of a forked process that does some work; MLflow is loaded already."""
    process = get_context("fork").Process(target=work)
    process.start()
    process.join(300)
    return int(process.exitcode or 0)


def kill_at(patch: pytest.MonkeyPatch, function: str) -> None:
    """Let this process be killed where a function of the module is called."""
    patch.setattr(databases, function, lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))


def test_a_new_store_is_its_database_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(address(tmp_path / "mlflow.db"))
    assert names(tmp_path) == ["mlflow.db"]
    assert capsys.readouterr().err == "creating mlflow.db (once)\n"
    locations = {found.name: found.artifact_location for found in store.client.search_experiments()}
    folder = (tmp_path / "mlartifacts").as_uri()
    assert locations == {"w2v_exp": folder, "Default": f"{folder}/0"}
    open_store(address(tmp_path / "mlflow.db"))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize("place", ["_build", "_sync", "_rename_unless_there"])
def test_a_process_killed_while_it_creates_a_store_leaves_none_and_the_next_one_makes_it(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    file = tmp_path / "mlflow.db"
    monkeypatch.setattr(databases, "_build", lambda new, artifacts: shutil.copy(empty_store, new))
    with monkeypatch.context() as patch:
        kill_at(patch, place)
        assert in_a_process(lambda: databases.prepare_database(parsed(file))) == -signal.SIGKILL
    assert not file.exists()
    (left,) = (folder for folder in tmp_path.iterdir() if folder.is_dir())
    assert left.name.startswith("mlflow.db.new-")
    databases.prepare_database(parsed(file))
    assert names(tmp_path) == ["mlflow.db"]


def parsed(file: Path) -> databases.StoreAddress:
    return databases.StoreAddress(address(file), file)


def test_a_folder_that_only_looks_like_a_leftover_stays(tmp_path: Path, empty_store: Path) -> None:
    folder, link = tmp_path / "mlflow.db.new-mine", tmp_path / "mlflow.db.new-link"
    elsewhere = tmp_path / "elsewhere"
    for kept in (folder, elsewhere):
        kept.mkdir()
        (kept / "file").touch()
    (elsewhere / databases.MARKER).touch()
    link.symlink_to(elsewhere)
    databases._remove_leftovers(tmp_path / "mlflow.db")
    assert names(tmp_path) == ["elsewhere", "mlflow.db.new-link", "mlflow.db.new-mine"]
    assert names(elsewhere) == ["file", databases.MARKER]


def test_of_two_that_create_a_store_without_locks_the_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    file = tmp_path / "mlflow.db"

    def build(new: Path, artifacts: Path) -> None:
        shutil.copy(empty_store, new)
        shutil.copy(empty_store, file)  # as MLflow's UI might, meanwhile
        add_run(file)

    monkeypatch.setattr(databases, "_build", build)
    databases.prepare_database(parsed(file))
    assert connect(address(file)).get_run("a" * 32).info.run_name == "an old run"
    assert names(tmp_path) == ["mlflow.db"]


@pytest.mark.usefixtures("starts_processes")
def test_a_full_disk_leaves_no_store(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "400k"):
        with pytest.raises(UserError, match=r"tracking.uri=sqlite.*full") as raised:
            open_store(address(disk / "mlflow.db"))
        assert len(str(raised.value).splitlines()) == 1
        assert set(names(disk)) <= {"mlflow.db.lock"}
    open_store(address(disk / "mlflow.db"))


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
def test_a_journal_without_its_database_is_not_given_another_one(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"mlflow.db{suffix}").write_bytes(b"left")
    with pytest.raises(UserError, match=rf"mlflow.db{suffix} is left of a database that is gone. Delete"):
        open_store(address(tmp_path / "mlflow.db"))
    assert not (tmp_path / "mlflow.db").exists()


def age(file: Path) -> None:
    """Let a file be as old as one whose process is gone."""
    os.utime(file, (1, 1))


def test_an_empty_file_becomes_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    """MLflow that is killed in its first moments leaves one."""
    monkeypatch.setattr(databases, "_build", lambda new, artifacts: shutil.copy(empty_store, new))
    (tmp_path / "mlflow.db").touch()
    age(tmp_path / "mlflow.db")
    assert open_store(address(tmp_path / "mlflow.db")).experiment == "w2v_exp"


def ruin(file: Path) -> None:
    """Do the first half of one of MLflow's migrations, as a process that is killed while it creates a store."""
    make_old(file)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE logged_models (model_id VARCHAR(34))")
    age(file)


@pytest.mark.parametrize("check", [open_store, lambda uri: check_store(uri, None)])
def test_an_incomplete_store_is_recognised_and_the_message_says_what_to_do(
    check: Callable[[str], object], tmp_path: Path
) -> None:
    file = tmp_path / "mlflow.db"
    ruin(file)
    content = file.read_bytes()
    with pytest.raises(UserError) as raised:
        check(address(file))
    assert str(raised.value) == (
        f"tracking.uri=sqlite:///{file}: this database is incomplete, since its creation was interrupted; it holds no "
        f"run. Delete {file} and run the command again."
    )
    assert file.read_bytes() == content
    assert set(names(tmp_path)) == {"mlflow.db", "mlflow.db.lock"}


def test_an_incomplete_store_with_runs_is_not_to_be_deleted(tmp_path: Path) -> None:
    ruin(tmp_path / "mlflow.db")
    add_run(tmp_path / "mlflow.db")
    age(tmp_path / "mlflow.db")
    with pytest.raises(UserError, match=r"cannot be migrated .* holds 1 runs\. Restore a copy"):
        open_store(address(tmp_path / "mlflow.db"))


def test_a_command_refuses_an_incomplete_store_before_training(tmp_path: Path, command: Command) -> None:
    ruin(tmp_path / "mlflow.db")
    done = command(*RUN)
    assert done.returncode == 2
    assert "this database is incomplete" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert set(names(tmp_path)) == {"mlflow.db", "mlflow.db.lock"}


@pytest.mark.second_tier
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_store_of_an_older_mlflow_is_migrated_after_a_copy(
    journal: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mlflow.db"
    make_old(file)
    add_run(file)
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA journal_mode = {journal}")
    (tmp_path / "mlflow.db-journal").write_bytes(bytes(512))  # a void one, as a killed process may leave
    age(file)
    (tmp_path / f"mlflow.db.before-{OLD}").write_text("an earlier copy")
    client = connect(address(file), create=False)
    assert client.get_run("a" * 32).info.run_name == "an old run"
    said = capsys.readouterr().err
    assert said.startswith(f"mlflow.db: migrated from schema {OLD} to {databases._current_revision()}; ")
    assert "an older MLflow cannot open it" in said
    assert f"mlflow.db.before-{OLD}-2" in said
    assert names(tmp_path) == ["mlflow.db", f"mlflow.db.before-{OLD}", f"mlflow.db.before-{OLD}-2"]
    assert revision_of(tmp_path / f"mlflow.db.before-{OLD}-2") == OLD
    assert (tmp_path / f"mlflow.db.before-{OLD}").read_text() == "an earlier copy"


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize("place", ["_upgrade", "_keep"])
def test_a_process_killed_while_it_migrates_leaves_the_store_as_it_was(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mlflow.db"
    make_old(file)
    add_run(file)
    age(file)
    with monkeypatch.context() as patch:
        kill_at(patch, place)
        assert in_a_process(lambda: databases.prepare_database(parsed(file))) == -signal.SIGKILL
    assert revision_of(file) == OLD
    age(file)
    assert connect(address(file)).get_run("a" * 32).info.run_name == "an old run"
    assert names(tmp_path) == ["mlflow.db", f"mlflow.db.before-{OLD}"]


def test_a_store_of_a_newer_mlflow_is_refused(store: Path) -> None:
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(
        UserError, match=r"written by an MLflow newer than .* \(schema ffffffffffff\)\. Upgrade"
    ):
        open_store(address(store))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not SQLite at all" * 100, "it is not an SQLite database"),
        (None, r"of another program \(tables songs\)"),
    ],
)
def test_a_file_of_another_kind_is_left_alone(content: bytes | None, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    if content is None:
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("CREATE TABLE songs (title TEXT)")
        content = file.read_bytes()
    else:
        file.write_bytes(content)
    with pytest.raises(UserError, match=expected):
        open_store(address(file))
    assert file.read_bytes() == content
    assert names(tmp_path) == ["mlflow.db"]


@pytest.mark.usefixtures("starts_processes")
def test_a_store_that_another_program_creates_in_place_is_waited_for(
    tmp_path: Path, empty_store: Path
) -> None:
    """MLflow's UI, started at the same moment, takes no lock of ours."""
    file = tmp_path / "mlflow.db"
    make_old(file)
    script = "import sys, shutil; sys.stdin.readline(); shutil.copy(sys.argv[1], sys.argv[2])"
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(empty_store), str(file)], stdin=subprocess.PIPE, text=True
    )
    waited = []

    def look(found: Path) -> databases.Schema:
        if not waited and other.poll() is None:
            other.communicate("go\n")
        waited.append(found)
        return read(found)

    read = databases.Schema.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(databases.Schema, "read", staticmethod(look))
        databases._wait_until_unchanged(file)
    assert waited
    assert read(file).is_current


@pytest.mark.usefixtures("starts_processes")
def test_a_locked_store_is_no_incomplete_one(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "LOCK_SECONDS", 0.1)
    with locked_database(store), pytest.raises(UserError, match=r"cannot be opened \(database is locked\)"):
        open_store(address(store))


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_a_first_command_killed_at_any_moment_leaves_a_folder_where_the_same_one_works(
    number: int, tmp_path: Path
) -> None:
    """Fifty kills in all, by each of three signals."""
    chance = random.Random(number)
    for kill in range(10):
        folder = tmp_path / str(kill)
        folder.mkdir()
        process = start_command(*RUN, folder=folder)
        try:
            process.communicate(timeout=chance.uniform(0.5, 12))
        except subprocess.TimeoutExpired:
            process.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            process.communicate()
        if (folder / "mlflow.db").exists():
            assert databases.Schema.read(folder / "mlflow.db").is_current
        done = run_command(*RUN, folder=folder)
        assert done.returncode == 0, done.stderr
        assert not [name for name in names(folder) if name.startswith("mlflow.db.")]
