"""Work in a process of its own, whose memory is sampled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from w2v_exp.errors import UserError

SCRIPTS = Path(__file__).parents[1]
CHECKOUT = SCRIPTS.parent
SECONDS_BETWEEN = 0.05


class Sample(NamedTuple):
    """Anonymous resident bytes of a process and those that it has started, at a time by `time.monotonic`."""

    time: float
    anonymous: int


class Outcome(NamedTuple):
    """What a process reported, and its memory over time."""

    report: dict[str, Any]
    samples: list[Sample]

    def highest(self, start: float = 0.0, stop: float = float("inf")) -> int:
        """Return the most anonymous memory, in bytes, between two times."""
        return max((one.anonymous for one in self.samples if start <= one.time <= stop), default=0)


def run_child(
    module: str,
    *arguments: str,
    memory: Callable[[int], int] | None = None,
    seconds_between: float = SECONDS_BETWEEN,
) -> Outcome:
    """Run a module of the scripts, which prints one line of JSON, and sample its memory until it ends.

    Parameters
    ----------
    module : str
        Its name, as ``benchmarks.counting``.
    *arguments : str
        Of its command line.
    memory : callable, optional
        What is sampled; default: `anonymous_memory`.
    seconds_between : float
        From one sample to the next.

    Raises
    ------
    UserError
        If it fails, with the last line of its errors.
    """
    paths = [str(SCRIPTS), str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    look, samples = memory or anonymous_memory, []
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment,
            stdout=output,
            stderr=errors,
        )
        try:
            while process.poll() is None:
                samples.append(Sample(monotonic(), look(process.pid)))
                try:
                    process.wait(seconds_between)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            lines = errors.read().strip().splitlines() or ["no message"]
            raise UserError(f"{module} ended with {process.returncode}: {lines[-1]}")
        return Outcome(json.loads(output.read()), samples)


def anonymous_memory(process: int | str) -> int:
    """Return the anonymous resident memory of a process and all that it has started, in bytes (Linux only)."""
    return sum(status_field("RssAnon", one) for one in _family(process))


def shared_out_memory(process: int | str = "self") -> int:
    """Return the same with shared memory, and what several processes share counted once (Linux only, slower)."""
    fields = ("Pss_Anon", "Pss_Shmem")
    return sum(_field("smaps_rollup", field, one) for one in _family(process) for field in fields)


def status_field(field: str, process: int | str = "self") -> int:
    """Return a field of a process's status in bytes, 0 where there is none any more (Linux only)."""
    return _field("status", field, process)


def _family(process: int | str) -> list[int | str]:
    """Return a process and all that it has started."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return [process]
    return [process, *(one for child in children for one in _family(child))]


def _field(file: str, field: str, process: int | str) -> int:
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def require_proc() -> None:
    """Raise `UserError` where processes cannot be looked at."""
    if not status_field("RssAnon"):
        raise UserError("Memory is measured by /proc/<process>/status, which this system does not have.")
