"""The article's evaluation: the four words with the highest softmax output, against the true neighbours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.embeddings import neighbour_precision, top_neighbours
from w2v_exp.errors import SettingError
from w2v_exp.examples.batches import Examples
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.model.softmax import Softmax
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.schedules import StepDecay
from w2v_exp.training.trainer import Trainer


def pairs_of(vocabulary_size, *pairs):
    centres, contexts = np.array(pairs, np.int32).reshape(-1, 2).T
    return Pairs(centres, contexts, vocabulary_size)


def trained_precision(objective, seed):
    """Train on the article's sentence with the article's recipe and return hits and possible hits."""
    text = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
    vocabulary_size = len(text.vocabulary)
    pairs = window_pairs(text.ids, 3, vocabulary_size)
    generator = np.random.default_rng(seed)
    parameters = ArticleInitialization()(vocabulary_size, 50, generator)
    Trainer(
        Examples(pairs, labels="sparse", batch_size=128, order="corpus"),
        parameters,
        objective=objective,
        schedule=StepDecay(),
        epochs=5000,
        learning_rate=0.05,
        generator=generator,
    ).train()
    probabilities = objective.probabilities(parameters, np.arange(vocabulary_size))
    return neighbour_precision(top_neighbours(probabilities), pairs)


def test_without_lost_updates_all_50_true_neighbours_of_the_article_sentence_are_found():
    assert trained_precision(Softmax(), seed=0) == (50, 50)


@pytest.mark.parametrize("seed", range(3))
def test_with_the_article_update_45_to_48_of_the_50_are_found(seed):
    # 45-48 over the seeds tried; the published tables have 45 or more too
    hits, possible = trained_precision(Softmax("overwrite", "sum", 0.001), seed)
    assert possible == 50
    assert 45 <= hits <= 48


def test_the_highest_outputs_come_first_the_word_itself_among_them_and_ties_by_id():
    probabilities = np.array([[0.5, 0.1, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25], [0.1, 0.1, 0.2, 0.6]])
    assert top_neighbours(probabilities, 3).tolist() == [[0, 2, 3], [0, 1, 2], [3, 2, 0]]


def test_a_vocabulary_smaller_than_the_count_gives_all_its_words():
    assert top_neighbours(np.array([[0.1, 0.9], [0.6, 0.4]])).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_the_count_must_be_positive(count):
    with pytest.raises(SettingError, match="count"):
        top_neighbours(np.eye(2), count)


def test_a_repeated_pair_is_one_neighbour_and_a_word_that_is_never_a_centre_takes_no_part():
    pairs = pairs_of(4, (0, 1), (0, 1), (0, 2), (2, 2))
    top = np.array([[1, 3], [0, 1], [0, 1], [0, 1]])
    assert neighbour_precision(top, pairs) == (1, 3)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
)
def test_hits_are_those_of_a_plain_count(pair_list, count, seed):
    pairs = pairs_of(9, *pair_list)
    top = top_neighbours(np.random.default_rng(seed).random((9, 9)), count)
    true = [{context for centre, context in pair_list if centre == word} for word in range(9)]
    assert neighbour_precision(top, pairs) == (
        sum(len(true[word] & set(top[word].tolist())) for word in range(9)),
        sum(min(count, len(true[word])) for word in range(9)),
    )
