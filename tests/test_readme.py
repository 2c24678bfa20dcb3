"""What the README shows works as it stands there."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
from processes import Command, run_python

from w2v_exp.choices import GROUPS
from w2v_exp.config import config_folder
from w2v_exp.embeddings import Embeddings
from w2v_exp.plan import Plan

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
_spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
assert _spec and _spec.loader
generate_reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate_reference)


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


def test_the_reference_is_that_of_the_code() -> None:
    for name, text in generate_reference.pages().items():
        kept = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert kept == text, f"docs/reference/{name} is out of date: run `make reference`"


def test_the_reference_names_every_group_option_and_setting() -> None:
    page = generate_reference.configuration_page()
    groups = (*GROUPS, "experiment", "sweep", "hydra/sweeper", "hydra/launcher")
    assert set(groups) == generate_reference.PURPOSES.keys()
    for group in groups:
        for file in (config_folder() / group).glob("*.yaml"):
            (row,) = re.findall(rf"^\| `{group}={file.stem}` \| (.*) \|$", page, flags=re.MULTILINE)
            assert len(row) > 10, (group, file.stem)
    for group, options in GROUPS.items():
        for made in options.values():
            for setting in dataclasses.fields(made):
                assert f"| `{group}.{setting.name}` |" in page, (group, setting.name)
    for key in dataclasses.fields(Plan):
        assert f"| `{key.name}` |" in page or f"[`{key.name}`]" in page, key.name


def test_every_setting_of_the_reference_has_a_meaning() -> None:
    rows = re.findall(r"^\| `[\w.]+` \| .*$", generate_reference.configuration_page(), flags=re.MULTILINE)
    assert len(rows) > 80
    assert [row for row in rows if row.endswith("| |") or row.endswith("|  |")] == []


def test_the_pictures_are_there() -> None:
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
