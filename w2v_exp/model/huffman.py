"""Huffman's tree over the vocabulary: a binary code for each word, the shorter the more frequent it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2v_exp.representation import ShortRepr


@dataclass(frozen=True, repr=False)
class HuffmanTree(ShortRepr):
    """The inner nodes that lie between the root and each word, and which way to turn at each (Huffman 1952).

    Nodes are numbered from the root, 0, by falling frequency: a node comes after those above it, and the first
    ones are those that most words are below. No tree has a smaller mean length of path.

    Parameters
    ----------
    starts : ndarray of int64, shape (V + 1,)
        The path of word w is at ``starts[w]:starts[w + 1]`` of the other two (compressed sparse rows).
    nodes : ndarray of int32, shape (n,)
        The inner nodes on each path, from the root on: rising numbers, from 0 to V − 2.
    turns : ndarray of int8, shape (n,)
        1 where the path goes left, −1 where it goes right.
    """

    starts: NDArray[np.int64]
    nodes: NDArray[np.int32]
    turns: NDArray[np.int8]

    @classmethod
    def of(cls, frequencies: ArrayLike) -> HuffmanTree:
        """Return the tree of words with these frequencies: the same one wherever they are the same numbers.

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
        parents, turns = _join(counts[rising].tolist())
        # The root was made last; as number 0, every node has a higher number than the one above it.
        inner = max(words - 1, 0)
        above = np.empty(words, np.int32)
        above[rising] = inner - 1 - parents[:words]
        turn = np.empty(words, np.int8)
        turn[rising] = turns[:words]
        node_above = (inner - 1 - parents[words:])[::-1].astype(np.int32)
        node_turn = turns[words:][::-1]
        return cls(*_paths(above, turn, node_above, node_turn))

    @classmethod
    def of_shares(cls, shares: NDArray[np.float64], total: float) -> HuffmanTree:
        """Return the tree of counts that are given as shares of their total.

        Rounded to 1/1024 they are counts again, and sums of them exact: equal ones tie whatever the shares' last bits.
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
        """How many nodes lie between the root and each word, shape (V,)."""
        lengths: NDArray[np.int64] = np.diff(self.starts)
        return lengths

    def mean_length(self, frequencies: ArrayLike) -> float:
        """Return the mean length of path of words with these frequencies."""
        weights = np.asarray(frequencies, np.float64)
        return float(weights @ self.lengths / weights.sum())


def _join(counts: list[float]) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Return for each word, by rising count, and each inner node, as they are made, what it is joined to, and how.

    Joined trees are made by rising count, so the least frequent one is always at the head of one of two queues:
    the words, or the joined ones. That is linear where a heap is not.
    """
    words = len(counts)
    made: list[float] = []
    parents, turns = [0] * max(2 * words - 1, 0), [0] * max(2 * words - 1, 0)
    word = joined = 0
    for node in range(words - 1):
        total = 0.0
        for turn in (-1, 1):
            if word < words and (joined == node or counts[word] <= made[joined]):
                total += counts[word]
                parents[word], turns[word] = node, turn
                word += 1
            else:
                total += made[joined]
                parents[words + joined], turns[words + joined] = node, turn
                joined += 1
        made.append(total)
    return np.array(parents, np.int64), np.array(turns, np.int8)


def _paths(
    above: NDArray[np.int32],
    turn: NDArray[np.int8],
    node_above: NDArray[np.int32],
    node_turn: NDArray[np.int8],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int8]]:
    """Return the paths of all words, all of them climbed at once, a node at a time, from the word to the root.

    `above` and `turn` are the node above each word and how one turns there; `node_above` and `node_turn` those of each
    node, of which the root has none.
    """
    lengths = np.zeros(len(above), np.int64)
    for climbing, _, _ in _climb(above, turn, node_above, node_turn):
        lengths[climbing] += 1
    starts = np.concatenate([[0], np.cumsum(lengths)])
    nodes, turns = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int8)
    for height, (climbing, node, turned) in enumerate(_climb(above, turn, node_above, node_turn), start=1):
        places = starts[climbing + 1] - height
        nodes[places], turns[places] = node, turned
    return starts, nodes, turns


def _climb(
    above: NDArray[np.int32],
    turn: NDArray[np.int8],
    node_above: NDArray[np.int32],
    node_turn: NDArray[np.int8],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int8]]]:
    """Yield, height by height, the words that are still below the root, the node above each, and its turn there."""
    climbing = np.arange(len(above)) if len(node_above) else np.empty(0, np.int64)
    while climbing.size:
        yield climbing, above, turn
        going = above > 0
        climbing, turn, above = climbing[going], node_turn[above[going]], node_above[above[going]]
