"""Steps of real text, at a real vocabulary, by the baseline and by the real trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks import baseline
from benchmarks.real_text import real_text
from benchmarks.sizes import Size
from benchmarks.timing import Comparison, alternate
from benchmarks.training import WINDOW, Training
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.model.softmax import Softmax

AS_PUBLISHED = Softmax(update="overwrite", epsilon=baseline.EPSILON)
DEFAULT = Softmax()  # no update is lost
ARTICLE_DIM, ARTICLE_MIN_COUNT = 100, 5  # of steps at the size of the exact epoch
LARGE_BATCH = 4096


@dataclass(frozen=True)
class Variant:
    """One of our ways of doing what the baseline does.

    Parameters
    ----------
    name : str
        For the table.
    objective : Softmax
        Cost and gradients.
    choices : dict
        What else `Training.trainer` takes.
    tolerance : float, optional
        How far its parameters may be from the baseline's; None where it trains by another rule.
    at_least, goal : float, optional
        The ratio that is promised, and the one that is wished for.
    """

    name: str
    objective: Softmax
    choices: dict[str, Any]
    tolerance: float | None
    at_least: float | None = None
    goal: float | None = None


STEP_VARIANTS = (
    Variant("as published, float64", AS_PUBLISHED, {"dtype": np.float64}, 1e-9, 8),
    Variant("as published, float32", AS_PUBLISHED, {"dtype": np.float32}, 1e-5, 15),
    Variant("no update lost, float64", DEFAULT, {"dtype": np.float64}, None, 8),
    Variant("no update lost, float32", DEFAULT, {"dtype": np.float32}, None, 15),
)


def label_variants(objective: Softmax, tolerance: float | None, **choices: Any) -> tuple[Variant, ...]:
    """Return the variants of the wider steps, in float32: pairs that are listed, and pairs that are streamed."""
    return tuple(
        Variant(labels, objective, {"dtype": np.float32, "labels": labels, **choices}, tolerance, 12, 25)
        for labels in ("sparse", "streamed")
    )


def steps_at_a_real_vocabulary(size: Size, threads: int) -> list[Comparison]:
    """Compare steps of real text in its order: batches of 256 pairs, dim 50. The baseline is in float64."""
    training = real_training(size)
    return compare(
        f"steps of real text, {training.pairs.vocabulary_size:,} words",
        training,
        STEP_VARIANTS,
        unit="steps",
        amount=size.steps,
        repeats=size.repeats,
        threads=threads,
    )


def wide_steps(size: Size, threads: int) -> list[Comparison]:
    """Compare steps at the size of the exact epoch, dim 100: sparse and streamed, of 256 pairs and of 4,096.

    Those of 256 do as the baseline does and are checked against it. The larger ones lose no update, and are compared
    by the pair with the baseline's of 256 pairs: more of the same text, so what that would take is worked out.
    """
    comparisons: list[Comparison] = []
    small = article_steps(size, size.steps, batch_size=256)
    large = article_steps(size, size.large_steps, batch_size=LARGE_BATCH)
    name = f"steps of real text, {small.pairs.vocabulary_size:,} words, dim {ARTICLE_DIM}, float32"
    for training, variants in (
        (small, label_variants(AS_PUBLISHED, 1e-5)),
        (large, label_variants(DEFAULT, None)),
    ):
        comparisons += compare(
            f"{name}, {training.batch_size:,} pairs a step",
            training,
            variants,
            unit="pairs",
            amount=len(training.pairs),
            repeats=size.long_repeats,
            threads=threads,
            baseline_training=small,
            all_threads=True,
        )
    return comparisons


def real_training(size: Size) -> Training:
    """Return training by consecutive batches from the middle of the real text, window 5."""
    text = real_text(size.messages, size.vocabulary_size)
    count, middle = 256 * size.steps, len(text.ids) // 2
    pairs = window_pairs(text.ids[middle : middle + count], WINDOW, len(text.vocabulary))
    pairs = Pairs(pairs.centres[:count], pairs.contexts[:count], pairs.vocabulary_size)
    return Training(pairs, baseline_ids(pairs), epochs=1, batch_size=256)


def article_steps(size: Size, steps: int, *, batch_size: int) -> Training:
    """Return training by about so many batches at the size of the exact epoch: words that occur five times, dim 100.

    It has all pairs of a span from the middle of the text, so that they can be streamed as well.
    """
    text = real_text(size.messages, None, ARTICLE_MIN_COUNT)
    middle, tokens = len(text.ids) // 2, steps * batch_size // (2 * WINDOW) + WINDOW
    ids = text.ids[middle : middle + tokens]
    pairs = window_pairs(ids, WINDOW, len(text.vocabulary))
    return Training(pairs, baseline_ids(pairs), epochs=1, batch_size=batch_size, dim=ARTICLE_DIM, ids=ids)


def baseline_ids(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs as the baseline has them: two arrays of shape (1, m)."""
    X, Y = (column.astype(np.int64)[np.newaxis] for column in (pairs.centres, pairs.contexts))
    return X, Y


def compare(
    workload: str,
    training: Training,
    variants: Sequence[Variant],
    *,
    unit: str,
    amount: int,
    repeats: int,
    threads: int,
    baseline_training: Training | None = None,
    all_threads: bool = False,
) -> list[Comparison]:
    """Check each variant against the baseline, then time them in turns.

    Parameters
    ----------
    workload, unit, amount
        As for `Comparison`.
    training : Training
        What is done.
    variants : sequence of Variant
        Our ways of doing it.
    repeats, threads : int
        As for `alternate`.
    baseline_training : Training, optional
        What the baseline does instead, of which its seconds for all pairs are worked out.
    all_threads : bool
        Whether what is promised holds for any number of threads, and not only for one.
    """
    by_baseline = baseline_training or training
    with threadpool_limits(threads, "blas"):
        differences = [
            None
            if variant.tolerance is None
            else training.difference(
                variant.objective, tolerance=variant.tolerance, threads=threads, **variant.choices
            )
            for variant in variants
        ]
        kinds = [
            partial(training.ours, variant.objective, threads=threads, **variant.choices)
            for variant in variants
        ]
        baseline_seconds, *all_seconds = alternate([by_baseline.baseline, *kinds], repeats, threads)
    longer = len(training.pairs) / len(by_baseline.pairs)
    promised = threads == 1 or all_threads
    return [
        Comparison(
            workload,
            variant.name,
            unit,
            amount,
            threads,
            [longer * taken for taken in baseline_seconds],
            seconds,
            at_least=variant.at_least if promised else None,
            goal=variant.goal if promised else None,
            difference=difference,
        )
        for variant, seconds, difference in zip(variants, all_seconds, differences, strict=True)
    ]
