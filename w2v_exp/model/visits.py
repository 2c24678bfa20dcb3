"""Visits of tree nodes: the labels of a batch, as the steps that their paths take through a binary tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.examples.batch import Batch
from w2v_exp.examples.labels import DenseCounts, SparseCounts
from w2v_exp.model.huffman import HuffmanTree
from w2v_exp.representation import ShortRepr

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, repr=False)
class NodeVisits(ShortRepr):
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
    weighted : ndarray, as `pairs`
        The same of the labels as they stand in the gradient; the same array, unless examples dampen counts.
    """

    starts: NDArray[np.integer[Any]]
    nodes: NDArray[np.int32]
    pairs: NDArray[Any]
    weighted: NDArray[Any]

    @classmethod
    def of(cls, labels: csr_array, paths: csr_array, weights: csr_array | None = None) -> NodeVisits:
        """Return the visits of labels, (k, V), as often as they occur and as they weigh, with `path_matrix`'s paths."""
        visits = labels.astype(paths.dtype) @ paths
        weighted = visits if weights is None else weights.astype(paths.dtype) @ paths  # at the same places
        return cls(visits.indptr, visits.indices, visits.data, weighted.data)

    def stretch(self, first: int, stop: int) -> NodeVisits:
        """Return the visits of the centres from `first` to before `stop`, without a copy."""
        some = slice(self.starts[first], self.starts[stop])
        return self.with_starts(self.starts[first : stop + 1] - self.starts[first], some)

    def with_starts(self, starts: NDArray[np.integer[Any]], kept: slice | NDArray[np.intp]) -> NodeVisits:
        """Return some of the visits, which begin for each row where they are said to."""
        pairs = self.pairs[kept]
        weighted = pairs if self.weighted is self.pairs else self.weighted[kept]
        return NodeVisits(starts, self.nodes[kept], pairs, weighted)

    @classmethod
    def joined(cls, parts: Sequence[NodeVisits]) -> NodeVisits:
        """Return the rows of several, one after the other."""
        if len(parts) == 1:
            return parts[0]
        lengths = np.concatenate([np.diff(part.starts) for part in parts])
        pairs = np.concatenate([part.pairs for part in parts])
        alike = all(part.weighted is part.pairs for part in parts)
        return cls(
            np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            np.concatenate([part.nodes for part in parts]),
            pairs,
            pairs if alike else np.concatenate([part.weighted for part in parts]),
        )


@dataclass(frozen=True, repr=False)
class VisitedBatch(Batch):
    """A batch whose labels are visits of nodes already; it has no others.

    Parameters
    ----------
    visits : NodeVisits
        Of the labels.
    """

    visits: NodeVisits = field(kw_only=True)

    def parts(self, number: int, vocabulary_size: int) -> list[Batch]:
        """Return so many batches of consecutive centres that together are this one."""
        edges = np.linspace(0, len(self.centres), number + 1).astype(int).tolist()
        return [self._part(first, stop) for first, stop in pairwise(edges)]

    def _part(self, first: int, stop: int) -> VisitedBatch:
        some = slice(first, stop)
        weights = self.weights[some]
        return VisitedBatch(
            centres=self.centres[some],
            rows=some if isinstance(self.rows, slice) else self.rows[some],
            weights=weights,
            labels=NO_LABELS,
            pairs=float(weights.sum()),
            all_pairs=self.all_pairs,
            centre_weights=self.centre_weights[some],
            visits=self.visits.stretch(first, stop),
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


def visits_of(batch: Batch, paths: csr_array) -> NodeVisits:
    """Return the visits of a batch's labels."""
    if isinstance(batch, VisitedBatch):
        return batch.visits
    counts, vocabulary_size = batch.labels.counts, paths.shape[0]
    weights = batch.labels.scaled_shares(batch.weights)
    damped = None
    if not np.allclose(weights, counts, rtol=1e-12):  # as they are, but for counts that their rule dampens
        damped = label_matrix(batch, weights, vocabulary_size)
    return NodeVisits.of(label_matrix(batch, counts, vocabulary_size), paths, damped)


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
        stretches = [
            self._pieces[numbers[first]].stretch(
                int(centres[first] - self._firsts[numbers[first]]),
                int(centres[last - 1] - self._firsts[numbers[first]]) + 1,
            )
            for first, last in pairwise(edges)
        ]
        return NodeVisits.joined(stretches)
