"""A new label encoding, objective, tokenizer or schedule is one file and one YAML file."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_golden_runs import inputs  # noqa: F401  the text

import w2v_exp
from w2v_exp import Embeddings
from w2v_exp.choices import option_name
from w2v_exp.config import Sources, plan_of, register_schema
from w2v_exp.errors import SettingError
from w2v_exp.experiment.build import pair_statistics, split_text
from w2v_exp.experiment.cli import run
from w2v_exp.experiment.estimate import epoch_work, estimate_run, plans_by_encoding
from w2v_exp.experiment.fingerprint import fingerprint
from w2v_exp.experiment.inputs import read_corpus
from w2v_exp.plan import Plan

LABELS = '''
from dataclasses import dataclass

from w2v_exp.errors import SettingError, check_whole
from w2v_exp.examples.batches import Examples, LabelEncoding
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.examples.statistics import EpochShape
from w2v_exp.machine import Work


@dataclass(frozen=True)
class Thinned(LabelEncoding):
    """Every n-th pair of the text."""

    every: int = 2

    def __post_init__(self):
        check_whole(self, "every", at_least=1)

    def check(self, options):
        if options.model.context is not None:
            raise SettingError("labels", options.option("labels"), "is not supported with model=cbow.")

    def examples(self, text, vocabulary_size, options, generator, share=(0, 1)):
        pairs = window_pairs(text.ids, options.window, vocabulary_size, text.segments)
        kept = Pairs(pairs.centres[:: self.every], pairs.contexts[:: self.every], vocabulary_size)
        return Examples(kept, batch_size=options.batch_size, order=options.order, dtype=options.dtype)

    def memory(self, statistics, options):
        return Examples.memory(
            statistics, labels="sparse", batch_size=options.batch_size, order=options.order, dtype=options.dtype
        )

    def epoch(self, statistics, options):
        batch, pairs = options.model.batch_shape(statistics, options)
        return EpochShape(-(-pairs // self.every // options.batch_size), batch, Work())
'''
OBJECTIVE = '''
from dataclasses import dataclass

from w2v_exp.model.softmax import Softmax


@dataclass(frozen=True)
class Scaled(Softmax):
    """The softmax with its cost and gradients multiplied by a factor."""

    factor: float = 2.0

    def step(self, parameters, batch, workspace=None):
        step = super().step(parameters, batch, workspace)
        return step._replace(
            cost=self.factor * step.cost,
            embedding_gradient=self.factor * step.embedding_gradient,
            output_gradient=self.factor * step.output_gradient,
        )
'''
TOKENIZER = '''
from dataclasses import dataclass


@dataclass(frozen=True)
class Endings:
    """The last letters of each word."""

    letters: int = 2

    def __call__(self, text):
        return [word[-self.letters :] for word in text.split()]
'''
SCHEDULE = '''
from dataclasses import dataclass


@dataclass(frozen=True)
class Halves:
    """The rate in the first half of training, none of it in the second."""

    def __call__(self, step, total_steps, epoch, epochs):
        return 1.0 if 2 * step < total_steps else 0.0
'''
FILES = {
    "added_labels.py": LABELS,
    "added_objective.py": OBJECTIVE,
    "added_tokenizer.py": TOKENIZER,
    "added_schedule.py": SCHEDULE,
    "options/labels/thinned.yaml": "name: added_labels.Thinned\nevery: 3  # pairs\n",
    "options/objective/scaled.yaml": "name: added_objective.Scaled\nfactor: 2.0\n",
    "options/tokenizer/endings.yaml": "name: added_tokenizer.Endings\nletters: 1\n",
    "options/schedule/halves.yaml": "name: added_schedule.Halves\n",
}
COMMON = "corpus=file corpus.path=text.txt epochs=4 batch_size=32 dim=4 window=2 tracking=none cache=none"
COMMON += " checkpoint=none explorer=none probes=[]"


@pytest.fixture
def folder(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:  # noqa: F811
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (tmp_path / "text.txt").write_bytes((inputs / "text.txt").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in FILES:
        sys.modules.pop(Path(name).stem, None)


def plan(*overrides: str) -> Plan:
    register_schema()
    sources = Sources(config_dir="options")
    return plan_of(sources.compose([*COMMON.split(), *overrides]))


def trained(*overrides: str) -> Path:
    arguments = ["--config-dir=options", *COMMON.split(), *overrides]
    assert run([*arguments, "hydra.run.dir=run"]) == 0
    return Path("run", "artifacts")


def costs(files: Path) -> list[float]:
    with (files / "costs.csv").open(encoding="utf-8") as stream:
        return [float(row["cost"]) for row in csv.DictReader(stream)]


def test_an_added_encoding_builds_estimates_checks_and_trains(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = plan("labels=thinned")
    assert chosen.encoding == "added_labels.Thinned"
    text = read_corpus(chosen)
    training, _ = split_text(chosen, text)
    statistics = pair_statistics(chosen, training, len(text.vocabulary))
    steps, work = epoch_work(chosen, statistics)
    assert steps == -(-statistics.pairs // 3 // 32)
    assert work.products > 0
    estimates = {
        name: estimate_run(other, training, len(text.vocabulary)).total
        for name, other in plans_by_encoding(chosen).items()
    }
    assert {"added_labels.Thinned", "sparse", "counts"} <= estimates.keys()
    assert estimates["added_labels.Thinned"] == estimates["sparse"] > 0
    assert run(["--config-dir=options", *COMMON.split(), "labels=thinned", "estimate=true"]) == 0
    assert "added_labels.Thinned" in capsys.readouterr().out
    with pytest.raises(SettingError, match=r"labels=added_labels\.Thinned: is not supported with model=cbow"):
        plan("labels=thinned", "model=cbow")
    with pytest.raises(SettingError, match=r"labels.every=0"):
        plan("labels=thinned", "labels.every=0")
    assert fingerprint(chosen, text) != fingerprint(plan("labels=thinned", "labels.every=4"), text)
    before = costs(trained("labels=thinned"))
    assert before[-1] < before[0]
    assert costs(trained("labels=thinned", "labels.every=1")) == costs(trained("labels=sparse"))


@pytest.mark.second_tier
def test_an_added_objective_trains_with_every_encoding_that_it_allows(folder: Path) -> None:
    assert plan("objective=scaled").option("objective") == "added_objective.Scaled"
    for labels in ("dense", "sparse", "counts", "streamed", "thinned"):
        plain = costs(trained(f"labels={labels}", "objective=softmax", "learning_rate=0.5"))
        scaled = costs(trained(f"labels={labels}", "objective=scaled", "learning_rate=0.25"))
        assert scaled == [2 * cost for cost in plain]  # the same steps
    with pytest.raises(SettingError, match="labels=blocks: is for objective=negative_sampling only"):
        plan("objective=scaled", "labels=blocks")


def test_an_added_tokenizer_and_schedule_are_used(folder: Path) -> None:
    files = trained("tokenizer=endings", "schedule=halves")
    assert set(Embeddings.load(files / "embeddings.npz").words) <= set("abcdefghijklmnopqrstuvwxyz")
    first, _, third, fourth = costs(files)
    assert third == fourth < first


def test_an_option_that_cannot_be_made_is_explained(folder: Path) -> None:
    for labels, message in {
        "no_module.Labels": r"labels.name=no_module.Labels: cannot be imported \(ModuleNotFoundError",
        "added_labels.Thick": r"labels.name=added_labels.Thick: cannot be imported \(AttributeError",
        "math.pi": "labels.name=math.pi: is not a dataclass",
        "thick": "labels.name=thick: .*(sparse|dense)",
    }.items():
        Path("options/labels/wrong.yaml").write_text(f"name: {labels}\n", encoding="utf-8")
        with pytest.raises(SettingError, match=message):
            plan("labels=wrong")
    Path("options/labels/wrong.yaml").write_text("name: added_labels.Thinned\nevry: 3\n", encoding="utf-8")
    with pytest.raises(SettingError, match=r"labels.evry=3: unknown key, did you mean every\?"):
        plan("labels=wrong")


def test_no_module_asks_for_the_class_of_a_choice_that_answers_itself() -> None:
    groups = "labels|model|objective|optimizer|initialization|subsampling"
    asked = re.compile(rf"isinstance\([^()]*\bplan\.({groups})\b")
    package = Path(w2v_exp.__file__).parent
    assert not [file.name for file in package.rglob("*.py") if asked.search(file.read_text(encoding="utf-8"))]


def test_options_of_the_package_keep_their_names(folder: Path) -> None:
    chosen = plan("labels=streamed")
    assert option_name("labels", chosen.labels) == "streamed"
    assert replace(chosen, window=3).labels == chosen.labels
    assert np.isfinite(chosen.learning_rate)
