"""Speed against the article's recipe: its training, steps and an exact epoch of real text, and pairs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import threadpool_limits

from benchmarks import baseline
from benchmarks.measure import Bar, alternate, speed_ratio
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.counted import CountedExamples, CountsRule
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.pairs import Pairs, window_pairs
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
DEFAULT = Softmax()  # applies all updates
EXACT = Softmax(embedding_gradient="mean", output_offset="unigram")
WINDOW, DIM, MIN_COUNT = 5, 100, 5  # of the exact epoch
SQUARE_PRODUCTS = 3  # consecutive products, whose mean rate counts


@cache
def real_text(messages: int | None, max_size: int | None = None, min_count: int = 1) -> EncodedText:
    """Return messages of the presidents, split by the article's tokenizer."""
    text = TextCorpus("\n".join(islice(SotuCorpus().chunks(), messages)))
    return encode_text(text, ArticleTokenizer(), VocabularyRule(min_count=min_count, max_size=max_size))


@dataclass(frozen=True)
class Variant:
    """A variant of our training.

    Parameters
    ----------
    name : str
        For the table.
    objective : Softmax
        Its update rule.
    labels : str
        Label encoding.
    dtype : dtype
        Of the parameters.
    tolerance : float or None
        Largest difference from the baseline's parameters; None if it trains by another rule.
    promised, goal : float, optional
        Smallest ratio to the baseline's speed, with one thread.
    """

    name: str
    objective: Softmax
    labels: str = "sparse"
    dtype: DTypeLike = np.float64
    tolerance: float | None = None
    promised: float | None = None
    goal: float | None = None


ARTICLE_VARIANTS = (
    Variant("as published, sparse labels", AS_PUBLISHED, tolerance=1e-9, promised=1.5, goal=2.5),
    Variant("as published, dense labels", AS_PUBLISHED, "dense", tolerance=1e-9),
    Variant("all updates applied (default)", DEFAULT, promised=1.5, goal=2.5),
)
STEP_VARIANTS = (
    Variant("as published, float64", AS_PUBLISHED, tolerance=1e-9, promised=8),
    Variant("as published, float32", AS_PUBLISHED, dtype=np.float32, tolerance=1e-5, promised=15),
    Variant("all updates applied, float64", DEFAULT, promised=8),
    Variant("all updates applied, float32", DEFAULT, dtype=np.float32, promised=15),
)


@dataclass(frozen=True)
class Training:
    """A training of both sides, from the same initial parameters.

    Parameters
    ----------
    pairs : Pairs
        The training pairs.
    baseline_ids : tuple of two ndarrays of int, shape (1, m)
        The same pairs for the baseline.
    epochs, batch_size, dim : int
        Size of the training.
    """

    pairs: Pairs
    baseline_ids: tuple[NDArray[np.int64], NDArray[np.int64]]
    epochs: int
    batch_size: int
    dim: int = 50

    def parameters(self, dtype: DTypeLike = np.float64) -> Parameters:
        """Return new parameters, the same at each call."""
        return ArticleInitialization()(self.pairs.vocabulary_size, self.dim, np.random.default_rng(0), dtype)

    def trainer(self, variant: Variant, threads: int = 1) -> Trainer:
        """Return our trainer, with new parameters."""
        return Trainer(
            Examples(
                self.pairs,
                labels=variant.labels,
                batch_size=self.batch_size,
                order="corpus",
                dtype=variant.dtype,
            ),
            self.parameters(variant.dtype),
            objective=variant.objective,
            schedule=StepDecay(),
            epochs=self.epochs,
            threads=threads,
        )

    def baseline(self, parameters: Parameters | None = None) -> Callable[[], list[float]]:
        """Return the baseline's training, of new parameters by default, ready to be timed."""
        parameters = parameters or self.parameters()
        return partial(
            baseline.train,
            parameters.embedding,
            parameters.output,
            *self.baseline_ids,
            epochs=self.epochs,
            batch_size=self.batch_size,
        )

    def difference(self, variant: Variant, threads: int = 1) -> float | None:
        """Train both ways, and return the largest difference between the parameters.

        Raises
        ------
        ArithmeticError
            If it is above the tolerance of the variant.
        """
        if variant.tolerance is None:
            return None
        expected, trainer = self.parameters(), self.trainer(variant, threads)
        self.baseline(expected)()
        trainer.train()
        difference = max(
            float(np.abs(expected.embedding - trainer.parameters.embedding).max()),
            float(np.abs(expected.output - trainer.parameters.output).max()),
        )
        require_equal("parameters", difference, variant.tolerance)
        return difference

    def compare(
        self,
        workload: str,
        variants: Sequence[Variant],
        amount: int,
        unit: str,
        *,
        repeats: int,
        threads: int,
    ) -> list[Bar]:
        """Check each variant against the baseline, then time all of them alternately; return their speed ratios."""
        with threadpool_limits(threads, "blas"):
            differences = [self.difference(each, threads) for each in variants]
            kinds = [partial(lambda each: self.trainer(each, threads).train, each) for each in variants]
            theirs, *all_seconds = alternate([self.baseline, *kinds], repeats, threads)
        return [
            speed_ratio(
                f"{workload}: {each.name}{_threads(threads)}",
                theirs,
                seconds,
                amount,
                unit,
                each.promised if threads == 1 else None,
                each.goal if threads == 1 else None,
                difference,
            )
            for each, seconds, difference in zip(variants, all_seconds, differences, strict=True)
        ]


