"""Counts of tree nodes: pairs that pass a node, and that branch left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError, ShortRepr
from w2v_exp.examples.batch import Batch, DenseCounts, SparseCounts
from w2v_exp.examples.batches import TrainingOptions
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import (
    BatchMemory,
    BatchShape,
    EpochShape,
    ExamplesMemory,
    PairStatistics,
    TreeShape,
)
from w2v_exp.machine import Work
from w2v_exp.model.huffman import HuffmanTree

if TYPE_CHECKING:
    from scipy.sparse import csr_array

DENSE_SHARE = 1 / 16  # of the centres: a node passed by more of them is worth a column of a dense product


class BranchCounts(NamedTuple):
    """Pairs that pass a node, and those of them that branch left."""

    passing: NDArray[Any]
    left: NDArray[Any]

    def take(self, chosen: slice | NDArray[Any]) -> BranchCounts:
        """Return some of the counts."""
        return BranchCounts(self.passing[chosen], self.left[chosen])

    @classmethod
    def joined(cls, parts: Sequence[BranchCounts]) -> BranchCounts:
        """Return several, concatenated."""
        passing, left = zip(*parts, strict=True)
        return cls(np.concatenate(passing), np.concatenate(left))


@dataclass(frozen=True, repr=False)
class NodeCounts(ShortRepr):
    """Number of each centre's pairs that pass each node, or branch left.

    That is the product of the label counts, (k, V), with the matrix of paths, (V, V − 1), in compressed sparse rows:
    where paths of a centre's pairs begin alike, they share an entry.

    Parameters
    ----------
    starts : ndarray of int, shape (k + 1,)
        Row c is at ``starts[c]:starts[c + 1]`` of the others.
    nodes : ndarray of int32, shape (n,)
        The nodes; each once in a row, in no order.
    pairs : BranchCounts, n each
        Counts of pairs.
    weighted : BranchCounts, n each
        Counts of labels as they stand in the gradient; the same object, unless examples dampen counts.
    """

    starts: NDArray[np.integer[Any]]
    nodes: NDArray[np.int32]
    pairs: BranchCounts
    weighted: BranchCounts

    @classmethod
    def of(cls, labels: csr_array, paths: csr_array, weights: csr_array | None = None) -> NodeCounts:
        """Return the node counts of label counts, (k, V), and of their weights.

        `paths` is the matrix of `path_matrix`.
        """
        product = labels.astype(paths.dtype) @ paths
        pairs = weighted = BranchCounts(product.data.real.copy(), product.data.imag.copy())
        if weights is not None:
            product = weights.astype(paths.dtype) @ paths  # the same entries
            weighted = BranchCounts(product.data.real.copy(), product.data.imag.copy())
        return cls(product.indptr, product.indices, pairs, weighted)

    def span(self, first: int, stop: int) -> NodeCounts:
        """Return the counts of centres `first` to `stop`, without a copy."""
        some = slice(self.starts[first], self.starts[stop])
        return self.with_starts(self.starts[first : stop + 1] - self.starts[first], some)

    def with_starts(self, starts: NDArray[np.integer[Any]], kept: slice | NDArray[np.intp]) -> NodeCounts:
        """Return some of the entries, with the first one of each row at `starts`."""
        pairs = self.pairs.take(kept)
        weighted = pairs if self.weighted is self.pairs else self.weighted.take(kept)
        return NodeCounts(starts, self.nodes[kept], pairs, weighted)

    @classmethod
    def joined(cls, parts: Sequence[NodeCounts]) -> NodeCounts:
        """Return the rows of several, concatenated."""
        if len(parts) == 1:
            return parts[0]
        lengths = np.concatenate([np.diff(part.starts) for part in parts])
        pairs = weighted = BranchCounts.joined([part.pairs for part in parts])
        if any(part.weighted is not part.pairs for part in parts):
            weighted = BranchCounts.joined([part.weighted for part in parts])
        return cls(
            np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            np.concatenate([part.nodes for part in parts]),
            pairs,
            weighted,
        )


@dataclass(frozen=True, repr=False)
class TreeCountBatch(Batch):
    """A batch whose labels are node counts.

    Parameters
    ----------
    node_counts : NodeCounts
        Of the labels; `labels` is empty.
    """

    node_counts: NodeCounts = field(kw_only=True)

    def parts(self, number: int, vocabulary_size: int) -> list[Batch]:
        """Return this batch divided into `number` batches of consecutive centres."""
        edges = np.linspace(0, len(self.centres), number + 1).astype(int).tolist()
        return [self._part(first, stop) for first, stop in pairwise(edges)]

    def _part(self, first: int, stop: int) -> TreeCountBatch:
        some = slice(first, stop)
        weights = self.weights[some]
        return TreeCountBatch(
            centres=self.centres[some],
            rows=some if isinstance(self.rows, slice) else self.rows[some],
            weights=weights,
            labels=NO_LABELS,
            pairs=float(weights.sum()),
            all_pairs=self.all_pairs,
            centre_weights=self.centre_weights[some],
            node_counts=self.node_counts.span(first, stop),
        )


NO_LABELS = SparseCounts(*(np.empty(0, number) for number in (np.intp, np.intp, float, float, np.intp)))


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


def node_counts_of(batch: Batch, paths: csr_array) -> NodeCounts:
    """Return the node counts of a batch's labels."""
    if isinstance(batch, TreeCountBatch):
        return batch.node_counts
    counts, vocabulary_size = batch.labels.counts, paths.shape[0]
    weights = batch.labels.scaled_shares(batch.weights)
    damped = None
    if not np.allclose(weights, counts, rtol=1e-12):  # equal, but for counts that their rule dampens
        damped = label_matrix(batch, weights, vocabulary_size)
    return NodeCounts.of(label_matrix(batch, counts, vocabulary_size), paths, damped)


