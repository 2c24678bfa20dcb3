"""Huffman's tree, against the textbook's construction with a heap."""

import heapq
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.model.huffman import HuffmanTree

frequencies = st.lists(st.integers(0, 50), min_size=1, max_size=60)


def codes(tree):
    ends = zip(tree.starts[:-1].tolist(), tree.starts[1:].tolist(), strict=True)
    return [tuple(tree.branches[start:stop].tolist()) for start, stop in ends]


def heap_length(counts):
    """The summed length of path, by the textbook: join the two least until one is left."""
    heap, length = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        length += joined
        heapq.heappush(heap, joined)
    return length


@given(frequencies)
def test_no_tree_has_shorter_paths(counts):
    tree = HuffmanTree.of(counts)
    assert int(np.asarray(counts) @ tree.lengths) == heap_length(counts)


@given(frequencies)
def test_a_tree_has_a_leaf_for_each_word(counts):
    tree = HuffmanTree.of(counts)
    assert tree.vocabulary_size == len(counts)
    assert tree.inner_nodes == len(counts) - 1
    assert sorted(set(tree.nodes.tolist())) == list(range(len(counts) - 1))
    # Prefix-free and complete: Kraft's sum is 1.
    assert sum(0.5 ** tree.lengths.astype(float)) == 1
    assert len(set(codes(tree))) == len(counts)


@given(frequencies)
def test_words_that_come_by_a_node_have_come_the_same_way(counts):
    tree = HuffmanTree.of(counts)
    ways = {}
    for word in range(len(counts)):
        path = slice(tree.starts[word], tree.starts[word + 1])
        nodes, turns = tree.nodes[path].tolist(), tree.branches[path].tolist()
        assert nodes == sorted(nodes)
        assert not nodes or nodes[0] == 0
        for depth, node in enumerate(nodes):
            assert ways.setdefault(node, turns[:depth]) == turns[:depth]


@given(frequencies)
def test_frequent_words_are_not_deeper(counts):
    tree = HuffmanTree.of(counts)
    order = np.lexsort((np.arange(len(counts)), -np.asarray(counts)))  # the more frequent; then the lower id
    assert (np.diff(tree.lengths[order]) >= 0).all()


def test_nodes_are_numbered_by_falling_frequency():
    counts = np.random.default_rng(0).integers(1, 1000, 300)
    tree = HuffmanTree.of(counts)
    passing = np.bincount(tree.nodes, weights=np.repeat(counts, tree.lengths))
    assert passing[0] == counts.sum()
    assert (np.diff(passing) <= 0).all()


def test_a_small_tree_is_the_textbooks():
    tree = HuffmanTree.of([5, 2, 1, 1])
    assert codes(tree) == [(1,), (-1, -1), (-1, 1, 1), (-1, 1, -1)]
    assert tree.mean_length([5, 2, 1, 1]) == pytest.approx((5 + 4 + 3 + 3) / 9)


def test_shares_and_counts_give_one_tree():
    counts = np.random.default_rng(1).integers(1, 1 << 20, 500)
    of_counts, of_shares = HuffmanTree.of(counts), HuffmanTree.of(counts / (1 << 30))
    np.testing.assert_array_equal(of_counts.nodes, of_shares.nodes)
    np.testing.assert_array_equal(of_counts.branches, of_shares.branches)


def test_one_word_has_nowhere_to_turn():
    tree = HuffmanTree.of([3])
    assert (tree.vocabulary_size, tree.inner_nodes, len(tree.nodes)) == (1, 0, 0)


@pytest.mark.slow
def test_a_million_words_take_seconds():
    counts = (1e7 / np.arange(1, 1_000_001)).astype(np.int64) + 1
    started = time.process_time()
    tree = HuffmanTree.of(counts)
    assert time.process_time() - started < 20
    assert tree.lengths.max() < 64
