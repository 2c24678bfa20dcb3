"""How long a run will train, before it begins: its operations, at this machine's rates; what would be faster."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from omegaconf import OmegaConf

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import KEPT_BATCHES, KEPT_LABEL_BYTES
from w2v_exp.examples.blocks import BlockRule
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.held_out import TextPart
from w2v_exp.examples.labels import LABELS
from w2v_exp.examples.pairs import count_ids
from w2v_exp.examples.statistics import BatchShape, PairStatistics
from w2v_exp.examples.streamed import StreamRule
from w2v_exp.experiment.building import pair_statistics
from w2v_exp.machine import Rates, Work, available_cores, measure_rates
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.parameters import Cbow
from w2v_exp.model.tree_counts import NodeCountEstimate, node_count_work
from w2v_exp.plan import Plan, make_plan
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.training.steps import SMALLEST_PART, Steps

EVERYDAY = 1.2  # times the rates, which are the best ones of a machine with nothing else to do
LONG = 3600  # seconds, above which a run prints what would be faster
FASTER = 2 / 3  # of the time, that an alternative takes at most to be named
NAMED = 4  # alternatives
FOR_FILES = "file_softmax"  # the experiment for large files
SHARED_OUT = 0.7  # of what several cores could do at best, that they do
LARGER_BATCH = 8192  # pairs
FEW_EPOCHS = 20


def estimate_seconds(plan: Plan, statistics: PairStatistics, rates: Rates | None = None) -> float:
    """Return how many seconds all epochs of a plan will take, on the pairs of a statistics.

    Within a factor of 2 on an idle machine, mostly within a third. What is measured beside training does not count.

    Parameters
    ----------
    plan : Plan
        What is to be done.
    statistics : PairStatistics
        Of the text's pairs, as `pair_statistics` returns it for this plan.
    rates : Rates, optional
        Of the machine; None measures them.
    """
    steps, work = epoch_work(plan, statistics)
    rates = rates or measure_rates(plan.dtype, plan.dim)
    seconds = plan.epochs * steps * EVERYDAY * work.seconds(rates) / _speed_up(plan, statistics)
    return within_stop(plan, seconds)


def epoch_work(plan: Plan, statistics: PairStatistics) -> tuple[int, Work]:
    """Return how many steps an epoch of a plan has, and the mean work of one."""
    V, labels, objective = statistics.vocabulary_size, plan.labels, plan.objective
    if isinstance(labels, CountsRule):
        return _counted_work(plan, labels, statistics)
    if isinstance(labels, BlockRule) and isinstance(objective, NegativeSampling):
        block = labels.shape(statistics, cbow=isinstance(plan.model, Cbow))
        steps = max(1, math.ceil(statistics.tokens / block.tokens))
        work = objective.step_work(BatchShape(block.centres, block.centres, block=block), V, plan.dim)
        return steps, work + Work(passed=60.0 * block.centres, calls=60)
    batch, examples = _listed_batch(plan, statistics)
    work = Steps.work(batch, V, plan.dim, plan.optimizer, objective)
    steps = max(1, math.ceil(examples / batch.pairs))
    if plan.encoding == "dense":
        work += Work(passed=batch.pairs * V + 6.0 * batch.centres * V, calls=20)
    elif isinstance(labels, StreamRule):
        work += Work(passed=40.0 * batch.pairs, gathered=5.0 * batch.pairs, calls=60)
    elif not _keeps_batches(plan, statistics, steps):
        work += Work(gathered=5.0 * batch.pairs, calls=40)
    return steps, work


def _counted_work(plan: Plan, rule: CountsRule, statistics: PairStatistics) -> tuple[int, Work]:
    V = statistics.vocabulary_size
    centres = max(1, int(np.count_nonzero(statistics.frequencies)))
    size = min(rule.centres, centres)
    steps = math.ceil(centres / size)
    cells = float(statistics.distinct_by_centre.sum()) / steps
    batch = BatchShape(centres / steps, statistics.pairs / steps, cells)
    if not isinstance(plan.objective, HierarchicalSoftmax):
        work = Steps.work(batch, V, plan.dim, plan.optimizer, plan.objective)
        prior = Work(products=6.0 * V * plan.dim) if rule.smoothing else Work()
        return steps, work + prior + Work(passed=10.0 * cells, calls=20 + 5.0 * size)
    estimate = NodeCountEstimate(statistics)
    largest = estimate.slices(size, plan.order)
    visits = estimate.total / steps
    lower = largest.lower * visits / max(1.0, largest.visits)
    updating = Steps.work(batch, V, plan.dim, plan.optimizer, _NoScores())
    return steps, node_count_work(batch.centres, visits, largest.columns, lower, plan.dim) + updating


class _NoScores(HierarchicalSoftmax):
    """A hierarchical softmax whose visits are counted elsewhere."""

    @staticmethod
    def step_work(batch: BatchShape, vocabulary_size: int, dim: int) -> Work:
        """Return no operations."""
        return Work()


def _listed_batch(plan: Plan, statistics: PairStatistics) -> tuple[BatchShape, int]:
    """Return a batch of pairs or bags, and how many of these an epoch has."""
    if isinstance(plan.model, Cbow):
        bags = max(1, statistics.tokens)
        size = min(plan.batch_size, bags)
        return BatchShape(size, size, size, size * statistics.pairs / bags), bags
    size = max(1, min(plan.batch_size, statistics.pairs))
    mixed = plan.labels.block if isinstance(plan.labels, StreamRule) else None
    centres = statistics.distinct_centres(size, plan.order, mixed)
    return BatchShape(centres, size, statistics.distinct_in_batch(size, plan.order)), statistics.pairs


def _keeps_batches(plan: Plan, statistics: PairStatistics, steps: int) -> bool:
    """Return whether batches are made once a run: see `ListedExamples`."""
    held = LABELS["sparse"].memory(statistics.pairs, statistics.vocabulary_size, plan.dtype)
    return plan.order != "shuffled" and held <= KEPT_LABEL_BYTES and steps <= KEPT_BATCHES


def _speed_up(plan: Plan, statistics: PairStatistics) -> float:
    """Return how many times as fast as one core the threads or workers of a plan are."""
    if plan.workers > 1:
        return workers_speed_up(plan)
    scores = 0.0
    if not isinstance(plan.objective, (NegativeSampling, HierarchicalSoftmax)):
        size = plan.labels.centres if isinstance(plan.labels, CountsRule) else plan.batch_size
        scores = min(size, statistics.vocabulary_size) * statistics.vocabulary_size
    threads = plan.threads if scores >= plan.threads * SMALLEST_PART else 1
    return max(1.0, SHARED_OUT * min(threads, available_cores()))


def within_stop(plan: Plan, seconds: float) -> float:
    """Return how long all epochs take, or until ``stop.minutes`` ends them."""
    return seconds if plan.stop.minutes is None else min(seconds, 60 * plan.stop.minutes)


def workers_speed_up(plan: Plan) -> float:
    """Return how many times as fast as one process the workers of a plan are."""
    return max(1.0, SHARED_OUT * min(plan.workers, available_cores()))


@dataclass(frozen=True)
class Alternative:
    """A way to train faster: what to add to the command line, and how long that will take."""

    overrides: str
    seconds: float


def _with_counts(plan: Plan) -> Plan:
    return replace(plan, labels=CountsRule())


def _with_blocks(plan: Plan) -> Plan:
    return replace(plan, objective=NegativeSampling(), labels=BlockRule())


ALTERNATIVES: Mapping[str, Callable[[Plan], Plan]] = {
    "labels=counts": _with_counts,
    f"batch_size={LARGER_BATCH}": lambda plan: replace(plan, batch_size=LARGER_BATCH),
    "dtype=float32": lambda plan: replace(plan, dtype="float32"),
    "labels=counts dtype=float32": lambda plan: replace(_with_counts(plan), dtype="float32"),
    f"labels=counts dtype=float32 epochs={FEW_EPOCHS}": lambda plan: replace(
        _with_counts(plan), dtype="float32", epochs=min(plan.epochs, FEW_EPOCHS)
    ),
    f"objective=negative_sampling labels=blocks dtype=float32 epochs={FEW_EPOCHS}": lambda plan: replace(
        _with_blocks(plan), dtype="float32", epochs=min(plan.epochs, FEW_EPOCHS)
    ),
    f"epochs={FEW_EPOCHS}": lambda plan: replace(plan, epochs=min(plan.epochs, FEW_EPOCHS)),
}


def faster_alternatives(
    plan: Plan,
    text: TextPart,
    vocabulary_size: int,
    seconds: float,
    rates: Callable[[str, int], Rates] = measure_rates,
) -> list[Alternative]:
    """Return what would train a plan faster than in so many seconds, each with its time; the fastest first.

    An alternative that the rest of the plan excludes is left out, as is one that is not much faster.
    """
    changes = {}
    for overrides, change in ALTERNATIVES.items():
        with suppress(SettingError):
            changes[overrides] = change(plan), text, vocabulary_size
    if isinstance(plan.corpus, FileCorpus):
        named = _named_experiment(plan.corpus)
        changes[f"experiment={FOR_FILES}"] = named, *_kept(named, text, vocabulary_size)
    found = []
    for overrides, (changed, training, size) in changes.items():
        statistics = pair_statistics(changed, training, size)
        expected = estimate_seconds(changed, statistics, rates(changed.dtype, changed.dim))
        if expected <= FASTER * seconds:
            found.append(Alternative(overrides, expected))
    return sorted(found, key=lambda alternative: alternative.seconds)


def _named_experiment(corpus: FileCorpus) -> Plan:
    """Return the plan of the experiment for large files, on this corpus."""
    from w2v_exp.config import Sources, without_hydra

    config = without_hydra(Sources().compose([f"experiment={FOR_FILES}"]))
    OmegaConf.update(config, "corpus.path", corpus.path)
    return make_plan(config)


def _kept(plan: Plan, text: TextPart, vocabulary_size: int) -> tuple[TextPart, int]:
    """Return what the vocabulary of a plan keeps of a text with more words, and how many words it has."""
    counts = count_ids(text.ids, vocabulary_size)
    size = int(np.count_nonzero(counts >= plan.vocabulary.min_count))
    size = max(2, min(size, plan.vocabulary.max_size or size))
    kept = text.ids < size  # ids are by falling count
    segments = None if text.segments is None else np.concatenate([[0], np.cumsum(kept)])[text.segments]
    return TextPart(text.ids[kept], segments), size


def long_run_warning(seconds: float, alternatives: list[Alternative]) -> str:
    """Return the line about a run of more than an hour: its time, and what would be faster; empty for others."""
    if seconds <= LONG:
        return ""
    named = [f"{other.overrides} ({readable_seconds(other.seconds)})" for other in alternatives[:NAMED]]
    faster = f" Faster: {'; '.join(named)}." if named else " Fewer epochs or a smaller vocabulary take less."
    return f"Training will take about {readable_seconds(seconds)}.{faster}"


def readable_seconds(seconds: float) -> str:
    """Return a time in the largest unit of which it has one, and two digits.

    >>> readable_seconds(0.0123), readable_seconds(75), readable_seconds(5400), readable_seconds(1.8e7)
    ('12 ms', '1.2 min', '1.5 h', '210 days')
    """
    units = (("years", 365.25 * 86400), ("days", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for unit, size in units:
        if seconds >= size * (2 if unit in ("years", "days") else 1):
            return f"{_two_digits(seconds / size)} {unit}"
    return f"{_two_digits(1000 * seconds)} ms"


def _two_digits(number: float) -> str:
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
