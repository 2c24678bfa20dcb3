"""What a plan trains: its examples, and a trainer for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2v_exp.config import Plan
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.drawing import TextDraw
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.subsampling import keep_probabilities
from w2v_exp.model.parameters import Parameters
from w2v_exp.training.observers import Observer
from w2v_exp.training.trainer import Trainer


def build_examples(plan: Plan, ids: NDArray[np.int32], vocabulary_size: int) -> Examples | CountedExamples:
    """Return the examples that a plan makes of a text."""
    # A child of the run's generator, so that what is drawn here does not change what training draws.
    (generator,) = np.random.default_rng(plan.seed).spawn(1)
    if isinstance(plan.labels, CountsRule):
        counts = plan.labels.count(
            ids,
            plan.window,
            vocabulary_size,
            generator,
            subsampling=plan.subsampling,
            shrinking_window=plan.shrinking_window,
        )
        return CountedExamples(counts, plan.labels, order=plan.order, dtype=plan.dtype)
    drawn = TextDraw(
        ids,
        plan.window,
        generator,
        keep=keep_probabilities(plan.subsampling, ids, vocabulary_size),
        shrinking_window=plan.shrinking_window,
    ).whole()
    return Examples(
        window_pairs(drawn.ids, drawn.window, vocabulary_size, drawn.passages),
        labels=plan.labels.encoding,
        batch_size=plan.batch_size,
        order=plan.order,
        dtype=plan.dtype,
    )


def build_trainer(
    plan: Plan, examples: Examples | CountedExamples, observers: Sequence[Observer] = ()
) -> Trainer:
    """Return a trainer with new parameters; the same ones whenever it is asked."""
    generator = np.random.default_rng(plan.seed)
    drawn = plan.initialization(examples.pairs.vocabulary_size, plan.dim, generator, plan.dtype)
    offset = None
    if plan.objective.output_offset != "none":
        offset = plan.objective.initial_offset(examples.context_shares, plan.dtype)
    return Trainer(
        examples,
        Parameters(drawn.embedding, drawn.output, offset),
        objective=plan.objective,
        optimizer=plan.optimizer,
        schedule=plan.schedule,
        epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        generator=generator,
        observers=observers,
    )
