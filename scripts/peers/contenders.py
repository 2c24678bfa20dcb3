"""Who is compared: ours, gensim and fastText, each trained on the same words under the same clock."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
from w2v_exp.training.trainer import EpochRecord, Trainer

VECTORS = ("input", "sum", "balanced")
TOTALS = {"": "", "all": "", "semantic": "_semantic", "syntactic": "_syntactic"}  # name of a score by section
LINE_WORDS = 10_000  # gensim's batch; it cuts off what a line has beyond
NEGATIVE, SAMPLE = 5, 1e-4  # of gensim and fastText, unless a match has others
END_OF_LINE = "</s>"  # a word to fastText


@dataclass(frozen=True)
class Score:
    """A score of some vectors on an evaluation set.

    Parameters
    ----------
    set : str
        Its name; of analogies also ``analogies_semantic`` and ``analogies_syntactic``.
    vectors : str
        One of `VECTORS`.
    words : str
        ``own``: all words that were trained; ``shared``: only those that every contender has.
    value : float or None
        Spearman's correlation, or the share of right answers; None where no pair or question is known.
    known, total : int
        The pairs or questions with known words only, and all of them.
    """

    set: str
    vectors: str
    words: str
    value: float | None
    known: int
    total: int


@dataclass(frozen=True)
class Point:
    """Scores after an epoch, and the seconds of training until then."""

    epoch: int
    seconds: float
    scores: list[Score]

    def value(self, name: str, vectors: str, words: str = "own") -> float | None:
        """Return a score; None if it was not measured, or nothing is known."""
        wanted = (name, vectors, words)
        found = (score.value for score in self.scores if (score.set, score.vectors, score.words) == wanted)
        return next(found, None)


@dataclass(frozen=True)
class Examiner:
    """Scores vectors.

    Parameters
    ----------
    evaluation : Evaluation
        How.
    sets : mapping of str to WordPairSet or AnalogySet
        On what.
    vectors : sequence of str
        Of `VECTORS`.
    shared : int, optional
        The number of most frequent words that every contender has; embeddings of more words are scored on these, too.
    """

    evaluation: Evaluation
    sets: Sets
    vectors: Sequence[str] = VECTORS
    shared: int | None = None

    def scores(self, embeddings: Embeddings) -> list[Score]:
        """Return the scores of each kind of vectors."""
        scores = self._scores(embeddings, "own")
        if self.shared and len(embeddings) > self.shared:
            scores += self._scores(first_words(embeddings, self.shared), "shared")
        return scores

    def _scores(self, embeddings: Embeddings, words: str) -> list[Score]:
        return [
            Score(row.set + TOTALS[row.section], vectors, words, row.score, row.known, row.total)
            for vectors in self.vectors
            for row in evaluation_rows(self.evaluation.score(embeddings.using(vectors), self.sets), epoch=0)
            if row.section in TOTALS
        ]


def first_words(embeddings: Embeddings, count: int) -> Embeddings:
    """Return the embeddings of the first words only."""
    counts, output = embeddings.counts, embeddings.output
    return Embeddings(
        embeddings.words[:count],
        None if counts is None else counts[:count],
        embeddings.input[:count],
        None if output is None else output[:count],
    )


class Witness:
    """The clock of one training, stopped while vectors are scored, and the scores after some of its epochs.

    Parameters
    ----------
    examiner : Examiner
        Scores the vectors.
    epochs : collection of int
        After which epochs.
    """

    def __init__(self, examiner: Examiner, epochs: Collection[int]) -> None:
        self.points: list[Point] = []
        self.counting_seconds = 0.0
        self.first_stop: float | None = None  # by `time.monotonic`
        self._examiner, self._epochs = examiner, epochs
        self._seconds = self._cpu_seconds = 0.0
        self._started: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Seconds on the clock so far."""
        return self._seconds + (perf_counter() - self._started[0] if self._started else 0.0)

    @property
    def cpu_seconds(self) -> float:
        """Processor time meanwhile of this process, its threads and its children that have ended."""
        return self._cpu_seconds + (_cpu_seconds() - self._started[1] if self._started else 0.0)

    def start(self) -> None:
        """Start the clock."""
        self._started = self._started or (perf_counter(), _cpu_seconds())

    def stop(self) -> None:
        """Stop the clock."""
        self._seconds, self._cpu_seconds, self._started = self.seconds, self.cpu_seconds, None
        self.first_stop = self.first_stop or monotonic()

    def has_counted(self) -> None:
        """Record that the pairs have been counted."""
        self.counting_seconds = self.seconds

    def after_epoch(self, epoch: int, embeddings: Callable[[], Embeddings]) -> None:
        """Score the vectors, if this is one of the epochs."""
        if epoch in self._epochs:
            running = self._started is not None
            self.stop()
            self.points.append(Point(epoch, self.seconds, self._examiner.scores(embeddings())))
            if running:
                self.start()


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextmanager
def limited_to_cores(count: int) -> Iterator[None]:
    """Use this many cores within the block: BLAS, and on Linux all threads that are started in it."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    if before is not None:
        os.sched_setaffinity(0, sorted(before)[:count])
    try:
        with threadpool_limits(count, "blas"):
            yield
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


def train_ours(plan: Plan, text: EncodedText, witness: Witness) -> None:
    """Train a plan as ``python -m w2v_exp`` would. The clock runs from ids in memory, so counting is in the time."""
    part, _ = split_text(plan, text)  # all of it: nothing is held out
    witness.start()
    examples = build_examples(plan, part.ids, len(text.vocabulary), part.segments)
    witness.has_counted()
    observer = _Observer(witness, text)
    initialization = build_initialization(plan, examples, part)
    observer.trainer = build_trainer(plan, examples, initialization, text.vocabulary.counts, part)
    observer.trainer.add_callback(observer)
    observer.trainer.train()
    if not plan.epochs:  # the initial vectors are all there is
        witness.after_epoch(0, observer.embeddings)
    witness.stop()


class _Observer:
    """Calls a witness after our epochs, but for parameters that have diverged: these the trainer reports."""

    trainer: Trainer

    def __init__(self, witness: Witness, text: EncodedText) -> None:
        self._witness, self._text = witness, text

    def on_epoch(self, record: EpochRecord) -> None:
        parameters = self.trainer.parameters
        if all(np.isfinite(matrix).all() for matrix in (parameters.embedding, parameters.output)):
            self._witness.after_epoch(record.epoch + 1, self.embeddings)

    def embeddings(self) -> Embeddings:
        return Embeddings.from_training(self._text.vocabulary, self.trainer.word_parameters)


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
    witness: Witness,
) -> None:
    """Train gensim's word2vec on the lines of a text; building its vocabulary and matrices is not in the time."""
    from gensim.models import Word2Vec

    model = Word2Vec(seed=seed, **settings)
    model.build_vocab(lines)
    require_same_words(model, text)
    witness.start()
    callback = _GensimCallback(witness, text)
    model.train(lines, total_examples=model.corpus_count, epochs=epochs, callbacks=[callback])
    witness.stop()


