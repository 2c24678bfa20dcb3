"""Training time of a run, estimated, and faster alternatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from omegaconf import OmegaConf

from w2v_exp.errors import SettingError
from w2v_exp.examples.blocks import BlockRule
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.pairs import count_ids
from w2v_exp.examples.sampling import TextPart
from w2v_exp.examples.statistics import PairStatistics
from w2v_exp.experiment.building import pair_statistics
from w2v_exp.machine import Rates, Work, available_cores, measure_rates
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.plan import Plan, make_plan
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.training.steps import SMALLEST_PART, step_work

EVERYDAY = 1.2  # factor to the time at the measured rates, which are the best ones of an idle machine
LONG = 3600  # seconds, above which a run prints faster alternatives
FASTER = 2 / 3  # largest share of the time for an alternative to be named
NAMED = 4  # most alternatives that are named
FOR_FILES = "file_softmax"  # the experiment for large files
PARALLEL_EFFICIENCY = 0.7  # of several cores
LARGER_BATCH = 8192  # pairs
FEW_EPOCHS = 20


def estimate_seconds(plan: Plan, statistics: PairStatistics, rates: Rates | None = None) -> float:
    """Return the expected seconds of all epochs of a plan.

    Within a factor of 2 on an idle machine, mostly within a third. Measurements beside training are not included.

    Parameters
    ----------
    plan : Plan
        Settings of the run.
    statistics : PairStatistics
        Of the text's pairs, as `pair_statistics` returns them for this plan.
    rates : Rates, optional
        Of the machine; None: they are measured.
    """
    steps, work = epoch_work(plan, statistics)
    rates = rates or measure_rates(plan.dtype, plan.dim)
    seconds = plan.epochs * steps * EVERYDAY * work.seconds(rates) / _speed_up(plan, statistics)
    return within_stop(plan, seconds)


def epoch_work(plan: Plan, statistics: PairStatistics) -> tuple[int, Work]:
    """Return the steps of an epoch of a plan, and the mean operations of one."""
    steps, batch, building = plan.labels.epoch(statistics, plan)
    work = step_work(batch, statistics.vocabulary_size, plan.dim, plan.optimizer, plan.objective)
    return steps, work + building


def _speed_up(plan: Plan, statistics: PairStatistics) -> float:
    """Return the speed of a plan's threads or workers relative to one core."""
    if plan.workers > 1:
        return workers_speed_up(plan)
    scores = 0
    if plan.objective.gains_from_threads:
        scores = min(plan.labels.step_size(plan), statistics.vocabulary_size) * statistics.vocabulary_size
    threads = plan.threads if scores >= plan.threads * SMALLEST_PART else 1
    return max(1.0, PARALLEL_EFFICIENCY * min(threads, available_cores()))


def within_stop(plan: Plan, seconds: float) -> float:
    """Return the time of all epochs, or of ``stop.minutes`` if that is less."""
    return seconds if plan.stop.minutes is None else min(seconds, 60 * plan.stop.minutes)


def workers_speed_up(plan: Plan) -> float:
    """Return the speed of a plan's workers relative to one process."""
    return max(1.0, PARALLEL_EFFICIENCY * min(plan.workers, available_cores()))


@dataclass(frozen=True)
class Alternative:
    """A faster run: its additional overrides, and its seconds."""

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
    """Return alternatives that are much faster, the fastest first.

    They take at most `FASTER` of `seconds`.

    Alternatives that the rest of the plan excludes are skipped.
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
    """Return the words of a text that a plan keeps, and their number."""
    counts = count_ids(text.ids, vocabulary_size)
    size = int(np.count_nonzero(counts >= plan.vocabulary.min_count))
    size = max(2, min(size, plan.vocabulary.max_size or size))
    kept = text.ids < size  # ids are by falling count
    segments = None if text.segments is None else np.concatenate([[0], np.cumsum(kept)])[text.segments]
    return TextPart(text.ids[kept], segments), size


def long_run_warning(seconds: float, alternatives: list[Alternative]) -> str:
    """Return the warning of a run of more than an hour; empty for others."""
    if seconds <= LONG:
        return ""
    named = [f"{other.overrides} ({readable_seconds(other.seconds)})" for other in alternatives[:NAMED]]
    faster = f" Faster: {'; '.join(named)}." if named else " Fewer epochs or a smaller vocabulary take less."
    return f"Training will take about {readable_seconds(seconds)}.{faster}"


def readable_seconds(seconds: float) -> str:
    """Return a time with two digits, in the largest unit that it fills.

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
