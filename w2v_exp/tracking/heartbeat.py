"""The heartbeat of a run: a tag that says, once a minute, that its process is alive."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from time import time

from w2v_exp.tracking.earlier import BEAT_SECONDS, HEARTBEAT


class Heartbeat:
    """Beats in a thread of its own, which ends with the process, however long an epoch takes.

    Parameters
    ----------
    set_tag : callable
        Writes a tag of the run. What it raises is a beat that is left out.
    every : float
        Seconds.
    """

    def __init__(self, set_tag: Callable[[str, str], None], every: float = BEAT_SECONDS) -> None:
        self._set_tag = set_tag
        self._every = every
        self._stopped = Event()
        Thread(target=self._beat, daemon=True).start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()

    def _beat(self) -> None:
        while not self._stopped.wait(self._every):
            with suppress(Exception):  # whatever a store raises that is away; the next beat will do
                self._set_tag(HEARTBEAT, str(int(time())))