class NodeCountChunks:
    """The node counts of all centres, in chunks.

    Joining them would need twice the memory.

    Parameters
    ----------
    chunks : sequence of NodeCounts
        Of centres in their order, none without a row.
    """

    def __init__(self, chunks: Sequence[NodeCounts]) -> None:
        self._chunks = chunks
        self._firsts = np.concatenate([[0], np.cumsum([len(chunk.starts) - 1 for chunk in chunks])])

    def rows(self, centres: NDArray[Any]) -> NodeCounts:
        """Return the counts of some centres, by rising number.

        They are a view if they are adjacent in one chunk.
        """
        numbers = self._firsts.searchsorted(centres, "right") - 1
        apart = np.flatnonzero((np.diff(centres) != 1) | (np.diff(numbers) != 0)) + 1
        edges = [0, *apart.tolist(), len(centres)]
        spans = [
            self._chunks[numbers[first]].span(
                int(centres[first] - self._firsts[numbers[first]]),
                int(centres[last - 1] - self._firsts[numbers[first]]) + 1,
            )
            for first, last in pairwise(edges)
        ]
        return NodeCounts.joined(spans)


NODE_BYTES = 4  # of the number of a node
NODE_TEMPORARY_BYTES = 16  # of an entry, while it is combined with its score
DRAWS = np.concatenate([[0], np.geomspace(1, 1e9, 72)])  # at which expectations are tabulated


def branch_bytes(dtype: DTypeLike) -> int:
    """Return the bytes of an entry's two counts."""
    return 2 * max(4, np.dtype(dtype).itemsize)


def node_count_bytes(dtype: DTypeLike) -> int:
    """Return the bytes of an entry of `NodeCounts`."""
    return NODE_BYTES + branch_bytes(dtype)


def node_count_work(centres: float, tree: TreeShape, dim: int) -> Work:
    """Return the operations of cost and gradients of node counts.

    Parameters
    ----------
    centres : float
        Number of centres.
    tree : TreeShape
        Their counts.
    dim : int
        Dimensions of a vector.
    """
    return Work(
        products=6.0 * centres * tree.columns * dim,
        exponentials=2.0 * tree.counts,
        passed=2.0 * centres * tree.columns + 6.0 * tree.sparse_counts * dim,
        gathered=6.0 * tree.counts,
        calls=100 + (4.0 * centres if tree.sparse_counts else 0.0),
    )


