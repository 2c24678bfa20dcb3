"""Holding out a part of a text."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from w2v_exp.errors import SettingError
from w2v_exp.examples import held_out
from w2v_exp.examples.held_out import ValidationRule
from w2v_exp.examples.sampling import TextPart

SEGMENT_LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=12)


def text_of(lengths):
    """A text of segments of these lengths in which every token is another word, so that it can be told from where."""
    segments = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TextPart(np.arange(segments[-1], dtype=np.int32), segments)


def segments_of(part):
    bounds = [0, len(part.ids)] if part.segments is None else part.segments
    return [part.ids[start:stop].tolist() for start, stop in itertools.pairwise(bounds)]


@property_settings(deadline=None)
@given(
    SEGMENT_LENGTHS,
    st.floats(0.01, 0.99),
    st.sampled_from(["block", "document"]),
    st.integers(1, 7),
    st.integers(0, 99),
)
def test_the_two_parts_are_the_text_and_no_segment_crosses_a_cut(lengths, share, by, block, seed):
    text = text_of(lengths)
    rule = ValidationRule(share, by, block)
    try:
        parts = rule.split(text, np.random.default_rng(seed))
    except SettingError:
        assume(False)
    assert sorted(np.concatenate([part.ids for part in parts]).tolist()) == text.ids.tolist()
    inner_edges = set(text.segments[1:-1].tolist())
    for part, other in (parts, parts[::-1]):
        assert part.ids.tolist() == sorted(part.ids.tolist())  # in the order of the text
        others = set(other.ids.tolist())
        for segment in segments_of(part):
            assert segment, "an empty segment"
            assert segment == list(range(segment[0], segment[-1] + 1))  # nothing has been taken out of it
            before = segment[0] - 1
            # and it begins where it has to: at an edge of the text's own, or behind what went to the other part
            assert before < 0 or before in others or segment[0] in inner_edges


@property_settings(deadline=None)
@given(st.integers(20, 300), st.integers(1, 9), st.floats(0.05, 0.5), st.integers(0, 9))
def test_blocks_are_whole_and_as_many_as_the_share_says(length, block, share, seed):
    blocks = -(-length // block)
    number = round(share * blocks)
    assume(0 < number < blocks)
    text = TextPart(np.arange(length, dtype=np.int32))
    try:
        _, held_out = ValidationRule(share, "block", block).split(text, np.random.default_rng(seed))
    except SettingError:
        assume(False)
    taken, counts = np.unique(held_out.ids // block, return_counts=True)
    assert len(taken) == number
    assert all(
        count == min(block, length - number * block) for number, count in zip(taken, counts, strict=True)
    )


@property_settings(deadline=None)
@given(SEGMENT_LENGTHS, st.floats(0.05, 0.95), st.integers(0, 9))
def test_documents_are_held_out_whole_and_come_near_the_share(lengths, share, seed):
    text = text_of(lengths)
    try:
        _, held_out = ValidationRule(share, "document").split(text, np.random.default_rng(seed))
    except SettingError:
        assume(False)
    whole = segments_of(text)
    assert all(segment in whole for segment in segments_of(held_out))
    assert abs(len(held_out.ids) - share * len(text.ids)) <= max(lengths)


@property_settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=12).map(sorted),
    st.integers(1, 40),
    st.integers(1, 50),
)
def test_ranges_are_gathered_as_one_by_one_in_spans_of_any_length(edges, length, span):
    ids = np.arange(length, dtype=np.int32)
    ranges = np.minimum(edges[: len(edges) // 2 * 2], length).astype(np.int64).reshape(-1, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "GATHERED_AT_ONCE", span)
        found = held_out._gather(ids, ranges, None)
    assert found.dtype == np.int32
    assert found.tolist() == [place for start, stop in ranges.tolist() for place in range(start, stop)]


def test_any_block_may_be_held_out():
    text = TextPart(np.arange(100, dtype=np.int32))
    rule = ValidationRule(0.2, block=10)
    seen = [rule.split(text, np.random.default_rng(seed))[1].ids[::10].tolist() for seed in range(50)]
    assert {start for starts in seen for start in starts} == set(range(0, 100, 10))


@pytest.mark.parametrize("by", ["block", "document"])
def test_a_mapped_text_is_split_in_files_and_alike(by, tmp_path, monkeypatch):
    in_memory = text_of([300, 0, 500, 200])
    in_memory.ids.tofile(tmp_path / "ids")
    mapped = TextPart(np.memmap(tmp_path / "ids", np.int32, mode="r"), in_memory.segments)
    rule = ValidationRule(0.3, by, block=50)
    expected = rule.split(in_memory, np.random.default_rng(3))
    monkeypatch.setattr(held_out, "GATHERED_AT_ONCE", 64)
    for folder, in_files in ((tmp_path, True), (tmp_path / "missing", False)):
        found = rule.split(mapped, np.random.default_rng(3), folder)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.ids, other.ids)
            np.testing.assert_array_equal(one.segments, other.segments)
            assert isinstance(one.ids, np.memmap) == in_files
            assert not isinstance(other.ids, np.memmap)
    assert [file.name for file in tmp_path.iterdir()] == ["ids"]


@pytest.mark.parametrize(
    ("rule", "lengths", "answer"),
    [
        (
            ValidationRule(0.05),
            [16],
            "block=1000: a share of 0.05 of the text's 16 tokens is 0 of 1 such blocks",
        ),
        (ValidationRule(0.9, block=10), [20], "block=10: .* is 2 of 2 such blocks; take a smaller block"),
        (
            ValidationRule(0.5, "document"),
            [0, 9, 0],
            "by=document: the text is a single segment; set corpus.bou",
        ),
        (ValidationRule(0.1, block=1), [10], "share=0.1: leaves no pair to validate with.*a larger block"),
        (ValidationRule(0.9, "document"), [1, 1, 1, 1], "share=0.9: leaves no pair to train on"),
    ],
)
def test_a_split_that_leaves_no_pair_is_refused_with_what_to_do(rule, lengths, answer):
    with pytest.raises(SettingError, match=answer):
        rule.split(text_of(lengths), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ({"share": 1.0}, "share=1.0: must be a number at least 0 and below 1"),
        ({"share": -0.1}, "share=-0.1: must be a number at least 0"),
        ({"by": "blocks"}, "by=blocks: not an option, did you mean block"),
        ({"block": 0}, "block=0: must be a whole number, 1 or more"),
        ({"every": 0}, "every=0: must be a whole number, 1 or more"),
    ],
)
def test_settings_are_checked(setting, answer):
    with pytest.raises(SettingError, match=answer):
        ValidationRule(**setting)


@pytest.mark.parametrize(
    ("every", "epochs", "due"), [(1, 3, [0, 1, 2]), (2, 5, [1, 3, 4]), (9, 3, [2]), (1, 0, [])]
)
def test_the_cost_is_taken_every_so_many_epochs_and_after_the_last(every, epochs, due):
    validated = ValidationRule(0.1, every=every).validated_epochs(epochs)
    assert [*validated] == due
    assert [epoch for epoch in range(-2, epochs + 2) if epoch in validated] == due
