"""Configurations from the user's own folders: whatever lies there, the answer names it in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import run_command

from w2v_exp.config import register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.command import check_command, parse

HEAD = b"# @package _global_\n"
FILES = [
    (HEAD + b"window: [", "mine.yaml, line 2: not valid YAML"),
    (HEAD + b"window: 2\nwindow: 3\n", "mine.yaml, line 3: not valid YAML (found duplicate key window)"),
    (HEAD + b"defaults: [mine]\n", "includes itself"),
    (HEAD + "window: 2 # é\n".encode("latin-1"), "mine.yaml: is not UTF-8 text."),
    (HEAD + b"\x00\x01", "mine.yaml: not valid YAML"),
    (HEAD + b"- 1\n- 2\n", "mine.yaml: is a list; a mapping (key: value) is expected."),
    (HEAD + b"probes: " + b"[" * 900 + b"]" * 900, "mine.yaml: is nested too deeply."),
    (HEAD + b"windw: 3\n", "In 'experiment/mine': windw: unknown key, did you mean window?"),
    (HEAD + b"optimizer: null\n", "optimizer: needs a value."),
    (HEAD + b"dim: null\n", "In 'experiment/mine': dim=null: needs a value."),
    (HEAD + b"hydra: {sweeper: {params: 3}}\n", "In 'experiment/mine': hydra.sweeper.params: "),
    (b"window: 3\n", "In 'experiment/mine': experiment: unknown key. Begin the file with the line # @pack"),
    (HEAD, ""),
]


@pytest.mark.cases(every=2)
@pytest.mark.parametrize(("content", "answer"), FILES)
def test_a_file_that_cannot_be_used_is_named(
    content: bytes, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    register_schema()
    folder = tmp_path / "own" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_bytes(content)
    line = ["--config-dir", "own", "experiment=mine", "tracking=none"]
    if not answer:
        assert check_command(parse(line)).runs == 1
        return
    with pytest.raises(UserError) as raised:
        check_command(parse(line))
    assert answer in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_folder_with_the_name_of_a_file_is_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    register_schema()
    (tmp_path / "own" / "experiment" / "mine.yaml").mkdir(parents=True)
    with pytest.raises(UserError, match="experiment=mine: not an option"):
        check_command(parse(["-cd", "own", "experiment=mine"]))


@pytest.mark.usefixtures("starts_processes")
@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"__init__.py": ""}, id="a package"),
        pytest.param({"mine.py": "raise SystemExit('no')"}, id="broken", marks=pytest.mark.slow),
        pytest.param({"mine.py": "x = 1"}, id="without init", marks=pytest.mark.slow),
    ],
)
def test_a_folder_hydra_plugins_of_the_users_own_breaks_no_sweep(
    files: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "hydra_plugins").mkdir()
    for name, content in files.items():
        (tmp_path / "hydra_plugins" / name).write_text(content)
    quick = ["tracking=none", "epochs=1", "dim=2", "explorer=none", "bounds=false"]
    done = run_command(*quick, "seed=0,1", "-m", "hydra/launcher=joblib", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("overrides", "fixed", "swept"),
    [
        (["dim=4", "window=2", "dim=5"], ["window=2", "dim=5"], {}),
        (["optimizer=sgd", "optimizer=adam"], ["optimizer=adam"], {}),
        (["dim=4", "window=2", "dim=5,6", "-m"], ["window=2"], {"dim": ["5", "6"]}),
        (["dim=5,6", "dim=4", "-m"], ["dim=4"], {}),
        (
            ["+probes=[a]", "probes=[b]"],
            ["+probes=[a]", "probes=[b]"],
            {},
        ),  # adding a key is another operation
    ],
)
def test_only_the_last_override_of_a_key_is_kept(
    overrides: list[str], fixed: list[str], swept: dict[str, list[str]]
) -> None:
    register_schema()
    command = check_command(parse(overrides))
    assert (command.fixed, command.swept) == (fixed, swept)
