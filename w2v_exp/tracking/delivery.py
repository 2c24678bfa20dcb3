"""The delivery of what is pending to a store that may be slow, locked, full or away."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING

from w2v_exp.tracking.faults import PATIENCE_SECONDS, PAUSE_SECONDS, is_passing
from w2v_exp.tracking.pending import FILE, Pending
from w2v_exp.tracking.problems import problem_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

WAIT_SECONDS = 5.0  # for a store that is slow; then training goes on, and the delivery beside it


class Delivery:
    """Brings to the store what is pending of a run, in a thread, so that no store keeps training waiting for long.

    As long as the store answers, `send` returns when all is delivered: nothing runs beside training. What the store
    does not take is kept in a file of the run's folder until it does.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Connected to the store.
    pending : Pending
        May be added to at any time.
    folder : Path
        The run's folder.
    """

    def __init__(self, client: MlflowClient, pending: Pending, folder: Path) -> None:
        self._client = client
        self._pending = pending
        self._folder = folder
        self._thread: Thread | None = None
        self._problem: Exception | None = None
        self._told = False

    def send(self, wait: float | None = None) -> bool:
        """Deliver what is pending, unless a delivery is under way; return whether nothing is left.

        A delivery that begins is waited for `wait` seconds at the most (None: `WAIT_SECONDS`), one that was under way
        only if a number is given.
        """
        began = self._thread is None
        if self._thread is None:
            self._thread = Thread(target=self._deliver, daemon=True)
            self._thread.start()
        self._thread.join(wait if wait is not None else WAIT_SECONDS * began)
        if self._thread.is_alive():
            self._keep()
            return False
        self._thread = None
        if self._problem:
            self._keep()
            return False
        if not self._pending:
            self._forget()
        return not self._pending

    def finish(self, wait: float = PATIENCE_SECONDS) -> str:
        """Deliver what is pending, and go on trying for some time; return why not, in a line, if that was in vain.

        Then all of it is in the run's folder. A fault that no waiting mends, as a full disk, is not waited for.
        """
        until = monotonic() + wait
        try:
            while not self.send(max(until - monotonic(), 0)):
                if monotonic() >= until or self._is_lasting:
                    break
                if self._problem:
                    sleep(PAUSE_SECONDS)
            else:
                return ""
        except BaseException:  # whoever interrupts this waiting has had enough of it
            self._write()
            raise
        if self._is_lasting and self._pending.run_id:
            with suppress(Exception):  # what the store does not take now is told with the rest
                self._pending.mark_incomplete(self._client, self._why)
        self._write()
        return self._why

    @property
    def _is_lasting(self) -> bool:
        return self._problem is not None and not is_passing(self._problem)

    @property
    def _why(self) -> str:
        return problem_of(self._problem) if self._problem else "it does not answer"

    def _deliver(self) -> None:
        try:
            self._problem = None
            self._pending.deliver(self._client, self._folder)
        except Exception as error:
            # Whatever a store is made of (SQLAlchemy, a web client, a file system, …) raises errors of its own.
            self._problem = error

    def _keep(self) -> None:
        self._write()
        if not self._told:
            place = self._folder / FILE
            self._say(
                f"The store cannot be written now ({self._why}); what it is to be told is kept in {place}."
            )
        self._told = True

    def _write(self) -> None:
        try:
            self._pending.write(self._folder)
        except OSError as error:
            self._say(f"{self._folder / FILE} cannot be written ({error.strerror or error}).")

    def _forget(self) -> None:
        with suppress(OSError):
            (self._folder / FILE).unlink()
        if self._told:
            self._say("The store has been told all that was kept.")
        self._told = False

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr)
