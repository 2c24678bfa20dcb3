"""What a user keeps of a training: vectors of words, their formats, and how good their neighbours are."""

from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.neighbours import neighbour_precision, top_neighbours

__all__ = ["Embeddings", "neighbour_precision", "top_neighbours"]
