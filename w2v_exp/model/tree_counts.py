"""Counts of tree nodes: labels and counted pairs as turns on paths, and their memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError, ShortRepr
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.labels import DenseCounts, SparseCounts
from w2v_exp.examples.statistics import BatchMemory, ExamplesMemory, PairStatistics
from w2v_exp.machine import Work
from w2v_exp.model.huffman import HuffmanTree

if TYPE_CHECKING:
    from scipy.sparse import csr_array

DENSE_SHARE = 1 / 16  # of the centres: a node that more of them visit is worth a column of a dense product


@dataclass(frozen=True, repr=False)
class NodeCounts(ShortRepr):
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
    def of(cls, labels: csr_array, paths: csr_array, weights: csr_array | None = None) -> NodeCounts:
        """Return the visits of labels, (k, V), as often as they occur and as they weigh, with `path_matrix`'s paths."""
        visits = labels.astype(paths.dtype) @ paths
        weighted = visits if weights is None else weights.astype(paths.dtype) @ paths  # at the same places
        return cls(visits.indptr, visits.indices, visits.data, weighted.data)

    def span(self, first: int, stop: int) -> NodeCounts:
        """Return the visits of the centres from `first` to before `stop`, without a copy."""
        some = slice(self.starts[first], self.starts[stop])
        return self.with_starts(self.starts[first : stop + 1] - self.starts[first], some)

    def with_starts(self, starts: NDArray[np.integer[Any]], kept: slice | NDArray[np.intp]) -> NodeCounts:
        """Return some of the visits, which begin for each row where they are said to."""
        pairs = self.pairs[kept]
        weighted = pairs if self.weighted is self.pairs else self.weighted[kept]
        return NodeCounts(starts, self.nodes[kept], pairs, weighted)

    @classmethod
    def joined(cls, parts: Sequence[NodeCounts]) -> NodeCounts:
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
class TreeCountBatch(Batch):
    """A batch whose labels are visits of nodes already; it has no others.

    Parameters
    ----------
    visits : NodeCounts
        Of the labels.
    """

    visits: NodeCounts = field(kw_only=True)

    def parts(self, number: int, vocabulary_size: int) -> list[Batch]:
        """Return so many batches of consecutive centres that together are this one."""
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
            visits=self.visits.span(first, stop),
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


def node_counts_of(batch: Batch, paths: csr_array) -> NodeCounts:
    """Return the visits of a batch's labels."""
    if isinstance(batch, TreeCountBatch):
        return batch.visits
    counts, vocabulary_size = batch.labels.counts, paths.shape[0]
    weights = batch.labels.scaled_shares(batch.weights)
    damped = None
    if not np.allclose(weights, counts, rtol=1e-12):  # as they are, but for counts that their rule dampens
        damped = label_matrix(batch, weights, vocabulary_size)
    return NodeCounts.of(label_matrix(batch, counts, vocabulary_size), paths, damped)


class NodeCountChunks:
    """The visits of all centres in pieces, as they were made: joined to one array they would be there twice.

    Parameters
    ----------
    pieces : sequence of NodeCounts
        Of centres in their order, none without a row.
    """

    def __init__(self, pieces: Sequence[NodeCounts]) -> None:
        self._pieces = pieces
        self._firsts = np.concatenate([[0], np.cumsum([len(piece.starts) - 1 for piece in pieces])])

    def rows(self, centres: NDArray[Any]) -> NodeCounts:
        """Return the visits of some centres, by rising number: a view, if they are neighbours in one piece."""
        numbers = self._firsts.searchsorted(centres, "right") - 1
        apart = np.flatnonzero((np.diff(centres) != 1) | (np.diff(numbers) != 0)) + 1
        edges = [0, *apart.tolist(), len(centres)]
        spans = [
            self._pieces[numbers[first]].span(
                int(centres[first] - self._firsts[numbers[first]]),
                int(centres[last - 1] - self._firsts[numbers[first]]) + 1,
            )
            for first, last in pairwise(edges)
        ]
        return NodeCounts.joined(spans)


NODE_BYTES = 4  # the number of a visited node
NODE_TEMPORARY_BYTES = 16  # for a visit, while it meets its score
DRAWS = np.concatenate([[0], np.geomspace(1, 1e9, 72)])  # at which expectations are tabulated


def node_count_bytes(dtype: DTypeLike) -> int:
    """Return how many bytes a visit takes: a node, and a complex number."""
    return NODE_BYTES + 2 * max(4, np.dtype(dtype).itemsize)


def node_count_work(centres: float, visits: float, columns: float, lower: float, dim: int) -> Work:
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


class SliceEstimate(NamedTuple):
    """What the largest slice of centres of those that a run begins with is expected to be.

    Of its `visits`, `lower` are of nodes that are no `columns`.
    """

    centres: int
    visits: float
    columns: int
    lower: float


