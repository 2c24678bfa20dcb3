"""The experiment ``my_text``: picks as overrides before the user's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from processes import Command

import w2v_exp.experiment.my_text
from w2v_exp.config import Sources, parse_overrides, register_schema
from w2v_exp.errors import UserError
from w2v_exp.experiment.command import check_command, parse
from w2v_exp.experiment.my_text import with_picks

MINE = "experiment=my_text"
SENTENCES = "the cat sat on the mat and the dog sat on the log by the cat\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with texts, on a machine with 4 cores and 8 GB."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(w2v_exp.experiment.my_text, "available_cores", lambda: 4)
    monkeypatch.setattr(w2v_exp.experiment.my_text, "available_memory", lambda: 8 * 10**9)
    register_schema()
    (tmp_path / "books").mkdir()
    (tmp_path / "books/a.txt").write_text(SENTENCES * 20)
    sized(tmp_path / "short.txt", 10**6)
    sized(tmp_path / "long.txt", 10**8)
    sized(tmp_path / "huge.txt", 10**12)
    (tmp_path / "empty.txt").touch()
    return tmp_path


def sized(path: Path, size: int) -> None:
    """Make a file of a size that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)


def values(texts: list[str]) -> dict[str, Any]:
    """Return the last value of each key."""
    return {str(each.key_or_group): each.value() for each in parse_overrides(texts)}


def picked(*texts: str, sources: Sources | None = None) -> dict[str, Any]:
    return values(with_picks(sources or Sources(), [MINE, *texts])[0])


def composed(*texts: str) -> DictConfig:
    return check_command(parse([MINE, *texts])).config


def test_other_commands_are_left_as_they_are() -> None:
    for texts in (
        ["window=3"],
        ["experiment=sotu"],
        [MINE, "experiment=article"],
        [f"{MINE}_2"],
        ["~experiment"],
    ):
        assert with_picks(Sources(), texts) == (texts, ())


def test_picks_come_before_the_users_overrides() -> None:
    overrides, lines = with_picks(Sources(), [MINE, "corpus.path=short.txt", "epochs=3"])
    assert overrides[-3:] == [MINE, "corpus.path=short.txt", "epochs=3"]
    assert {"objective=softmax", "labels=counts", "initialization=spectral"} <= {*overrides[:-3]}
    assert not [text for text in overrides[:-3] if text.startswith("epochs=")]
    assert len(lines) == 4
    assert lines[0].startswith("objective=softmax labels=counts: 1 MB, about 170,000 words; ")
    assert lines[3].endswith(" Given: epochs=3 instead of 16.")


@pytest.mark.cases(every=2)
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("short.txt", ("softmax", "spectral", 16)),
        ("long.txt", ("softmax", "normal", 20)),
        ("huge.txt", ("negative_sampling", "word2vec", 1)),
        ("'*.txt'", ("negative_sampling", "word2vec", 1)),
    ],
)
def test_the_size_of_the_text_decides(path: str, expected: tuple[Any, ...]) -> None:
    found = picked(f"corpus.path={path}")
    assert tuple(found[key] for key in ("objective", "initialization", "epochs")) == expected


def test_a_pipe_gets_settings_for_a_stated_size(folder: Path) -> None:
    os.mkfifo(folder / "pipe")  # nothing is written to it, so reading it would not end
    overrides, lines = with_picks(Sources(), [MINE, "corpus.path=pipe"])
    assert values(overrides) | {"corpus.path": ""} == picked("corpus.path=long.txt") | {"corpus.path": ""}
    assert "the size is unknown, 100 MB are assumed" in lines[0]


def test_a_named_file_is_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, compose = [], Sources.compose
    with monkeypatch.context() as patch:
        patch.setattr(Sources, "compose", lambda *given: calls.append(given) or compose(*given))
        command = check_command(parse([MINE, "corpus.path=long.txt", "epochs=3"]))
        in_python = check_command(parse([MINE, "corpus=file", "corpus.path=long.txt", "epochs=3"]))
    assert len(calls) == 2
    composed_twice = check_command(parse([MINE, "corpus.path='${oc.env:NO,long.txt}'", "epochs=3"]))
    assert command.picks == in_python.picks == composed_twice.picks


@pytest.mark.second_tier
def test_a_sweep_over_texts_has_the_settings_of_the_largest() -> None:
    for order in ("short.txt,long.txt", "long.txt,short.txt"):
        found = picked(f"corpus.path={order}")
        assert (found["initialization"], found["epochs"]) == ("normal", 20)


@pytest.mark.second_tier
def test_a_sweep_over_a_picked_key_is_the_users() -> None:
    texts = [MINE, "corpus.path=short.txt", "epochs=3,5", "vocabulary.max_size=100,1000", "dim=50,2000"]
    command = check_command(parse([*texts, "-m", "tracking=none"]))
    assert command.picks[3].startswith("epochs=5: ")
    assert command.picks[1].endswith("Given: vocabulary.max_size=1000 instead of 30000.")
    assert command.runs == 8
    assert set(command.swept) == {"epochs", "vocabulary.max_size", "dim"}