class NodeCountEstimate:
    """The expected nodes of each centre, from its distinct contexts.

    In n random draws of words with the text's frequencies, the expected number of distinct words, and of distinct nodes
    on their paths, are functions of n. So one follows from the other, and a centre whose contexts are fewer than its
    pairs has fewer draws. On Wikipedia the sum is 1 to 3 % too low.

    Parameters
    ----------
    statistics : PairStatistics
        Of the text's pairs.

    Attributes
    ----------
    by_centre : ndarray, shape (V,)
        Nodes of each centre.
    """

    def __init__(self, statistics: PairStatistics) -> None:
        self._statistics = statistics
        frequencies = statistics.frequencies
        shares = frequencies / max(1, frequencies.sum())
        tree = HuffmanTree.of(frequencies)
        passing = np.bincount(tree.nodes, np.repeat(shares, tree.lengths), tree.inner_nodes)
        self._missed = np.log1p(
            -np.minimum(passing, 1 - 1e-12)
        )  # log P(a draw does not pass a node), by node
        distinct = [_expected(np.log1p(-np.minimum(shares, 1 - 1e-12)), draws) for draws in DRAWS]
        self._draws = np.interp(statistics.distinct_by_centre, distinct, DRAWS)
        nodes = [_expected(self._missed, draws) for draws in DRAWS]
        self.by_centre: NDArray[np.float64] = np.interp(self._draws, DRAWS, nodes)

    @cached_property
    def total(self) -> float:
        """Nodes of all centres."""
        return float(self.by_centre.sum())

    def largest_slice(self, size: int, order: str) -> tuple[int, TreeShape]:
        """Return centres and counts of the largest slice.

        It has the most frequent centres, unless chance mixes them.
        """
        centres = np.flatnonzero(self._statistics.frequencies > 0)
        size = min(size, len(centres))
        nodes = self.by_centre[centres]
        if order == "shuffled":
            counts = float(min(nodes.sum(), size * nodes.mean() + np.sqrt(size) * nodes.std()))
            sampled = self._draws[centres[:: max(1, len(centres) // 64)]]
        else:
            counts = float(nodes[:size].sum())
            sampled = self._draws[centres[: size : max(1, size // 64)]]
        by_node = np.zeros(len(self._missed))  # expected centres of the sample that pass each node
        for draws in sampled:
            by_node -= np.expm1(draws * self._missed)
        is_column = by_node >= DENSE_SHARE * len(sampled)
        sparse = counts * float(by_node[~is_column].sum()) / max(1e-9, float(by_node.sum()))
        return size, TreeShape(counts, int(np.count_nonzero(is_column)), sparse)


def _expected(missed: NDArray[np.float64], draws: float) -> float:
    """Return the expected number of distinct outcomes in `draws` draws.

    `missed` is log P(not drawn) of each outcome.
    """
    return float(-np.expm1(draws * missed).sum())


CHUNK_COUNTS = 1 << 18
COUNT_TEMPORARY_BYTES = 40  # of a count, while its node counts are computed


class TreeCountExamples(CountedExamples):
    """Counted pairs as node counts, which do not change from epoch to epoch.

    An epoch costs what the distinct (centre, node) pairs cost: two to four times the distinct pairs of words, since
    most of a centre's paths begin alike. They take 12 bytes each with float32, 20 with float64; twice that, less the
    nodes, where ``labels.count_exponent`` dampens counts, since the cost stays that of the undamped.

    Parameters
    ----------
    counts, rule, order
        As for `CountedExamples`.
    dtype : dtype
        Of the counts; that of the parameters.

    Raises
    ------
    SettingError, CorpusError
        As for `CountedExamples`, and if the rule smooths: every centre would pass every node.
    """

    def __init__(
        self,
        counts: PairCounts,
        rule: CountsRule | None = None,
        *,
        order: str = "shuffled",
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(counts, rule, order=order, dtype=dtype)
        refuse_smoothing(self.rule.smoothing)
        self.tree = HuffmanTree.of_shares(self.context_shares, self.pairs_per_epoch)
        paths = path_matrix(self.tree, dtype)
        damped = None
        if self.rule.count_exponent != 1:
            restored = _ratio(self._pairs_by_centre, self._labels_by_centre).astype(self._damped.dtype)
            damped = self._damped * np.repeat(restored, np.diff(counts.starts))
        self._node_counts = NodeCountChunks([*_all_node_counts(counts, damped, paths)])

    @staticmethod
    def memory(
        statistics: PairStatistics, rule: CountsRule, *, order: str, dtype: DTypeLike = np.float64
    ) -> ExamplesMemory:
        """Return the memory of the examples of a text, with estimated nodes."""
        counted = CountedExamples.memory(statistics, rule, order=order)
        estimate = NodeCountEstimate(statistics)
        damps = rule.count_exponent != 1
        size = node_count_bytes(dtype) + damps * branch_bytes(dtype)
        distinct = int(statistics.distinct_by_centre.sum())
        resident = (
            counted.resident + round(size * estimate.total) + 8 * statistics.vocabulary_size * (1 + damps)
        )
        in_chunk = min(1.0, CHUNK_COUNTS / max(1, distinct))
        in_full_chunks = in_chunk * int(1 / in_chunk)
        # A chunk's counts are copied from a complex product: of the last full chunk, or of the rest.
        copying = branch_bytes(dtype)
        product = max(copying * (1 - in_full_chunks), copying * in_chunk - size * (1 - in_full_chunks))
        temporary = COUNT_TEMPORARY_BYTES * min(distinct, CHUNK_COUNTS) + round(product * estimate.total)
        if damps:  # damped counts stay; restored ones, and the nodes of the weights' product, are temporary
            resident += 4 * distinct
            temporary += 16 * distinct + round(in_chunk * NODE_BYTES * estimate.total)
        centres, tree = estimate.largest_slice(rule.centres, order)
        copied = size if order == "shuffled" else 0
        batch = BatchMemory(
            centres=centres,
            labels=round(copied * tree.counts),
            temporary=round((NODE_TEMPORARY_BYTES + damps * branch_bytes(dtype)) * tree.counts),
            next_batch=round(copied * tree.counts),
            columns=int(tree.columns),
        )
        return ExamplesMemory(resident, max(counted.peak_build, resident + temporary), batch)

    @staticmethod
    def epoch(statistics: PairStatistics, rule: CountsRule, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of the examples of a text."""
        centres = max(1, int(np.count_nonzero(statistics.frequencies)))
        size = min(rule.centres, centres)
        steps = math.ceil(centres / size)
        estimate = NodeCountEstimate(statistics)
        _, largest = estimate.largest_slice(size, options.order)
        counts = estimate.total / steps
        tree = TreeShape(counts, largest.columns, largest.sparse_counts * counts / max(1.0, largest.counts))
        batch = BatchShape(centres / steps, statistics.pairs / steps, tree=tree)
        return EpochShape(steps, batch, Work())

    def _slice(self, centres: NDArray[np.int32]) -> TreeCountBatch:
        """Return the batch of these centres, which are in order."""
        pairs_by_centre = self._pairs_by_centre[centres]
        return TreeCountBatch(
            centres=centres,
            rows=slice(None) if len(centres) == self.vocabulary_size else centres,
            weights=pairs_by_centre,
            labels=NO_LABELS,
            pairs=float(pairs_by_centre.sum()),
            all_pairs=self.pairs_per_epoch,
            centre_weights=self._centre_weights[centres],
            node_counts=self._node_counts.rows(centres),
        )


def _all_node_counts(
    counts: PairCounts, damped: NDArray[Any] | None, paths: csr_array
) -> Iterator[NodeCounts]:
    """Yield the node counts of all V centres, in chunks.

    `damped` are the counts as they stand in the gradient.
    """
    from scipy.sparse import csr_array

    words, first = counts.vocabulary_size, 0
    while first < words:
        reached = int(counts.starts.searchsorted(counts.starts[first] + CHUNK_COUNTS, "right")) - 1
        stop = max(first + 1, reached)
        some = slice(counts.starts[first], counts.starts[stop])
        # With indices of 32 bits in both factors, so has the product.
        starts = (counts.starts[first : stop + 1] - counts.starts[first]).astype(paths.indptr.dtype)
        shape = stop - first, words
        labels = csr_array((counts.counts[some], counts.contexts[some], starts), shape=shape)
        weights = None
        if damped is not None:
            weights = csr_array((damped[some], counts.contexts[some], starts), shape=shape)
        yield NodeCounts.of(labels, paths, weights)
        first = stop


def refuse_smoothing(smoothing: float) -> None:
    """Raise `SettingError` for counts that are smoothed."""
    if smoothing:
        raise SettingError(
            "labels.smoothing",
            smoothing,
            "is for objective=softmax: with hierarchical_softmax every centre would pass every node of the tree. "
            "Use labels.smoothing=0.",
        )


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
