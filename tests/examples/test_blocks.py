"""Blocks have the very pairs of the same draw of a text, for any size of blocks and passages; without listing them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.examples.blocks import (
    BLOCK_NUMBERS,
    BLOCKS_PER_EPOCH,
    FEWEST_TOKENS,
    MOST_TOKENS,
    Block,
    BlockExamples,
    BlockRule,
)
from w2v_exp.examples.pairs import effective_window
from w2v_exp.examples.sampling import NoSubsampling, Word2VecSubsampling
from w2v_exp.examples.streamed import StreamedExamples, StreamRule

V = 6


def pairs_of(block: Block) -> list[tuple[int, int]]:
    """List the pairs of a block, centre by centre, by the definition."""
    pairs = []
    window = (block.words.shape[1] - block.centres.shape[1]) // 2
    for passage, number in np.ndindex(block.centres.shape):
        words, place = block.words[passage], number + window
        before, after = block.before[passage, number], block.after[passage, number]
        around = [*range(place - before, place), *range(place + 1, place + after + 1)]
        pairs += [(int(words[place]), int(words[context])) for context in around]
    return pairs


@property_settings(deadline=None, max_examples=examples(60))
@given(
    st.lists(st.integers(0, V - 1), min_size=2, max_size=80),
    st.integers(1, 6),
    st.integers(1, 30),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 80), max_size=4),
    st.sampled_from([5, 1 << 16]),
    st.integers(1, 30),
)
def test_blocks_have_the_pairs_of_the_stream(
    listed: list[int],
    window: int,
    tokens: int,
    shrinking: bool,
    dropping: bool,
    cuts: list[int],
    span: int,
    passage: int,
) -> None:
    ids = np.array(listed, np.int32)
    segments = np.array(sorted({0, len(ids), *(min(cut, len(ids)) for cut in cuts)}), np.int64)
    choices: dict[str, Any] = {
        "subsampling": Word2VecSubsampling(0.05) if dropping else NoSubsampling(),
        "shrinking_window": shrinking,
        "segments": segments,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("w2v_exp.examples.blocks.SAMPLED_WORDS", span)
        patch.setattr("w2v_exp.examples.blocks.SAMPLED_BLOCKS", 1)
        try:
            streamed = StreamedExamples(
                ids, window, V, StreamRule(7), batch_size=1, generator=np.random.default_rng(1), **choices
            )
        except CorpusError:
            with pytest.raises(CorpusError):
                BlockExamples(ids, window, V, generator=np.random.default_rng(1), **choices)
            return
        blocks = BlockExamples(
            ids, window, V, tokens, passage=passage, generator=np.random.default_rng(1), **choices
        )
        assert blocks.pairs_per_epoch == streamed.pairs_per_epoch
        expected: list[tuple[int, int]] = []
        try:
            for batch in streamed.batches(np.random.default_rng(2)):
                (cell,) = batch.labels.cells  # type: ignore[attr-defined]
                expected.append((int(batch.centres[0]), int(cell)))
        except CorpusError:
            with pytest.raises(CorpusError, match="no pair"):
                list(blocks.batches(np.random.default_rng(2)))
            return
        made = list(blocks.batches(np.random.default_rng(2)))
    assert sorted(pair for block in made for pair in pairs_of(block)) == sorted(expected)
    assert sum(block.pairs for block in made) == len(expected)
    assert blocks.window == effective_window(window, len(ids), segments)
    assert all(block.centres.shape[1] == min(passage, tokens) for block in made)
    assert all(block.centres.size <= blocks.block.centres for block in made)


def test_a_block_has_runs_from_distant_places() -> None:
    ids = np.arange(4096, dtype=np.int32)
    examples = BlockExamples(ids, 2, 4096, 64, passage=16)
    first, second, *_ = examples.batches(np.random.default_rng(0))
    assert first.centres.tolist() == [[*range(start, start + 16)] for start in (0, 1024, 2048, 3072)]
    assert second.centres.tolist() == [[*range(start, start + 16)] for start in (16, 1040, 2064, 3088)]
    # The windows of a passage reach the words beside it, which belong to other blocks.
    assert first.words[1].tolist() == [1022, 1023, *range(1024, 1042)]
    assert pairs_of(first)[-2:] == [(3087, 3088), (3087, 3089)]


def test_blocks_of_a_span_have_the_same_number_of_runs_but_for_one() -> None:
    ids = np.arange(1000, dtype=np.int32)
    examples = BlockExamples(ids, 2, 1000, 70, passage=16)
    assert (examples.block.tokens, examples.block.centres) == (70, 64)
    passages = [len(block.words) for block in examples.batches(np.random.default_rng(0))]
    assert passages == [4] * 15 + [3]


def test_bags_are_counted_by_centre() -> None:
    ids = np.zeros(50, np.int32)
    segments = np.array([0, 1, 20, 50])  # the first word is alone
    examples = BlockExamples(ids, 3, 1, 8, context="mean", segments=segments)
    assert examples.pairs_per_epoch == 49
    assert sum(block.pairs for block in examples.batches(np.random.default_rng(0))) == 49


def test_spans_of_the_text_come_in_another_order_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2v_exp.examples.blocks.SAMPLED_WORDS", 10)
    monkeypatch.setattr("w2v_exp.examples.blocks.SAMPLED_BLOCKS", 1)
    examples = BlockExamples(np.arange(200, dtype=np.int32), 2, 200, 10, order="blocks")
    generator = np.random.default_rng(0)
    epochs = [[int(block.centres[0, 0]) for block in examples.batches(generator)] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(0, 200, 10))


def test_the_number_of_blocks_to_be_expected_is_near_what_comes() -> None:
    ids = np.minimum(np.random.default_rng(1).geometric(0.1, 300_000) - 1, 49).astype(np.int32)
    examples = BlockExamples(ids, 3, 50, 100, subsampling=Word2VecSubsampling(1e-3))
    came = sum(1 for _ in examples.batches(np.random.default_rng(0)))
    assert examples.batches_per_epoch == pytest.approx(came, rel=0.02)


def test_shuffled_pairs_are_refused() -> None:
    with pytest.raises(SettingError, match="order=shuffled: is not supported with labels=blocks"):
        BlockExamples(np.zeros(5, np.int32), 2, 1, order="shuffled")


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_a_block_s_size_follows_from_text_and_dimensions(words: int, dim: int) -> None:
    tokens = BlockRule().block_tokens(words, dim)
    assert FEWEST_TOKENS <= tokens <= MOST_TOKENS
    assert tokens.bit_count() == 1
    if tokens > FEWEST_TOKENS:
        assert words // tokens >= BLOCKS_PER_EPOCH
        assert tokens * dim <= BLOCK_NUMBERS
    if tokens < MOST_TOKENS:
        assert words // (2 * tokens) < BLOCKS_PER_EPOCH or 2 * tokens * dim > BLOCK_NUMBERS


def test_blocks_of_a_long_text() -> None:
    sizes = {dim: BlockRule().block_tokens(10**7, dim) for dim in (10, 100, 128, 200, 300, 500, 10_000)}
    assert sizes == {10: 1024, 100: 1024, 128: 1024, 200: 512, 300: 256, 500: 256, 10_000: 16}


@pytest.mark.parametrize("tokens", [1, 7, 1024, 100_000, np.int64(5)])
def test_a_number_of_tokens_is_that_of_any_text(tokens: int) -> None:
    for words in (0, 10, 10**7):
        assert BlockRule(tokens).block_tokens(words, 100) == tokens


@pytest.mark.parametrize("tokens", [0, -1, 1.5, True, "automatic", "", None])
def test_other_sizes_are_refused(tokens: Any) -> None:
    with pytest.raises(SettingError, match=r"^tokens=.*: must be a whole number, 1 or more"):
        BlockRule(tokens)


def test_blocks_of_a_long_text_have_1024_centres() -> None:
    ids = np.zeros(1 << 20, np.int32)
    assert BlockExamples(ids, 2, 1).tokens == 1024
    assert BlockExamples(ids[:-1], 2, 1).tokens == 512
    workers = [BlockExamples(ids, 2, 1, share=(number, 4)).tokens for number in range(4)]
    assert workers == [1024] * 4