class _GensimCallback:
    """Calls a witness after gensim's epochs. gensim asks for these methods only, not for a class of its own."""

    def __init__(self, witness: Witness, text: EncodedText) -> None:
        self._witness, self._text, self._epochs = witness, text, 0

    def on_train_begin(self, model: Any) -> None:
        pass

    on_train_end = on_epoch_begin = on_train_begin

    def on_epoch_end(self, model: Any) -> None:
        self._epochs += 1
        self._witness.after_epoch(self._epochs, partial(gensim_embeddings, model, self._text))


def lines_of(text: EncodedText) -> list[list[str]]:
    """Return the words of a text, in order, in lists of the length that gensim trains at once.

    Windows do not cross from one list to the next: that is where a segment ends, as on our side, and one position in
    10,000. A list takes 8 bytes a token, for words are not copied. gensim's ``corpus_file`` took as long a word, on two
    cores.
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
    output = (
        model.syn1neg[rows] if model.negative else None
    )  # hierarchical softmax has a row for each tree node
    return Embeddings(vocabulary.words, vocabulary.counts, model.wv.vectors[rows], output)


def require_same_words(model: Any, text: EncodedText) -> None:
    """Raise `ArithmeticError` if gensim's words, or their counts, are not those of the text."""
    theirs = {word: model.wv.get_vecattr(word, "count") for word in model.wv.key_to_index}
    ours = dict(zip(text.vocabulary.words, text.vocabulary.counts.tolist(), strict=True))
    if theirs != ours:
        raise ArithmeticError(
            f"gensim counts {len(theirs)} words where {len(ours)} were given, or otherwise."
        )


def require_gensim() -> None:
    """Raise `UserError` if gensim is not installed."""
    if find_spec("gensim") is None:
        raise UserError(
            f"gensim is not installed, and is what is compared with: {install_command('evaluation')}"
        )


def fast_text_is_installed() -> bool:
    """Return whether fastText can be compared with."""
    return find_spec("fasttext") is not None


def train_fast_text(
    plan: Plan, settings: Mapping[str, Any], text: EncodedText, folder: Path, epochs: int, witness: Witness
) -> None:
    """Train fastText without subwords. It reads the words from a file, a hundredth of its time; its seed is its own."""
    fasttext: Any = import_module("fasttext")
    words = folder / "words.txt"
    with replacing(words) as stream:  # in one line: fastText counts line ends as a word
        stream.writelines(f"{' '.join(line)} " for line in lines_of(text))
    ours = {"dim": plan.dim, "ws": plan.window, "minCount": plan.vocabulary.min_count}
    fixed = {"neg": NEGATIVE, "t": SAMPLE, "minn": 0, "maxn": 0, "verbose": 0}
    witness.start()
    model = fasttext.train_unsupervised(str(words), epoch=epochs, **fixed, **ours, **settings)
    witness.stop()
    witness.after_epoch(epochs, partial(fast_text_embeddings, model, text))


def fast_text_embeddings(model: Any, text: EncodedText) -> Embeddings:
    """Return the vectors of a fastText model, in the order of the text's vocabulary.

    Raises
    ------
    ArithmeticError
        If its words are others.
    """
    vocabulary = text.vocabulary
    numbers = {word: number for number, word in enumerate(model.words) if word != END_OF_LINE}
    if numbers.keys() != set(vocabulary.words):
        raise ArithmeticError(f"fastText has {len(numbers)} words where there are {len(vocabulary)}.")
    rows = np.array([numbers[word] for word in vocabulary.words])
    return Embeddings(vocabulary.words, vocabulary.counts, model.get_input_matrix()[rows], None)
