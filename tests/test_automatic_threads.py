"""``threads=auto``: the number that it stands for, and its record."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from plans import plan_of
from processes import Command

import w2v_exp.machine
from w2v_exp.config import Sources, register_schema
from w2v_exp.config import plan_of as plan_of_config
from w2v_exp.errors import UserError
from w2v_exp.experiment.fingerprint import fingerprint
from w2v_exp.machine import automatic_threads, available_cores
from w2v_exp.text.corpus import TextCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

TEXT = encode_text(TextCorpus("some words"), WhitespaceTokenizer(), VocabularyRule())
SAMPLING = ("objective=negative_sampling", "labels=blocks")


def on_cores(cores: int, *overrides: str, patch: pytest.MonkeyPatch) -> int:
    patch.setattr(w2v_exp.machine, "available_cores", lambda: cores)
    return plan_of("threads=auto", *overrides).threads


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (7, 7), (8, 8), (9, 8), (256, 8)])
def test_auto_is_one_thread_per_core_up_to_eight(
    cores: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert automatic_threads(cores) == threads
    assert on_cores(cores, patch=monkeypatch) == threads


@pytest.mark.parametrize(
    "overrides", [SAMPLING, ("objective=hierarchical_softmax",)], ids=["sampling", "tree"]
)
def test_auto_is_one_where_more_gain_nothing(
    overrides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_cores(4, *overrides, patch=monkeypatch) == 1


def test_auto_is_one_beside_other_runs_of_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    register_schema()
    monkeypatch.setattr(w2v_exp.machine, "available_cores", lambda: 4)
    launched = Sources().compose(["threads=auto", "hydra/launcher=joblib"])
    alone = Sources().compose(["threads=auto"])
    assert [plan_of_config(config).threads for config in (launched, alone, launched)] == [1, 4, 1]


def test_the_fingerprint_has_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w2v_exp.machine, "available_cores", lambda: 3)
    automatic, three, two = (fingerprint(plan_of(f"threads={given}"), TEXT) for given in ("auto", 3, 2))
    assert automatic == three != two


def test_the_record_of_a_run_has_the_number(command: Command, tmp_path: Path) -> None:
    done = command("threads=auto", "epochs=2", "tracking=none", "hydra.run.dir=run", "experiment=article")
    assert done.returncode == 0, done.stderr
    recorded = OmegaConf.load(tmp_path / "run/artifacts/config.yaml")
    assert recorded.threads == min(available_cores(), 8)


@pytest.mark.parametrize("value", ["abc", "2.5", "true", "[1,2]"])
def test_other_values_are_refused(value: str, command: Command) -> None:
    done = command(f"threads={value}", "tracking=none")
    assert done.returncode == 2
    assert done.stderr.rstrip().endswith("must be a whole number, 1 or more, or auto.")
    assert done.stderr.startswith("threads=")


def test_a_number_below_one_is_refused() -> None:
    with pytest.raises(UserError, match=r"^threads=0: must be a whole number, 1 or more\.$"):
        plan_of("threads=0")
