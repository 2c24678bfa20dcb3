"""Runs that evaluate what they train, read back from the store and from their files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from processes import Command

from w2v_exp.embeddings import AssociationTest, Embeddings
from w2v_exp.metrics import constants

TEXT = "king queen man woman prince princess boy girl " * 6
SETTINGS = [
    "corpus=text",
    f"corpus.text='{TEXT}'",
    "tokenizer=whitespace",
    "evaluation=standard",
    "evaluation.word_pairs=[pairs.tsv]",
    "evaluation.analogies=[questions-words.txt,semantic_only.txt]",
    "dim=4",
]


@pytest.fixture
def sets(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("king\tqueen\t9\nman\tgirl\t3\nboy\tgirl\t7\nking\tunicorn\t1\n")
    (tmp_path / "questions-words.txt").write_text(
        ": family\nking queen man woman\nking queen boy unicorn\n: gram1\nprince princess boy girl\n: gram2\na b c d\n"
    )
    (tmp_path / "semantic_only.txt").write_text(": family\nking queen boy girl\n")


@pytest.mark.usefixtures("sets", "store")
def test_scores_are_logged_by_epoch_with_a_table_of_all_sections(command: Command, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    done = command(*SETTINGS, "epochs=5", "evaluation.every=2", "tracking.plots=false")
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs(["1"])
    names = {
        "word_pairs_pairs",
        "analogies",
        "analogies_semantic",
        "analogies_syntactic",
        "analogies_semantic_only",
    }
    assert names <= set(run.data.metrics)
    for name in names:
        assert [metric.step for metric in client.get_metric_history(run.info.run_id, name)] == [1, 3, 4], name
    table = json.loads(
        Path(client.download_artifacts(run.info.run_id, "evaluation.json", tmp_path)).read_text()
    )
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [row["epoch"] for row in rows] == [1] * 11 + [3] * 11 + [4] * 11
    last = {(row["set"], row["section"]): row for row in rows[-11:]}
    assert last["analogies", "all"]["known"] == 2
    assert last["analogies", "all"]["coverage"] == 0.5
    assert last["analogies", "gram2"]["score"] is None
    assert last["analogies", "all"]["score"] == run.data.metrics["analogies"]
    metrics = constants(run.data.tags)
    assert (metrics["analogies_known"], metrics["analogies_coverage"]) == (2, 0.5)
    assert (metrics["word_pairs_pairs_known"], metrics["word_pairs_pairs_coverage"]) == (3, 0.75)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("analogies, accuracy")]
    assert line.split()[-5:] == ["2", "of", "4", "questions", "known"]

    trained = Embeddings.load(client.download_artifacts(run.info.run_id, "embeddings.npz", tmp_path))
    score = trained.evaluate_word_pairs(tmp_path / "pairs.tsv")
    assert last["word_pairs_pairs", ""]["score"] == pytest.approx(score.spearman)
    assert (
        (last["word_pairs_pairs", ""]["known"], last["word_pairs_pairs", ""]["total"])
        == (score.known, score.pairs)
        == (3, 4)
    )


@pytest.mark.usefixtures("sets")
def test_without_tracking_the_scores_of_the_chosen_vectors_are_a_file(
    command: Command, tmp_path: Path
) -> None:
    done = command(*SETTINGS, "epochs=5", "embedding=sum", "tracking=none")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("outputs/runs/*/artifacts/evaluation.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert {row["epoch"] for row in rows} == {"4"}
    assert len(rows) == 11
    assert rows[0]["measure"] == "spearman"
    trained = Embeddings.load(file.with_name("embeddings.npz")).using("sum")
    assert float(rows[0]["score"]) == trained.evaluate_word_pairs(tmp_path / "pairs.tsv").spearman
    for suffix in ("txt", "bin"):
        written = Embeddings.load(file.with_name(f"embeddings.{suffix}"))
        np.testing.assert_array_equal(written.input, trained.input.astype(np.float32))
    (result,) = tmp_path.glob("outputs/runs/*/result.json")
    metrics = json.loads(result.read_text())["metrics"]
    assert metrics["analogies"] == float(rows[6]["score"])
    assert "analogies_semantic_only_syntactic" not in metrics  # it has no such section


def test_evaluation_changes_nothing_of_what_is_trained(command: Command, tmp_path: Path, sets: None) -> None:
    trained = []
    for number, evaluation in enumerate((["evaluation=none"], ["evaluation.every=1"])):
        arguments = SETTINGS if number else [text for text in SETTINGS if not text.startswith("evaluation")]
        done = command(*arguments, *evaluation, "epochs=3", "tracking=none", f"hydra.run.dir=run{number}")
        assert done.returncode == 0, done.stderr
        trained.append((tmp_path / f"run{number}" / "artifacts" / "embeddings.npz").read_bytes())
    assert trained[0] == trained[1]


@pytest.mark.usefixtures("sets")
def test_what_diverges_is_told_by_the_trainer_not_by_the_evaluation(command: Command) -> None:
    done = command(
        *SETTINGS,
        "epochs=50",
        "evaluation.every=1",
        "learning_rate=1e300",
        "schedule=constant",
        "tracking=none",
    )
    assert done.returncode == 1
    assert "Try a smaller learning_rate" in done.stderr


@pytest.mark.usefixtures("sets")
@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("evaluation.word_pairs=[missing.tsv]", "evaluation.word_pairs=missing.tsv: no such file"),
        ("evaluation.every=0", "evaluation.every=0: must be a whole number, 1 or more."),
        ("evaluation.analogies=[pairs.tsv,./pairs.tsv]", "is the second set named analogies_pairs"),
        (
            "evaluation.word_pairs=[semantic_only.txt] evaluation.analogies=[]",
            "semantic_only.txt, line 1: must be two words",
        ),
    ],
)
def test_a_mistake_is_answered_before_any_work(
    command: Command, tmp_path: Path, setting: str, answer: str
) -> None:
    done = command(*SETTINGS, *setting.split(" "))
    assert done.returncode == 2
    assert answer in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.usefixtures("sets")
def test_a_sweep_compares_scores(command: Command, tmp_path: Path) -> None:
    done = command(*SETTINGS, "epochs=3", "dim=2,4", "-m", "tracking=none")
    assert done.returncode == 0, done.stderr
    assert "analogies" in done.stdout
    assert "analogies ranks no configuration: 2 of 4 questions are known, fewer than 30." in " ".join(
        done.stdout.split()
    )
    (table,) = tmp_path.glob("outputs/sweeps/*/comparison.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 2
    assert all(0 <= float(row["analogies"]) <= 1 and row["word_pairs_pairs"] for row in rows)


TESTS = """\
sets: {a: [king, man], b: [queen, woman], c: [boy, prince], d: [girl, princess], e: [unicorn, dragon]}
tests:
  own: {targets: [a, b], attributes: [c, d]}
  lost: {targets: [a, b], attributes: [e]}
