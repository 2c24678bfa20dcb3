"""The table of metrics: it has all that runs log."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import plan_of
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.metrics import (
    COLUMNS,
    METRICS,
    QUALITIES,
    constant_tags,
    constants,
    described,
    heading_of,
    logged_metrics,
    metric_of,
)
from w2v_exp.tracking.history import journal_result, recorded_result, recorded_runs
from w2v_exp.tracking.journal import End, Header, Journal
from w2v_exp.tracking.store import open_store
from w2v_exp.tracking.upload import Cursor, Uploader

README, DOCS = (Path(__file__).parents[1] / name for name in ("README.md", "docs"))
ENDINGS = {"cost", "explained", "floor", "gap", "mb", "precision", "second", "seconds"}  # of a metric's name
OF_OTHER_SOFTWARE = {"auth_cache_ttl_seconds"}
NOT_EVERYWHERE = {
    "wordsim353",
    "simlex999",
    "peak_resident_mb",
    "memory_available_mb",
    "slices",
    "slice_embeddings",
    "slices_seconds",
    "changed_words",
    "tested_words",
    "skipped_files",
    "skipped_rows",
}  # gensim's files; Linux; tests/slices/test_slice_runs.py; tests/text/test_skipped_damage.py
TEXT = "king queen man woman prince princess boy girl " * 40
MANY_WORDS = " ".join(f"w{word}" for word in range(60)) * 3  # enough to compare seeds
OLD = "king queen man woman boy girl robot android " * 6
SETTINGS = ["corpus=text", f"corpus.text='{TEXT}'", "tokenizer=whitespace", "dim=4", "tracking.plots=false"]
RUNS = {
    "softmax": ["epochs=3", "objective.epsilon=1e-6", "probes=[king]"],
    "hierarchical": ["epochs=2", "objective=hierarchical_softmax", "labels=counts", "window=2,3", "-m"],
    "sampled": [
        "epochs=4",
        "objective=negative_sampling",
        "labels=blocks",
        "labels.tokens=40",
        "workers=2",
        "cost_every=2",
        "cost_sample=100",
        "validation=held_out",
        "validation.block=20",
        "stop=early",
        "stop.minutes=1e-6",
        "initialization=from_file",
        "initialization.path=old.npz",
        "evaluation=standard",
        "evaluation.word_pairs=[own.tsv]",
        "evaluation.analogies=[questions-words.txt,own.txt]",
        "evaluation.associations=[own.yaml]",
        "evaluation.every=1",
    ],
    "resampled": [
        f"corpus.text='{TEXT * 32}'",  # blocks of a thousand tokens, ten or more
        "epochs=1",
        "labels=counts",
        "bootstrap=2",
        "evaluation=standard",
        "evaluation.word_pairs=[own.tsv]",
        "evaluation.analogies=[]",
    ],
    "repeated": [f"corpus.text='{MANY_WORDS}'", "epochs=1", "repeats=2", "-m"],
    "untrained": ["epochs=0", "initialization=spectral"],
    "large": [
        "epochs=2",
        "objective=sampled_softmax",
        "labels=counts",
        "optimizer=adagrad",
        "objective.frequent_words=3",
        "objective.sampled_words=2",
    ],
}


def test_no_two_rows_have_one_name_and_no_two_columns_one_heading() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len({metric.heading for metric in COLUMNS}) == len(COLUMNS)
    assert all(metric.better for metric in QUALITIES)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("cost", "cost"),
        ("wordsim353_known", "*_known"),
        ("analogies_own_coverage", "*_coverage"),
        ("analogies_semantic", "analogies_*"),
        ("word_pairs_own", "word_pairs_*"),
        ("association_own_known", "association_*"),
        ("p_association_own", "p_association_*"),
        ("words_association_own", "words_association_*"),
        ("sweep_best_validation_cost", "sweep_best_*"),
    ],
)
def test_a_name_is_found_by_its_pattern(name: str, row: str) -> None:
    found = described(name)
    assert found is not None
    assert found.name == row
    assert metric_of(name).name == name


def test_a_metric_that_the_table_lacks_is_called_by_its_name() -> None:
    assert described("brightness_of_stars") is None
    assert heading_of("brightness_of_stars") == "brightness of stars"


@given(st.dictionaries(st.sampled_from(["pairs", "tokens", "own_known", "estimated_memory_mb"]), st.floats()))
def test_constants_come_back_from_tags_with_all_digits(metrics: dict[str, float]) -> None:
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    assert constants({"host": "7", **constant_tags(metrics)}) == finite
    assert constants({"pairs": "many", "tokens": "inf"}) == {}


@pytest.mark.parametrize("constant", [True, False], ids=["tag", "metric"])
def test_a_run_that_logged_its_constants_as_metrics_is_read_like_others(
    constant: bool, store: Path, tmp_path: Path
) -> None:
    opened = open_store(f"sqlite:///{store}")
    journal = Journal.create(tmp_path, Header("a run", params={"seed": "3"}))
    journal.log_metrics({"cost": 1.5} if constant else {"cost": 1.5, "pairs": 84.0})
    if constant:
        journal.set_tags({"pairs": "84"})
    journal.end(End("FINISHED"))
    journal.close()
    Uploader(opened.client, journal, Cursor.of(opened), is_new=True).upload()
    (run,) = recorded_runs(opened, "")
    for result in (journal_result(journal), recorded_result(opened, run, {})):
        assert (result.metrics, result.seed) == ({"cost": 1.5, "pairs": 84.0}, 3)


@pytest.mark.usefixtures("store")
def test_runs_log_the_metrics_of_the_table_and_when_it_says(
    process_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    words = sorted(set(OLD.split()))
    vectors = np.random.default_rng(0).standard_normal((2, len(words), 4))
    Embeddings(words, None, *vectors).save(tmp_path / "old.npz")
    (tmp_path / "own.tsv").write_text("king\tqueen\t9\nman\tgirl\t3\nboy\tgirl\t7\nking\tunicorn\t1\n")
    (tmp_path / "own.yaml").write_text(
        "sets: {a: [king, man], b: [queen, woman], c: [boy, prince], d: [girl, princess]}\n"
        "tests: {own: {targets: [a, b], attributes: [c, d]}}"
    )
    questions = ": family\nking queen man woman\n: gram1\nprince princess boy girl\n"
    for name in ("questions-words.txt", "own.txt"):
        (tmp_path / name).write_text(questions)
    for name, overrides in RUNS.items():
        done = process_command(*SETTINGS, *overrides, f"tracking.experiment={name}")
        assert done.returncode == 0, f"{name}: {done.stderr}"
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    seen = set()
    for name, overrides in RUNS.items():
        for run in client.search_runs([client.get_experiment_by_name(name).experiment_id]):
            metrics = run.data.metrics | constants(run.data.tags)
            assert not constants(run.data.metrics), name
            assert [metric for metric in metrics if described(metric) is None] == []
            seen |= {described(metric).name for metric in metrics}
            repeated = [m for m in run.data.metrics if len(client.get_metric_history(run.info.run_id, m)) > 1]
            assert {described(metric).logged for metric in repeated} <= {"epoch", "replicate"}
            if "-m" not in overrides:
                assert set(logged_metrics(plan_of(*SETTINGS, *overrides))) - set(metrics) == set(), name
    assert {metric.name for metric in METRICS} - seen - NOT_EVERYWHERE == set()


def test_the_documentation_names_metrics_that_there_are() -> None:
    pages = [page for page in DOCS.rglob("*.md") if page.parent.name != "log"]
    texts = [page.read_text(encoding="utf-8") for page in [README, *pages]]
    named = {name for text in texts for name in re.findall(r"`([a-z]+_(?:[a-z]+_)*[a-z]+)`", text)}
    metrics = {name for name in named if name.rpartition("_")[2] in ENDINGS} - OF_OTHER_SOFTWARE
    assert len(metrics) > 12
    assert [name for name in metrics if described(name) is None] == []
