"""Which words are probed, and what is near them."""

import numpy as np
import pytest

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.neighbours import Probe, probe
from w2v_exp.embeddings.word_queries import chosen_probes


@pytest.mark.parametrize(
    ("size", "ranks"),
    [
        (1, [1]),
        (3, [1, 2, 3]),
        (50, [5, 7, 10, 13, 19, 26, 36, 50]),
        (100_000, [100, 193, 373, 720, 1389, 2683, 5179, 10_000]),
    ],
)
def test_probes_are_spaced_by_the_logarithm_of_their_rank(size, ranks):
    words = [f"word{rank}" for rank in range(1, size + 1)]
    assert chosen_probes(words) == [f"word{rank}" for rank in ranks]


def test_a_probe_has_its_count_and_its_neighbours_and_an_unknown_one_neither():
    vectors = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    embeddings = Embeddings(["east", "northeast", "north"], np.array([5, 4, 3]), vectors)
    assert probe(embeddings, ["north", "west", "east"], topn=1) == [
        Probe("north", 3, [("northeast", pytest.approx(0.5**0.5))]),
        Probe("west", None, []),
        Probe("east", 5, [("northeast", pytest.approx(0.5**0.5))]),
    ]
    without_counts = Embeddings(embeddings.words, None, vectors)
    assert probe(without_counts, ["north"])[0].count is None
    assert probe(embeddings, []) == probe(embeddings, ["west"])[:0]
