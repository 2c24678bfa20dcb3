"""The encoding ``counts``: slices of the centres, all contexts counted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from w2v_exp.errors import SettingError, check_number, check_whole
from w2v_exp.examples.batch import Batch, Prior, SparseCounts
from w2v_exp.examples.batches import LabelEncoding, TrainingExamples, TrainingOptions
from w2v_exp.examples.counts import PairCounter, PairCounts
from w2v_exp.examples.pairs import effective_window
from w2v_exp.examples.sampling import NoSubsampling, Subsampling, TextPart, TextSampler, keep_probabilities
from w2v_exp.examples.statistics import BatchMemory, BatchShape, EpochShape, ExamplesMemory, PairStatistics
from w2v_exp.machine import Work


@dataclass(frozen=True)
class CountsRule(LabelEncoding):
    """Counts of distinct pairs: an epoch is one exact pass over all pairs.

    Parameters
    ----------
    centres : int
        Centres a step: the size of a slice.
    smoothing : float
        Number of pseudo-pairs that are added to each centre, with contexts distributed as in the whole text (Dirichlet
        smoothing towards the unigram distribution; Zhai & Lafferty 2004, equation 4). Rare centres gain most.
    centre_exponent : float
        A centre with n pairs counts n^exponent in the gradients, scaled so that all of them keep their sum. 1 is
        the exact gradient; below 1 rare centres gain.
    count_exponent : float
        Each count n of a pair is n^exponent in its centre's labels. 1 is exact; below 1 the pairs that every text has
        leave more to the others (Pennington et al. 2014, equation 9, weigh the counts of GloVe with the exponent ¾).
    sampled_passes : int
        Where frequent words are subsampled, number of samples of the text that counts are the mean of: dropping words
        widens windows, so there are no exact counts.
    centre_words : int, optional
        Only this many of the most frequent words are centres, and get an embedding; all words of the vocabulary are
        contexts. None: all words are centres.
    """

    centres: int = 512
    smoothing: float = 0.0
    centre_exponent: float = 1.0
    count_exponent: float = 1.0
    sampled_passes: int = 3
    centre_words: int | None = None

    counts_pairs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole(self, "centres", at_least=1)
        check_number(self, "smoothing", at_least=0)
        check_number(self, "centre_exponent", at_least=0, at_most=1)
        check_number(self, "count_exponent", above=0, at_most=1)
        check_whole(self, "sampled_passes", at_least=1, at_most=1_000)
        if self.centre_words is not None:
            check_whole(self, "centre_words", at_least=1)

    def check(self, options: TrainingOptions) -> None:
        """Raise `SettingError` for cbow, whose examples are not pairs.

        The same for fewer centres than contexts where the objective or the initialization has no place for them.
        """
        if options.model.context is not None:
            raise SettingError(
                "labels",
                "counts",
                "is not supported with model=cbow, which has no pairs to count; use labels=sparse or streamed.",
            )
        if self.centre_words is not None and not options.objective.allows_fewer_centres:
            raise SettingError(
                "labels.centre_words",
                self.centre_words,
                f"is not supported with objective={options.option('objective')}. Use objective=softmax.",
            )

    def examples(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
        share: tuple[int, int] = (0, 1),
    ) -> CountedExamples:
        """Return the counted pairs of a text, in the objective's form."""
        return self.counted_examples(self.count_text(text, vocabulary_size, options, generator), options)

    def counted_examples(self, counts: PairCounts, options: TrainingOptions) -> CountedExamples:
        """Return counted pairs in the objective's form."""
        made: CountedExamples = options.objective.counted_examples(
            counts, self, order=options.order, dtype=options.dtype
        )
        return made

    def statistics(
        self,
        text: TextPart,
        vocabulary_size: int,
        options: TrainingOptions,
        generator: np.random.Generator,
    ) -> PairStatistics:
        """Return statistics of the pairs of all passes, in full windows."""
        return PairStatistics(
            text.ids,
            options.window,
            vocabulary_size,
            generator,
            subsampling=options.subsampling,
            segments=text.segments,
            passes=self.sampled_passes,
            centre_words=self.centre_words,
        )

    def memory(self, statistics: PairStatistics, options: TrainingOptions) -> ExamplesMemory:
        """Return the memory of `examples`."""
        memory: ExamplesMemory = options.objective.counted_examples.memory(
            statistics, self, order=options.order, dtype=options.dtype
        )
        return memory

    def epoch(self, statistics: PairStatistics, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of `examples`."""
        shape: EpochShape = options.objective.counted_examples.epoch(statistics, self, options)
        return shape

    def step_size(self, options: TrainingOptions) -> int:
        """Return the centres of a step."""
        return self.centres

    def number_of_centres(self, vocabulary_size: int) -> int:
        """Return the number of words that are centres, V."""
        return vocabulary_size if self.centre_words is None else min(self.centre_words, vocabulary_size)

    def damp(self, counts: NDArray[Any]) -> NDArray[Any]:
        """Return counts as they stand in labels."""
        return counts if self.count_exponent == 1 else counts**self.count_exponent

    def count_text(
        self, text: TextPart, vocabulary_size: int, options: TrainingOptions, generator: np.random.Generator
    ) -> PairCounts:
        """Count the pairs of a text with the options of a run."""
        return self.count(
            text.ids,
            options.window,
            vocabulary_size,
            generator,
            subsampling=options.subsampling,
            shrinking_window=options.shrinking_window,
            segments=text.segments,
        )

    def count(
        self,
        ids: NDArray[np.int32],
        window: int,
        vocabulary_size: int,
        generator: np.random.Generator,
        *,
        subsampling: Subsampling = NoSubsampling(),  # noqa: B008  frozen
        shrinking_window: bool = False,
        segments: NDArray[np.int64] | None = None,
    ) -> PairCounts:
        """Count the pairs of a text, shrinking windows as weights.

        The generator decides the samples.

        Parameters
        ----------
        subsampling : Subsampling
            Of frequent words.
        shrinking_window : bool
            Whether a pair weighs (window − distance + 1) / window, its expected number where each centre's window is
            drawn from 1 … window, as in word2vec.
        ids, window, vocabulary_size, segments
            As in `window_pairs`.
        """
        counter = PairCounter(
            window,
            vocabulary_size,
            shrinking=shrinking_window,
            reach=effective_window(window, len(ids), segments),
            centre_words=self.centre_words,
        )
        keep = keep_probabilities(subsampling, ids, vocabulary_size)
        passes = 1 if keep is None else self.sampled_passes
        for _ in range(passes):
            sampled = TextSampler(ids, window, generator, keep=keep, segments=segments).whole()
            counter.add(sampled.ids, sampled.segments)
            counter.cut()
        counts = counter.finish()
        return counts if passes == 1 else counts.divided_by(passes)


class CountedExamples(TrainingExamples):
    """Counted pairs as batches: an epoch is one exact pass over all pairs.

    It takes O(V·C·dim) for V centres and C contexts, whatever the number of pairs.

    Parameters
    ----------
    counts : PairCounts
        The pairs.
    rule : CountsRule
        The size of a slice, and how counts become labels.
    order : {"corpus", "blocks", "shuffled"}
        ``corpus``: slices of neighbouring ids, the most frequent first. ``blocks``: the same slices, in another
        random order each epoch. ``shuffled``: other slices each epoch.
    dtype : dtype
        Of the prior's distribution; that of the parameters.

    Raises
    ------
    SettingError, CorpusError
        If the order is unknown, or there is no pair.
    """

    def __init__(
        self,
        counts: PairCounts,
        rule: CountsRule | None = None,
        *,
        order: str = "shuffled",
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(counts.vocabulary_size, counts.total, order, counts.rows)
        self._pairs = counts
        self.rule = rule or CountsRule()
        self._pairs_by_centre = counts.by_centre()
        self._damped = self.rule.damp(counts.counts)
        self._labels_by_centre = replace(counts, counts=self._damped).by_centre()
        self._centres = np.flatnonzero(self._pairs_by_centre).astype(np.int32)
        raised = self._pairs_by_centre**self.rule.centre_exponent
        raised[self._pairs_by_centre == 0] = 0
        self._centre_weights = raised * (self.pairs_per_epoch / raised.sum())
        self._context_shares = counts.by_context() / self.pairs_per_epoch
        self._distribution = self._context_shares.astype(dtype)

    @property
    def pairs(self) -> PairCounts:
        """The pairs, counted."""
        return self._pairs

    @property
    def counts(self) -> PairCounts:
        """The pairs, counted."""
        return self._pairs

    @property
    def context_shares(self) -> NDArray[np.float64]:
        """Share of the pairs that have each word as context, (C,)."""
        return self._context_shares

    @staticmethod
    def memory(
        statistics: PairStatistics, rule: CountsRule, *, order: str, dtype: DTypeLike = np.float64
    ) -> ExamplesMemory:
        """Return the memory of the examples of a text, counting included.

        The batch is the largest slice, with the largest but one after it; where chance mixes the centres
        (``order=shuffled``), slices a standard deviation above their mean.
        """
        by_centre = statistics.distinct_by_centre
        distinct = int(by_centre.sum())
        counts = PairCounts.memory(distinct, statistics.centre_words)
        summing = counts + PairCounts.summing_memory(distinct)
        damped = 4 * distinct * (rule.count_exponent != 1)  # stay beside the counts, as float32
        counting = 0 if statistics.is_counted else PairCounter.memory(statistics) + statistics.sampled_memory
        peak_build = max(counting, summing + damped)
        contexts = by_centre[statistics.frequencies[: statistics.centre_words] > 0]
        size = min(rule.centres, len(contexts))
        slices = np.sort(np.add.reduceat(contexts, np.arange(0, len(contexts), size)))[::-1]
        if order == "shuffled":
            slices[:] = min(slices.sum(), size * contexts.mean() + np.sqrt(size) * contexts.std())
        after = round(slices[1]) if len(slices) > 1 else 0
        return ExamplesMemory(counts + damped, peak_build, BatchMemory.counted(size, round(slices[0]), after))

    @staticmethod
    def epoch(statistics: PairStatistics, rule: CountsRule, options: TrainingOptions) -> EpochShape:
        """Return the size of an epoch of the examples of a text."""
        centres = max(1, int(np.count_nonzero(statistics.frequencies[: statistics.centre_words])))
        size = min(rule.centres, centres)
        steps = math.ceil(centres / size)
        cells = float(statistics.distinct_by_centre.sum()) / steps
        batch = BatchShape(centres / steps, statistics.pairs / steps, cells)
        building = Work(passed=10.0 * cells, calls=20 + 5.0 * size)
        if rule.smoothing:  # one more row of a step's products
            building += Work(products=6.0 * statistics.vocabulary_size * options.dim)
        return EpochShape(steps, batch, building)

    @property
    def batches_per_epoch(self) -> int:
        """Number of slices of an epoch."""
        return -(-len(self._centres) // self.rule.centres)

    def batches(self, generator: np.random.Generator) -> Iterator[Batch]:
        """Return the slices of one epoch; the generator decides a random order."""
        return map(self._slice, self.slices(generator))

    def slices(self, generator: np.random.Generator) -> Iterator[NDArray[np.int32]]:
        """Return the centres of each slice of one epoch, by rising id."""
        centres = generator.permutation(self._centres) if self.order == "shuffled" else self._centres
        size = self.rule.centres
        numbers = np.arange(-(-len(centres) // size))
        if self.order == "blocks":
            numbers = generator.permutation(numbers)
        return (np.sort(centres[size * i : size * (i + 1)]) for i in numbers.tolist())

    def _slice(self, centres: NDArray[np.int32]) -> Batch:
        """Return the batch of these centres, which are in order."""
        pairs_by_centre = self._pairs_by_centre[centres]
        entries = row_ends(self._pairs.starts, centres)
        rows = np.repeat(np.arange(len(centres)), [entry.stop - entry.start for entry in entries])
        cells = rows * self.vocabulary_size
        cells += gather(self._pairs.contexts, entries)
        counts = gather(self._pairs.counts, entries).astype(np.float64)
        smoothed = self._labels_by_centre[centres] + self.rule.smoothing
        shares = counts if self.rule.count_exponent == 1 else gather(self._damped, entries)
        labels = SparseCounts(cells, rows, counts, shares / smoothed.take(rows), NO_ORDER)
        every_row = len(centres) == self.centre_words
        return Batch(
            centres=centres,
            rows=slice(None) if every_row else centres,
            weights=pairs_by_centre,
            labels=labels,
            pairs=float(pairs_by_centre.sum()),
            all_pairs=self.pairs_per_epoch,
            centre_weights=self._centre_weights[centres],
            prior=Prior(self.rule.smoothing / smoothed, self._distribution) if self.rule.smoothing else None,
        )


NO_ORDER = np.empty(0, np.intp)  # counts have no last label


def row_ends(starts: NDArray[np.int64], centres: NDArray[Any]) -> list[slice]:
    """Return the entries of each row."""
    ends = starts[centres].tolist(), starts[centres + 1].tolist()
    return [slice(*both) for both in zip(*ends, strict=True)]


def gather(values: NDArray[Any], entries: list[slice]) -> NDArray[Any]:
    """Return the values of these rows.

    Copying span by span is faster than by an array of positions.
    """
    return np.concatenate([values[entry] for entry in entries])
