"""Runs with the hierarchical softmax: from the command line's choices to what is recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
from plans import plan_of
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import SettingError
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.model.spectral import SpectralInitialization

CHOSEN = "objective=hierarchical_softmax"


@pytest.mark.parametrize("labels", ["dense", "sparse", "streamed", "counts"])
def test_every_encoding_can_be_chosen(labels: str) -> None:
    assert plan_of(CHOSEN, f"labels={labels}").encoding == labels


def test_smoothed_counts_are_refused() -> None:
    with pytest.raises(SettingError, match=r"^labels\.smoothing=.*hierarchical_softmax"):
        plan_of(CHOSEN, "labels=counts", "labels.smoothing=10")


def test_settings_of_the_full_softmax_are_unknown_to_it(command: Command) -> None:
    done = command(CHOSEN, "objective.output_offset=unigram")
    assert done.returncode != 0
    assert "output_offset" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_is_recorded_as_any_other(command: Command, tmp_path: Path) -> None:
    done = command(
        CHOSEN,
        "labels=counts",
        "epochs=60",
        "objective.embedding_gradient=mean",
        "optimizer=adagrad",
        "learning_rate=0.3",
        "schedule=constant",
        "tracking=none",
        "validation=held_out",
        "validation.block=4",
        "validation.share=0.25",
        "window=2",
    )
    assert done.returncode == 0, done.stderr
    (saved,) = tmp_path.glob("outputs/runs/*/artifacts/embeddings.npz")
    output = Embeddings.load(saved).output
    assert output is not None  # of words, made of the nodes on their paths
    assert output.any(axis=1).all()
    (result,) = tmp_path.glob("outputs/runs/*/result.json")
    metrics = json.loads(result.read_text())["metrics"]
    assert metrics["cost_floor"] < metrics["cost"] < metrics["unigram_cost"]
    assert 0 < metrics["information_explained"] < 1
    assert np.isfinite(metrics["validation_cost"])


TEXT = ["corpus=text", f"corpus.text='{'king queen man woman prince princess boy girl ' * 6}'", "dim=4"]


def left_by(command: Command, folder: Path, *overrides: str) -> tuple[Embeddings, Embeddings]:
    """Return what a run saves: both matrices, and the vectors that were chosen."""
    done = command(CHOSEN, *TEXT, *overrides, "tracking=none", "bounds=false", f"hydra.run.dir={folder.name}")
    assert done.returncode == 0, done.stderr
    files = folder / "artifacts"
    return Embeddings.load(files / "embeddings.npz"), Embeddings.load(files / "embeddings.txt")


@pytest.mark.parametrize("labels", ["sparse", "counts"])
def test_it_starts_from_factors_whose_words_it_gives_again(
    command: Command, tmp_path: Path, labels: str
) -> None:
    started, _ = left_by(command, tmp_path / "run", f"labels={labels}", "initialization=spectral", "epochs=0")
    ids = np.array([started.ids[word] for word in TEXT[1].split("'")[1].split()], np.int32)
    counts = count_window_pairs([ids], 3, len(started))
    factors = SpectralInitialization().factorise(counts, 4, np.random.default_rng(9))
    shares = counts.by_context() / counts.total
    np.testing.assert_allclose(started.input, factors.embedding, rtol=0, atol=1e-9)
    assert started.output is not None
    centred = factors.output - shares @ factors.output
    np.testing.assert_allclose(started.output, centred, rtol=0, atol=1e-9)


@pytest.mark.parametrize("chosen", ["sum", "balanced"])
def test_words_output_vectors_can_be_chosen(command: Command, tmp_path: Path, chosen: str) -> None:
    trained, vectors = left_by(
        command,
        tmp_path / "run",
        "labels=counts",
        "initialization=spectral",
        "epochs=3",
        f"embedding={chosen}",
    )
    np.testing.assert_allclose(vectors.input, trained.using(chosen).input, rtol=1e-5, atol=1e-6)
