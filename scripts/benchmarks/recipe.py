"""The same work by the article's recipe and by ours: its training, steps and an exact epoch of real text, pairs."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import threadpool_limits

from benchmarks import baseline
from benchmarks.child import CHECKOUT
from benchmarks.measure import Bar, Comparison, alternate
from w2v_exp.examples.batches import Examples, TrainingExamples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.examples.streamed import StreamedExamples
from w2v_exp.model.parameters import ArticleInitialization, Parameters
from w2v_exp.model.softmax import Softmax
from w2v_exp.text.corpus import ArticleCorpus, SotuCorpus, TextCorpus
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.optimizers import Adagrad
from w2v_exp.training.schedules import StepDecay
from w2v_exp.training.trainer import Trainer

AS_PUBLISHED = Softmax(update="overwrite", epsilon=baseline.EPSILON)
DEFAULT = Softmax()  # no update is lost
EXACT = Softmax(embedding_gradient="mean", output_offset="unigram")
WINDOW, DIM, MIN_COUNT = 5, 100, 5  # of steps and the epoch of real text
SQUARE_PRODUCTS = 3  # in a row, of which the mean is taken


@cache
def real_text(messages: int | None, max_size: int | None = None, min_count: int = 1) -> EncodedText:
    """Return messages of the presidents, by the article's tokenizer."""
    text = TextCorpus("\n".join(islice(SotuCorpus().chunks(), messages)))
    return encode_text(text, ArticleTokenizer(), VocabularyRule(min_count=min_count, max_size=max_size))


@dataclass(frozen=True)
class Training:
    """A training that both sides can do, from the same initial parameters.

    `baseline_ids` are the pairs as the baseline has them, two arrays of shape (1, m). Streamed labels need the `ids` of
    the text as well, window `WINDOW`.
    """

    pairs: Pairs
    baseline_ids: tuple[NDArray[np.int64], NDArray[np.int64]]
    epochs: int
    batch_size: int
    dim: int = 50
    ids: NDArray[np.int32] | None = None

    def parameters(self, dtype: DTypeLike = np.float64) -> Parameters:
        """Return new parameters, the same each time."""
        return ArticleInitialization()(self.pairs.vocabulary_size, self.dim, np.random.default_rng(0), dtype)

    def trainer(
        self, objective: Softmax, *, labels: str = "sparse", dtype: DTypeLike = np.float64, threads: int = 1
    ) -> Trainer:
        """Return a trainer of new parameters."""
        return Trainer(
            self._examples(labels, dtype),
            self.parameters(dtype),
            objective=objective,
            schedule=StepDecay(),
            epochs=self.epochs,
            threads=threads,
        )

    def _examples(self, labels: str, dtype: DTypeLike) -> TrainingExamples:
        V, size = self.pairs.vocabulary_size, self.batch_size
        if labels != "streamed":
            return Examples(self.pairs, labels=labels, batch_size=size, order="corpus", dtype=dtype)
        if self.ids is None:
            raise ValueError("Streamed labels need the text.")
        return StreamedExamples(self.ids, WINDOW, V, batch_size=size, order="corpus")

    def ours(self, objective: Softmax, **choices: Any) -> Callable[[], object]:
        """Return our training, ready to be timed."""
        return self.trainer(objective, **choices).train

    def baseline(self, parameters: Parameters | None = None) -> Callable[[], object]:
        """Return the baseline's training, of new parameters if none are given, ready to be timed."""
        parameters = parameters or self.parameters()
        return partial(
            baseline.train,
            parameters.embedding,
            parameters.output,
            *self.baseline_ids,
            epochs=self.epochs,
            batch_size=self.batch_size,
        )

    def difference(self, objective: Softmax, *, tolerance: float, **choices: Any) -> float:
        """Train both ways, and return the largest difference between the parameters.

        Raises
        ------
        ArithmeticError
            If that is more than the tolerance.
        """
        expected, trainer = self.parameters(), self.trainer(objective, **choices)
        self.baseline(expected)()
        trainer.train()
        difference = max(
            float(np.abs(expected.embedding - trainer.parameters.embedding).max()),
            float(np.abs(expected.output - trainer.parameters.output).max()),
        )
        require_equal("parameters", difference, tolerance)
        return difference


def require_equal(what: str, difference: float, tolerance: float) -> None:
    """Raise `ArithmeticError` if our results and the baseline's are further apart than they may be."""
    if not difference <= tolerance:
        raise ArithmeticError(
            f"The {what} of the baseline and ours differ by {difference:.2g}; {tolerance:g} is allowed."
        )


