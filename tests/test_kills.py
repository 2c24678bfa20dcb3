"""Commands that are killed at random moments leave a folder in which the same command ends with the same bytes.

W2V_EXP_KILLS (200) is how many kills there are in all; some 30 minutes on two cores.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from processes import environment

KILLS = int(os.environ.get("W2V_EXP_KILLS", "200"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SMALL = (
    "epochs=60", "dim=4", "checkpoint.every=20 epochs", "tracking.plots=false", "explorer=none", "resume=true",
)  # fmt: skip
SWEEP = (*SMALL, "seed=1,2", "-m")
JOBLIB = (*SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
COMMANDS = {
    "first": SMALL,
    "sweep": SWEEP,
    "joblib": JOBLIB,
    "folder": (*JOBLIB, "hydra.sweep.dir=sweep"),  # of the user's own: every command finds what others have left
    "search": (
        *SMALL, "-m", "hydra/sweeper=optuna", "learning_rate=interval(0.1,1)",
        "hydra.sweeper.n_trials=3", "hydra.sweeper.study_name=kills", "hydra.sweeper.metric=cost",
    ),
}  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")]


class Started:
    """A command in a session of its own, with the signals of one in the foreground of a terminal."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self.output = folder / "output.log"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "w2v_exp", *arguments],
                cwd=folder, env=environment(MLFLOW_DISABLE_TELEMETRY="true"), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def end(self) -> int:
        """Wait for the command and all processes that it has started, and return its exit code."""
        code = self.process.wait()
        while self._is_group_alive():
            time.sleep(0.05)
        return code

    def _is_group_alive(self) -> bool:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, group, *_ = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(group) == self.process.pid and state != "Z":
                return True
        return False


def embeddings_in(folder: Path) -> set[bytes]:
    """Return the embeddings of all finished runs in the store of a folder."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        runs = database.execute("SELECT artifact_uri FROM runs WHERE status = 'FINISHED'").fetchall()
    files = [Path(uri.removeprefix("file://")) / "embeddings.npz" for (uri,) in runs]
    return {file.read_bytes() for file in files if file.exists()}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_folder_is_usable_after_kills_at_random_moments(kind: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    started = time.monotonic()
    command = Started(COMMANDS[kind], whole)
    assert command.end() == 0, command.output.read_text()
    seconds = time.monotonic() - started
    expected = embeddings_in(whole)
    assert len(expected) == {"first": 1, "search": 3}.get(kind, 2)
    generator = np.random.default_rng([*kind.encode()])
    kills = rounds = 0
    while kills < KILLS / len(COMMANDS):
        folder = tmp_path / f"round{rounds}"
        folder.mkdir()
        rounds += 1
        for _ in range(3):  # of one folder, each of which may find what the one before it has left
            number = SIGNALS[int(generator.integers(len(SIGNALS)))]
            command = Started(COMMANDS[kind], folder)
            try:
                command.process.wait(generator.uniform(0, seconds))
                break  # it was faster
            except subprocess.TimeoutExpired:
                command.process.send_signal(number)
                command.end()
                kills += 1
        command = Started(COMMANDS[kind], folder)
        code = command.end()
        output = command.output.read_text()
        assert code == 0, output
        assert "Traceback" not in output, output
        assert embeddings_in(folder) == expected, output
        assert not list(folder.glob("outputs/checkpoints/*")), output
    print(f"{kind}: {kills} kills in {rounds} folders")
