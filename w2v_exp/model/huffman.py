"""Huffman's tree of the vocabulary, and word vectors from node vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from w2v_exp.errors import ShortRepr

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, repr=False)
class HuffmanTree(ShortRepr):
    """The path and branches from the root to each word (Huffman 1952).

    Nodes are numbered from the root, 0, by falling frequency: a node comes after those above it, and the first
    ones are those that most words are below. No tree has a smaller mean length of path.

    Parameters
    ----------
    starts : ndarray of int64, shape (V + 1,)
        The path of word w is at ``starts[w]:starts[w + 1]`` of the other two (compressed sparse rows).
    nodes : ndarray of int32, shape (n,)
        The inner nodes on each path, from the root on: rising numbers, from 0 to V − 2.
    branches : ndarray of int8, shape (n,)
        1 where the path branches left, −1 where right.
    """

    starts: NDArray[np.int64]
    nodes: NDArray[np.int32]
    branches: NDArray[np.int8]

    @classmethod
    def of(cls, frequencies: ArrayLike) -> HuffmanTree:
        """Return the tree of words with these frequencies, deterministically.

        The two least frequent trees are joined until one is left. Of equally frequent ones words come before inner
        nodes, which keeps the longest path as short as can be, and higher ids before lower ones, so no word is deeper
        than one that is more frequent or, as frequent, has a higher id. The second of two goes left.

        Parameters
        ----------
        frequencies : array_like, shape (V,)
            Counts or shares, at least 0.

        Returns
        -------
        HuffmanTree
            In O(V log V): a second for a million words. One word alone has an empty path.
        """
        counts = np.asarray(frequencies)
        words = len(counts)
        rising = np.lexsort((-np.arange(words), counts))
        parents, branches = _join(counts[rising].tolist())
        # The root was made last; as number 0, every node has a higher number than the one above it.
        inner = max(words - 1, 0)
        above = np.empty(words, np.int32)
        above[rising] = inner - 1 - parents[:words]
        branch = np.empty(words, np.int8)
        branch[rising] = branches[:words]
        node_above = (inner - 1 - parents[words:])[::-1].astype(np.int32)
        node_branch = branches[words:][::-1]
        return cls(*_paths(above, branch, node_above, node_branch))

    @classmethod
    def of_shares(cls, shares: NDArray[np.float64], total: float) -> HuffmanTree:
        """Return the tree of counts given as shares of their total.

        Rounded to 1/1024 they are counts again, and sums of them exact: equal ones tie despite rounded shares.
        """
        return cls.of(np.rint(shares * (total * 1024)))

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return len(self.starts) - 1

    @property
    def inner_nodes(self) -> int:
        """V − 1."""
        return max(0, self.vocabulary_size - 1)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of inner nodes on the path of each word, (V,)."""
        lengths: NDArray[np.int64] = np.diff(self.starts)
        return lengths

    def mean_length(self, frequencies: ArrayLike) -> float:
        """Return the mean path length of words with these frequencies."""
        weights = np.asarray(frequencies, np.float64)
        return float(weights @ self.lengths / weights.sum())


