"""What a plan trains on: parts of a text, examples of it, and what the parameters start from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2v_exp.choices import FromFile, FromRun
from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import Examples, TrainingExamples
from w2v_exp.examples.blocks import BlockExamples, BlockRule
from w2v_exp.examples.cbow import CbowContexts, CbowExamples, StreamedCbow
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import PairCounts
from w2v_exp.examples.held_out import CostSample, TextPart, sample_cbow, sample_pairs, sample_text
from w2v_exp.examples.pairs import window_pairs
from w2v_exp.examples.sampling import TextSampler, keep_probabilities
from w2v_exp.examples.statistics import PairStatistics
from w2v_exp.examples.streamed import StreamedExamples, StreamRule
from w2v_exp.model.hierarchical_softmax import HierarchicalSoftmax
from w2v_exp.model.parameters import Cbow, ConvertedInitialization, GivenInitialization, Initialization
from w2v_exp.model.spectral import SpectralInitialization
from w2v_exp.model.tree_counts import TreeCountExamples
from w2v_exp.plan import Plan
from w2v_exp.text.cache import TextCache
from w2v_exp.text.encoding import EncodedText

# What is drawn before training comes from children of the run's generator: it does not change what training draws.
SAMPLING, VALIDATION, FACTORS, COSTS = range(4)


def split_text(plan: Plan, text: EncodedText) -> tuple[TextPart, TextPart | None]:
    """Return the part of a text that a plan trains on, and the part that it holds out, if it does.

    Raises
    ------
    SettingError
        If one of them would have no pair.
    """
    whole = TextPart(text.ids, text.segments if len(text.segments) > 2 else None)  # None is faster
    if not plan.validation.share:
        return whole, None
    folder = plan.cache.path if isinstance(plan.cache, TextCache) else None
    try:
        return plan.validation.split(whole, _child_generator(plan, VALIDATION), folder)
    except SettingError as error:
        raise error.within("validation") from None


def held_out_sample(plan: Plan, held_out: TextPart, vocabulary_size: int) -> CostSample:
    """Return the examples of the part that is held out: all of them, their windows as in training."""
    return _cost_sample(plan, held_out, vocabulary_size, _child_generator(plan, VALIDATION))


def build_examples(
    plan: Plan,
    ids: NDArray[np.int32],
    vocabulary_size: int,
    segments: NDArray[np.int64] | None = None,
    share: tuple[int, int] = (0, 1),
) -> TrainingExamples:
    """Return the examples that a plan makes of a text; of blocks, only the share (number, of) of one worker."""
    if isinstance(plan.labels, CountsRule):
        counts = _count(plan, plan.labels, TextPart(ids, segments), vocabulary_size)
        made = TreeCountExamples if isinstance(plan.objective, HierarchicalSoftmax) else CountedExamples
        return made(counts, plan.labels, order=plan.order, dtype=plan.dtype)
    if isinstance(plan.labels, StreamRule):
        choices: dict[str, Any] = {
            "subsampling": plan.subsampling,
            "shrinking_window": plan.shrinking_window,
            "segments": segments,
            "batch_size": plan.batch_size,
            "order": plan.order,
            "generator": _child_generator(plan, SAMPLING),
        }
        if isinstance(plan.model, Cbow):
            choices |= {"mean": plan.model.context == "mean", "dtype": plan.dtype}
            return StreamedCbow(ids, plan.window, vocabulary_size, plan.labels, **choices)
        return StreamedExamples(ids, plan.window, vocabulary_size, plan.labels, **choices)
    if isinstance(plan.labels, BlockRule):
        return BlockExamples(
            ids,
            plan.window,
            vocabulary_size,
            plan.labels,
            bags=isinstance(plan.model, Cbow),
            subsampling=plan.subsampling,
            shrinking_window=plan.shrinking_window,
            segments=segments,
            order=plan.order,
            generator=_child_generator(plan, SAMPLING),
            share=share,
        )
    drawn = TextSampler(
        ids,
        plan.window,
        _child_generator(plan, SAMPLING),
        keep=keep_probabilities(plan.subsampling, ids, vocabulary_size),
        shrinking_window=plan.shrinking_window,
        segments=segments,
    ).whole()
    choices = {
        "labels": plan.labels.encoding,
        "batch_size": plan.batch_size,
        "order": plan.order,
        "dtype": plan.dtype,
    }
    if isinstance(plan.model, Cbow):
        return CbowExamples(
            CbowContexts.of(drawn), vocabulary_size, mean=plan.model.context == "mean", **choices
        )
    return Examples(window_pairs(drawn.ids, drawn.window, vocabulary_size, drawn.segments), **choices)


def pair_statistics(plan: Plan, text: TextPart, vocabulary_size: int) -> PairStatistics:
    """Return a survey of the pairs that `build_examples` would make of a text, in the same draw of it."""
    counts = isinstance(plan.labels, CountsRule)
    return PairStatistics(
        text.ids,
        plan.window,
        vocabulary_size,
        _child_generator(plan, SAMPLING),
        subsampling=plan.subsampling,
        shrinking_window=plan.shrinking_window and not counts,  # there it is a matter of weights
        segments=text.segments,
        passes=plan.labels.sampled_passes if isinstance(plan.labels, CountsRule) else 1,
    )


def build_cost_sample(plan: Plan, text: TextPart, vocabulary_size: int) -> CostSample:
    """Return the sample of a text's examples on which the cost under the full softmax is measured."""
    generator = _child_generator(plan, COSTS)
    keep = keep_probabilities(plan.subsampling, text.ids, vocabulary_size)
    part = sample_text(text, plan.cost_sample, generator)
    sample = _cost_sample(plan, part, vocabulary_size, generator, keep)
    return replace(sample, share=len(part.ids) / len(text.ids))


