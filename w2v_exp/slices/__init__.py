"""Embeddings of the slices of a text, such as its years: output weights are frozen, each slice has input vectors."""
