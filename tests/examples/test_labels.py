"""Label encodings: what they take of memory."""

import tracemalloc

import numpy as np
import pytest

from w2v_exp.examples.batch import DenseLabels, SparseLabels


def allocated_by(make):
    tracemalloc.start()
    try:
        made = make()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made is not None
    return held, peak


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("pairs", "vocabulary_size"), [(2000, 500), (500, 4000)])
def test_dense_labels_take_what_was_asked_for(pairs, vocabulary_size, dtype):
    contexts = np.arange(pairs, dtype=np.int32) % vocabulary_size
    needed = DenseLabels.memory(pairs, vocabulary_size, dtype)
    assert needed == pairs * vocabulary_size * np.dtype(dtype).itemsize
    held, peak = allocated_by(lambda: DenseLabels(contexts, vocabulary_size, dtype))
    assert held == pytest.approx(needed, rel=0.01)
    assert peak == pytest.approx(needed, rel=0.02)


def test_sparse_labels_take_four_bytes_a_pair_that_are_there_already():
    contexts = np.zeros(100_000, np.int32)
    assert SparseLabels.memory(100_000, 10**6, np.float64) == contexts.nbytes
    held, _ = allocated_by(lambda: SparseLabels(contexts, 10**6, np.float64))
    assert held < 10_000
