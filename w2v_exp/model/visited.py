"""Training the hierarchical softmax from counts: batches whose labels are visits of tree nodes, made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.statistics import ExamplesMemory, PairSurvey
from w2v_exp.model.huffman import HuffmanTree
from w2v_exp.model.visit_memory import (
    NODE_BYTES,
    VISIT_WORK_BYTES,
    VisitedBatchMemory,
    VisitEstimate,
    visit_bytes,
)
from w2v_exp.model.visits import NO_LABELS, NodeVisits, VisitedBatch, VisitPieces, path_matrix

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COUNTS_AT_ONCE = 1 << 20
LABEL_WORK_BYTES = 40  # of a count, while its visits are made


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
        self.tree = HuffmanTree.of_shares(self.context_shares, self.pairs_per_epoch)
        paths = path_matrix(self.tree, dtype)
        damped = None
        if self.rule.count_exponent != 1:
            restored = _ratio(self._pairs_by_centre, self._labels_by_centre).astype(self._damped.dtype)
            damped = self._damped * np.repeat(restored, np.diff(counts.starts))
        self._visits = VisitPieces([*_all_visits(counts, damped, paths)])

    @staticmethod
    def memory(
        survey: PairSurvey, rule: CountsRule, *, order: str, dtype: DTypeLike = np.float64
    ) -> ExamplesMemory:
        """Return what the examples of a text will need; the visits of each centre are estimated."""
        counted = CountedExamples.memory(survey, rule, order=order)
        estimate = VisitEstimate(survey)
        damps = rule.count_exponent != 1
        size = visit_bytes(dtype) + damps * (visit_bytes(dtype) - NODE_BYTES)
        distinct = int(survey.distinct_by_centre.sum())
        held = counted.held + round(size * estimate.total) + 8 * survey.vocabulary_size * (1 + damps)
        labels = LABEL_WORK_BYTES * min(distinct, COUNTS_AT_ONCE)
        if (
            damps
        ):  # damped counts stay; restored ones, and the nodes of weighted visits once more, come and go
            held += 4 * distinct
            together = min(1.0, COUNTS_AT_ONCE / max(1, distinct))
            labels += 16 * distinct + round(together * NODE_BYTES * estimate.total)
        slices = estimate.slices(rule.centres, order)
        copied = size if order == "shuffled" else 0
        batch = VisitedBatchMemory(
            centres=slices.centres,
            labels=round(copied * slices.visits),
            label_work=round(VISIT_WORK_BYTES * slices.visits),
            gathering=round(copied * slices.visits),
            columns=slices.columns,
        )
        return ExamplesMemory(held, max(counted.making, held + labels), batch)

    def _slice(self, centres: NDArray[np.int32]) -> VisitedBatch:
        """Return the batch of these centres, which are in order."""
        pairs_by_centre = self._pairs_by_centre[centres]
        return VisitedBatch(
            centres=centres,
            rows=slice(None) if len(centres) == self.vocabulary_size else centres,
            weights=pairs_by_centre,
            labels=NO_LABELS,
            pairs=float(pairs_by_centre.sum()),
            all_pairs=self.pairs_per_epoch,
            centre_weights=self._centre_weights[centres],
            visits=self._visits.rows(centres),
        )


def _all_visits(counts: PairCounts, damped: NDArray[Any] | None, paths: csr_array) -> Iterator[NodeVisits]:
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
        yield NodeVisits.of(labels, paths, weights)
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
