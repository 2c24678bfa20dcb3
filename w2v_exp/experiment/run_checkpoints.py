"""The checkpoints of a run: where it goes on from when its command is given again, and what it leaves for that."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from w2v_exp.errors import UserError
from w2v_exp.files import expanded
from w2v_exp.plan import Plan
from w2v_exp.training.checkpoints import Checkpoint, CheckpointFolder, checkpointing
from w2v_exp.training.trainer import StatefulCallback, Trainer, TrainingState

RECORD = "record"  # what the run's record in the store notes


class RunCheckpoints:
    """The checkpoints of a run, found by its fingerprint, whatever folder the run itself has.

    Parameters
    ----------
    plan : Plan
        Says when they are written, and to which folder. Without that there are none.
    fingerprint : str
        Of the run. Of two processes with the same run only the first one has checkpoints.
    """

    def __init__(self, plan: Plan, fingerprint: str) -> None:
        self._rule = plan.checkpoint
        self._folder: CheckpointFolder | None = None
        self._found: Checkpoint | None = None
        self._stateful: Mapping[str, StatefulCallback] = {}
        self._has_failed = False
        if self._rule.every is None or not plan.epochs:
            return
        path = expanded(self._rule.folder) / fingerprint
        try:
            folder = CheckpointFolder(path)
            if folder.is_ours:
                self._folder, self._found = folder, None if plan.force else folder.open(_say)
            else:
                _say(f"Another process is training this very run ({path}), so this one keeps no checkpoints.")
        except OSError as error:
            _say(
                f"checkpoint.folder={self._rule.folder}: cannot be used ({error}), so there are no checkpoints."
            )

    @property
    def noted_run(self) -> str | None:
        """The id of the run in the store that the checkpoint found is of."""
        noted = self._found.notes.get(RECORD) if self._found else None
        return noted["run_id"] if noted else None

    def forget(self) -> None:
        """Leave the checkpoint that was found alone: the run begins anew."""
        if self._found:
            self._found.close()
            self._found = None

    def attach(self, trainer: Trainer, stateful: Mapping[str, StatefulCallback]) -> None:
        """Restore a trainer and its callbacks from the checkpoint found, and register the callback that writes others.

        Raises
        ------
        UserError
            If the checkpoint is of another training, which its folder's name says it is not.
        """
        self._stateful = stateful
        if self._found:
            state, notes = self._found.state, self._found.notes
            try:
                trainer.restore(state)
            except ValueError as error:
                raise UserError(f"{error} Delete the folder {self._path} to begin anew.") from error
            for name in stateful.keys() & notes.keys():
                stateful[name].restore(notes[name])
            self.forget()
            step = f", step {state.sums.steps + 1}" if state.sums.steps else ""
            _say(f"Going on from a checkpoint: epoch {len(state.records) + 1} of {trainer.epochs}{step}.")
        if self._folder:
            trainer.add_callback(checkpointing(self._rule, trainer, self._write))

    @property
    def can_be_resumed(self) -> bool:
        """Whether a checkpoint is left from which the same command resumes."""
        return self._folder is not None and self._folder.has_checkpoint

    def finish(self) -> None:
        """Delete them: the run is over."""
        self.forget()
        if self._folder:
            self._folder.remove()

    def leave(self) -> None:
        """Leave what there is for the next time that the command is given."""
        self.forget()
        if self._folder and self._folder.release():
            _say("Given again, the same command goes on from the last checkpoint.")

    @property
    def _path(self) -> Path:
        return self._folder.path if self._folder else Path(self._rule.folder)

    def _write(self, state: TrainingState) -> None:
        """Write a checkpoint. Where that fails, training goes on, and the one before it stays; that is said once."""
        notes = {name: one.state() for name, one in self._stateful.items()}
        try:
            if self._folder:
                self._folder.write(state, notes)
            self._has_failed = False
        except OSError as error:
            if not self._has_failed:
                _say(
                    f"A checkpoint could not be written to {self._path} ({error.strerror or error}); training goes on."
                )
            self._has_failed = True


def remove_checkpoints(plan: Plan, fingerprint: str) -> None:
    """Delete checkpoints of a run that has finished: its process was killed before it could do so."""
    path = expanded(plan.checkpoint.folder) / fingerprint
    if not path.is_dir():
        return
    with suppress(OSError):
        folder = CheckpointFolder(path)
        if folder.is_ours:
            folder.remove()


def _say(line: str) -> None:
    print(line, file=sys.stderr)
