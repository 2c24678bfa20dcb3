"""Training from a stream: the pairs of the text, in its order or another, in memory that does not grow with it."""

import re
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.examples.batches import ORDERS, Examples
from w2v_exp.examples.pairs import count_pairs, window_pairs
from w2v_exp.examples.sampling import PaperSubsampling, Word2VecSubsampling
from w2v_exp.examples.streamed import StreamedExamples, StreamRule
from w2v_exp.model.parameters import ArticleInitialization
from w2v_exp.training.schedules import Linear
from w2v_exp.training.trainer import Trainer

V = 6
IDS = np.random.default_rng(5).integers(0, V, 400).astype(np.int32)


@st.composite
def texts(draw):
    """Return ids, and None or segments of them, some empty; there is a pair."""
    ids = np.array(draw(st.lists(st.integers(0, V - 1), min_size=2, max_size=60)), np.int32)
    cuts = draw(st.none() | st.lists(st.integers(0, len(ids)), max_size=6))
    segments = None if cuts is None else np.array([0, *sorted(cuts), len(ids)], np.int64)
    if not count_pairs(len(ids), 1, segments):
        segments = None
    return ids, segments


def assert_same_batch(one, other):
    np.testing.assert_array_equal(one.centres, other.centres)
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.centre_weights, other.centre_weights)
    np.testing.assert_array_equal(one.labels.cells, other.labels.cells)
    np.testing.assert_array_equal(one.labels.counts, other.labels.counts)
    np.testing.assert_array_equal(one.labels.shares, other.labels.shares)
    np.testing.assert_array_equal(one.labels.last, other.labels.last)
    assert (one.pairs, one.all_pairs, one.rows is None) == (other.pairs, other.all_pairs, other.rows is None)


def epoch_pairs(batches):
    """Return how often each pair is in these batches."""
    counts = Counter()
    for batch in batches:
        rows, contexts = np.divmod(batch.labels.cells, V)
        for row, context, count in zip(rows, contexts, batch.labels.counts, strict=True):
            counts[int(batch.centres[row]), int(context)] += int(count)
    return counts


def text_pairs(ids, window, segments=None):
    pairs = window_pairs(ids, window, V, segments)
    return Counter(zip(pairs.centres.tolist(), pairs.contexts.tolist(), strict=True))


@property_settings(deadline=None, max_examples=examples(200))
@given(texts(), st.integers(1, 70), st.integers(1, 70), st.integers(1, 50))
def test_in_the_order_of_the_text_batches_are_those_of_listed_pairs(text, window, block, batch_size):
    ids, segments = text
    listed = Examples(window_pairs(ids, window, V, segments), batch_size=batch_size)
    streamed = StreamedExamples(
        ids, window, V, StreamRule(block), segments=segments, batch_size=batch_size, order="corpus"
    )
    assert streamed.pairs_per_epoch == listed.pairs_per_epoch
    assert streamed.batches_per_epoch == listed.batches_per_epoch
    np.testing.assert_allclose(streamed.context_shares, listed.context_shares)
    for one, other in zip(
        streamed.batches(np.random.default_rng(0)), listed.batches(np.random.default_rng(0)), strict=True
    ):
        assert_same_batch(one, other)


