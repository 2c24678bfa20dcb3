"""A run leaves the explorer's page: of the vectors that it has chosen, if it is not too large."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import Command

TEXT = "king queen man woman </script><script>alert(1)</script> prince princess " * 4
SETTINGS = [
    "corpus=text",
    f"corpus.text='{TEXT}'",
    "tokenizer=whitespace",
    "dim=4",
    "epochs=2",
    "hydra.run.dir=a_run",
]


def test_a_run_leaves_its_page_and_says_so(command: Command, tmp_path: Path) -> None:
    done = command(*SETTINGS, "tracking=none", "embedding=sum", "explorer.words=5")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "a_run/artifacts/explorer.html").read_text(encoding="utf-8")
    assert "<bdi>text</bdi>" in page
    assert "the first 5 of 7 words · 4 dimensions · sum vectors" in page
    assert "alert(1)</script>" not in page
    assert "explorer.html (" in done.stdout


@pytest.mark.usefixtures("store")
def test_the_page_is_among_the_artifacts_in_the_store(command: Command, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    done = command(*SETTINGS, "tracking.plots=false")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs(["1"])
    assert "explorer.html" in [file.path for file in client.list_artifacts(run.info.run_id)]


def test_a_page_that_would_be_too_large_is_not_made_unless_it_is_asked_for(
    command: Command, tmp_path: Path
) -> None:
    page = tmp_path / "a_run/artifacts/explorer.html"
    done = command(*SETTINGS, "tracking=none", "explorer.limit_mb=0.001")
    assert done.returncode == 0, done.stderr
    assert "explorer.html would have" in done.stdout
    assert not page.exists()
    assert command(*SETTINGS, "tracking=none", "explorer=none").returncode == 0
    assert not page.exists()
    assert json.loads((tmp_path / "a_run/result.json").read_text())["explorer"] == ""
    assert command(*SETTINGS, "tracking=none", "explorer=all").returncode == 0
    assert page.exists()


def test_a_projection_that_is_not_there_ends_the_command_before_any_work(
    command: Command, tmp_path: Path
) -> None:
    done = command(*SETTINGS, "explorer.projection=tnse")
    assert done.returncode == 2
    assert "explorer.projection=tnse: not an option, did you mean tsne?" in done.stderr
    assert not (tmp_path / "a_run").exists()