"""
ASSOCIATIONS = [*SETTINGS[:3], "evaluation=associations", "evaluation.associations=[own.yaml]", "dim=4"]


def test_associations_are_metrics_and_rows_of_the_table(command: Command, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(TESTS)
    done = command(*ASSOCIATIONS, "epochs=3", "tracking=none")
    assert done.returncode == 0, done.stderr
    assert (
        "evaluation.associations: not computed: lost (e lacks 2 of 2 words, more than 20 %)." in done.stderr
    )
    (file,) = tmp_path.glob("outputs/runs/*/artifacts/evaluation.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [(row["set"], row["measure"]) for row in rows[:4]] == [
        ("association_own", measure) for measure in ("effect", "p", "low", "high")
    ]
    trained = Embeddings.load(file.with_name("embeddings.npz"))
    found = trained.association(AssociationTest.read(tmp_path / "own.yaml")[0])
    assert [float(row["score"]) for row in rows[:4]] == [found.effect, found.p, found.low, found.high]
    assert {row["score"] for row in rows[4:]} == {""}
    (result,) = tmp_path.glob("outputs/runs/*/result.json")
    metrics = json.loads(result.read_text())["metrics"]
    assert metrics["association_own"] == found.effect
    assert metrics["p_association_own"] == found.p
    assert (metrics["words_association_own"], metrics["words_association_lost"]) == (8, 4)
    assert "association_lost" not in metrics
    assert f"association own {found.effect:.4f} p {found.p:.4f}, 8 words known" in " ".join(
        done.stdout.split()
    )


def test_a_sweep_concludes_for_each_configuration(command: Command, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(TESTS)
    done = command(*ASSOCIATIONS, "epochs=3", "window=1,2", "repeats=2", "-m", "tracking=none")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("evaluation.associations: not computed") == 1  # not for each run
    text = " ".join(done.stdout.split())
    assert "own: not shown in 2 of 2 configurations." in text  # two words in a set: p is at least 1/3
    assert "lost: not computed in 2 of 2 configurations." in text
    (page,) = tmp_path.glob("outputs/sweeps/*/summary.html")
    assert "Not shown in 2 of 2 configurations." in page.read_text()


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("evaluation.associations=[weat11]", "evaluation.associations=weat11: no such file"),
        ("evaluation.associations=[]", "evaluation.word_pairs=[]: needs a set"),
        ("evaluation.associations=[bad.yaml]", "bad.yaml, line 1: The file has the unknown key test"),
        ("evaluation.associations=[own.yaml,./own.yaml]", "associations=./own.yaml: has the second test named own"),
        ("evaluation.associations=own.yaml", "associations: must be a list, in brackets: evaluation.associations=[…]."),
        ("evaluation.largest_loss=2", "evaluation.largest_loss=2"),
    ],
)  # fmt: skip
def test_a_mistake_in_associations_ends_the_command_before_any_work(
    command: Command, tmp_path: Path, setting: str, answer: str
) -> None:
    (tmp_path / "own.yaml").write_text(TESTS)
    (tmp_path / "bad.yaml").write_text("test: {}")
    done = command(*ASSOCIATIONS, setting)
    assert done.returncode == 2
    assert answer in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "mlflow.db").exists()