def _threads(count: int) -> str:
    return "" if count == 1 else f", {count} threads"


def require_equal(what: str, difference: float, tolerance: float) -> None:
    """Raise `ArithmeticError` if both results differ by more than the tolerance."""
    if not difference <= tolerance:
        raise ArithmeticError(
            f"The {what} of the baseline and ours differ by {difference:.2g}; {tolerance:g} is allowed."
        )


def article_training(threads: int, *, epochs: int = 5000, repeats: int = 11) -> list[Bar]:
    """Compare the whole training of the article: 84 pairs in one batch, dim 50."""
    text = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
    ids = baseline.make_pairs(ArticleTokenizer()(ArticleCorpus.sentence), text.vocabulary.ids, 3)
    training = Training(window_pairs(text.ids, 3, len(text.vocabulary)), ids, epochs, batch_size=128)
    return training.compare(
        "the article's training", ARTICLE_VARIANTS, epochs, "epochs", repeats=repeats, threads=threads
    )


def real_steps(
    threads: int,
    *,
    messages: int | None = None,
    vocabulary_size: int = 12_000,
    steps: int = 12,
    repeats: int = 11,
) -> list[Bar]:
    """Compare steps of 256 pairs, from the middle of real text in its order, dim 50."""
    text = real_text(messages, vocabulary_size)
    count, middle = 256 * steps, len(text.ids) // 2
    pairs = window_pairs(text.ids[middle : middle + count], WINDOW, len(text.vocabulary))
    pairs = Pairs(pairs.centres[:count], pairs.contexts[:count], pairs.vocabulary_size)
    training = Training(pairs, _baseline_ids(pairs), epochs=1, batch_size=256)
    workload = f"steps of real text, {pairs.vocabulary_size:,} words"
    return training.compare(workload, STEP_VARIANTS, steps, "steps", repeats=repeats, threads=threads)


def _baseline_ids(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs as the baseline stores them: two arrays of shape (1, m)."""
    X, Y = (column.astype(np.int64)[np.newaxis] for column in (pairs.centres, pairs.contexts))
    return X, Y


def exact_epoch(
    threads: int, *, messages: int | None = None, steps: int = 12, square: int = 2048, repeats: int = 5
) -> list[Bar]:
    """Compare an exact epoch with the article's steps at that size, and with the machine's rate of square products.

    The baseline takes a few steps of 256 pairs, from which the time of all pairs is extrapolated. The epoch has slices
    of 512 centres (a quarter of a vocabulary below 2,048), in float32, by Adagrad. The rate of products is that before
    and after the epoch, because the clock of a virtual machine changes within seconds.
    """
    text = real_text(messages, None, MIN_COUNT)
    V = len(text.vocabulary)
    counts = count_window_pairs([text.ids], WINDOW, V)
    rule = CountsRule(centres=min(512, -(-V // 4)))
    middle, tokens = len(text.ids) // 2, steps * 256 // (2 * WINDOW) + WINDOW
    pairs = window_pairs(text.ids[middle : middle + tokens], WINDOW, V)
    article = Training(pairs, _baseline_ids(pairs), epochs=1, batch_size=256, dim=DIM)
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
        baseline_seconds, before, epochs, after = alternate(
            [article.baseline, lambda: squares, epoch, lambda: squares], repeats, threads
        )
    what = f"an exact epoch of real text, {V:,} words, dim {DIM}, float32{_threads(threads)}"
    extrapolated = [seconds * counts.total / len(pairs) for seconds in baseline_seconds]
    ratio = speed_ratio(what, extrapolated, epochs, round(counts.total), "pairs", promised=4000, goal=8000)
    epoch_operations, square_operations = 6.0 * V**2 * DIM, SQUARE_PRODUCTS * 2.0 * square**3
    share = statistics.median(
        epoch_operations / seconds / (2 * square_operations / (first + second))
        for seconds, first, second in zip(epochs, before, after, strict=True)
    )
    gemm = Bar(
        f"  of the rate of square products{_threads(threads)}", 100 * share, "%", 50, 70, at_most=False
    )
    return [ratio, gemm]


def pair_generation(
    *, messages: int | None = None, vocabulary_size: int = 12_000, tokens: int = 200_000, repeats: int = 11
) -> list[Bar]:
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
    what = "pairs of real text"
    return [
        speed_ratio(f"{what}, from ids", loop, ids_alone, len(made), "pairs", 40, difference=difference),
        speed_ratio(f"{what}, from words", loop, with_look_ups, len(made), "pairs", difference=difference),
    ]
