"""The trainer of a plan: in this process, or with workers in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.sampling import TextPart
from w2v_exp.experiment.building import build_examples
from w2v_exp.model.objective import Objective
from w2v_exp.model.parameters import Initialization, Parameters
from w2v_exp.plan import Plan
from w2v_exp.training.hogwild import HogwildTrainer, SharedArray
from w2v_exp.training.trainer import Callback, Trainer


def build_trainer(
    plan: Plan,
    examples: TrainingExamples,
    initialization: Initialization,
    callbacks: Sequence[Callback] = (),
    word_counts: NDArray[np.int64] | None = None,
    text: TextPart | None = None,
) -> Trainer:
    """Return a trainer with new parameters, the same ones at every call.

    Parameters
    ----------
    plan : Plan
        Settings of the training.
    examples : TrainingExamples
        Of the text.
    initialization : Initialization
        As `build_initialization` returns it.
    callbacks : sequence of Callback
        Of the trainer.
    word_counts : ndarray of int64, shape (V,), optional
        Frequencies of the text's words, for the noise of negative sampling.
    text : TextPart, optional
        For workers, which build examples of their own; None: no workers.
    """
    generator = np.random.default_rng(plan.seed)
    drawn = initialization(examples.vocabulary_size, plan.dim, generator, plan.dtype)
    objective = plan.objective.bind(examples, word_counts, generator)
    parameters = objective.initial_parameters(drawn, examples, of_words=plan.initialization.of_words)
    if plan.workers == 1 or text is None:
        return _trainer(plan, examples, parameters, objective, generator, callbacks)
    return HogwildTrainer(
        partial(_worker_trainer, plan, SharedText.of(text), word_counts),
        examples,
        parameters,
        workers=plan.workers,
        threads=plan.threads,
        objective=objective,
        schedule=plan.schedule,
        epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        generator=generator,
        callbacks=callbacks,
    )


def _trainer(
    plan: Plan,
    examples: TrainingExamples,
    parameters: Parameters,
    objective: Objective,
    generator: np.random.Generator,
    callbacks: Sequence[Callback] = (),
) -> Trainer:
    return Trainer(
        examples,
        parameters,
        objective=objective,
        optimizer=plan.optimizer,
        schedule=plan.schedule,
        epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        generator=generator,
        callbacks=callbacks,
        threads=plan.step_threads,
    )


@dataclass(frozen=True)
class SharedText:
    """A part of a text in memory that worker processes share."""

    ids: SharedArray
    segments: SharedArray | None

    @classmethod
    def of(cls, text: TextPart) -> SharedText:
        """Share a part of a text."""
        return cls(SharedArray(text.ids), None if text.segments is None else SharedArray(text.segments))


def _worker_trainer(
    plan: Plan,
    text: SharedText,
    word_counts: NDArray[np.int64] | None,
    parameters: Parameters,
    number: int,
    of: int,
    generator: np.random.Generator,
) -> Trainer:
    """Return the trainer of worker `number` of `of`, on its share of the text."""
    segments = None if text.segments is None else text.segments.array()
    examples = build_examples(plan, text.ids.array(), len(parameters.embedding), segments, (number, of))
    objective = plan.objective.bind(examples, word_counts, generator)
    return _trainer(plan, examples, parameters, objective, generator)
