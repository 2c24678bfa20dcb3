"""A sample of a text's pairs, drawn once, on which the cost of different objectives compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.bags import Bags
from w2v_exp.examples.drawing import TextDraw
from w2v_exp.examples.held_out import TextPart
from w2v_exp.examples.pair_counting import count_window_pairs
from w2v_exp.examples.pair_counts import PairCounts
from w2v_exp.representation import ShortRepr

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STRETCH = 1000  # words; the cuts at its ends lose window/1000 of its pairs


@dataclass(frozen=True, repr=False)
class CostSample(ShortRepr):
    """Some of a text's examples: what their cost is, is a matter of a model's parameters alone.

    Parameters
    ----------
    counts : PairCounts
        How often each input has each label. An input is a centre, and its labels its contexts; or it is a bag of words,
        one for each place, and its label the word that they are around.
    bags : csr_array, shape (n, V), optional
        Of each input, what share each word has in its hidden vector; None: input w is word w.
    share : float
        The share of the text's words in the sample.
    """

    counts: PairCounts
    bags: csr_array | None = None
    share: float = 1.0


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
    draw = TextDraw(
        text.ids, window, generator, keep=keep, shrinking_window=shrinking_window, passages=text.passages
    )
    bags = Bags.of(draw.whole())
    counts = PairCounts(np.arange(len(bags) + 1), bags.targets, np.ones(len(bags), np.float32))
    return CostSample(counts, bags.matrix(vocabulary_size, mean=mean))
