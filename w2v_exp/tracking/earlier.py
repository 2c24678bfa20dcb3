"""The runs of a fingerprint that the store has already: which of them have finished, which are alive."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from w2v_exp.files import is_locked
from w2v_exp.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

FINGERPRINT = "fingerprint"
HOST = "host"
FOLDER = "hydra_output"
HEARTBEAT = "heartbeat"
LOCK = "running.lock"  # in a run's folder, held by the process that runs it
BEAT_SECONDS = 60.0
DEAD_AFTER_SECONDS = 900.0  # without a beat; some work before and after training takes minutes


@dataclass(frozen=True)
class EarlierRuns:
    """The runs of one fingerprint in the store, each list the latest first.

    Parameters
    ----------
    finished : list of mlflow.entities.Run
        They need not be done again.
    alive : list of mlflow.entities.Run
        They are running somewhere.
    dead : list of mlflow.entities.Run
        They failed, were killed, or their process is gone.
    """

    finished: list[Run] = field(default_factory=list)
    alive: list[Run] = field(default_factory=list)
    dead: list[Run] = field(default_factory=list)


def earlier_runs(store: Store, fingerprint: str) -> EarlierRuns:
    """Look the runs of a fingerprint up in the store's experiment: one query, by a tag that the store has an index of.

    Deleted runs are not among them.
    """
    found = store.client.search_runs(
        [store.experiment_id],
        f"tags.{FINGERPRINT} = '{fingerprint}'",
        order_by=["attributes.start_time DESC"],
    )
    runs = EarlierRuns()
    for run in found:
        if run.info.status == "FINISHED":
            runs.finished.append(run)
        elif run.info.status == "RUNNING" and is_alive(run):
            runs.alive.append(run)
        else:
            runs.dead.append(run)
    return runs


def is_alive(run: Run) -> bool:
    """Return whether a run that the store has as running is: a process that was killed has told nobody.

    A run of this machine holds a lock on a file in its folder, which the system frees whatever ends it. One of
    another machine, or whose folder is not seen from here, is alive if it has beaten in the last quarter of an hour.
    """
    tags = run.data.tags
    if tags.get(HOST) == socket.gethostname():
        with suppress(OSError):  # there is no such file, or it is another user's who lets nobody read it
            return is_locked(Path(tags.get(FOLDER, "")) / LOCK)
    return time() - _last_beat(tags, run.info.start_time / 1000) < DEAD_AFTER_SECONDS


def process_tags(folder: Path) -> dict[str, str]:
    """Return the tags by which `is_alive` knows the process that runs in this folder."""
    return {HOST: socket.gethostname(), FOLDER: str(folder.absolute()), HEARTBEAT: str(int(time()))}


def _last_beat(tags: Mapping[str, str], started: float) -> float:
    beat = tags.get(HEARTBEAT, "")
    return float(beat) if beat.isdecimal() else started
