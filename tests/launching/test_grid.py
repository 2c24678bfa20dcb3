"""Configurations of a sweep that are composed before its first run."""

from __future__ import annotations

from pathlib import Path

from processes import Command

from w2v_exp.config import Sources, register_schema
from w2v_exp.experiment.folders import compose_distinct


def composed(*combinations: dict[str, str]) -> int:
    register_schema()
    return len(
        compose_distinct(
            lambda values: Sources().compose([f"{k}={v}" for k, v in values.items()]), combinations
        )
    )


def test_runs_that_differ_in_values_of_plain_keys_are_composed_once() -> None:
    assert composed(*({"seed": str(seed), "dim": str(dim)} for seed in range(9) for dim in (4, 5))) == 1


def test_runs_that_differ_in_choices_or_what_these_allow_are_all_composed() -> None:
    for key, values in {
        "optimizer": ("sgd", "adam"),
        "schedule.decay": ("0.9", "0.8"),
        "experiment": ("article", "article_dense"),
    }.items():
        assert composed(*({key: value, "seed": seed} for value in values for seed in "12")) == 2


def test_a_combination_that_does_not_exist_is_refused_and_leaves_nothing(
    command: Command, tmp_path: Path
) -> None:
    done = command(
        "objective=softmax,negative_sampling", "objective.update=accumulate", "tracking=none", "-m"
    )
    assert done.returncode == 2
    assert "objective.update" in done.stderr
    assert not [*tmp_path.iterdir()]
