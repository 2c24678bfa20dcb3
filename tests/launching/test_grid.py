"""What of a sweep's configurations is composed before its first run."""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from processes import Command


class Loader:
    """Notes what it is to compose."""

    def __init__(self) -> None:
        self.composed: list[list[str]] = []

    def load_sweep_config(self, master_config: Any, sweep_overrides: list[str]) -> None:
        self.composed.append(sweep_overrides)


def composed(*batch: list[str]) -> list[list[str]]:
    Plugins.instance()  # loads all plugins once more: a class that was imported before it has another class's base
    from hydra_plugins.w2v_exp_grid import GridSweeper

    sweeper = GridSweeper(max_batch_size=None)
    sweeper.hydra_context, sweeper.config, sweeper.config_loader = None, {}, Loader()
    sweeper.validate_batch_is_legal(batch)
    return sweeper.config_loader.composed


def test_runs_that_differ_in_values_of_plain_keys_are_composed_once() -> None:
    assert len(composed(*([f"seed={seed}", f"dim={dim}"] for seed in range(9) for dim in (4, 5)))) == 1
    assert len(composed(["dim=4"], ["dim=4", "window=2"])) == 2


def test_runs_that_differ_in_choices_or_what_these_allow_are_all_composed() -> None:
    for key in ("objective", "objective.negatives", "experiment", "sweep", "+new.key"):
        assert len(composed([f"{key}=a", "seed=1"], [f"{key}=b", "seed=2"])) == 2


def test_a_combination_that_does_not_exist_is_refused_before_the_first_run(
    command: Command, tmp_path: Any
) -> None:
    done = command(
        "objective=softmax,negative_sampling", "objective.update=accumulate", "tracking=none", "-m"
    )
    assert done.returncode == 2
    assert "objective.update" in done.stderr
    assert not [*tmp_path.glob("outputs/sweeps/*/0/*")]
