"""When checkpoints are written: a rule, and an observer of training that follows it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from w2v_exp.errors import SettingError
from w2v_exp.training.observers import EpochRecord
from w2v_exp.training.state import TrainingState
from w2v_exp.training.trainer import Trainer

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
