"""Trainings of ours, gensim and fastText on the same words, timed by the same clock and scored by the same code."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.evaluation import Evaluation, Sets
from w2v_exp.errors import UserError, install_command
from w2v_exp.experiment.build import build_examples, build_initialization, build_trainer, split_text
from w2v_exp.experiment.measures import evaluation_rows
from w2v_exp.files import replacing
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText
from w2v_exp.training.trainer import EpochRecord

OURS, GENSIM, FAST_TEXT = "ours", "gensim", "fastText"
PACKAGES = {GENSIM: "gensim.models", FAST_TEXT: "fasttext"}
LINE_WORDS = 10_000  # gensim's batch; it cuts longer lines
NEGATIVE, SAMPLE = 5, 1e-4  # of gensim and fastText, unless a match sets others
END_OF_LINE = "</s>"  # a word of fastText


@dataclass(frozen=True)
class Score:
    """A score on an evaluation set.

    Parameters
    ----------
    set : str
        Name of the set.
    value : float or None
        Spearman's correlation, or the share of right answers; None if no pair or question is known.
    known, total : int
        Number of pairs or questions with known words only, and of all.
    """

    set: str
    value: float | None
    known: int
    total: int


@dataclass(frozen=True)
class Point:
    """Scores after an epoch, and the seconds of training until then."""

    epoch: int
    seconds: float
    scores: list[Score]

    def value(self, name: str) -> float | None:
        """Return the score on a set; None if it was not measured, or nothing is known."""
        return next((score.value for score in self.scores if score.set == name), None)


def score_embeddings(evaluation: Evaluation, sets: Sets, embeddings: Embeddings) -> list[Score]:
    """Return the scores of embeddings on evaluation sets."""
    rows = evaluation_rows(evaluation.score(embeddings, sets), epoch=0)
    return [Score(row.set, row.score, row.known, row.total) for row in rows if row.section in ("", "all")]


class Clock:
    """The clock of one training, stopped while vectors are scored.

    Parameters
    ----------
    score : callable
        Returns the scores of embeddings.
    epochs : collection of int
        Epochs after which vectors are scored.
    """

    def __init__(self, score: Callable[[Embeddings], list[Score]], epochs: Collection[int]) -> None:
        self.points: list[Point] = []
        self.seconds = self.cpu_seconds = 0.0
        self.first_stop = 0.0  # by `time.monotonic`; 0: never stopped
        self._score, self._epochs = score, epochs
        self._started = (0.0, 0.0)

    def start(self) -> None:
        """Start the clock."""
        self._started = perf_counter(), _cpu_seconds()

    def stop(self) -> None:
        """Stop the clock."""
        self.seconds += perf_counter() - self._started[0]
        self.cpu_seconds += _cpu_seconds() - self._started[1]
        self.first_stop = self.first_stop or monotonic()

    def after_epoch(self, epoch: int, embeddings: Callable[[], Embeddings]) -> None:
        """Score the vectors if this is one of the epochs."""
        if epoch in self._epochs:
            self.stop()
            self.points.append(Point(epoch, self.seconds, self._score(embeddings())))
            self.start()


def _cpu_seconds() -> float:
    """Return the processor time of this process, its threads, and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def limited_to_cores(count: int) -> Iterator[None]:
    """Limit BLAS, and on Linux all threads started in the block, to this number of cores."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    if before is not None:
        os.sched_setaffinity(0, sorted(before)[:count])
    try:
        with threadpool_limits(count, "blas"):
            yield
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


def train_ours(plan: Plan, text: EncodedText, clock: Clock) -> None:
    """Train a plan as a run does. The time starts with the ids in memory, so it includes counting pairs."""
    part, _ = split_text(plan, text)  # all of it: nothing is held out
    clock.start()
    examples = build_examples(plan, part.ids, len(text.vocabulary), part.segments)
    initialization = build_initialization(plan, examples, part)
    trainer = build_trainer(plan, examples, initialization, text.vocabulary.counts, part)

    class Scoring:
        def on_epoch(self, record: EpochRecord) -> None:
            parameters = trainer.parameters
            # The trainer reports parameters that have diverged.
            if all(np.isfinite(matrix).all() for matrix in (parameters.embedding, parameters.output)):
                clock.after_epoch(
                    record.epoch + 1,
                    lambda: Embeddings.from_training(text.vocabulary, trainer.word_parameters).using(
                        plan.embedding
                    ),
                )

    trainer.add_callback(Scoring())
    trainer.train()
    clock.stop()


def gensim_settings(plan: Plan, cores: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return gensim's settings: our window, dim and min_count, and by default skip-gram with negative sampling."""
    ours = {"vector_size": plan.dim, "window": plan.window, "min_count": plan.vocabulary.min_count}
    return {"sg": 1, "negative": NEGATIVE, "sample": SAMPLE, "workers": cores, **ours, **settings}


