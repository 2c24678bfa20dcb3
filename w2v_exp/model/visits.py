"""Visits of tree nodes: the labels of a batch, as the steps that their paths take through a binary tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.labels import DenseCounts, SparseCounts
from w2v_exp.model.huffman import HuffmanTree

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class NodeVisits:
    """How many of each centre's pairs come by each node, and how many of them turn left there.

    That is the product of the label counts, (k, V), with the matrix of paths, (V, V − 1), in compressed sparse rows:
    where pairs of a centre share the beginning of their paths, it is one visit, with a count.

    Parameters
    ----------
    starts : ndarray of int, shape (k + 1,)
        The visits of row c are at ``starts[c]:starts[c + 1]`` of the others.
    nodes : ndarray of int32, shape (n,)
        Which node; each once in a row, in no order.
    pairs : ndarray of complex64 or complex128, shape (n,)
        Real part: the pairs that come by. Imaginary part: those of them that turn left.
    """

    starts: NDArray[np.integer[Any]]
    nodes: NDArray[np.int32]
    pairs: NDArray[Any]

    @classmethod
    def of(cls, labels: csr_array, paths: csr_array) -> NodeVisits:
        """Return the visits of counted labels, (k, V), with the paths of `path_matrix`."""
        visits = labels.astype(paths.dtype) @ paths
        return cls(visits.indptr, visits.indices, visits.data)

    def stretch(self, first: int, stop: int) -> NodeVisits:
        """Return the visits of the centres from `first` to before `stop`, without a copy."""
        some = slice(self.starts[first], self.starts[stop])
        return NodeVisits(
            self.starts[first : stop + 1] - self.starts[first], self.nodes[some], self.pairs[some]
        )


@dataclass(frozen=True)
class VisitedBatch(Batch):
    """A batch whose labels are visits of nodes already; it has no others.

    Parameters
    ----------
    counted : NodeVisits
        Of the labels as often as they occur.
    weighted : NodeVisits
        Of the labels as they stand in the gradient; the same object, unless examples dampen counts.
    """

    counted: NodeVisits = field(kw_only=True)
    weighted: NodeVisits = field(kw_only=True)

    def parts(self, number: int, vocabulary_size: int) -> list[Batch]:
        """Return so many batches of consecutive centres that together are this one."""
        edges = np.linspace(0, len(self.centres), number + 1).astype(int).tolist()
        return [self._part(first, stop) for first, stop in pairwise(edges)]

    def _part(self, first: int, stop: int) -> VisitedBatch:
        some = slice(first, stop)
        weights, counted = self.weights[some], self.counted.stretch(first, stop)
        same = self.weighted is self.counted
        return VisitedBatch(
            centres=self.centres[some],
            rows=some if isinstance(self.rows, slice) else self.rows[some],
            weights=weights,
            labels=NO_LABELS,
            pairs=float(weights.sum()),
            all_pairs=self.all_pairs,
            centre_weights=self.centre_weights[some],
            counted=counted,
            weighted=counted if same else self.weighted.stretch(first, stop),
        )


NO_LABELS = SparseCounts(*(np.empty(0, number) for number in (np.intp, np.intp, float, float, np.intp)))


def path_matrix(tree: HuffmanTree, dtype: DTypeLike) -> csr_array:
    """Return the paths of all words, (V, V − 1): 1 + i where they turn left, 1 where right, 0 where they do not pass.

    A product with complex numbers then counts both in one go. `dtype`, float32 or float64, is that of each part.
    """
    from scipy.sparse import csr_array

    turns = np.ones(len(tree.nodes), np.result_type(dtype, np.complex64))
    turns.imag = tree.turns > 0
    # Indices of 32 bits, as long as they suffice: SciPy's products are faster.
    index = np.int32 if len(turns) <= np.iinfo(np.int32).max else np.int64
    shape = tree.vocabulary_size, tree.inner_nodes
    return csr_array((turns, tree.nodes.astype(index, copy=False), tree.starts.astype(index)), shape=shape)


def label_matrix(batch: Batch, values: NDArray[Any], vocabulary_size: int) -> csr_array:
    """Return a matrix, (k, V), with a value for each of the counts of a batch's labels."""
    from scipy.sparse import csr_array

    labels, shape = batch.labels, (len(batch.centres), vocabulary_size)
    if isinstance(labels, DenseCounts):
        return csr_array(values.reshape(shape))
    assert isinstance(labels, SparseCounts)
    starts = labels.rows.searchsorted(np.arange(shape[0] + 1))
    index = np.int32 if len(values) <= np.iinfo(np.int32).max else np.int64
    words = labels.cells - labels.rows * vocabulary_size
    return csr_array((values, words.astype(index), starts.astype(index)), shape=shape)


def visits_of(batch: Batch, paths: csr_array) -> tuple[NodeVisits, NodeVisits]:
    """Return the visits of a batch's labels: as often as they occur, and as they stand in the gradient."""
    if isinstance(batch, VisitedBatch):
        return batch.counted, batch.weighted
    counts = batch.labels.counts
    weights = batch.labels.scaled_shares(batch.weights)
    vocabulary_size = paths.shape[0]
    counted = NodeVisits.of(label_matrix(batch, counts, vocabulary_size), paths)
    if np.allclose(weights, counts, rtol=1e-12):  # as they are, but for counts that their rule dampens
        return counted, counted
    return counted, NodeVisits.of(label_matrix(batch, weights, vocabulary_size), paths)


class VisitPieces:
    """The visits of all centres in pieces, as they were made: joined to one array they would be there twice.

    Parameters
    ----------
    pieces : sequence of NodeVisits
        Of centres in their order, none without a row.
    """

    def __init__(self, pieces: Sequence[NodeVisits]) -> None:
        self._pieces = pieces
        self._firsts = np.concatenate([[0], np.cumsum([len(piece.starts) - 1 for piece in pieces])])

    def rows(self, centres: NDArray[Any]) -> NodeVisits:
        """Return the visits of some centres, by rising number: a view, if they are neighbours in one piece."""
        numbers = self._firsts.searchsorted(centres, "right") - 1
        apart = np.flatnonzero((np.diff(centres) != 1) | (np.diff(numbers) != 0)) + 1
        edges = [0, *apart.tolist(), len(centres)]
        stretches: list[NodeVisits] = [
            self._pieces[numbers[first]].stretch(
                int(centres[first] - self._firsts[numbers[first]]),
                int(centres[last - 1] - self._firsts[numbers[first]]) + 1,
            )
            for first, last in pairwise(edges)
        ]
        if len(stretches) == 1:
            return stretches[0]
        lengths = np.concatenate([np.diff(stretch.starts) for stretch in stretches])
        return NodeVisits(
            np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            np.concatenate([stretch.nodes for stretch in stretches]),
            np.concatenate([stretch.pairs for stretch in stretches]),
        )

    def __iter__(self) -> Iterator[NodeVisits]:
        """Return the pieces in their order."""
        return iter(self._pieces)
