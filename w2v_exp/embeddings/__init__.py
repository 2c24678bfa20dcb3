"""Trained embeddings: word vectors, their files, similarity, evaluation, associations."""

from w2v_exp.embeddings.analogies import AnalogySet
from w2v_exp.embeddings.association_sets import AssociationTest
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.neighbours import neighbour_precision, top_neighbours
from w2v_exp.embeddings.word_pairs import WordPairSet

__all__ = [
    "AnalogySet",
    "AssociationTest",
    "Embeddings",
    "WordPairSet",
    "neighbour_precision",
    "top_neighbours",
]
