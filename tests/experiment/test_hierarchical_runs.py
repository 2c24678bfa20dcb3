"""Runs with the hierarchical softmax: from the command line's choices to what is recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from processes import Command

from w2v_exp.config import config_folder, register_schema
from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import SettingError
from w2v_exp.plan import Plan, make_plan

CHOSEN = "objective=hierarchical_softmax"


def plan_of(*overrides: str) -> Plan:
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return make_plan(compose("config", [CHOSEN, *overrides]))


@pytest.mark.parametrize("labels", ["dense", "sparse", "streamed", "counts"])
def test_every_encoding_can_be_chosen(labels: str) -> None:
    assert plan_of(f"labels={labels}").encoding == labels


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("embedding=sum", "embedding"),
        ("embedding=balanced", "embedding"),
        ("initialization=spectral", "initialization"),
        ("labels=counts labels.smoothing=10", "labels.smoothing"),
    ],
)
def test_what_makes_no_sense_with_it_is_refused(override: str, key: str) -> None:
    with pytest.raises(SettingError, match=rf"^{key}=.*hierarchical_softmax"):
        plan_of(*override.split())


def test_settings_of_the_full_softmax_are_unknown_to_it(command: Command) -> None:
    done = command(CHOSEN, "objective.output_offset=unigram")
    assert done.returncode != 0
    assert "output_offset" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_is_recorded_as_any_other(command: Command, tmp_path: Path) -> None:
    done = command(
        CHOSEN,
        "labels=counts",
        "epochs=60",
        "objective.embedding_gradient=mean",
        "optimizer=adagrad",
        "learning_rate=0.3",
        "schedule=constant",
        "tracking=none",
        "validation=held_out",
        "validation.block=4",
        "validation.share=0.25",
        "window=2",
    )
    assert done.returncode == 0, done.stderr
    (saved,) = tmp_path.glob("outputs/runs/*/artifacts/embeddings.npz")
    assert Embeddings.load(saved).output is None  # nodes are no words
    (result,) = tmp_path.glob("outputs/runs/*/result.json")
    metrics = json.loads(result.read_text())["metrics"]
    assert metrics["cost_floor"] < metrics["cost"] < metrics["unigram_cost"]
    assert 0 < metrics["information_explained"] < 1
    assert np.isfinite(metrics["validation_cost"])
