"""The full softmax's cost of runs whose own objective is another."""

import json
from pathlib import Path
from typing import Any

import pytest
from processes import Command

SHORT = ("epochs=4", "objective=negative_sampling", "labels=sparse", "tracking=none", "learning_rate=0.01")


def result_of(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("outputs/runs/*/result.json")
    result: dict[str, Any] = json.loads(file.read_text())
    return result


def metrics_of(folder: Path) -> dict[str, float]:
    metrics: dict[str, float] = result_of(folder)["metrics"]
    return metrics


def test_negative_sampling_has_both_costs(command: Command, tmp_path: Path) -> None:
    done = command(*SHORT, "cost_every=2")
    assert done.returncode == 0, done.stderr
    metrics = metrics_of(tmp_path)
    assert metrics["objective_cost"] != metrics["cost"]
    assert metrics["cost"] > metrics["cost_floor"]
    assert metrics["cost_pairs"] == metrics["pairs"] == 84  # the whole text, as it is short
    assert "information_explained" in metrics


@pytest.mark.parametrize(("every", "epochs"), [("2", [1, 3]), ("null", [3])])
def test_each_curve_is_of_the_metric_that_it_is_named_after(
    command: Command, tmp_path: Path, every: str, epochs: list[int]
) -> None:
    done = command(*SHORT, f"cost_every={every}")
    assert done.returncode == 0, done.stderr
    result = result_of(tmp_path)
    assert [epoch for epoch, _ in result["curves"]["cost"]] == epochs
    assert [epoch for epoch, _ in result["curves"]["objective_cost"]] == [0, 1, 2, 3]
    for metric, curve in result["curves"].items():
        assert curve[-1][1] == result["metrics"][metric]


def test_a_sample_that_is_drawn_from_other_pairs_explains_nothing(command: Command, tmp_path: Path) -> None:
    done = command(*SHORT, "subsampling=word2vec", "subsampling.threshold=0.1")
    assert done.returncode == 0, done.stderr
    metrics = metrics_of(tmp_path)
    assert "cost" in metrics
    assert "information_explained" not in metrics


def test_the_cost_of_cbow_is_that_of_centres_given_their_bags(command: Command, tmp_path: Path) -> None:
    done = command(*SHORT, "labels=blocks", "model=cbow", "initialization=word2vec")
    assert done.returncode == 0, done.stderr
    metrics = metrics_of(tmp_path)
    assert metrics["cost_pairs"] == 16
    assert 0 < metrics["cost"] < 4
    assert "information_explained" not in metrics


@pytest.mark.parametrize(
    ("override", "key"), [("cost_every=0", "cost_every"), ("cost_sample=1", "cost_sample")]
)
def test_settings_are_checked(command: Command, override: str, key: str) -> None:
    done = command(*SHORT, override)
    assert done.returncode == 2
    assert done.stderr.startswith(key)
