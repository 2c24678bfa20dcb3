"""Runs that start from factorised counts, and runs without an epoch: what the initialization gives is the result."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from plans import plan_of
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.build import build_examples, build_initialization, build_trainer
from w2v_exp.experiment.estimate import estimate_run
from w2v_exp.model.softmax import exact_cost
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.plan import Plan

TEXT = "king queen man woman prince princess boy girl " * 6
SETTINGS = [
    "corpus=text",
    f"corpus.text='{TEXT}'",
    "tokenizer=whitespace",
    "initialization=spectral",
    "dim=4",
]
IDS = np.minimum(np.random.default_rng(1).geometric(0.06, 900) - 1, 59).astype(np.int32)
V = int(IDS.max()) + 1


def plan(*overrides: str) -> Plan:
    return plan_of("initialization=spectral", "dim=5", *overrides)


@pytest.mark.usefixtures("store")
def test_a_run_without_epochs_evaluates_and_keeps_what_it_starts_from(
    command: Command, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    (tmp_path / "pairs.tsv").write_text("king\tqueen\t9\nman\tgirl\t3\nboy\tgirl\t7\n")
    evaluation = [
        "evaluation=standard",
        "evaluation.word_pairs=[pairs.tsv]",
        "evaluation.analogies=[]",
        "evaluation.every=1",
    ]
    done = command(*SETTINGS, *evaluation, "epochs=0")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert {"word_pairs_pairs", "information_explained", "peak_memory_mb"} <= set(run.data.metrics)
    assert not {"train_seconds", "pairs_per_second", "article_cost"} & set(run.data.metrics)
    artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"evaluation.csv", "embeddings.npz", "embeddings.txt", "embedding_map.png"} <= artifacts
    assert not {"costs.csv", "cost.png"} & artifacts
    kept = Embeddings.load(client.download_artifacts(run.info.run_id, "embeddings.npz", tmp_path))
    ids = np.array([kept.ids[word] for word in TEXT.split()], np.int32)
    counts = count_window_pairs([ids], 3, len(kept))
    factors = SpectralInitialization().factorise(counts, 4, np.random.default_rng(9))
    np.testing.assert_allclose(kept.input, factors.embedding, atol=1e-9)
    assert kept.output is not None
    np.testing.assert_allclose(kept.output, factors.output, atol=1e-9)
    assert run.data.metrics["cost"] == pytest.approx(exact_cost(factors, counts), abs=1e-9)
    table = json.loads(
        Path(client.download_artifacts(run.info.run_id, "evaluation.json", tmp_path)).read_text()
    )
    assert [row[table["columns"].index("epoch")] for row in table["data"]] == [-1]


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_a_sweep_compares_runs_with_and_without_epochs(command: Command, tmp_path: Path) -> None:
    done = command(
        *SETTINGS,
        "epochs=0,3",
        "-m",
        "validation=held_out",
        "validation.block=8",
        "validation.share=0.3",
        "tracking.plots=false",
    )
    assert done.returncode == 0, done.stderr
    (table,) = tmp_path.glob("outputs/sweeps/*/comparison.csv")
    rows = {row["epochs"]: row for row in csv.DictReader(table.read_text().splitlines())}
    assert rows["0"]["status"] == rows["3"]["status"] == "FINISHED"
    assert rows["0"]["train_seconds"] == ""
    assert all(float(row["validation_cost"]) > 0 for row in rows.values())
    assert rows["0"]["cost_floor"] == rows["3"]["cost_floor"]
    assert float(rows["3"]["cost"]) < float(rows["0"]["cost"])
    again = command("compare", "--out", "again")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "comparison.csv").read_bytes() == table.read_bytes()


def test_all_label_encodings_start_from_the_same_factors() -> None:
    started = []
    for labels in ("labels=sparse", "labels=dense", "labels=counts", "labels=streamed"):
        chosen = plan(labels)
        examples = build_examples(chosen, IDS, V)
        trainer = build_trainer(chosen, examples, build_initialization(chosen, examples, TextPart(IDS)))
        started.append(trainer.parameters)
    for other in started[1:]:
        assert other.embedding.tobytes() == started[0].embedding.tobytes()
        assert other.output.tobytes() == started[0].output.tobytes()


@pytest.mark.parametrize("excluded", ["model=cbow", "objective.update=overwrite"])
def test_factors_are_a_start_also_where_labels_cannot_be_counts(excluded: str) -> None:
    chosen = plan(excluded)
    assert estimate_run(chosen, TextPart(IDS), V).total > 0
    examples = build_examples(chosen, IDS, V)
    trainer = build_trainer(chosen, examples, build_initialization(chosen, examples, TextPart(IDS)))
    counts = count_window_pairs([IDS], chosen.window, V)
    factors = SpectralInitialization().factorise(counts, 5, np.random.default_rng(9))
    np.testing.assert_allclose(trainer.parameters.embedding, factors.embedding, atol=1e-9)


def test_the_counts_of_the_examples_are_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = plan("labels=counts", "shrinking_window=true", "subsampling=word2vec")
    examples = build_examples(chosen, IDS, V)
    monkeypatch.setattr(CountsRule, "count", None)
    trainer = build_trainer(chosen, examples, build_initialization(chosen, examples, TextPart(IDS)))
    factors = SpectralInitialization().factorise(examples.pairs, 5, np.random.default_rng(9))  # type: ignore[arg-type]
    np.testing.assert_allclose(trainer.parameters.embedding, factors.embedding, atol=1e-9)


def test_a_trainer_does_not_change_what_the_next_one_starts_from() -> None:
    chosen = plan("labels=counts", "epochs=1", "objective.output_offset=unigram")
    examples = build_examples(chosen, IDS, V)
    initialization = build_initialization(chosen, examples, TextPart(IDS))
    costs = [build_trainer(chosen, examples, initialization).train()[0].cost for _ in range(2)]
    assert costs[0] == costs[1]
