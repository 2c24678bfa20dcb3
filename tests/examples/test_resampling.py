"""Resampled documents: copies, segments and counts, against plain Python."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.errors import CorpusError
from w2v_exp.examples import resampling
from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.examples.held_out import ValidationRule
from w2v_exp.examples.resampling import Resampling
from w2v_exp.examples.sampling import TextPart

V = 5


@st.composite
def texts(draw):
    """A text of ten documents or more, some of them empty, and segments anywhere or nowhere."""
    lengths = draw(st.lists(st.integers(2, 6), min_size=10, max_size=14))
    lengths += draw(st.lists(st.just(0), max_size=3))
    lengths = draw(st.permutations(lengths))
    documents = np.concatenate([[0], np.cumsum(lengths)])
    n = int(documents[-1])
    ids = np.array(draw(st.lists(st.integers(0, V - 1), min_size=n, max_size=n)), np.int32)
    cuts = draw(st.none() | st.lists(st.integers(1, n - 1), unique=True))
    segments = None if cuts is None else np.array([0, *sorted(cuts), n])
    return TextPart(ids, segments, documents)


def parts_of(text: TextPart, start: int, stop: int) -> list[list[int]]:
    """The segments of a document, by plain Python."""
    edges = {start, stop}
    if text.segments is not None:
        edges |= {edge for edge in text.segments.tolist() if start < edge < stop}
    return [text.ids[a:b].tolist() for a, b in pairwise(sorted(edges))]


@given(texts(), st.integers(1, 50))
@settings(max_examples=examples(100), deadline=None)
def test_a_sample_has_whole_documents_as_often_as_their_weights_say(text, replicate):
    resampled = Resampling.of(text)
    weights = resampled.weights(replicate)
    expected = [
        part
        for (start, stop), weight in zip(pairwise(text.documents.tolist()), weights.tolist(), strict=True)
        for _ in range(weight)
        for part in parts_of(text, start, stop)
    ]
    if not any(len(part) > 1 for part in expected):
        with pytest.raises(CorpusError, match="no pair"):
            resampled.sample(replicate)
        return
    sample = resampled.sample(replicate)
    assert [sample.ids[a:b].tolist() for a, b in pairwise(sample.segments.tolist())] == expected
    assert sample.ids.dtype == np.int32


@given(texts(), st.integers(1, 50))
@settings(max_examples=examples(50), deadline=None)
def test_the_counts_of_a_sample_are_those_of_its_documents_times_their_weights(text, replicate):
    resampled = Resampling.of(text)
    expected = np.zeros((V, V))
    for (start, stop), weight in zip(
        pairwise(text.documents.tolist()), resampled.weights(replicate), strict=True
    ):
        for part in parts_of(text, start, stop):
            counted = count_window_pairs([np.array(part, np.int32)], 2, V, threads=1)
            centres, contexts, counts = counted.distinct()
            np.add.at(expected, (centres, contexts), weight * counts)
    if not expected.any():
        return
    sample = resampled.sample(replicate)
    counted = count_window_pairs([sample.ids], 2, V, segments=sample.segments, threads=1)
    found = np.zeros((V, V))
    centres, contexts, counts = counted.distinct()
    found[centres, contexts] = counts
    np.testing.assert_array_equal(found, expected)


def test_weights_depend_on_the_replicate_and_the_document_alone():
    few, many = (Resampling(TextPart(np.zeros(2 * n, np.int32)), 2 * np.arange(n + 1)) for n in (1000, 1001))
    np.testing.assert_array_equal(many.weights(3)[:1000], few.weights(3))
    assert (few.weights(3) != few.weights(4)).any()
    weights = np.array([few.weights(replicate) for replicate in range(1, 51)])
    assert abs(weights.mean() - 1) < 0.02
    assert abs(weights.var() - 1) < 0.02


def test_a_mapped_text_is_sampled_in_a_file(tmp_path):
    ids = np.random.default_rng(0).integers(0, V, 60).astype(np.int32)
    ids.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", np.int32, mode="r")
    documents = np.arange(0, 61, 5)
    one, other = (
        Resampling.of(TextPart(each, None, documents)).sample(1, tmp_path) for each in (ids, mapped)
    )
    np.testing.assert_array_equal(one.ids, other.ids)
    assert isinstance(other.ids, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["ids"]


LINES = np.array([0, 3, 4, 9, 14, 20, 24, 30])


@pytest.mark.parametrize(
    ("segments", "by_segment", "expected"),
    [
        (None, False, [0, 10, 20, 30]),
        (LINES, False, [0, 14, 20, 30]),
        (LINES, True, LINES.tolist()),
    ],
)
def test_a_single_document_is_resampled_in_blocks(monkeypatch, segments, by_segment, expected):
    monkeypatch.setattr(resampling, "BLOCK", 10)
    monkeypatch.setattr(resampling, "FEWEST", 2)
    text = TextPart(np.zeros(30, np.int32), segments, np.array([0, 30, 30]))
    assert Resampling.of(text, by_segment=by_segment).documents.tolist() == expected


def test_too_few_documents_are_refused():
    text = TextPart(np.zeros(90, np.int32), None, np.array([*range(0, 81, 10), 80, 90]))
    assert Resampling.of(TextPart(text.ids, None, np.arange(0, 91, 9))).number == 10
    with pytest.raises(CorpusError, match=r"at least 10 documents, .* the text has 9"):
        Resampling.of(text)


@given(texts(), st.sampled_from(["block", "document"]), st.integers(0, 5))
@settings(max_examples=examples(100), deadline=None)
def test_parts_of_a_text_know_their_documents(text, by, seed):
    n = len(text.ids)
    whole = TextPart(np.arange(n, dtype=np.int32), text.documents, text.documents)
    split = ValidationRule(0.4, by, block=4).split(whole, np.random.default_rng(seed))
    for part in split:
        assert len(part.documents) == len(text.documents)
        for k, (start, stop) in enumerate(pairwise(text.documents.tolist())):
            inside = part.ids[part.documents[k] : part.documents[k + 1]].tolist()
            assert inside == [number for number in part.ids.tolist() if start <= number < stop]