class NodeCountEstimate:
    """How many nodes each centre is expected to visit, from how many distinct contexts it has.

    Of words drawn at random with the text's frequencies, how many distinct ones are to be expected, and how many
    distinct nodes on their paths, both follow from the number of draws. So one tells the other, and a centre whose
    contexts are fewer than its pairs has fewer draws. On Wikipedia the sum is 1 to 3 % too low.

    Parameters
    ----------
    statistics : PairStatistics
        Of the text's pairs.
    """

    def __init__(self, statistics: PairStatistics) -> None:
        self._survey = statistics
        frequencies = statistics.frequencies
        shares = frequencies / max(1, frequencies.sum())
        tree = HuffmanTree.of(frequencies)
        passing = np.bincount(tree.nodes, np.repeat(shares, tree.lengths), tree.inner_nodes)
        self._missed = np.log1p(-np.minimum(passing, 1 - 1e-12))  # by one draw, as a logarithm; by node
        distinct = [_expected(np.log1p(-np.minimum(shares, 1 - 1e-12)), draws) for draws in DRAWS]
        self._draws = np.interp(statistics.distinct_by_centre, distinct, DRAWS)
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


COUNTS_AT_ONCE = 1 << 20
LABEL_TEMPORARY_BYTES = 40  # of a count, while its visits are made


class TreeCountExamples(CountedExamples):
    """Counted pairs as visits of tree nodes: which centre's pairs come by which node does not change with epochs.

    So an epoch costs what the distinct (centre, node) visits cost: two to four times the distinct pairs, since most of
    a centre's paths begin alike. They take 12 bytes each with float32, 20 with float64; twice that, less the nodes,
    where ``labels.count_exponent`` dampens counts, since the cost stays that of the undamped.

    Parameters
    ----------
    counts, rule, order
        As for `CountedExamples`.
    dtype : dtype
        Of the visits' counts; that of the parameters.

    Raises
    ------
    SettingError, CorpusError
        As for `CountedExamples`, and if the rule smooths: every centre would visit every node.
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
        refuse_smoothing(self.rule)
        self.tree = HuffmanTree.of_shares(self.context_shares, self.pairs_per_epoch)
        paths = path_matrix(self.tree, dtype)
        damped = None
        if self.rule.count_exponent != 1:
            restored = _ratio(self._pairs_by_centre, self._labels_by_centre).astype(self._damped.dtype)
            damped = self._damped * np.repeat(restored, np.diff(counts.starts))
        self._visits = NodeCountChunks([*_all_node_counts(counts, damped, paths)])

    @staticmethod
    def memory(
        statistics: PairStatistics, rule: CountsRule, *, order: str, dtype: DTypeLike = np.float64
    ) -> ExamplesMemory:
        """Return what the examples of a text will need; the visits of each centre are estimated."""
        counted = CountedExamples.memory(statistics, rule, order=order)
        estimate = NodeCountEstimate(statistics)
        damps = rule.count_exponent != 1
        size = node_count_bytes(dtype) + damps * (node_count_bytes(dtype) - NODE_BYTES)
        distinct = int(statistics.distinct_by_centre.sum())
        held = counted.resident + round(size * estimate.total) + 8 * statistics.vocabulary_size * (1 + damps)
        labels = LABEL_TEMPORARY_BYTES * min(distinct, COUNTS_AT_ONCE)
        if (
            damps
        ):  # damped counts stay; restored ones, and the nodes of weighted visits once more, come and go
            held += 4 * distinct
            together = min(1.0, COUNTS_AT_ONCE / max(1, distinct))
            labels += 16 * distinct + round(together * NODE_BYTES * estimate.total)
        slices = estimate.slices(rule.centres, order)
        copied = size if order == "shuffled" else 0
        batch = BatchMemory(
            centres=slices.centres,
            labels=round(copied * slices.visits),
            temporary=round(NODE_TEMPORARY_BYTES * slices.visits),
            next_batch=round(copied * slices.visits),
            columns=slices.columns,
        )
        return ExamplesMemory(held, max(counted.peak_build, held + labels), batch)

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
            visits=self._visits.rows(centres),
        )


def _all_node_counts(
    counts: PairCounts, damped: NDArray[Any] | None, paths: csr_array
) -> Iterator[NodeCounts]:
    """Yield the visits of all V centres, some at a time; `damped` are their counts as they stand in the gradient."""
    from scipy.sparse import csr_array

    words, first = counts.vocabulary_size, 0
    while first < words:
        reached = int(counts.starts.searchsorted(counts.starts[first] + COUNTS_AT_ONCE, "right")) - 1
        stop = max(first + 1, reached)
        some = slice(counts.starts[first], counts.starts[stop])
        starts = counts.starts[first : stop + 1] - counts.starts[first]
        shape = stop - first, words
        labels = csr_array((counts.counts[some], counts.contexts[some], starts), shape=shape)
        weights = None
        if damped is not None:
            weights = csr_array((damped[some], counts.contexts[some], starts), shape=shape)
        yield NodeCounts.of(labels, paths, weights)
        first = stop


def refuse_smoothing(rule: CountsRule) -> None:
    """Raise `SettingError` for counts that are smoothed."""
    if rule.smoothing:
        raise SettingError(
            "labels.smoothing",
            rule.smoothing,
            "is for objective=softmax: with hierarchical_softmax every centre would visit every node of the tree. "
            "Use labels.smoothing=0.",
        )


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
