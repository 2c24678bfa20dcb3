"""The article's published figures, and its model trained by its recipe on its sentence."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2v_exp.embeddings.neighbours import neighbour_precision, top_neighbours
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.softmax import Softmax
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.schedules import StepDecay
from w2v_exp.training.trainer import Trainer

FOLDER = Path(__file__).parent / "published"
WINDOW = 3
DIM = 50
EPOCHS = 5000
BATCH_SIZE = 128  # above the 84 pairs: one full batch per epoch
LEARNING_RATE = 0.05
EPSILON = 0.001
NEIGHBOURS = 4


@dataclass(frozen=True)
class PublishedFigures:
    """The printed figures; ``published/README.md`` names the sources.

    Parameters
    ----------
    counts : dict of str to int
        Numbers of tokens, words and pairs of the sentence.
    pairs : list of (str, str)
        The worked example: centre and context of each pair, in order.
    epochs : ndarray of int, shape (500,)
        The epochs whose cost was printed.
    costs : dict of str to ndarray of float64, shape (500,)
        The cost at these epochs, by label encoding.
    neighbours : dict of str to dict of str to list of str
        By label encoding and input word, the neighbour words in the order of their rank.
    """

    counts: dict[str, int]
    pairs: list[tuple[str, str]]
    epochs: NDArray[np.int64]
    costs: dict[str, NDArray[np.float64]]
    neighbours: dict[str, dict[str, list[str]]]

    @classmethod
    def read(cls, folder: Path = FOLDER) -> PublishedFigures:
        """Return the figures in the CSV files of a folder."""
        costs = _rows(folder / "published_costs.csv")
        neighbours: dict[str, dict[str, list[str]]] = {}
        for row in _rows(folder / "published_neighbours.csv"):
            ranked = [row[f"rank_{rank}"] for rank in range(1, 5)]
            neighbours.setdefault(row["labels"], {})[row["input_word"]] = ranked
        return cls(
            {row["what"]: int(row["value"]) for row in _rows(folder / "published_counts.csv")},
            [(row["centre"], row["context"]) for row in _rows(folder / "published_pairs.csv")],
            np.array([int(row["epoch"]) for row in costs]),
            {labels: np.array([float(row[f"{labels}_labels"]) for row in costs]) for labels in neighbours},
            neighbours,
        )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@dataclass(frozen=True)
class ArticleRun:
    """The result of a training.

    Parameters
    ----------
    costs : ndarray of float64, shape (EPOCHS,)
        The article's cost of each epoch, with its epsilon.
    final_cost : float
        The last epoch's cost with epsilon 0, in nats per pair.
    probabilities : ndarray of float64, shape (V, V)
        p(context | centre) after the last epoch.
    """

    costs: NDArray[np.float64]
    final_cost: float
    probabilities: NDArray[np.float64]

    @property
    def neighbours(self) -> NDArray[np.intp]:
        """Ids of each word's neighbours, by falling probability; the word itself is not excluded."""
        return top_neighbours(self.probabilities, count=NEIGHBOURS)

    @property
    def true_neighbours(self) -> int:
        """Number of neighbours that are contexts of their word in the sentence."""
        return neighbour_precision(self.neighbours, article_pairs())[0]


@cache
def article_text() -> EncodedText:
    """Return the sentence, tokenized and encoded."""
    return encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())


def article_pairs(window: int = WINDOW) -> Pairs:
    """Return the pairs of the sentence, in the article's order."""
    text = article_text()
    return window_pairs(text.ids, window, len(text.vocabulary))


@cache
def train_article(
    seed: int, *, labels: str = "sparse", update: str = "overwrite", embedding_gradient: str = "sum"
) -> ArticleRun:
    """Train the model once, by default with the article's recipe."""
    generator = np.random.default_rng(seed)
    pairs = article_pairs()
    objective = Softmax(update=update, embedding_gradient=embedding_gradient, epsilon=EPSILON)
    parameters = ArticleInitialization()(pairs.vocabulary_size, DIM, generator)
    records = Trainer(
        Examples(pairs, labels=labels, batch_size=BATCH_SIZE, order="corpus"),
        parameters,
        objective=objective,
        schedule=StepDecay(),
        epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        generator=generator,
    ).train()
    return ArticleRun(
        np.array([record.article_cost for record in records]),
        records[-1].cost,
        objective.probabilities(parameters, np.arange(pairs.vocabulary_size)),
    )


def contexts_of(word: str, pairs: Pairs) -> list[str]:
    """Return the context words of a centre word, in the order of the pairs."""
    vocabulary = article_text().vocabulary
    return [vocabulary.words[context] for context in pairs.contexts[pairs.centres == vocabulary.ids[word]]]
