"""What is compared: the article's training, steps at a real vocabulary, pair generation, a whole command."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import baseline
from benchmarks.timing import Comparison, alternate
from benchmarks.training import Training, require_equal
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.model.softmax import Softmax
from w2v_exp.text.corpus import ArticleCorpus, SotuCorpus, TextCorpus
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.tokenizer import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

AS_PUBLISHED = Softmax(update="overwrite", epsilon=baseline.EPSILON)
DEFAULT = Softmax()  # no update is lost
CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Size:
    """How much is done in one repeat.

    Parameters
    ----------
    epochs : int
        Of the article's training.
    messages : int or None
        How many of the presidents' messages the real text is made of; None for all.
    vocabulary_size : int
        The most words that the real text keeps.
    steps : int
        At that vocabulary, in batches of 256 pairs, window 5.
    tokens : int
        Whose pairs are made.
    repeats : int
        Of everything.
    """

    epochs: int
    messages: int | None
    vocabulary_size: int
    steps: int
    tokens: int
    repeats: int


FULL = Size(epochs=5000, messages=None, vocabulary_size=12_000, steps=12, tokens=200_000, repeats=11)
TINY = Size(epochs=20, messages=1, vocabulary_size=300, steps=2, tokens=500, repeats=2)


@dataclass(frozen=True)
class Variant:
    """One of our ways of doing what the baseline does.

    Parameters
    ----------
    name : str
        For the table.
    objective : Softmax
        Cost and gradients.
    choices : dict
        What else `Training.trainer` takes.
    tolerance : float, optional
        How far its parameters may be from the baseline's; None where it trains by another rule.
    at_least, goal : float, optional
        The ratio that is promised with one thread, and the one that is wished for.
    """

    name: str
    objective: Softmax
    choices: dict[str, Any]
    tolerance: float | None
    at_least: float | None = None
    goal: float | None = None


ARTICLE_VARIANTS = (
    Variant("as published, sparse labels", AS_PUBLISHED, {"labels": "sparse"}, 1e-9, 1.5, 2.5),
    Variant("as published, dense labels", AS_PUBLISHED, {"labels": "dense"}, 1e-9),
    Variant("no update lost (default)", DEFAULT, {"labels": "sparse"}, None, 1.5, 2.5),
)
STEP_VARIANTS = (
    Variant("as published, float64", AS_PUBLISHED, {"dtype": np.float64}, 1e-9, 8),
    Variant("as published, float32", AS_PUBLISHED, {"dtype": np.float32}, 1e-5, 15),
    Variant("no update lost, float64", DEFAULT, {"dtype": np.float64}, None, 8),
    Variant("no update lost, float32", DEFAULT, {"dtype": np.float32}, None, 15),
)


def article_training(size: Size, threads: int) -> list[Comparison]:
    """Compare the whole training of the article: 84 pairs in one batch, dim 50."""
    text = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
    words = ArticleTokenizer()(ArticleCorpus.sentence)
    training = Training(
        window_pairs(text.ids, 3, len(text.vocabulary)),
        baseline.make_pairs(words, text.vocabulary.ids, 3),
        epochs=size.epochs,
        batch_size=128,
    )
    return _compare(
        "the article's training",
        training,
        ARTICLE_VARIANTS,
        unit="epochs",
        amount=size.epochs,
        repeats=size.repeats,
        threads=threads,
    )


def steps_at_a_real_vocabulary(size: Size, threads: int) -> list[Comparison]:
    """Compare steps of real text in its order: batches of 256 pairs, dim 50. The baseline is in float64."""
    training = real_training(size)
    name = f"steps of real text, {training.pairs.vocabulary_size:,} words"
    return _compare(
        name,
        training,
        STEP_VARIANTS,
        unit="steps",
        amount=size.steps,
        repeats=size.repeats,
        threads=threads,
    )


def real_training(size: Size) -> Training:
    """Return training by consecutive batches from the middle of the real text, window 5."""
    text = real_text(size.messages, size.vocabulary_size)
    count, middle = 256 * size.steps, len(text.ids) // 2
    pairs = window_pairs(text.ids[middle : middle + count], 5, len(text.vocabulary))
    pairs = Pairs(pairs.centres[:count], pairs.contexts[:count], pairs.vocabulary_size)
    X, Y = (column.astype(np.int64)[np.newaxis] for column in (pairs.centres, pairs.contexts))
    return Training(pairs, (X, Y), epochs=1, batch_size=256)


@cache
def real_text(messages: int | None, vocabulary_size: int) -> EncodedText:
    """Return messages of the presidents, by the article's tokenizer."""
    text = TextCorpus("\n".join(islice(SotuCorpus().pieces(), messages)))
    return encode_text(text, ArticleTokenizer(), VocabularyRule(max_size=vocabulary_size))


def _compare(
    workload: str,
    training: Training,
    variants: tuple[Variant, ...],
    *,
    unit: str,
    amount: int,
    repeats: int,
    threads: int,
) -> list[Comparison]:
    with threadpool_limits(threads, "blas"):
        differences = [
            None
            if variant.tolerance is None
            else training.difference(variant.objective, tolerance=variant.tolerance, **variant.choices)
            for variant in variants
        ]
        kinds = [partial(training.ours, variant.objective, **variant.choices) for variant in variants]
        baseline_seconds, *all_seconds = alternate([training.baseline, *kinds], repeats, threads)
    return [
        Comparison(
            workload,
            variant.name,
            unit,
            amount,
            threads,
            baseline_seconds,
            seconds,
            at_least=variant.at_least if threads == 1 else None,
            goal=variant.goal if threads == 1 else None,
            difference=difference,
        )
        for variant, seconds, difference in zip(variants, all_seconds, differences, strict=True)
    ]


def pair_generation(size: Size) -> list[Comparison]:
    """Compare making the pairs of real text, window 5: from ids, and from words, as the baseline does."""
    text = real_text(size.messages, size.vocabulary_size)
    ids, vocabulary = text.ids[: size.tokens], text.vocabulary
    words = [vocabulary.words[i] for i in ids.tolist()]

    def by_loop() -> object:
        return baseline.make_pairs(words, vocabulary.ids, 5)

    def from_ids() -> object:
        return window_pairs(ids, 5, len(vocabulary))

    def from_words() -> object:
        looked_up = np.fromiter(map(vocabulary.ids.__getitem__, words), np.int32, len(words))
        return window_pairs(looked_up, 5, len(vocabulary))

    made = window_pairs(ids, 5, len(vocabulary))
    centres, contexts = baseline.make_pairs(words, vocabulary.ids, 5)
    difference = max(
        float(np.abs(made.centres - centres).max()), float(np.abs(made.contexts - contexts).max())
    )
    require_equal("pairs", difference, tolerance=0)
    kinds = [lambda: by_loop, lambda: from_ids, lambda: from_words]
    loop, ids_alone, with_look_ups = alternate(kinds, size.repeats, threads=1)
    made_of_ids = Comparison(
        "pairs of real text", "from ids", "pairs", len(made), 1, loop, ids_alone, 40, difference=difference
    )
    made_of_words = replace(made_of_ids, variant="from words", our_seconds=with_look_ups, at_least=None)
    return [made_of_ids, made_of_words]


def command_seconds(repeats: int) -> list[float]:
    """Return the CPU seconds of ``python -m w2v_exp tracking=none epochs=1``, all of it, run by run."""
    command = [sys.executable, "-m", "w2v_exp", "tracking=none", "epochs=1"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats + 1):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return seconds[1:]  # the first one may compile modules
