"""Batches: every pair once an epoch, in the order that was chosen."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.examples.batch import LABELS
from w2v_exp.examples.batches import ORDERS, Examples
from w2v_exp.examples.pairs import Pairs, window_pairs
from w2v_exp.machine import NotEnoughMemoryError

VOCABULARY_SIZE = 5
PAIR_LISTS = st.lists(
    st.tuples(st.integers(0, VOCABULARY_SIZE - 1), st.integers(0, VOCABULARY_SIZE - 1)),
    min_size=1,
    max_size=40,
)


def examples_of(listed, **choices):
    centres, contexts = np.array(listed, np.int32).T
    return Examples(Pairs(centres, contexts, VOCABULARY_SIZE), **choices)


def counted(batch):
    """Return the pairs of a batch and how often it has each."""
    counts = np.zeros((len(batch.centres), VOCABULARY_SIZE))
    batch.labels.subtract_from(counts)
    counts = -counts
    np.testing.assert_array_equal(counts.sum(axis=1), batch.weights)
    assert (np.diff(batch.centres) > 0).all()
    assert batch.weights.min() >= 1
    assert batch.pairs == batch.weights.sum()
    return Counter(
        {
            (int(batch.centres[row]), int(context)): int(counts[row, context])
            for row, context in np.argwhere(counts)
        }
    )


def epoch(examples, generator):
    """Return what the batches of an epoch hold, as they come."""
    return [counted(batch) for batch in examples.batches(generator)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("labels", LABELS)
def test_every_pair_comes_exactly_once_an_epoch(labels, order):
    @property_settings(deadline=None, max_examples=examples(60))
    @given(PAIR_LISTS, st.integers(1, 12), st.integers(0, 99))
    def holds(listed, batch_size, seed):
        examples = examples_of(listed, labels=labels, order=order, batch_size=batch_size)
        generator = np.random.default_rng(seed)
        for _ in range(3):
            batches = epoch(examples, generator)
            assert sum(batches, Counter()) == Counter(listed)
            assert len(batches) == examples.batches_per_epoch
            sizes = sorted(batch.total() for batch in batches)
            assert sizes[1:] == [batch_size] * (len(sizes) - 1)
            assert 1 <= sizes[0] <= batch_size

    holds()


@pytest.mark.parametrize("labels", LABELS)
def test_corpus_order_is_that_of_the_text(labels):
    listed = [(i % 5, i % 3) for i in range(17)]
    examples = examples_of(listed, labels=labels, order="corpus", batch_size=4)
    expected = [Counter(listed[start : start + 4]) for start in range(0, 17, 4)]
    generator = np.random.default_rng(0)
    assert epoch(examples, generator) == expected
    assert epoch(examples, generator) == expected


@pytest.mark.parametrize("labels", LABELS)
def test_blocks_are_the_batches_of_the_text_in_another_order_each_epoch(labels):
    listed = [(i % 5, i % 3) for i in range(50)]
    generator = np.random.default_rng(0)
    in_order = epoch(examples_of(listed, labels=labels, order="corpus", batch_size=4), generator)
    examples = examples_of(listed, labels=labels, order="blocks", batch_size=4)
    first, second = epoch(examples, generator), epoch(examples, generator)
    keys = [sorted(batch.items()) for batch in in_order]
    for permuted in (first, second):
        assert sorted(sorted(batch.items()) for batch in permuted) == sorted(keys)
        assert permuted != in_order
    assert first != second


def test_shuffled_pairs_leave_their_neighbours():
    listed = [(0, 0)] * 20 + [(1, 1)] * 20
    examples = examples_of(listed, labels="sparse", order="shuffled", batch_size=20)
    generator = np.random.default_rng(0)
    first, second = epoch(examples, generator), epoch(examples, generator)
    assert all(len(batch) == 2 for batch in first)
    assert first != second


@pytest.mark.parametrize("order", ORDERS)
def test_the_same_generator_gives_the_same_order_for_both_encodings(order):
    listed = [(i % 5, i % 3) for i in range(50)]
    orders = []
    for labels in ("sparse", "sparse", "dense"):
        generator = np.random.default_rng(42)
        examples = examples_of(listed, labels=labels, order=order, batch_size=7)
        orders.append([epoch(examples, generator) for _ in range(3)])
    assert orders[0] == orders[1] == orders[2]


@pytest.mark.parametrize("order", ORDERS)
def test_small_and_large_texts_are_batched_alike(order, monkeypatch):
    """Batches of a small text are kept from epoch to epoch."""
    listed = [(i % 5, i % 3) for i in range(50)]
    kept = examples_of(listed, labels="sparse", order=order, batch_size=7)
    generator = np.random.default_rng(1)
    expected = [epoch(kept, generator) for _ in range(3)]
    monkeypatch.setattr("w2v_exp.examples.batches.KEPT_LABEL_BYTES", 40)
    made_again = examples_of(listed, labels="sparse", order=order, batch_size=7)
    generator = np.random.default_rng(1)
    assert [epoch(made_again, generator) for _ in range(3)] == expected


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"order": "block"}, "order=block: not an option, did you mean blocks?"),
        ({"labels": "sparce"}, "labels=sparce: not an option, did you mean sparse?"),
        ({"batch_size": 0}, "batch_size=0: must be a whole number, 1 or more."),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(choice: dict[str, object], said: str) -> None:
    pairs = window_pairs(np.array([0, 1], np.int32), 1, 2)
    with pytest.raises(SettingError, match=re.escape(said)):
        Examples(pairs, **choice)


def test_a_text_without_pairs_is_refused() -> None:
    with pytest.raises(CorpusError, match="no pair to train on"):
        Examples(window_pairs(np.array([0], np.int32), 1, 1))


def test_pairs_that_do_not_fit_are_refused_before_anything_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("w2v_exp.machine.available_memory", lambda: 1_000)
    with pytest.raises(
        NotEnoughMemoryError, match=r"window=3: 900 pairs needs 7.2 kB, and 1 kB are available"
    ):
        window_pairs(np.zeros(152, np.int32), 3, 1)
