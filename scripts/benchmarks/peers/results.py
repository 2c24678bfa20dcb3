"""What has been trained, as a file that grows by a line with each training."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.peers.order import Order
from benchmarks.peers.training import Trained
from w2v_exp.errors import UserError

FILE = "peers.jsonl"


class Results:
    """All trainings so far, in a folder.

    A training is known by its order and its text; what a file has of other orders or texts stays there, and is not
    looked at.

    Parameters
    ----------
    folder : Path
        Where the file is, or will be.
    resume : bool
        Whether to go on with what is there; otherwise it is begun anew.

    Raises
    ------
    UserError
        If the file cannot be gone on with.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.file = folder / FILE
        self.trainings: list[Trained] = []
        folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            self.file.write_text("", encoding="utf-8")
        elif self.file.exists():
            self.trainings = [self._read(line) for line in self.file.read_text("utf-8").splitlines()]

    def _read(self, line: str) -> Trained:
        try:
            return Trained.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.file} cannot be gone on with ({type(error).__name__}: {error}); begin without --resume."
            ) from error

    def of(self, order: Order, digest: str) -> Trained | None:
        """Return what became of an order; None if it is still to be carried out."""
        return next((one for one in self.trainings if one.order == order and one.digest == digest), None)

    def add(self, trained: Trained) -> None:
        """Add a training, in memory and as a line of the file."""
        self.trainings.append(trained)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(trained.as_dict()) + "\n")
