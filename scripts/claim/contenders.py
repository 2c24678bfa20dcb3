"""Who is compared: each trains on the same text, and is looked at through the same witness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from claim.witness import Witness
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.errors import UserError, install_command
from w2v_exp.examples.batches import TrainingExamples
from w2v_exp.experiment.building import build_examples, build_initialization, split_text
from w2v_exp.experiment.trainers import build_trainer
from w2v_exp.plan import Plan
from w2v_exp.text.encoding import EncodedText
from w2v_exp.training.trainer import EpochRecord, Trainer

LINE_WORDS = 10_000  # gensim's batch; it cuts off what a line has beyond
NEGATIVE, SAMPLE = 5, 1e-4


class Contender(Protocol):
    """Anything that trains embeddings.

    Its clock runs from the text's ids, or words, in memory to the trained vectors; reading and building the vocabulary
    are before it.
    """

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def schedules(self) -> list[int]:
        """The epochs of each complete training, rising."""

    def train(self, epochs: int, seed: int, witness: Witness) -> None:
        """Train by a schedule of so many epochs, and tell the witness of each."""


@dataclass(frozen=True)
class Planned:
    """Our side: a plan as the command ``python -m w2v_exp`` would run it. Counting the pairs is in the time.

    Parameters
    ----------
    name : str
        What it is called.
    plan : Plan
        Everything but epochs and seed.
    text : EncodedText
        What it trains on.
    schedules : list of int
        The epochs of each complete training, rising.
    """

    name: str
    plan: Plan
    text: EncodedText
    schedules: list[int]

    def train(self, epochs: int, seed: int, witness: Witness) -> None:
        """Count the pairs, make the parameters and train."""
        plan, vocabulary = replace(self.plan, epochs=epochs, seed=seed), self.text.vocabulary
        part, _ = split_text(plan, self.text)  # all of it: nothing is held out
        witness.clock.start()
        examples = build_examples(plan, part.ids, len(vocabulary), part.segments)
        witness.has_counted()
        train_on(plan, self.text, examples, witness)
        witness.clock.stop()


def train_on(plan: Plan, text: EncodedText, examples: TrainingExamples, witness: Witness) -> Trainer:
    """Make the parameters and train them on examples that there are; return the trainer when it is done.

    The witness is told of every epoch. Its clock is not touched, except that it stands while it looks.
    """
    part, _ = split_text(plan, text)
    observer = _Observer(witness)
    initialization = build_initialization(plan, examples, part)
    trainer = build_trainer(plan, examples, initialization, [observer], text.vocabulary.counts, part)
    observer.parameters = trainer.parameters
    observer.embeddings = partial(_embeddings_of, trainer, text)
    trainer.train()
    if not plan.epochs:  # what the initialization gives is all there is
        witness.after_epoch(0, observer.embeddings)
    return trainer


def _embeddings_of(trainer: Trainer, text: EncodedText) -> Embeddings:
    """Return the vectors of a trainer as they are now."""
    return Embeddings.from_training(text.vocabulary, trainer.word_parameters)


class _Observer:
    """Tells a witness of our epochs. Parameters that have diverged are left to the trainer, which will say so."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self.parameters: Any = None  # this and the next are known as soon as there is a trainer
        self.embeddings: Any = None

    def on_epoch(self, record: EpochRecord) -> None:
        matrices = self.parameters.embedding, self.parameters.output
        if all(np.isfinite(matrix).all() for matrix in matrices):
            self._witness.after_epoch(record.epoch + 1, self.embeddings)


@dataclass(frozen=True)
class Gensim:
    """gensim's word2vec. Building its vocabulary and its matrices is not in the time.

    Parameters
    ----------
    name : str
        What it is called.
    plan : Plan
        Ours: its window, dim and min_count are taken over.
    text : EncodedText
        What it trains on: the text cut to the words of its vocabulary, so that gensim never meets another and its
        windows are over the remaining words, as ours are.
    schedules : list of int
        The epochs of each complete training, rising.
    choices : mapping
        What else it is told, or instead: ``{"sg": 0}`` for cbow.
    """

    name: str
    plan: Plan
    text: EncodedText
    schedules: list[int]
    choices: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """What gensim is told; anything else is its default. Without choices: skip-gram with negative sampling."""
        return {
            "sg": 1,
            "vector_size": self.plan.dim,
            "window": self.plan.window,
            "negative": NEGATIVE,
            "sample": SAMPLE,
            "min_count": self.plan.vocabulary.min_count,
            "workers": self.plan.threads,
            **self.choices,
        }

    @cached_property
    def lines(self) -> list[list[str]]:
        """The text as gensim takes it."""
        return lines_of(self.text)

    def train(self, epochs: int, seed: int, witness: Witness) -> None:
        """Build the vocabulary, then train."""
        from gensim.models import Word2Vec

        model = Word2Vec(seed=seed, **self.settings)
        model.build_vocab(self.lines)
        require_same_words(model, self.text)
        witness.clock.start()
        witness.has_counted()
        callback = _Callback(witness, self.text)
        model.train(self.lines, total_examples=model.corpus_count, epochs=epochs, callbacks=[callback])
        witness.clock.stop()


class _Callback:
    """Tells a witness of gensim's epochs. gensim asks for these methods only, not for a class of its own."""

    def __init__(self, witness: Witness, text: EncodedText) -> None:
        self._witness = witness
        self._text = text
        self._epochs_done = 0

    def on_train_begin(self, model: Any) -> None:
        pass

    def on_train_end(self, model: Any) -> None:
        pass

    def on_epoch_begin(self, model: Any) -> None:
        pass

    def on_epoch_end(self, model: Any) -> None:
        self._epochs_done += 1
        self._witness.after_epoch(self._epochs_done, partial(embeddings_of, model, self._text))


def lines_of(text: EncodedText) -> list[list[str]]:
    """Return the words of a text, in order, in lists of the length that gensim trains at once.

    Windows do not cross from one list to the next: that is where a segment ends, as on our side, and one place in
    10,000. A list takes 8 bytes a token: words are not copied. A word took as long by gensim's ``corpus_file``, on two
    cores.
    """
    words = np.array(text.vocabulary.words, dtype=object)
    return [
        words[text.ids[at : min(at + LINE_WORDS, end)]].tolist()
        for start, end in pairwise(text.segments.tolist())
        for at in range(start, end, LINE_WORDS)
    ]


def embeddings_of(model: Any, text: EncodedText) -> Embeddings:
    """Return the vectors of a gensim model, its words in the order of the text's vocabulary."""
    vocabulary = text.vocabulary
    rows = np.array([model.wv.key_to_index[word] for word in vocabulary.words])
    output = (
        model.syn1neg[rows] if model.negative else None
    )  # hierarchical softmax has one row a node of a tree
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
            f"gensim is what is compared with, and is not installed: {install_command('evaluation')}"
        )
