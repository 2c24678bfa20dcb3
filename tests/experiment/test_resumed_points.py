"""A run that is interrupted and resumed logs the points of an uninterrupted one, whenever that happens."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from w2v_exp.errors import UserError
from w2v_exp.experiment import cli, sync
from w2v_exp.tracking.journal import FILE
from w2v_exp.tracking.upload import Cursor, is_uploaded
from w2v_exp.training.trainer import Trainer

EPOCHS = 11
SETTINGS = [
    "objective=negative_sampling",
    "validation=held_out",
    "validation.block=1",
    "validation.share=0.3",
    "window=1",
    "dim=3",
    "evaluation=standard",
    "evaluation.word_pairs=[pairs.tsv]",
    "evaluation.analogies=[]",
    "evaluation.every=3",
    "cost_every=2",
    f"epochs={EPOCHS}",
    "tracking.points=4",  # so that most epochs have no point in the store
    "tracking.plots=false",
    "explorer=none",
    "bounds=false",
]
Interruption = tuple[
    int, type[BaseException], str
]  # before which epoch, by what, how often checkpoints are written


class Interrupting:
    """Ends training before a given epoch: by an interruption, or by a failure that leaves a checkpoint."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: tuple[int, type[BaseException]] | None = None
        train_epoch = Trainer.train_epoch

        def interrupted(trainer: Trainer, epoch: int) -> Any:
            if self.at and epoch == self.at[0]:
                how, self.at = self.at[1], None
                raise how
            return train_epoch(trainer, epoch)

        monkeypatch.setattr(Trainer, "train_epoch", interrupted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("resumed")
    (folder / "pairs.tsv").write_text("the\tof\t1\nof\tcosts\t3\nthe\tstock\t5\nstock\tmarket\t9\n")
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def logged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run a command that is interrupted some times, and return all points that its one run has in the store."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    interrupting = Interrupting(monkeypatch)
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")

    def run(*interruptions: Interruption) -> dict[str, Any]:
        known = {run.info.run_id for run in client.search_runs(["1"])} if interruptions else set()
        for epoch, how, every in interruptions:
            interrupting.at = (epoch, how)
            code = cli.run([*SETTINGS, f"checkpoint.every='{every}'", "resume=false"])
            assert (
                code == (130 if how is KeyboardInterrupt else 1) or interrupting.at
            )  # it resumed after that epoch
        interrupting.at = None
        assert cli.run([*SETTINGS, "checkpoint.every='1 epoch'", "resume=false"]) == 0
        (newest,) = [r for r in client.search_runs(["1"], max_results=1) if r.info.run_id not in known]
        assert newest.info.status == "FINISHED"
        return {
            name: [
                (point.step, point.value) if name in BY_EPOCH else point.step
                for point in sorted(client.get_metric_history(newest.info.run_id, name), key=lambda p: p.step)
            ]
            for name in newest.data.metrics
        }

    return run


BY_EPOCH = {"cost", "objective_cost", "validation_cost", "learning_rate", "word_pairs_pairs"}


@pytest.fixture
def uninterrupted(logged: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    points = logged()
    assert points.keys() >= BY_EPOCH
    assert [step for step, _ in points["objective_cost"]] == [0, 3, 7, 10]
    return points


INTERRUPTIONS = st.lists(
    st.tuples(
        st.integers(0, EPOCHS - 1),
        st.sampled_from([KeyboardInterrupt, UserError]),
        st.sampled_from(["1 epoch", "2 epochs", "5 epochs"]),
    ),
    min_size=1,
    max_size=2,
)


def test_a_run_that_is_interrupted_after_an_epoch_without_a_point_has_no_more_points(
    logged: Callable[..., dict[str, Any]], uninterrupted: dict[str, Any]
) -> None:
    assert logged((5, KeyboardInterrupt, "1 epoch"), (9, KeyboardInterrupt, "2 epochs")) == uninterrupted


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(interruptions=INTERRUPTIONS)
def test_interruptions_at_any_epochs_leave_the_points_of_an_uninterrupted_run(
    logged: Callable[..., dict[str, Any]], uninterrupted: dict[str, Any], interruptions: list[Interruption]
) -> None:
    assert logged(*interruptions) == uninterrupted


def test_a_run_that_cannot_be_resumed_keeps_its_last_epoch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    interrupting = Interrupting(monkeypatch)
    interrupting.at = (6, KeyboardInterrupt)
    assert cli.run([*SETTINGS, "checkpoint=none", "seed=5"]) == 130
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (run,) = client.search_runs(["1"], max_results=1)
    assert run.info.status == "KILLED"
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "objective_cost")]
    assert sorted(steps) == [0, 3, 5]


