"""Runs that are killed by SIGKILL at any moment, and go on when their command is given again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from processes import Command

from w2v_exp.training.checkpoints import CheckpointFolder

WORDS = np.random.default_rng(2).zipf(1.3, 3000).clip(max=400)
TEXT = " ".join(f"word{number}" for number in WORDS)
SETTINGS = (
    "corpus=file",
    "corpus.path=text.txt",
    "tokenizer=whitespace",
    "validation=held_out",
    "validation.share=0.2",
    "dim=10",
    "window=2",
    "tracking.plots=false",
    "bounds=false",
)
A_CHECKPOINT = "outputs/checkpoints/*/checkpoint.npz"
BY_EPOCH = ("cost", "objective_cost", "learning_rate", "validation_cost")


@pytest.fixture
def client(store: Path) -> MlflowClient:
    (store.parent / "text.txt").write_text(TEXT)
    return MlflowClient(f"sqlite:///{store}")


def runs_of(client: MlflowClient) -> list[Any]:
    """Return all runs, the oldest first."""
    runs: list[Any] = list(client.search_runs(["1"], order_by=["attributes.start_time ASC"]))
    return runs


def logged_by(client: MlflowClient, run: Any) -> dict[str, list[tuple[int, float]]]:
    """Return every point of the run's curves, in the order of steps."""
    return {
        name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
        for name in BY_EPOCH
    }


def embeddings_of(run: Any) -> bytes:
    return (Path(run.info.artifact_uri.removeprefix("file://")) / "embeddings.npz").read_bytes()


CASES = {
    "softmax": ("labels=streamed", "order=shuffled", "optimizer=adam", "learning_rate=0.001", "epochs=8"),
    "hierarchical_softmax": ("labels=counts", "labels.centres=4", "optimizer=lazy_momentum", "epochs=12"),
    "sampled_softmax": (
        "labels=counts",
        "labels.centres=2",
        "order=shuffled",
        "optimizer=adagrad",
        "objective.frequent_words=5",
        "objective.sampled_words=4",
        "epochs=12",
    ),
    "negative_sampling": (
        "labels=blocks",
        "labels.tokens=64",
        "subsampling=word2vec",
        "subsampling.threshold=0.01",
        "dtype=float32",
        "epochs=12",
    ),
}


@pytest.mark.usefixtures("end_to_end")
@pytest.mark.parametrize(
    "objective",
    [
        pytest.param("softmax", marks=pytest.mark.second_tier),
        pytest.param("hierarchical_softmax", marks=pytest.mark.second_tier),
        pytest.param("sampled_softmax", marks=pytest.mark.second_tier),
        "negative_sampling",
    ],
)
def test_a_run_that_is_killed_goes_on_to_the_same_bytes_in_the_same_record(
    objective: str, client: MlflowClient, process_command: Command, tmp_path: Path
) -> None:
    settings = (*SETTINGS, f"objective={objective}", *CASES[objective], "checkpoint.every=1 epoch")
    done = process_command(*settings)
    assert done.returncode == 0, done.stderr
    for times in (2, 3):
        assert process_command(*settings, killed_at=(A_CHECKPOINT, times)).returncode == -signal.SIGKILL
    done = process_command(*settings)
    assert done.returncode == 0, done.stderr
    whole, resumed = runs_of(client)
    assert resumed.data.tags["continued"] == "2"
    assert resumed.info.status == "FINISHED"
    assert embeddings_of(resumed) == embeddings_of(whole)
    assert logged_by(client, resumed) == logged_by(client, whole)
    assert resumed.data.params == whole.data.params
    assert not list(tmp_path.glob("outputs/checkpoints/*"))


QUICK = ("epochs=3000", "checkpoint.every=250 epochs", "tracking.plots=false", "bounds=false")


def kill(process_command: Command, *settings: str, by: int = signal.SIGKILL) -> str:
    """Run a command that is killed as soon as it has two checkpoints, and return its messages."""
    killed = process_command(*settings, killed_at=(A_CHECKPOINT, 2), killed_by=by)
    assert killed.returncode == (143 if by == signal.SIGTERM else -by)
    return killed.stderr


