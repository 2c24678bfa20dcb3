"""The runs that a database names are those that MLflow finds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.tracking.load import ARCHIVE, LATEST, _stored_run, load_embeddings
from w2v_exp.tracking.store import open_store


def add_run(store: Path, folder: Path, name: str, status: str = "FINISHED", *, is_ours: bool = True) -> str:
    """Add a run with embeddings, each of another word, to a store; return its id."""
    opened = open_store(f"sqlite:///{store}")
    client, tags = opened.client, {"corpus.digest": "0"} if is_ours else {}
    start = 1000 + len(client.search_runs([opened.experiment_id]))
    run = client.create_run(opened.experiment_id, start, tags, name).info.run_id
    client.log_param(run, "embedding", "sum")
    folder.mkdir(exist_ok=True)
    Embeddings([f"word{start}"], np.array([1]), np.ones((1, 2)), np.ones((1, 2))).save(folder / ARCHIVE)
    client.log_artifact(run, str(folder / ARCHIVE))
    client.set_terminated(run, status)
    return str(run)


def found(source: str, uri: str) -> tuple[str, ...] | str:
    try:
        loaded = load_embeddings(source, uri)
    except UserError as error:
        return str(error)
    return loaded.source, loaded.title, loaded.chosen, *loaded.embeddings.words


def test_a_run_in_a_database_is_that_which_mlflow_finds(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, folder = f"sqlite:///{store}", tmp_path / "made"
    first = add_run(store, folder, "first")
    twins = [add_run(store, folder, "twins") for _ in range(2)]
    failed = add_run(store, folder, "failed", "FAILED")
    removed = add_run(store, folder, "removed")
    MlflowClient(uri).delete_run(removed)
    foreign = add_run(store, folder, "foreign", is_ours=False)
    sources = [
        *(
            LATEST,
            first,
            twins[0],
            failed,
            removed,
            foreign,
            "first",
            "twins",
            "failed",
            "removed",
            "foreign",
        ),
        *(first[:6], first[:31], "it's", "nothing", "0" * 32, "%", "____", first[:4].upper()),
    ]
    for source in sources:
        with_mlflow = found(source, uri)
        stored = _stored_run(source, uri)
        if stored is not None:
            assert stored.id in (first, *twins, failed, foreign), source
            with monkeypatch.context() as patch:
                patch.delitem(sys.modules, "mlflow")
                assert found(source, uri) == with_mlflow, source
    for source in (LATEST, "first", first, first[:6], "foreign"):
        assert _stored_run(source, uri) is not None, source
    for source in ("twins", "failed", "nothing", removed, "0" * 32):
        assert _stored_run(source, uri) is None, source


def test_a_run_without_embeddings_and_a_store_elsewhere_are_left_to_mlflow(store: Path) -> None:
    opened = open_store(f"sqlite:///{store}")
    run = opened.client.create_run(opened.experiment_id, run_name="empty").info.run_id
    opened.client.set_terminated(run)
    assert _stored_run("empty", f"sqlite:///{store}") is None
    assert _stored_run(LATEST, "http://127.0.0.1:5000") is None
    assert _stored_run(LATEST, f"sqlite:///{store}.missing") is None
