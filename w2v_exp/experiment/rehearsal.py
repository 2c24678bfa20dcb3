"""A rehearsal of a run: what it trains on and starts from, and what these and the first steps need of memory."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from w2v_exp.errors import CorpusError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.pairs import count_ids
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.build import build_examples, build_initialization, build_trainer
from w2v_exp.experiment.estimate import within_stop, workers_speed_up
from w2v_exp.machine import PeakMemory
from w2v_exp.model.parameters import Initialization
from w2v_exp.plan import Plan

REHEARSED_STEPS = 3
SHORTEST_STEP = 0.005  # seconds; tracemalloc adds up to a fifth of a millisecond to a step
_FEW_IDS = TextPart(np.array([0, 1, 0, 1], np.int32))


class Rehearsal(NamedTuple):
    """What a run has after its rehearsal.

    Parameters
    ----------
    examples : TrainingExamples
        What it trains on.
    initialization : Initialization
        What makes its parameters; the same ones as in the rehearsal.
    peak_megabytes : float
        The most that examples, parameters and the first steps have had allocated at once.
    seconds : float or None
        The time that all epochs will take at the pace of the fastest of these steps. None where steps are so short that
        measuring their memory is most of it.
    """

    examples: TrainingExamples
    initialization: Initialization
    peak_megabytes: float
    seconds: float | None


def rehearse(
    plan: Plan, text: TextPart, vocabulary_size: int, pretrained: Initialization | None = None
) -> Rehearsal:
    """Rehearse the run of a plan on a text, because measuring memory slows training down.

    `pretrained` is the initialization from saved embeddings, if the plan has one.
    """
    # What is loaded on first use is not this run's memory. (Sampling may leave nothing of so few words.)
    with suppress(CorpusError):
        _prepare(plan, _FEW_IDS, 2, pretrained)
    with PeakMemory() as peak:
        examples, initialization, seconds = _prepare(plan, text, vocabulary_size, pretrained)
    return Rehearsal(examples, initialization, peak.megabytes, _training_seconds(plan, examples, seconds))


def _prepare(
    plan: Plan, text: TextPart, vocabulary_size: int, pretrained: Initialization | None
) -> tuple[TrainingExamples, Initialization, float]:
    """Build the examples and the initialization, and take the first few steps with a trainer to be thrown away.

    The third value is the time of the fastest of these steps.
    """
    examples = build_examples(plan, text.ids, vocabulary_size, text.segments)
    initialization = build_initialization(plan, examples, text, pretrained)
    word_counts = count_ids(text.ids, vocabulary_size)
    trainer = build_trainer(plan, examples, initialization, word_counts=word_counts)
    seconds = trainer.dry_run(REHEARSED_STEPS) if plan.epochs else 0.0
    return examples, initialization, seconds


def _training_seconds(plan: Plan, examples: TrainingExamples, step: float) -> float | None:
    """Return the time of all epochs at so many seconds a step, if these are long enough to be told by them."""
    if not SHORTEST_STEP <= step < math.inf:
        return None
    seconds = plan.epochs * examples.batches_per_epoch * step / workers_speed_up(plan)
    return within_stop(plan, seconds)
