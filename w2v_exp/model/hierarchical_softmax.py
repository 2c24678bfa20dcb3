"""Hierarchical softmax: its cost, gradients and probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError, check_number, require_choice
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples, TrainingOptions
from w2v_exp.examples.counted import CountedExamples
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import LABEL_TEMPORARY_BYTES, BatchMemory, BatchShape
from w2v_exp.machine import Work
from w2v_exp.model.huffman import HuffmanTree, left_matrix, node_vectors, path_matrix, word_vectors
from w2v_exp.model.logistic import logistic_cost
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import EMBEDDING_GRADIENTS, Step, Workspace
from w2v_exp.model.tree_counts import BranchCounts, TreeTop, label_matrix, lower_counts

if TYPE_CHECKING:
    from scipy.sparse import csr_array


CENTRES = 128  # processed together: similarly frequent ones, as a slice is in order
TOP_CELLS = 1 << 20  # of the counts of a tree's top
SMALLEST_TOP = 256  # nodes
PASSES = 0.1  # expected pairs of a centre that pass a node of the top, at least
CACHED_SCORES = 1 << 17  # that stay in the second-level cache
BLOCK_NODES = 2048  # whose gradients stay there
GATHERED_SCORES = 1024  # of which the vectors of both factors stay there


class HsGradients(NamedTuple):
    """Cost and gradients of the node counts of some centres.

    Parameters
    ----------
    cost : float
        The summed negative log-likelihood of all branches, in nats.
    hidden_gradient : ndarray, shape (k, dim)
        Its gradient by each centre's vector.
    node_gradient : ndarray, shape (V − 1, dim)
        By the nodes' vectors, each centre times its factor.
    """

    cost: float
    hidden_gradient: NDArray[Any]
    node_gradient: NDArray[Any]


def branch_cost(
    counts: BranchCounts, scores: NDArray[Any], weighted: BranchCounts | None = None
) -> tuple[float, NDArray[Any]]:
    """Return the cost of the counts, and the gradient of the weighted ones by the scores, which are overwritten.

    A branch to the left is a positive example, one to the right a negative one.
    """
    if weighted is None:
        return logistic_cost(scores, *counts)
    cost = logistic_cost(scores.copy(), *counts)[0]
    return cost, logistic_cost(scores, *weighted)[1]


def hs_gradients(
    hidden: NDArray[Any],
    nodes: NDArray[Any],
    labels: csr_array,
    factors: NDArray[Any],
    tree: HuffmanTree,
    tree_top: Callable[[float], TreeTop],
    workspace: Workspace,
    weights: csr_array | None = None,
) -> HsGradients:
    """Return cost and gradients of the node counts of these labels.

    A score in a dense product takes an eighth of the time of one by itself, for which vectors are fetched. So nodes
    that an eighth of the centres pass are rows of a dense matrix, in which cells without a count have the gradient 0.
    Those are the upper nodes, and where centres are frequent words, most nodes.

    Parameters
    ----------
    hidden : ndarray, shape (k, dim)
        The centres' vectors.
    nodes : ndarray, shape (V − 1, dim)
        The nodes' vectors.
    labels : csr_array, shape (k, V)
        Counts of labels.
    factors : ndarray, shape (k, 1)
        Factor of each centre's gradient by the nodes.
    tree : HuffmanTree
        The tree.
    tree_top : callable
        Returns the top of the tree for centres with this mean number of pairs; it changes the speed only.
    workspace : Workspace
        For the gradient of the nodes.
    weights : csr_array, shape (k, V), optional
        The counts as they stand in the gradient; None: the same.
    """
    if not len(nodes):
        return HsGradients(0.0, np.zeros_like(hidden), np.zeros_like(nodes))
    blocks, first = [], 0
    pairs = labels.sum(axis=1)
    while first < len(hidden):
        stop = min(first + CENTRES, len(hidden))
        top = tree_top(float(pairs[first:stop].mean()))
        stop = min(stop, first + max(1, TOP_CELLS // top.width))
        blocks.append((slice(first, stop), top))
        first = stop
    scaled = hidden * factors
    cost, hidden_gradient, node_gradient = _lower_gradients(
        hidden, nodes, scaled, tree, labels, weights, blocks, workspace
    )
    for some, top in blocks:
        upper_cost, gradient = _upper_gradients(
            hidden[some],
            nodes,
            scaled[some],
            top,
            _rows(labels, some),
            None if weights is None else _rows(weights, some),
            node_gradient,
        )
        cost += upper_cost
        hidden_gradient[some] += gradient
    return HsGradients(cost, hidden_gradient, node_gradient)


def _rows(matrix: csr_array, rows: slice) -> csr_array:
    """Return consecutive rows of a matrix, without a copy."""
    from scipy.sparse import csr_array

    starts = matrix.indptr[rows.start : rows.stop + 1]
    some = slice(starts[0], starts[-1])
    shape = len(starts) - 1, matrix.shape[1]
    return csr_array((matrix.data[some], matrix.indices[some], starts - starts[0]), shape=shape)


def _upper_gradients(
    hidden: NDArray[Any],
    nodes: NDArray[Any],
    scaled: NDArray[Any],
    top: TreeTop,
    labels: csr_array,
    weights: csr_array | None,
    node_gradient: NDArray[Any],
) -> tuple[float, NDArray[Any]]:
    """Return cost and hidden gradient of a tree's top.

    Its part of `node_gradient` is added in place.
    """
    pairs = top.counts(labels)
    weighted = None if weights is None else top.counts(weights)
    cost, hidden_gradient = 0.0, np.zeros_like(hidden)
    step = max(1, CACHED_SCORES // len(hidden))
    for first in range(0, top.width, step):
        some = slice(first, min(first + step, top.width))
        some_cost, gradient = branch_cost(
            top.branch_counts(pairs, some),
            nodes[some].dot(hidden.T),
            None if weighted is None else top.branch_counts(weighted, some),
        )
        cost += some_cost
        hidden_gradient += gradient.T.dot(nodes[some])
        node_gradient[some] += gradient.dot(scaled)
    return cost, hidden_gradient


def _lower_gradients(
    hidden: NDArray[Any],
    nodes: NDArray[Any],
    scaled: NDArray[Any],
    tree: HuffmanTree,
    labels: csr_array,
    weights: csr_array | None,
    blocks: list[tuple[slice, TreeTop]],
    workspace: Workspace,
) -> HsGradients:
    """Return cost and gradients of the nodes below the tops of all blocks.

    Counts are in the order of the nodes, whose vectors are then fetched one after the other; those of the centres stay
    in the cache.
    """
    from scipy.sparse import csr_array

    if all(top.width == len(nodes) for _, top in blocks):
        return HsGradients(0.0, np.zeros_like(hidden), np.zeros_like(nodes))
    rests = np.concatenate([top.rests.take(_rows(labels, some).indices) for some, top in blocks])
    counts = lower_counts(tree, labels, rests)
    weighted = None if weights is None else _branch_counts(lower_counts(tree, weights, rests).data)
    centres, scores = counts.indices, np.empty(counts.nnz, hidden.dtype)
    of_counts = np.repeat(np.arange(len(nodes), dtype=np.int32), np.diff(counts.indptr))
    ones = np.ones(hidden.shape[1], hidden.dtype)
    for first in range(0, len(scores), GATHERED_SCORES):
        some = slice(first, first + GATHERED_SCORES)
        factors = nodes.take(of_counts[some], axis=0)
        factors *= hidden.take(centres[some], axis=0)
        np.dot(factors, ones, scores[some])
    cost, gradient = branch_cost(_branch_counts(counts.data), scores, weighted)
    matrix = csr_array((gradient, centres, counts.indptr), shape=(len(nodes), len(hidden)))
    node_gradient = workspace.array(nodes.shape, nodes.dtype)
    for first in range(0, len(nodes), BLOCK_NODES):
        some = slice(first, min(first + BLOCK_NODES, len(nodes)))
        node_gradient[some] = _rows(matrix, some) @ scaled
    return HsGradients(cost, matrix.T @ nodes, node_gradient)


def _branch_counts(counts: NDArray[Any]) -> BranchCounts:
    """Return the branch counts of counts that are negative where a path branches right."""
    return BranchCounts(np.abs(counts), -counts)


CHUNK_LABELS = 1 << 18  # of an evaluation


@dataclass(frozen=True)
class HierarchicalSoftmax:
    """Cost −log p(context | centre), p = Π σ(±W·e) over a path's nodes.

    Source: Morin & Bengio 2005. The tree is Huffman's (Mikolov et al. 2013b, section 2.1 and equation 3), of the
    frequencies of words as contexts of the training pairs. Probabilities sum to 1 over the vocabulary, so the cost is
    comparable with the full softmax's. The output weights are of nodes, (V − 1, dim), not of words;
    `TreeSoftmax.to_word_vectors` derives those of words.

    Parameters
    ----------
    embedding_gradient : {"sum", "mean"}
        As for `Softmax`: whether the embedding follows the gradient of the summed cost or of the mean cost.
    weight_decay : float
        λ of a penalty that each pair adds to the cost that is descended: λ/2 · (‖e‖² + the mean of ‖w‖² over all
        nodes), of its centre's embedding e and the output weights w. The cost that is reported is without it.
    """

    embedding_gradient: str = "sum"
    weight_decay: float = 0.0

    cost_metric: ClassVar[str] = "cost"
    accepts_blocks: ClassVar[bool] = False
    allows_fewer_centres: ClassVar[bool] = False
    is_sampled: ClassVar[bool] = False
    samples_centres: ClassVar[bool] = False
    gains_from_threads: ClassVar[bool] = False
    counted_examples: ClassVar[type[CountedExamples]] = CountedExamples

    def __post_init__(self) -> None:
        require_choice("embedding_gradient", self.embedding_gradient, EMBEDDING_GRADIENTS)
        check_number(self, "weight_decay", at_least=0)

    def check(self, options: TrainingOptions) -> None:
        """Raise `SettingError` for counts that are smoothed."""
        _refuse_smoothing(getattr(options.labels, "smoothing", 0))

    def bind(
        self,
        examples: TrainingExamples,
        word_counts: NDArray[np.int64] | None = None,
        generator: np.random.Generator | None = None,
    ) -> TreeSoftmax:
        """Return the objective over the Huffman tree of these examples' contexts."""
        damps = False
        if isinstance(examples, CountedExamples):
            _refuse_smoothing(examples.rule.smoothing)
            damps = examples.rule.count_exponent != 1
        shares = examples.context_shares
        return TreeSoftmax(HuffmanTree.of_shares(shares, examples.pairs_per_epoch), self, shares, damps)

    @staticmethod
    def memory(vocabulary_size: int) -> int:
        """Return the bytes of the tree, and of the tops that frequent and rare centres need."""
        return vocabulary_size * (5 * vocabulary_size.bit_length() + 130)

    @staticmethod
    def output_rows(vocabulary_size: int) -> int:
        """Return the rows of the output weights: one for each inner node."""
        return max(0, vocabulary_size - 1)

    @staticmethod
    def scores_memory(batch: BatchMemory, vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return the bytes of a batch's label and node counts."""
        size, cells = np.dtype(dtype).itemsize, batch.temporary // LABEL_TEMPORARY_BYTES
        top, lower = _node_counts(cells, batch.centres, vocabulary_size)
        needed = LABEL_MATRIX_BYTES * cells + round(
            max((8 + 2 * size) * min(top, TOP_CELLS), LOWER_BYTES * lower)
        )
        # They are freed before the next batch is built; the gradients are not, and counted elsewhere.
        gradients = (batch.centres + vocabulary_size) * dim * size
        return max(batch.next_batch, needed + gradients) - max(batch.next_batch, gradients)

    @staticmethod
    def step_work(batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of cost and gradients of a batch."""
        top, lower = _node_counts(batch.cells, batch.centres, vocabulary_size)
        return Work(
            products=6.0 * top * dim,
            exponentials=1.0 * (top + lower),
            passed=10.0 * (top + lower) + 5.0 * lower * dim,
            gathered=8.0 * batch.cells + 10.0 * lower,
            calls=100 + batch.centres / CENTRES * 200,
        )


LABEL_MATRIX_BYTES = 16  # of a distinct pair: its context and weight, and numbers while a block is summed
LOWER_BYTES = 28  # of a count of a lower node: in two orders, or one with its score, weight and balance


def _node_counts(cells: float, centres: float, vocabulary_size: int) -> tuple[float, float]:
    """Return estimates of a batch's counts of upper nodes, zeros included, and of lower nodes.

    They are fitted to Wikipedia and random texts of 6,000 to 40,000 words: between none, where a centre has a sixth of
    the words as contexts, and 3.5 a distinct pair, where it has three contexts.
    """
    top = min(9.0 * cells + SMALLEST_TOP * centres, centres * max(0, vocabulary_size - 1))
    depth = math.log2(max(1.0, centres * vocabulary_size) / max(1.0, cells))
    return top, cells * max(0.0, 0.28 * (depth - 2.7))


def _refuse_smoothing(smoothing: float) -> None:
    """Raise `SettingError` for counts that are smoothed."""
    if smoothing:
        raise SettingError(
            "labels.smoothing",
            smoothing,
            "is for objective=softmax: with hierarchical_softmax every centre would pass every node of the tree. "
            "Use labels.smoothing=0.",
        )


class TreeSoftmax:
    """The hierarchical softmax over a tree.

    Parameters
    ----------
    tree : HuffmanTree
        Its leaves are the words.
    rule : HierarchicalSoftmax, optional
        The settings of the gradients.
    shares : ndarray of float64, shape (V,), optional
        Share of the pairs that have each word as context, for the output vectors of words; None: uniform.
    damps : bool
        Whether labels weigh less in the gradients than their counts.
    """

    def __init__(
        self,
        tree: HuffmanTree,
        rule: HierarchicalSoftmax | None = None,
        shares: NDArray[np.float64] | None = None,
        damps: bool = False,
    ) -> None:
        self.tree = tree
        self.rule = rule or HierarchicalSoftmax()
        self._damps = damps
        words = tree.vocabulary_size
        self._shares = np.full(words, 1 / words) if shares is None else shares
        self._tops = dict[int, TreeTop]()

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch; parameters stay unchanged."""
        from scipy.sparse import csr_array

        hidden, nodes = batch.hidden(parameters.embedding), parameters.output
        labels = label_matrix(batch, batch.labels.counts.astype(hidden.dtype), self.tree.vocabulary_size)
        damped = None
        if self._damps:
            weights = batch.labels.scaled_shares(batch.weights).astype(hidden.dtype)
            damped = csr_array((weights, labels.indices, labels.indptr), shape=labels.shape)
        factors = (batch.shares / batch.weights).astype(hidden.dtype)[:, None]
        cost, embedding_gradient, node_gradient = hs_gradients(
            hidden, nodes, labels, factors, self.tree, self._top, workspace or Workspace(), damped
        )
        embedding_gradient *= factors
        if self.rule.weight_decay:
            decay = self.rule.weight_decay
            embedding_gradient += (decay * batch.shares).astype(hidden.dtype)[:, None] * hidden
            decay *= float(batch.shares.sum()) / max(1, len(nodes))
            for first in range(0, len(nodes), BLOCK_NODES):
                node_gradient[first : first + BLOCK_NODES] += decay * nodes[first : first + BLOCK_NODES]
        if self.rule.embedding_gradient == "sum":
            embedding_gradient *= batch.all_pairs
        return Step(cost, math.nan, batch.by_row(embedding_gradient), node_gradient)

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) of every word, (len(centres), V)."""
        scores = parameters.embedding[centres].dot(parameters.output.T)
        # A path's logarithm is a sum of log σ(s) for a left branch, log σ(−s) for a right one.
        right = -np.logaddexp(0, scores)
        left, paths = (matrix(self.tree, scores.dtype) for matrix in (left_matrix, path_matrix))
        logarithms = left @ scores.T + paths @ right.T
        probabilities: NDArray[Any] = np.exp(logarithms.T)
        return probabilities

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood of pairs, in nats a pair."""
        from scipy.sparse import csr_array

        cost, words, workspace = 0.0, self.tree.vocabulary_size, Workspace()
        for rows, some in counts.row_spans(CHUNK_LABELS):
            hidden = parameters.embedding[rows]
            starts = (counts.starts[rows.start : rows.stop + 1] - some.start).astype(np.int32)
            parts = counts.counts[some].astype(hidden.dtype), counts.contexts[some], starts
            labels, factors = (
                csr_array(parts, shape=(len(hidden), words)),
                np.ones((len(hidden), 1), hidden.dtype),
            )
            cost += hs_gradients(
                hidden, parameters.output, labels, factors, self.tree, self._top, workspace
            ).cost
        return cost / counts.total

    def initial_parameters(
        self, drawn: Parameters, examples: TrainingExamples, *, of_words: bool = False
    ) -> Parameters:
        """Return drawn parameters with V − 1 output vectors, of nodes."""
        if of_words:
            return self.to_node_vectors(drawn)
        return Parameters(drawn.embedding, drawn.output[: self.tree.inner_nodes])

    def to_word_vectors(self, parameters: Parameters) -> Parameters:
        """Return parameters with output vectors of words, by `word_vectors`."""
        return Parameters(parameters.embedding, word_vectors(self.tree, self._shares, parameters.output))

    def to_node_vectors(self, parameters: Parameters) -> Parameters:
        """Return parameters with output vectors of nodes, by `node_vectors`."""
        return Parameters(parameters.embedding, node_vectors(self.tree, self._shares, parameters.output))

    def _top(self, pairs: float) -> TreeTop:
        """Return the top of the tree for centres with this mean number of pairs."""
        often = int(np.searchsorted(-self._passing, -PASSES / max(pairs, PASSES), "right"))
        width = min(self.tree.inner_nodes, max(SMALLEST_TOP, 1 << round(math.log2(max(1, often)))))
        if width not in self._tops:
            self._tops[width] = TreeTop(self.tree, width)
        return self._tops[width]

    @cached_property
    def _passing(self) -> NDArray[np.float64]:
        """Share of the pairs that pass each node, falling."""
        tree = self.tree
        shares = np.bincount(tree.nodes, np.repeat(self._shares, tree.lengths), tree.inner_nodes)
        falling: NDArray[np.float64] = np.minimum.accumulate(shares)
        return falling
