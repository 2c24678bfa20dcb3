"""Memory and training time of a run, estimated before anything is allocated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from omegaconf import OmegaConf

from w2v_exp.choices import GROUPS
from w2v_exp.errors import SettingError
from w2v_exp.examples.blocks import BlockRule
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.counted_text import CountedText
from w2v_exp.examples.counts import PairCounter, PairCounts
from w2v_exp.examples.pairs import count_ids
from w2v_exp.examples.sampling import TextPart
from w2v_exp.examples.statistics import ExamplesMemory, PairStatistics
from w2v_exp.experiment.build import SAMPLING, child_generator, pair_statistics
from w2v_exp.machine import (
    Rates,
    Work,
    available_cores,
    measure_rates,
    readable_bytes,
    require_memory,
)
from w2v_exp.model.negative_sampling import NegativeSampling
from w2v_exp.model.parameters import Parameters
from w2v_exp.model.sampled_softmax import SampledSoftmax
from w2v_exp.model.softmax import Softmax
from w2v_exp.plan import Plan, make_plan
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.training.steps import SMALLEST_PART, step_memory, step_work

WORKER_BYTES = 100_000_000  # of a process that has not trained yet: Python, NumPy and other loaded modules


@dataclass(frozen=True)
class MemoryEstimate:
    """The memory of a run, in bytes.

    Parameters
    ----------
    examples, parameters, optimizer : int
        Resident during training: the examples, both matrices, and the optimizer's state.
    step : int
        Peak of temporary memory during the first steps.
    peak_build : int
        Peak before the first step, while examples and parameters are built.
    slices : int
        Temporary memory of embeddings of slices, after training.
    """

    examples: int
    parameters: int
    optimizer: int
    step: int
    peak_build: int
    slices: int = 0

    @property
    def total(self) -> int:
        """The peak."""
        resident = self.examples + self.parameters + self.optimizer
        return max(self.peak_build, resident + max(self.step, self.slices))


def estimate_run(
    plan: Plan,
    text: TextPart | CountedText,
    vocabulary_size: int,
    pretrained: int = 0,
    statistics: PairStatistics | None = None,
) -> MemoryEstimate:
    """Return the memory of a run on a text.

    Parameters
    ----------
    plan, text, vocabulary_size
        Of the run.
    pretrained : int
        Bytes of pretrained embeddings, which stay in memory.
    statistics : PairStatistics, optional
        As `pair_statistics` returns them; None: computed here.
    """
    statistics = statistics or pair_statistics(plan, text, vocabulary_size)
    examples = plan.labels.memory(statistics, plan)
    if plan.initialization.needs_counts:
        examples = _with_factors(plan, examples, text, vocabulary_size)
    centres = plan.labels.number_of_centres(vocabulary_size)
    parameters = Parameters.memory(centres, vocabulary_size, plan.dim, plan.dtype)
    drawn = Parameters.memory(vocabulary_size, vocabulary_size, plan.dim, plan.dtype)
    drawing = Parameters.drawing_memory(vocabulary_size, plan.dim)
    estimate = MemoryEstimate(
        examples=examples.resident + plan.objective.memory(vocabulary_size),
        parameters=parameters,
        optimizer=plan.optimizer.state_matrices * parameters,
        step=step_memory(
            examples.batch,
            vocabulary_size,
            plan.dim,
            plan.dtype,
            plan.optimizer,
            plan.step_threads,
            plan.objective,
        ),
        peak_build=max(examples.peak_build, examples.resident + drawn + drawing),
    )
    if not plan.epochs:
        estimate = replace(estimate, step=0)
    elif plan.workers > 1:
        estimate = _with_workers(estimate, plan.workers)
    if plan.bootstrap and isinstance(text, TextPart):
        estimate = _with_replicate(estimate, text)
    return replace(
        estimate, examples=estimate.examples + pretrained, peak_build=estimate.peak_build + pretrained
    )


def _with_workers(estimate: MemoryEstimate, workers: int) -> MemoryEstimate:
    """Return the memory of a run with workers that share the parameters."""
    return replace(
        estimate,
        examples=(1 + workers) * estimate.examples,
        step=workers * (estimate.step + WORKER_BYTES),
        peak_build=estimate.peak_build + estimate.parameters,  # drawn, and then copied into shared memory
    )


def _with_replicate(estimate: MemoryEstimate, text: TextPart) -> MemoryEstimate:
    """Return the memory of a run and one replicate: the text and all else once more, beside what the run has kept.

    The copy is as long as the text on average; the replicates of a hundred documents differ by a tenth.
    """
    kept = estimate.examples + estimate.parameters + estimate.optimizer
    copy = 0 if isinstance(text.ids, np.memmap) else text.ids.nbytes
    copy += 0 if text.segments is None else text.segments.nbytes
    return replace(estimate, peak_build=max(estimate.peak_build, kept + copy + estimate.total))


def _with_factors(
    plan: Plan, examples: ExamplesMemory, text: TextPart | CountedText, vocabulary_size: int
) -> ExamplesMemory:
    """Return the memory of examples and of factors of the pair counts."""
    if plan.labels.counts_pairs or not isinstance(text, TextPart):
        statistics = pair_statistics(plan, text, vocabulary_size)
    else:  # its checks may exclude counts
        statistics = CountsRule().statistics(text, vocabulary_size, plan, child_generator(plan, SAMPLING))
    distinct = int(statistics.distinct_by_centre.sum())
    counting = counts = 0
    if not plan.labels.counts_pairs:  # else the examples are these counts
        counting, counts = (
            PairCounter.memory(statistics),
            PairCounts.memory(distinct, statistics.centre_words),
        )
    factorising = counts + plan.initialization.memory(distinct, vocabulary_size, plan.dim, plan.dtype)
    factors = Parameters.memory(statistics.centre_words, vocabulary_size, plan.dim, plan.dtype)
    peak_build = max(examples.peak_build, examples.resident + max(counting, factorising))
    return replace(examples, resident=examples.resident + factors, peak_build=peak_build)


def plans_by_encoding(plan: Plan) -> dict[str, Plan]:
    """Return the plan with each label encoding that it allows.

    Its own encoding keeps its settings.
    """
    plans = {}
    for encoding, made in GROUPS["labels"].items():
        with suppress(SettingError):
            plans[encoding] = plan if encoding == plan.encoding else replace(plan, labels=made())
    return plans if plan.encoding in plans else {plan.encoding: plan} | plans


def estimate_encodings(
    plan: Plan, text: TextPart | CountedText, vocabulary_size: int, pretrained: int = 0
) -> dict[str, MemoryEstimate]:
    """Return the memory of a run with each of `plans_by_encoding`; of a counted text with its own encoding."""
    plans = {plan.encoding: plan} if isinstance(text, CountedText) else plans_by_encoding(plan)
    return {
        encoding: estimate_run(changed, text, vocabulary_size, pretrained)
        for encoding, changed in plans.items()
    }


def require_fit(
    plan: Plan,
    text: TextPart | CountedText,
    vocabulary_size: int,
    estimate: MemoryEstimate,
    pretrained: int = 0,
) -> None:
    """Raise an error for a run that does not fit the available memory.

    Of the estimate, the `pretrained` bytes of pretrained embeddings are already allocated.

    Raises
    ------
    NotEnoughMemoryError
        With the needed and the available memory, and the label encodings that fit, with their memory.
    """

    def advice(available: int) -> str:
        totals = {
            f"labels={encoding}": other.total - pretrained
            for encoding, other in estimate_encodings(plan, text, vocabulary_size, pretrained).items()
        }
        fitting = [
            f"{name} ({readable_bytes(total)})" for name, total in totals.items() if total <= available
        ]
        if fitting:
            return f"Encodings that fit: {', '.join(fitting)}."
        least = min(totals, key=lambda name: totals[name])
        return (
            f"No label encoding fits; the least needs {readable_bytes(totals[least])} ({least}). "
            "A smaller dim, batch_size or vocabulary.max_size needs less, and so does dtype=float32."
        )

    require_memory(
        estimate.total - pretrained, f"labels={plan.encoding} with {vocabulary_size:,} words", advice
    )


EVERYDAY = 1.2  # factor to the time at the measured rates, which are the best of an idle machine
# Measured on one core of an AMD EPYC of 2022 (Zen 4), with float64.
TYPICAL = Rates(
    products=2.6e-11,
    stacked_products=2.5e-11,
    exponentials=8.7e-10,
    passed=3.5e-10,
    gathered=2.7e-8,
    calls=2.9e-7,
)
MEASURED = 0.3  # seconds of training from which the rates of the machine are measured, which takes 0.03 s
LONG = 3600  # seconds of training, above which a run prints faster alternatives
FASTER = 2 / 3  # largest share of the time for an alternative to be named
NAMED = 4  # most alternatives that are named
FOR_FILES = "file_softmax"  # the experiment for large files
PARALLEL_EFFICIENCY = 0.7  # of several cores
LARGER_BATCH = 8192  # pairs
FEW_EPOCHS = 20


def estimate_seconds(plan: Plan, statistics: PairStatistics, rates: Rates | None = None) -> float:
    """Return the expected seconds of all epochs of a plan and its replicates, without measurements beside training.

    Within a factor of 2 on an idle machine, mostly within a third.

    Parameters
    ----------
    plan : Plan
        Settings of the run.
    statistics : PairStatistics
        Of the text's pairs, as `pair_statistics` returns them for this plan.
    rates : Rates, optional
        Of the machine; None: they are measured, unless training is so short that this would take a part of it.
    """
    steps, work = epoch_work(plan, statistics)
    factor = plan.epochs * steps * EVERYDAY / _speed_up(plan, statistics)
    if rates is None and factor * work.seconds(TYPICAL) > MEASURED:
        rates = measure_rates(plan.dtype, plan.dim)
    return with_replicates(plan, within_stop(plan, factor * work.seconds(rates or TYPICAL)))


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
        scores = min(plan.labels.step_size(plan), statistics.centre_words) * statistics.vocabulary_size
    threads = plan.threads if scores >= plan.threads * SMALLEST_PART else 1
    return max(1.0, PARALLEL_EFFICIENCY * min(threads, available_cores()))


def within_stop(plan: Plan, seconds: float) -> float:
    """Return the time of all epochs, or of ``stop.minutes`` if that is less."""
    return seconds if plan.stop.minutes is None else min(seconds, 60 * plan.stop.minutes)


def with_replicates(plan: Plan, seconds: float) -> float:
    """Return the time of a run with its replicates, from that of the run alone."""
    if not plan.epochs:
        return seconds
    epochs = plan.epochs if plan.bootstrap_epochs is None else plan.bootstrap_epochs
    return seconds * (1 + plan.bootstrap * epochs / plan.epochs)


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


def _with_samples(plan: Plan) -> Plan:
    exact = plan.objective
    if type(exact) is not Softmax:
        raise SettingError("objective", plan.option("objective"), "is not a full softmax.")
    sampled = SampledSoftmax(
        embedding_gradient=exact.embedding_gradient,
        output_offset=exact.output_offset,
        weight_decay=exact.weight_decay,
    )
    return replace(plan, objective=sampled)


ALTERNATIVES: Mapping[str, Callable[[Plan], Plan]] = {
    "objective=sampled_softmax": _with_samples,
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
    text: TextPart | CountedText,
    vocabulary_size: int,
    seconds: float,
    rates: Callable[[str, int], Rates] = measure_rates,
) -> list[Alternative]:
    """Return alternatives that take at most `FASTER` of `seconds`, the fastest first.

    Alternatives that the rest of the plan excludes are skipped, and those that a counted text cannot serve.
    """
    changes: dict[str, tuple[Plan, TextPart | CountedText, int]] = {}
    for overrides, change in ALTERNATIVES.items():
        with suppress(SettingError):
            changes[overrides] = change(plan), text, vocabulary_size
    if isinstance(text, CountedText):
        changes = {key: change for key, change in changes.items() if change[0].labels == plan.labels}
    elif isinstance(plan.corpus, FileCorpus):
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


def long_run_warning(plan: Plan, text: TextPart | CountedText, vocabulary_size: int, seconds: float) -> str:
    """Return the warning of a run of more than an hour, with faster alternatives; empty for others."""
    if seconds <= LONG:
        return ""
    return long_run_message(seconds, faster_alternatives(plan, text, vocabulary_size, seconds))


def long_run_message(seconds: float, alternatives: Sequence[Alternative]) -> str:
    """Return a line with the training time and the times of up to `NAMED` alternatives."""
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
