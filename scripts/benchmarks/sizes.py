"""How much is done: sizes to measure with, and tiny ones that show that everything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How much is done in one repeat.

    Parameters
    ----------
    epochs : int
        Of the article's training.
    messages : int or None
        How many of the presidents' messages the real text is made of; None for all.
    vocabulary_size : int
        The most words that the real text keeps.
    steps : int
        At that vocabulary, in batches of 256 pairs, window 5.
    large_steps : int
        In batches of 4,096 pairs.
    tokens : int
        Whose pairs are made.
    square : int
        Rows of the square matrices whose products tell the machine's rate.
    checked_words : int
        Words of the text whose exact epoch is compared with plain formulas, before one is timed.
    long_text, stream : int
        Bytes of the text that is encoded and counted, and of the one that is streamed.
    long_vocabulary : int
        The most words that these keep.
    streamed_steps : int
        Taken from the latter.
    page_runs : int
        Of the sweep whose page is made.
    stored_runs : int
        In the store in which a run is looked up.
    repeats : int
        Of what takes seconds at the most.
    long_repeats : int
        Of what takes longer.
    """

    epochs: int
    messages: int | None
    vocabulary_size: int
    steps: int
    large_steps: int
    tokens: int
    square: int
    checked_words: int
    long_text: int
    stream: int
    long_vocabulary: int
    streamed_steps: int
    page_runs: int
    stored_runs: int
    repeats: int
    long_repeats: int


FULL = Size(
    epochs=5000,
    messages=None,
    vocabulary_size=12_000,
    steps=12,
    large_steps=4,
    tokens=200_000,
    square=2048,
    checked_words=4500,  # enough for a slice that is divided among two cores
    long_text=100_000_000,
    stream=1_000_000_000,
    long_vocabulary=30_000,
    streamed_steps=300,
    page_runs=200,
    stored_runs=10_000,
    repeats=11,
    long_repeats=5,
)
TINY = Size(
    epochs=20,
    messages=1,
    vocabulary_size=300,
    steps=2,
    large_steps=1,
    tokens=500,
    square=64,
    checked_words=300,
    long_text=2_100_000,  # less would not be cached
    stream=2_200_000,
    long_vocabulary=1000,
    streamed_steps=5,
    page_runs=4,
    stored_runs=20,
    repeats=2,
    long_repeats=2,
)
