"""Bounds of the cost of a run's pairs, cached with the text."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress

import numpy as np

from w2v_exp.errors import UserError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counts import Bounds, PairCounter, PairCounts, count_window_pairs, information_explained
from w2v_exp.examples.sampling import TextPart
from w2v_exp.examples.statistics import PairStatistics
from w2v_exp.machine import require_memory
from w2v_exp.plan import Plan
from w2v_exp.text.cache import read_figures, write_figures

_log = logging.getLogger(__name__)

FORMAT = 1  # of the cached bounds: raise by one whenever their meaning changes
_HASHED_AT_ONCE = 1 << 20


def training_bounds(
    plan: Plan, text_digest: str, training: TextPart, examples: TrainingExamples
) -> Bounds | None:
    """Return the bounds of all pairs of the training text, sampled or not.

    Where windows shrink, pairs are weighted by their distance.

    Parameters
    ----------
    plan : Plan
        Settings of the run.
    text_digest : str
        SHA-256 of the whole text.
    training : TextPart
        The training part. If its ids are mapped from a file, bounds are cached.
    examples : TrainingExamples
        Its examples, whose counts are used if they are those of all pairs.

    Returns
    -------
    Bounds or None
        None with ``bounds=false``, or if counting the pairs does not fit the memory, which is printed.
    """
    if not plan.bounds:
        return None
    cache = plan.cache_folder
    if cache is None or not isinstance(training.ids, np.memmap):
        return _count_bounds(plan, training, examples)
    key = _key(plan, training, examples.vocabulary_size)
    if (figures := read_figures(cache, text_digest, key)) and figures.keys() == vars(Bounds(0, 0)).keys():
        return Bounds(**figures)
    bounds = _count_bounds(plan, training, examples)
    if bounds:
        with suppress(OSError):  # then they are computed again the next time
            write_figures(cache, text_digest, key, vars(bounds))
    return bounds


def bound_metrics(bounds: Bounds, cost: float | None) -> dict[str, float]:
    """Return the metrics of the bounds, and of a cost relative to them."""
    metrics = dict(vars(bounds))
    if cost is not None:
        metrics["cost_gap"] = cost - bounds.cost_floor
        metrics["information_explained"] = information_explained(cost, bounds.unigram_cost, bounds.cost_floor)
    return metrics


def counting_memory(plan: Plan, training: TextPart, vocabulary_size: int) -> int:
    """Return the peak bytes of counting all pairs of a text."""
    nothing_drawn = np.random.default_rng(0)
    statistics = PairStatistics(
        training.ids, plan.window, vocabulary_size, nothing_drawn, segments=training.segments
    )
    distinct = int(statistics.distinct_by_centre.sum())
    summing = PairCounts.memory(distinct, vocabulary_size) + PairCounts.summing_memory(distinct)
    return max(PairCounter.memory(statistics), summing)


def _count_bounds(plan: Plan, training: TextPart, examples: TrainingExamples) -> Bounds | None:
    if examples.counts and plan.trains_on_all_pairs:
        return Bounds.of(examples.counts)
    vocabulary_size = examples.vocabulary_size
    try:
        needed = counting_memory(plan, training, vocabulary_size)
        require_memory(needed, "Counting the pairs", "Use bounds=false.")
        counts = count_window_pairs(
            [training.ids],
            plan.window,
            vocabulary_size,
            shrinking=plan.shrinking_window,
            segments=training.segments,
        )
    except UserError as error:  # the trained embeddings are useful without bounds
        _log.warning(f"Skipping unigram_cost and cost_floor: {error}")
        return None
    return Bounds.of(counts)


def _key(plan: Plan, training: TextPart, vocabulary_size: int) -> str:
    """Return the cache key of the bounds: a digest of their inputs."""
    described = [FORMAT, plan.window, plan.shrinking_window, vocabulary_size]
    digest = hashlib.sha256(json.dumps(described).encode())
    for array in (training.ids, training.segments):
        length = 0 if array is None else len(array)
        digest.update(f"[{length}]".encode())
        for start in range(0, length, _HASHED_AT_ONCE):
            assert array is not None
            digest.update(np.ascontiguousarray(array[start : start + _HASHED_AT_ONCE]).data)
    return digest.hexdigest()[:32]
