"""What the label encodings need of memory for a run, before anything is allocated; whether that fits."""

from __future__ import annotations

from dataclasses import replace

from w2v_exp.config import GROUPS, Plan
from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.held_out import TextPart
from w2v_exp.examples.streamed import StreamedExamples, StreamRule
from w2v_exp.experiment.building import survey_pairs
from w2v_exp.training.memory_estimate import MemoryEstimate, estimate_memory

ENCODINGS = tuple(GROUPS["labels"])


def estimate_run(plan: Plan, text: TextPart, vocabulary_size: int) -> MemoryEstimate:
    """Return what a run on a text will need at its peak."""
    labels, survey = plan.labels, survey_pairs(plan, text, vocabulary_size)
    if isinstance(labels, CountsRule):
        examples = CountedExamples.memory(survey, labels, order=plan.order)
    elif isinstance(labels, StreamRule):
        examples = StreamedExamples.memory(survey, labels, batch_size=plan.batch_size, order=plan.order)
    else:
        examples = Examples.memory(
            survey, labels=labels.encoding, batch_size=plan.batch_size, order=plan.order, dtype=plan.dtype
        )
    return estimate_memory(
        examples, vocabulary_size, plan.dim, plan.dtype, optimizer=plan.optimizer, threads=plan.threads
    )


def estimate_encodings(plan: Plan, text: TextPart, vocabulary_size: int) -> dict[str, MemoryEstimate]:
    """Return what each label encoding would need, the plan's own with its settings, if all else stays as it is.

    An encoding that the rest of the plan excludes is left out.
    """
    estimates = {}
    for encoding, made in GROUPS["labels"].items():
        try:
            changed = plan if isinstance(plan.labels, made) else replace(plan, labels=made())
        except SettingError:
            continue
        estimates[encoding] = estimate_run(changed, text, vocabulary_size)
    return estimates