@pytest.mark.second_tier
def test_the_recorded_overrides_give_the_same_run_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    overrides, _ = with_picks(Sources(), [MINE, "corpus.path=long.txt"])
    monkeypatch.setattr(w2v_exp.experiment.my_text, "available_memory", lambda: 10**6)
    again, lines = with_picks(Sources(), overrides)
    assert again == overrides
    assert lines[0].startswith("objective=softmax labels=counts: ")


@pytest.mark.second_tier
def test_options_that_the_user_chooses_get_settings_that_fit() -> None:
    config = composed("corpus.path=books", "objective=negative_sampling")
    assert (config.labels.name, config.optimizer.name, config.bounds) == ("blocks", "sgd", False)
    config = composed("corpus.path=books", "objective=negative_sampling", "objective.negatives=15")
    assert config.objective.negatives == 15
    config = composed("corpus.path=books", "model=cbow")
    assert (config.objective.group, config.objective.shared, config.learning_rate) == (16, 8, 0.1)


@pytest.mark.second_tier
def test_a_named_sweep_prevails_over_picks() -> None:
    found = picked("corpus.path=short.txt", "sweep=classic", "objective=negative_sampling")
    assert "epochs" not in found  # conf/sweep/classic.yaml has them
    assert found["learning_rate"] == 0.025
    with pytest.raises(
        UserError, match=r"^labels=dense,.*: the picks of experiment=my_text depend on labels, "
    ):
        picked("sweep=memory_ladder")


@pytest.mark.second_tier
def test_a_configuration_of_the_user_prevails_over_picks(folder: Path) -> None:
    (folder / "own").mkdir()
    (folder / "own/mine.yaml").write_text(
        "defaults: [config, _self_]\nepochs: 7\nobjective: {weight_decay: 0.5}\n"
    )
    found = picked("corpus.path=short.txt", sources=Sources("mine", config_dir="own"))
    assert not {"epochs", "objective.weight_decay"} & found.keys()
    (folder / "own/sweep").mkdir()
    (folder / "own/sweep/few.yaml").write_text(
        "# @package _global_\nlearning_rate: 0.7\nhydra: {sweeper: {params: {epochs: '2,4'}}}\n"
    )
    found = picked("corpus.path=short.txt", "sweep=few", sources=Sources(config_dir="own"))
    assert not {"epochs", "learning_rate"} & found.keys()


@pytest.mark.cases(every=4)
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["corpus.path=nothing.txt"], "corpus.path=nothing.txt: no such file, folder or glob, seen from "),
        (["corpus.path=empty.txt"], "corpus.path=empty.txt: is empty. Name a file with text."),
        (["corpus.path=short.txt,nothing.txt"], "corpus.path=nothing.txt: no such file"),
        ([], "corpus.path=: is empty; name a file, a folder or a glob."),
        (["corpus=fil"], "corpus=fil: not an option, did you mean file?"),
        (["corpus.pth=x"], "corpus.pth: unknown key, did you mean corpus.path?"),
        (
            ["corpus.path=short.txt", "labels=counts,sparse"],
            "labels=counts,sparse: the picks of experiment=my_text",
        ),
        (["corpus=file,sotu"], "corpus=file,sotu: the picks of experiment=my_text depend on corpus"),
        (
            ["experiment=sotu,my_text"],
            "experiment=sotu,my_text: my_text picks settings for the whole command",
        ),
        (["experiment=glob(my*)"], "experiment=glob(my*): my_text picks settings for the whole command"),
        (["dim=[1"], "dim=[1: not understood"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_named(texts: list[str], message: str) -> None:
    with pytest.raises(UserError) as refusal:
        picked(*texts)
    assert str(refusal.value).startswith(message)


def test_words_of_the_user_cannot_control_the_terminal() -> None:
    _, lines = with_picks(Sources(), [MINE, "corpus.path=short.txt", "optimizer='a\u202eb'"])
    assert "\u202e" not in "".join(lines)
    assert "optimizer=a�b instead of adagrad_counts" in lines[3]


def test_from_a_folder_to_results(command: Command, folder: Path) -> None:
    done = command(MINE, "corpus.path=books", "tracking=none", "dim=5", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [
        "objective=softmax labels=counts",
        "vocabulary.min_count=1 vocabulary.max_size=30000",
        "dtype=float32 threads=auto",
        "epochs=16",
    ]
    overrides = OmegaConf.load(folder / "run/artifacts/overrides.yaml")
    assert "labels.smoothing=100.0" in overrides
    config = OmegaConf.load(folder / "run/artifacts/config.yaml")
    assert (config.vocabulary.min_count, config.objective.weight_decay, config.dim) == (1, 0.03, 5)


@pytest.mark.second_tier
def test_the_configuration_is_printed_with_the_picks(command: Command) -> None:
    printed = command(MINE, "corpus.path=books", "--cfg", "job")
    assert "weight_decay: 0.03" in printed.stdout
    without_text = command(MINE, "--cfg", "job")
    assert (without_text.returncode, "path: ''" in without_text.stdout) == (0, True)
