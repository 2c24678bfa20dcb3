"""The held-out part of a text, and the sample for comparable costs."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import SettingError, ShortRepr, check_number, check_whole, require_choice
from w2v_exp.examples.cbow import CbowContexts
from w2v_exp.examples.counted import gather, row_ends
from w2v_exp.examples.counts import PairCounts, count_window_pairs
from w2v_exp.examples.sampling import (
    TextPart,
    TextSampler,
    inclusion_probabilities,
    systematic_sample,
)
from w2v_exp.text.cache import map_numbers
from w2v_exp.text.chunks import without_repeats
from w2v_exp.text.encoding import ID

if TYPE_CHECKING:
    from scipy.sparse import csr_array


WAYS = ("block", "document")
GATHERED_AT_ONCE = 1 << 20  # tokens


class MeasuredEpochs(Sequence[int]):
    """Epochs after which a cost is measured, as a sequence that is not stored.

    >>> [*MeasuredEpochs(4, 10)], [*MeasuredEpochs(None, 10)], [*MeasuredEpochs(1, 0)]
    ([3, 7, 9], [9], [])

    Parameters
    ----------
    every : int, optional
        Epochs between two of them; None: the last epoch only.
    epochs : int
        Number of epochs, counted from 0.
    """

    def __init__(self, every: int | None, epochs: int) -> None:
        self._every = every or max(1, epochs)
        self._epochs = epochs

    def __len__(self) -> int:
        return math.ceil(self._epochs / self._every)

    @overload
    def __getitem__(self, number: int) -> int: ...
    @overload
    def __getitem__(self, number: slice) -> list[int]: ...
    def __getitem__(self, number: int | slice) -> int | list[int]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        return min((number + 1) * self._every, self._epochs) - 1

    def __contains__(self, epoch: object) -> bool:
        if not isinstance(epoch, int) or not 0 <= epoch < self._epochs:
            return False
        return (epoch + 1) % self._every == 0 or epoch == self._epochs - 1


def has_pairs(part: TextPart) -> bool:
    """Return whether a segment has two words."""
    longest = len(part.ids) if part.segments is None else np.diff(part.segments).max(initial=0)
    return bool(longest > 1)


@dataclass(frozen=True)
class ValidationRule:
    """Choice of the held-out part of a text, and when its cost is measured.

    Words of the vocabulary that occur in the part held out only are never trained: the vocabulary is that of the
    whole text. Where training subsamples frequent words, it learns another distribution of contexts than the part held
    out has, and its held-out cost may exceed what word frequencies give: it then compares runs that sample alike.

    Parameters
    ----------
    share : float
        Share of the tokens; 0 holds out nothing.
    by : {"block", "document"}
        ``block``: blocks of consecutive tokens, drawn from the whole text. They resemble the training text, whose
        documents they are cut from. ``document``: whole segments of the text, in a random order, as many as come
        nearest to the share.
    block : int
        Tokens a block. The cuts at its ends lose the pairs across them: about window/block of all in the block.
    every : int
        Epochs between measurements; the last epoch is measured too.
    """

    share: float = 0.0
    by: str = "block"
    block: int = 1000
    every: int = 1

    def __post_init__(self) -> None:
        check_number(self, "share", at_least=0, below=1)
        require_choice("by", self.by, WAYS)
        check_whole(self, "block", at_least=1)
        check_whole(self, "every", at_least=1)

    def validated_epochs(self, epochs: int) -> Sequence[int]:
        """Return the epochs after which the cost is measured, from 0.

        >>> [*ValidationRule(share=0.1, every=4).validated_epochs(10)]
        [3, 7, 9]
        """
        return MeasuredEpochs(self.every, epochs)

    def split(
        self, text: TextPart, generator: np.random.Generator, folder: Path | None = None
    ) -> tuple[TextPart, TextPart]:
        """Return the part of a text to train on, and the part that is held out.

        Both begin a new segment wherever something has been taken out between two words, so that no window
        crosses a cut.

        Parameters
        ----------
        text : TextPart
            All of it.
        generator : numpy.random.Generator
            Chooses the held-out tokens.
        folder : Path, optional
            For temporary files of the parts of a memory-mapped text; None: the system's folder. A text in memory, or
            whose parts do not fit the disk, is split in memory.

        Returns
        -------
        training, held_out : TextPart
            In the order of the text; together all of it.

        Raises
        ------
        SettingError
            If one of the two would have no pair.
        """
        length = len(text.ids)
        edges = np.array([0, length]) if text.segments is None else text.segments
        ranges = self._blocks(length, generator) if self.by == "block" else self._segments(edges, generator)
        # NumPy's `union1d` takes twenty times as long, for arrays that are nearly sorted.
        cuts = without_repeats(np.sort(np.concatenate([edges, ranges.ravel()]), kind="stable"))
        lengths, is_held_out = (
            np.diff(cuts),
            np.searchsorted(ranges.ravel(), cuts[:-1], side="right") % 2 == 1,
        )
        between = np.concatenate([[0], ranges.ravel(), [length]]).reshape(-1, 2)
        training, held_out = (
            TextPart(
                _gather(text.ids, taken, folder),
                np.concatenate([[0], np.cumsum(lengths[of_part])]),
                None if text.documents is None else _tokens_before(text.documents, taken),
            )
            for taken, of_part in ((between, ~is_held_out), (ranges, is_held_out))
        )
        for part, purpose in ((training, "train on"), (held_out, "validate with")):
            if not has_pairs(part):
                raise SettingError(
                    "share",
                    self.share,
                    f"leaves no pair to {purpose}: of the text's {length:,} tokens these are {len(part.ids):,}. "
                    f"Take another share{', a larger block' if self.by == 'block' else ''} or a longer text.",
                )
        return training, held_out

    def _blocks(self, length: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return start and stop of the held-out blocks, (n, 2).

        Adjacent ones are joined.
        """
        blocks = -(-length // self.block)
        number = round(self.share * blocks)
        if not 0 < number < blocks:
            raise SettingError(
                "block",
                self.block,
                f"a share of {self.share:g} of the text's {length:,} tokens is {number} of {blocks} such blocks; "
                "take a smaller block or another share.",
            )
        chosen = np.sort(generator.choice(blocks, number, replace=False))
        return _joined(chosen * self.block, np.minimum((chosen + 1) * self.block, length))

    def _segments(self, edges: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """Return start and stop of the held-out segments, (n, 2).

        Adjacent ones are joined.
        """
        starts, lengths = edges[:-1][np.diff(edges) > 0], np.diff(edges)[np.diff(edges) > 0]
        if len(lengths) < 2:
            raise SettingError(
                "by",
                self.by,
                "the text is a single segment; set corpus.boundaries to document or line, "
                "or hold out blocks (by=block).",
            )
        order = generator.permutation(len(lengths))
        missed = np.abs(np.cumsum(lengths[order]) - self.share * lengths.sum())
        chosen = np.sort(order[: int(missed[:-1].argmin()) + 1])  # at least one, and not all
        return _joined(starts[chosen], starts[chosen] + lengths[chosen])


def _joined(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return sorted ranges as rows of start and stop, adjacent ones joined."""
    apart = starts[1:] != stops[:-1]
    return np.column_stack([starts[np.r_[True, apart]], stops[np.r_[apart, True]]])


def _tokens_before(positions: NDArray[np.int64], ranges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of tokens of sorted ranges before each position."""
    starts, stops = ranges.T
    full = np.concatenate([[0], np.cumsum(stops - starts)])
    number = starts.searchsorted(positions)  # of ranges that begin before
    behind = np.concatenate([[0], stops])[number] - positions
    before: NDArray[np.int64] = full[number] - np.maximum(behind, 0)
    return before


def _gather(ids: NDArray[np.int32], ranges: NDArray[np.int64], folder: Path | None) -> NDArray[np.int32]:
    """Return the ids in these ranges, concatenated.

    They are mapped from a file if `ids` are.
    """
    if isinstance(ids, np.memmap):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                for taken in _spans(ids, ranges):
                    file.write(taken.astype(ID, copy=False).data)
                file.flush()
                return map_numbers(file, ID, int(np.diff(ranges).sum()))
        except OSError:  # no such folder, no room: memory may have some
            pass
    return np.concatenate([*_spans(ids, ranges)])


def _spans(ids: NDArray[np.int32], ranges: NDArray[np.int64]) -> Iterator[NDArray[np.int32]]:
    """Yield the ids in these ranges, span by span of the text.

    There may be millions of ranges.
    """
    edges = ranges.ravel()
    for start in range(0, len(ids), GATHERED_AT_ONCE):
        span = ids[start : start + GATHERED_AT_ONCE]
        first, last = edges.searchsorted(start, "right"), edges.searchsorted(start + len(span), "left")
        lengths = np.diff(edges[first:last], prepend=start, append=start + len(span))
        is_taken = np.arange(first, last + 1) % 2 == 1  # behind an odd number of edges
        yield span[np.repeat(is_taken, lengths)]


SPAN = 1000  # words; the cuts at its ends lose window/1000 of its pairs


@dataclass(frozen=True, repr=False)
class CostSample(ShortRepr):
    """Fixed examples whose cost depends on a model's parameters alone.

    Parameters
    ----------
    counts : PairCounts
        Counts of (input, label) pairs. Inputs are centres, labelled by their contexts; for cbow they are numbered
        positions, labelled by the word there.
    context_matrix : csr_array, shape (n, V), optional
        cbow: share of each word in the hidden vector of each input. None: input w is word w.
    share : float
        The share of the text's words in the sample, or of its pairs.
    weights : ndarray of float64, shape (V,), optional
        1 / the probability of each centre to be in the sample, by which its counts are multiplied. None: words of the
        text are sampled.
    """

    counts: PairCounts
    context_matrix: csr_array | None = None
    share: float = 1.0
    weights: NDArray[np.float64] | None = None

    def standard_error(self, costs: NDArray[np.float64]) -> float:
        """Return the standard error of the mean cost of a sample of centres, in nats a pair.

        As if each centre were chosen independently (Särndal et al. 1992, section 5.7); systematic samples vary less.

        Parameters
        ----------
        costs : ndarray of float64, shape (V,)
            Summed over the counts of each centre.
        """
        assert self.weights is not None
        pairs = self.counts.by_centre()
        deviations = costs - costs.sum() / pairs.sum() * pairs
        return float(np.sqrt((deviations**2 * (1 - 1 / self.weights)).sum()) / pairs.sum())


def sample_centres(counts: PairCounts, centres: int, generator: np.random.Generator) -> CostSample:
    """Return about `centres` centres with all their pairs, frequent ones rather than rare ones.

    The mean cost of the sample's pairs estimates that of all pairs.
    """
    pairs = counts.by_centre()
    sample = systematic_sample(inclusion_probabilities(pairs, centres), generator.random())
    weights = np.ones(counts.rows)
    weights[sample.chosen] = sample.weights
    lengths = np.zeros(counts.rows, np.int64)
    lengths[sample.chosen] = np.diff(counts.starts)[sample.chosen]
    entries = row_ends(counts.starts, sample.chosen)
    sampled = replace(
        counts,
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        contexts=gather(counts.contexts, entries),
        counts=gather(counts.counts, entries).astype(np.float64) * np.repeat(weights, lengths),
    )
    return CostSample(sampled, share=float(pairs[sample.chosen].sum() / pairs.sum()), weights=weights)


def sample_text(text: TextPart, words: int, generator: np.random.Generator) -> TextPart:
    """Return `words` words of a text, in random spans of a thousand.

    A text that has no more is returned as it is.
    """
    length = len(text.ids)
    if length <= words:
        return text
    number = max(1, words // SPAN)
    starts = np.sort(generator.choice(-(-length // SPAN), number, replace=False)) * SPAN
    stops = np.minimum(starts + SPAN, length)
    ends = np.concatenate([[0], np.cumsum(stops - starts)])
    segments = ends
    if text.segments is not None:  # its edges are edges in the spans as well
        inside = [
            text.segments[slice(*text.segments.searchsorted([start, stop]))] - start + end
            for start, stop, end in zip(starts, stops, ends[:-1], strict=True)
        ]
        segments = np.unique(np.concatenate([ends, *inside]))
    ids = np.concatenate([text.ids[start:stop] for start, stop in zip(starts, stops, strict=True)])
    return TextPart(ids, segments)


def sample_pairs(
    text: TextPart,
    window: int,
    vocabulary_size: int,
    generator: np.random.Generator,
    *,
    keep: NDArray[np.float64] | None = None,
    shrinking_window: bool = False,
    centre_words: int | None = None,
) -> CostSample:
    """Return the pairs of a text for skip-gram, as a sample.

    Words are dropped as in training; shrinking windows are weights.
    """
    sampled = TextSampler(text.ids, window, generator, keep=keep, segments=text.segments).whole()
    counts = count_window_pairs(
        [sampled.ids],
        window,
        vocabulary_size,
        shrinking=shrinking_window,
        segments=sampled.segments,
        centre_words=centre_words,
    )
    return CostSample(counts)


def sample_cbow(
    text: TextPart,
    window: int,
    vocabulary_size: int,
    generator: np.random.Generator,
    *,
    mean: bool,
    keep: NDArray[np.float64] | None = None,
    shrinking_window: bool = False,
) -> CostSample:
    """Return the centres of a text with contexts for cbow, as a sample."""
    sampler = TextSampler(
        text.ids, window, generator, keep=keep, shrinking_window=shrinking_window, segments=text.segments
    )
    contexts = CbowContexts.of(sampler.whole())
    ones = np.ones(len(contexts), np.float32)
    counts = PairCounts(np.arange(len(contexts) + 1), contexts.targets, ones, vocabulary_size)
    return CostSample(counts, contexts.matrix(vocabulary_size, mean=mean))
