"""A real sweep, read back from the store that it was logged to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from processes import Command, run_command

from w2v_exp.metrics import constants

COMMAND = ["window=3,5", "dim=10,50", "-m", "epochs=700"]


@pytest.fixture(scope="module")
def swept(end_to_end: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run a sweep as a user does it first: by a new Python, in a folder without a store."""
    folder = tmp_path_factory.mktemp("sweep")
    done = run_command(*COMMAND, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def client(swept: tuple[Path, str]) -> MlflowClient:
    return MlflowClient(f"sqlite:///{swept[0] / 'mlflow.db'}")


@pytest.fixture(scope="module")
def runs(client: MlflowClient) -> list[Any]:
    experiment = client.get_experiment_by_name("w2v_exp")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [found_run for found_run in found if found_run.data.tags.get("kind") != "summary"]


def test_four_finished_runs_are_named_by_their_swept_values(runs: list[Any]) -> None:
    assert [run.info.run_name for run in runs] == [
        "window=3 dim=10",
        "window=3 dim=50",
        "window=5 dim=10",
        "window=5 dim=50",
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({run.data.tags["sweep"] for run in runs}) == 1
    assert all("mlflow.parentRunId" not in run.data.tags for run in runs)


def test_params_hold_every_choice_and_every_value(runs: list[Any]) -> None:
    params = runs[3].data.params
    expected = {
        "corpus": "article",
        "tokenizer": "article",
        "labels": "sparse",
        "objective": "softmax",
        "optimizer": "sgd",
        "schedule": "step",
        "objective.update": "accumulate",
        "schedule.decay": "0.98",
        "window": "5",
        "dim": "50",
        "epochs": "700",
    }
    assert expected.items() <= params.items()


def test_tags_say_where_a_run_comes_from(swept: tuple[Path, str], runs: list[Any]) -> None:
    tags = runs[0].data.tags
    assert tags["overrides"] == "epochs=700 window=3 dim=10"
    assert tags["sweep.keys"] == "window dim"
    assert tags["version.numpy"] == np.__version__
    assert len(tags["corpus.digest"]) == 64
    assert Path(tags["hydra_output"]).is_relative_to(swept[0] / "outputs")
    description = tags["mlflow.note.content"]
    assert description.startswith("information explained **0.")
    place = f"#/experiments/{runs[0].info.experiment_id}/runs/{runs[0].info.run_id}/artifacts/explorer.html"
    assert f"]({place}?" in description
    assert f"]({place.replace('explorer.html', 'cost.png')}?" in description
    assert "`w2v-exp epochs=700 window=3 dim=10`" in description
    (data,) = runs[0].inputs.dataset_inputs
    assert data.dataset.name == "article"


def test_curves_are_thinned_evenly_with_first_and_last(client: MlflowClient, runs: list[Any]) -> None:
    for metric in ("cost", "learning_rate"):
        history = client.get_metric_history(runs[0].info.run_id, metric)
        steps = sorted(point.step for point in history)
        assert len(steps) == 500
        assert (steps[0], steps[-1]) == (0, 699)
        assert max(np.diff(steps)) == 2


def test_metrics_agree_with_each_other_and_with_the_curve(
    client: MlflowClient, runs: list[Any], tmp_path: Path
) -> None:
    for each in runs:
        metrics = each.data.metrics | constants(each.data.tags)
        assert not constants(each.data.metrics)  # they are tags
        window = int(each.data.params["window"])
        assert metrics["pairs"] == {3: 84, 5: 130}[window]
        assert (metrics["tokens"], metrics["vocabulary_size"]) == (16, 13)
        assert metrics["cost_gap"] == pytest.approx(metrics["cost"] - metrics["cost_floor"])
        explained = (metrics["unigram_cost"] - metrics["cost"]) / (
            metrics["unigram_cost"] - metrics["cost_floor"]
        )
        assert metrics["information_explained"] == pytest.approx(explained)
        assert 0 < metrics["peak_memory_mb"] < 1
        assert metrics["pairs_per_second"] == pytest.approx(
            700 * metrics["pairs"] / metrics["train_seconds"], rel=1e-6
        )
        assert 0 <= metrics["neighbour_precision"] <= 1
        assert metrics["peak_resident_mb"] >= 0
        costs = client.download_artifacts(each.info.run_id, "costs.csv", str(tmp_path))
        lines = Path(costs).read_text().splitlines()
        assert len(lines) == 701
        assert float(lines[-1].split(",")[1]) == pytest.approx(metrics["cost"])


def test_artifacts_are_complete(client: MlflowClient, runs: list[Any]) -> None:
    files = {file.path for file in client.list_artifacts(runs[0].info.run_id)}
    assert files == {
        "config.yaml",
        "overrides.yaml",
        "vocabulary.tsv",
        "costs.csv",
        "embeddings.npz",
        "embeddings.txt",
        "embeddings.bin",
        "neighbours.json",
        "similar_words.csv",
        "similar_words.json",
        "cost.png",
        "embedding_map.png",
        "softmax.png",
        "explorer.html",
    }


def test_embeddings_come_back_from_the_store(client: MlflowClient, runs: list[Any], tmp_path: Path) -> None:
    from w2v_exp.embeddings import Embeddings

    loaded = {
        suffix: Embeddings.load(
            client.download_artifacts(runs[1].info.run_id, f"embeddings.{suffix}", str(tmp_path))
        )
        for suffix in ("npz", "txt", "bin")
    }
    assert loaded["npz"].input.shape == loaded["npz"].output.shape == (13, 50)
    for other in ("txt", "bin"):
        assert loaded[other].words == loaded["npz"].words
        np.testing.assert_allclose(loaded[other].input, loaded["npz"].input, rtol=1e-6)


def test_the_summary_run_compares_them(
    swept: tuple[Path, str], client: MlflowClient, runs: list[Any], tmp_path: Path
) -> None:
    (summary,) = client.search_runs([runs[0].info.experiment_id], "tags.kind = 'summary'")
    assert summary.data.tags["sweep"] == runs[0].data.tags["sweep"]
    description = summary.data.tags["mlflow.note.content"]
    assert description.startswith("**In short**\n\n- **Best: window=3 dim=")
    assert "w2v-exp window=3,5 dim=10,50 -m" in description
    best = max(runs, key=lambda run: run.data.metrics["information_explained"])
    rows = [line for line in description.splitlines() if line.startswith("| ")]
    first = [cell.strip() for cell in rows[1 if "---" not in rows[1] else 2].split("|")]
    assert best.data.params["window"] in first
    assert best.data.params["dim"] in first
    files = {file.path for file in client.list_artifacts(summary.info.run_id)}
    assert {"comparison.csv", "summary.html"} <= files
    assert summary.info.start_time <= min(run.info.start_time for run in runs)
    assert summary.info.end_time >= max(run.info.end_time for run in runs)
    best = max(runs, key=lambda run: run.data.metrics["information_explained"])
    params = summary.data.params
    assert (params["window"], params["dim"], params["seed"]) == ("3,5", "10,50", "0")
    assert params["command"] == summary.data.tags["command"]
    assert params["best"] == " ".join(f"{key}={best.data.params[key]}" for key in ("window", "dim"))
    assert params["ranked_by"] == "information_explained"
    assert summary.data.metrics == {
        "sweep_best_information_explained": best.data.metrics["information_explained"],
        "sweep_best_peak_memory_mb": min(run.data.metrics["peak_memory_mb"] for run in runs),
        "sweep_best_train_seconds": min(run.data.metrics["train_seconds"] for run in runs),
    }
    assert constants(summary.data.tags) == {"runs_finished": 4, "runs_unfinished": 0}
    assert len([file for file in files if file.endswith((".png", ".svg"))]) == 4


def test_the_end_of_the_sweep_prints_the_table_and_how_to_browse(swept: tuple[Path, str]) -> None:
    said = swept[1]
    assert "information" in said
    assert "Browse: w2v-exp ui, then open" in said
    assert "workflowType=machine_learning" in said
    (page,) = swept[0].glob("outputs/sweeps/*/summary.html")
    assert page.as_uri() in said


def test_compare_makes_the_same_comparison_from_the_store_alone(
    swept: tuple[Path, str], command: Command, tmp_path: Path
) -> None:
    folder, _ = swept
    done = command("compare", "--out", str(tmp_path / "out"), folder=folder)
    assert done.returncode == 0, done.stderr
    (original,) = folder.glob("outputs/sweeps/*/comparison.csv")
    assert (tmp_path / "out" / "comparison.csv").read_text() == original.read_text()
    assert len(list((tmp_path / "out").glob("*.png"))) == 4
    page = (tmp_path / "out" / "summary.html").read_text()
    assert "w2v-exp window=3,5 dim=10,50 -m epochs=700" in page
    assert "4 finished runs of 4 configurations" in page


@pytest.mark.usefixtures("store")
def test_peak_memory_is_the_same_for_the_first_and_the_fourth_run(command: Command, tmp_path: Path) -> None:
    # Half a megabyte of matrices: at the 45 kB of dim 10, a kilobyte of Python's own objects would be two per cent.
    done = command("repeats=4", "epochs=3", "dim=300", "tracking.plots=false")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    found = client.search_runs(["1"], "metrics.peak_memory_mb > 0")
    peaks = [run.data.metrics["peak_memory_mb"] for run in found]
    assert len(peaks) == 4
    assert max(peaks) / min(peaks) < 1.02
    assert sorted(run.data.params["seed"] for run in found) == ["0", "1", "2", "3"]


@pytest.mark.usefixtures("store")
def test_a_failed_run_stops_nobody_and_is_reported(command: Command, tmp_path: Path) -> None:
    done = command(
        "learning_rate=0.05,1e200,0.1",
        "-m",
        "epochs=20",
        "schedule=constant",
        "tracking.plots=false",
    )
    assert done.returncode == 1
    assert "training diverged" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    found = client.search_runs(["1"], "tags.kind != 'summary'") or client.search_runs(["1"])
    statuses = {run.info.run_name: run.info.status for run in found if run.data.tags.get("kind") != "summary"}
    assert statuses == {
        "learning_rate=0.05": "FINISHED",
        "learning_rate=1e+200": "FAILED",
        "learning_rate=0.1": "FINISHED",
    }
    (failed,) = [run for run in found if run.info.status == "FAILED"]
    assert "traceback.txt" in {file.path for file in client.list_artifacts(failed.info.run_id)}


def test_the_store_of_the_environment_is_honoured(command: Command, tmp_path: Path, store: Path) -> None:
    place = f"sqlite:///{store.rename(tmp_path / 'elsewhere.db')}"
    done = command(
        "epochs=2",
        "tracking.plots=false",
        MLFLOW_TRACKING_URI=place,
        MLFLOW_EXPERIMENT_NAME="of the environment",
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mlflow.db").exists()
    client = MlflowClient(place)
    experiment = client.get_experiment_by_name("of the environment")
    assert len(client.search_runs([experiment.experiment_id])) == 1
