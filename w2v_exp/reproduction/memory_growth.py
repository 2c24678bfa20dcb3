"""How much memory trainings take on random texts of growing size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.batches import KEPT_LABEL_BYTES, Examples
from w2v_exp.examples.labels import DenseLabels, SparseLabels
from w2v_exp.examples.pairs import count_pairs, window_pairs
from w2v_exp.memory import NotEnoughMemoryError, available_memory
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.tracking.memory import MEGABYTE, PeakMemory
from w2v_exp.training.trainer import Trainer

WINDOW = 5
DIM = 10
BATCH_SIZE = 128
REHEARSED_STEPS = 3
VOCABULARY_SIZES = (125, 250, 500, 1000)
TOKENS = (250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000)
LARGEST_DENSE = 350 * MEGABYTE  # what the report is willing to allocate


@dataclass(frozen=True)
class Measurement:
    """The peak memory of the beginning of a training.

    Parameters
    ----------
    vocabulary_size, pairs : int
        V and m.
    peak : float
        Bytes.
    """

    vocabulary_size: int
    pairs: int
    peak: float


@dataclass(frozen=True)
class Line:
    """A straight line through measurements: peak = intercept + slope · x, in bytes.

    Parameters
    ----------
    intercept, slope : float
        By least squares.
    determination : float
        R²: the share of the peaks' variance that the line explains.
    """

    intercept: float
    slope: float
    determination: float

    @classmethod
    def fit(cls, x: Sequence[int], measurements: Sequence[Measurement]) -> Line:
        """Return the line with the least squared distance from the peaks."""
        peaks = np.array([each.peak for each in measurements])
        slope, intercept = np.polyfit(x, peaks, 1)
        residual = peaks - intercept - slope * np.array(x)
        return cls(float(intercept), float(slope), float(1 - residual.var() / peaks.var()))


@dataclass(frozen=True)
class Refusal:
    """A training that was refused.

    Parameters
    ----------
    vocabulary_size, pairs : int
        V and m.
    needed : int
        Bytes of one-hot labels.
    message : str
        What the user is told.
    allocated : float
        Bytes that were allocated until then, beside the pairs.
    sparse : Measurement
        The same text with ids.
    """

    vocabulary_size: int
    pairs: int
    needed: int
    message: str
    allocated: float
    sparse: Measurement


def sizes() -> list[tuple[int, int]]:
    """Return vocabulary size and tokens of every text: one cannot have more words than tokens."""
    return [(words, tokens) for words in VOCABULARY_SIZES for tokens in TOKENS if words <= tokens]


def fits_as_dense(vocabulary_size: int, tokens: int) -> bool:
    """Return whether the one-hot labels of a text may be allocated here; half of what is there stays free."""
    available = available_memory()
    limit = LARGEST_DENSE if available is None else min(LARGEST_DENSE, available // 2)
    return DenseLabels.memory(count_pairs(tokens, WINDOW), vocabulary_size, np.float64) <= limit


def keeps_batches(pairs: int) -> bool:
    """Return whether `Examples` keeps the batches of a text of so many pairs from epoch to epoch, with ids."""
    return SparseLabels.memory(pairs, 0, np.float64) <= KEPT_LABEL_BYTES


def zipfian_text(tokens: int, vocabulary_size: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Return a random text that has every word, and word i drawn 1/(i + 1) times as often as word 0."""
    shares = 1 / np.arange(1, vocabulary_size + 1)
    drawn = generator.choice(vocabulary_size, size=tokens - vocabulary_size, p=shares / shares.sum())
    return generator.permutation(np.concatenate([np.arange(vocabulary_size), drawn])).astype(np.int32)


def measure(labels: str, vocabulary_size: int, tokens: int, seed: int) -> Measurement:
    """Return the peak memory of pairing a random text, encoding its labels, and taking the first steps."""
    generator = np.random.default_rng(seed)
    ids = zipfian_text(tokens, vocabulary_size, generator)
    with PeakMemory() as peak:
        pairs = window_pairs(ids, WINDOW, vocabulary_size)
        examples = Examples(pairs, labels=labels, batch_size=BATCH_SIZE, order="corpus")
        parameters = ArticleInitialization()(vocabulary_size, DIM, generator)
        Trainer(examples, parameters, epochs=1, generator=generator).rehearse(REHEARSED_STEPS)
    return Measurement(vocabulary_size, len(pairs), peak.megabytes * MEGABYTE)


def refuse(seed: int) -> Refusal | None:
    """Grow a text in which every word occurs once until its one-hot labels cannot fit, and ask for them.

    None where the system does not tell how much memory there is: nothing can be refused there.
    """
    available = available_memory()
    if available is None:
        return None
    vocabulary_size = VOCABULARY_SIZES[-1]
    # Twice what is available: other processes may free some of theirs meanwhile.
    while (
        DenseLabels.memory(count_pairs(vocabulary_size, WINDOW), vocabulary_size, np.float64) <= 2 * available
    ):
        vocabulary_size *= 2
    ids = zipfian_text(vocabulary_size, vocabulary_size, np.random.default_rng(seed))
    pairs = window_pairs(ids, WINDOW, vocabulary_size)
    message = ""
    with PeakMemory() as peak:
        try:
            Examples(pairs, labels="dense", batch_size=BATCH_SIZE, order="corpus")
        except NotEnoughMemoryError as error:
            message = str(error)
    return Refusal(
        vocabulary_size,
        len(pairs),
        DenseLabels.memory(len(pairs), vocabulary_size, np.float64),
        message,
        peak.megabytes * MEGABYTE,
        measure("sparse", vocabulary_size, vocabulary_size, seed),
    )
