"""What is known of a run before anything is allocated."""

from __future__ import annotations

from w2v_exp.examples.pairs import count_pairs, effective_window
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.estimate import MemoryEstimate
from w2v_exp.experiment.inputs import Pretrained
from w2v_exp.machine import MEGABYTE, available_memory
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText


def metrics_beforehand(
    plan: Plan,
    text: EncodedText,
    training: TextPart,
    pretrained: Pretrained,
    estimate: MemoryEstimate,
    seconds: float,
) -> dict[str, float]:
    """Return sizes of the text and its blocks, the run's needs of memory and time, and the available memory.

    Parameters
    ----------
    plan : Plan
        What is to be done.
    text, training : EncodedText, TextPart
        The text, and the part of it that is trained on.
    pretrained : Pretrained
        The embeddings that the run goes on from.
    estimate : MemoryEstimate
        Of the run.
    seconds : float
        That training will take.
    """
    metrics = {
        "estimated_memory_mb": estimate.total / MEGABYTE,
        "pairs": count_pairs(len(training.ids), plan.window, training.segments),
        "tokens": text.tokens,
        "vocabulary_size": len(text.vocabulary),
    } | pretrained.metrics(text.vocabulary)
    if plan.epochs:
        metrics["estimated_seconds"] = seconds
    window = effective_window(plan.window, len(training.ids), training.segments)
    if (tokens := plan.labels.block_tokens(len(training.ids), window)) is not None:
        metrics["block_tokens"] = tokens
    if (available := available_memory()) is not None:
        metrics["memory_available_mb"] = available / MEGABYTE
    return metrics
