"""What a run is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from w2v_exp.config import register_schema, without_hydra
from w2v_exp.experiment.run_info import RunInfo, corpus_name
from w2v_exp.loader import config_folder


def name_of(*overrides: str) -> str:
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("config", [*overrides], return_hydra_config=True)
    return RunInfo.of_job(without_hydra(config), config.hydra, Path()).name


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "article"),
        (["experiment=article_dense"], "article_dense"),
        (["experiment=sotu_sgns", "corpus.messages=3"], "sotu_sgns"),
        (["corpus=text", "corpus.text=a b c"], "text"),
        (["corpus=file", "corpus.path='books/*.txt.gz'"], "books"),
        (["experiment=sotu_sgns", "corpus=file", "corpus.path=/my/letters"], "letters sotu_sgns"),
        (["experiment=wikipedia_sgns", "++corpus.path=big.txt"], "big wikipedia_sgns"),
        (["experiment=sotu_sgns", "corpus=text8"], "text8 sotu_sgns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_name_of_a_run_names_its_corpus(overrides: list[str], name: str) -> None:
    assert name_of(*overrides) == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b.c.txt.zip", "b.c"),
        ("/a/v1.2/", "v1.2"),
        ("/a/**/*.txt", "a"),
        ("*.txt", "folder"),
        (".", "folder"),
        ("sub/..", "folder"),
        ("/", "/"),
        ("/dev/stdin", "stdin"),
        (".txt", ".txt"),
        ("x\x1b31m", "x�31m"),
        ("a" * 300, "a" * 39 + "…"),
    ],
)
def test_a_corpus_is_called_by_the_last_part_of_its_path(
    path: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "folder")
    assert corpus_name(path) == name
