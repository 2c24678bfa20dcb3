"""How many runs fit on this machine at once: by cores and by memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from w2v_exp.launching.needs import Needs
from w2v_exp.launching.task import Task


@dataclass
class Room:
    """What this machine has for the runs of a sweep, and what of it is taken.

    Parameters
    ----------
    needs : callable
        Says what a run takes.
    cores : int
        To keep busy.
    memory : int or None
        Bytes; None where nobody knows.
    runs : int or None
        So many at once, however many cores they keep busy; None lets cores decide.
    """

    needs: Callable[[Task], Needs]
    cores: int
    memory: int | None
    runs: int | None = None
    _taken: dict[int, Needs] = field(default_factory=dict)

    def take(self, task: Task) -> bool:
        """Take room for a run, if there is enough; for the only one at a time there always is: it may refuse itself."""
        needs = self.needs(task)
        if self._taken and not self._fits(needs):
            return False
        self._taken[task.number] = needs
        return True

    def free(self, task: Task) -> None:
        """Free what a run has taken."""
        del self._taken[task.number]

    def _fits(self, needs: Needs) -> bool:
        taken = self._taken.values()
        if self.runs is not None:
            if len(taken) >= self.runs:
                return False
        elif sum(each.cores for each in taken) + needs.cores > self.cores:
            return False
        return self.memory is None or sum(each.memory for each in taken) + needs.memory <= self.memory
