"""A sweep through a real Slurm, on loopback: see tests/services/slurm_on_loopback.sh."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from processes import environment
from sweeps import processes_that_hold, runs_of, wait_for

pytestmark = pytest.mark.slurm
SCRIPT = Path(__file__).parents[2] / "tests" / "services" / "slurm_on_loopback.sh"
LONG = "100000000"  # epochs that nobody waits for


def on_slurm(*arguments: str, folder: Path, beside: str = ":") -> subprocess.Popen[str]:
    """Start a sweep with a cluster of its own; `beside` is a line of the shell that runs meanwhile."""
    command = [sys.executable, "-m", "w2v_exp", *arguments]
    if "-m" not in arguments:
        command += ["hydra/launcher=submitit_slurm", "tracking.plots=false", "-m"]
    return subprocess.Popen(
        [SCRIPT, "bash", "-c", f'"$@" & sweep=$!; ({beside}) &> /dev/null & wait $sweep', "bash", *command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_sweep_on_slurm_is_the_sweep_of_the_basic_launcher(
    tmp_path: Path, empty_store: Path, _forking: Any
) -> None:
    from test_launchers import SWEEP, facts, summary

    told = []
    for launcher in ("basic", "submitit_slurm"):
        folder = tmp_path / launcher
        folder.mkdir()
        shutil.copy(empty_store, folder / "mlflow.db")
        if launcher == "basic":
            done = _forking.run(*SWEEP, folder=folder)
            assert done.returncode == 0, done.stderr
        else:
            process = on_slurm(*SWEEP, f"hydra/launcher={launcher}", folder=folder)
            said, errors = process.communicate()
            assert process.returncode == 0, errors + said
        told.append((facts(folder), summary(folder)))
    assert told[0] == told[1]


def test_replicates_on_slurm_are_those_of_the_basic_launcher(tmp_path: Path, _forking: Any) -> None:
    found = []
    for launcher in ("basic", "submitit_slurm"):
        folder = tmp_path / launcher
        (folder / "texts").mkdir(parents=True)
        for number in range(12):
            words = [f"w{(number * place) % 7}" for place in range(40)]
            (folder / "texts" / f"{number:02}.txt").write_text(" ".join(words))
        sweep = [
            *("corpus=file", "corpus.path=texts", "labels=counts", "dim=2,3", "epochs=2", "bootstrap=3"),
            *("explorer=none", "tracking=none", f"hydra/launcher={launcher}", "-m"),
        ]
        if launcher == "basic":
            done = _forking.run(*sweep, folder=folder)
            assert done.returncode == 0, done.stderr
        else:
            process = on_slurm(*sweep, folder=folder)
            said, errors = process.communicate()
            assert process.returncode == 0, errors + said
        files = sorted(folder.glob("outputs/sweeps/*/*/artifacts/replicates/*.npz"))
        found.append([file.read_bytes() for file in files])
    assert len(found[0]) == 6
    assert found[0] == found[1]


def once_training(number: int, command: str) -> str:
    """Return a line of the shell that gives a command once a run trains."""
    there = f"compgen -G 'outputs/sweeps/*/{number}/artifacts/vocabulary.tsv'"
    return f"while kill -0 $sweep && ! {there}; do sleep 0.1; done; sleep 2; {command}"


@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_a_job_that_is_killed_takes_its_run_along_and_no_other(way: str, tmp_path: Path, store: Path) -> None:
    process = on_slurm(f"epochs=5,{LONG},6", folder=tmp_path)
    wait_for(
        lambda: (
            process.poll() is not None or list(tmp_path.glob("outputs/sweeps/*/1/artifacts/vocabulary.tsv"))
        ),
        "the long run",
    )
    (folder,) = tmp_path.glob("outputs/sweeps/*/1")
    (worker,) = processes_that_hold(folder / "running.lock")
    os.kill(worker, signal.SIGKILL if way == "kill" else signal.SIGTERM)
    said, errors = process.communicate()
    assert process.returncode == 1, errors + said
    runs = runs_of(f"sqlite:///{store}")
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {"epochs=5": "FINISHED", f"epochs={LONG}": "KILLED", "epochs=6": "FINISHED"}
    reason = runs[f"epochs={LONG}"].data.tags["reason"]
    assert "FAILED" in reason if way == "kill" else reason == "interrupted"


def test_a_run_whose_time_is_nearly_over_writes_down_what_it_has(tmp_path: Path, store: Path) -> None:
    slurm = ["hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=30"]
    process = on_slurm(f"epochs={LONG},5", *slurm, folder=tmp_path)
    said, errors = process.communicate()
    assert process.returncode == 1, errors + said
    run = runs_of(f"sqlite:///{store}")[f"epochs={LONG}"]
    assert run.info.status == "KILLED"
    assert "timeout_min" in run.data.tags["reason"]
    assert "timeout_min" in said
    files = MlflowClient(f"sqlite:///{store}").list_artifacts(run.info.run_id)
    assert "embeddings.npz" in {file.path for file in files}


def test_a_job_that_is_queued_again_goes_on_in_the_same_run(tmp_path: Path, store: Path) -> None:
    """As after the failure of a node, or when another job has taken its place."""
    process = on_slurm(
        f"epochs={LONG},5",
        "stop.minutes=0.2",
        "checkpoint.every=1s",
        folder=tmp_path,
        beside=once_training(0, "scontrol requeue 1_0"),
    )
    said, errors = process.communicate()
    assert process.returncode == 0, errors + said
    client = MlflowClient(f"sqlite:///{store}")
    found = client.search_runs([client.get_experiment_by_name("w2v_exp").experiment_id])
    assert sorted(run.info.run_name for run in found) == [f"epochs={LONG}", "epochs=5", "summary: epochs"]
    run = runs_of(f"sqlite:///{store}")[f"epochs={LONG}"]
    assert (run.info.status, run.data.tags["continued"]) == ("FINISHED", "1")


def test_jobs_that_slurm_rejects_are_reported_in_its_words(tmp_path: Path, store: Path) -> None:
    process = on_slurm("dim=4,6", "hydra.launcher.partition=nowhere", folder=tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert errors.startswith("hydra/launcher=submitit_slurm: Slurm rejects the jobs. sbatch: error: invalid")


def test_slurm_is_asked_for_what_the_neediest_run_needs(tmp_path: Path, store: Path) -> None:
    process = on_slurm("dim=4,6", "threads=2", "epochs=2", folder=tmp_path)
    said, errors = process.communicate()
    assert process.returncode == 0, errors + said
    script = next(tmp_path.glob("outputs/sweeps/*/submitit/*/*_submission.sh"))
    assert "#SBATCH --cpus-per-task=2" in script.read_text()
    assert "#SBATCH --mem=308M" in script.read_text()
