"""A thousand runs in one sweep: none is lost, no figure of any, and memory stays what it was."""

from __future__ import annotations

import sqlite3
import subprocess
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from sweeps import end_group, start

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
]
RUNS = 1000
GROWTH_MB = 20.0
TINY = ["window=2", "dim=4", "epochs=3", "probes=[]", "explorer=none", "tracking.plots=false"]


class Sample(NamedTuple):
    """Resident memory after so many runs, in units of 10⁶ bytes: of the sweep's process, and of its largest worker."""

    done: int
    launcher: float
    worker: float


def resident(process: int | str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS"))


def sample(process: int, folder: Path) -> Sample:
    workers = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    done = sum(1 for _ in folder.glob("outputs/sweeps/*/*/result.json"))
    return Sample(done, resident(process), max(map(resident, workers), default=0.0))


def watched(process: subprocess.Popen[str], folder: Path) -> list[Sample]:
    """Return the memory of a sweep while it lasts."""
    samples = []
    while True:
        try:
            said, errors = process.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            with suppress(OSError, StopIteration):  # a process that ends meanwhile
                samples.append(sample(process.pid, folder))
            continue
        assert process.returncode == 0, errors
        assert f"{RUNS:,} finished runs" in said
        return samples


def growth(samples: list[Sample], whose: str) -> float:
    """Return by how much the last hundred runs take more than the second hundred."""
    early = [getattr(each, whose) for each in samples if 100 <= each.done < 200]
    late = [getattr(each, whose) for each in samples if RUNS - 100 <= each.done < RUNS]
    assert early
    assert late
    return max(late) - max(early)


@pytest.mark.usefixtures("starts_processes")
def test_a_thousand_runs_lose_nothing_and_take_no_more_memory_than_a_hundred(
    tmp_path: Path, store: Path
) -> None:
    process = start(f"seed=range(0,{RUNS})", *TINY, "hydra/launcher=joblib", "-m", folder=tmp_path)
    try:
        samples = watched(process, tmp_path)
    finally:
        end_group(process)
    with closing(sqlite3.connect(store)) as database:
        finished = database.execute(
            "SELECT p.value FROM runs r JOIN params p USING (run_uuid) WHERE r.status = 'FINISHED' AND p.key = 'seed'"
        )
        seeds = sorted(int(value) for (value,) in finished)
        of_runs: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for run, key, step in database.execute(
            "SELECT run_uuid, key, step FROM metrics ORDER BY run_uuid, key, step"
        ):
            of_runs[run].append((key, step))
    assert seeds == list(range(RUNS))
    steps, *others = of_runs.values()
    assert [step for key, step in steps if key == "cost"] == [0, 1, 2]
    assert {"information_explained", "neighbour_precision", "peak_memory_mb", "learning_rate"} <= {
        key for key, _ in steps
    }
    assert len(others) == RUNS - 1
    assert all(each == steps for each in others)
    for each in samples[:: max(1, len(samples) // 40)]:
        print(*each)  # to be seen with -s
    assert growth(samples, "launcher") < GROWTH_MB
    assert growth(samples, "worker") < GROWTH_MB
