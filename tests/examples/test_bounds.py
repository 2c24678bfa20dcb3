"""What the cost of a set of pairs can be."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.examples import counts as counts_module
from w2v_exp.examples.counts import Bounds, cost_floor, information_explained, unigram_cost
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.text.corpus import ArticleCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import ArticleTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

PAIR_LISTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40)


def as_pairs(listed, vocabulary_size=6):
    centres, contexts = np.array(listed, np.int32).T
    return Pairs(centres, contexts, vocabulary_size)


@pytest.fixture(scope="module")
def article_pairs():
    text = encode_text(ArticleCorpus(), ArticleTokenizer(), VocabularyRule())
    return window_pairs(text.ids, 3, len(text.vocabulary))


def test_the_article_has_its_known_floor_and_unigram_cost(article_pairs):
    assert cost_floor(article_pairs) == pytest.approx(1.72303, abs=5e-6)  # to the digits that are published
    assert unigram_cost(article_pairs) == pytest.approx(2.44374, abs=5e-6)


@property_settings(deadline=None)
@given(PAIR_LISTS)
def test_the_floor_is_the_cost_of_the_best_model_there_is(listed):
    """That model gives each context word the share that it has among the pairs of its centre."""
    together, of_centre = Counter(listed), Counter(centre for centre, _ in listed)
    best = -sum(math.log(together[pair] / of_centre[pair[0]]) for pair in listed) / len(listed)
    assert cost_floor(as_pairs(listed)) == pytest.approx(best, abs=1e-12)


@property_settings(deadline=None)
@given(PAIR_LISTS)
def test_the_unigram_cost_is_that_of_the_words_shares(listed):
    of_context = Counter(context for _, context in listed)
    expected = -sum(math.log(of_context[context] / len(listed)) for _, context in listed) / len(listed)
    assert unigram_cost(as_pairs(listed)) == pytest.approx(expected, abs=1e-12)


@property_settings(deadline=None)
@given(PAIR_LISTS, st.integers(0, 2**32))
def test_no_model_costs_less_than_the_floor(listed, seed):
    logits = np.random.default_rng(seed).standard_normal((6, 6)) * 3
    log_p = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
    pairs = as_pairs(listed)
    assert -log_p[pairs.centres, pairs.contexts].mean() >= cost_floor(pairs) - 1e-12
    assert cost_floor(pairs) <= unigram_cost(pairs) + 1e-12


@property_settings(deadline=None)
@given(PAIR_LISTS)
def test_distinct_pairs_are_counted(listed):
    counted = zip(*(column.tolist() for column in as_pairs(listed).distinct()), strict=True)
    assert {(centre, context): count for centre, context, count in counted} == Counter(listed)


def test_keys_of_a_large_vocabulary_do_not_overflow():
    last = 2_000_000_000
    centres, contexts, counts = as_pairs([(last, last), (last, 0), (last, last)], last + 1).distinct()
    assert (centres.tolist(), contexts.tolist(), counts.tolist()) == ([last, last], [0, last], [1, 2])


def test_information_explained_goes_from_word_frequencies_to_the_floor(article_pairs):
    unigram, floor = unigram_cost(article_pairs), cost_floor(article_pairs)
    assert information_explained(unigram, unigram, floor) == 0
    assert information_explained(floor, unigram, floor) == 1
    assert information_explained((unigram + floor) / 2, unigram, floor) == pytest.approx(0.5)
    assert information_explained(unigram + 1, unigram, floor) < 0


def test_entropies_are_summed_in_spans(article_pairs, monkeypatch):
    whole = Bounds.of(article_pairs)
    monkeypatch.setattr(counts_module, "SUMMED_AT_ONCE", 3)
    in_spans = Bounds.of(article_pairs)
    assert in_spans.cost_floor == pytest.approx(whole.cost_floor, abs=1e-12)
    assert in_spans.unigram_cost == pytest.approx(whole.unigram_cost, abs=1e-12)


def test_nothing_is_explained_where_there_is_nothing_to_explain():
    pairs = as_pairs([(0, 1), (0, 2), (1, 1), (1, 2)])  # the context does not depend on the centre
    assert cost_floor(pairs) == pytest.approx(unigram_cost(pairs))
    assert math.isnan(information_explained(0.7, unigram_cost(pairs), cost_floor(pairs)))
