"""Runs on a text that is counted by shards: those on its ids, to the byte."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from processes import Command

from w2v_exp.counting import corpus_counts
from w2v_exp.embeddings import Embeddings
from w2v_exp.experiment import inputs

RUN = [
    "corpus=file",
    "corpus.path=text.txt",
    "labels=counts",
    "dim=3",
    "epochs=2",
    "tracking=none",
    "probes=[]",
]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    words = np.random.default_rng(1).zipf(1.3, 4_000) % 50
    file = tmp_path / "text.txt"
    file.write_text(
        "\n".join(" ".join(f"w{word}" for word in words[i : i + 40]) for i in range(0, 4_000, 40))
    )
    return file


@pytest.mark.parametrize(
    "choices",
    [
        ["window=2"],
        ["shrinking_window=true", "window=4", "vocabulary.min_count=3", "dtype=float32"],
        ["corpus.boundaries=line", "labels.centre_words=7", "order=shuffled"],
        ["objective=hierarchical_softmax", "labels.centres=9"],
        ["objective=sampled_softmax", "objective.frequent_words=9", "objective.sampled_words=5"],
        ["initialization=spectral", "corpus.boundaries=document", "labels.count_exponent=0.5"],
    ],
)
def test_a_run_on_counts_of_shards_is_that_on_ids(
    command: Command, text: Path, choices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setenv("W2V_EXP_CACHE", str(text.parent / "cache"))
    monkeypatch.setattr(corpus_counts, "SHARD_BYTES", 1_000)
    for number, long in enumerate((inputs.LONG_TEXT, 0)):
        monkeypatch.setattr(inputs, "LONG_TEXT", long)
        done = command(
            *RUN, "tokenizer=whitespace", "counting.workers=1", *choices, f"hydra.run.dir={number}"
        )
        assert done.returncode == 0, done.stderr
        found.append(Embeddings.load(text.parent / f"{number}/artifacts/embeddings.npz"))
    assert len(list((text.parent / "cache/counts/words").iterdir())) > 10
    assert found[0].words == found[1].words
    np.testing.assert_array_equal(found[0].input, found[1].input)
    np.testing.assert_array_equal(found[0].output, found[1].output)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        (["labels=sparse"], "labels=sparse"),
        (["subsampling=paper"], "subsampling=paper"),
        (["validation=held_out"], "validation.share=0.05"),
        (["bootstrap=5"], "bootstrap=5"),
        (["objective=negative_sampling"], "objective=negative_sampling"),
        (["slices=files"], "slices"),
        (["estimate=true"], "estimate=true"),
    ],
)
def test_an_engine_of_several_machines_is_refused_where_the_order_of_words_is_needed(
    command: Command, text: Path, choices: list[str], reason: str
) -> None:
    done = command(*RUN, "counting=dask", *choices)
    assert done.returncode == 2
    assert "counting=dask: counts pairs, and " + reason in done.stderr
    assert "needs the order of the words. Use counting=local." in done.stderr


def test_an_engine_of_several_machines_reads_no_pipe(command: Command, text: Path) -> None:
    read, write = os.pipe()
    os.close(write)
    done = command(*RUN, "counting=dask", f"corpus.path=/dev/fd/{read}")
    os.close(read)
    assert done.stderr == (
        "counting=dask: only this process can read a pipe. Use counting=local, or save the text to a file.\n"
    )


@pytest.mark.parametrize("shortest", [0, 10**9])
def test_given_words_that_do_not_occur_are_refused_in_one_line(
    shortest: int, command: Command, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LONG_TEXT", shortest)
    (text.parent / "words.txt").write_text("absent\nmissing\n")
    given = ["vocabulary=given", "vocabulary.path=words.txt", "counting.workers=1", "cache=none"]
    done = command(*RUN, *given)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the vocabulary keeps 0, and" in done.stderr
    assert "Name words of this text, as its tokenizer returns them, by vocabulary.path, or" in done.stderr


def test_a_long_text_whose_order_is_needed_is_read_as_ids(
    command: Command, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LONG_TEXT", 0)
    monkeypatch.setenv("W2V_EXP_CACHE", str(text.parent / "cache"))
    done = command(*RUN, "validation=held_out", "validation.block=100", "tokenizer=whitespace")
    assert done.returncode == 0, done.stderr
    assert not (text.parent / "cache/counts").exists()


def test_counts_without_a_cache_leave_nothing(
    command: Command, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LONG_TEXT", 0)
    monkeypatch.setenv("W2V_EXP_CACHE", str(text.parent / "cache"))
    done = command(*RUN, "cache=none", "tokenizer=whitespace", "counting.workers=1")
    assert done.returncode == 0, done.stderr
    assert not list((text.parent / "cache").iterdir())


def test_counts_are_listed_and_cleared(command: Command, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LONG_TEXT", 0)
    folder = text.parent / "kept"
    run = [*RUN, f"cache.folder={folder}", "tokenizer=whitespace", "counting.workers=1"]
    assert command(*run).returncode == command(*run, "seed=1").returncode == 0
    assert (folder / "counts/counts").is_dir()
    listed = command("cache", "list", "--folder", str(folder)).stdout
    assert "Counts of 1 text, with the words and pairs of their shards: " in listed
    assert "\ntext.txt\n  4,000 tokens, " in listed
    cleared = command("cache", "clear", "--folder", str(folder)).stdout
    assert "Counts of 1 text, " in cleared
    assert not list((folder / "counts/counts").iterdir())


def test_a_text_without_pairs_is_refused(
    command: Command, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LONG_TEXT", 0)
    done = command(*RUN, "vocabulary.min_count=100000", "tokenizer=whitespace", "counting.workers=1")
    assert done.returncode == 2
    assert (
        "There is no pair to train on: of the text's 4000 tokens the vocabulary keeps 0, and" in done.stderr
    )
