"""A figure that is held against a promise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """A figure that is no ratio of times, and what is promised of it.

    Parameters
    ----------
    what : str
        What was measured.
    value : float
        The figure.
    unit : str
        Its unit: GB, MB, %.
    promised : float, optional
        What it must reach, or must not exceed.
    goal : float, optional
        What is wished for.
    at_most : bool
        Whether less is better.
    """

    what: str
    value: float
    unit: str
    promised: float | None = None
    goal: float | None = None
    at_most: bool = True

    @property
    def kept(self) -> bool:
        """Whether the promise is kept, if there is one."""
        if self.promised is None:
            return True
        return self.value <= self.promised if self.at_most else self.value >= self.promised

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON has it."""
        return asdict(self) | {"kept": self.kept}
