"""A sample of a text's pairs, drawn once, on which the cost of different objectives compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.drawing import DrawnText, TextDraw
from w2v_exp.examples.held_out import TextPart
from w2v_exp.examples.pair_counting import count_window_pairs
from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.examples.pairs import reaches

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STRETCH = 1000  # words; the cuts at its ends lose window/1000 of its pairs


@dataclass(frozen=True)
class CostSample:
    """Some of a text's examples: what their cost is, is a matter of a model's parameters alone.

    Parameters
    ----------
    counts : PairCounts
        How often each input has each label. An input is a centre, and its labels its contexts; or it is a bag of words,
        one for each place, and its label the word that they are around.
    bags : csr_array, shape (n, V), optional
        Of each input, what share each word has in its hidden vector; None: input w is word w.
    """

    counts: PairCounts
    bags: csr_array | None = None


def sample_text(text: TextPart, words: int, generator: np.random.Generator) -> TextPart:
    """Return so many words of a text, in stretches of a thousand chosen at random, or all if it has no more."""
    length = len(text.ids)
    if length <= words:
        return text
    number = max(1, words // STRETCH)
    starts = np.sort(generator.choice(-(-length // STRETCH), number, replace=False)) * STRETCH
    stops = np.minimum(starts + STRETCH, length)
    ends = np.concatenate([[0], np.cumsum(stops - starts)])
    passages = ends
    if text.passages is not None:  # what they cut is cut in the stretches as well
        inside = [
            text.passages[slice(*text.passages.searchsorted([start, stop]))] - start + end
            for start, stop, end in zip(starts, stops, ends[:-1], strict=True)
        ]
        passages = np.unique(np.concatenate([ends, *inside]))
    ids = np.concatenate([text.ids[start:stop] for start, stop in zip(starts, stops, strict=True)])
    return TextPart(ids, passages)


def sample_pairs(
    text: TextPart,
    window: int,
    vocabulary_size: int,
    generator: np.random.Generator,
    *,
    keep: NDArray[np.float64] | None = None,
    shrinking_window: bool = False,
) -> CostSample:
    """Return the pairs of a text for skip-gram: words dropped as in training, shrinking windows as weights."""
    drawn = TextDraw(text.ids, window, generator, keep=keep, passages=text.passages).whole()
    counts = count_window_pairs(
        [drawn.ids], window, vocabulary_size, shrinking=shrinking_window, passages=drawn.passages
    )
    return CostSample(counts)


def sample_bags(
    text: TextPart,
    window: int,
    vocabulary_size: int,
    generator: np.random.Generator,
    *,
    mean: bool,
    keep: NDArray[np.float64] | None = None,
    shrinking_window: bool = False,
) -> CostSample:
    """Return the bags of a text for cbow, and the word that each is around, drawn as they are in training."""
    from scipy.sparse import csr_array

    draw = TextDraw(
        text.ids, window, generator, keep=keep, shrinking_window=shrinking_window, passages=text.passages
    )
    starts, words, targets = bags_of(draw.whole())
    lengths = np.diff(starts)
    shares = np.repeat(1 / lengths, lengths) if mean else np.ones(len(words))
    counts = PairCounts(np.arange(len(targets) + 1), targets, np.ones(len(targets), np.float32))
    return CostSample(counts, csr_array((shares, words, starts), shape=(len(targets), vocabulary_size)))


def bags_of(
    drawn: DrawnText,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Return the bags of a stretch as compressed rows, and the word that each is around, if there is any in it.

    Returns
    -------
    starts : ndarray of int64, shape (n + 1,)
    words : ndarray of int32, shape (m,)
        The contexts of bag b, from left to right, are at ``starts[b]:starts[b + 1]``.
    targets : ndarray of int32, shape (n,)
    """
    left, right = reaches(len(drawn.ids), drawn.start, drawn.stop, drawn.window, drawn.passages)
    lengths = left + right
    around = lengths > 0
    starts = np.concatenate([[0], np.cumsum(lengths[around])])
    return starts, drawn.pairs()[1], drawn.ids[drawn.start : drawn.stop][around]
