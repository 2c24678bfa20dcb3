"""How many tree nodes the centres of a text will visit, and what that takes of memory, before any is counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.statistics import BatchMemory, PairSurvey
from w2v_exp.model.huffman import HuffmanTree
from w2v_exp.model.tree_products import DENSE_SHARE
from w2v_exp.work import Work

NODE_BYTES = 4  # the number of a visited node
VISIT_WORK_BYTES = 16  # for a visit, while it meets its score
DRAWS = np.concatenate([[0], np.geomspace(1, 1e9, 72)])  # at which expectations are tabulated


def visit_bytes(dtype: DTypeLike) -> int:
    """Return how many bytes a visit takes: a node, and a complex number."""
    return NODE_BYTES + 2 * max(4, np.dtype(dtype).itemsize)


def visits_work(centres: float, visits: float, columns: float, lower: float, dim: int) -> Work:
    """Return the operations of cost and gradients of visits.

    Parameters
    ----------
    centres, visits : float
        How many centres visit nodes, and their visits all in all.
    columns : float
        The nodes that are columns of a dense product.
    lower : float
        Those of the visits that are of other nodes, whose vectors are fetched one by one.
    dim : int
        Numbers a vector.
    """
    return Work(
        products=6.0 * centres * columns * dim,
        exponentials=2.0 * visits,
        passed=2.0 * centres * columns + 6.0 * lower * dim,
        gathered=6.0 * visits,
        calls=100 + (4.0 * centres if lower else 0.0),
    )


@dataclass(frozen=True)
class VisitedBatchMemory(BatchMemory):
    """The memory of a batch whose labels are visits.

    Parameters
    ----------
    columns : int
        How many nodes are visited by enough centres to be columns of a dense product.
    """

    columns: int


class SliceEstimate(NamedTuple):
    """What the largest slice of centres of those that a run begins with is expected to be.

    Of its `visits`, `lower` are of nodes that are no `columns`.
    """

    centres: int
    visits: float
    columns: int
    lower: float


class VisitEstimate:
    """How many nodes each centre is expected to visit, from how many distinct contexts it has.

    Of words drawn at random with the text's frequencies, how many distinct ones are to be expected, and how many
    distinct nodes on their paths, both follow from the number of draws. So one tells the other, and a centre whose
    contexts are fewer than its pairs has fewer draws. On Wikipedia the sum is 1 to 3 % too low.

    Parameters
    ----------
    survey : PairSurvey
        Of the text's pairs.
    """

    def __init__(self, survey: PairSurvey) -> None:
        self._survey = survey
        frequencies = survey.frequencies
        shares = frequencies / max(1, frequencies.sum())
        tree = HuffmanTree.of(frequencies)
        passing = np.bincount(tree.nodes, np.repeat(shares, tree.lengths), tree.inner_nodes)
        self._missed = np.log1p(-np.minimum(passing, 1 - 1e-12))  # by one draw, as a logarithm; by node
        distinct = [_expected(np.log1p(-np.minimum(shares, 1 - 1e-12)), draws) for draws in DRAWS]
        self._draws = np.interp(survey.distinct_by_centre, distinct, DRAWS)
        nodes = [_expected(self._missed, draws) for draws in DRAWS]
        self.by_centre: NDArray[np.float64] = np.interp(self._draws, DRAWS, nodes)

    @cached_property
    def total(self) -> float:
        """The visits of all centres."""
        return float(self.by_centre.sum())

    def slices(self, size: int, order: str) -> SliceEstimate:
        """Return the largest slice of so many centres: the most frequent ones, unless chance mixes them."""
        centres = np.flatnonzero(self._survey.frequencies > 0)
        size = min(size, len(centres))
        of_slice = self.by_centre[centres]
        if order == "shuffled":
            visits = min(of_slice.sum(), size * of_slice.mean() + np.sqrt(size) * of_slice.std())
            sampled = self._draws[centres[:: max(1, len(centres) // 64)]]
        else:
            visits = float(of_slice[:size].sum())
            sampled = self._draws[centres[: size : max(1, size // 64)]]
        visitors = np.zeros(len(self._missed))
        for draws in sampled:
            visitors -= np.expm1(draws * self._missed)
        is_column = visitors >= DENSE_SHARE * len(sampled)
        lower = float(visits) * float(visitors[~is_column].sum()) / max(1e-9, float(visitors.sum()))
        return SliceEstimate(size, float(visits), int(np.count_nonzero(is_column)), lower)


def _expected(missed: NDArray[np.float64], draws: float) -> float:
    """Return how many of these are expected to be met in so many draws."""
    return float(-np.expm1(draws * missed).sum())
