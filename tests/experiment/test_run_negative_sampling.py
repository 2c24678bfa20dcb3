"""Runs of negative sampling: what is logged, what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from processes import Command

TEXT = "the cat sat on the mat and the dog sat on the log while a bird sang in the tree " * 60
CHOICES = ("corpus=file", "corpus.path=text.txt", "objective=negative_sampling", "initialization=word2vec")
SHORT = ("tokenizer=whitespace", "tracking=none", "epochs=3", "learning_rate=0.025", "dim=8", "threads=1")


@pytest.mark.cases(every=3)
@pytest.mark.parametrize(
    "choices",
    [
        ["labels=blocks", "model=skipgram", "dtype=float32"],
        ["labels=blocks", "model=cbow", "model.context=sum"],
        ["labels=blocks", "objective.sharing=pair"],
        ["labels=streamed"],
        ["labels=counts", "objective.sharing=all", "optimizer=adagrad"],
    ],
    ids=" ".join,
)
def test_the_objective_s_own_cost_falls_and_is_not_called_cost(
    choices: list[str], command: Command, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    done = command(*CHOICES, *SHORT, *choices)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("outputs/runs/*/artifacts")
    with (folder / "costs.csv").open() as stream:
        costs = [float(row["objective_cost"]) for row in csv.DictReader(stream)]
    assert costs == sorted(costs, reverse=True)
    assert len(costs) == 3


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (["labels=blocks", "objective=softmax"], "labels=blocks: is for objective=negative_sampling only"),
        (["labels=blocks", "optimizer=adam"], "optimizer=adam: is not supported with labels=blocks"),
        (["labels=blocks", "order=shuffled"], "order=shuffled: is not supported with labels=blocks"),
        (["labels=counts", "model=cbow"], "labels=counts: is not supported with model=cbow"),
        (
            ["labels=counts", "labels.smoothing=5"],
            "labels.smoothing=5.0: must be 0 with objective=negative_sampling",
        ),
        (["objective.sharing=groups"], "objective.sharing=groups: not an option, did you mean group?"),
        (["objective.negatives=0"], "objective.negatives=0: must be a whole number, 1 or more."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_makes_no_sense_is_refused(
    choices: list[str], message: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    done = command(*CHOICES, *SHORT, *choices)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_every_encoding_s_memory_is_estimated(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    done = command(*CHOICES, *SHORT, "estimate=true")
    assert done.returncode == 0, done.stderr
    for encoding in ("dense", "sparse", "counts", "streamed", "blocks"):
        assert encoding in done.stdout
