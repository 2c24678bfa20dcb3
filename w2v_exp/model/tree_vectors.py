"""Output vectors of words where training has those of tree nodes, and nodes that start from vectors of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.model.huffman import HuffmanTree

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def word_vectors(tree: HuffmanTree, shares: NDArray[np.float64], nodes: NDArray[Any]) -> NDArray[Any]:
    """Return for each word what log p(word | e) of the hierarchical softmax adds for e, to the first order.

    A turn to the left at a node with vector n has the probability σ(n·e). Where a share q of the node's pairs turn
    left, log σ has the slope 1 − q: the word's vector is the sum over its path of (1 − q)·n where it turns left and of
    −q·n where it turns right. So score differences between two words are those of a softmax with these vectors, as far
    as turns are about as likely as they are in all the text.

    Parameters
    ----------
    tree : HuffmanTree
        Its leaves are the words.
    shares : ndarray of float64, shape (V,)
        What share of the pairs each word is the context of.
    nodes : ndarray, shape (V − 1, dim)
        The output weights.

    Returns
    -------
    ndarray, shape (V, dim)
        Of the nodes' dtype; weighted by `shares` their mean is 0.
    """
    left, both = (side.T @ shares for side in (_left(tree, np.float64), _path(tree, np.float64)))
    share = np.divide(left, both, out=np.full_like(both, 0.5), where=both > 0)
    slopes = (tree.turns > 0) - share[tree.nodes]
    vectors: NDArray[Any] = _matrix(tree, slopes.astype(nodes.dtype)) @ nodes
    return vectors


def node_vectors(tree: HuffmanTree, shares: NDArray[np.float64], words: NDArray[Any]) -> NDArray[Any]:
    """Return the nodes whose words have these vectors, less the mean of all: the inverse of `word_vectors`.

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
    left = _left(tree, words.dtype)
    nodes = _means(left, shares, weighted)
    nodes -= _means(_path(tree, words.dtype) - left, shares, weighted)
    return nodes


def _means(below: csr_array, shares: NDArray[Any], weighted: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of the words that are on one side of each node, zero where they have no pair."""
    sums: NDArray[Any] = below.T @ weighted
    weights = (below.T @ shares)[:, None]
    np.divide(sums, weights, out=sums, where=weights > 0)
    return sums


def _left(tree: HuffmanTree, dtype: DTypeLike) -> csr_array:
    """Return which words are on the left of each node: shape (V, V − 1)."""
    return _matrix(tree, (tree.turns > 0).astype(dtype))


def _path(tree: HuffmanTree, dtype: DTypeLike) -> csr_array:
    """Return which words are below each node: shape (V, V − 1)."""
    return _matrix(tree, np.ones(len(tree.nodes), dtype))


def _matrix(tree: HuffmanTree, values: NDArray[Any]) -> csr_array:
    """Return a value for each word and each node on its path: shape (V, V − 1)."""
    from scipy.sparse import csr_array

    shape = tree.vocabulary_size, tree.inner_nodes
    return csr_array((values, tree.nodes, tree.starts), shape=shape)
