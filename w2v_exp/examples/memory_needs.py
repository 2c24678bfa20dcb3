"""What examples need of memory, as they say themselves before they are made."""

from __future__ import annotations

from dataclasses import dataclass, replace

LABEL_BYTES = 32  # of a cell of sparse counts: its number, its row, how often it occurs, its share
LABEL_WORK_BYTES = 24  # for a cell, while the labels meet the scores
GATHERING_BYTES = 52  # for a cell, while a batch is made
SORTING_BYTES = 33  # for a pair, before equal ones are one cell


@dataclass(frozen=True)
class BatchShape:
    """The size of a batch, on which the work of a step depends.

    Parameters
    ----------
    centres : float
        Its distinct centres, or bags, or the places of a block.
    pairs : float
        Its pairs, or bags.
    cells : float
        Its distinct pairs; 0 for blocks.
    words : float
        The words of its bags, all in all; 0 for skip-gram.
    """

    centres: float
    pairs: float
    cells: float = 0.0
    words: float = 0.0


@dataclass(frozen=True)
class BatchMemory:
    """The memory of a batch, in bytes.

    Parameters
    ----------
    centres : int
        Its distinct centres, k, on which an objective's memory depends.
    labels : int
        What its labels take.
    label_work : int
        What comes and goes, beside them, while they meet the scores.
    gathering : int
        What the making of the next batch takes, itself included, while this one and its scores are still there.
    """

    centres: int
    labels: int
    label_work: int
    gathering: int

    @classmethod
    def listed(cls, centres: int, pairs: int, cells: int) -> BatchMemory:
        """Return the memory of a batch of listed pairs with so many distinct ones, its labels `SparseCounts`."""
        gathering = max(SORTING_BYTES * pairs, GATHERING_BYTES * cells)
        return cls(centres, LABEL_BYTES * cells, LABEL_WORK_BYTES * cells, gathering)

    @classmethod
    def counted(cls, centres: int, cells: int, next_cells: int) -> BatchMemory:
        """Return the memory of a slice of counts: of so many distinct pairs, as has the one after it."""
        return cls(centres, LABEL_BYTES * cells, LABEL_WORK_BYTES * cells, GATHERING_BYTES * next_cells)

    def alone(self) -> BatchMemory:
        """Return the memory of this batch where it is all there is: no other is made while it is still there."""
        return replace(self, gathering=max(0, self.gathering - self.labels))


@dataclass(frozen=True)
class ExamplesMemory:
    """The memory of examples, in bytes.

    Parameters
    ----------
    held : int
        What stays while they are trained on.
    making : int
        The most at once while they are made; what stays included.
    batch : BatchMemory
        The largest of the batches that a run begins with.
    """

    held: int
    making: int
    batch: BatchMemory
