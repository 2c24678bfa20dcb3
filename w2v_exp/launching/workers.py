"""Runs in processes of this machine that stay for the next run (`hydra/launcher=joblib`).

The processes are those of joblib (its executor, loky). They start clean, receive functions from anywhere, and are
replaced when their memory grows from run to run. One executor of several processes ends them all where one is
killed; so each process has an executor of its own, and a lost process is one lost run.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress

from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

from w2v_exp.launching.engine import Ended
from w2v_exp.launching.orphan import end_with_parent
from w2v_exp.launching.task import OUTPUT_FILE, Task, perform_quietly
from w2v_exp.processes import HELD_BACK, interruptions_held_back

# One thread to begin with: a run sets the number of its own, and on many cores all others would only wait.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")


class Workers:
    """As many processes as there are runs at once; idle ones do the next."""

    def __init__(self) -> None:
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: dict[Future[None], tuple[ProcessPoolExecutor, Task]] = {}

    def start(self, tasks: Sequence[Task]) -> None:
        """Start these runs."""
        for task in tasks:
            future, worker = self._submit(task)
            self._busy[future] = worker, task

    def ended(self, patience: float) -> list[Ended]:
        """Return the runs that have ended; their processes are idle, or gone."""
        done, _ = wait(self._busy, timeout=patience, return_when=FIRST_COMPLETED)
        ended = []
        for future in done:
            worker, task = self._busy.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                worker.shutdown(kill_workers=True)
            else:
                self._idle.append(worker)
            ended.append(Ended(task, "" if error is None else _fate(error)))
        return ended

    def terminate(self) -> None:
        """Ask all runs to end."""
        for worker, _ in self._busy.values():
            for process in list(worker._processes):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)

    def close(self) -> None:
        """End all processes. Idle ones clean up first; the interpreter waits for them at its own end."""
        for worker in self._idle:
            worker.shutdown(wait=False)
        for worker, _ in self._busy.values():
            worker.shutdown(kill_workers=True)
        self._idle.clear()
        self._busy.clear()

    def _submit(self, task: Task) -> tuple[Future[None], ProcessPoolExecutor]:
        while True:
            # A process that starts meanwhile never sees Ctrl-C, or it would be interrupted twice.
            with interruptions_held_back():
                worker = self._idle.pop() if self._idle else _new_worker()
                try:
                    return worker.submit(perform_quietly, task), worker
                except BrokenProcessPool:  # it was killed while it was idle
                    worker.shutdown(kill_workers=True)


def _new_worker() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=1, initializer=_begin_worker, initargs=(os.getpid(),), env=ONE_THREAD
    )


def _begin_worker(parent: int) -> None:
    """Leave Ctrl-C and the end of the terminal to the parent, which sends SIGTERM, and end when it has died."""
    for number in HELD_BACK:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(parent)


def _fate(error: BaseException) -> str:
    """Return what has become of a worker, by the error that its executor tells."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if not isinstance(error, BrokenProcessPool):
        return f"{type(error).__name__}: {error}"
    found = re.search(r"exit codes of the workers are \{(\w+)", str(error))
    signal_name = found[1] if found else "unknown"
    if signal_name == "SIGKILL":
        return "its process was killed (SIGKILL); if nobody did, memory ran out"
    return f"its process ended without a word ({signal_name}); see {OUTPUT_FILE} in its folder"