@dataclass(frozen=True)
class Variant:
    """One of our ways of doing what the baseline does, with other arguments of `Training.trainer`.

    `tolerance` is the largest difference from the baseline's parameters; None where it trains by another rule.
    `at_least` and `goal` are the ratios that are promised and wished for.
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


def label_variants(objective: Softmax, tolerance: float | None) -> tuple[Variant, ...]:
    """Return the variants of the wide steps, in float32: pairs that are listed, and pairs that are streamed."""
    return tuple(
        Variant(labels, objective, {"dtype": np.float32, "labels": labels}, tolerance, 12, 25)
        for labels in ("sparse", "streamed")
    )


def article_training(threads: int, *, epochs: int = 5000, repeats: int = 11) -> list[Comparison]:
    """Compare the whole training of the article: 84 pairs in one batch, dim 50."""
    text = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
    ids = baseline.make_pairs(ArticleTokenizer()(ArticleCorpus.sentence), text.vocabulary.ids, 3)
    training = Training(window_pairs(text.ids, 3, len(text.vocabulary)), ids, epochs, batch_size=128)
    return compare(
        "the article's training",
        training,
        ARTICLE_VARIANTS,
        "epochs",
        epochs,
        repeats=repeats,
        threads=threads,
    )


def real_steps(
    threads: int,
    *,
    messages: int | None = None,
    vocabulary_size: int = 12_000,
    steps: int = 12,
    large_steps: int = 4,
    repeats: int = 11,
) -> list[Comparison]:
    """Compare steps of real text in its order: of 256 pairs at dim 50, then at dim 100 of 256 and of 4,096 pairs.

    The baseline is in float64. The large steps lose no update, and are compared by the pair with the baseline's of
    256 pairs: more of the same text, so what that would take is worked out.
    """
    text = real_text(messages, vocabulary_size)
    count, middle = 256 * steps, len(text.ids) // 2
    pairs = window_pairs(text.ids[middle : middle + count], WINDOW, len(text.vocabulary))
    pairs = Pairs(pairs.centres[:count], pairs.contexts[:count], pairs.vocabulary_size)
    found = compare(
        f"steps of real text, {pairs.vocabulary_size:,} words",
        Training(pairs, baseline_ids(pairs), epochs=1, batch_size=256),
        STEP_VARIANTS,
        "steps",
        steps,
        repeats=repeats,
        threads=threads,
    )
    small = wide_steps(messages, steps, batch_size=256)
    large = wide_steps(messages, large_steps, batch_size=4096)
    name = f"steps of real text, {small.pairs.vocabulary_size:,} words, dim {DIM}, float32"
    for training, variants in (
        (small, label_variants(AS_PUBLISHED, 1e-5)),
        (large, label_variants(DEFAULT, None)),
    ):
        found += compare(
            f"{name}, {training.batch_size:,} pairs a step",
            training,
            variants,
            "pairs",
            len(training.pairs),
            repeats=min(repeats, 5),
            threads=threads,
            baseline_training=small,
            all_threads=True,
        )
    return found


def wide_steps(messages: int | None, steps: int, *, batch_size: int) -> Training:
    """Return training by about this many batches at the size of the exact epoch: words that occur five times, dim 100.

    It has all pairs of a span from the middle of the text, so that they can be streamed as well.
    """
    text = real_text(messages, None, MIN_COUNT)
    middle, tokens = len(text.ids) // 2, steps * batch_size // (2 * WINDOW) + WINDOW
    ids = text.ids[middle : middle + tokens]
    pairs = window_pairs(ids, WINDOW, len(text.vocabulary))
    return Training(pairs, baseline_ids(pairs), epochs=1, batch_size=batch_size, dim=DIM, ids=ids)


def baseline_ids(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs as the baseline has them: two arrays of shape (1, m)."""
    X, Y = (column.astype(np.int64)[np.newaxis] for column in (pairs.centres, pairs.contexts))
    return X, Y


def compare(
    workload: str,
    training: Training,
    variants: Sequence[Variant],
    unit: str,
    amount: int,
    *,
    repeats: int,
    threads: int,
    baseline_training: Training | None = None,
    all_threads: bool = False,
) -> list[Comparison]:
    """Check each variant against the baseline, then time them in turns.

    Parameters
    ----------
    workload, unit, amount
        As for `Comparison`.
    training : Training
        What is done.
    variants : sequence of Variant
        Our ways of doing it.
    repeats, threads : int
        As for `alternate`.
    baseline_training : Training, optional
        What the baseline does instead, of which its seconds for all pairs are worked out.
    all_threads : bool
        Whether what is promised holds for any number of threads, and not only for one.
    """
    by_baseline = baseline_training or training
    with threadpool_limits(threads, "blas"):
        differences = [
            None
            if one.tolerance is None
            else training.difference(one.objective, tolerance=one.tolerance, threads=threads, **one.choices)
            for one in variants
        ]
        kinds = [partial(training.ours, one.objective, threads=threads, **one.choices) for one in variants]
        baseline_seconds, *all_seconds = alternate([by_baseline.baseline, *kinds], repeats, threads)
    longer = len(training.pairs) / len(by_baseline.pairs)
    promised = threads == 1 or all_threads
    return [
        Comparison(
            workload,
            one.name,
            unit,
            amount,
            threads,
            [longer * taken for taken in baseline_seconds],
            seconds,
            at_least=one.at_least if promised else None,
            goal=one.goal if promised else None,
            difference=difference,
        )
        for one, seconds, difference in zip(variants, all_seconds, differences, strict=True)
    ]


