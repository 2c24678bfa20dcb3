"""The figures that the article prints, read from the CSV files beside this module."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "published"


@dataclass(frozen=True)
class PublishedFigures:
    """What was printed; ``published/README.md`` tells where.

    Parameters
    ----------
    counts : dict of str to int
        Tokens, words and pairs of the sentence.
    pairs : list of (str, str)
        The worked example: centre and context of each pair, in order.
    epochs : ndarray of int, shape (500,)
        The epochs whose cost was printed.
    costs : dict of str to ndarray of float64, shape (500,)
        The cost at these epochs, by label encoding.
    neighbours : dict of str to dict of str to list of str
        By label encoding and input word, the neighbour words in the order of their rank.
    """

    counts: dict[str, int]
    pairs: list[tuple[str, str]]
    epochs: NDArray[np.int64]
    costs: dict[str, NDArray[np.float64]]
    neighbours: dict[str, dict[str, list[str]]]

    @classmethod
    def read(cls, folder: Path = FOLDER) -> PublishedFigures:
        """Return the figures in the CSV files of a folder."""
        costs = _rows(folder / "published_costs.csv")
        neighbours: dict[str, dict[str, list[str]]] = {}
        for row in _rows(folder / "published_neighbours.csv"):
            ranked = [row[f"rank_{rank}"] for rank in range(1, 5)]
            neighbours.setdefault(row["labels"], {})[row["input_word"]] = ranked
        return cls(
            {row["what"]: int(row["value"]) for row in _rows(folder / "published_counts.csv")},
            [(row["centre"], row["context"]) for row in _rows(folder / "published_pairs.csv")],
            np.array([int(row["epoch"]) for row in costs]),
            {labels: np.array([float(row[f"{labels}_labels"]) for row in costs]) for labels in neighbours},
            neighbours,
        )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
