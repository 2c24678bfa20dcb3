"""What is estimated of a run's memory, against what is measured; what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plans import plan_of
from processes import Command, run_python

from w2v_exp import machine
from w2v_exp.choices import FromRun
from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.embeddings import initialization_from
from w2v_exp.errors import CorpusError
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.build import build_examples, build_initialization, build_trainer
from w2v_exp.experiment.estimate import estimate_encodings, estimate_run, require_fit
from w2v_exp.experiment.inputs import Pretrained
from w2v_exp.experiment.run import DRY_STEPS
from w2v_exp.machine import MEGABYTE, NotEnoughMemoryError, PeakMemory
from w2v_exp.metrics import constants
from w2v_exp.plan import Plan


def text_of(tokens: int, vocabulary_size: int, segment: int | None = None) -> TextPart:
    """Return a text whose words are as unevenly frequent as those of a language (Zipf)."""
    shares = 1 / (np.arange(vocabulary_size) + 2.7)
    drawn = np.random.default_rng(0).choice(vocabulary_size, tokens, p=shares / shares.sum())
    segments = None if segment is None else np.append(np.arange(0, tokens, segment), tokens)
    return TextPart(drawn.astype(np.int32), segments)


def take_first_steps(plan: Plan, text: TextPart, vocabulary_size: int) -> None:
    examples = build_examples(plan, text.ids, vocabulary_size, text.segments)
    word_counts = np.bincount(text.ids, minlength=vocabulary_size)
    initialization = build_initialization(plan, examples, text)
    trainer = build_trainer(plan, examples, initialization, word_counts=word_counts)
    if plan.epochs:
        trainer.dry_run(DRY_STEPS)


def measured(plan: Plan, text: TextPart, vocabulary_size: int) -> float:
    with suppress(CorpusError):
        take_first_steps(plan, TextPart(np.array([0, 1, 0, 1], np.int32)), 2)
    with PeakMemory() as peak:
        take_first_steps(plan, text, vocabulary_size)
    return peak.megabytes


# Peaks of 50 to 300 MB; each kind of memory is the largest part in one of them.
GRID = [
    (4000, 800, "labels=dense window=3 dim=20 dtype=float32"),
    (2500, 1000, "labels=dense window=2 dim=50 batch_size=512 optimizer=adagrad"),
    (3000, 1000, "labels=dense order=shuffled batch_size=1024 dtype=float32 optimizer=adam"),
    (300_000, 20_000, "labels=sparse window=10 dim=20 dtype=float32"),
    (100_000, 20_000, "labels=sparse window=5 dim=30 optimizer=adam"),
    (100_000, 10_000, "labels=sparse window=5 dim=60 order=shuffled batch_size=256 optimizer=adagrad"),
    (150_000, 8000, "labels=counts window=5 dim=30 order=corpus"),
    (200_000, 8000, "labels=counts window=5 dim=30 order=shuffled optimizer=adam dtype=float64"),
    (
        600_000,
        20_000,
        "labels=counts objective=hierarchical_softmax window=5 dim=60 order=shuffled dtype=float32 optimizer=adagrad",
    ),
    (
        300_000,
        6000,
        "labels=counts labels.count_exponent=0.8 objective=hierarchical_softmax window=5 dim=30 dtype=float32",
    ),
    (600_000, 8000, "labels=counts labels.count_exponent=0.8 window=5 dim=30 order=shuffled dtype=float32"),
    (
        300_000,
        60_000,
        "labels=counts labels.centre_words=2000 window=5 dim=50 dtype=float32 optimizer=adagrad order=shuffled",
    ),
    (100_000, 20_000, "labels=streamed window=5 dim=90 batch_size=1024"),
    (400_000, 20_000, "model=cbow labels=sparse window=10 dim=20 dtype=float32 batch_size=256"),
    (100_000, 20_000, "model=cbow labels=streamed window=5 dim=60 batch_size=512"),
    (100_000, 60_000, "labels=blocks objective=negative_sampling window=5 dim=100 dtype=float32"),
    (100_000, 5000, "labels=blocks objective=negative_sampling labels.tokens=20000 window=5 dim=100"),
    (
        100_000,
        5000,
        "labels=blocks objective=negative_sampling model=cbow labels.tokens=40000 dim=60 dtype=float32",
    ),
    (
        50_000,
        3000,
        "labels=blocks labels.tokens=1024 objective=negative_sampling objective.sharing=pair window=5 dim=70",
    ),
    (100_000, 20_000, "labels=streamed objective=negative_sampling batch_size=1024 dim=30"),
    (100_000, 30_000, "labels=streamed dim=60 dtype=float32 optimizer=adam order=blocks"),
]
SLOW = [  # large batches, segments, draws, factors, several cores
    (150_000, 20_000, None, "labels=sparse order=blocks dim=100 dtype=float32 optimizer=momentum"),
    (400_000, 2000, None, "labels=sparse batch_size=200000 window=5 dim=50 dtype=float32"),
    (
        1_000_000,
        10_000,
        25,
        "labels=sparse window=10 dim=30 shrinking_window=true subsampling=paper subsampling.threshold=0.01",
    ),
    (400_000, 3000, None, "labels=sparse window=5 dim=60 initialization=spectral epochs=0 dtype=float32"),
    (2_500_000, 3000, None, "labels=counts window=3 dim=20 dtype=float32 optimizer=adagrad order=shuffled"),
    (
        150_000,
        8000,
        None,
        "labels=counts labels.centres=2000 labels.smoothing=9 objective.output_offset=learned",
    ),
    (200_000, 10_000, 25, "labels=counts window=5 dim=40 optimizer=adagrad"),
    (150_000, 10_000, None, "labels=counts dim=40 subsampling=word2vec subsampling.threshold=1e-3"),
    (300_000, 8000, None, "labels=counts window=5 dim=25 shrinking_window=true order=shuffled"),
    (300_000, 10_000, None, "labels=counts window=5 dim=70 initialization=spectral epochs=0"),
    (
        300_000,
        10_000,
        None,
        "labels=counts labels.count_exponent=0.85 dim=70 initialization=spectral dtype=float32",
    ),
    (
        300_000,
        40_000,
        None,
        "labels=counts labels.centre_words=3000 window=5 dim=70 initialization=spectral epochs=0 dtype=float32",
    ),
    (
        600_000,
        8000,
        25,
        "labels=counts labels.centre_words=4000 labels.count_exponent=0.8 dim=20 dtype=float32",
    ),
    (
        300_000,
        30_000,
        None,
        "labels=counts labels.centre_words=300 subsampling=word2vec dim=20 optimizer=adam",
    ),
    (300_000, 4000, None, "labels=counts threads=2 dtype=float32 labels.centres=1500 dim=200"),
    (
        200_000,
        10_000,
        25,
        "labels=streamed dim=90 subsampling=paper batch_size=3000 subsampling.threshold=1e-3",
    ),
    (
        100_000,
        10_000,
        None,
        "labels=streamed window=5 dim=100 batch_size=2048 order=shuffled optimizer=adagrad",
    ),
]


def identifier(case: object) -> str | None:
    return case if isinstance(case, str) else None


@pytest.mark.cases(every=4)
@pytest.mark.parametrize(("tokens", "words", "choices"), GRID, ids=identifier)
def test_the_estimate_is_within_15_per_cent_of_the_peak(tokens: int, words: int, choices: str) -> None:
    plan, text = plan_of(*choices.split()), text_of(tokens, words)
    estimated = estimate_run(plan, text, words).total / MEGABYTE
    peak = measured(plan, text, words)
    assert 50 < peak < 300, "outside of what this test is about"
    assert estimated == pytest.approx(peak, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "words", "segment", "choices"), SLOW, ids=identifier)
def test_so_it_is_where_text_is_cut_drawn_or_factorised(
    tokens: int, words: int, segment: int | None, choices: str
) -> None:
    plan, text = plan_of(*choices.split()), text_of(tokens, words, segment)
    estimated = estimate_run(plan, text, words).total / MEGABYTE
    peak = measured(plan, text, words)
    assert 50 < peak < 300, "outside of what this test is about"
    assert estimated == pytest.approx(peak, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "adam", "lazy_adam"])
@pytest.mark.parametrize("labels", ["dense", "sparse", "counts", "streamed"])
@pytest.mark.parametrize("order", ["corpus", "shuffled"])
def test_the_estimate_holds_for_every_combination(
    labels: str, optimizer: str, dtype: str, order: str
) -> None:
    tokens, words = {
        "dense": (2500, 1500),
        "sparse": (400_000, 12_000),
        "counts": (400_000, 12_000),
        "streamed": (400_000, 45_000),
    }[labels]
    window = 3 if labels == "dense" else 6
    choices = [f"labels={labels}", f"optimizer={optimizer}", f"dtype={dtype}", f"order={order}"]
    plan, text = plan_of(*choices, f"window={window}", "dim=100"), text_of(tokens, words)
    estimated = estimate_run(plan, text, words).total / MEGABYTE
    peak = measured(plan, text, words)
    assert peak > 50, "outside of what this test is about"
    assert estimated == pytest.approx(peak, rel=0.15)


def test_what_a_run_goes_on_from_stays_in_memory_with_what_it_trains() -> None:
    text, words = text_of(100_000, 20_000), 20_000
    vectors = np.random.default_rng(0).standard_normal((words, 60))
    saved = Embeddings([f"w{number}" for number in range(words)], None, vectors, vectors.copy())
    plan = plan_of("labels=streamed", "window=5", "dim=60", "initialization=from_run", "initialization.run=x")
    pretrained = Pretrained(FromRun("x"), saved)
    estimated = estimate_run(plan, text, words, pretrained.memory).total
    with PeakMemory() as peak:
        examples = build_examples(plan, text.ids, words)
        continued = initialization_from(saved, saved.words)
        trainer = build_trainer(plan, examples, build_initialization(plan, examples, text, continued))
        trainer.dry_run(DRY_STEPS)
    assert pretrained.memory == 2 * vectors.nbytes
    shared = plan_of("labels=blocks", "objective=negative_sampling", "workers=3", "dim=60")
    without, with_it = (
        estimate_run(shared, text, words, pretrained=size).total for size in (0, pretrained.memory)
    )
    assert with_it - without == pretrained.memory, "workers have nothing of it"
    assert estimated == pytest.approx(peak.megabytes * MEGABYTE + pretrained.memory, rel=0.15)


def test_the_estimate_reads_little_of_memory() -> None:
    text = text_of(300_000, 10_000)
    with PeakMemory() as peak:
        estimates = estimate_encodings(plan_of("window=5"), text, 10_000)
    assert peak.megabytes < 15
    assert estimates["dense"].total > 200e9  # this many bytes were not touched


def test_the_parts_of_an_estimate_add_up_or_building_is_the_peak() -> None:
    for estimate in estimate_encodings(plan_of("window=5"), text_of(100_000, 2000), 2000).values():
        parts = estimate.examples + estimate.parameters + estimate.optimizer + estimate.step
        assert estimate.total == max(parts, estimate.peak_build)


def test_what_the_other_choices_exclude_is_not_estimated() -> None:
    plan = plan_of("objective.update=overwrite")
    assert list(estimate_encodings(plan, text_of(100, 9), 9)) == ["dense", "sparse", "streamed"]


def test_the_chosen_encoding_is_estimated_with_its_own_settings() -> None:
    text, plan = text_of(50_000, 5000), plan_of("labels=counts", "order=corpus")
    few = replace(plan, labels=replace(plan.labels, centres=10))
    assert estimate_encodings(few, text, 5000)["counts"].step < estimate_run(plan, text, 5000).step / 5


# ---------------------------------------------------------------- what does not fit


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 60_000_000)


@pytest.mark.usefixtures("small_machine")
def test_a_refusal_says_what_is_needed_what_there_is_and_what_fits() -> None:
    plan, text = plan_of("labels=dense", "window=2", "dim=10"), text_of(50_000, 1000)
    estimates = estimate_encodings(plan, text, 1000)
    with pytest.raises(NotEnoughMemoryError) as refusal:
        require_fit(plan, text, 1000, estimates["dense"])
    first, second = str(refusal.value).splitlines()
    assert first == "labels=dense with 1,000 words needs 1.6 GB, and 60 MB are available."
    assert second.startswith("Encodings that fit: labels=sparse (")
    for encoding in ("sparse", "counts", "streamed"):
        assert f"labels={encoding} ({machine.readable_bytes(estimates[encoding].total)})" in second


@pytest.mark.usefixtures("small_machine")
def test_where_nothing_fits_the_least_is_named_with_what_would_help() -> None:
    plan, text = plan_of("dim=1000"), text_of(5000, 5000)
    with pytest.raises(NotEnoughMemoryError) as refusal:
        require_fit(plan, text, 5000, estimate_run(plan, text, 5000))
    _, second = str(refusal.value).splitlines()
    assert second.startswith("No label encoding fits; the least needs ")
    assert "dim" in second


def test_where_memory_is_not_known_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: None)
    plan, text = plan_of("labels=dense"), text_of(50_000, 1000)
    require_fit(plan, text, 1000, estimate_run(plan, text, 1000))


LARGE = [
    "corpus=file",
    "corpus.path=text.txt",
    "tokenizer=whitespace",
    "window=100",
    "epochs=1",
    "batch_size=4096",
]


@pytest.fixture
def large_text(tmp_path: Path) -> None:
    """Write a text whose one-hot pairs take 5 TB."""
    ids = np.random.default_rng(0).integers(0, 200_000, 60_000)
    (tmp_path / "text.txt").write_text(" ".join(f"w{number}" for number in ids))


@pytest.mark.usefixtures("large_text")
def test_a_run_that_cannot_fit_is_refused_in_two_lines_and_leaves_nothing(
    command: Command, tmp_path: Path
) -> None:
    done = command(*LARGE, "labels=dense")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert "TB, and " in first
    assert second.startswith("Encodings that fit: labels=sparse (")
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.usefixtures("starts_processes", "store")
def test_in_a_sweep_a_run_that_cannot_fit_fails_and_the_others_go_on(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    script = (
        "import sys; from w2v_exp import machine; machine.available_memory = lambda: 40_000;"
        "from w2v_exp.experiment.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    arguments = ["labels=dense,streamed", "-m", "epochs=1", "tracking.plots=false"]
    done = run_python("-c", script, *arguments, folder=tmp_path)
    assert done.returncode == 1, done.stderr
    refused, finished = (
        json.loads(file.read_text()) for file in sorted(tmp_path.glob("outputs/sweeps/*/*/result.json"))
    )
    assert refused["status"] == "FAILED"
    assert refused["reason"].startswith("labels=dense with 13 words needs 4")
    assert refused["metrics"]["estimated_memory_mb"] > 0.04
    assert refused["metrics"]["pairs"] == finished["metrics"]["pairs"] == 84
    assert "peak_memory_mb" not in refused["metrics"]
    assert finished["status"] == "FINISHED"
    (recorded,) = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_runs(
        ["1"], "attributes.status = 'FAILED'"
    )
    assert recorded.data.tags["reason"] == refused["reason"]
    assert constants(recorded.data.tags).items() <= refused["metrics"].items()
    assert recorded.data.tags["pairs"] == "84"


def test_every_run_logs_its_estimate(command: Command, tmp_path: Path) -> None:
    done = command("tracking=none", "epochs=1")
    assert done.returncode == 0, done.stderr
    (result,) = tmp_path.glob("outputs/runs/*/result.json")
    metrics = json.loads(result.read_text())["metrics"]
    assert 0.01 < metrics["estimated_memory_mb"] < 1
    assert 0.01 < metrics["peak_memory_mb"] < 1


# ---------------------------------------------------------------- estimate=true


@pytest.mark.usefixtures("large_text")
def test_estimates_are_shown_and_nothing_is_left(command: Command, tmp_path: Path) -> None:
    done = command(*LARGE, "estimate=true", "labels=counts", "explorer=all", COLUMNS="120")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "TB" in rows["dense"]
    assert rows["dense"].split()[-1] == "no"
    assert rows["streamed"].split()[-1] == "yes"
    assert rows["→"].split()[1] == "counts"
    assert "Available: " in done.stdout
    assert "explorer.html: the t-SNE map of " in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["text.txt"]


def test_a_sweep_has_one_table(command: Command, tmp_path: Path) -> None:
    done = command("estimate=true", "window=1,3", "labels=sparse,dense", "-m", "repeats=2", COLUMNS="120")
    assert done.returncode == 0, done.stderr
    header, _, *rows = done.stdout.splitlines()
    assert header.split() == [
        "window",
        "tokens",
        "words",
        "dense",
        "sparse",
        "counts",
        "streamed",
        "blocks",
        "time",
    ]
    assert [row.split()[0] for row in rows[:2]] == ["1", "3"]
    assert rows[0].count("*") == 2
    assert not list(tmp_path.iterdir())
