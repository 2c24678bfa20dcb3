"""The article's model, trained by the article's recipe on the article's sentence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

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

WINDOW = 3
DIM = 50
EPOCHS = 5000
BATCH_SIZE = 128  # more than the 84 pairs: one full batch an epoch
LEARNING_RATE = 0.05
EPSILON = 0.001
NEIGHBOURS = 4


@dataclass(frozen=True)
class ArticleRun:
    """What a training leaves.

    Parameters
    ----------
    costs : ndarray of float64, shape (EPOCHS,)
        The article's cost of each epoch, with its epsilon.
    final_cost : float
        The last epoch's cost with epsilon 0, in nats a pair.
    probabilities : ndarray of float64, shape (V, V)
        p(context | centre) after the last epoch.
    """

    costs: NDArray[np.float64]
    final_cost: float
    probabilities: NDArray[np.float64]

    @property
    def neighbours(self) -> NDArray[np.intp]:
        """Ids of each word's neighbour words, by falling probability; the word itself is not left out."""
        return top_neighbours(self.probabilities, count=NEIGHBOURS)

    @property
    def true_neighbours(self) -> int:
        """How many of the neighbour words are contexts of their word in the sentence."""
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
    """Train the model once; with the defaults, as the article did."""
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
