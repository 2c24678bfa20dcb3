"""Runs with fewer centres than contexts: files, measurements, slices, replicates, resumption, and mistakes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plans import plan_of
from processes import Command

import w2v_exp
from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import SettingError
from w2v_exp.examples.counts import Bounds, count_window_pairs
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.build import (
    build_examples,
    build_initialization,
    build_trainer,
    held_out_sample,
)
from w2v_exp.experiment.fingerprint import fingerprint
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.results import read_result
from w2v_exp.training.trainer import Trainer

WORDS = [f"{letter}{number}" for letter in "abcdefgh" for number in range(4)]
V = 10
SETTINGS = [
    "corpus=file",
    "corpus.path=texts",
    "tokenizer=whitespace",
    "labels=counts",
    "labels.centres=4",
    "initialization=normal",
    "optimizer=adagrad",
    "order=shuffled",
    "objective.output_offset=learned",
    "window=2",
    "dim=3",
    "epochs=4",
    "tracking=none",
    "hydra.run.dir=run",
]
FEWER = f"labels.centre_words={V}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with twelve documents whose names are years."""
    (tmp_path / "texts").mkdir()
    generator = np.random.default_rng(0)
    shares = 1 / (np.arange(len(WORDS)) + 3)
    for number in range(12):
        drawn = generator.choice(WORDS, 80, p=shares / shares.sum())
        (tmp_path / "texts" / f"{1900 + number}.txt").write_text(" ".join([*WORDS, *drawn]) + "\n")
    (tmp_path / "pairs.tsv").write_text("a0\ta1\t5\na0\tb1\t3\na1\tb2\t4\na0\th3\t2\n")
    return tmp_path


def metrics_of(folder: Path) -> dict[str, float]:
    return read_result(folder / "run").metrics


def test_a_run_has_embeddings_of_its_centres(folder: Path, command: Command) -> None:
    evaluation = [
        "evaluation=standard",
        "evaluation.word_pairs=[pairs.tsv]",
        "evaluation.analogies=[]",
        "embedding=balanced",
        "validation=held_out",
        "validation.block=50",
    ]
    done = command(*SETTINGS, FEWER, *evaluation, "explorer=all")
    assert done.returncode == 0, done.stderr
    files = folder / "run" / "artifacts"
    saved = Embeddings.load(files / "embeddings.npz")
    text = Embeddings.load(files / "embeddings.txt")
    with (files / "vocabulary.tsv").open(newline="") as stream:
        words = [row["word"] for row in csv.DictReader(stream, delimiter="\t")]
    assert len(words) == len(WORDS)
    assert saved.words == text.words == words[:V]
    assert saved.input.shape == saved.output.shape == (V, 3)
    np.testing.assert_allclose(text.input, saved.using("balanced").input, rtol=1e-5)
    metrics = metrics_of(folder)
    assert metrics["vocabulary_size"] == len(WORDS)
    assert metrics["word_pairs_pairs_known"] == sum(
        set(line.split("\t")[:2]) <= {*words[:V]} for line in (folder / "pairs.tsv").read_text().splitlines()
    )
    neighbours = json.loads((files / "neighbours.json").read_text())
    assert [row[0] for row in neighbours["data"]] == words[:V]
    assert metrics["cost_floor"] < metrics["cost"]
    assert {"validation_cost", "neighbour_precision", "information_explained"} <= set(metrics)


@pytest.mark.parametrize("subsampling", ["none", "paper"])
def test_bounds_and_pairs_are_those_of_the_centres(folder: Path, command: Command, subsampling: str) -> None:
    chosen = [f"subsampling={subsampling}", "explorer=none", "shrinking_window=true"]
    if subsampling == "paper":
        chosen.append("subsampling.threshold=0.05")
    assert command(*SETTINGS, FEWER, *chosen).returncode == 0
    plan = plan_of(*SETTINGS[:1], f"corpus.path={folder / 'texts'}", "tokenizer=whitespace")
    text = read_corpus(plan)
    counts = count_window_pairs(
        [text.ids], 2, len(WORDS), shrinking=True, segments=text.segments, centre_words=V
    )
    metrics = metrics_of(folder)
    for name, value in vars(Bounds.of(counts)).items():
        assert metrics[name] == pytest.approx(value)
    if subsampling == "none":
        assert metrics["pairs"] == pytest.approx(counts.total)
    # Of the same cached text, with all words as centres.
    assert command(*SETTINGS, *chosen).returncode == 0
    assert metrics_of(folder)["cost_floor"] != pytest.approx(metrics["cost_floor"])


def test_all_words_as_centres_give_the_same_bytes_as_without_the_setting(
    folder: Path, command: Command
) -> None:
    made = []
    for chosen in ([], [f"labels.centre_words={len(WORDS)}"], ["labels.centre_words=null"]):
        assert command(*SETTINGS, "explorer=none", "force=true", *chosen).returncode == 0
        made.append((folder / "run" / "artifacts" / "embeddings.npz").read_bytes())
    assert made[0] == made[1] == made[2]


