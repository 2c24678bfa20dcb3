"""A sweep through a real Slurm, on loopback: see scripts/slurm_on_loopback.sh."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import environment
from sweeps import runs_of, wait_for

pytestmark = pytest.mark.slurm
SCRIPT = Path(__file__).parents[2] / "scripts" / "slurm_on_loopback.sh"
LONG = "100000000"  # epochs that nobody waits for


def on_slurm(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SCRIPT, sys.executable, "-m", "w2v_exp", *arguments, "tracking.plots=false", "-m"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def process_of_run(number: int, folder: Path) -> int | None:
    """Return the process in which Slurm does a run of the sweep in a folder."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "cwd").readlink() != folder:
                continue
            variables = (place / "environ").read_bytes().split(b"\0")
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        of_run = b"SLURM_ARRAY_TASK_ID=%d" % number in variables and b"SLURM_PROCID=0" in variables
        if of_run and b"submitit.core._submit" in command and b"srun" not in command:
            return int(place.name)
    return None


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
            process = on_slurm(*SWEEP[:-2], f"hydra/launcher={launcher}", folder=folder)
            said, errors = process.communicate()
            assert process.returncode == 0, errors + said
        told.append((facts(folder), summary(folder)))
    assert told[0] == told[1]


@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_a_job_that_is_killed_takes_its_run_along_and_no_other(way: str, tmp_path: Path, store: Path) -> None:
    process = on_slurm(f"epochs=5,{LONG},6", "hydra/launcher=submitit_slurm", folder=tmp_path)
    wait_for(
        lambda: (
            process.poll() is not None or list(tmp_path.glob("outputs/sweeps/*/1/artifacts/vocabulary.tsv"))
        ),
        "the long run",
    )
    worker = process_of_run(1, tmp_path)
    assert worker, process.communicate() if process.poll() is not None else "no process of Slurm's"
    os.kill(worker, signal.SIGKILL if way == "kill" else signal.SIGTERM)
    said, errors = process.communicate()
    assert process.returncode == 1, errors + said
    runs = runs_of(f"sqlite:///{store}")
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {"epochs=5": "FINISHED", f"epochs={LONG}": "KILLED", "epochs=6": "FINISHED"}
    reason = runs[f"epochs={LONG}"].data.tags["reason"]
    assert "FAILED" in reason if way == "kill" else reason


def test_slurm_is_asked_for_what_the_neediest_run_needs(tmp_path: Path, store: Path) -> None:
    process = on_slurm("dim=4,6", "threads=2", "epochs=2", "hydra/launcher=submitit_slurm", folder=tmp_path)
    said, errors = process.communicate()
    assert process.returncode == 0, errors + said
    (script,) = tmp_path.glob("outputs/sweeps/*/submitit/submission_file_*.sh")
    assert "#SBATCH --cpus-per-task=2" in script.read_text()
    assert "#SBATCH --mem=307MB" in script.read_text()