def keep_pending(left: Path) -> None:
    """Leave data in the folder of an interrupted run as if the store had been locked at its end."""
    lines = (left / FILE).read_text().splitlines()
    end = json.loads(lines.pop())
    assert end["end"] == "KILLED"
    cursor = Cursor.read(left)
    cursor.offset = sum(len(line) + 1 for line in lines)
    cursor.write(left)
    for metrics, step in (({"objective_cost": 1.25}, 7), ({"only_here": 2.0}, 0)):
        lines.append(json.dumps({"metrics": metrics, "step": step, "time": 1000}))
    (left / FILE).write_text("".join(f"{line}\n" for line in [*lines, json.dumps(end)]))
    (left / "artifacts").mkdir(exist_ok=True)
    (left / "artifacts" / "costs.csv").write_text("partial")
    assert not is_uploaded(left)


def test_pending_data_of_an_interrupted_run_are_uploaded_when_it_is_resumed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its journal is continued in the folder of the next run."""
    monkeypatch.chdir(folder)
    interrupting = Interrupting(monkeypatch)
    interrupting.at = (6, KeyboardInterrupt)
    command = [*SETTINGS, "seed=6", "checkpoint.every='5 epochs'"]
    assert cli.run(command) == 130
    store = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(store)
    (run,) = client.search_runs(["1"], max_results=1)
    left = Path(run.data.tags["hydra_output"])
    keep_pending(left)
    assert cli.run(command) == 0
    assert not (left / FILE).exists()
    assert sync.main([str(left)]) == 0
    run = client.get_run(run.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["only_here"] == 2.0
    points = [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "objective_cost")]
    assert sorted(step for step, _ in points) == [0, 3, 7, 10]
    assert (7, 1.25) in points
    costs = Path(client.download_artifacts(run.info.run_id, "costs.csv", str(folder)))
    assert costs.read_text() != "partial"


@pytest.mark.second_tier
@pytest.mark.parametrize(
    ("place", "subdir"), [(["hydra.run.dir=mine"], ""), (["hydra.sweep.dir=many", "seed=7", "-m"], "0")]
)
def test_the_same_command_uploads_pending_data_of_its_interrupted_run_in_the_same_folder(
    place: list[str],
    subdir: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    interrupting = Interrupting(monkeypatch)
    interrupting.at = (6, KeyboardInterrupt)
    command = [*SETTINGS, *place, f"learning_rate=0.0{len(place)}", "checkpoint.every='5 epochs'"]
    assert cli.run(command) == 130
    store = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(store)
    (run,) = client.search_runs(["1"], "attributes.status = 'KILLED'", max_results=1)
    left = folder / place[0].partition("=")[2] / subdir
    assert run.data.tags["hydra_output"] == str(left)
    client.update_run(run.info.run_id, status="RUNNING")  # as if the store had been locked from then on
    keep_pending(left)
    assert cli.run(command) == 0
    assert f"uploaded pending data of earlier run {run.info.run_id}" in capsys.readouterr().err
    assert is_uploaded(left)
    run = client.get_run(run.info.run_id)
    assert (run.info.status, run.data.tags["continued"]) == ("FINISHED", "1")
    assert run.data.metrics["only_here"] == 2.0
    points = [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "objective_cost")]
    assert sorted(step for step, _ in points) == [0, 3, 7, 10]
    assert (7, 1.25) in points
    costs = Path(client.download_artifacts(run.info.run_id, "costs.csv", str(folder)))
    assert costs.read_text() != "partial"
    assert cli.run(command) == 0  # a finished run is left as it is, and leaves nothing
    assert client.get_run(run.info.run_id).info.end_time == run.info.end_time
