"""What the label encodings need of memory for a run, before anything is allocated; whether that fits."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from w2v_exp.choices import GROUPS
from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.blocks import BlockExamples, BlockRule
from w2v_exp.examples.cbow import CbowExamples, StreamedCbow
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounter, PairCounts
from w2v_exp.examples.held_out import TextPart
from w2v_exp.examples.statistics import ExamplesMemory, PairStatistics
from w2v_exp.examples.streamed import StreamedExamples, StreamRule
from w2v_exp.experiment.building import pair_statistics
from w2v_exp.machine import readable_bytes, require_memory
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.negative_sampling import NegativeSampling, NoiseDistribution
from w2v_exp.model.parameters import Cbow, Parameters
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.model.tree_counts import TreeCountExamples
from w2v_exp.plan import Plan
from w2v_exp.training.memory_estimate import MemoryEstimate, estimate_memory
from w2v_exp.training.steps import BlockSteps, Steps

WORKER_BYTES = 100_000_000  # of a process that has not trained yet: Python, NumPy and what they have loaded


def estimate_run(
    plan: Plan,
    text: TextPart,
    vocabulary_size: int,
    origin: int = 0,
    statistics: PairStatistics | None = None,
) -> MemoryEstimate:
    """Return what a run on a text will need at its peak.

    What it goes on from takes `origin` bytes (see `Origin.memory`), and stays. A survey of the pairs is made, unless
    it is given.
    """
    sampled = isinstance(plan.objective, NegativeSampling)
    labels, statistics = plan.labels, statistics or pair_statistics(plan, text, vocabulary_size)
    if isinstance(labels, CountsRule):
        if isinstance(plan.objective, HierarchicalSoftmax):
            examples = TreeCountExamples.memory(statistics, labels, order=plan.order, dtype=plan.dtype)
        else:
            examples = CountedExamples.memory(statistics, labels, order=plan.order)
    elif isinstance(labels, StreamRule):
        streamed = StreamedCbow if isinstance(plan.model, Cbow) else StreamedExamples
        examples = streamed.memory(statistics, labels, batch_size=plan.batch_size, order=plan.order)
    elif isinstance(labels, BlockRule):
        examples = BlockExamples.memory(statistics, labels, cbow=isinstance(plan.model, Cbow))
    elif isinstance(plan.model, Cbow):
        examples = CbowExamples.memory(
            statistics, labels=labels.encoding, batch_size=plan.batch_size, dtype=plan.dtype
        )
    else:
        examples = Examples.memory(
            statistics, labels=labels.encoding, batch_size=plan.batch_size, order=plan.order, dtype=plan.dtype
        )
    if isinstance(plan.initialization, SpectralInitialization):
        examples = _with_factors(plan, examples, text, vocabulary_size)
    estimate = estimate_memory(
        examples,
        vocabulary_size,
        plan.dim,
        plan.dtype,
        optimizer=plan.optimizer,
        step=_step_memory(plan, examples, vocabulary_size),
        objective=NoiseDistribution.memory(vocabulary_size) if sampled else 0,
    )
    if not plan.epochs:
        estimate = replace(estimate, step=0)
    elif plan.workers > 1:
        estimate = _with_workers(estimate, plan.workers)
    return replace(estimate, examples=estimate.examples + origin, peak_build=estimate.peak_build + origin)


def _with_workers(estimate: MemoryEstimate, workers: int) -> MemoryEstimate:
    """Return what is needed where steps are taken in processes of their own, which share the parameters alone."""
    return replace(
        estimate,
        examples=(1 + workers) * estimate.examples,
        step=workers * (estimate.step + WORKER_BYTES),
        peak_build=estimate.peak_build
        + estimate.parameters,  # drawn, and then copied to where they are shared
    )


def _step_memory(plan: Plan, examples: ExamplesMemory, vocabulary_size: int) -> int:
    """Return what the largest step of a plan takes."""
    if isinstance(plan.objective, NegativeSampling) and examples.batch.block:
        return BlockSteps.memory(examples.batch, vocabulary_size, plan.dim, plan.dtype, plan.objective)
    threads = 1 if isinstance(plan.objective, NegativeSampling) else plan.threads
    return Steps.memory(
        examples.batch, vocabulary_size, plan.dim, plan.dtype, plan.optimizer, threads, plan.objective
    )


def _with_factors(
    plan: Plan, examples: ExamplesMemory, text: TextPart, vocabulary_size: int
) -> ExamplesMemory:
    """Return what examples need where factors of the text's pair counts stay with them to start from."""
    counting = 0
    rule = plan.labels if isinstance(plan.labels, CountsRule) else CountsRule()
    statistics = pair_statistics(replace(plan, labels=rule), text, vocabulary_size)
    distinct = int(statistics.distinct_by_centre.sum())
    counts = 0
    if not isinstance(plan.labels, CountsRule):  # else the examples are these counts
        counting, counts = PairCounter.memory(statistics), PairCounts.memory(distinct, vocabulary_size)
    factorising = counts + SpectralInitialization.memory(distinct, vocabulary_size, plan.dim, plan.dtype)
    factors = Parameters.memory(vocabulary_size, plan.dim, plan.dtype)
    making = max(examples.peak_build, examples.resident + max(counting, factorising))
    return replace(examples, resident=examples.resident + factors, peak_build=making)


def plans_by_encoding(plan: Plan) -> dict[str, Plan]:
    """Return a plan with each label encoding, its own with its settings; without those that the rest of it excludes."""
    plans = {}
    for encoding, made in GROUPS["labels"].items():
        with suppress(SettingError):
            plans[encoding] = plan if isinstance(plan.labels, made) else replace(plan, labels=made())
    return plans


def estimate_encodings(
    plan: Plan, text: TextPart, vocabulary_size: int, origin: int = 0
) -> dict[str, MemoryEstimate]:
    """Return what each label encoding would need, the plan's own with its settings, if all else stays as it is.

    An encoding that the rest of the plan excludes is left out.
    """
    return {
        encoding: estimate_run(changed, text, vocabulary_size, origin)
        for encoding, changed in plans_by_encoding(plan).items()
    }


def require_fit(
    plan: Plan, text: TextPart, vocabulary_size: int, estimate: MemoryEstimate, origin: int = 0
) -> None:
    """Refuse a run that needs more memory than there is, before anything is allocated.

    Of the estimate, the `origin` bytes of what the run goes on from are there already.

    Raises
    ------
    NotEnoughMemoryError
        In two lines: what it needs and what there is; which label encodings fit, with what they need.
    """

    def advice(available: int) -> str:
        totals = {
            f"labels={encoding}": other.total - origin
            for encoding, other in estimate_encodings(plan, text, vocabulary_size, origin).items()
        }
        fitting = [
            f"{name} ({readable_bytes(total)})" for name, total in totals.items() if total <= available
        ]
        if fitting:
            return f"What fits: {', '.join(fitting)}."
        least = min(totals, key=lambda name: totals[name])
        return (
            f"No label encoding fits; the least needs {readable_bytes(totals[least])} ({least}). "
            "A smaller dim, batch_size or vocabulary.max_size needs less, and so does dtype=float32."
        )

    require_memory(estimate.total - origin, f"labels={plan.encoding} with {vocabulary_size:,} words", advice)
