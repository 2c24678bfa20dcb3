"""What a run leaves to a user: the neighbours of probe words, and its embeddings, loaded back from MLflow."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from processes import Command
from rich.console import Console

import w2v_exp
from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.experiment.run_report import similar_words

TEXT = "king queen man woman prince <b>x</b> boy =1+1 [red]girl " * 4
SETTINGS = ["corpus=text", f"corpus.text='{TEXT}'", "tokenizer=whitespace", "dim=4", "epochs=5"]
PLAIN = ["tracking.plots=false"]


@pytest.mark.usefixtures("store")
def test_neighbours_of_probe_words_and_the_embeddings_themselves_come_back_from_the_store(
    command: Command, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    probes = "probes=[king,unicorn,'[red]girl']"
    done = command(*SETTINGS, *PLAIN, "embedding=sum", probes)
    assert done.returncode == 0, done.stderr
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    (run,) = client.search_runs(["1"])

    loaded = w2v_exp.load_run(run.info.run_id, uri)
    for named in ("latest", run.info.run_name, run.info.run_id[:8]):
        np.testing.assert_array_equal(w2v_exp.load_run(named, uri).input, loaded.input)
    artifacts = Path(client.download_artifacts(run.info.run_id, "", tmp_path))
    saved = Embeddings.load(artifacts / "embeddings.npz")
    assert loaded.words == saved.words
    for matrix in ("counts", "input", "output"):
        np.testing.assert_array_equal(getattr(loaded, matrix), getattr(saved, matrix))

    table = json.loads((artifacts / "similar_words.json").read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [(row["word"], row["count"]) for row in rows] == [("king", 4), ("unicorn", None), ("[red]girl", 4)]
    for row in rows[::2]:
        near = [(row[f"similar_{rank}"], row[f"cosine_{rank}"]) for rank in range(1, 9)]
        expected = loaded.using("sum").most_similar(row["word"], topn=8)
        assert [word for word, _ in near] == [word for word, _ in expected]
        assert [cosine for _, cosine in near] == pytest.approx([cosine for _, cosine in expected])
        assert row["similar_9"] is None
    assert rows[1]["similar_1"] is None

    with (artifacts / "similar_words.csv").open(newline="") as stream:
        assert [row["word"] for row in csv.DictReader(stream)] == ["king", "unicorn", "[red]girl"]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("king ")]
    assert line.split()[1].rstrip(",") == rows[0]["similar_1"]
    assert "[red]girl" in done.stdout  # not taken for markup
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("unicorn")]
    assert "not in the vocabulary" in line


def test_without_a_choice_words_of_the_vocabulary_are_probed_and_with_an_empty_one_none(
    command: Command, tmp_path: Path
) -> None:
    done = command(*SETTINGS, "tracking=none", "hydra.run.dir=some")
    assert done.returncode == 0, done.stderr
    assert "nearest words" in done.stdout
    with (tmp_path / "some/artifacts/similar_words.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["word"] == "<b>x</b>"  # all occur as often: then the order is that of the words
    assert 1 < len(rows) <= 8
    done = command(*SETTINGS, "tracking=none", "hydra.run.dir=none", "probes=[]")
    assert done.returncode == 0, done.stderr
    assert "nearest words" not in done.stdout
    assert not (tmp_path / "none/artifacts/similar_words.csv").exists()


def test_hostile_words_are_shown_as_they_are_or_not_at_all() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(similar_words({"[bold]a": ["\x1b[31mred", "\u202eabc", "x" * 10_000], "\x07": []}))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[bold]a" in said
    assert "�[31mred, �abc" in said
    assert not set("\x1b\u202e\x07") & set(said)
    assert len(said) < 1000


def test_a_run_that_cannot_be_loaded_is_named(store: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    with pytest.raises(UserError, match=r"tracking.uri=sqlite:///.*/nowhere.db: there is no such database"):
        w2v_exp.load_run("0123", f"sqlite:///{tmp_path}/nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()
    uri = f"sqlite:///{store}"
    with pytest.raises(UserError, match=r"There is no finished run with the id or name 0123 in sqlite:///"):
        w2v_exp.load_run("0123", uri)
    with pytest.raises(UserError, match=r"There is no finished run in sqlite:///"):
        w2v_exp.load_run("latest", uri)
    with pytest.raises(UserError, match=rf"Run {'0' * 32} cannot be read from sqlite:///.* \(.*not found"):
        w2v_exp.load_run("0" * 32, uri)
    client = MlflowClient(uri)
    experiment = client.create_experiment("x", (tmp_path / "artifacts").as_uri())
    run_id = client.create_run(experiment).info.run_id
    client.set_terminated(run_id, "FAILED")
    with pytest.raises(
        UserError, match=rf"Run {run_id} .* has no embeddings\.npz: it is failed, and keeps no"
    ):
        w2v_exp.load_run(run_id, uri)


@pytest.mark.usefixtures("store")
def test_the_store_is_looked_for_where_runs_look_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(
        UserError, match=rf"no finished run with the id or name 0123 in sqlite:///{tmp_path}/mlflow\.db"
    ):
        w2v_exp.load_run("0123")
