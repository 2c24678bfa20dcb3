"""Whole commands, from the start of Python to their end: single runs, sweeps, queries."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.measure import Bar

SWEEP = ("window=3,5", "dim=10,50", "-m")  # that of `make sweep`
WITH = ("resume=true", "checkpoint=regular", "explorer=auto")
WITHOUT = ("resume=false", "checkpoint=none", "explorer=none")
TINY_RUN = ("window=2", "dim=4", "epochs=3", "probes=[]", "explorer=none", "tracking.plots=false")

OURS = (sys.executable, "-m", "w2v_exp")
BY_HAND = (sys.executable, str(Path(__file__).with_name("by_hand.py")))
IMPORTS = (sys.executable, "-c", "import hydra, numpy")


def start_of_a_run(*, repeats: int = 11) -> list[Bar]:
    """Measure the processor time of a run of one epoch without tracking, and of the imports that it needs."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = [(*OURS, "tracking=none", "epochs=1"), IMPORTS]
        seconds = _alternate(kinds, [folder, folder], repeats, processor_seconds)
    run, imports = map(statistics.median, seconds)
    note = f"{imports:.2f} s → {run:.2f} s"
    return [
        Bar("w2v-exp tracking=none epochs=1: processor time", run, "s", 1),
        Bar("… of that of `import hydra, numpy`", run / imports, "×", 2, 1.5, note=note),
    ]


def sweeps(*, epochs: int | None = None, runs: int = 16, repeats: int = 5) -> list[Bar]:
    """Measure sweeps against a script written by hand, and a query, by wall time.

    Both sides have a store of their own, made by an earlier sweep (*warm*) or not made yet (*first*).

    Parameters
    ----------
    epochs : int, optional
        Of the default sweep; None: its own number.
    runs : int
        Number of tiny runs.
    repeats : int
        Number of repeats.
    """
    default = (*SWEEP, *([f"epochs={epochs}"] if epochs else []))
    tiny = (f"seed=range(0,{runs})", "epochs=10", "-m")
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        folders = [ours, theirs]
        bars = [
            _ratio("the default sweep, warm store: of by hand", default, folders, repeats, (0.9, 0.6)),
            _ratio(f"{runs} tiny runs, warm store: of by hand", tiny, folders, repeats, (0.7, 0.4)),
        ]
        query = (*OURS, "ask", "neighbours", "latest", "market")
        (seconds,) = _alternate([query], [ours], repeats, wall_seconds)
        bars.append(Bar("w2v-exp ask neighbours latest", statistics.median(seconds), "s", 0.8))
    bars.append(_ratio("a first sweep: of by hand", default, None, repeats, (0.9, 0.6)))
    return [*bars, sweep_overhead(epochs=epochs, repeats=repeats)]


def _ratio(
    what: str,
    arguments: Sequence[str],
    folders: Sequence[str] | None,
    repeats: int,
    bounds: tuple[float, float],
) -> Bar:
    kinds = [(*OURS, *arguments), (*BY_HAND, *arguments)]
    ours, theirs = map(statistics.median, _alternate(kinds, folders, repeats, wall_seconds))
    return Bar(what, ours / theirs, "×", *bounds, note=f"{theirs:.1f} s → {ours:.1f} s")


def sweep_overhead(*, epochs: int | None = None, repeats: int = 5) -> Bar:
    """Measure by how much resume, checkpoints and explorers prolong the default sweep, by wall time."""
    default = (*OURS, *SWEEP, *([f"epochs={epochs}"] if epochs else []))
    kinds = [(*default, *WITHOUT), (*default, *WITH)]
    without, with_all = _alternate(kinds, None, repeats, wall_seconds)
    shares = [100 * (more / less - 1) for less, more in zip(without, with_all, strict=True)]
    return Bar("the default sweep: resume, checkpoints and explorers", statistics.median(shares), "%", 15)


def many_runs(*, runs: int = 1000) -> Bar:
    """Measure a sweep of tiny runs on two of joblib's processes, by wall time."""
    command = (
        *OURS,
        *TINY_RUN,
        f"seed=range(0,{runs})",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "-m",
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds = wall_seconds(command, folder)
    return Bar(f"{runs:,} tiny runs on joblib, two processes", seconds, "s", 220, 120)


def _alternate(
    kinds: Sequence[Sequence[str]],
    folders: Sequence[str] | None,
    repeats: int,
    measure: Callable[[Sequence[str], str], float],
) -> list[list[float]]:
    """Return the seconds of each command by repeat, after one that is not counted: it may compile modules.

    Without folders, every command gets an empty one.
    """
    seconds: list[list[float]] = [[] for _ in kinds]
    for repeat in range(repeats + 1):
        for number, command in enumerate(kinds):
            folder = folders[number] if folders else tempfile.mkdtemp()
            taken = measure(command, folder)
            if folders is None:
                shutil.rmtree(folder)
            if repeat:
                seconds[number].append(taken)
    return seconds


def wall_seconds(command: Sequence[str], folder: str) -> float:
    """Return the seconds that a command takes in a folder."""
    began = perf_counter()
    _run(command, folder)
    return perf_counter() - began


def processor_seconds(command: Sequence[str], folder: str) -> float:
    """Return the seconds of processor time that a command and the processes that it starts take in a folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(command, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(command: Sequence[str], folder: str) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
