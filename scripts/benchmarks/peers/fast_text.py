"""fastText, subwords off. It reads the text itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from claim.contenders import NEGATIVE, SAMPLE, lines_of
from claim.witness import Witness

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.files import replacing
from w2v_exp.plan import Plan
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
        The text cut to the words of its vocabulary, as a file of one line: fastText counts line ends as a word.
    """

    name: str
    plan: Plan
    text: EncodedText
    schedules: list[int]
    choices: Mapping[str, Any]
    path: Path

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
        model = fasttext.train_unsupervised(str(self.path), epoch=epochs, **self.settings)
        witness.clock.stop()
        witness.after_epoch(epochs, partial(embeddings_of, model, self.text))
        witness.clock.stop()  # a look lets it run on


def write_words(text: EncodedText, folder: Path) -> Path:
    """Write the words of a text's vocabulary, in order, to a file in a folder, and return it."""
    with replacing(folder / "words.txt") as stream:
        stream.writelines(f"{' '.join(line)} " for line in lines_of(text))
    return folder / "words.txt"


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
