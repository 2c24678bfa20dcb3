"""Runs that hold out a part of their text, read back from the store and from their files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import exact_cost

WORDS = np.random.default_rng(2).zipf(1.3, 200).clip(max=9)
TEXT = " ".join("abcdefghi"[word - 1] for word in WORDS)
SETTINGS = [
    "corpus=text",
    f"corpus.text='{TEXT}'",
    "tokenizer=whitespace",
    "validation=held_out",
    "validation.share=0.2",
    "validation.block=10",
    "dim=4",
    "window=2",
]


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def metrics_of(folder: Path) -> dict[str, float]:
    metrics: dict[str, float] = json.loads((folder / "result.json").read_text())["metrics"]
    return metrics


@pytest.mark.usefixtures("store")
def test_the_cost_is_logged_by_epoch_and_stands_beside_that_of_training(
    command: Command, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    done = command(*SETTINGS, "epochs=50", "validation.every=4", "tracking.points=4", "tracking.plots=false")
    assert done.returncode == 0, done.stderr
    assert "validation cost, nats per pair" in done.stdout
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs(["1"])
    history = {
        point.step: point.value for point in client.get_metric_history(run.info.run_id, "validation_cost")
    }
    assert list(history) == [3, 19, 35, 49]  # of 13, four, evenly spaced
    rows = rows_of(Path(client.download_artifacts(run.info.run_id, "costs.csv", str(tmp_path))))
    written = {int(row["epoch"]): float(row["validation_cost"]) for row in rows if row["validation_cost"]}
    assert list(written) == [*range(3, 50, 4), 49]
    assert history.items() <= written.items()
    assert run.data.metrics["validation_cost"] == written[49]
    assert run.data.params["validation.block"] == "10"


@pytest.mark.second_tier
@pytest.mark.parametrize("labels", ["dense", "counts", "streamed"])
def test_every_encoding_takes_the_cost_of_the_same_held_out_pairs(
    labels: str, command: Command, tmp_path: Path
) -> None:
    """With one full batch an epoch they train alike, so that the costs are the same as well."""
    for encoding in ("sparse", labels):
        one_batch = ["labels.centres=20"] if encoding == "counts" else ["batch_size=10000"]
        done = command(
            *SETTINGS,
            f"labels={encoding}",
            *one_batch,
            "epochs=8",
            "tracking=none",
            f"hydra.run.dir={encoding}",
        )
        assert done.returncode == 0, done.stderr
    found, expected = (
        [
            (float(row["cost"]), float(row["validation_cost"]))
            for row in rows_of(folder / "artifacts" / "costs.csv")
        ]
        for folder in (tmp_path / labels, tmp_path / "sparse")
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    metrics = metrics_of(tmp_path / labels)
    # Of 200 tokens 40 are held out, in four blocks or fewer; windows that would cross a cut are cut.
    assert 4 * (10 * 4 - 6) <= metrics["validation_pairs"] <= 40 * 4 - 6
    assert 160 * 4 - 5 * 6 <= metrics["pairs"] < 160 * 4


def test_whole_documents_are_held_out_where_the_corpus_has_them(command: Command, tmp_path: Path) -> None:
    lines = ["a b c d", "e f", "g h i j k l"]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    done = command(
        "corpus=file",
        "corpus.path=lines.txt",
        "corpus.boundaries=line",
        "tokenizer=whitespace",
        "validation=held_out",
        "validation.by=document",
        "validation.share=0.3",
        "window=1",
        "epochs=1",
        "tracking=none",
    )
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("outputs/runs/*/result.json")
    metrics = metrics_of(file.parent)
    assert metrics["validation_pairs"] in {2 * (len(line.split()) - 1) for line in lines}
    assert metrics["pairs"] + metrics["validation_pairs"] == 2 * (3 + 1 + 5)


def test_held_out_pairs_are_never_sampled_and_weigh_what_shrinking_windows_give_them(
    command: Command, tmp_path: Path
) -> None:
    metrics = []
    for number, choices in enumerate(
        [[], ["subsampling=word2vec", "subsampling.threshold=0.01"], ["shrinking_window=true"]]
    ):
        done = command(*SETTINGS, *choices, "epochs=1", "tracking=none", f"hydra.run.dir=run{number}")
        assert done.returncode == 0, done.stderr
        metrics.append(metrics_of(tmp_path / f"run{number}"))
    plain, sampled, shrinking = metrics
    assert sampled["pairs"] < plain["pairs"]
    assert sampled["validation_pairs"] == plain["validation_pairs"]
    assert (
        shrinking["validation_pairs"] < 0.8 * plain["validation_pairs"]
    )  # of pairs at distance 2, a half each


def test_the_cost_is_that_of_the_embeddings_which_the_run_leaves(command: Command, tmp_path: Path) -> None:
    done = command(*SETTINGS, "validation.share=0.9", "validation.block=180", "tracking=none", "epochs=3")
    assert "validation.block=180" in done.stderr  # nothing would be left
    done = command(*SETTINGS, "validation.share=0.5", "validation.block=100", "tracking=none", "epochs=3")
    assert done.returncode == 0, done.stderr
    (folder,) = (file.parent for file in tmp_path.glob("outputs/runs/*/result.json"))
    trained = Embeddings.load(folder / "artifacts" / "embeddings.npz")
    ids = np.array([trained.words.index(word) for word in TEXT.split()], np.int32)
    costs = [
        exact_cost(
            Parameters(trained.input, trained.output), count_window_pairs([half], 2, len(trained.words))
        )
        for half in (ids[:100], ids[100:])
    ]
    assert min(abs(np.array(costs) - metrics_of(folder)["validation_cost"])) < 1e-12


def test_other_seeds_hold_out_other_parts_and_the_same_seed_the_same(
    command: Command, tmp_path: Path
) -> None:
    first = []
    for number, seed in enumerate((0, 0, 1)):
        done = command(*SETTINGS, f"seed={seed}", "epochs=1", "tracking=none", f"hydra.run.dir=run{number}")
        assert done.returncode == 0, done.stderr
        first.append(rows_of(tmp_path / f"run{number}" / "artifacts" / "costs.csv")[0]["validation_cost"])
    assert first[0] == first[1] != first[2]


def test_nothing_is_held_out_unless_it_is_asked_for(command: Command, tmp_path: Path) -> None:
    done = command("epochs=3", "tracking=none")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("outputs/runs/*/artifacts/costs.csv")
    assert "validation" not in file.read_text()
    assert "held-out" not in done.stdout


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("validation.share=1", "validation.share=1.0: must be a number at least 0 and below 1."),
        ("validation.by=line", "validation.by=line: not an option"),
        (
            "validation.block=1000",
            "validation.block=1000: a share of 0.2 of the text's 200 tokens is 0 of 1 such",
        ),
        (
            "validation.by=document",
            "validation.by=document: the text is a single segment; set corpus.boundaries",
        ),
    ],
)
def test_a_mistake_is_answered_before_any_work(
    command: Command, tmp_path: Path, setting: str, answer: str
) -> None:
    done = command(*SETTINGS, setting)
    assert done.returncode != 0
    assert answer in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "mlflow.db").exists()