def train_gensim(
    settings: Mapping[str, Any],
    text: EncodedText,
    lines: list[list[str]],
    epochs: int,
    seed: int,
    clock: Clock,
) -> None:
    """Train gensim on these lines. Its vocabulary is built before the time starts."""
    from gensim.models import Word2Vec

    model = Word2Vec(seed=seed, **settings)
    model.build_vocab(lines)
    require_same_words(model, text)
    clock.start()
    model.train(lines, total_examples=model.corpus_count, epochs=epochs)
    clock.after_epoch(epochs, lambda: gensim_embeddings(model, text))
    clock.stop()


def lines_of(text: EncodedText) -> list[list[str]]:
    """Return the words of a text, in order, in lists of the length that gensim trains at once.

    Windows do not cross from one list to the next: at the ends of segments, as on our side, and at one position in
    10,000. A list takes 8 bytes per token, since words are not copied. gensim's ``corpus_file`` took the same time per
    word, on two cores.
    """
    words = np.array(text.vocabulary.words, dtype=object)
    return [
        words[text.ids[at : min(at + LINE_WORDS, end)]].tolist()
        for start, end in pairwise(text.segments.tolist())
        for at in range(start, end, LINE_WORDS)
    ]


def gensim_embeddings(model: Any, text: EncodedText) -> Embeddings:
    """Return the vectors of a gensim model, in the order of the text's vocabulary."""
    vocabulary = text.vocabulary
    rows = np.array([model.wv.key_to_index[word] for word in vocabulary.words])
    return Embeddings(vocabulary.words, vocabulary.counts, model.wv.vectors[rows], None)


def require_same_words(model: Any, text: EncodedText) -> None:
    """Raise `ArithmeticError` if gensim's words, or their counts, are not those of the text."""
    theirs = {word: model.wv.get_vecattr(word, "count") for word in model.wv.key_to_index}
    ours = dict(zip(text.vocabulary.words, text.vocabulary.counts.tolist(), strict=True))
    if theirs != ours:
        raise ArithmeticError(f"gensim counts {len(theirs)} words, not the {len(ours)} of the text.")


def require_gensim() -> None:
    """Raise `UserError` if gensim is not installed."""
    if find_spec("gensim") is None:
        raise UserError(
            f"The comparison needs gensim, which is not installed: {install_command('evaluation')}"
        )


def fast_text_is_installed() -> bool:
    """Return whether fastText is installed."""
    return find_spec("fasttext") is not None


def train_fast_text(
    plan: Plan, settings: Mapping[str, Any], text: EncodedText, folder: Path, epochs: int, clock: Clock
) -> None:
    """Train fastText without subwords, with its own seed.

    It reads the words from a file, which takes a hundredth of its time.
    """
    fasttext: Any = import_module("fasttext")
    words = folder / "words.txt"
    with replacing(words) as stream:  # in one line, since fastText counts line ends as a word
        stream.writelines(f"{' '.join(line)} " for line in lines_of(text))
    ours = {"dim": plan.dim, "ws": plan.window, "minCount": plan.vocabulary.min_count}
    fixed = {"neg": NEGATIVE, "t": SAMPLE, "minn": 0, "maxn": 0, "verbose": 0}
    clock.start()
    model = fasttext.train_unsupervised(str(words), epoch=epochs, **fixed, **ours, **settings)
    clock.after_epoch(epochs, lambda: fast_text_embeddings(model, text))
    clock.stop()


def fast_text_embeddings(model: Any, text: EncodedText) -> Embeddings:
    """Return the vectors of a fastText model, in the order of the text's vocabulary.

    Raises
    ------
    ArithmeticError
        If its words are not those of the text.
    """
    vocabulary = text.vocabulary
    numbers = {word: number for number, word in enumerate(model.words) if word != END_OF_LINE}
    if numbers.keys() != set(vocabulary.words):
        raise ArithmeticError(f"fastText has {len(numbers)} words, not the {len(vocabulary)} of the text.")
    rows = np.array([numbers[word] for word in vocabulary.words])
    return Embeddings(vocabulary.words, vocabulary.counts, model.get_input_matrix()[rows], None)