def test_the_setting_counts_in_the_fingerprint_where_it_is_set(folder: Path) -> None:
    chosen = ["corpus=file", f"corpus.path={folder / 'texts'}", "labels=counts"]
    text = read_corpus(plan_of(*chosen))
    prints = [
        fingerprint(plan_of(*chosen, *more), text) for more in ([], ["labels.centre_words=null"], [FEWER])
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("initialization", ["normal", "article", "word2vec", "gensim", "spectral"])
def test_every_initialization_draws_the_first_rows_of_all_words(initialization: str) -> None:
    shares = 1 / (np.arange(len(WORDS)) + 3)
    ids = np.random.default_rng(0).choice(len(WORDS), 900, p=shares / shares.sum()).astype(np.int32)
    made = []
    for chosen in ([], [FEWER]):
        plan = plan_of(f"initialization={initialization}", "labels=counts", "dim=4", *chosen)
        examples = build_examples(plan, ids, len(WORDS))
        initial = build_initialization(plan, examples, TextPart(ids))
        made.append(build_trainer(plan, examples, initial).parameters)
    square, fewer = made
    assert (fewer.embedding.shape, fewer.output.shape) == ((V, 4), (len(WORDS), 4))
    if initialization != "spectral":  # whose factors are those of other counts
        np.testing.assert_array_equal(fewer.embedding, square.embedding[:V])
        np.testing.assert_array_equal(fewer.output, square.output)


def test_another_run_starts_from_the_embeddings_of_the_centres(folder: Path, command: Command) -> None:
    assert command(*SETTINGS, FEWER, "explorer=none").returncode == 0
    saved = Embeddings.load(folder / "run" / "artifacts" / "embeddings.npz")
    start = ["initialization=from_file", "initialization.path=run/artifacts/embeddings.npz", "epochs=0"]
    settings = [
        text
        for text in SETTINGS
        if text.partition("=")[0] not in ("initialization", "epochs", "hydra.run.dir")
    ]
    done = command(*settings, *start, "explorer=none", "hydra.run.dir=next")
    assert done.returncode == 0, done.stderr
    started = Embeddings.load(folder / "next" / "artifacts" / "embeddings.npz")
    assert len(started) == len(WORDS)
    np.testing.assert_array_equal(started.input[:V], saved.input)
    np.testing.assert_array_equal(started.output[:V], saved.output)


def test_python_trains_fewer_centres(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    trained = w2v_exp.train(
        " ".join(WORDS * 3),
        labels="counts",
        labels__centre_words=5,
        dim=4,
        epochs=2,
        experiment=None,
        progress=False,
    )
    assert trained.input.shape == trained.output.shape == (5, 4)


def test_a_killed_run_goes_on_to_the_same_bytes(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*SETTINGS, FEWER, "explorer=none", "optimizer=adam", "epochs=6", "checkpoint.every=1 epochs"]
    assert command(*settings).returncode == 0
    expected = (folder / "run" / "artifacts" / "embeddings.npz").read_bytes()
    train_epoch = Trainer.train_epoch

    def interrupted(self: Trainer, epoch: int) -> Any:
        if epoch == 3:
            raise KeyboardInterrupt
        return train_epoch(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", interrupted)
        assert command(*settings, "force=true").returncode == 130
    done = command(*settings, "resume=true")
    assert done.returncode == 0, done.stderr
    assert "esum" in done.stderr + done.stdout
    assert (folder / "run" / "artifacts" / "embeddings.npz").read_bytes() == expected


def test_slices_and_replicates_are_of_the_centres(folder: Path, command: Command) -> None:
    slices = [
        "slices=years",
        "slices.min_tokens=5",
        "slices.permutations=20",
        "objective.output_offset=unigram",
        "probes=[a0,a1]",
    ]
    bootstrap = [
        "bootstrap=3",
        "evaluation=standard",
        "evaluation.word_pairs=[pairs.tsv]",
        "evaluation.analogies=[]",
    ]
    done = command(*SETTINGS, FEWER, *slices, *bootstrap, "explorer=none")
    assert done.returncode == 0, done.stderr
    words = Embeddings.load(folder / "run" / "artifacts" / "embeddings.npz").words
    found = w2v_exp.load_slices(folder / "run")
    assert {*found.words} <= {*words}
    assert len(found.words) > 2
    asked = command("ask", "similarity", "run", "a0", "a1")
    assert asked.returncode == 0, asked.stderr
    assert len(list((folder / "run" / "artifacts" / "replicates").glob("*.npz"))) == 3


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["objective=hierarchical_softmax"], "labels.centre_words=10: is not supported with objective="),
        (["objective=negative_sampling"], "labels.centre_words=10: is not supported with objective="),
        (["labels.centre_words=0"], "labels.centre_words=0: must be a whole number, 1 or more"),
        (["labels=sparse"], "labels.centre_words"),
        (
            ["initialization=from_file", "initialization.path=pairs.tsv"],
            "initialization=from_file: is not supported",
        ),
    ],
)
def test_mistakes_are_answered_in_a_line(
    folder: Path, command: Command, chosen: list[str], message: str
) -> None:
    groups = {text.partition("=")[0] for text in chosen}
    settings = [
        text
        for text in SETTINGS
        if text.partition("=")[0] not in groups and not text.startswith("objective.")
    ]
    done = command(
        *(text for text in settings if "labels=sparse" not in chosen or text[:7] != "labels."), FEWER, *chosen
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert done.stderr.strip().count("\n") <= 1, done.stderr
    assert not (folder / "run").exists() or not list((folder / "run").glob("artifacts/*.npz"))


def test_held_out_text_without_a_centre_is_refused(folder: Path) -> None:
    plan = plan_of("labels=counts", "labels.centre_words=2", "validation=held_out")
    with pytest.raises(SettingError, match=r"validation\.share=.*larger labels\.centre_words"):
        held_out_sample(plan, TextPart(np.array([3, 4, 5], np.int32)), 6)
