"""The bootstrap of a run: its replicates, intervals, resumption, and the same bytes in every launcher."""

from __future__ import annotations

import csv
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plans import plan_of
from processes import Command

import w2v_exp
from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.replicates import Replicates, interval
from w2v_exp.errors import SettingError
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.resampling import Resampling
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.bootstrap import RunBootstrap
from w2v_exp.experiment.estimate import estimate_run, estimate_seconds
from w2v_exp.experiment.fingerprint import fingerprint
from w2v_exp.experiment.inputs import RunInputs, read_corpus
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.results import read_result

WORDS = [
    "the",
    "king",
    "queen",
    "man",
    "woman",
    "war",
    "peace",
    "and",
    "of",
    "land",
    "sea",
    "ship",
    "army",
    "law",
]
SETTINGS = [
    "corpus=file",
    "corpus.path=texts",
    "tokenizer=whitespace",
    "labels=counts",
    "initialization=spectral",
    "optimizer=adagrad",
    "window=2",
    "dim=3",
    "epochs=3",
    "embedding=sum",
    "evaluation=standard",
    "evaluation.word_pairs=[pairs.tsv]",
    "evaluation.analogies=[]",
    "explorer=none",
    "bounds=false",
    "bootstrap=4",
]
SCORE = "word_pairs_pairs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with twelve documents and a set of word pairs."""
    (tmp_path / "texts").mkdir()
    generator = np.random.default_rng(0)
    for number in range(12):
        subject = generator.dirichlet(np.ones(len(WORDS)))
        drawn = generator.choice(WORDS, 40, p=subject)
        (tmp_path / "texts" / f"{number:02}.txt").write_text(" ".join(drawn) + "\n")
    rated = [f"{one}\t{other}\t{len(one + other) % 10}" for one, other in combinations(WORDS, 2)]
    (tmp_path / "pairs.tsv").write_text("\n".join(rated))
    return tmp_path


def replicates_in(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "artifacts" / "replicates").iterdir())}


def run_of(folder: Path) -> Path:
    (run,) = folder.glob("outputs/runs/*")
    return run


def test_a_run_has_replicates_and_intervals(command: Command, folder: Path) -> None:
    done = command(*SETTINGS, "tracking=none")
    assert done.returncode == 0, done.stderr
    result = read_result(run_of(folder))
    assert result is not None
    values = result.replicates[SCORE]
    assert len(values) == 4
    ends = interval(values, estimate=result.metrics[SCORE])
    assert (result.metrics[f"{SCORE}_low"], result.metrics[f"{SCORE}_high"]) == pytest.approx(ends)
    replicates = w2v_exp.load_replicates(run_of(folder))
    assert (len(replicates), replicates.embedding) == (4, "sum")
    np.testing.assert_allclose(replicates.scores[SCORE], values)
    again = [one.evaluate_word_pairs(folder / "pairs.tsv").spearman for one in replicates]
    np.testing.assert_allclose(again, values)  # every word occurs in each of them


