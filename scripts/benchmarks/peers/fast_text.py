"""fastText, subwords off. It reads the text itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from claim.contenders import NEGATIVE, SAMPLE
from claim.witness import Witness

from w2v_exp.config import Plan
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.text.encoding import EncodedText

END_OF_LINE = "</s>"  # counted as a word


@dataclass(frozen=True)
class FastText:
    """fastText's skip-gram or cbow without subwords. That it reads the text is in its time: a hundredth of it.

    Parameters
    ----------
    name : str
        What it is called.
    plan : Plan
        Ours: its window, dim and min_count are taken over.
    text : EncodedText
        The text, for its words.
    schedules : list of int
        The epochs of each complete training, rising.
    choices : mapping
        Model, loss, rate and threads.
    path : str
        The text as a file. Words outside the vocabulary are dropped before windows are, as on our side.
    """

    name: str
    plan: Plan
    text: EncodedText
    schedules: list[int]
    choices: Mapping[str, Any]
    path: str

    @property
    def settings(self) -> dict[str, Any]:
        """What fastText is told; anything else is its default."""
        return {
            "dim": self.plan.dim,
            "ws": self.plan.window,
            "neg": NEGATIVE,
            "t": SAMPLE,
            "minCount": self.plan.vocabulary.min_count,
            "minn": 0,
            "maxn": 0,
            "verbose": 0,
            **self.choices,
        }

    def train(self, epochs: int, seed: int, witness: Witness) -> None:
        """Read the text and train. Its generator has a seed of its own."""
        fasttext: Any = import_module("fasttext")
        witness.clock.start()
        model = fasttext.train_unsupervised(self.path, epoch=epochs, **self.settings)
        witness.clock.stop()
        witness.after_epoch(epochs, partial(embeddings_of, model, self.text))
        witness.clock.stop()  # a look lets it run on


def embeddings_of(model: Any, text: EncodedText) -> Embeddings:
    """Return the vectors of a fastText model, its words in the order of the text's vocabulary.

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


def is_installed() -> bool:
    """Return whether fastText can be compared with."""
    return find_spec("fasttext") is not None
