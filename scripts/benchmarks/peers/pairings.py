"""What is compared with what, and what is promised of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SETTINGS = (
    "vocabulary.min_count=5",
    "window=5",
    "dim=100",
)  # of both sides; negatives and sample are gensim's
RATE = 0.025  # where a peer has another one of its own


@dataclass(frozen=True)
class Pairing:
    """Two ways of training the same kind of model, ours and a peer's.

    Parameters
    ----------
    name : str
        For the command line.
    title : str
        For the tables.
    cores : int
        Of every side.
    overrides : tuple of str
        Of our configuration.
    gensim, fast_text : mapping
        What these are told beside what they have in common with us.
    at_least, goal : float
        How many times gensim's words a second ours are to be.
    quality_in_time : bool
        Whether quality is compared after the same time: our epochs are then those of our experiment. Otherwise it is
        compared after the same epochs.
    """

    name: str
    title: str
    cores: int
    overrides: tuple[str, ...]
    gensim: Mapping[str, Any]
    fast_text: Mapping[str, Any]
    at_least: float
    goal: float
    quality_in_time: bool = False


PAIRINGS = (
    Pairing(
        "skipgram",
        "skip-gram, negative sampling, one core",
        1,
        ("experiment=wikipedia_sgns", "threads=1"),
        {"sg": 1, "workers": 1},
        {"model": "skipgram", "loss": "ns", "lr": RATE, "thread": 1},
        2.5,
        4,
    ),
    Pairing(
        "two-cores",
        "skip-gram, negative sampling, two cores",
        2,
        ("experiment=wikipedia_sgns", "workers=2"),
        {"sg": 1, "workers": 2},
        {"model": "skipgram", "loss": "ns", "lr": RATE, "thread": 2},
        2.5,
        4,
    ),
    Pairing(
        "hierarchical",
        "skip-gram, hierarchical softmax, one core",
        1,
        ("experiment=wikipedia_hierarchical", "threads=1"),
        {"sg": 1, "hs": 1, "negative": 0, "workers": 1},
        {"model": "skipgram", "loss": "hs", "lr": RATE, "thread": 1},
        1,
        3,
        quality_in_time=True,
    ),
    Pairing(
        "cbow",
        "CBOW, negative sampling, one core",
        1,
        ("experiment=wikipedia_cbow", "threads=1"),
        {"sg": 0, "workers": 1},
        {"model": "cbow", "loss": "ns", "lr": RATE, "thread": 1},
        1,
        1.5,
    ),
)
