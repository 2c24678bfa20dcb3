"""Examples that are drawn from a text again each epoch, a stretch of it at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.drawing import TextDraw
from w2v_exp.examples.pair_counting import count_window_pairs
from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.examples.pairs import count_pairs, longest_reach, mean_pairs, reaches
from w2v_exp.examples.subsampling import NoSubsampling, Subsampling, keep_probabilities
from w2v_exp.validation import require_whole


class DrawnExamples(TrainingExamples):
    """A text of which nothing is kept but itself: each epoch draws it anew, from its generator.

    Parameters
    ----------
    ids, window, vocabulary_size, subsampling, shrinking_window, passages, order, generator
        As for `StreamedExamples`.
    stretch : int
        Words that are drawn at a time.
    share : tuple of int
        (number, of): the stretches of one of several processes, every `of`-th from `number` on.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        window: int,
        vocabulary_size: int,
        *,
        stretch: int,
        subsampling: Subsampling | None,
        shrinking_window: bool,
        passages: NDArray[np.int64] | None,
        order: str,
        generator: np.random.Generator | None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._drawn_from = require_whole("window", window, at_least=1)
        self._ids = ids
        self._window = longest_reach(self._drawn_from, len(ids), passages)
        self._stretch = stretch
        self._keep = keep_probabilities(subsampling or NoSubsampling(), ids, vocabulary_size)
        self._shrinking_window = shrinking_window
        self._passages = passages
        self._numbers = range(share[0], -(-len(ids) // stretch), share[1])  # of its stretches
        expected = self._expected_pairs(generator or np.random.default_rng(0))
        super().__init__(vocabulary_size, expected, order)

    @property
    def window(self) -> int:
        """The greatest distance between the words of a pair: of the window, or of the longest passage."""
        return self._window

    @cached_property
    def pairs(self) -> PairCounts:
        """The pairs of the text itself, no word dropped, shrinking windows as weights.

        They are counted when first asked for, in memory that grows with the distinct ones.
        """
        return count_window_pairs(
            [self._ids],
            self._drawn_from,
            self.vocabulary_size,
            shrinking=self._shrinking_window,
            passages=self._passages,
        )

    @cached_property
    def context_shares(self) -> NDArray[np.float64]:
        """What share of the pairs each word is to be expected as the context of, shape (V,).

        A word is as often a context as it is a centre. Where words are dropped, this takes the words that are kept
        to have as many contexts as in the text itself: true but for the ends of short passages.
        """
        weights = np.ones(self._window)  # of a pair by its distance
        if self._shrinking_window:
            weights -= np.arange(self._window) / self._drawn_from
        within = np.concatenate([[0], np.cumsum(weights)])  # the contexts on one side, by how far it reaches
        by_context = np.zeros(self.vocabulary_size)
        for start, stop in self._stretches(self._numbers):
            left, right = reaches(len(self._ids), start, stop, self._window, self._passages)
            ids, contexts = self._ids[start:stop], within[left] + within[right]
            if self._keep is not None:
                contexts *= self._keep[ids]
            by_context += np.bincount(ids, weights=contexts, minlength=self.vocabulary_size)
        by_context /= by_context.sum()
        return by_context

    def _stretches(self, numbers: range | NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Return where each of these stretches starts and stops."""
        for number in numbers:
            start = int(number) * self._stretch
            yield start, min(start + self._stretch, len(self._ids))

    def _ordered_stretches(self, generator: np.random.Generator) -> Iterator[tuple[int, int]]:
        """Return where the stretches start and stop, in the order of an epoch."""
        if self.order == "corpus":
            return self._stretches(self._numbers)
        return self._stretches(np.asarray(self._numbers)[generator.permutation(len(self._numbers))])

    def _draw(self, generator: np.random.Generator) -> TextDraw:
        return TextDraw(
            self._ids,
            self._drawn_from,
            generator,
            keep=self._keep,
            shrinking_window=self._shrinking_window,
            passages=self._passages,
        )

    def _expected_pairs(self, generator: np.random.Generator) -> float:
        """Return how many pairs an epoch has: exactly, as the mean over all windows, or as those of one draw."""
        if self._keep is not None or self._numbers.step > 1:
            draw = self._draw(generator)
            return sum(
                draw.stretch(start, stop).count_pairs() for start, stop in self._stretches(self._numbers)
            )
        if self._shrinking_window:
            return mean_pairs(len(self._ids), self._drawn_from, self._passages)
        return count_pairs(len(self._ids), self._window, self._passages)
