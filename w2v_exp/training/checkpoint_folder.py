"""The checkpoints of one training: a folder that belongs to whoever trains it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from w2v_exp.files import TAG, delete_own, make_own, try_lock
from w2v_exp.training.checkpoint import Checkpoint, DamagedCheckpointError, open_checkpoint, write_checkpoint
from w2v_exp.training.state import TrainingState

LATEST, PREVIOUS, DAMAGED, LOCK = "checkpoint.npz", "previous.npz", "damaged.npz", "lock"
_UNFINISHED = re.compile(rf"\.({re.escape(LATEST)}|{re.escape(TAG)})\.[0-9a-f]+")


class CheckpointFolder:
    """The last two checkpoints of a training, in a folder that one process has at a time.

    Its process holds a lock, which the system frees when the process ends, however it does.

    Parameters
    ----------
    path : Path
        The folder; made if need be.

    Attributes
    ----------
    is_ours : bool
        Whether this process has it. If not, another one has, and nothing is to be done with it from here.

    Raises
    ------
    OSError
        If the folder cannot be made or locked, or holds files that are not of w2v_exp.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _lock(path)
        self.is_ours = self._lock is not None
        if self.is_ours:
            try:
                make_own(path, besides=(LOCK,))
            except OSError:
                self._unlock()
                raise
            for unfinished in path.iterdir():  # of a process that was killed while it wrote
                if _UNFINISHED.fullmatch(unfinished.name):
                    unfinished.unlink()

    def write(self, state: TrainingState, notes: Mapping[str, Any]) -> None:
        """Write a checkpoint; the one before it stays beside it.

        Raises
        ------
        OSError
            If it cannot be written: what was there is still there.
        """
        latest = self.path / LATEST
        if latest.exists():
            latest.replace(self.path / PREVIOUS)
        write_checkpoint(latest, state, notes)

    def open(self, say: Callable[[str], None]) -> Checkpoint | None:
        """Return the last checkpoint, or the one before it if that is damaged; None if there is none.

        What is damaged is put aside, and told in a sentence.
        """
        for path in (self.path / LATEST, self.path / PREVIOUS):
            try:
                return open_checkpoint(path)
            except FileNotFoundError:
                continue
            except DamagedCheckpointError as error:
                path.replace(self.path / DAMAGED)
                say(f"The checkpoint {path} is damaged and left out ({error}).")
        return None

    def remove(self) -> None:
        """Delete it: the training is over. What cannot be deleted stays."""
        delete_own(self.path, (LATEST, PREVIOUS, DAMAGED, TAG, LOCK))  # the lock last: then it is another's
        self._unlock()

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint in it, as long as it is this process's."""
        return self.is_ours and any((self.path / name).exists() for name in (LATEST, PREVIOUS))

    def leave(self) -> bool:
        """Let others have it, and return whether there is a checkpoint in it. If there is none, it is deleted."""
        if self.has_checkpoint:
            self._unlock()
            return True
        self.remove()
        return False

    def _unlock(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None


def _lock(path: Path) -> IO[bytes] | None:
    """Return the lock of a folder, which is made; None if another process holds it."""
    while True:
        path.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its last holder has deleted it between the two
            return try_lock(path / LOCK)
