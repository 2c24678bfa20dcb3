"""Training the hierarchical softmax from counts: batches whose labels are visits of tree nodes, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.model.huffman import HuffmanTree
from w2v_exp.model.visits import NO_LABELS, NodeVisits, VisitedBatch, path_matrix

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COUNTS_AT_ONCE = 1 << 20


class VisitedExamples(CountedExamples):
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
        self.tree = HuffmanTree.of(self.context_shares)
        paths = path_matrix(self.tree, dtype)
        self._counted = self._weighted = _all_visits(counts, counts.counts, paths)
        if self.rule.count_exponent != 1:
            damped = self.rule.damp(counts.counts)
            restored = _ratio(self._pairs_by_centre, self._labels_by_centre).astype(damped.dtype)
            damped *= np.repeat(restored, np.diff(counts.starts))
            weighted = _all_visits(counts, damped, paths)
            self._weighted = NodeVisits(self._counted.starts, self._counted.nodes, weighted.pairs)

    def _slice(self, centres: NDArray[np.int32]) -> VisitedBatch:
        """Return the batch of these centres, which are in order."""
        pairs_by_centre = self._pairs_by_centre[centres]
        counted = self._counted.rows(centres)
        return VisitedBatch(
            centres=centres,
            rows=slice(None) if len(centres) == self.vocabulary_size else centres,
            weights=pairs_by_centre,
            labels=NO_LABELS,
            pairs=float(pairs_by_centre.sum()),
            all_pairs=self.pairs_per_epoch,
            centre_weights=self._centre_weights[centres],
            counted=counted,
            weighted=counted if self._weighted is self._counted else self._weighted.rows(centres),
        )


def _all_visits(counts: PairCounts, values: NDArray[Any], paths: csr_array) -> NodeVisits:
    """Return the visits of all V centres, whose labels have these values; the product is made some at a time."""
    from scipy.sparse import csr_array

    words = counts.vocabulary_size
    nodes: list[NDArray[np.int32]] = []
    pairs: list[NDArray[Any]] = []
    lengths: list[NDArray[Any]] = []
    first = 0
    while first < words:
        reached = int(counts.starts.searchsorted(counts.starts[first] + COUNTS_AT_ONCE, "right")) - 1
        stop = max(first + 1, reached)
        some = slice(counts.starts[first], counts.starts[stop])
        starts = counts.starts[first : stop + 1] - counts.starts[first]
        labels = csr_array((values[some], counts.contexts[some], starts), shape=(stop - first, words))
        visits = NodeVisits.of(labels, paths)
        nodes.append(visits.nodes)
        pairs.append(visits.pairs)
        lengths.append(np.diff(visits.starts))
        first = stop
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
    return NodeVisits(starts, _moved(nodes), _moved(pairs))


def _moved(pieces: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the pieces as one array, and let go of each as it is copied."""
    whole = np.empty(sum(len(piece) for piece in pieces), pieces[0].dtype)
    end = len(whole)
    while pieces:
        piece = pieces.pop()
        whole[end - len(piece) : end] = piece
        end -= len(piece)
    return whole


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
