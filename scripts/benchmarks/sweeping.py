"""What surviving and explaining cost: a sweep with and without them, a page of many runs, a look-up among many."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from benchmarks.child import CHECKOUT
from benchmarks.measure import Bar
from w2v_exp.reporting.comparison import compare
from w2v_exp.reporting.summary_page import Asked, write_summary_page
from w2v_exp.runs import RunResult
from w2v_exp.tracking.history import FINGERPRINT, earlier_runs
from w2v_exp.tracking.store import open_store

SWEEP = ("window=3,5", "dim=10,50", "-m")  # that of `make sweep`
WITH = ("resume=true", "checkpoint=regular", "explorer=auto")
WITHOUT = ("resume=false", "checkpoint=none", "explorer=none")
OVERHEAD = 15.0  # percent of the sweep's time, at the most
PAGE_SECONDS, PAGE_MEGABYTES = 5.0, 1.0
LOOK_UP_SECONDS = 1.0
SCORES = ("wordsim353", "simlex999", "analogies", "validation_cost", "pairs_per_second", "cost_gap")


def sweeping(
    *, epochs: int | None = None, page_runs: int = 200, stored_runs: int = 10_000, repeats: int = 5
) -> list[Bar]:
    """Measure all three; the sweep with its own number of epochs if none is given."""
    return [overhead(epochs, repeats), *page_of_many_runs(page_runs), look_up(stored_runs)]


def overhead(epochs: int | None, repeats: int) -> Bar:
    """Compare the default sweep with one that neither resumes, keeps checkpoints nor makes pages of its runs.

    Both make the sweep's own page; what that takes is counted as overhead, too. Whole commands in turns, on the clock.
    """
    shares = []
    for repeat in range(repeats + 1):
        bare, _ = _sweep(WITHOUT, epochs)
        whole, page = _sweep(WITH, epochs)
        if repeat:  # the first one may compile modules, and fills the system's cache of files
            shares.append(100 * (whole - bare + page) / (bare - page))
    return Bar(
        "the default sweep: what surviving and explaining add", statistics.median(shares), "%", OVERHEAD
    )


def _sweep(settings: Sequence[str], epochs: int | None) -> tuple[float, float]:
    """Return the seconds of a sweep in an empty folder, and those in which its page is made once more."""
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        command = [sys.executable, "-m", "w2v_exp", *SWEEP, *settings]
        if epochs is not None:
            command.append(f"epochs={epochs}")
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        began = perf_counter()
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        taken = perf_counter() - began
        return taken, _page_seconds(runs_of_grid(4, points=500), Path(folder))


def page_of_many_runs(count: int) -> list[Bar]:
    """Measure the page of a sweep of many runs with 500 points and six scores each."""
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        seconds = statistics.median(_page_seconds(runs_of_grid(count), Path(folder)) for _ in range(3))
        megabytes = (Path(folder) / "page.html").stat().st_size / 1e6
    what = f"the page of {count} runs with 500 points each"
    return [Bar(what, seconds, "s", PAGE_SECONDS), Bar("  its size", megabytes, "MB", PAGE_MEGABYTES)]


def runs_of_grid(count: int, points: int = 500) -> list[RunResult]:
    """Return runs of five windows, of as many dims as it takes, and two seeds, with scores from a generator."""
    generator = np.random.default_rng(0)
    runs = []
    for number in range(count):
        swept = {"window": str(number // 2 % 5), "dim": str(number // 10)}
        metrics = {name: generator.random() for name in (*SCORES, "information_explained", "peak_memory_mb")}
        curves = {"cost": [(10 * epoch, generator.random()) for epoch in range(points)]}
        name = " ".join(f"{key}={value}" for key, value in swept.items())
        runs.append(RunResult(name, swept, number % 2, "FINISHED", "", metrics, curves, "epochs", ""))
    return runs


def _page_seconds(runs: list[RunResult], folder: Path) -> float:
    began = perf_counter()
    write_summary_page(compare(runs), Asked("a sweep", "w2v-exp …"), folder / "page.html")
    return perf_counter() - began


def look_up(count: int) -> Bar:
    """Measure how long a run is looked up by its fingerprint in a store of many: the slowest of a hundred."""
    with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
        store = open_store(f"sqlite:///{folder}/mlflow.db", "w2v_exp")
        for number in range(count):
            run = store.client.create_run(store.experiment_id, tags={FINGERPRINT: f"{number:032x}"})
            store.client.set_terminated(run.info.run_id)
        seconds = []
        for number in np.linspace(0, count - 1, 100).astype(int):
            began = perf_counter()
            found = earlier_runs(store, f"{number:032x}")
            seconds.append(perf_counter() - began)
            if len(found.finished) != 1:
                raise ArithmeticError(f"{len(found.finished)} runs of fingerprint {number:032x} were found.")
    return Bar(f"looking a run up among {count:,}", max(seconds), "s", LOOK_UP_SECONDS)
