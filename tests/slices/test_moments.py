"""Sums of output vectors by word and document, against the pair counts of each document."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v_exp.examples.counts import count_window_pairs
from w2v_exp.slices import moments
from w2v_exp.slices.moments import ContextSums


def dense(counts):
    """Return pair counts as a matrix."""
    matrix = np.zeros((counts.vocabulary_size, counts.vocabulary_size))
    centres, contexts, numbers = counts.distinct()
    matrix[centres, contexts] = numbers
    return matrix


@settings(max_examples=60)
@given(st.data())
def test_sums_equal_pair_counts_times_output_vectors(data):
    """Also with segments, empty documents, windows that are longer than a document, and words in parts."""
    n, vocabulary = data.draw(st.integers(0, 60)), data.draw(st.integers(1, 6))
    seed = data.draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, vocabulary, n).astype(np.int32)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=4)))
    documents = np.array([0, *cuts, n])
    segments = np.unique([0, *data.draw(st.lists(st.integers(0, n), max_size=4)), n])
    window, shrinking = data.draw(st.integers(1, 8)), data.draw(st.booleans())
    output = generator.normal(size=(vocabulary, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "CONTEXTS_AT_ONCE", data.draw(st.sampled_from([1, 50, 10_000])))
        sums = ContextSums(ids, documents, segments, window=window, shrinking=shrinking, output=output)
        found = sums.of(np.arange(vocabulary))
    assert (sums.frequencies == np.bincount(ids, minlength=vocabulary)).all()
    edges = np.union1d(documents, segments)
    expected = np.zeros((vocabulary, len(documents) - 1, vocabulary))
    for document, (start, stop) in enumerate(pairwise(documents)):
        inside = edges[(edges >= start) & (edges <= stop)] - start
        if stop > start:
            part = ids[start:stop]
            counts = count_window_pairs([part], window, vocabulary, shrinking=shrinking, segments=inside)
            expected[:, document] = dense(counts)
    keys = found.words * len(documents) + found.documents
    assert (np.diff(keys) > 0).all()
    assert found.tokens.sum() == n
    np.testing.assert_allclose(found.sums, (expected @ output)[found.words, found.documents], atol=1e-5)
    np.testing.assert_allclose(found.pairs, expected.sum(axis=2)[found.words, found.documents], rtol=1e-6)