def _cost_sample(
    plan: Plan,
    text: TextPart,
    vocabulary_size: int,
    generator: np.random.Generator,
    keep: NDArray[np.float64] | None = None,
) -> CostSample:
    if isinstance(plan.model, Cbow):
        return sample_cbow(
            text,
            plan.window,
            vocabulary_size,
            generator,
            mean=plan.model.context == "mean",
            keep=keep,
            shrinking_window=plan.shrinking_window,
        )
    return sample_pairs(
        text, plan.window, vocabulary_size, generator, keep=keep, shrinking_window=plan.shrinking_window
    )


def build_initialization(
    plan: Plan, examples: TrainingExamples, text: TextPart, continued: Initialization | None = None
) -> Initialization:
    """Return what makes the parameters: the plan's choice, or factors of the text's pair counts, computed here.

    What a plan goes on from is not read here: `continued` is what makes parameters of it.
    """
    start: Initialization
    if isinstance(plan.initialization, (FromFile, FromRun)):
        if continued is None:
            raise ValueError("The embeddings that this plan goes on from have not been read.")
        start = continued
    elif isinstance(plan.initialization, SpectralInitialization):
        start = _factors(plan, plan.initialization, examples, text)
    else:
        return plan.initialization
    if isinstance(plan.objective, HierarchicalSoftmax):
        return ConvertedInitialization(start, plan.objective.bind(examples).to_node_vectors)
    return start


def _factors(
    plan: Plan, rule: SpectralInitialization, examples: TrainingExamples, text: TextPart
) -> Initialization:
    """Return what makes parameters of the text's pair counts, factorised; the examples' counts if they have them."""
    if isinstance(examples, CountedExamples):
        counts = examples.pairs
    else:
        counts = _count(plan, CountsRule(), text, examples.vocabulary_size)
    factors = rule.factorise(counts, plan.dim, _child_generator(plan, FACTORS), plan.dtype)
    return GivenInitialization(factors)


def _count(plan: Plan, rule: CountsRule, text: TextPart, vocabulary_size: int) -> PairCounts:
    return rule.count(
        text.ids,
        plan.window,
        vocabulary_size,
        _child_generator(plan, SAMPLING),
        subsampling=plan.subsampling,
        shrinking_window=plan.shrinking_window,
        segments=text.segments,
    )


def _child_generator(plan: Plan, number: int) -> np.random.Generator:
    return np.random.default_rng(plan.seed).spawn(number + 1)[number]
