"""Artifacts are where the UI shows them; a location where they cannot be is refused before training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from mlflow.server.handlers import _get_proxied_run_artifact_destination_path as path_of_the_server
from processes import Command
from test_store_faults import small_disk

from w2v_exp.errors import UserError
from w2v_exp.tracking.locations import (
    download_artifact,
    list_artifacts,
    log_artifacts,
    parse_address,
    reachable_location,
    require_writable_location,
)
from w2v_exp.tracking.store import Store, check_store, experiment_name, open_store


@pytest.fixture
def uri(store: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("NAME", "ID"):
        monkeypatch.delenv(f"MLFLOW_EXPERIMENT_{name}", raising=False)
    return f"sqlite:///{store}"


def made_by_the_ui(uri: str, name: str = "of the UI") -> Store:
    """Return an experiment as the server creates it, whose address of artifacts is ``mlflow-artifacts:/``."""
    client = open_store(uri).client
    identity = client.create_experiment(name, "mlflow-artifacts:/2")
    assert identity == "2"
    return open_store(uri, name)


def test_artifacts_of_an_experiment_of_the_ui_are_where_its_server_looks(uri: str, tmp_path: Path) -> None:
    made = made_by_the_ui(uri)
    run = made.client.create_run(made.experiment_id).info
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "costs.csv").write_text("epoch,cost\n")
    log_artifacts(made.client, run.run_id, tmp_path / "files")
    # `mlflow ui` in this folder has the artifacts' destination ./mlartifacts
    served = tmp_path / "mlartifacts" / path_of_the_server(run.artifact_uri, "costs.csv")
    assert served.read_text() == "epoch,cost\n"
    assert list_artifacts(made.client, run.run_id) == ["costs.csv"]
    copy = download_artifact(made.client, run.run_id, "costs.csv", str(tmp_path))
    assert copy.read_text() == "epoch,cost\n"


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("", "{}/mlartifacts/2"),
        ("/srv/files", "/srv/files/2"),
        ("./other", "{}/other/2"),
        ("s3://b/a/", "s3://b/a/2"),
    ],
)
def test_the_destination_of_the_server_is_that_of_runs(
    destination: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", destination)
    found = reachable_location(parse_address(f"sqlite:///{tmp_path}/mlflow.db"), "mlflow-artifacts:/2")
    assert found.removeprefix("file://") == expected.format(tmp_path)


def refused(location: str, folder: Path, uri: str = "") -> str:
    address = parse_address(uri or f"sqlite:///{folder}/mlflow.db")
    with pytest.raises(UserError) as raised:
        require_writable_location(address, "mine", location)
    said = str(raised.value)
    assert said.startswith(f"tracking.experiment=mine: its artifacts cannot be stored in {location}: ")
    assert said.endswith("Or set another tracking.experiment.")
    assert len(said.splitlines()) == 1
    return said


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("mlflow-artifacts://host:5000/2", "Set tracking.uri"),
        ("mlflow-artifacts:/../../etc", "leaves the folder"),
        ("mlruns/2", "relative"),
        ("./mlartifacts", "relative"),
        ("file:///nowhere/at/all", "/nowhere/at is gone"),
        ("file:///nowhere/mlruns/2", "/nowhere is gone"),
        ("/nowhere/mlartifacts", "/nowhere is gone"),
        ("s3://bucket/2", "pip install boto3"),
        ("gs://bucket/2", "google-cloud-storage"),
        ("wasbs://c@a.blob.core.windows.net/2", "azure-storage-blob"),
        ("foo://bucket/2", "Could not find a registered artifact repository"),
    ],
)
def test_a_location_that_cannot_be_written_is_refused(
    location: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a package that is missing, although the tests need one of them."""
    monkeypatch.setattr("w2v_exp.tracking.locations.find_spec", lambda _: None)
    assert expected in refused(location, tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlartifacts").touch()
    assert "is not a folder" in refused((tmp_path / "mlartifacts").as_uri(), tmp_path)


@pytest.mark.usefixtures("starts_processes")
def test_a_folder_that_is_read_only_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid():
        tmp_path.chmod(0o555)
        assert "cannot be written to" in refused((tmp_path / "mlartifacts").as_uri(), tmp_path)
        tmp_path.chmod(0o755)
        return
    disk = tmp_path / "disk"
    with small_disk(disk, "64k", "ro"):
        assert "cannot be written to" in refused((disk / "mlartifacts").as_uri(), tmp_path)


def test_of_a_database_on_a_server_only_the_server_knows_the_place(tmp_path: Path) -> None:
    said = refused("mlflow-artifacts:/2", tmp_path, "postgresql+psycopg://host/runs")
    assert "Set tracking.uri to its http address" in said


def test_a_run_is_refused_before_training_by_its_experiments_location(
    uri: str, command: Command, tmp_path: Path
) -> None:
    open_store(uri).client.create_experiment("gone", "file:///nowhere/at/all")
    with pytest.raises(UserError, match="/nowhere/at is gone"):
        check_store(uri, "gone")
    done = command("epochs=1", "dim=2", "tracking.experiment=gone")
    assert done.returncode == 2
    assert "/nowhere/at is gone" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_experiment_is_chosen_by_its_id(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_by_the_ui(uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", made.experiment_id)
    assert open_store(uri).experiment == "of the UI"
    assert open_store(uri, "w2v_exp").experiment == "w2v_exp"  # the configuration decides
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the UI")
    assert open_store(uri).experiment_id == made.experiment_id
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    with pytest.raises(
        UserError, match="MLFLOW_EXPERIMENT_ID=2: is not the id of MLFLOW_EXPERIMENT_NAME=another"
    ):
        open_store(uri)


@pytest.mark.parametrize("identity", ["17", "x", "-1", "99999999999999999999", "a" * 32])
def test_an_id_of_no_experiment_is_refused(identity: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", identity)
    with pytest.raises(
        UserError, match=f"MLFLOW_EXPERIMENT_ID={identity}: there is no such experiment in sqlite"
    ):
        open_store(uri)


@pytest.mark.parametrize("by", ["id", "name", "configuration"])
def test_a_deleted_experiment_is_refused_with_the_command_that_restores_it(
    by: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_by_the_ui(uri)
    made.client.delete_experiment(made.experiment_id)
    if by != "configuration":
        monkeypatch.setenv(f"MLFLOW_EXPERIMENT_{by.upper()}", "2" if by == "id" else "of the UI")
    key = {"id": "MLFLOW_EXPERIMENT_ID=2", "name": "MLFLOW_EXPERIMENT_NAME=of the UI"}.get(
        by, "tracking.experiment=of the UI"
    )
    with pytest.raises(UserError, match=f"^{key}: is deleted in .*\\(mlflow experiments restore -x 2"):
        open_store(uri, "of the UI" if by == "configuration" else None)


@pytest.mark.parametrize("name", ["a/b", "ü ñ", "it's", 'a "b"', "50%", "a" * 500, "=1+1", "0"])
def test_names_of_experiments_may_be_odd(name: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    assert open_store(uri).experiment == name
    assert open_store(uri, name).experiment_id == open_store(uri).experiment_id


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (" ", "is empty"),
        ("a" * 501, "at most 500"),
        ("a\nb", "control"),
        ("a\x1b[2J", "control"),
        ("\udc80", "control"),
    ],
)
@pytest.mark.parametrize("given", ["variable", "configuration"])
def test_names_of_experiments_that_cannot_be_are_refused(
    name: str, expected: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured: Any = name
    if given == "variable":
        monkeypatch.setitem(os.environ, "MLFLOW_EXPERIMENT_NAME", name)
        configured = None
    with pytest.raises(UserError, match=expected) as raised:
        experiment_name(configured)
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 200
