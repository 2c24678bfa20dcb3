"""What one process is to train."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

OURS, GENSIM, FAST_TEXT = "ours", "gensim", "fastText"
SIDES = (GENSIM, OURS, FAST_TEXT)


@dataclass(frozen=True)
class Order:
    """One training.

    Parameters
    ----------
    pairing : str
        What it is for.
    side : str
        Who trains: ours, gensim or fastText.
    cores : int
        On how many.
    overrides : list of str
        Our configuration, without the text. The peers take window, dim, vocabulary and evaluation from it.
    epochs, seed : int
        Of the training.
    settings : dict
        What a peer is told beside.
    looks : list of int
        After how many epochs the quality is looked at; the last one is the end.
    """

    pairing: str
    side: str
    cores: int
    overrides: list[str]
    epochs: int
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    looks: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON has it."""
        return asdict(self)
