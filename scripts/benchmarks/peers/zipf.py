"""A made-up text with a vocabulary of any size, whose words are as frequent as Zipf's law has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WRITTEN = 100_000  # words at a time


def write_zipf_text(file: Path, vocabulary_size: int, tokens: int) -> None:
    """Write a text of so many distinct words, each at least once, the others by 1/rank; the same whenever it is asked.

    Parameters
    ----------
    file : Path
        Where to.
    vocabulary_size, tokens : int
        Distinct words, and words; there must be at least as many of the latter.
    """
    generator = np.random.default_rng(0)
    shares = 1 / np.arange(1, vocabulary_size + 1)
    bounds = np.cumsum(shares / shares.sum())
    drawn = np.searchsorted(bounds, generator.random(tokens - vocabulary_size))
    ids = np.concatenate([np.arange(vocabulary_size), np.minimum(drawn, vocabulary_size - 1)])
    generator.shuffle(ids)
    words = np.array([f"w{number}" for number in range(vocabulary_size)], dtype=object)
    with file.open("w", encoding="ascii") as stream:
        for start in range(0, tokens, WRITTEN):
            stream.write(" ".join(words[ids[start : start + WRITTEN]]) + " ")
