"""Results stay what they are, unless `RESULT_VERSION` is raised: see `golden_runs`."""

from __future__ import annotations

import shutil
from pathlib import Path

import golden_runs
import numpy as np
import pytest
from golden_runs import (
    CHECKPOINT,
    CHECKPOINTED,
    ON_TEXT,
    RUNS,
    differences,
    read_record,
    record,
    resumed_run,
    rounded,
    run_golden,
    run_settings,
    write_inputs,
)

from w2v_exp.experiment.fingerprint import RESULT_VERSION
from w2v_exp.loader import config_folder
from w2v_exp.training.checkpoints import FORMAT_VERSION

# The options that decide a result. The others are recorded elsewhere, or need a download.
GROUPS = (
    "labels",
    "model",
    "objective",
    "optimizer",
    "schedule",
    "subsampling",
    "validation",
    "initialization",
)
DEFAULTS = {
    "labels=sparse",
    "model=skipgram",
    "objective=softmax",
    "optimizer=sgd",
    "subsampling=none",
    "validation=none",
}
ELSEWHERE = {"initialization=from_run": "from_file", "initialization=article": "experiment=article"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    write_inputs(folder)
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_a_golden_run_has_its_recorded_results(name: str, inputs: Path) -> None:
    found = differences(read_record()["runs"][name], run_golden(name, inputs))
    assert not found, (
        f"The results of the golden run {name!r} changed: {'; '.join(found)}. If that is intended, raise "
        "RESULT_VERSION in w2v_exp/experiment/fingerprint.py and run `python tests/golden_runs.py --record`: then "
        "finished runs and checkpoints of before are not taken for results of the new code."
    )


def test_the_record_is_of_this_version_and_of_all_runs() -> None:
    recorded = read_record()
    assert recorded["result_version"] == RESULT_VERSION, "run `python tests/golden_runs.py --record`"
    assert list(recorded["runs"]) == list(RUNS)


def test_the_recorded_checkpoint_resumes_to_the_same_results(inputs: Path, tmp_path: Path) -> None:
    checkpoints = Path(shutil.copytree(CHECKPOINT, tmp_path / "checkpoints"))
    expected = run_settings(f"{CHECKPOINTED} checkpoint=none", inputs, "uninterrupted")
    results, resumed = resumed_run(inputs, checkpoints)
    assert resumed, (
        "The recorded checkpoint was not resumed: its run has another fingerprint, or the checkpoint another format. "
        "If that is intended, run `python tests/golden_runs.py --record`."
    )
    found = differences(rounded(expected), results)
    assert not found, (
        f"The recorded checkpoint resumes to other results: {'; '.join(found)}. Raise FORMAT_VERSION in "
        "w2v_exp/training/checkpoints.py and run `python tests/golden_runs.py --record`."
    )
    assert read_record()["checkpoint_format"] == FORMAT_VERSION, "run `python tests/golden_runs.py --record`"


def test_golden_runs_cover_every_option_that_decides_a_result() -> None:
    settings = {setting for run in (ON_TEXT, *RUNS.values()) for setting in run.split()} | DEFAULTS
    for group in GROUPS:
        for file in (config_folder() / group).glob("*.yaml"):
            option = f"{group}={file.stem}"
            assert option in settings or option in ELSEWHERE, f"no golden run has {option}"


def test_rounding_is_no_difference_and_anything_else_is(inputs: Path) -> None:
    results = run_golden("article", inputs)
    recorded = rounded(results)
    embedding = results["embedding"]
    largest = np.abs(embedding).max()
    assert not differences(recorded, results | {"embedding": embedding + 1e-12 * largest})
    for name, array in {
        "embedding": embedding + 1e-8 * largest,
        "costs.cost": results["costs.cost"] * (1 + 1e-8),
        "output": results["output"][::-1],
        "words": results["words"][::-1],
        "counts": results["counts"] + 1,
    }.items():
        assert [found.partition(":")[0] for found in differences(recorded, results | {name: array})] == [name]
    assert differences(recorded, results | {"costs.article_cost": np.full(40, np.nan)})
    assert differences(recorded, results | {"costs.cost": results["costs.cost"][:-1]})
    assert differences(recorded, results | {"embedding": embedding.astype(np.float32)})
    assert differences(recorded, {name: array for name, array in results.items() if name != "output"})


def test_changed_results_are_not_recorded_under_the_same_version(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = run_golden("article", inputs)
    monkeypatch.setattr(golden_runs, "RECORD", tmp_path / "record.json")
    assert not record({"article": results})
    written = golden_runs.RECORD.read_text(encoding="utf-8")
    assert not record({"article": results})  # nothing has changed
    changed = results | {"output": results["output"] * 1.001}
    assert "article" in record({"article": changed})
    assert golden_runs.RECORD.read_text(encoding="utf-8") == written
    monkeypatch.setattr(golden_runs, "RESULT_VERSION", RESULT_VERSION + 1)
    assert not record({"article": changed})
    assert read_record()["result_version"] == RESULT_VERSION + 1