@pytest.mark.parametrize("order", ["blocks", "shuffled"])
def test_in_another_order_every_pair_comes_exactly_once_an_epoch(order):
    @property_settings(deadline=None, max_examples=examples(60))
    @given(texts(), st.integers(1, 8), st.integers(1, 70), st.integers(1, 50))
    def holds(text, window, block, batch_size):
        ids, segments = text
        examples = StreamedExamples(
            ids, window, V, StreamRule(block), segments=segments, batch_size=batch_size, order=order
        )
        generator = np.random.default_rng(0)
        for _ in range(2):
            batches = list(examples.batches(generator))
            assert epoch_pairs(batches) == text_pairs(ids, window, segments)
            assert [batch.pairs for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
            assert 1 <= batches[-1].pairs <= batch_size
            assert len(batches) == examples.batches_per_epoch

    holds()


def test_blocks_come_in_another_order_each_epoch_and_each_in_its_own_order():
    examples = StreamedExamples(IDS, 2, V, StreamRule(20), batch_size=1, order="blocks")
    pairs = window_pairs(IDS, 2, V)
    positions = np.repeat(
        np.arange(len(IDS)), np.convolve(np.ones(len(IDS)), [1, 1, 0, 1, 1], "same").astype(int)
    )
    in_order = list(zip(pairs.centres.tolist(), pairs.contexts.tolist(), strict=True))
    blocks = [
        [pair for pair, place in zip(in_order, positions, strict=True) if place // 20 == n] for n in range(20)
    ]
    generator = np.random.default_rng(0)
    orders = []
    for _ in range(3):
        epoch = [
            (int(batch.centres[0]), int(batch.labels.cells[0] % V)) for batch in examples.batches(generator)
        ]
        orders.append([])
        while epoch:
            (number,) = [n for n, block in enumerate(blocks) if epoch[: len(block)] == block]
            orders[-1].append(number)
            del epoch[: len(blocks[number])]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len({tuple(order) for order in orders} | {tuple(range(20))}) == 4


def test_shuffled_pairs_leave_their_neighbours_within_their_block():
    ids = np.repeat(np.arange(V), 20).astype(np.int32)
    examples = StreamedExamples(ids, 1, V, StreamRule(60), batch_size=20, order="shuffled")
    first = list(examples.batches(np.random.default_rng(0)))
    distinct = [len(batch.centres) for batch in first]
    assert min(distinct) == 3  # of the six words, three are in each block
    in_order = StreamedExamples(ids, 1, V, StreamRule(60), batch_size=20, order="blocks")
    assert max(len(batch.centres) for batch in in_order.batches(np.random.default_rng(0))) == 2


@pytest.mark.parametrize("order", ORDERS)
def test_the_same_generator_gives_the_same_epochs(order):
    examples = StreamedExamples(
        IDS, 3, V, StreamRule(50), order=order, subsampling=PaperSubsampling(0.02), shrinking_window=True
    )
    one, other = np.random.default_rng(1), np.random.default_rng(1)
    epochs = [list(examples.batches(one)) for _ in range(3)]
    for epoch in epochs:
        for batch, same in zip(epoch, examples.batches(other), strict=True):
            assert_same_batch(batch, same)
    assert len({tuple(sorted(epoch_pairs(epoch).items())) for epoch in epochs}) == 3  # drawn anew each time


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_drawn_depends_neither_on_the_blocks_nor_on_the_order(order):
    choices = {"subsampling": PaperSubsampling(0.02), "shrinking_window": True}
    whole = StreamedExamples(IDS, 3, V, StreamRule(1000), **choices)
    parts = StreamedExamples(IDS, 3, V, StreamRule(7), order=order, **choices)
    expected = epoch_pairs(whole.batches(np.random.default_rng(3)))
    assert epoch_pairs(parts.batches(np.random.default_rng(3))) == expected


@pytest.mark.parametrize("subsampling", [None, PaperSubsampling(0.05), Word2VecSubsampling(0.05)])
@pytest.mark.parametrize("shrinking_window", [False, True])
def test_epochs_have_as_many_pairs_as_expected(subsampling, shrinking_window):
    ids = np.minimum(np.random.default_rng(1).geometric(0.4, 20_000) - 1, V - 1).astype(np.int32)
    examples = StreamedExamples(
        ids, 4, V, subsampling=subsampling, shrinking_window=shrinking_window, batch_size=5000
    )
    generator = np.random.default_rng(2)
    of_contexts, epochs = np.zeros(V), 5
    for _ in range(epochs):
        batches = list(examples.batches(generator))
        pairs = sum(batch.pairs for batch in batches)
        assert pairs == pytest.approx(examples.pairs_per_epoch, rel=0.03)
        for batch in batches:
            of_contexts += np.bincount(batch.labels.cells % V, batch.labels.counts, minlength=V)
    np.testing.assert_allclose(of_contexts / of_contexts.sum(), examples.context_shares, rtol=0.05)


def test_the_pairs_to_measure_by_are_those_of_the_text():
    segments = np.array([0, 100, 101, 400])
    examples = StreamedExamples(IDS, 3, V, subsampling=PaperSubsampling(0.01), segments=segments)
    centres, contexts, counts = examples.pairs.distinct()
    counted = dict(zip(zip(centres.tolist(), contexts.tolist(), strict=True), counts.tolist(), strict=True))
    assert counted == text_pairs(IDS, 3, segments)


def allocated_by_an_epoch(path, tokens, order):
    np.resize(IDS, tokens).tofile(path)
    ids = np.memmap(path, np.int32, "r")
    examples = StreamedExamples(
        ids, 2, V, StreamRule(1000), subsampling=PaperSubsampling(0.05), batch_size=4096, order=order
    )
    generator = np.random.default_rng(0)
    tracemalloc.start()
    try:
        batches = sum(1 for _ in examples.batches(generator))
        return tracemalloc.get_traced_memory()[1], batches
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", ORDERS)
def test_memory_does_not_grow_with_the_text(tmp_path, order):
    short, batches_of_short = allocated_by_an_epoch(tmp_path / "short", 20_000, order)
    long, batches_of_long = allocated_by_an_epoch(tmp_path / "long", 400_000, order)
    assert batches_of_long > 10 * batches_of_short
    assert long < 1.05 * short + 8 * 400  # 400 blocks, whose order is drawn as a whole
    assert long < 4096 * 200


def test_building_a_stream_takes_no_memory_either(tmp_path):
    np.resize(IDS, 3_000_000).tofile(tmp_path / "ids")
    ids = np.memmap(tmp_path / "ids", np.int32, "r")
    tracemalloc.start()
    try:
        StreamedExamples(
            ids, 2, V, StreamRule(10_000), subsampling=PaperSubsampling(0.05), shrinking_window=True
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < ids.nbytes


class Rates:
    """A schedule that notes at which step it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, step, total_steps, epoch, epochs):
        self.asked.append((step, epoch))
        return Linear()(step, total_steps, epoch, epochs)


def test_the_schedule_goes_from_start_to_end_whatever_is_drawn():
    examples = StreamedExamples(
        IDS, 3, V, batch_size=5, subsampling=PaperSubsampling(0.05), shrinking_window=True
    )
    schedule = Rates()
    trainer = Trainer(
        examples,
        ArticleInitialization()(V, 4, np.random.default_rng(0)),
        schedule=schedule,
        epochs=30,
        generator=np.random.default_rng(1),
    )
    trainer.train()
    expected = examples.batches_per_epoch
    steps_by_epoch = [[step for step, of in schedule.asked if of == epoch] for epoch in range(30)]
    lengths = {len(steps) for steps in steps_by_epoch}
    assert (
        min(lengths) < expected < max(lengths)
    )  # some epochs have fewer batches than expected, some have more
    for epoch, steps in enumerate(steps_by_epoch):
        regular = [epoch * expected + min(number, expected - 1) for number in range(len(steps))]
        assert steps == regular
    assert trainer.total_steps == 30 * expected
    assert trainer.pairs_done == pytest.approx(30 * examples.pairs_per_epoch, rel=0.1)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"order": "block"}, "order=block: not an option, did you mean blocks?"),
        ({"batch_size": 0}, "batch_size=0: must be a whole number, 1 or more."),
        ({"window": 0}, "window=0: must be a whole number, 1 or more."),
    ],
)
def test_a_choice_that_cannot_be_used_is_refused(choice, said):
    with pytest.raises(SettingError, match=re.escape(said)):
        StreamedExamples(**({"ids": IDS, "window": 1, "vocabulary_size": V} | choice))
    with pytest.raises(SettingError, match=re.escape("block=0: must be a whole number, 1 or more.")):
        StreamRule(0)


def test_a_text_without_pairs_is_refused():
    with pytest.raises(CorpusError, match="no pair to train on"):
        StreamedExamples(IDS[:1], 1, V)
    with pytest.raises(CorpusError, match="no pair to train on"):
        StreamedExamples(IDS[:3], 1, V, segments=np.array([0, 1, 2, 3]))


def test_an_epoch_that_no_pair_was_drawn_for_is_refused():
    two_words, subsampling = np.array([0, 1], np.int32), PaperSubsampling(0.45)  # each is kept in 95 %
    examples = StreamedExamples(two_words, 1, V, subsampling=subsampling, generator=np.random.default_rng(2))
    generator = np.random.default_rng(0)
    with pytest.raises(CorpusError, match=r"a higher subsampling\.threshold keeps more"):
        for _ in range(1000):
            list(examples.batches(generator))
