"""The trainer of a plan: in this process, or with workers in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.blocks import BlockExamples
from w2v_exp.examples.held_out import TextPart
from w2v_exp.experiment.building import build_examples
from w2v_exp.model.negative_sampling import NegativeSampling, NoiseDistribution, SampledObjective
from w2v_exp.model.objective import Objective
from w2v_exp.model.parameters import Cbow, Initialization, Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.plan import Plan
from w2v_exp.training.hogwild import HogwildTrainer, SharedArray
from w2v_exp.training.steps import BlockSteps
from w2v_exp.training.trainer import Callback, Trainer


def build_trainer(
    plan: Plan,
    examples: TrainingExamples,
    initialization: Initialization,
    callbacks: Sequence[Callback] = (),
    word_counts: NDArray[np.int64] | None = None,
    text: TextPart | None = None,
) -> Trainer:
    """Return a trainer with new parameters; the same ones whenever it is asked.

    How often words occur in the text, (V,), is what the noise of negative sampling is made of; others do without. The
    text itself is for workers, who make examples of their own; without it there are none.
    """
    generator = np.random.default_rng(plan.seed)
    drawn = initialization(examples.vocabulary_size, plan.dim, generator, plan.dtype)
    output = drawn.output[: plan.objective.output_rows(examples.vocabulary_size)]
    offset = None
    if isinstance(plan.objective, Softmax):
        offset = plan.objective.initial_offset(examples.context_shares, plan.dtype)
    parameters = Parameters(drawn.embedding, output, offset)
    if plan.workers == 1 or text is None:
        return _trainer(plan, examples, parameters, word_counts, generator, callbacks)
    return HogwildTrainer(
        partial(_worker_trainer, plan, SharedText.of(text), word_counts),
        examples,
        parameters,
        workers=plan.workers,
        threads=plan.threads,
        objective=_objective(plan, examples, word_counts, generator),
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
    word_counts: NDArray[np.int64] | None,
    generator: np.random.Generator,
    callbacks: Sequence[Callback] = (),
) -> Trainer:
    objective = _objective(plan, examples, word_counts, generator)
    return Trainer(
        examples,
        parameters,
        objective=objective,
        optimizer=plan.optimizer,
        steps=_block_steps(examples, objective, parameters),
        schedule=plan.schedule,
        epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        generator=generator,
        callbacks=callbacks,
        # What is drawn for a batch must not depend on which thread draws first.
        threads=1 if isinstance(plan.objective, NegativeSampling) else plan.threads,
    )


@dataclass(frozen=True)
class SharedText:
    """A part of a text, as it goes to other processes."""

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
    """Return what one worker of several trains with: its share of the text, and a generator of its own."""
    segments = None if text.segments is None else text.segments.array()
    share = number, of
    examples = build_examples(plan, text.ids.array(), len(parameters.embedding), segments, share)
    return _trainer(plan, examples, parameters, word_counts, generator)


def _objective(
    plan: Plan,
    examples: TrainingExamples,
    word_counts: NDArray[np.int64] | None,
    generator: np.random.Generator,
) -> Objective:
    """Return the plan's objective, with what it needs of a text."""
    if not isinstance(plan.objective, NegativeSampling):
        return plan.objective.bind(examples)
    if word_counts is None:
        raise ValueError("Negative sampling needs word counts to make its noise of.")
    noise = NoiseDistribution(word_counts, plan.objective.exponent)
    if not isinstance(examples, BlockExamples):
        return SampledObjective(plan.objective, noise, generator)
    context = plan.model.context if isinstance(plan.model, Cbow) else None
    rule = plan.objective.in_blocks(examples.tokens)
    return SampledObjective(rule, noise, generator, examples.window, context)


def _block_steps(
    examples: TrainingExamples, objective: Objective, parameters: Parameters
) -> BlockSteps | None:
    """Return what takes steps on blocks, if the plan has them."""
    if not isinstance(examples, BlockExamples) or not isinstance(objective, SampledObjective):
        return None
    return BlockSteps(objective, parameters, examples.tokens)
