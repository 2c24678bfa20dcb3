"""Peak memory of a run, estimated before anything is allocated."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from w2v_exp.choices import GROUPS
from w2v_exp.errors import SettingError
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.counts import PairCounter, PairCounts
from w2v_exp.examples.sampling import TextPart
from w2v_exp.examples.statistics import ExamplesMemory, PairStatistics
from w2v_exp.experiment.building import SAMPLING, child_generator, pair_statistics
from w2v_exp.machine import readable_bytes, require_memory
from w2v_exp.model.parameters import Parameters
from w2v_exp.plan import Plan
from w2v_exp.training.steps import step_memory

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
    """

    examples: int
    parameters: int
    optimizer: int
    step: int
    peak_build: int

    @property
    def total(self) -> int:
        """The peak."""
        return max(self.peak_build, self.examples + self.parameters + self.optimizer + self.step)


def estimate_run(
    plan: Plan,
    text: TextPart,
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
    parameters = Parameters.memory(vocabulary_size, plan.dim, plan.dtype)
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
        peak_build=max(examples.peak_build, examples.resident + parameters + drawing),
    )
    if not plan.epochs:
        estimate = replace(estimate, step=0)
    elif plan.workers > 1:
        estimate = _with_workers(estimate, plan.workers)
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


def _with_factors(
    plan: Plan, examples: ExamplesMemory, text: TextPart, vocabulary_size: int
) -> ExamplesMemory:
    """Return the memory of examples and of factors of the pair counts."""
    labels = plan.labels if plan.labels.counts_pairs else CountsRule()
    statistics = labels.statistics(text, vocabulary_size, plan, child_generator(plan, SAMPLING))
    distinct = int(statistics.distinct_by_centre.sum())
    counting = counts = 0
    if not plan.labels.counts_pairs:  # else the examples are these counts
        counting, counts = PairCounter.memory(statistics), PairCounts.memory(distinct, vocabulary_size)
    factorising = counts + plan.initialization.memory(distinct, vocabulary_size, plan.dim, plan.dtype)
    factors = Parameters.memory(vocabulary_size, plan.dim, plan.dtype)
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
    plan: Plan, text: TextPart, vocabulary_size: int, pretrained: int = 0
) -> dict[str, MemoryEstimate]:
    """Return the memory of a run with each of `plans_by_encoding`."""
    return {
        encoding: estimate_run(changed, text, vocabulary_size, pretrained)
        for encoding, changed in plans_by_encoding(plan).items()
    }


def require_fit(
    plan: Plan, text: TextPart, vocabulary_size: int, estimate: MemoryEstimate, pretrained: int = 0
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
