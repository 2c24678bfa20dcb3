"""The parts of a run, built from its plan: text parts, examples, cost samples, initialization, trainer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import cast, overload

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.counted_text import CountedStatistics, CountedText
from w2v_exp.examples.held_out import CostSample, sample_text
from w2v_exp.examples.pairs import count_ids
from w2v_exp.examples.sampling import TextPart, keep_probabilities
from w2v_exp.examples.statistics import PairStatistics
from w2v_exp.model.objective import Objective
from w2v_exp.model.parameters import GivenInitialization, Initialization, Parameters
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText
from w2v_exp.training.hogwild import HogwildTrainer, SharedArray
from w2v_exp.training.trainer import Trainer

# Everything random before training has a child of the run's generator, so that it does not change the training.
SAMPLING, VALIDATION, FACTORS, COSTS = range(4)


def child_generator(plan: Plan, number: int) -> np.random.Generator:
    """Return child `number` of the run's generator."""
    return np.random.default_rng(plan.seed).spawn(number + 1)[number]


@overload
def split_text(plan: Plan, text: EncodedText) -> tuple[TextPart, TextPart | None]: ...
@overload
def split_text(
    plan: Plan, text: EncodedText | CountedText
) -> tuple[TextPart | CountedText, TextPart | None]: ...
def split_text(plan: Plan, text: EncodedText | CountedText) -> tuple[TextPart | CountedText, TextPart | None]:
    """Return the training part of a text, and its held-out part or None.

    A counted text is its own training part.

    Raises
    ------
    SettingError
        If one of them would have no pair.
    """
    if isinstance(text, CountedText):
        return text, None
    segments = text.segments if len(text.segments) > 2 else None  # None is faster
    whole = TextPart(text.ids, segments, text.documents)
    if not plan.validation.share:
        return whole, None
    try:
        return plan.validation.split(whole, child_generator(plan, VALIDATION), plan.cache_folder)
    except SettingError as error:
        raise error.within("validation") from None


def pair_statistics(plan: Plan, text: TextPart | CountedText, vocabulary_size: int) -> PairStatistics:
    """Return statistics of the pairs of `build_examples`, exact ones of a counted text."""
    if isinstance(text, CountedText):
        return CountedStatistics(text, plan.window)
    return plan.labels.statistics(text, vocabulary_size, plan, child_generator(plan, SAMPLING))


def build_examples(
    plan: Plan,
    ids: NDArray[np.int32],
    vocabulary_size: int,
    segments: NDArray[np.int64] | None = None,
    share: tuple[int, int] = (0, 1),
) -> TrainingExamples:
    """Return the training examples of a text.

    Of blocks, only the share (number, of) of one worker.
    """
    text, generator = TextPart(ids, segments), child_generator(plan, SAMPLING)
    return plan.labels.examples(text, vocabulary_size, plan, generator, share)


def training_examples(plan: Plan, text: TextPart | CountedText, vocabulary_size: int) -> TrainingExamples:
    """Return the training examples of a text or of its counts."""
    if isinstance(text, CountedText):
        return counting_rule(plan).counted_examples(text.counts, plan)
    return build_examples(plan, text.ids, vocabulary_size, text.segments)


def counting_rule(plan: Plan) -> CountsRule:
    """Return the label encoding of a plan that trains on counts."""
    return cast(CountsRule, plan.labels)


def word_counts(text: TextPart | CountedText, vocabulary_size: int) -> NDArray[np.int64]:
    """Return the frequency of each word in a training part."""
    return text.vocabulary.counts if isinstance(text, CountedText) else count_ids(text.ids, vocabulary_size)


def held_out_sample(plan: Plan, held_out: TextPart, vocabulary_size: int) -> CostSample:
    """Return all examples of the held-out part, with windows as in training."""
    generator = child_generator(plan, VALIDATION)
    sample: CostSample = plan.model.cost_sample(held_out, vocabulary_size, plan, generator)
    if not sample.counts.total:  # the part has pairs, but none with one of the most frequent words as centre
        raise SettingError(
            "validation.share", plan.validation.share, "holds out no pair. Use a larger labels.centre_words."
        )
    return sample


def build_cost_sample(plan: Plan, text: TextPart, vocabulary_size: int) -> CostSample:
    """Return the sample of a text's examples on which the full softmax's cost is estimated."""
    generator = child_generator(plan, COSTS)
    keep = keep_probabilities(plan.subsampling, text.ids, vocabulary_size)
    part = sample_text(text, plan.cost_sample, generator)
    sample: CostSample = plan.model.cost_sample(part, vocabulary_size, plan, generator, keep)
    return replace(sample, share=len(part.ids) / len(text.ids))


def build_initialization(
    plan: Plan,
    examples: TrainingExamples,
    text: TextPart | CountedText,
    pretrained: Initialization | None = None,
) -> Initialization:
    """Return the initialization of a run.

    It is pretrained vectors, factors of pair counts, or the plan's choice.
    """
    if pretrained is not None:
        return pretrained
    if not plan.initialization.needs_counts:
        chosen: Initialization = plan.initialization
        return chosen
    counts = examples.counts
    if counts is None:
        assert isinstance(text, TextPart)
        generator = child_generator(plan, SAMPLING)
        counts = CountsRule().count_text(text, examples.vocabulary_size, plan, generator)
    factors = plan.initialization.factorise(counts, plan.dim, child_generator(plan, FACTORS), plan.dtype)
    return GivenInitialization(factors)


def build_trainer(
    plan: Plan,
    examples: TrainingExamples,
    initialization: Initialization,
    word_counts: NDArray[np.int64] | None = None,
    text: TextPart | CountedText | None = None,
) -> Trainer:
    """Return a trainer with new parameters, the same at every call.

    Parameters
    ----------
    plan : Plan
        Settings of the training.
    examples : TrainingExamples
        Of the text.
    initialization : Initialization
        As `build_initialization` returns it.
    word_counts : ndarray of int64, shape (V,), optional
        Frequencies of the text's words, for the noise of negative sampling.
    text : TextPart, optional
        For workers, which build their own examples; None: train in this process.
    """
    generator = np.random.default_rng(plan.seed)
    drawn = initialization(examples.vocabulary_size, plan.dim, generator, plan.dtype)
    drawn = drawn.of_centres(examples.centre_words)
    objective = plan.objective.bind(examples, word_counts, generator)
    parameters = objective.initial_parameters(drawn, examples, of_words=plan.initialization.of_words)
    if plan.workers == 1 or not isinstance(text, TextPart):
        return _local_trainer(plan, examples, parameters, objective, generator)
    segments = None if text.segments is None else SharedArray(text.segments)
    return HogwildTrainer(
        partial(_worker_trainer, plan, SharedText(SharedArray(text.ids), segments), word_counts),
        examples,
        parameters,
        workers=plan.workers,
        threads=plan.threads,
        objective=objective,
        schedule=plan.schedule,
        epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        generator=generator,
    )


def _local_trainer(
    plan: Plan,
    examples: TrainingExamples,
    parameters: Parameters,
    objective: Objective,
    generator: np.random.Generator,
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
        threads=plan.step_threads,
    )


@dataclass(frozen=True)
class SharedText:
    """A text part in memory that worker processes share."""

    ids: SharedArray
    segments: SharedArray | None


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
    return _local_trainer(plan, examples, parameters, objective, generator)