def _join(counts: list[float]) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Return parent and branch of each word and of each inner node.

    Words are by rising count, nodes in the order of joining.

    Joined trees are made by rising count, so the least frequent one is always at the head of one of two queues:
    the words, or the joined ones. That is linear where a heap is not.
    """
    words = len(counts)
    made: list[float] = []
    parents, branches = [0] * max(2 * words - 1, 0), [0] * max(2 * words - 1, 0)
    word = joined = 0
    for node in range(words - 1):
        total = 0.0
        for branch in (-1, 1):
            if word < words and (joined == node or counts[word] <= made[joined]):
                total += counts[word]
                parents[word], branches[word] = node, branch
                word += 1
            else:
                total += made[joined]
                parents[words + joined], branches[words + joined] = node, branch
                joined += 1
        made.append(total)
    return np.array(parents, np.int64), np.array(branches, np.int8)


def _paths(
    above: NDArray[np.int32],
    branch: NDArray[np.int8],
    node_above: NDArray[np.int32],
    node_branch: NDArray[np.int8],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int8]]:
    """Return the paths of all words, climbed together to the root.

    `above` and `branch` are the parent of each word and the branch there; `node_above` and `node_branch` those of each
    node, of which the root has none.
    """
    lengths = np.zeros(len(above), np.int64)
    for climbing, _, _ in _climb(above, branch, node_above, node_branch):
        lengths[climbing] += 1
    starts = np.concatenate([[0], np.cumsum(lengths)])
    nodes, branches = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int8)
    for height, (climbing, node, branched) in enumerate(
        _climb(above, branch, node_above, node_branch), start=1
    ):
        positions = starts[climbing + 1] - height
        nodes[positions], branches[positions] = node, branched
    return starts, nodes, branches


def _climb(
    above: NDArray[np.int32],
    branch: NDArray[np.int8],
    node_above: NDArray[np.int32],
    node_branch: NDArray[np.int8],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int8]]]:
    """Yield, by height, words below the root, their nodes and branches."""
    climbing = np.arange(len(above)) if len(node_above) else np.empty(0, np.int64)
    while climbing.size:
        yield climbing, above, branch
        going = above > 0
        climbing, branch, above = climbing[going], node_branch[above[going]], node_above[above[going]]


def word_vectors(tree: HuffmanTree, shares: NDArray[np.float64], nodes: NDArray[Any]) -> NDArray[Any]:
    """Return each word's output vector, to first order.

    It is the first-order effect of e on log p(word | e).

    A left branch at a node with vector n has the probability σ(n·e). Where a share q of the node's pairs branch left,
    log σ has the slope 1 − q: the word's vector is the sum over its path of (1 − q)·n where it branches left and of
    −q·n where it branches right. So score differences between two words are those of a softmax with these vectors, as
    far as branches are about as likely as in the whole text.

    Parameters
    ----------
    tree : HuffmanTree
        Its leaves are the words.
    shares : ndarray of float64, shape (V,)
        Share of the pairs that have each word as context.
    nodes : ndarray, shape (V − 1, dim)
        The output weights.

    Returns
    -------
    ndarray, shape (V, dim)
        Of the nodes' dtype; weighted by `shares` their mean is 0.
    """
    left, both = (side.T @ shares for side in (left_matrix(tree, np.float64), path_matrix(tree, np.float64)))
    share = np.divide(left, both, out=np.full_like(both, 0.5), where=both > 0)
    slopes = (tree.branches > 0) - share[tree.nodes]
    vectors: NDArray[Any] = _matrix(tree, slopes.astype(nodes.dtype)) @ nodes
    return vectors


def node_vectors(tree: HuffmanTree, shares: NDArray[np.float64], words: NDArray[Any]) -> NDArray[Any]:
    """Return node vectors from word vectors: inverse of `word_vectors`.

    The words' mean is lost.

    A node is the mean of the words on its left less the mean of those on its right, each weighted by its share. (The
    sum over a path telescopes: (1 − q)·n is the way from the mean below a node to that below its left child.) Words
    without a pair count as zero.

    Parameters
    ----------
    tree, shares
        As in `word_vectors`.
    words : ndarray, shape (V, dim)
        Vectors of words as contexts: those of a softmax, or factors.

    Returns
    -------
    ndarray, shape (V − 1, dim)
        Of the words' dtype.
    """
    shares = shares.astype(words.dtype)
    weighted = shares[:, None] * words
    left = left_matrix(tree, words.dtype)
    nodes = _means(left, shares, weighted)
    nodes -= _means(path_matrix(tree, words.dtype) - left, shares, weighted)
    return nodes


def _means(below: csr_array, shares: NDArray[Any], weighted: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of the words on one side of each node, or zero."""
    sums: NDArray[Any] = below.T @ weighted
    weights = (below.T @ shares)[:, None]
    np.divide(sums, weights, out=sums, where=weights > 0)
    return sums


def left_matrix(tree: HuffmanTree, dtype: DTypeLike) -> csr_array:
    """Return which words are on the left of each node: shape (V, V − 1)."""
    return _matrix(tree, (tree.branches > 0).astype(dtype))


def path_matrix(tree: HuffmanTree, dtype: DTypeLike) -> csr_array:
    """Return which words are below each node: shape (V, V − 1)."""
    return _matrix(tree, np.ones(len(tree.nodes), dtype))


def _matrix(tree: HuffmanTree, values: NDArray[Any]) -> csr_array:
    """Return a value for each word and node on its path, (V, V − 1)."""
    from scipy.sparse import csr_array

    shape = tree.vocabulary_size, tree.inner_nodes
    return csr_array((values, tree.nodes, tree.starts), shape=shape)
