"""Words' vectors from tree nodes and back: inverses of each other, and the derivative of log p."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v_exp.model.hierarchical_softmax import TreeSoftmax
from w2v_exp.model.huffman import HuffmanTree, node_vectors, word_vectors
from w2v_exp.model.parameters import Parameters

DIM = 3


def random_shares(seed, words, unseen=0):
    counts = np.random.default_rng(seed).geometric(0.05, words).astype(float)
    counts[words - unseen :] = 0
    return counts / counts.sum()


def random_rows(seed, rows, dtype=np.float64):
    return np.random.default_rng([seed, 1]).standard_normal((rows, DIM)).astype(dtype)


@settings(deadline=None)  # SciPy is loaded in the first
@given(st.integers(0, 1000), st.integers(1, 40))
def test_nodes_to_word_vectors_give_the_words_again_less_their_mean(seed, words):
    shares, vectors = random_shares(seed, words), random_rows(seed, words)
    tree = HuffmanTree.of(shares)
    again = word_vectors(tree, shares, node_vectors(tree, shares, vectors))
    np.testing.assert_allclose(again, vectors - shares @ vectors, rtol=0, atol=1e-12)


@given(st.integers(0, 1000), st.integers(2, 40))
def test_words_to_node_vectors_give_the_nodes_again_and_have_no_mean(seed, words):
    shares, nodes = random_shares(seed, words), random_rows(seed, words - 1)
    tree = HuffmanTree.of(shares)
    vectors = word_vectors(tree, shares, nodes)
    np.testing.assert_allclose(shares @ vectors, 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(node_vectors(tree, shares, vectors), nodes, rtol=0, atol=1e-10)


def test_words_without_a_pair_count_as_zero():
    shares, vectors = random_shares(0, 12, unseen=3), random_rows(0, 12)
    tree = HuffmanTree.of(shares)
    nodes = node_vectors(tree, shares, vectors)
    zeroed = np.where(shares[:, None] > 0, vectors, 0)
    np.testing.assert_array_equal(nodes, node_vectors(tree, shares, zeroed))
    again = word_vectors(tree, shares, nodes)[:9]
    np.testing.assert_allclose(again, vectors[:9] - shares @ zeroed, rtol=0, atol=1e-12)
    assert np.isfinite(nodes).all()


def test_a_words_vector_is_the_derivative_of_its_logarithm_where_turns_are_as_likely_as_in_the_text():
    # Eight words, all alike: q = ½ at every node, which is σ(0), so at e = 0 nothing is left out.
    tree, nodes, step = HuffmanTree.of(np.ones(8)), random_rows(2, 7), 1e-6
    objective = TreeSoftmax(tree)
    moved = np.concatenate([np.eye(DIM), -np.eye(DIM)]) * step
    logarithms = np.log(objective.probabilities(Parameters(moved, nodes), np.arange(2 * DIM)))
    derivative = (logarithms[:DIM] - logarithms[DIM:]).T / (2 * step)
    np.testing.assert_allclose(
        objective.to_word_vectors(Parameters(moved, nodes)).output, derivative, rtol=0, atol=1e-8
    )


def test_a_words_vector_has_the_slopes_of_its_turns():
    shares, nodes = random_shares(4, 11), random_rows(4, 10)
    tree = HuffmanTree.of(shares)
    wanted = np.zeros((11, DIM))
    paths = [slice(*ends) for ends in zip(tree.starts[:-1], tree.starts[1:], strict=True)]
    for word, path in enumerate(paths):
        for node, turn in zip(tree.nodes[path], tree.branches[path], strict=True):
            going = {-1: 0.0, 1: 0.0}
            for other, its in enumerate(paths):
                for place in np.flatnonzero(tree.nodes[its] == node):
                    going[int(tree.branches[its][place])] += shares[other]
            wanted[word] += turn * (1 - going[int(turn)] / sum(going.values())) * nodes[node]
    np.testing.assert_allclose(word_vectors(tree, shares, nodes), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("words", [1, 2, 50])
def test_float32_stays_float32(words):
    shares, vectors = random_shares(3, words), random_rows(3, words, np.float32)
    tree = HuffmanTree.of(shares)
    nodes = node_vectors(tree, shares, vectors)
    assert nodes.dtype == word_vectors(tree, shares, nodes).dtype == np.float32
    assert nodes.shape == (words - 1, DIM)
    again = word_vectors(tree, shares, nodes)
    np.testing.assert_allclose(again, vectors - (shares @ vectors), rtol=0, atol=1e-5)


def test_an_objective_converts_both_ways_and_leaves_the_embedding():
    shares, vectors = random_shares(5, 9), random_rows(5, 9)
    objective = TreeSoftmax(HuffmanTree.of(shares), shares=shares)
    nodes = objective.to_node_vectors(Parameters(vectors, vectors[::-1]))
    assert nodes.embedding is vectors
    assert nodes.output.shape == (8, DIM)
    words = objective.to_word_vectors(nodes)
    assert words.embedding is vectors
    np.testing.assert_allclose(words.output, vectors[::-1] - shares @ vectors[::-1], rtol=0, atol=1e-12)
