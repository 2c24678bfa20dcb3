"""A fingerprint names what decides a result, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from plans import plan_of
from processes import run_python

from w2v_exp.experiment import fingerprint as module
from w2v_exp.experiment.fingerprint import NOT_OF_THE_RESULT, fingerprint, text_digest
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.plan import Plan
from w2v_exp.training.optimizers import OPTIMIZERS, Adam


def known_as(*overrides: str) -> str:
    plan = plan_of(*overrides)
    return fingerprint(plan, read_corpus(plan))


DECISIVE = [
    "window=2",
    "shrinking_window=true",
    "dim=51",
    "epochs=4999",
    "batch_size=127",
    "learning_rate=0.06",
    "order=shuffled",
    "seed=1",
    "dtype=float32",
    "tokenizer=whitespace",
    "vocabulary.min_count=2",
    "objective.update=overwrite",
    "objective.epsilon=0.001",
    "optimizer=momentum",
    "schedule=constant",
    "schedule.decay=0.97",
    "labels=dense",
    "initialization=normal",
    "validation=held_out",
    "bounds=false",
]
INDIFFERENT = [
    "tracking=none",
    "tracking.uri=sqlite:///elsewhere.db",
    "tracking.plots=false",
    "tracking.points=10",
    "cache=none",
    "repeats=3",
    "estimate=true",
    "probes=[king]",
    "resume=true",
    "force=true",
]


@pytest.mark.parametrize("override", DECISIVE)
def test_what_decides_the_result_changes_the_fingerprint(override: str) -> None:
    assert known_as(override) != known_as()


@pytest.mark.parametrize("override", INDIFFERENT)
def test_what_does_not_decide_the_result_leaves_the_fingerprint(override: str) -> None:
    assert known_as(override) == known_as()


def test_what_a_run_goes_on_from_changes_the_fingerprint() -> None:
    plan = plan_of()
    text = read_corpus(plan)
    assert fingerprint(plan, text) != fingerprint(plan, text, "of some embeddings")


def test_what_is_left_out_are_values_of_a_plan() -> None:
    known = {key.name for key in dataclasses.fields(Plan)}
    assert NOT_OF_THE_RESULT - {"checkpoint"} <= known


def test_a_text_is_known_by_content_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("a rose is a rose\n")
    (tmp_path / "there" / "b.txt").write_text("is a rose\n")
    (tmp_path / "one.txt").write_text("a rose is a rose\nis a rose\n")

    def of(path: str, boundaries: str = "none") -> str:
        return known_as("corpus=file", f"corpus.path={tmp_path / path}", f"corpus.boundaries={boundaries}")

    assert of("here/a.txt") == of("here")
    assert of("here") != of("there")
    assert of("one.txt") == of("there")
    assert of("one.txt", "document") != of("there", "document")  # the same words, other segments


def test_a_text_of_several_pieces_has_one_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    text = read_corpus(plan_of())
    whole = text_digest(text)
    monkeypatch.setattr(module, "_HASHED_AT_ONCE", 5)
    assert text_digest(text) == whole
    changed = dataclasses.replace(text, ids=text.ids[::-1])
    assert text_digest(changed) != whole
    assert text_digest(dataclasses.replace(text, segments=np.array([0, 2, len(text.ids)]))) != whole


def test_an_evaluation_set_is_known_by_content(tmp_path: Path) -> None:
    def of(name: str, content: str) -> str:
        file = tmp_path / name / "mine.tsv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        return known_as("evaluation=standard", f"evaluation.word_pairs=[{file}]", "evaluation.analogies=[]")

    first = of("a", "stock\tmarket\t9\n")
    assert of("b", "stock\tmarket\t9\n") == first
    assert of("a", "stock\tmarket\t8\n") != first


def test_association_tests_are_known_by_content_and_leave_other_fingerprints(tmp_path: Path) -> None:
    def of(*overrides: str) -> str:
        return known_as(
            "evaluation=standard", f"evaluation.word_pairs=[{tmp_path / 'pairs.tsv'}]", *overrides
        )

    (tmp_path / "pairs.tsv").write_text("stock\tmarket\t9\n")
    file = tmp_path / "sets.yaml"
    content = "tests: {mine: {targets: [math, arts], attributes: [male_terms, female_terms]}}"
    file.write_text(content)
    without, first = (
        of("evaluation.analogies=[]"),
        of("evaluation.analogies=[]", f"evaluation.associations=[{file}]"),
    )
    assert of("evaluation.analogies=[]", "evaluation.largest_loss=0.3") == without
    assert first != without
    assert (
        of("evaluation.analogies=[]", f"evaluation.associations=[{file}]", "evaluation.largest_loss=0.3")
        != first
    )
    file.write_text(f"# the same sets\n{content}")
    assert of("evaluation.analogies=[]", f"evaluation.associations=[{file}]") == first
    file.write_text(f"sets: {{math: [algebra, sums]}}\n{content}")
    assert of("evaluation.analogies=[]", f"evaluation.associations=[{file}]") != first


@pytest.mark.usefixtures("starts_processes")
def test_other_processes_folders_and_hash_seeds_find_the_same(tmp_path: Path) -> None:
    script = (
        "from hydra import compose, initialize_config_dir;"
        "from w2v_exp.config import register_schema;"
        "from w2v_exp.loader import config_folder;"
        "from w2v_exp.experiment.fingerprint import fingerprint;"
        "from w2v_exp.experiment.inputs import read_corpus;"
        "from w2v_exp.plan import make_plan;"
        "register_schema(); initialize_config_dir(str(config_folder()), version_base='1.3').__enter__();"
        "plan = make_plan(compose('config', ['window=4']));"
        "print(fingerprint(plan, read_corpus(plan)))"
    )
    here = known_as("window=4")
    done = run_python("-c", script, folder=tmp_path, PYTHONHASHSEED="77")
    assert done.stdout.strip() == here, done.stderr


def test_every_option_of_a_group_has_a_fingerprint_of_its_own() -> None:
    """Some options are subclasses of others, without settings of their own."""
    optimizers = ["sgd", "momentum", "lazy_momentum", "adagrad", "adagrad_counts", "adam", "lazy_adam"]
    assert len({known_as(f"optimizer={option}") for option in optimizers}) == len(optimizers)


def test_a_setting_that_came_later_counts_once_it_is_set() -> None:
    assert known_as("labels=counts", "labels.centre_words=null") == known_as("labels=counts")
    assert known_as("labels=counts", "labels.centre_words=5") != known_as("labels=counts")


def test_another_version_of_the_results_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = known_as()
    monkeypatch.setattr(module, "RESULT_VERSION", module.RESULT_VERSION + 1)
    assert known_as() != before


def test_neither_source_nor_names_of_classes_are_in_a_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = known_as("optimizer=adam")
    renamed = dataclasses.make_dataclass("Renamed", [], bases=(Adam,), frozen=True)
    monkeypatch.setitem(OPTIMIZERS, "adam", renamed)
    assert known_as("optimizer=adam") == before


GOLDEN = {
    "a98d0b57ab9a2ed531d69c8a406b0549": "",
    "f40429e2869a5fc0d32325c489f33ef8": "labels=blocks model=cbow objective=negative_sampling subsampling=word2vec "
    "schedule=linear initialization=gensim",
    "56827d4b08a67352e078e9b2f448ba89": "labels=counts optimizer=adagrad_counts schedule=linear_tenth "
    "validation=held_out stop=early tokenizer=word vocabulary=frequent corpus=text corpus.text=aa "
    "vocabulary.min_count=1",
    "26172819b77f74b8d7b8be6816ecd824": "labels=streamed objective=hierarchical_softmax optimizer=lazy_adam "
    "schedule=cosine initialization=spectral dtype=float32",
}


@pytest.mark.parametrize("recorded", GOLDEN)
def test_a_fingerprint_is_the_recorded_one(recorded: str) -> None:
    """As long as these stay, finished runs and checkpoints are found."""
    assert known_as(*GOLDEN[recorded].split()) == recorded, (
        "Finished runs and checkpoints are no longer found. If they are to be trained again (RESULT_VERSION was "
        "raised), or a setting of these options is new, record the new fingerprint here. A refactoring must not "
        "change it."
    )
