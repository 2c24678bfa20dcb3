"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
from processes import Command, run_python

from w2v_exp.choices import GROUPS
from w2v_exp.config import config_folder
from w2v_exp.embeddings import Embeddings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_notebook_runs_and_prints_neighbours(tmp_path: Path) -> None:
    (code,) = [block for block in blocks("python") if "Trainer(" in block]
    done = run_python("-W", "error", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "('is'," in done.stdout


def test_embeddings_are_loaded_asked_and_saved(tmp_path: Path) -> None:
    (code,) = [block for block in blocks("python") if "Embeddings.load" in block]
    words = ["man", "woman", "king", "queen", "apple"]
    vectors = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0, 0.1]], float)
    Embeddings(words, None, vectors).save(tmp_path / "embeddings.npz")
    done = run_python("-W", "error", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    similar, each, odd = done.stdout.splitlines()
    assert similar.startswith("[('queen',")
    assert each.startswith("[[('queen',")
    assert odd == "apple"
    assert Embeddings.load(tmp_path / "vectors.bin.gz").words == words


def test_the_tokenizer_of_ones_own_runs(command: Command, tmp_path: Path) -> None:
    (code,) = [block for block in blocks("python") if "my_tokens" in block]
    (tmp_path / "my_module.py").write_text(code)
    (line,) = [line for block in blocks("bash") for line in block.splitlines() if "my_module" in line]
    _, _, _, *arguments = shlex.split(line)
    done = command(*arguments, "tracking=none")
    assert done.returncode == 0, done.stderr
    (vocabulary,) = tmp_path.glob("outputs/runs/*/artifacts/vocabulary.tsv")
    assert "#word2vec\t1" in vocabulary.read_text()


def test_the_table_of_choices_names_every_group_and_option() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", README, flags=re.MULTILINE))
    for group in (*GROUPS, "experiment", "sweep"):
        for file in (config_folder() / group).glob("*.yaml"):
            assert f"`{file.stem}`" in rows[group], (group, file.stem)


def test_the_pictures_are_there() -> None:
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (Path(__file__).parents[1] / picture).is_file()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
