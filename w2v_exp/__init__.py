"""A laboratory for word embeddings around a NumPy word2vec."""

__version__ = "0.1.0"
