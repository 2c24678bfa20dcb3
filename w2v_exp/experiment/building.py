"""The parts of a run: text parts, examples, samples, initialization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.examples.counted import CountsRule
from w2v_exp.examples.held_out import CostSample, sample_text
from w2v_exp.examples.sampling import TextPart, keep_probabilities
from w2v_exp.examples.statistics import PairStatistics
from w2v_exp.model.parameters import GivenInitialization, Initialization
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText

# Whatever is drawn before training has a child of the run's generator, so that it does not change what training draws.
SAMPLING, VALIDATION, FACTORS, COSTS = range(4)


def split_text(plan: Plan, text: EncodedText) -> tuple[TextPart, TextPart | None]:
    """Return the training part of a text, and its held-out part or None.

    Raises
    ------
    SettingError
        If one of them would have no pair.
    """
    whole = TextPart(text.ids, text.segments if len(text.segments) > 2 else None)  # None is faster
    if not plan.validation.share:
        return whole, None
    try:
        return plan.validation.split(whole, child_generator(plan, VALIDATION), plan.cache_folder)
    except SettingError as error:
        raise error.within("validation") from None


def held_out_sample(plan: Plan, held_out: TextPart, vocabulary_size: int) -> CostSample:
    """Return all examples of the held-out part, their windows as in training."""
    generator = child_generator(plan, VALIDATION)
    sample: CostSample = plan.model.cost_sample(held_out, vocabulary_size, plan, generator)
    return sample


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


def pair_statistics(plan: Plan, text: TextPart, vocabulary_size: int) -> PairStatistics:
    """Return statistics of the pairs of `build_examples`."""
    return plan.labels.statistics(text, vocabulary_size, plan, child_generator(plan, SAMPLING))


def build_cost_sample(plan: Plan, text: TextPart, vocabulary_size: int) -> CostSample:
    """Return the sample of a text's examples for the full softmax's cost."""
    generator = child_generator(plan, COSTS)
    keep = keep_probabilities(plan.subsampling, text.ids, vocabulary_size)
    part = sample_text(text, plan.cost_sample, generator)
    sample: CostSample = plan.model.cost_sample(part, vocabulary_size, plan, generator, keep)
    return replace(sample, share=len(part.ids) / len(text.ids))


def build_initialization(
    plan: Plan, examples: TrainingExamples, text: TextPart, pretrained: Initialization | None = None
) -> Initialization:
    """Return the initialization of a run.

    It is pretrained vectors, factors of pair counts, or the plan's choice.
    """
    if pretrained is not None:
        return pretrained
    if not plan.initialization.needs_counts:
        chosen: Initialization = plan.initialization
        return chosen
    counts = examples.counts or CountsRule().count_text(
        text, examples.vocabulary_size, plan, child_generator(plan, SAMPLING)
    )
    factors = plan.initialization.factorise(counts, plan.dim, child_generator(plan, FACTORS), plan.dtype)
    return GivenInitialization(factors)


def child_generator(plan: Plan, number: int) -> np.random.Generator:
    """Return child `number` of the run's generator."""
    return np.random.default_rng(plan.seed).spawn(number + 1)[number]
