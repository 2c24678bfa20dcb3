"""Checkpoints: files, their folder, and when they are written."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import SettingError
from w2v_exp.files import TAG, delete_own, make_own, replacing, try_lock
from w2v_exp.training.trainer import EpochRecord, EpochSums, Trainer, TrainingState

# Raise by one whenever a checkpoint's arrays, description or notes mean something else: `tests/test_golden_runs.py`
# fails if one that was recorded is not resumed.
FORMAT_VERSION = 1
DESCRIPTION, DIGEST = "description", "digest"


class DamagedCheckpointError(Exception):
    """A file that is not what `write_checkpoint` has written."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Parameters
    ----------
    state : TrainingState
        What the training was. Its arrays are read when they are asked for, each time.
    notes : dict
        What others who watch the training have to remember, as they gave it.
    stream : file
        Where arrays are read from, until it is closed.
    """

    state: TrainingState
    notes: dict[str, Any]
    stream: IO[bytes]

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


def write_checkpoint(path: Path, state: TrainingState, notes: Mapping[str, Any]) -> None:
    """Write a file; it is at `path` when it is whole, and on the disk when this returns.

    It is an uncompressed archive of NumPy's (``.npz``) with the arrays of the state, and besides

    - ``description``: uint8, a JSON object with everything else, the format's version, and the arrays' names.
      Python's numbers in JSON, and read from it, are the same to the last bit.
    - ``digest``: uint8, SHA-256 of the description and of the arrays in the order of their names.

    Parameters
    ----------
    path : Path
        Where to.
    state : TrainingState
        What the training is.
    notes : mapping
        What belongs to it, of what JSON knows.

    Raises
    ------
    OSError
        If it cannot be written. What was at `path` before is still there.
    """
    description = json.dumps(_described(state, notes)).encode()
    arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
    digest = _digest(description, ((name, arrays[name]) for name in sorted(arrays)))
    arrays[DESCRIPTION] = np.frombuffer(description, np.uint8)
    arrays[DIGEST] = np.frombuffer(digest, np.uint8)
    with replacing(path, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def open_checkpoint(path: Path) -> Checkpoint:
    """Return what a file holds, after a check of every byte.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DamagedCheckpointError
        If it is not what was written, or has been written by a version with another format.
    """
    # NumPy leaves a file open that it cannot make sense of; this one is ours to close.
    with ExitStack() as closing:
        stream = closing.enter_context(path.open("rb"))
        try:
            archive = np.load(stream, allow_pickle=False)
            checkpoint = _checkpoint(_checked(archive), archive, stream)
        except DamagedCheckpointError:
            raise
        except Exception as error:
            # Bytes that are not what they should be make `zipfile`, NumPy and `json` raise a dozen kinds of error.
            raise DamagedCheckpointError(f"{type(error).__name__}: {error}") from error
        closing.pop_all()
        return checkpoint


def _described(state: TrainingState, notes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "arrays": sorted(state.arrays),
        "records": state.records,
        "sums": vars(state.sums),
        "pairs_done": state.pairs_done,
        "train_seconds": state.train_seconds,
        "ended_by": state.ended_by,
        "epoch_generator": _plain(state.epoch_generator),
        "generator": _plain(state.generator),
        "notes": notes,
    }


def _checkpoint(
    values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], stream: IO[bytes]
) -> Checkpoint:
    state = TrainingState(
        records=[EpochRecord(*record) for record in values["records"]],
        sums=EpochSums(**values["sums"]),
        pairs_done=values["pairs_done"],
        train_seconds=values["train_seconds"],
        ended_by=values["ended_by"],
        epoch_generator=values["epoch_generator"],
        generator=values["generator"],
        arrays=arrays,
    )
    return Checkpoint(state, values["notes"], stream)


def _checked(archive: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the description of a file, if the file is what was written."""
    description = archive[DESCRIPTION].tobytes()
    values: dict[str, Any] = json.loads(description)
    if values["format_version"] != FORMAT_VERSION:
        raise DamagedCheckpointError(
            f"its format_version is {values['format_version']}, and this w2v_exp reads {FORMAT_VERSION}"
        )
    # One array after the other: there may be no memory for all of them beside those of the training.
    digest = _digest(description, ((name, archive[name]) for name in sorted(values["arrays"])))
    if digest != archive[DIGEST].tobytes():
        raise DamagedCheckpointError("its digest is that of something else")
    return values


