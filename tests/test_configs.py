"""Every file in conf/ composes, is checked, and runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from processes import Command

from w2v_exp.choices import GROUPS
from w2v_exp.config import register_schema
from w2v_exp.experiment.command import check_command, parse
from w2v_exp.experiment.fingerprint import fingerprint
from w2v_exp.loader import config_folder
from w2v_exp.plan import make_plan
from w2v_exp.text.corpus import TextCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.optimizers import Adagrad, GradientDescent
from w2v_exp.training.schedules import Constant, Linear

NEEDED = {
    "corpus=file": ["corpus.path=README.md"],
    "vocabulary=given": ["vocabulary.path=README.md"],
    "counting=dask": ["labels=counts"],
    "counting=slurm": ["labels=counts"],
    "corpus=text": ["corpus.text=some words"],
    "initialization=from_file": ["initialization.path=README.md"],
    "initialization=from_run": ["initialization.run=a_run"],
    "labels=blocks": ["objective=negative_sampling"],
    "model=cbow": ["labels=blocks", "objective=negative_sampling"],
    "objective=sampled_softmax": ["labels=counts"],
    "slices=pattern": ["slices.pattern=x"],
    "stop=early": ["validation=held_out"],
    "tokenizer=custom": ["tokenizer.callable=str.split"],
}


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (config_folder() / group).glob("*.yaml"))


FEW_WORDS = encode_text(TextCorpus("some words"), WhitespaceTokenizer(), VocabularyRule())
CHOICES = [f"{group}={option}" for group in GROUPS for option in options(group)]


@pytest.mark.cases(every=3)
@pytest.mark.parametrize("choice", CHOICES)
def test_every_option_composes_to_a_plan(
    choice: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("words of a text")
    (tmp_path / "my_tokens.py").write_text("def tokens(text):\n    return text.split()\n")
    monkeypatch.chdir(tmp_path)
    needed = [text.replace("str.split", "my_tokens.tokens") for text in NEEDED.get(choice, [])]
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        plan = make_plan(compose("config", [choice, *needed]))
    assert plan.window == 3
    assert re.fullmatch("[0-9a-f]{32}", fingerprint(plan, FEW_WORDS))


@pytest.mark.parametrize("experiment", ["sotu_softmax", "file_softmax"])
def test_the_optimizer_and_the_schedule_of_an_experiment_can_be_taken_back(experiment: str) -> None:
    """What belongs to one option only would be left over for the other, which has no such key."""
    register_schema()
    other = ["optimizer=sgd", "schedule=constant", "corpus=article"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        shipped, plan = (
            make_plan(compose("config", [f"experiment={experiment}", *chosen]))
            for chosen in (["corpus=article"], other)
        )
    assert (shipped.optimizer, shipped.schedule) == (Adagrad(epsilon=1e-16), Linear(floor=0.1))
    assert (plan.optimizer, plan.schedule) == (GradientDescent(), Constant())


@pytest.mark.parametrize("experiment", options("experiment"))
def test_no_experiment_sets_what_only_its_own_optimizer_or_schedule_has(experiment: str) -> None:
    written = OmegaConf.load(config_folder() / "experiment" / f"{experiment}.yaml")
    assert not {"optimizer", "schedule"} & set(written), "make an option of conf/optimizer or conf/schedule"


@pytest.mark.parametrize("group", GROUPS)
def test_every_class_of_a_group_has_a_file(group: str) -> None:
    """A class that no file names could not be chosen."""
    texts = [file.read_text() for file in (config_folder() / group).glob("*.yaml")]
    for name in GROUPS[group]:
        assert any(f"/schema/{group}/{name}@_here_" in text for text in texts)


SHORTER = {
    "experiment=sotu": ["corpus.messages=2", "epochs=1"],
    "experiment=sotu_softmax": ["corpus.messages=2", "epochs=1"],
    "experiment=sotu_ppmi_svd": ["corpus.messages=2"],
    "experiment=file_softmax": ["epochs=2"],
    "experiment=sotu_sgns": ["corpus.messages=2", "epochs=1"],
    "experiment=sotu_hierarchical": ["corpus.messages=2", "epochs=1"],
    "sweep=ablation": [
        "corpus.messages=2",
        "epochs=1",
        "evaluation=none",
        "repeats=1",
        "change=no_offset,ppmi_svd",
    ],
    "sweep=optimizers": ["corpus.messages=2", "epochs=1", "evaluation=none", "change=adam_.01,sgd_200"],
    "sweep=memory_ladder": ["corpus.messages=1", "labels=dense,streamed"],
    "sweep=objectives": ["corpus.messages=1", "epochs=1", "evaluation=none"],
    "sweep=search": ["corpus.messages=3", "epochs=1", "validation.block=50", "hydra.sweeper.n_trials=2"],
    "sweep=classic": ["corpus.messages=1", "epochs=1", "window=2", "dim=5", "evaluation=none"],
}


def command_of(choice: str) -> list[str]:
    """Return the arguments of the command that a named file begins with."""
    group, _, option = choice.partition("=")
    lines = (config_folder() / group / f"{option}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    name, *arguments = shlex.split(lines[1].removeprefix("# "))
    assert name == "w2v-exp"
    assert arguments[0] == choice  # what follows is what a user has to say, as the path of a file
    return arguments


def shortened(choice: str, folder: Path) -> list[str]:
    """Return the arguments of the command of a named file, to be run in a folder in seconds."""
    (folder / "big.txt").write_text("the cat sat on the mat and the dog sat on the cat " * 50)
    return [*command_of(choice), "tracking=none", *SHORTER.get(choice, ["epochs=5"])]


@pytest.mark.cases(every=2)
@pytest.mark.parametrize("option", options("experiment"))
def test_the_command_of_an_experiment_runs(option: str, command: Command, tmp_path: Path) -> None:
    done = command(*shortened(f"experiment={option}", tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.second_tier
@pytest.mark.parametrize("option", options("sweep"))
def test_the_command_of_a_sweep_is_understood(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    register_schema()
    assert check_command(parse(shortened(f"sweep={option}", tmp_path))).runs > 1


SLOW = {"schedules", "updates"}  # three seeds of each run


@pytest.mark.parametrize(
    "option",
    [pytest.param(each, marks=[pytest.mark.slow] if each in SLOW else []) for each in options("sweep")],
)
def test_the_command_of_a_sweep_runs(option: str, process_command: Command, tmp_path: Path) -> None:
    done = process_command(*shortened(f"sweep={option}", tmp_path))
    assert done.returncode == 0, done.stderr
    (table,) = tmp_path.glob("outputs/sweeps/*/comparison.csv")
    assert len(table.read_text().splitlines()) > 2
