"""Hierarchical softmax: its cost, gradients and probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import check_number, require_choice
from w2v_exp.examples.batch import Batch
from w2v_exp.examples.batches import TrainingExamples, TrainingOptions
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import LABEL_BYTES, BatchMemory, BatchShape, TreeShape
from w2v_exp.machine import Work
from w2v_exp.model.huffman import HuffmanTree, node_vectors, word_vectors
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.softmax import EMBEDDING_GRADIENTS, Step, Workspace
from w2v_exp.model.tree_counts import (
    DENSE_SHARE,
    NODE_TEMPORARY_BYTES,
    BranchCounts,
    NodeCounts,
    TreeCountExamples,
    node_count_bytes,
    node_count_work,
    node_counts_of,
    path_matrix,
    refuse_smoothing,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


CACHED_SCORES = 1 << 17  # of a block of rows, that stay in the second-level cache
GATHERED_NODES = 2048  # whose vectors stay there between scores and gradients


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


def branch_cost(counts: BranchCounts, scores: NDArray[Any]) -> float:
    """Return −Σ left·log σ(score) + right·log σ(−score), summed in float64."""
    return _cost(counts, scores, 1 + np.exp(-np.abs(scores)))


def branch_cost_and_gradient(
    counts: BranchCounts, weighted: BranchCounts, scores: NDArray[Any]
) -> tuple[float, NDArray[Any]]:
    """Return the cost, and the gradient passing·σ(score) − left.

    The cost is that of the counts, the gradient that of the weighted ones.
    """
    decay = np.exp(-np.abs(scores))  # never overflows
    gradient = np.where(scores >= 0, 1, decay)
    decay += 1
    gradient /= decay
    gradient *= weighted.passing
    gradient -= weighted.left
    return _cost(counts, scores, decay), gradient


def _cost(counts: BranchCounts, scores: NDArray[Any], sums: NDArray[Any]) -> float:
    """Return the cost, given 1 + exp(−|score|), which is overwritten."""
    costs = np.log(sums, out=sums)
    costs += np.maximum(scores, 0)
    costs *= counts.passing
    costs -= counts.left * scores
    return float(np.add.reduce(costs, dtype=np.float64))


def hs_gradients(
    hidden: NDArray[Any],
    nodes: NDArray[Any],
    counts: NodeCounts,
    factors: NDArray[Any],
    workspace: Workspace,
    dense_share: float = DENSE_SHARE,
) -> HsGradients:
    """Return cost and gradients of these node counts.

    A score in a dense product takes a fifteenth of the time of one by itself, for which a node's vector is fetched; so
    a node that a sixteenth of the centres pass becomes a column of a dense matrix, in which cells without a count have
    the gradient 0. Those are the upper nodes, and where centres are frequent words, most nodes.

    Parameters
    ----------
    hidden : ndarray, shape (k, dim)
        The centres' vectors.
    nodes : ndarray, shape (V − 1, dim)
        The nodes' vectors.
    counts : NodeCounts
        Of k centres.
    factors : ndarray, shape (k, 1)
        Factor of each centre's gradient by the nodes.
    workspace : Workspace
        For the dense scores.
    dense_share : float
        The share of the centres that makes a node's column dense; it changes the speed only.
    """
    by_node = np.bincount(counts.nodes, minlength=len(nodes))
    upper = np.flatnonzero(by_node >= max(1.0, dense_share * len(hidden)))
    column = np.full(len(nodes), -1, np.int32)
    column[upper] = np.arange(len(upper), dtype=np.int32)
    columns = column.take(counts.nodes)
    scaled = hidden * factors
    cost, hidden_gradient, upper_gradient = _dense_gradients(
        hidden, nodes.take(upper, axis=0), scaled, counts, columns, workspace
    )
    if len(upper) == np.count_nonzero(by_node):
        node_gradient = np.zeros_like(nodes)
    else:
        lower_cost, node_gradient = _sparse_gradients(
            hidden, nodes, scaled, _without_columns(counts, columns), hidden_gradient
        )
        cost += lower_cost
    node_gradient[upper] = upper_gradient
    return HsGradients(cost, hidden_gradient, node_gradient)


def _dense_gradients(
    hidden: NDArray[Any],
    upper: NDArray[Any],
    scaled: NDArray[Any],
    counts: NodeCounts,
    columns: NDArray[np.int32],
    workspace: Workspace,
) -> HsGradients:
    """Return cost and gradients of the nodes that have a column.

    The second gradient is by these nodes only.

    Scores become gradients in place, a few rows at a time, which stay in the cache.
    """
    centres, width = len(hidden), len(upper)
    scores = hidden.dot(upper.T, workspace.array((centres, width), hidden.dtype))
    cost = 0.0
    step = max(1, CACHED_SCORES // max(1, width))
    lengths = np.diff(counts.starts)
    for first in range(0, centres, step):
        block = scores[first : first + step]
        stop = first + len(block)
        some = slice(counts.starts[first], counts.starts[stop])
        cells = (
            np.repeat(np.arange(len(block), dtype=np.int32) * np.int32(width), lengths[first:stop])
            + columns[some]
        )
        same = counts.weighted is counts.pairs
        pairs = counts.pairs.take(some)
        weighted = pairs if same else counts.weighted.take(some)
        dense = columns[some] >= 0
        if not dense.all():
            cells, pairs = cells[dense], pairs.take(dense)
            weighted = pairs if same else weighted.take(dense)
        flat = block.reshape(-1)
        block_cost, gradient = branch_cost_and_gradient(pairs, weighted, flat.take(cells))
        cost += block_cost
        flat.fill(0)
        flat[cells] = gradient
    return HsGradients(cost, scores.dot(upper), scores.T.dot(scaled))


def _without_columns(counts: NodeCounts, columns: NDArray[np.int32]) -> NodeCounts:
    """Return the counts of nodes that have no column."""
    lower = columns < 0
    # Every centre passes the root, so no row is empty.
    lengths = np.add.reduceat(lower, counts.starts[:-1], dtype=np.int64)
    return counts.with_starts(np.concatenate([[0], np.cumsum(lengths)]), np.flatnonzero(lower))


def _sparse_gradients(
    hidden: NDArray[Any],
    nodes: NDArray[Any],
    scaled: NDArray[Any],
    counts: NodeCounts,
    hidden_gradient: NDArray[Any],
) -> tuple[float, NDArray[Any]]:
    """Return cost and node gradient of nodes without a column.

    Their part of `hidden_gradient` is added in place.

    A centre's nodes are fetched once for its scores and its gradient. The nodes' gradient is a product with a sparse
    matrix, in the order of the nodes: several counts of a node are added up without sorting rows.
    """
    from scipy.sparse import csr_array

    starts = counts.starts.tolist()
    gradient = np.empty(len(counts.nodes), hidden.dtype)
    cost, centre = 0.0, 0
    while centre < len(hidden):
        reached = int(counts.starts.searchsorted(starts[centre] + GATHERED_NODES, "right")) - 1
        stop = max(centre + 1, reached)
        first = starts[centre]
        some = slice(first, starts[stop])
        fetched = nodes.take(counts.nodes[some], axis=0)
        scores = np.empty(len(fetched), hidden.dtype)
        spans = [(row, slice(starts[row] - first, starts[row + 1] - first)) for row in range(centre, stop)]
        for row, span in spans:
            np.dot(fetched[span], hidden[row], out=scores[span])
        some_cost, some_gradient = branch_cost_and_gradient(
            counts.pairs.take(some), counts.weighted.take(some), scores
        )
        for row, span in spans:
            hidden_gradient[row] += some_gradient[span].dot(fetched[span])
        gradient[some] = some_gradient
        cost += some_cost
        centre = stop
    shape = len(hidden), len(nodes)
    by_node = csr_array((gradient, counts.nodes, counts.starts), shape=shape).T.tocsr()
    return cost, by_node @ scaled


CHUNK_SCORES = 1 << 22  # of an evaluation: 32 MB in float64


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
    counted_examples: ClassVar[type[TreeCountExamples]] = TreeCountExamples

    def __post_init__(self) -> None:
        require_choice("embedding_gradient", self.embedding_gradient, EMBEDDING_GRADIENTS)
        check_number(self, "weight_decay", at_least=0)

    def check(self, options: TrainingOptions) -> None:
        """Raise `SettingError` for counts that are smoothed."""
        refuse_smoothing(getattr(options.labels, "smoothing", 0))

    def bind(
        self,
        examples: TrainingExamples,
        word_counts: NDArray[np.int64] | None = None,
        generator: np.random.Generator | None = None,
    ) -> TreeSoftmax:
        """Return the objective over the Huffman tree of these examples' contexts."""
        shares = examples.context_shares
        if isinstance(examples, TreeCountExamples):
            return TreeSoftmax(examples.tree, self, shares)
        return TreeSoftmax(HuffmanTree.of_shares(shares, examples.pairs_per_epoch), self, shares)

    @staticmethod
    def memory(vocabulary_size: int) -> int:
        """Return the bytes beside parameters and examples: none are estimated."""
        return 0

    @staticmethod
    def output_rows(vocabulary_size: int) -> int:
        """Return the rows of the output weights: one for each inner node."""
        return max(0, vocabulary_size - 1)

    @staticmethod
    def scores_memory(batch: BatchMemory, vocabulary_size: int, dim: int, dtype: DTypeLike) -> int:
        """Return the bytes of a batch's dense scores and node counts."""
        size, nodes = np.dtype(dtype).itemsize, max(0, vocabulary_size - 1)
        if batch.columns is not None:
            return batch.centres * batch.columns * size
        cells = batch.labels // LABEL_BYTES
        counts = min(cells * vocabulary_size.bit_length(), batch.centres * nodes)
        return batch.centres * min(nodes, counts) * size + counts * (
            node_count_bytes(dtype) + NODE_TEMPORARY_BYTES
        )

    @staticmethod
    def step_work(batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return the operations of cost and gradients of a batch.

        Labels that are not node counts are converted in every step.

        A path has log₂ V nodes; pairs of a centre share the upper ones.
        """
        if batch.tree:
            return node_count_work(batch.centres, batch.tree, dim)
        depth = max(1, vocabulary_size.bit_length() - 2)
        counts = min(batch.cells * depth, batch.centres * vocabulary_size)
        counting = Work(gathered=8.0 * batch.cells * depth, calls=60)
        tree = TreeShape(counts, counts / max(1.0, batch.centres), 0)
        return node_count_work(batch.centres, tree, dim) + counting


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
    """

    def __init__(
        self,
        tree: HuffmanTree,
        rule: HierarchicalSoftmax | None = None,
        shares: NDArray[np.float64] | None = None,
    ) -> None:
        self.tree = tree
        self.rule = rule or HierarchicalSoftmax()
        words = tree.vocabulary_size
        self._shares = np.full(words, 1 / words) if shares is None else shares

    def step(self, parameters: Parameters, batch: Batch, workspace: Workspace | None = None) -> Step:
        """Return cost and gradients of a batch; parameters stay unchanged."""
        workspace = workspace or Workspace()
        hidden, nodes = batch.hidden(parameters.embedding), parameters.output
        counts = node_counts_of(batch, self._paths(nodes.dtype))
        factors = (batch.shares / batch.weights).astype(hidden.dtype)[:, None]
        cost, embedding_gradient, node_gradient = hs_gradients(hidden, nodes, counts, factors, workspace)
        embedding_gradient *= factors
        if self.rule.weight_decay:
            decay = self.rule.weight_decay
            embedding_gradient += (decay * batch.shares).astype(hidden.dtype)[:, None] * hidden
            node_gradient += (decay * float(batch.shares.sum()) / max(1, len(nodes))) * nodes
        if self.rule.embedding_gradient == "sum":
            embedding_gradient *= batch.all_pairs
        return Step(cost, math.nan, batch.by_row(embedding_gradient), node_gradient)

    def probabilities(self, parameters: Parameters, centres: NDArray[Any]) -> NDArray[Any]:
        """Return p(context | centre) of every word, (len(centres), V)."""
        scores = parameters.embedding[centres].dot(parameters.output.T)
        # A path's logarithm is a sum of log σ(s) for a left branch, log σ(−s) for a right one.
        right = -np.logaddexp(0, scores)
        paths = self._paths(parameters.output.dtype)
        logarithms = paths.imag @ scores.T + paths.real @ right.T
        probabilities: NDArray[Any] = np.exp(logarithms.T)
        return probabilities

    def exact_cost(self, parameters: Parameters, counts: PairCounts) -> float:
        """Return the mean negative log-likelihood of pairs, in nats a pair."""
        from scipy.sparse import csr_array

        paths = self._paths(np.float64)
        cost, starts = 0.0, counts.starts
        words = self.tree.vocabulary_size
        rows = max(1, CHUNK_SCORES // words)
        for first in range(0, len(starts) - 1, rows):
            edges = starts[first : first + rows + 1]
            some = slice(edges[0], edges[-1])
            shape = len(edges) - 1, words
            labels = csr_array((counts.counts[some], counts.contexts[some], edges - edges[0]), shape=shape)
            hidden = parameters.embedding[first : first + shape[0]]
            cost += self._cost(hidden, parameters.output, NodeCounts.of(labels, paths))
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

    @staticmethod
    def _cost(hidden: NDArray[Any], nodes: NDArray[Any], counts: NodeCounts) -> float:
        """Return the summed cost of node counts, from dense products."""
        cost = 0.0
        rows = max(1, CHUNK_SCORES // max(1, len(nodes)))
        for first in range(0, len(hidden), rows):
            stop = min(first + rows, len(hidden))
            some = counts.span(first, stop)
            scores = hidden[first:stop].dot(nodes.T)
            rows_of = np.repeat(np.arange(stop - first), np.diff(some.starts))
            cost += branch_cost(some.pairs, scores[rows_of, some.nodes])
        return cost

    def _paths(self, dtype: Any) -> csr_array:
        return self._paths_in_single if dtype == np.float32 else self._paths_in_double

    @cached_property
    def _paths_in_single(self) -> csr_array:
        return path_matrix(self.tree, np.float32)

    @cached_property
    def _paths_in_double(self) -> csr_array:
        return path_matrix(self.tree, np.float64)
