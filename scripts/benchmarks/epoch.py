"""An exact epoch on real text, timed as a whole and by its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import threadpool_limits

from benchmarks.epoch_anatomy import EpochAnatomy
from benchmarks.plain_epoch import plain_epoch
from benchmarks.real_text import real_text
from benchmarks.sizes import Size
from benchmarks.steps import article_steps
from benchmarks.timing import Comparison, alternate
from benchmarks.training import require_equal
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts, count_window_pairs
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.softmax import Softmax, exponentiate, transposed_product
from w2v_exp.training.optimizers import Adagrad
from w2v_exp.training.steps import SMALLEST_PART
from w2v_exp.training.trainer import Trainer

DIM, WINDOW, MIN_COUNT = 100, 5, 5
LEARNING_RATE, EPSILON = 0.1, 1e-16
OBJECTIVE = Softmax(embedding_gradient="mean", output_offset="unigram")
PROMISED_RATIO, WISHED_RATIO = 4000, 8000
SQUARE_PRODUCTS = 3  # in a row, of which the mean is taken

SliceParts = list[int]  # how many centres each core has of a slice


def exact_epoch(size: Size, threads: int) -> tuple[Comparison, EpochAnatomy]:
    """Compare an epoch with the article's steps at that size, in pairs a second, and take it apart.

    The baseline takes a few steps of 256 pairs; what an epoch would take it is worked out from them.

    Raises
    ------
    ArithmeticError
        If the epoch costs something else than plain formulas say.
    """
    counts = real_counts(size.messages, MIN_COUNT, None)
    V = counts.vocabulary_size
    article = article_steps(size, size.steps, batch_size=256)
    matrices = [np.ones((size.square, size.square), np.float32) for _ in range(3)]
    parts, parameters = parts_of(counts, threads), new_parameters(V, np.float32, counts)

    def squares() -> None:
        for _ in range(SQUARE_PRODUCTS):
            np.matmul(matrices[0], matrices[1], out=matrices[2])

    def epoch() -> Callable[[], object]:
        return trainer(counts, np.float32, threads).train

    with threadpool_limits(threads, "blas"):
        difference = check(size, threads)
        baseline, first, epochs, second, products, third, exponentials = alternate(
            [
                article.baseline,
                lambda: squares,
                epoch,
                lambda: squares,
                lambda: lambda: multiply(parameters, parts),
                lambda: squares,
                lambda: lambda: raise_to_e(parameters, parts),
            ],
            size.long_repeats,
            threads,
        )
    square_operations = SQUARE_PRODUCTS * 2 * size.square**3
    # The clock of a virtual machine changes within seconds: its rate is that over the time of the other measurements.
    rates = [square_operations / fmean(seconds) for seconds in zip(first, second, third, strict=True)]
    timed_pairs, pairs = len(article.pairs), round(counts.total)
    comparison = Comparison(
        f"an exact epoch of real text, {V:,} words, dim {DIM} (baseline: {size.steps} steps, extrapolated)",
        "counts, float32",
        "pairs",
        pairs,
        threads,
        [seconds * pairs / timed_pairs for seconds in baseline],
        epochs,
        at_least=PROMISED_RATIO,
        goal=WISHED_RATIO,
        difference=difference,
    )
    return comparison, EpochAnatomy(V, threads, 6.0 * V**2 * DIM, rates, epochs, products, exponentials)


@cache
def real_counts(messages: int | None, min_count: int, max_size: int | None) -> PairCounts:
    """Return the pairs of the presidents' messages, window 5, counted."""
    text = real_text(messages, max_size, min_count)
    return count_window_pairs([text.ids], WINDOW, len(text.vocabulary))


def new_parameters(V: int, dtype: DTypeLike, counts: PairCounts) -> Parameters:
    """Return new parameters, the same each time, with log p(context) as the offset."""
    drawn = ArticleInitialization(scale=0.1)(V, DIM, np.random.default_rng(0), dtype)
    shares = CountedExamples(counts).context_shares
    return Parameters(drawn.embedding, drawn.output, OBJECTIVE.initial_offset(shares, dtype))


