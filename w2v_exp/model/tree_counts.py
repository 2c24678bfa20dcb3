"""Counts of tree nodes: pairs that pass a node, and that branch left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batch import Batch, DenseCounts, SparseCounts
from w2v_exp.model.huffman import HuffmanTree

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class BranchCounts(NamedTuple):
    """Pairs that pass nodes, and those of them that branch left."""

    passing: NDArray[Any]
    left: NDArray[Any]


class TreeTop:
    """The first nodes of a tree, which many centres pass, and the paths below them.

    Nodes have higher numbers than those above them, so the first ones are a tree themselves, with `width` + 1 branches
    to deeper nodes and words. Their counts are a dense matrix, summed upwards from the branches. Those of deeper nodes
    are a product of the label counts with the rest of each path: where paths of a centre's pairs begin alike, they
    share an entry.

    Parameters
    ----------
    paths : csr_array, shape (V, V − 1)
        Of `path_matrix`.
    width : int
        Number of the nodes, from 1 to V − 1.
    """

    def __init__(self, paths: csr_array, width: int) -> None:
        from scipy.sparse import csr_array

        words, inner = paths.shape
        starts, nodes = paths.indptr, paths.indices
        self.width = width
        following = np.append(nodes[1:], 0)  # on a path: the next node, or the word, numbered after all nodes
        following[starts[1:] - 1] = inner + np.arange(words)
        depths, children = np.empty(inner, np.int32), np.empty((2, inner), np.int32)
        depths[nodes] = np.arange(len(nodes)) - np.repeat(starts[:-1], np.diff(starts))
        children[(paths.data.imag == 0).astype(np.intp), nodes] = following
        rows = np.empty(inner + words, np.int32)  # in the matrix of counts: nodes, then branches
        rows[:width] = np.arange(width)
        below = children[:, :width]
        rows[below[below >= width]] = np.arange(width, 2 * width + 1)
        self._children = rows[below]
        order = np.argsort(depths[:width], kind="stable")
        self._levels = np.split(order, np.flatnonzero(np.diff(depths[order])) + 1)[::-1]
        ends = starts[:-1] + np.add.reduceat(nodes < width, starts[:-1], dtype=starts.dtype)
        branches = np.where(ends < starts[1:], nodes.take(ends, mode="clip"), inner + np.arange(words))
        self._branches = (rows[branches] - width).astype(np.intp)
        halves = np.empty(2 * words + 1, starts.dtype)  # row 2·w + 1 is the rest of the path of w
        halves[::2], halves[1::2] = starts, ends
        self._rests = csr_array((paths.data, nodes, halves), shape=(2 * words, inner))

    def counts(self, labels: csr_array) -> NDArray[Any]:
        """Return the counts of label counts, (k, V), by node and branch: shape (2·width + 1, k)."""
        centres, width = labels.shape[0], self.width
        cells = self._branches.take(labels.indices)
        cells *= centres
        cells += np.repeat(np.arange(centres), np.diff(labels.indptr))
        counts = np.empty((2 * width + 1, centres), self._rests.data.real.dtype)
        counts[width:] = np.bincount(cells, labels.data, (width + 1) * centres).reshape(width + 1, centres)
        left, right = self._children
        for level in self._levels:
            counts[level] = counts.take(left[level], axis=0) + counts.take(right[level], axis=0)
        return counts

    def branch_counts(self, counts: NDArray[Any], nodes: slice) -> BranchCounts:
        """Return the counts of some of the nodes, from those of `counts`."""
        return BranchCounts(counts[nodes], counts.take(self._children[0, nodes], axis=0))

    def lower_counts(self, labels: csr_array) -> csr_array:
        """Return the counts of deeper nodes as complex numbers, (k, V − 1): passing + i·left."""
        from scipy.sparse import csr_array

        rests = self._rests
        parts = labels.data.astype(rests.dtype), 2 * labels.indices + 1, labels.indptr
        return csr_array(parts, shape=(labels.shape[0], rests.shape[0])) @ rests


def path_matrix(tree: HuffmanTree, dtype: DTypeLike) -> csr_array:
    """Return the paths of all words as complex numbers, (V, V − 1).

    A cell is 1 + i where a path branches left, 1 where right, 0 off the path.

    Passing and branching left are counted by one product with complex numbers, because SciPy's sparse products drop
    zeros: two real products would not have the same entries, and with their alignment take four times as long (0.15
    instead of 0.04 s for 276,000 pairs of 12,000 words). `dtype`, float32 or float64, is that of each part.
    """
    from scipy.sparse import csr_array

    branches = np.ones(len(tree.nodes), np.result_type(dtype, np.complex64))
    branches.imag = tree.branches > 0
    # Indices of 32 bits, if they suffice: SciPy's products are faster.
    index = np.int32 if len(branches) <= np.iinfo(np.int32).max else np.int64
    shape = tree.vocabulary_size, tree.inner_nodes
    return csr_array((branches, tree.nodes.astype(index, copy=False), tree.starts.astype(index)), shape=shape)


def label_matrix(batch: Batch, values: NDArray[Any], vocabulary_size: int) -> csr_array:
    """Return a matrix, (k, V), with a value for each label count."""
    from scipy.sparse import csr_array

    labels, shape = batch.labels, (len(batch.centres), vocabulary_size)
    if isinstance(labels, DenseCounts):
        return csr_array(values.reshape(shape))
    assert isinstance(labels, SparseCounts)
    starts = labels.rows.searchsorted(np.arange(shape[0] + 1))
    index = np.int32 if len(values) <= np.iinfo(np.int32).max else np.int64
    words = labels.cells - labels.rows * vocabulary_size
    return csr_array((values, words.astype(index), starts.astype(index)), shape=shape)
