"""Embeddings as an MLflow model: written, logged, registered and served."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow_server import Server, wait_for
from processes import Command, environment

from w2v_exp import load_run
from w2v_exp.embeddings import Embeddings
from w2v_exp.experiment.sync import main as sync
from w2v_exp.tracking import upload
from w2v_exp.tracking.journal import End, Header, Journal
from w2v_exp.tracking.model import NAME, log_model, write_model
from w2v_exp.tracking.served_model import ServedEmbeddings
from w2v_exp.tracking.store import open_store
from w2v_exp.tracking.upload import Cursor, Uploader

WORDS = ["king", "queen", "naïve", "a\tb", "zero"]
VECTORS = np.random.default_rng(0).standard_normal((5, 3)) * np.array([[1], [2], [3], [4], [0]])
SETTINGS = ["tracking.model=true", "epochs=20", "tracking.plots=false", "dim=4"]


@pytest.fixture
def embeddings() -> Embeddings:
    return Embeddings(WORDS, None, VECTORS)


@pytest.fixture
def served(embeddings: Embeddings, tmp_path: Path) -> ServedEmbeddings:
    embeddings.save(tmp_path / "embeddings.npz")
    model = ServedEmbeddings()
    model.load_context(SimpleNamespace(artifacts={"embeddings": str(tmp_path / "embeddings.npz")}))
    return model


@pytest.mark.parametrize("topn", [1, 3, 4, 100])
def test_neighbours_are_those_of_the_embeddings(
    topn: int, served: ServedEmbeddings, embeddings: Embeddings
) -> None:
    answers = served.predict(None, WORDS, {"topn": topn})
    assert [answer["word"] for answer in answers] == WORDS
    for word, answer in zip(WORDS, answers, strict=True):
        expected = embeddings.most_similar(word, topn=min(topn, 4))
        assert answer["neighbours"] == [other for other, _ in expected]
        assert answer["similarities"] == pytest.approx([cosine for _, cosine in expected])


def test_vectors_and_unknown_words(served: ServedEmbeddings) -> None:
    assert served.predict(None, ["naïve", "?"], {"output": "vectors"}) == [
        {"word": "naïve", "vector": VECTORS[2].tolist()},
        {"word": "?", "vector": None},
    ]
    assert served.predict(None, ["?"]) == [{"word": "?", "neighbours": None, "similarities": None}]


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"output": "words"}, "output=words: no such output. Use neighbours or vectors"),
        ({"topn": 0}, "topn=0: must be 1"),
    ],
)
def test_a_mistake_in_the_parameters_is_reported(
    params: dict[str, Any], problem: str, served: ServedEmbeddings
) -> None:
    with pytest.raises(MlflowException, match=problem):
        served.predict(None, ["king"], params)


def pending_model(store: Path, embeddings: Embeddings, folder: Path) -> Uploader:
    """Leave an ended run with a model of which the store knows nothing; return its uploader."""
    (folder / "artifacts").mkdir(parents=True)
    write_model(embeddings, folder / "artifacts" / NAME, {"fingerprint": "5f"})
    (folder / "artifacts" / "costs.csv").write_text("cost\n1.5\n")
    opened = open_store(f"sqlite:///{store}")
    journal = Journal.create(folder, Header("a run", params={"dim": "3"}))
    journal.end(End("FINISHED", "artifacts", move=True))
    journal.close()
    return Uploader(opened.client, journal, Cursor.of(opened), is_new=True)


@pytest.mark.second_tier  # MLflow takes seconds to write a model
def test_an_interrupted_upload_of_a_model_is_completed_by_sync(
    store: Path, embeddings: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pyfunc

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    folder = tmp_path / "run"
    uploader = pending_model(store, embeddings, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["artifacts", "journal.jsonl"]
    with monkeypatch.context() as patch:

        def fail(*arguments: Any) -> None:
            log_model(*arguments)
            raise ConnectionError("after the model, before the end")

        patch.setattr(upload, "log_model", fail)
        with pytest.raises(ConnectionError):
            uploader.upload()
    assert sync([str(folder)]) == 0
    client = MlflowClient(f"sqlite:///{store}")
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["costs.csv"]
    (logged,) = client.search_logged_models(["1"])
    assert (logged.name, logged.status, logged.source_run_id) == (NAME, "READY", run.info.run_id)
    assert {output.model_id for output in run.outputs.model_outputs} == {logged.model_id}
    assert logged.params == {"dim": "3"}
    assert not (folder / "artifacts").exists()

    mlflow.set_tracking_uri(f"sqlite:///{store}")
    version = mlflow.register_model(f"runs:/{run.info.run_id}/{NAME}", "words")
    assert (version.name, str(version.version)) == ("words", "1")
    model = mlflow.pyfunc.load_model("models:/words/1")
    assert model.metadata.metadata == {"fingerprint": "5f"}
    (answer,) = model.predict(["king"], params={"topn": 1})
    ((nearest, cosine),) = embeddings.most_similar("king", topn=1)
    assert answer == {"word": "king", "neighbours": [nearest], "similarities": [pytest.approx(cosine)]}
    with pytest.raises(MlflowException, match="schema"):
        model.predict([3])


@pytest.mark.second_tier
@pytest.mark.usefixtures("store")
def test_a_run_logs_the_chosen_vectors_as_a_model(command: Command, tmp_path: Path) -> None:
    import mlflow

    done = command(*SETTINGS, "embedding=sum")
    assert (done.returncode, done.stderr) == (0, "")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (run,) = MlflowClient(uri).search_runs(["1"])
    mlflow.set_tracking_uri(uri)
    folder = Path(
        mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/{NAME}", dst_path=str(tmp_path))
    )
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "served_model.py", "artifacts/embeddings.npz", "requirements.txt"} <= files
    assert not [file for file in files if file.endswith((".pkl", ".pickle", ".pyc"))]
    assert (folder / "requirements.txt").read_text().split() == [
        f"mlflow=={mlflow.__version__}",
        f"numpy=={np.__version__}",
    ]
    trained = load_run("latest", uri).using("sum")
    np.testing.assert_array_equal(
        Embeddings.load(folder / "artifacts" / "embeddings.npz").input, trained.input
    )
    assert not list(tmp_path.glob("outputs/runs/*/artifacts/*"))


@pytest.mark.slow
def test_a_model_is_served_from_a_tracking_server(
    process_command: Command, tmp_path: Path, embeddings: Embeddings
) -> None:
    server = Server(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"

    def answer(**request: Any) -> Any:
        sent = urllib.request.Request(
            f"{address}/invocations", json.dumps(request).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(sent, timeout=60) as response:
            return json.load(response)["predictions"]

    def is_up() -> bool:
        assert serving.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
        except OSError:
            return False
        return True

    log = tmp_path / "serving.log"
    try:
        done = process_command(*SETTINGS, f"tracking.uri={server.uri}")
        assert done.returncode == 0, done.stderr
        (run,) = MlflowClient(server.uri).search_runs(["1"])
        trained = load_run("latest", server.uri)
        options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with log.open("wb") as stream:
            serving = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "mlflow",
                    "models",
                    "serve",
                    "-m",
                    f"runs:/{run.info.run_id}/{NAME}",
                    *options,
                ],
                env=environment(MLFLOW_TRACKING_URI=server.uri, MLFLOW_DISABLE_TELEMETRY="true", PATH=path),
                stdout=stream,
                stderr=stream,
            )
        try:
            wait_for(is_up)
            word = trained.words[0]
            (found, unknown) = answer(inputs=[word, "not a word"], params={"topn": 3})
            expected = trained.most_similar(word, topn=3)
            assert found["neighbours"] == [other for other, _ in expected]
            assert found["similarities"] == pytest.approx([cosine for _, cosine in expected])
            assert unknown == {"word": "not a word", "neighbours": None, "similarities": None}
            (vector,) = answer(inputs=[word], params={"output": "vectors"})
            assert vector == {"word": word, "vector": trained[word].tolist()}
            with pytest.raises(urllib.error.HTTPError, match="400"):
                answer(inputs=[word], params={"output": "words"})
        finally:
            serving.terminate()
            serving.wait(60)
    finally:
        server.kill()