def trainer(counts: PairCounts, dtype: DTypeLike, threads: int) -> Trainer:
    """Return a trainer of one epoch, as a run has it, with Adagrad."""
    return Trainer(
        examples_of(counts, dtype),
        new_parameters(counts.vocabulary_size, dtype, counts),
        objective=OBJECTIVE,
        optimizer=Adagrad(epsilon=EPSILON),
        epochs=1,
        learning_rate=LEARNING_RATE,
        generator=np.random.default_rng(0),
        threads=threads,
    )


def examples_of(counts: PairCounts, dtype: DTypeLike) -> CountedExamples:
    """Return slices of 512 centres, of fewer where there would not be four of them; other slices each epoch."""
    rule = CountsRule(centres=min(512, -(-counts.vocabulary_size // 4)))
    return CountedExamples(counts, rule, order="shuffled", dtype=dtype)


def check(size: Size, threads: int) -> float:
    """Return how far the cost of an epoch, as it is timed, is from that of plain formulas, on fewer words.

    Raises
    ------
    ArithmeticError
        If that is more than rounding explains, in either precision.
    """
    counts = real_counts(size.messages, 1, size.checked_words)
    expected = plain_epoch(
        new_parameters(counts.vocabulary_size, np.float64, counts),
        counts,
        slices_of(counts),
        learning_rate=LEARNING_RATE,
        epsilon=EPSILON,
    )
    difference = 0.0
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 1e-6)):
        (record,) = trainer(counts, dtype, threads).train()
        difference = abs(record.cost - expected)
        require_equal(f"costs of an exact epoch in {np.dtype(dtype).name}", difference, tolerance)
    return difference


def slices_of(counts: PairCounts) -> list[NDArray[np.int32]]:
    """Return the centres of each step of the trainer's epoch."""
    batches = examples_of(counts, np.float64).batches(np.random.default_rng(0))
    return [batch.centres for batch in batches]


def parts_of(counts: PairCounts, threads: int) -> list[SliceParts]:
    """Return how many centres each core has of each slice, divided as the trainer divides them."""
    parts = []
    for centres in slices_of(counts):
        scores = len(centres) * counts.vocabulary_size
        number = threads if scores >= threads * SMALLEST_PART else 1
        parts.append([len(part) for part in np.array_split(centres, number)])
    return parts


def multiply(parameters: Parameters, parts: Sequence[SliceParts]) -> None:
    """Compute the three products of each slice, of the shapes that a step has them in, and nothing else."""

    def products(number: int, scores: NDArray[Any]) -> None:
        hidden = parameters.embedding[:number]
        hidden.dot(parameters.output.T, scores)
        scores.dot(parameters.output)
        transposed_product(scores, hidden)

    _for_all(parts, parameters, products)


def raise_to_e(parameters: Parameters, parts: Sequence[SliceParts]) -> None:
    """Take the exponentials of each slice, with their sums by row, and nothing else."""

    def exponentials(number: int, scores: NDArray[Any]) -> None:
        exponentiate(scores, parameters.offset)  # of what it has left: with the offset, that stays small

    _for_all(parts, parameters, exponentials)


def _for_all(
    parts: Sequence[SliceParts], parameters: Parameters, work: Callable[[int, NDArray[Any]], None]
) -> None:
    """Do the work for each part of each slice, the parts at once, in memory that is used again."""
    largest = max(max(sizes) for sizes in parts)
    shape = (largest, len(parameters.output))
    tables = [np.zeros(shape, parameters.output.dtype) for _ in parts[0]]
    with threadpool_limits(1 if len(tables) > 1 else None, "blas"), ThreadPoolExecutor(len(tables)) as pool:
        for sizes in parts:
            for _ in pool.map(lambda number, table: work(number, table[:number]), sizes, tables):
                pass
