"""Throughput against size, window, vocabulary and workers: ours and gensim's skip-gram with negative sampling."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers.order import GENSIM, OURS, Order
from benchmarks.peers.pairings import SETTINGS
from benchmarks.peers.results import Results
from benchmarks.peers.split import Split, split
from benchmarks.peers.text import digest_of
from benchmarks.peers.training import Trained, plan_of, train
from benchmarks.peers.zipf import write_zipf_text
from w2v_exp.machine import available_cores

SERIES: dict[str, tuple[int, ...]] = {
    "dim": (50, 100, 200, 300, 500),
    "window": (2, 5, 10),
    "vocabulary": (10_000, 100_000, 1_000_000),
    "workers": tuple(range(1, available_cores() + 1)),
}
ZIPF_TOKENS = 3_000_000


@dataclass(frozen=True)
class Place:
    """One place of a series.

    Parameters
    ----------
    series : str
        What is varied.
    value : int
        To what.
    """

    series: str
    value: int

    @property
    def name(self) -> str:
        """Return how its trainings are known."""
        return f"{self.series}={self.value}"


class Scaling:
    """Series of trainings of one epoch.

    Parameters
    ----------
    series : mapping of str to sequence of int
        What is varied, and to what.
    ours : sequence of str
        Our configuration, as overrides.
    text : Path
        A plain file; that of the vocabularies is made up.
    seeds : int
        How many trainings of each.
    tokens : int
        Words of the texts that are made up.

    Raises
    ------
    UserError
        For whatever cannot be used.
    """

    def __init__(
        self,
        series: dict[str, tuple[int, ...]],
        ours: Sequence[str],
        text: Path,
        seeds: int,
        tokens: int = ZIPF_TOKENS,
    ) -> None:
        self.places = [Place(name, value) for name, values in series.items() for value in values]
        self._ours, self._text, self._seeds, self._tokens = list(ours), text, seeds, tokens
        self._digests: dict[Place, str] = {}
        for place in self.places:  # what cannot be trained is told before anything is
            plan_of(self._order(place, OURS, 0).overrides, str(text), "unused")

    def trainings(self, results: Results) -> Iterator[Trained]:
        """Do all that are not done yet, both sides in turns."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="w2v_exp-benchmark-")))
            for place in self.places:
                text = self._text_of(place, folder)
                self._digests[place] = digest_of(text)
                for seed in range(self._seeds):
                    for side in (GENSIM, OURS):
                        order = self._order(place, side, seed)
                        if results.of(order, self._digests[place]) is None:
                            trained = train(order, str(text), str(folder), self._digests[place])
                            results.add(trained)
                            yield trained

    def rate(self, results: Results, place: Place, side: str) -> float:
        """Return words a second, the median: by processor time, or on the clock where workers are varied."""
        orders = [self._order(place, side, seed) for seed in range(self._seeds)]
        found = [one for order in orders if (one := results.of(order, self._digests[place]))]
        return statistics.median(
            one.words / (one.seconds if place.series == "workers" else one.cpu_seconds) for one in found
        )

    def split(self, seed: int = 0) -> Split:
        """Return where the time of our training goes, at its usual size on one core."""
        usual = Order("split", OURS, 1, self._overrides(), 1, seed)
        with TemporaryDirectory(prefix="w2v_exp-benchmark-") as folder:
            return split(usual, str(self._text), folder)

    def _order(self, place: Place, side: str, seed: int) -> Order:
        cores = place.value if place.series == "workers" else 1
        varied = {
            "dim": f"dim={place.value}",
            "window": f"window={place.value}",
            "vocabulary": "vocabulary.min_count=1",
            "workers": f"workers={place.value}",
        }[place.series]
        settings = {} if side == OURS else {"sg": 1, "workers": cores}
        return Order(place.name, side, cores, self._overrides(varied), 1, seed, settings, [])

    def _overrides(self, *varied: str) -> list[str]:
        fixed = ["corpus=file", "evaluation=none", "tracking=none", *SETTINGS, "epochs=1"]
        return [*fixed, *self._ours, *varied]

    def _text_of(self, place: Place, folder: Path) -> Path:
        if place.series != "vocabulary":
            return self._text
        file = folder / f"zipf-{place.value}.txt"
        write_zipf_text(file, place.value, max(self._tokens, place.value))
        return file