def _digest(description: bytes, arrays: Iterator[tuple[str, NDArray[Any]]]) -> bytes:
    digest = hashlib.sha256(description)
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.digest()


def _plain(state: Any) -> Any:
    """Return a generator's state with lists for its arrays, which all of NumPy's generators take as well."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


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


UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_EVERY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|epochs?)\s*")
COST_SHARE = 0.01  # of the time, that writing checkpoints takes at most


@dataclass(frozen=True)
class CheckpointRule:
    """When checkpoints are written, and where.

    Parameters
    ----------
    every : str, optional
        How often: so many seconds, minutes, hours or epochs, as ``60s``, ``5min``, ``1.5h``, ``5 epochs``. Where
        writing one takes more than a hundredth of the time between two, they are further apart. None: there are none.
    folder : str
        The folder that each training has a folder of its own in.
    """

    every: str | None = None
    folder: str = "outputs/checkpoints"

    def __post_init__(self) -> None:
        if self.every is not None:
            parse_every(self.every)
        if not self.folder:
            raise SettingError("folder", "", "is empty; name a folder.")

    @property
    def seconds(self) -> float:
        """The time between two; infinite where it does not count."""
        number, unit = parse_every(self.every) if self.every else (math.inf, "s")
        return number * UNITS.get(unit, math.inf)

    @property
    def epochs(self) -> int | None:
        """The epochs between two; None where they do not count."""
        number, unit = parse_every(self.every) if self.every else (0, "s")
        return None if unit in UNITS else int(number)


def parse_every(text: str) -> tuple[float, str]:
    """Return number and unit of what says how often: unit is ``s``, ``min``, ``h`` or ``epochs``.

    >>> parse_every("60s"), parse_every("1.5 h"), parse_every("1 epoch")
    ((60.0, 's'), (1.5, 'h'), (1.0, 'epochs'))

    Raises
    ------
    SettingError
        If it is not understood, or is no time at all.
    """
    found = _EVERY.fullmatch(str(text))
    number, unit = (float(found[1]), found[2]) if found else (0.0, "")
    unit = "epochs" if unit == "epoch" else unit
    if not number or not math.isfinite(number) or (unit == "epochs" and number != int(number)):
        raise SettingError(
            "every",
            text,
            "must be a time or a number of epochs above 0: 60s, 5min, 2h, 5 epochs; or null for none.",
        )
    return number, unit


class EpochCheckpointing:
    """Has a checkpoint written at the end of an epoch, if it is time to; an observer of training.

    It is to be the last one to be told, so that what the others know is as old as the parameters.

    Parameters
    ----------
    rule : CheckpointRule
        When it is time to.
    trainer : Trainer
        What is trained.
    write : callable
        Writes the state of training, before anything changes.
    """

    def __init__(
        self, rule: CheckpointRule, trainer: Trainer, write: Callable[[TrainingState], None]
    ) -> None:
        self._seconds, self._epochs = rule.seconds, rule.epochs
        self._trainer = trainer
        self._write = write
        self._due = monotonic() + self._seconds

    def on_epoch(self, record: EpochRecord) -> None:
        """Write, if it is time to."""
        if monotonic() >= self._due or (self._epochs and (record.epoch + 1) % self._epochs == 0):
            self._attempt()

    def _attempt(self) -> None:
        state = self._trainer.state()
        if state is None:
            return
        started = monotonic()
        self._write(state)
        ended = monotonic()
        self._due = ended + max(self._seconds, (ended - started) / COST_SHARE)


class StepCheckpointing(EpochCheckpointing):
    """Has a checkpoint written after any step, if it is time to."""

    def on_step(self, pairs_done: float) -> None:
        """Write, if it is time to. An epoch that has been asked to stop is written when it has its record."""
        if monotonic() >= self._due and not self._trainer.ended_by:
            self._attempt()


def checkpointing(
    rule: CheckpointRule, trainer: Trainer, write: Callable[[TrainingState], None]
) -> EpochCheckpointing:
    """Return what writes the checkpoints of a training; told of steps only where an epoch has several that count."""
    by_epoch = rule.epochs is not None or trainer.examples.batches_per_epoch == 1
    return (EpochCheckpointing if by_epoch else StepCheckpointing)(rule, trainer, write)
