"""What the cost of a run's pairs can be: outside the time of training, and only once for the same text in the cache."""

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

FORMAT = 1  # of the bounds that are kept: one more whenever they mean something else
_HASHED_AT_ONCE = 1 << 20


def training_bounds(
    plan: Plan, text_digest: str, training: TextPart, examples: TrainingExamples
) -> Bounds | None:
    """Return the bounds of all pairs of the text that a plan trains on, whichever of them it samples.

    Where windows shrink, pairs weigh what their distance makes of them.

    Parameters
    ----------
    plan : Plan
        What is trained.
    text_digest : str
        SHA-256 of the whole text.
    training : TextPart
        The part that is trained on. If its ids are mapped from a file, bounds are kept in the cache.
    examples : TrainingExamples
        What has been made of it; not counted again if it is the counts of all pairs.

    Returns
    -------
    Bounds or None
        None if the plan does without, or if pairs cannot be counted in the memory there is, which is said.
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
    """Return the bounds, and where the cost of the same pairs, if there is one, stands between them."""
    metrics = dict(vars(bounds))
    if cost is not None:
        metrics["cost_gap"] = cost - bounds.cost_floor
        metrics["information_explained"] = information_explained(cost, bounds.unigram_cost, bounds.cost_floor)
    return metrics


def counting_memory(plan: Plan, training: TextPart, vocabulary_size: int) -> int:
    """Return how many bytes counting all pairs of a text, and their bounds, take at the most."""
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
        require_memory(needed, "Counting the pairs", "bounds=false does without.")
        counts = count_window_pairs(
            [training.ids],
            plan.window,
            vocabulary_size,
            shrinking=plan.shrinking_window,
            segments=training.segments,
        )
    except UserError as error:  # of the counting; what has been trained is of use without bounds, too
        _log.warning(f"The run goes on without the bounds of its cost. {error}")
        return None
    return Bounds.of(counts)


def _key(plan: Plan, training: TextPart, vocabulary_size: int) -> str:
    """Return what the bounds are known by: the content of all that they are computed from."""
    described = [FORMAT, plan.window, plan.shrinking_window, vocabulary_size]
    digest = hashlib.sha256(json.dumps(described).encode())
    for array in (training.ids, training.segments):
        length = 0 if array is None else len(array)
        digest.update(f"[{length}]".encode())
        for start in range(0, length, _HASHED_AT_ONCE):
            assert array is not None
            digest.update(np.ascontiguousarray(array[start : start + _HASHED_AT_ONCE]).data)
    return digest.hexdigest()[:32]