def test_a_replicate_is_the_run_on_resampled_documents(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without training, its vectors are the factors of the counts of its documents."""
    monkeypatch.chdir(folder)
    plan = plan_of(*SETTINGS, "epochs=0", "embedding=input", "vocabulary.min_count=2")
    inputs = RunInputs.read(plan)
    text = TextPart(inputs.text.ids, None, inputs.text.documents)
    resampling, words = Resampling.of(text), len(inputs.text.vocabulary)
    RunBootstrap(plan, resampling, inputs, None, 0).train(folder / "replicates", "", lambda *_: None)
    found = Replicates(folder / "replicates", inputs.text.vocabulary.words)
    for number, embeddings in enumerate(found, 1):
        sample = resampling.sample(number)
        counts = count_window_pairs([sample.ids], plan.window, words, segments=sample.segments)
        factors = SpectralInitialization().factorise(counts, plan.dim, np.random.default_rng(0))
        absent = np.bincount(sample.ids, minlength=words) == 0
        expected = np.where(absent[:, None], 0, factors.embedding)
        # The generator of a run decides signs only by rounding, so that products are compared.
        np.testing.assert_allclose(
            embeddings.input @ embeddings.input.T, expected @ expected.T, rtol=0, atol=0.02
        )


def test_replicates_are_of_the_documents_and_not_of_the_seed(command: Command, folder: Path) -> None:
    """With spectral factors and no training, another seed changes nothing."""
    for seed in (0, 1):
        untrained = ["epochs=0", "bootstrap_epochs=2", f"seed={seed}", f"hydra.run.dir=run{seed}"]
        done = command(*SETTINGS, "tracking=none", *untrained)
        assert done.returncode == 0, done.stderr
    one, other = (w2v_exp.load_replicates(folder / f"run{seed}") for seed in (0, 1))
    np.testing.assert_allclose(one.cosines("king", "war"), other.cosines("king", "war"), atol=1e-3)


@pytest.mark.parametrize("tracking", ["none", "mlflow"])
def test_an_interrupted_bootstrap_resumes_to_the_same_bytes(
    command: Command, folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch, tracking: str
) -> None:
    settings = [
        *SETTINGS,
        f"tracking={tracking}",
        *(["tracking.plots=false"] if tracking == "mlflow" else []),
    ]
    plain = command(*settings, "seed=0", "hydra.run.dir=plain", "checkpoint=none")
    assert plain.returncode == 0, plain.stderr
    vectors, calls = RunBootstrap._vectors, []

    def interrupted(bootstrap: RunBootstrap, number: int, title: str) -> Any:
        calls.append(number)
        if calls == [1, 2, 3]:
            raise KeyboardInterrupt
        return vectors(bootstrap, number, title)

    monkeypatch.setattr(RunBootstrap, "_vectors", interrupted)
    killed = command(*settings, "hydra.run.dir=killed")
    assert killed.returncode != 0
    assert not (folder / "killed" / "artifacts" / "replicates").exists()
    resumed = command(*settings, "hydra.run.dir=resumed")
    assert resumed.returncode == 0, resumed.stderr
    assert "Resuming from checkpoint: training has ended." in resumed.stderr
    assert calls == [1, 2, 3, 3, 4]
    one, other = (read_result(folder / name) for name in ("plain", "resumed"))
    assert one is not None
    assert other is not None
    assert one.replicates == other.replicates
    assert {k: v for k, v in one.metrics.items() if SCORE in k} == {
        k: v for k, v in other.metrics.items() if SCORE in k
    }
    if tracking == "none":
        assert replicates_in(folder / "plain") == replicates_in(folder / "resumed")
    assert not list((folder / "outputs" / "checkpoints").iterdir())


def test_the_store_has_the_replicates_and_their_scores(command: Command, folder: Path, store: Path) -> None:
    settings = [*SETTINGS, "tracking.plots=false", "resume=true"]
    assert command(*settings).returncode == 0
    replicates = w2v_exp.load_replicates("latest", f"sqlite:///{store}")
    assert len(replicates) == 4
    assert command(*settings, "hydra.run.dir=again").returncode == 0
    result = read_result(folder / "again")
    assert result is not None
    assert result.status == "SKIPPED"
    np.testing.assert_allclose(result.replicates[SCORE], replicates.scores[SCORE])


def test_queries_show_intervals_and_shares(command: Command, folder: Path) -> None:
    done = command(*SETTINGS, "tracking=none")
    assert done.returncode == 0
    assert "bootstrap=4: 90 % intervals need 19 replicates." in " ".join(done.stderr.split())
    replicates = w2v_exp.load_replicates(run_of(folder))
    data = json.loads(command("ask", "neighbours", "latest", "king", "-n", "3", "--json").stdout)
    assert (data["replicates"], data["vectors"]) == (4, "sum")
    shares = dict(replicates.neighbour_shares("king", 3))
    for row in data["neighbours"]["king"]:
        assert row["share"] == shares.get(row["word"], 0.0)
        ends = interval(replicates.cosines("king", row["word"]), estimate=row["score"])
        assert row["interval"] == pytest.approx(np.clip(ends, -1, 1))
    table = command("ask", "neighbours", "latest", "king", "-n", "3").stdout
    assert "in nearest 3" in table
    assert "90 % intervals over documents, from 4 replicates." in table
    assert " to " in command("ask", "similarity", "latest", "king", "queen").stdout
    plain = command("ask", "neighbours", "latest", "king", "--vectors", "input").stdout
    assert "interval" not in plain  # the replicates are of the sum


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
@pytest.mark.usefixtures("starts_processes")
def test_a_sweep_compares_configurations_by_replicate(
    process_command: Command, folder: Path, launcher: str
) -> None:
    sweep = [*SETTINGS, "tracking=none", "dim=2,3", f"hydra/launcher={launcher}", "-m"]
    done = process_command(*sweep, "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    assert "word pairs pairs over documents" in done.stdout
    assert "behind the best" in done.stdout
    assert "Intervals over documents" in (folder / "sweep" / "summary.html").read_text()
    for number, dim in enumerate((2, 3)):
        alone = process_command(*SETTINGS, "tracking=none", f"dim={dim}", f"hydra.run.dir=alone{dim}")
        assert alone.returncode == 0, alone.stderr
        assert replicates_in(folder / "sweep" / str(number)) == replicates_in(folder / f"alone{dim}")


REFUSED = {
    ("bootstrap=-1",): "bootstrap=-1: must be a whole number, 0 or more.",
    ("bootstrap_epochs=0",): "bootstrap_epochs=0: must be a whole number, 1 or more.",
    (
        "corpus=article",
    ): "bootstrap=4: needs at least 10 documents, or blocks of 1,000 tokens of one document, and the text has 1",
    (
        "labels=blocks",
        "objective=negative_sampling",
        "initialization=gensim",
        "optimizer=sgd",
        "workers=2",
    ): "bootstrap=4: is not supported with workers above 1",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_what_cannot_be_resampled_is_refused_before_training(
    command: Command, folder: Path, overrides: tuple[str, ...]
) -> None:
    settings = [one for one in SETTINGS if not (overrides == ("corpus=article",) and "corpus" in one)]
    done = command(*settings, *overrides, "tracking=none")
    assert done.returncode != 0
    assert REFUSED[overrides] in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(folder.glob("outputs/runs/*/artifacts/*"))


@pytest.mark.cases(every=3)
@pytest.mark.parametrize(
    "overrides",
    [
        ["labels=sparse", "batch_size=32", "order=shuffled"],
        ["labels=streamed", "model=cbow", "initialization=normal"],
        ["labels=blocks", "objective=negative_sampling", "initialization=gensim", "optimizer=sgd"],
        ["objective=hierarchical_softmax"],
        ["validation=held_out", "validation.by=document", "validation.share=0.2"],
        ["subsampling=paper", "subsampling.threshold=0.05"],
        ["epochs=5", "bootstrap_epochs=2"],
    ],
    ids=lambda overrides: " ".join(overrides[:2]),
)
def test_every_encoding_and_objective_can_be_resampled(
    command: Command, folder: Path, overrides: list[str]
) -> None:
    settings = [*SETTINGS, *overrides, "tracking=none", "corpus.boundaries=document", "bootstrap=2"]
    done = command(*settings)
    assert done.returncode == 0, done.stderr
    replicates = w2v_exp.load_replicates(run_of(folder))
    one, other = replicates
    assert np.isfinite(one.input).all()
    assert not np.array_equal(one.input, other.input)


def test_fingerprints_are_those_of_before_without_a_bootstrap(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    def known_as(*overrides: str) -> str:
        plan = plan_of(*SETTINGS, *overrides)
        return fingerprint(plan, read_corpus(plan))

    assert known_as("bootstrap=0") == known_as("bootstrap=0", "bootstrap_epochs=2")
    found = {known_as(*each) for each in ([], ["bootstrap=0"], ["bootstrap=5"], ["bootstrap_epochs=2"])}
    assert len(found) == 4
    # The same words in other documents.
    (folder / "texts" / "00.txt").write_text(
        (folder / "texts" / "00.txt").read_text() + (folder / "texts" / "01.txt").read_text()
    )
    (folder / "texts" / "01.txt").write_text("\n")
    assert known_as("bootstrap=0") in found
    assert known_as() not in found


def test_estimates_include_the_replicates(command: Command, folder: Path, monkeypatch: Any) -> None:
    from w2v_exp.experiment.build import pair_statistics, split_text

    monkeypatch.chdir(folder)
    seconds, memory = [], []
    for overrides in (["bootstrap=0"], ["bootstrap=10"], ["bootstrap=10", "epochs=8", "bootstrap_epochs=2"]):
        plan = plan_of(*SETTINGS, "epochs=4", *overrides)
        text = read_corpus(plan)
        training, _ = split_text(plan, text)
        statistics = pair_statistics(plan, training, len(text.vocabulary))
        seconds.append(estimate_seconds(plan, statistics) / plan.epochs)
        memory.append(estimate_run(plan, training, len(text.vocabulary)).total)
    assert seconds == pytest.approx([seconds[0], 11 * seconds[0], 3.5 * seconds[0]])
    assert memory[0] < memory[1] == memory[2]
    done = command(*SETTINGS, "estimate=true")
    assert "4 replicates of 12 documents or blocks are included" in done.stdout


def test_training_from_python_keeps_replicates_where_they_are_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    settings = {"dim": 3, "epochs": 2, "window": 2, "bootstrap": 3, "progress": False, "experiment": None}
    with pytest.raises(SettingError, match="bootstrap=3: its replicates need a place"):
        w2v_exp.train(folder / "texts", **settings)
    made = w2v_exp.train(folder / "texts", folder=folder / "kept", **settings)
    replicates = w2v_exp.load_replicates(folder / "kept")
    assert isinstance(made, Embeddings)
    assert (len(replicates), replicates.words) == (3, made.words)


def test_the_comparison_has_the_ends_of_intervals(command: Command, folder: Path) -> None:
    done = command(*SETTINGS, "tracking=none", "dim=2,3", "hydra.sweep.dir=sweep", "-m")
    assert done.returncode == 0, done.stderr
    with (folder / "sweep" / "comparison.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        assert float(row[f"{SCORE}_low"]) <= float(row[f"{SCORE}_high"])
