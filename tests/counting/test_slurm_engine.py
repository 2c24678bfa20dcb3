"""Tasks of counting on a real Slurm of two nodes, on loopback: see tests/services/slurm_on_loopback.sh."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from line_counting import counts, make_texts, starts
from processes import environment

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "services" / "slurm_on_loopback.sh"
PROGRAM = Path(__file__).with_name("line_counting.py")
# In the shell: $driver is the process of `count`, in the background.
WAIT_FOR_COUNTS = 'counted() { until [ "$(ls counts | wc -l)" -ge "$1" ]; do sleep 0.1; done; }; counted'
EMPTY_QUEUE = '[ -z "$(squeue --noheader)" ]'


def count(folder: Path, **settings: object) -> str:
    """Return the command of a driver."""
    return shlex.join([sys.executable, str(PROGRAM), str(folder), "slurm", json.dumps(settings)])


def on_slurm(script: str, folder: Path, seconds: float = 240.0) -> subprocess.CompletedProcess[str]:
    """Execute lines of the shell with a cluster of two nodes."""
    return subprocess.run(
        [SCRIPT, "bash", "-c", script],
        cwd=folder,
        env=environment(NODES="2", PYTHONPATH=f"{ROOT}:{PROGRAM.parent}"),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def test_tasks_are_executed_once_on_all_nodes(tmp_path: Path) -> None:
    make_texts(tmp_path, 13)
    done = on_slurm(count(tmp_path, tasks_per_job=2, seconds=0.3), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(map(int, done.stdout.split())) == list(range(13))
    assert counts(tmp_path) == list(range(13))
    assert starts(tmp_path) == [1] * 13
    nodes = {line for file in (tmp_path / "nodes").iterdir() for line in file.read_text().split()}
    assert nodes == {"node1", "node2"}
    assert list((tmp_path / "engine" / "slurm").iterdir()) == []


@pytest.mark.parametrize("cores", [1, 2])
def test_tasks_of_jobs_that_die_are_given_to_others(cores: int, tmp_path: Path) -> None:
    make_texts(tmp_path, 8)
    done = on_slurm(count(tmp_path, cpus_per_task=cores, deaths={"0002": 1}), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert counts(tmp_path) == list(range(8))
    assert starts(tmp_path) == [1, 1, 2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ("kill", "counting=slurm: 3 jobs died in count_lines (job "),
        ("mistake", "corpus.path=x: cannot be read.\n"),
        ("defect", "ZeroDivisionError: an error of the code (the job ended with an error; see "),
    ],
)
def test_a_task_that_fails_finally_is_one_line(ends: str, message: str, tmp_path: Path) -> None:
    make_texts(tmp_path, 4)
    done = on_slurm(
        f"{count(tmp_path, tasks_per_job=1, deaths={'0001': 9}, ends=ends)}; code=$?; sleep 2; "
        f"{EMPTY_QUEUE} && exit $code",
        tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert counts(tmp_path) == [0, 2, 3]


def test_tasks_of_a_node_that_fails_go_to_the_other_one(tmp_path: Path) -> None:
    make_texts(tmp_path, 12)
    fails = (
        "kill -KILL $(cat $(dirname $SLURM_CONF)/slurmd.node1.pid); "
        "scontrol update nodename=node1 state=down reason=test"
    )
    command = count(tmp_path, tasks_per_job=3, seconds=1.0)
    done = on_slurm(f"{command} 2> errors & driver=$!; {WAIT_FOR_COUNTS} 2; {fails}; wait $driver", tmp_path)
    assert (done.returncode, (tmp_path / "errors").read_text()) == (0, "")
    assert counts(tmp_path) == list(range(12))


def test_jobs_are_cancelled_with_the_driver(tmp_path: Path) -> None:
    make_texts(tmp_path, 12)
    command = count(tmp_path, tasks_per_job=2, seconds=1.0)
    done = on_slurm(
        f"{command} & driver=$!; {WAIT_FOR_COUNTS} 2; kill -TERM $driver; wait $driver; code=$?; "
        f"until {EMPTY_QUEUE}; do sleep 0.1; done; exit $code",
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (130, "")
    assert 2 <= len(counts(tmp_path)) < 12


def test_a_driver_that_is_killed_is_continued_by_the_next_one(tmp_path: Path) -> None:
    make_texts(tmp_path, 12)
    slow, quick = count(tmp_path, tasks_per_job=3, seconds=1.0), count(tmp_path, tasks_per_job=3)
    note = "ls counts > finished; for name in $(cat finished); do wc -l < starts/$name; done > before"
    done = on_slurm(
        f"{slow} & driver=$!; {WAIT_FOR_COUNTS} 3; kill -KILL $driver; wait $driver; {note}; {quick}",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert counts(tmp_path) == list(range(12))
    finished = [int(name) for name in (tmp_path / "finished").read_text().split() if name.isdecimal()]
    assert len(finished) >= 3
    assert [starts(tmp_path)[index] for index in finished] == [1] * len(finished)
    assert list((tmp_path / "engine" / "slurm").iterdir()) == []


def test_a_job_whose_time_is_nearly_over_leaves_its_tasks_to_another(tmp_path: Path) -> None:
    make_texts(tmp_path, 6)
    command = count(tmp_path, tasks_per_job=6, seconds=1.0)
    signalled = "scancel --signal=USR2 --full $(squeue --noheader --format=%A)"  # as Slurm before the limit
    done = on_slurm(f"{command} & driver=$!; {WAIT_FOR_COUNTS} 2; {signalled}; wait $driver", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert counts(tmp_path) == list(range(6))
    assert sum(starts(tmp_path)) in (6, 7)


def test_jobs_that_slurm_rejects_are_one_line(tmp_path: Path) -> None:
    make_texts(tmp_path, 2)
    done = on_slurm(count(tmp_path, partition="nowhere"), tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("counting=slurm: Slurm rejects the jobs. sbatch: error: invalid")
    assert done.stderr.count("\n") == 1
