"""Vectors in which some of the analogies hold, for the tests of evaluation."""

from functools import cache

import numpy as np
import pytest

from w2v_exp.embeddings.analogies import AnalogySet
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.word_pairs import WordPairSet


@cache
def structured_embeddings(seed=9, dim=40, dtype=np.float32):
    """Return embeddings of most words of gensim's three sets, in several cases, with noise around each relation.

    With seed 9 the cosines of different pairs are 2.5e-6 apart or more: rounding, which is not the same on all
    machines, changes no rank.
    """
    generator = np.random.default_rng(seed)
    vectors = {}
    for section in AnalogySet.read("questions-words").sections:
        relation = generator.standard_normal(dim)
        for question in section.questions:
            for first, second in (question[:2], question[2:]):
                vector = vectors.setdefault(first, generator.standard_normal(dim))
                vectors.setdefault(second, vector + relation + generator.standard_normal(dim) * 0.7)
    for name in ("wordsim353", "simlex999"):
        read = WordPairSet.read(name)
        for (first, second), score in zip(read.pairs, read.scores, strict=True):
            vector = vectors.setdefault(first, generator.standard_normal(dim))
            vectors.setdefault(second, vector * score / 10 + generator.standard_normal(dim))
    words = [word for word in generator.permutation(list(vectors)).tolist() if generator.random() < 0.95]
    rows = [vectors[word] for word in words]
    spellings = set(words)
    for number, word in enumerate(list(words)):  # a second spelling, before or after the first
        if number % 10 < 2:
            changed = word.swapcase() if number % 10 else word.upper()
            if changed not in spellings:
                spellings.add(changed)
                place = int(generator.integers(len(words) + 1))
                words.insert(place, changed)
                rows.insert(place, vectors[word] + generator.standard_normal(dim) * 0.1)
    return Embeddings(words, None, np.array(rows, dtype))


def in_gensim(embeddings):
    """Return the same vectors as gensim's KeyedVectors; where gensim is not installed, the test is skipped."""
    theirs = pytest.importorskip("gensim.models").KeyedVectors(
        embeddings.input.shape[1], dtype=embeddings.input.dtype
    )
    theirs.add_vectors(embeddings.words, embeddings.input)
    return theirs