def assert_no_point_is_stored_twice(client: MlflowClient, run: Any) -> None:
    for name in run.data.metrics:
        steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
        assert len(steps) == len(set(steps)), name


def test_a_run_that_is_asked_to_end_goes_on_as_well(client: MlflowClient, process_command: Command) -> None:
    assert "Run the same command again to resume from the last checkpoint" in kill(
        process_command, *QUICK, by=signal.SIGTERM
    )
    (run,) = runs_of(client)
    assert (run.info.status, run.data.tags["reason"]) == ("KILLED", "interrupted")
    done = process_command(*QUICK)
    assert done.returncode == 0, done.stderr
    assert "Resuming from checkpoint: epoch " in done.stderr
    (run,) = runs_of(client)
    assert run.info.status == "FINISHED"
    assert "reason" not in run.data.tags
    assert (run.data.tags["ended_by"], run.data.tags["continued"]) == ("epochs", "1")
    assert_no_point_is_stored_twice(client, run)


@pytest.mark.slow
def test_without_checkpoints_a_killed_run_begins_anew(client: MlflowClient, process_command: Command) -> None:
    kill(process_command, *QUICK)
    done = process_command(*QUICK, "checkpoint.every=null")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [run.info.status for run in runs_of(client)] == ["RUNNING", "FINISHED"]


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_serves(
    client: MlflowClient, process_command: Command, tmp_path: Path
) -> None:
    process_command(*QUICK)
    kill(process_command, *QUICK)
    (latest,) = tmp_path.glob(A_CHECKPOINT)
    latest.write_bytes(latest.read_bytes()[:-100])
    done = process_command(*QUICK)
    assert done.returncode == 0, done.stderr
    assert "Skipping the damaged checkpoint" in done.stderr
    assert "Resuming from checkpoint" in done.stderr
    whole, resumed = runs_of(client)
    assert embeddings_of(resumed) == embeddings_of(whole)


def test_the_run_of_another_process_is_left_alone(
    client: MlflowClient, process_command: Command, tmp_path: Path
) -> None:
    kill(process_command, *QUICK)
    (latest,) = tmp_path.glob(A_CHECKPOINT)
    other = CheckpointFolder(latest.parent)
    assert other.is_ours
    done = process_command(*QUICK)
    assert done.returncode == 0, done.stderr
    assert "another process is already training this run" in done.stderr
    assert [run.info.status for run in runs_of(client)] == ["RUNNING", "FINISHED"]
    assert latest.exists()
    other.release()


@pytest.mark.slow
def test_a_run_whose_record_is_gone_gets_a_new_one_without_holes(
    client: MlflowClient, process_command: Command
) -> None:
    process_command(*QUICK)
    kill(process_command, *QUICK)
    whole, killed = runs_of(client)
    client.delete_run(killed.info.run_id)
    done = process_command(*QUICK)
    assert done.returncode == 0, done.stderr
    whole, resumed = runs_of(client)
    assert logged_by(client, resumed) == logged_by(client, whole)
    assert resumed.data.params == whole.data.params


