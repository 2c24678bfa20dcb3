"""Cost and gradients of visited nodes: those that many centres visit in dense products, the others one by one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v_exp.model.visits import NodeVisits
from w2v_exp.model.workspace import Workspace

DENSE_SHARE = 1 / 16  # of the centres: a node that more of them visit is worth a column of a dense product
CACHED_SCORES = 1 << 17  # of a block of rows, that stay in the second-level cache
GATHERED_NODES = 2048  # whose vectors stay there between scores and gradients


class Descent(NamedTuple):
    """What some centres' visits give.

    Parameters
    ----------
    cost : float
        The summed negative log-likelihood of all turns, in nats.
    hidden_gradient : ndarray, shape (k, dim)
        Its gradient by each centre's vector.
    node_gradient : ndarray, shape (V − 1, dim)
        By the nodes' vectors, each centre times its factor.
    """

    cost: float
    hidden_gradient: NDArray[Any]
    node_gradient: NDArray[Any]


class Turns(NamedTuple):
    """Visits that are worked on together, as they are counted and as they weigh, and scores: arrays of one length."""

    pairs: NDArray[Any]
    weighted: NDArray[Any]
    scores: NDArray[Any]

    def cost(self) -> float:
        """Return −Σ left·log σ(score) + right·log σ(−score), summed in float64."""
        return self._cost(1 + np.exp(-np.abs(self.scores)))

    def cost_and_gradient(self) -> tuple[float, NDArray[Any]]:
        """Return the cost, and what is the gradient by each score if visits weigh as they do: pairs·σ(score) − left."""
        decay = np.exp(-np.abs(self.scores))  # never overflows, whatever the score
        gradient = np.where(self.scores >= 0, 1, decay)
        decay += 1
        gradient /= decay
        gradient *= self.weighted.real
        gradient -= self.weighted.imag
        return self._cost(decay), gradient

    def _cost(self, sums: NDArray[Any]) -> float:
        """Return the cost, given 1 + exp(−|score|), which becomes something else."""
        costs = np.log(sums, out=sums)
        costs += np.maximum(self.scores, 0)
        costs *= self.pairs.real
        costs -= self.pairs.imag * self.scores
        return float(np.add.reduce(costs, dtype=np.float64))


def descend(
    hidden: NDArray[Any],
    nodes: NDArray[Any],
    visits: NodeVisits,
    factors: NDArray[Any],
    workspace: Workspace,
    dense_share: float = DENSE_SHARE,
) -> Descent:
    """Return cost and gradients of these visits.

    A score in a dense product takes a fifteenth of one by itself, for whose node a vector has to be fetched; so a node
    with visits from a sixteenth of the centres becomes a column of a dense matrix, in which cells without a visit
    have the gradient 0. Those are the upper nodes, and where centres are frequent words, most nodes.

    Parameters
    ----------
    hidden : ndarray, shape (k, dim)
        The centres' vectors.
    nodes : ndarray, shape (V − 1, dim)
        The nodes' vectors.
    visits : NodeVisits
        Of k centres.
    factors : ndarray, shape (k, 1)
        What each centre's gradient by the nodes is multiplied with.
    workspace : Workspace
        Where the dense scores are made.
    dense_share : float
        The share of the centres that makes a node's column dense; it changes the speed only.
    """
    visitors = np.bincount(visits.nodes, minlength=len(nodes))
    upper = np.flatnonzero(visitors >= max(1.0, dense_share * len(hidden)))
    column = np.full(len(nodes), -1, np.int32)
    column[upper] = np.arange(len(upper), dtype=np.int32)
    columns = column.take(visits.nodes)
    scaled = hidden * factors
    cost, hidden_gradient, upper_gradient = _descend_together(
        hidden, nodes.take(upper, axis=0), scaled, visits, columns, workspace
    )
    if len(upper) == np.count_nonzero(visitors):
        node_gradient = np.zeros_like(nodes)
    else:
        lower_cost, node_gradient = _descend_one_by_one(
            hidden, nodes, scaled, _without_columns(visits, columns), hidden_gradient
        )
        cost += lower_cost
    node_gradient[upper] = upper_gradient
    return Descent(cost, hidden_gradient, node_gradient)


def _descend_together(
    hidden: NDArray[Any],
    upper: NDArray[Any],
    scaled: NDArray[Any],
    visits: NodeVisits,
    columns: NDArray[np.int32],
    workspace: Workspace,
) -> Descent:
    """Return what the nodes give that have a column: two matrices of their own number of rows.

    Scores turn into gradients in their place, some rows at a time, which stay in the cache.
    """
    centres, width = len(hidden), len(upper)
    scores = hidden.dot(upper.T, workspace.array((centres, width), hidden.dtype))
    cost = 0.0
    at_once = max(1, CACHED_SCORES // max(1, width))
    lengths = np.diff(visits.starts)
    for first in range(0, centres, at_once):
        block = scores[first : first + at_once]
        stop = first + len(block)
        some = slice(visits.starts[first], visits.starts[stop])
        cells = (
            np.repeat(np.arange(len(block), dtype=np.int32) * np.int32(width), lengths[first:stop])
            + columns[some]
        )
        same = visits.weighted is visits.pairs
        pairs = visits.pairs[some]
        weighted = pairs if same else visits.weighted[some]
        dense = columns[some] >= 0
        if not dense.all():
            cells, pairs = cells[dense], pairs[dense]
            weighted = pairs if same else weighted[dense]
        flat = block.reshape(-1)
        block_cost, gradient = Turns(pairs, weighted, flat.take(cells)).cost_and_gradient()
        cost += block_cost
        flat.fill(0)
        flat[cells] = gradient
    return Descent(cost, scores.dot(upper), scores.T.dot(scaled))


def _without_columns(visits: NodeVisits, columns: NDArray[np.int32]) -> NodeVisits:
    """Return the visits of nodes that have no column."""
    lower = columns < 0
    kept = np.flatnonzero(lower)
    numbers = np.add.reduceat(
        lower, visits.starts[:-1], dtype=np.int64
    )  # every centre has a visit: of the root
    return visits.with_starts(np.concatenate([[0], np.cumsum(numbers)]), kept)


def _descend_one_by_one(
    hidden: NDArray[Any],
    nodes: NDArray[Any],
    scaled: NDArray[Any],
    visits: NodeVisits,
    hidden_gradient: NDArray[Any],
) -> tuple[float, NDArray[Any]]:
    """Return cost and node gradient of visits that few share; the other gradient is added to what there is.

    A centre's nodes are fetched once for its scores and its gradient. The nodes' gradient is a product with a sparse
    matrix, in the order of the nodes: where two visits meet, their sum is made without sorting rows.
    """
    from scipy.sparse import csr_array

    starts = visits.starts.tolist()
    gradient = np.empty(len(visits.nodes), hidden.dtype)
    cost, centre = 0.0, 0
    while centre < len(hidden):
        reached = int(visits.starts.searchsorted(starts[centre] + GATHERED_NODES, "right")) - 1
        stop = max(centre + 1, reached)
        first = starts[centre]
        some = slice(first, starts[stop])
        fetched = nodes.take(visits.nodes[some], axis=0)
        scores = np.empty(len(fetched), hidden.dtype)
        spans = [(row, slice(starts[row] - first, starts[row + 1] - first)) for row in range(centre, stop)]
        for row, span in spans:
            np.dot(fetched[span], hidden[row], out=scores[span])
        turns = Turns(visits.pairs[some], visits.weighted[some], scores)
        some_cost, some_gradient = turns.cost_and_gradient()
        for row, span in spans:
            hidden_gradient[row] += some_gradient[span].dot(fetched[span])
        gradient[some] = some_gradient
        cost += some_cost
        centre = stop
    shape = len(hidden), len(nodes)
    by_node = csr_array((gradient, visits.nodes, visits.starts), shape=shape).T.tocsr()
    return cost, by_node @ scaled
