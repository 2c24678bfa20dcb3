"""Checkpoints: when they are written, their folder, and their file format."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any

import numpy as np

from w2v_exp.errors import SettingError
from w2v_exp.files import (
    TAG,
    DamagedFileError,
    delete_own,
    make_own,
    read_checked,
    remove_unfinished,
    replacing,
    sync_files,
    try_lock,
    write_checked,
)
from w2v_exp.training.trainer import EpochRecord, EpochSums, Trainer, TrainingState

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_EVERY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|epochs?)\s*")
COST_SHARE = 0.01  # largest share of the time that is spent on writing checkpoints


@dataclass(frozen=True)
class CheckpointRule:
    """When checkpoints are written, and where.

    Parameters
    ----------
    every : str, optional
        Interval in seconds, minutes, hours or epochs, as ``60s``, ``5min``, ``1.5h``, ``5 epochs``; longer where
        writing a checkpoint would take more than 1 % of it. None disables checkpoints.
    folder : str
        The folder in which each training has a folder of its own.
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
        """The interval in seconds; infinite if it is in epochs or there is none."""
        number, unit = parse_every(self.every) if self.every else (math.inf, "s")
        return number * UNITS.get(unit, math.inf)

    @property
    def epochs(self) -> int | None:
        """The interval in epochs; None if it is a time or there is none."""
        number, unit = parse_every(self.every) if self.every else (0, "s")
        return None if unit in UNITS else int(number)