def test_where_no_checkpoint_can_be_written_training_goes_on(command: Command, tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "checkpoints").write_text("not a folder")
    done = command("epochs=100", "checkpoint.every=10 epochs", "tracking=none")
    assert done.returncode == 0
    assert "checkpoint.folder=outputs/checkpoints: cannot be used" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("checkpoint.every=60", "checkpoint.every=60: must be a time or a number of epochs above 0"),
        ("checkpoint.every=0s", "checkpoint.every=0s: must be"),
        ("checkpoint.every=1.5 epochs", "checkpoint.every=1.5 epochs: must be"),
        ("stop.patience=0", "stop.patience=0: must be a whole number, 1 or more."),
        ("stop.minutes=-1", "stop.minutes=-1.0: must be a number above 0."),
        (
            "stop=early",
            "stop.patience=3: waits for the cost of held-out pairs to fall, and none are held out",
        ),
    ],
)
def test_a_mistake_is_answered_before_any_work(command: Command, setting: str, answer: str) -> None:
    done = command(setting)
    assert done.returncode == 2
    assert answer in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_training_ends_when_the_held_out_cost_no_longer_falls(client: MlflowClient, command: Command) -> None:
    """With so large a learning rate it rises soon: the words' order is chance, there is nothing to learn."""
    done = command(
        *SETTINGS, "labels=counts", "optimizer=adam", "learning_rate=0.1", "epochs=200", "stop=early",
        "validation.every=2", "stop.patience=4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = runs_of(client)
    assert run.data.tags["ended_by"] == "patience"
    costs = dict(logged_by(client, run)["validation_cost"])
    lowest = min(costs, key=lambda epoch: costs[epoch])
    assert max(costs) - lowest == 4
    assert max(costs) + 1 < 200
    assert run.data.metrics["validation_cost"] == costs[max(costs)]
    assert f"ended by stop.patience after epoch {max(costs) + 1} of 200" in done.stdout


def test_training_ends_when_its_time_is_up(client: MlflowClient, command: Command) -> None:
    """In the middle of an epoch, which takes longer; what is measured at the end is measured then."""
    done = command(
        *SETTINGS, "objective=negative_sampling", "labels=streamed", "batch_size=1", "epochs=1000",
        "stop.minutes=0.005", "validation.every=1000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = runs_of(client)
    assert run.data.tags["ended_by"] == "minutes"
    assert run.data.metrics["train_seconds"] >= 0.3
    assert run.data.metrics["epochs_trained"] < 1000
    assert {"cost", "validation_cost", "objective_cost"} <= run.data.metrics.keys()


KILLS = int(os.environ.get("W2V_EXP_KILLS", "100"))


@pytest.mark.slow
def test_a_sweep_that_is_killed_a_hundred_times_has_the_results_of_one_that_was_not(
    client: MlflowClient, process_command: Command
) -> None:
    """Every objective with several optimizers; seeds until there are enough kills. Some 15 minutes."""
    generator = np.random.default_rng(11)
    sweep = (
        *SETTINGS, "objective=softmax,hierarchical_softmax,negative_sampling", "optimizer=sgd,adam,lazy_momentum",
        "-m", "labels=streamed", "order=shuffled", "subsampling=word2vec", "subsampling.threshold=0.01",
        "batch_size=32", "learning_rate=0.003", "epochs=16", "checkpoint.every=0.01s", "resume=true",
    )  # fmt: skip
    kills, seed = 0, 0
    while kills < KILLS:
        started = time.monotonic()
        whole = process_command(*sweep, f"seed={seed}", "tracking.experiment=whole")
        seconds = time.monotonic() - started  # as fast as the machine is now
        assert whole.returncode == 0, whole.stderr
        while (done := process_command(
            *sweep, f"seed={seed}", "tracking.experiment=killed",
            killed_after=generator.uniform(0, 1) * seconds if kills < KILLS else None,
        )).returncode:  # fmt: skip
            assert done.returncode == -signal.SIGKILL, done.stderr
            kills += 1
        seed += 1
    whole, killed = (finished_by_settings(client, experiment) for experiment in ("whole", "killed"))
    assert len(whole) == 9 * seed
    assert killed.keys() == whole.keys()
    continued = [run for run in killed.values() if "continued" in run.data.tags]
    print(f"{kills} kills, {len(continued)} of {len(killed)} runs have gone on from a checkpoint")
    assert continued  # else nothing was shown
    for settings, run in killed.items():
        assert embeddings_of(run) == embeddings_of(whole[settings])
        assert logged_by(client, run) == logged_by(client, whole[settings])
        assert_no_point_is_stored_twice(client, run)


def finished_by_settings(client: MlflowClient, experiment: str) -> dict[tuple[str, ...], Any]:
    """Return the finished runs of a sweep by what was swept; each must be there once."""
    found: dict[tuple[str, ...], Any] = {}
    for run in client.search_runs(
        [client.get_experiment_by_name(experiment).experiment_id], "status = 'FINISHED'", max_results=1000
    ):
        if run.data.tags.get("kind") == "summary":
            continue
        settings = tuple(run.data.params[key] for key in ("objective", "optimizer", "seed"))
        assert settings not in found
        found[settings] = run
    return found
