"""Counts of tree nodes: pairs that pass a node, and branch left or right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.batch import Batch, DenseCounts, SparseCounts
from w2v_exp.model.huffman import HuffmanTree

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array


class BranchCounts(NamedTuple):
    """Pairs that pass nodes, and by how many more of them branch right than left."""

    passing: NDArray[Any]
    balances: NDArray[Any]


class TreeTop:
    """The first nodes of a tree, which many centres pass.

    Nodes have higher numbers than those above them, so the first ones are a tree themselves, with `width` + 1 branches
    to deeper nodes and words. Their counts are a dense matrix, summed upwards from the branches.

    Parameters
    ----------
    tree : HuffmanTree
        Of at least two words.
    width : int
        Number of the nodes, from 1 to V − 1.

    Attributes
    ----------
    rests : ndarray of int64, shape (V,)
        Where the rest of each word's path begins in ``tree.nodes``.
    """

    def __init__(self, tree: HuffmanTree, width: int) -> None:
        words, inner = tree.vocabulary_size, tree.inner_nodes
        starts, nodes = tree.starts, tree.nodes
        self.width = width
        following = np.append(nodes[1:], 0)  # on a path: the next node, or the word, numbered after all nodes
        following[starts[1:] - 1] = inner + np.arange(words)
        depths, children = np.empty(inner, np.int32), np.empty((2, inner), np.int32)
        depths[nodes] = np.arange(len(nodes)) - np.repeat(starts[:-1], tree.lengths)
        children[(tree.branches < 0).astype(np.intp), nodes] = following
        rows = np.empty(inner + words, np.int32)  # in the matrix of counts: nodes, then branches
        rows[:width] = np.arange(width)
        below = children[:, :width]
        rows[below[below >= width]] = np.arange(width, 2 * width + 1)
        self._children = rows[below]
        order = np.argsort(depths[:width], kind="stable")
        self._levels = np.split(order, np.flatnonzero(np.diff(depths[order])) + 1)[::-1]
        self.rests = starts[:-1] + np.add.reduceat(nodes < width, starts[:-1], dtype=np.int64)
        is_word = self.rests == starts[1:]
        branches = np.where(is_word, inner + np.arange(words), nodes.take(self.rests, mode="clip"))
        self._branches = (rows[branches] - width).astype(np.intp)

    def counts(self, labels: csr_array) -> NDArray[Any]:
        """Return the counts of label counts, (k, V), by node and branch: shape (2·width + 1, k)."""
        centres, width = labels.shape[0], self.width
        cells = self._branches.take(labels.indices)
        cells *= centres
        cells += np.repeat(np.arange(centres), np.diff(labels.indptr))
        counts = np.empty((2 * width + 1, centres), labels.dtype)
        counts[width:] = 0
        np.add.at(counts[width:].reshape(-1), cells, labels.data)
        left, right = self._children
        for level in self._levels:
            counts[level] = counts.take(left[level], axis=0) + counts.take(right[level], axis=0)
        return counts

    def branch_counts(self, counts: NDArray[Any], nodes: slice) -> BranchCounts:
        """Return the counts of some of the nodes, from those of `counts`."""
        left, right = (counts.take(children[nodes], axis=0) for children in self._children)
        return BranchCounts(counts[nodes], right - left)


def lower_counts(tree: HuffmanTree, labels: csr_array, rests: NDArray[np.int64]) -> csc_array:
    """Return label counts at each node on the rest of their paths, (k, V − 1), negative where it branches right.

    Counts of a centre at the same node are not added: that would leave 5 % fewer, and take longer.

    Parameters
    ----------
    tree : HuffmanTree
        The tree.
    labels : csr_array, shape (k, V)
        Label counts, n of them.
    rests : ndarray of int64, shape (n,)
        Where the rest of each label's path begins in ``tree.nodes``.
    """
    from scipy.sparse import csr_array, get_index_dtype

    lengths = tree.starts[1:].take(labels.indices) - rests
    ends = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.repeat(rests - ends[:-1], lengths)
    positions += np.arange(len(positions))
    counts = np.repeat(labels.data, lengths)
    counts *= tree.branches.take(positions)
    index = get_index_dtype(maxval=len(positions))
    parts = counts, tree.nodes.take(positions).astype(index, copy=False), ends[labels.indptr].astype(index)
    return csr_array(parts, shape=(labels.shape[0], tree.inner_nodes)).tocsc()


def label_matrix(batch: Batch, values: NDArray[Any], vocabulary_size: int) -> csr_array:
    """Return a matrix, (k, V), with a value for each label count."""
    from scipy.sparse import csr_array, get_index_dtype

    labels, shape = batch.labels, (len(batch.centres), vocabulary_size)
    if isinstance(labels, DenseCounts):
        return csr_array(values.reshape(shape))
    assert isinstance(labels, SparseCounts)
    starts = labels.rows.searchsorted(np.arange(shape[0] + 1))
    index = get_index_dtype(maxval=len(values))
    words = labels.cells - labels.rows * vocabulary_size
    return csr_array((values, words.astype(index), starts.astype(index)), shape=shape)
