"""Work in a process of its own, whose memory is looked at while it lasts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from w2v_exp.errors import UserError

SCRIPTS = Path(__file__).parents[1]
CHECKOUT = SCRIPTS.parent
SECONDS_BETWEEN = 0.05


@dataclass(frozen=True)
class Sample:
    """Anonymous resident memory at a time.

    Parameters
    ----------
    time : float
        By the clock that all processes of the machine share, in seconds.
    anonymous : int
        Bytes, of the process and those that it has started.
    """

    time: float
    anonymous: int


@dataclass(frozen=True)
class Outcome:
    """What a process reported, and its memory over time."""

    report: dict[str, Any]
    samples: list[Sample]

    def highest(self, start: float = 0.0, stop: float = float("inf")) -> int:
        """Return the most anonymous memory, in bytes, between two times."""
        return max((one.anonymous for one in self.samples if start <= one.time <= stop), default=0)


def run_child(module: str, *arguments: str) -> Outcome:
    """Run a module of this package, which prints one line of JSON, and look at its memory until it ends.

    Raises
    ------
    UserError
        If it fails, with the end of what it said.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(CHECKOUT)])}
    samples = []
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            env=environment,
            stdout=output,
            stderr=errors,
        )
        try:
            while process.poll() is None:
                samples.append(Sample(monotonic(), anonymous_memory(process.pid)))
                try:
                    process.wait(SECONDS_BETWEEN)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            lines = errors.read().strip().splitlines() or ["nothing was said"]
            raise UserError(f"benchmarks.{module} ended with {process.returncode}: {lines[-1]}")
        return Outcome(json.loads(output.read()), samples)


def anonymous_memory(process: int) -> int:
    """Return the anonymous resident memory of a process and all that it has started, in bytes (Linux only)."""
    bytes_here = status_field("RssAnon", process)
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return bytes_here
    return bytes_here + sum(anonymous_memory(int(child)) for child in children)


def status_field(field: str, process: int | str = "self") -> int:
    """Return a field of a process's status in bytes, 0 where there is none any more (Linux only)."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def require_proc() -> None:
    """Raise `UserError` where processes cannot be looked at."""
    if not status_field("RssAnon"):
        raise UserError("Memory is measured by /proc/<process>/status, which this system does not have.")