def exact_epoch(
    threads: int, *, messages: int | None = None, steps: int = 12, square: int = 2048, repeats: int = 5
) -> tuple[Comparison, Bar]:
    """Compare an exact epoch with the article's steps at that size, and with the machine's rate of square products.

    The baseline takes a few steps of 256 pairs; what an epoch would take it is worked out from them. The epoch has
    slices of 512 centres (a quarter of them, where there are fewer than 2,048), in float32, by Adagrad. The rate is
    that before and after the epoch, because the clock of a virtual machine changes within seconds.
    """
    text = real_text(messages, None, MIN_COUNT)
    V = len(text.vocabulary)
    counts = count_window_pairs([text.ids], WINDOW, V)
    rule = CountsRule(centres=min(512, -(-V // 4)))
    article = wide_steps(messages, steps, batch_size=256)
    matrices = [np.ones((square, square), np.float32) for _ in range(3)]

    def squares() -> None:
        for _ in range(SQUARE_PRODUCTS):
            np.matmul(matrices[0], matrices[1], out=matrices[2])

    def epoch() -> Callable[[], object]:
        generator = np.random.default_rng(0)
        examples = CountedExamples(counts, rule, order="shuffled", dtype=np.float32)
        drawn = ArticleInitialization(scale=0.1)(V, DIM, generator, np.float32)
        offset = EXACT.initial_offset(examples.context_shares, np.float32)
        return Trainer(
            examples,
            Parameters(drawn.embedding, drawn.output, offset),
            objective=EXACT,
            optimizer=Adagrad(epsilon=1e-16),
            epochs=1,
            learning_rate=0.1,
            generator=generator,
            threads=threads,
        ).train

    with threadpool_limits(threads, "blas"):
        by_baseline, before, epochs, after = alternate(
            [article.baseline, lambda: squares, epoch, lambda: squares], repeats, threads
        )
    comparison = Comparison(
        f"an exact epoch of real text, {V:,} words, dim {DIM} (baseline: {steps} steps, extrapolated)",
        "counts, float32",
        "pairs",
        round(counts.total),
        threads,
        [seconds * counts.total / len(article.pairs) for seconds in by_baseline],
        epochs,
        at_least=4000,
        goal=8000,
    )
    epoch_operations, square_operations = 6.0 * V**2 * DIM, SQUARE_PRODUCTS * 2.0 * square**3
    share = statistics.median(
        epoch_operations / seconds / (2 * square_operations / (first + second))
        for seconds, first, second in zip(epochs, before, after, strict=True)
    )
    cores = f"{threads} thread{'s' * (threads != 1)}"
    what = f"an exact epoch, {cores}: of the rate of square products"
    return comparison, Bar(what, 100 * share, "%", 50, 70, at_most=False)


def pair_generation(
    *, messages: int | None = None, vocabulary_size: int = 12_000, tokens: int = 200_000, repeats: int = 11
) -> list[Comparison]:
    """Compare making the pairs of real text, window 5: from ids, and from words, as the baseline does."""
    text = real_text(messages, vocabulary_size)
    ids, vocabulary = text.ids[:tokens], text.vocabulary
    words = [vocabulary.words[i] for i in ids.tolist()]

    def by_loop() -> object:
        return baseline.make_pairs(words, vocabulary.ids, WINDOW)

    def from_ids() -> object:
        return window_pairs(ids, WINDOW, len(vocabulary))

    def from_words() -> object:
        looked_up = np.fromiter(map(vocabulary.ids.__getitem__, words), np.int32, len(words))
        return window_pairs(looked_up, WINDOW, len(vocabulary))

    made = window_pairs(ids, WINDOW, len(vocabulary))
    centres, contexts = baseline.make_pairs(words, vocabulary.ids, WINDOW)
    difference = max(
        float(np.abs(made.centres - centres).max()), float(np.abs(made.contexts - contexts).max())
    )
    require_equal("pairs", difference, tolerance=0)
    kinds = [lambda: by_loop, lambda: from_ids, lambda: from_words]
    loop, ids_alone, with_look_ups = alternate(kinds, repeats, threads=1)
    made_of_ids = Comparison(
        "pairs of real text", "from ids", "pairs", len(made), 1, loop, ids_alone, 40, difference=difference
    )
    made_of_words = replace(made_of_ids, variant="from words", our_seconds=with_look_ups, at_least=None)
    return [made_of_ids, made_of_words]


def whole_command(*, repeats: int = 11) -> Bar:
    """Measure the CPU seconds of ``python -m w2v_exp tracking=none epochs=1``, all of it: the median of some."""
    command = [sys.executable, "-m", "w2v_exp", "tracking=none", "epochs=1"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats + 1):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    what = "python -m w2v_exp tracking=none epochs=1: of CPU"
    return Bar(what, statistics.median(seconds[1:]), "s", 1)  # the first one may compile modules
