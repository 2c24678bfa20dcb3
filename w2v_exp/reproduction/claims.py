"""Claims: a figure to reproduce, what we obtained, and how far the two may be apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Claim:
    """One figure, checked.

    Parameters
    ----------
    name : str
        What the figure is.
    expected : str
        The published figure, or the one that an earlier, independent rewrite of the article measured.
    obtained : str
        Ours.
    tolerance : str
        How far the two may be apart, or the range that ours must be in.
    reason : str
        Why this tolerance.
    holds : bool or None
        Whether ours is within the tolerance; None where it could not be measured on this machine.
    """

    name: str
    expected: str
    obtained: str
    tolerance: str
    reason: str
    holds: bool | None


@dataclass(frozen=True)
class Point:
    """One thing that the article shows or says, with all that was done to check it.

    Parameters
    ----------
    title : str
        The heading.
    statement : str
        What the article shows or says, in a sentence of ours.
    stands : bool
        Whether the statement stands, given that every claim holds.
    finding : str
        What the claims come to, in a sentence or two.
    claims : list of Claim
        The figures.
    body : str
        How it was done and what is to be seen, in Markdown; pictures are named ``pictures/<name>``.
    pictures : mapping of str to callable
        What draws each picture, given the path to write it to, by file name.
    """

    title: str
    statement: str
    stands: bool
    finding: str
    claims: list[Claim]
    body: str
    pictures: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)

    @property
    def failed(self) -> list[Claim]:
        """The claims that do not hold."""
        return [claim for claim in self.claims if claim.holds is False]

    @property
    def verdict(self) -> str:
        """``holds`` or ``does not hold`` for the article's statement, ``not reproduced`` if a claim fails."""
        if self.failed:
            return "not reproduced"
        return "holds" if self.stands else "does not hold"


def spread(values: Iterable[float], digits: int = 4) -> str:
    """Return the least and the greatest of some values.

    >>> spread([2.0359, 2.0313])
    '2.0313 to 2.0359'
    >>> spread([47, 47], digits=0)
    '47'
    """
    values = list(values)
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def all_within(values: Iterable[float], low: float, high: float) -> bool:
    """Return whether every value is in a closed range (NaN is not)."""
    return all(low <= value <= high for value in values)