def parse_every(text: str) -> tuple[float, str]:
    """Return number and unit (s, min, h or epochs) of an interval.

    >>> parse_every("60s"), parse_every("1.5 h"), parse_every("1 epoch")
    ((60.0, 's'), (1.5, 'h'), (1.0, 'epochs'))

    Raises
    ------
    SettingError
        If it is not an interval above 0.
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
    """Callback that writes checkpoints at the ends of epochs.

    Register it last: the state of other callbacks must be as old as the parameters that are saved.

    Parameters
    ----------
    rule : CheckpointRule
        When to write.
    trainer : Trainer
        The trainer whose state is written.
    write : callable
        Writes a state.
    """

    def __init__(
        self, rule: CheckpointRule, trainer: Trainer, write: Callable[[TrainingState], None]
    ) -> None:
        self._seconds, self._epochs = rule.seconds, rule.epochs
        self._trainer = trainer
        self._write = write
        self._due = monotonic() + self._seconds

    def on_epoch(self, record: EpochRecord) -> None:
        """Write a checkpoint if one is due."""
        if monotonic() >= self._due or (self._epochs and (record.epoch + 1) % self._epochs == 0):
            self._write_state()

    def _write_state(self) -> None:
        state = self._trainer.state()
        if state is None:
            return
        started = monotonic()
        self._write(state)
        ended = monotonic()
        self._due = ended + max(self._seconds, (ended - started) / COST_SHARE)


class StepCheckpointing(EpochCheckpointing):
    """Callback that writes checkpoints after steps as well."""

    def on_step(self, pairs_done: float) -> None:
        """Write a checkpoint if one is due; a stopped epoch waits for its record."""
        if monotonic() >= self._due and not self._trainer.ended_by:
            self._write_state()


def checkpointing(
    rule: CheckpointRule, trainer: Trainer, write: Callable[[TrainingState], None]
) -> EpochCheckpointing:
    """Return the callback for a rule; after steps only if epochs have several.

    Stopping the timer for a step callback costs a share of the article's epochs, which have a single step.
    """
    by_epoch = rule.epochs is not None or trainer.examples.batches_per_epoch == 1
    return (EpochCheckpointing if by_epoch else StepCheckpointing)(rule, trainer, write)


LATEST, PREVIOUS, DAMAGED, LOCK = "checkpoint.npz", "previous.npz", "damaged.npz", "lock"
REPLICATES = re.compile(r"\.?(\d{3,}\.npz)(\.[0-9a-f]{8})?")  # of a bootstrap, finished or not
RUN = "run.json"


class CheckpointFolder:
    """Folder of a training's last two checkpoints, locked by one process.

    The operating system releases the lock when the process ends, however it ends.

    Parameters
    ----------
    path : Path
        The folder; made if it does not exist.

    Attributes
    ----------
    is_ours : bool
        Whether this process holds the lock. If not, another process does, and the other methods must not be called.

    Raises
    ------
    OSError
        If the folder cannot be made or locked, or contains files that are not w2v_exp's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[bytes] | None = None
        locked = False
        while not locked:
            path.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # the process that held the lock has just deleted the folder
                self._lock = try_lock(path / LOCK)
                locked = True
        self.is_ours = self._lock is not None
        if self.is_ours:
            try:
                make_own(path, besides=(LOCK,), durable=False)
            except OSError:
                self._unlock()
                raise
            remove_unfinished(path, (LATEST, TAG))

    def write(self, state: TrainingState, notes: Mapping[str, Any]) -> None:
        """Write a checkpoint and keep the one before it.

        Raises
        ------
        OSError
            If it cannot be written; the one before it is then still there.
        """
        latest = self.path / LATEST
        if latest.exists():
            latest.replace(self.path / PREVIOUS)
        elif not (self.path / PREVIOUS).exists():  # most runs end before their first checkpoint
            sync_files([self.path / TAG, self.path / RUN])
        write_checkpoint(latest, state, notes)

    def open(self, say: Callable[[str], None]) -> Checkpoint | None:
        """Return the latest undamaged checkpoint, or None.

        A damaged one is renamed, and `say` is called with a line about it.
        """
        for path in (self.path / LATEST, self.path / PREVIOUS):
            try:
                return open_checkpoint(path)
            except FileNotFoundError:
                continue
            except DamagedCheckpointError as error:
                path.replace(self.path / DAMAGED)
                say(f"Skipping the damaged checkpoint {path} ({error}).")
        return None

    def write_run(self, folder: Path) -> None:
        """Note the folder of the run that the checkpoints are of; durable from the first checkpoint on.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        write_checked(self.path / RUN, {"folder": str(folder)}, durable=self.has_checkpoint)

    def read_run(self) -> Path | None:
        """Return the folder that was noted; None if there is none, or the note is damaged."""
        with suppress(OSError, DamagedFileError, KeyError, TypeError):
            return Path(read_checked(self.path / RUN)["folder"])
        return None

    @property
    def has_checkpoint(self) -> bool:
        """Whether this process holds the lock and there is a checkpoint."""
        return self.is_ours and any((self.path / name).exists() for name in (LATEST, PREVIOUS))

    def remove(self) -> None:
        """Delete the folder; files that cannot be deleted stay."""
        replicates: set[str] = set()
        with suppress(OSError):
            replicates = {
                found[1] for path in self.path.iterdir() if (found := REPLICATES.fullmatch(path.name))
            }
        delete_own(
            self.path, (*sorted(replicates), LATEST, PREVIOUS, DAMAGED, RUN, TAG, LOCK)
        )  # the lock last: then another may take it
        self._unlock()

    def release(self) -> bool:
        """Release the lock and return whether there is a checkpoint.

        A folder without one is deleted.
        """
        if self.has_checkpoint:
            self._unlock()
            return True
        self.remove()
        return False

    def _unlock(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None


# Raise by one whenever a checkpoint's arrays, description or notes mean something else: `tests/test_golden_runs.py`
# fails if one that was recorded is not resumed.
FORMAT_VERSION = 2
DESCRIPTION = "description"


class DamagedCheckpointError(Exception):
    """A file that is not as `write_checkpoint` has written it."""


@dataclass(frozen=True)
class Checkpoint:
    """An open checkpoint file.

    Parameters
    ----------
    state : TrainingState
        The training; each access to one of its arrays reads it from the file.
    notes : dict
        The states of callbacks, as they were given to `write_checkpoint`.
    stream : file
        The file.
    """

    state: TrainingState
    notes: dict[str, Any]
    stream: IO[bytes]

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


def write_checkpoint(path: Path, state: TrainingState, notes: Mapping[str, Any]) -> None:
    """Write a checkpoint to the disk, the whole file or nothing.

    The file is an uncompressed ``.npz`` archive of the state's arrays and ``description``, the UTF-8 bytes of a JSON
    object with everything else, the format's version and the names of the arrays. (JSON keeps Python's numbers to the
    last bit.) The archive has a CRC-32 of each of them.

    Parameters
    ----------
    path : Path
        The file.
    state : TrainingState
        The training.
    notes : mapping
        States of callbacks, as values that JSON can hold.

    Raises
    ------
    OSError
        If it cannot be written; a file that was at `path` is then still there.
    """
    description = {
        "format_version": FORMAT_VERSION,
        "arrays": sorted(state.arrays),
        "records": state.records,
        "sums": vars(state.sums),
        "pairs_done": state.pairs_done,
        "train_seconds": state.train_seconds,
        "ended_by": state.ended_by,
        "epoch_generator": state.epoch_generator,
        "generator": state.generator,
        "notes": notes,
    }
    # Arrays are only in the state of some generators (MT19937); NumPy restores them from lists as well.
    encoded = json.dumps(description, default=np.ndarray.tolist).encode()
    with replacing(path, "wb") as stream:
        np.savez(
            stream, allow_pickle=False, **state.arrays, **{DESCRIPTION: np.frombuffer(encoded, np.uint8)}
        )


def open_checkpoint(path: Path) -> Checkpoint:
    """Check a checkpoint file and open it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DamagedCheckpointError
        If it is not as it was written, or is of another version of the format.
    """
    with ExitStack() as closing:
        stream = closing.enter_context(path.open("rb"))  # NumPy would leave a damaged file open
        try:
            archive = np.load(stream, allow_pickle=False)
            # Reads each member to its end and checks its CRC-32. NumPy reads as far as an array's header says.
            if damaged := archive.zip.testzip():
                raise DamagedCheckpointError(f"the CRC-32 of {damaged} is wrong")
            values: dict[str, Any] = json.loads(archive[DESCRIPTION].tobytes())
            if values["format_version"] != FORMAT_VERSION:
                raise DamagedCheckpointError(
                    f"its format_version is {values['format_version']}, and this w2v_exp reads {FORMAT_VERSION}"
                )
            if missing := set(values["arrays"]).difference(archive.files):
                raise DamagedCheckpointError(f"it has no {', '.join(sorted(missing))}")
            state = TrainingState(
                records=[EpochRecord(*record) for record in values["records"]],
                sums=EpochSums(**values["sums"]),
                pairs_done=values["pairs_done"],
                train_seconds=values["train_seconds"],
                ended_by=values["ended_by"],
                epoch_generator=values["epoch_generator"],
                generator=values["generator"],
                arrays=archive,
            )
            checkpoint = Checkpoint(state, values["notes"], stream)
        except DamagedCheckpointError:
            raise
        except Exception as error:  # `zipfile`, NumPy and `json` raise a dozen kinds for damaged bytes
            raise DamagedCheckpointError(f"{type(error).__name__}: {error}") from error
        closing.pop_all()
        return checkpoint
