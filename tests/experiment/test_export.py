"""``w2v-exp export``: each format from a run or a file, and a mistake ends in one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import Command

from w2v_exp.embeddings import Embeddings
from w2v_exp.experiment.export import run
from w2v_exp.tracking.load import load_embeddings

WORDS = ["the", "of", "king", "queen"]
COUNTS = np.array([40, 90, 6, 7])
VECTORS = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
FILES = ["word2vec", "word2vec-binary", "glove", "int8", "npz"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    Embeddings(WORDS, COUNTS, VECTORS[0], VECTORS[1]).save(tmp_path / "saved.npz")
    return str(tmp_path / "saved.npz")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("format", FILES)
def test_a_file_that_is_exported_can_be_loaded_again(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path, format: str
) -> None:
    out = tmp_path / f"exported {format}"
    lines = printed(capsys, file, "--to", format, "--out", str(out))
    assert lines[0] == f"{out}: 4 words, 3 dimensions, {lines[0].rpartition(', ')[2]}"
    assert lines[1].startswith("Open it: ")
    assert f"'{out}'" in lines[1]
    found = Embeddings.load(out)
    assert found.words == WORDS
    np.testing.assert_allclose(found.input, VECTORS[0], atol=0.02 if format == "int8" else 0)
    assert (found.output is None) == (format != "npz")
    assert (found.counts is None) == (format not in ("int8", "npz"))


def test_folders_and_the_table_of_a_map_are_written(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path
) -> None:
    out = tmp_path / "p"
    lines = printed(capsys, file, "--to", "projector", "--out", str(out))
    assert lines[1] == f"Open it: tensorboard --logdir {out}"
    assert (out / "metadata.tsv").read_text() == "word\tcount\nthe\t40\nof\t90\nking\t6\nqueen\t7\n"
    lines = printed(capsys, file, "--to", "model2vec", "--out", str(tmp_path / "m"))
    assert lines[1] == f"Open it: model2vec.StaticModel.from_pretrained('{tmp_path / 'm'}')"
    table = tmp_path / "words.parquet"
    lines = printed(capsys, file, "--to", "atlas", "--out", str(table), "--projection", "pca")
    assert lines[1] == f"Open it: embedding-atlas {table} --text word --x x --y y --neighbors neighbors"
    assert pd.read_parquet(table).word.tolist() == WORDS


def test_other_vectors_and_the_most_frequent_words_are_exported(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path
) -> None:
    for format in ("word2vec", "npz"):
        out = tmp_path / format
        printed(capsys, file, "--to", format, "--out", str(out), "--vectors", "sum", "--words", "2")
        found = Embeddings.load(out)
        assert found.words == ["of", "the"]
        np.testing.assert_array_equal(found.input, VECTORS.sum(axis=0)[[1, 0]])
        assert found.output is None


@pytest.mark.usefixtures("store")
def test_the_vectors_of_a_run_are_those_that_it_chose(command: Command, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert (
        command("embedding=sum", "dim=4", "epochs=1", "tracking.plots=false", "explorer=none").returncode == 0
    )
    embeddings = load_embeddings("latest", uri).embeddings
    expected = {"v.txt": embeddings.using("sum"), "v.npz": embeddings, "v8.npz": embeddings.using("sum")}
    for name, format in (("v.txt", "word2vec"), ("v.npz", "npz"), ("v8.npz", "int8")):
        done = command("export", "latest", "--uri", uri, "--to", format, "--out", name)
        assert (done.returncode, done.stderr) == (0, "")
        found = Embeddings.load(tmp_path / name)
        np.testing.assert_allclose(found.input, expected[name].input, atol=0.02 if format == "int8" else 0)
        assert (found.output is None) == (format != "npz")
    done = command("export", "none", "--uri", uri, "--to", "npz", "--out", "v")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "There is no finished run with the id or name none" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("FILE --to word2vec --out OUT/missing/v.txt", "v.txt cannot be written: No such file or directory."),
        ("FILE --to word2vec --out OUT", "cannot be written: Is a directory."),
        ("FILE --to atlas --out OUT/words.csv", "words.csv: the name must end in .parquet"),
        ("FILE --to model2vec --out OUT", "contains other files (pipe). Choose a new folder."),
        ("FILE --to glove --out OUT/v --projection pca", "--projection=pca: only --to atlas has a map."),
        ("nowhere --to atlas --out OUT/words.csv", "words.csv: the name must end in .parquet"),
        ("FILE --to glove --out OUT/pipe", "pipe: a device or pipe, which cannot be replaced by a file."),
        ("FILE --to glove --out OUT/v --vectors summ", "invalid choice: 'summ'"),
        ("FILE --to globe --out OUT/v", "invalid choice: 'globe'"),
        ("FILE --to glove", "the following arguments are required: --out"),
        ("FILE --to glove --out OUT/v --words 0", "must be a whole number from 1"),
        ("OUT/none.npz --to glove --out OUT/v", "none.npz: no such file, seen from"),
        ("SPACED --to glove --out OUT/v", "Word number 1, 'New York', has white space in it"),
        ("SPACED --to int8 --out OUT/v --vectors sum", "these embeddings have input vectors only"),
    ],
)
def test_a_mistake_is_reported_in_a_line(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path, arguments: str, problem: str
) -> None:
    Embeddings(["New York"], None, VECTORS[0][:1]).save(tmp_path / "spaced.npz")
    os.mkfifo(tmp_path / "pipe")
    before = {path.name for path in tmp_path.iterdir()}
    named = {"FILE": file, "OUT": str(tmp_path), "SPACED": str(tmp_path / "spaced.npz")}
    for name, value in named.items():
        arguments = arguments.replace(name, value)
    try:
        code = run(arguments.split())
    except SystemExit as exit:
        code = exit.code
    assert code == 2
    message = capsys.readouterr().err
    assert problem in message
    assert "Traceback" not in message
    assert "usage:" in message or message.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == before
