"""All trainings of some pairings on one text: those that are done, and those that are still to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from claim.contenders import require_gensim
from claim.witness import moments

from benchmarks.peers import fast_text
from benchmarks.peers.order import FAST_TEXT, GENSIM, OURS, SIDES, Order
from benchmarks.peers.pairings import SETTINGS, Pairing
from benchmarks.peers.results import Results
from benchmarks.peers.text import digest_of
from benchmarks.peers.training import Trained, plan_of, train
from benchmarks.real_text import LongText


@dataclass(frozen=True)
class Choice:
    """What is wished for.

    Parameters
    ----------
    pairings : sequence of Pairing
        What is compared.
    overrides : list of str
        Of our configuration, beside those of a pairing.
    epochs : int
        Of all sides; where quality is compared after the same time, not of ours.
    seeds : int
        How many trainings each side has.
    """

    pairings: Sequence[Pairing]
    overrides: list[str]
    epochs: int
    seeds: int


class Match:
    """Pairings on one text.

    Parameters
    ----------
    choice : Choice
        What is wished for.
    text : LongText
        A plain file.

    Raises
    ------
    UserError
        For whatever cannot be used; before anything is trained.
    """

    def __init__(self, choice: Choice, text: LongText) -> None:
        require_gensim()
        self.pairings = choice.pairings
        self._text = str(text.path)
        self._digest = digest_of(text.path)
        self.orders = [  # seed by seed: those who are compared are neighbours in time
            order
            for seed in range(choice.seeds)
            for pairing in choice.pairings
            for order in self._sides(choice, pairing, seed)
        ]

    def _sides(self, choice: Choice, pairing: Pairing, number: int) -> list[Order]:
        """Return the orders of all sides for one of the seeds."""
        fixed = ["corpus=file", "evaluation=standard", "tracking=none", *SETTINGS, *pairing.overrides]
        own = [] if pairing.quality_in_time else [f"epochs={choice.epochs}"]
        overrides = [*fixed, *own, *choice.overrides]
        plan = plan_of(overrides, self._text, "unused")
        epochs = dict.fromkeys(SIDES, choice.epochs) | {OURS: plan.epochs}
        settings = {OURS: {}, GENSIM: dict(pairing.gensim), FAST_TEXT: dict(pairing.fast_text)}
        looks = {side: [count] for side, count in epochs.items()}
        if pairing.quality_in_time:
            looks[OURS] = moments(plan.epochs)
        return [
            Order(
                pairing.name,
                side,
                pairing.cores,
                overrides,
                epochs[side],
                plan.seed + number,
                settings[side],
                looks[side],
            )
            for side in SIDES
            if side != FAST_TEXT or (not number and fast_text.is_installed())  # it takes minutes, so once
        ]

    def trainings(self, results: Results) -> Iterator[Trained]:
        """Carry out all orders that are not yet."""
        with TemporaryDirectory(prefix="w2v_exp-benchmark-") as cache:
            for order in self.orders:
                if results.of(order, self._digest) is None:
                    trained = train(order, self._text, cache, self._digest)
                    results.add(trained)
                    yield trained

    def done(self, results: Results, pairing: Pairing, side: str) -> list[Trained]:
        """Return the trainings of a side, by rising seed."""
        orders = [order for order in self.orders if (order.pairing, order.side) == (pairing.name, side)]
        found = (results.of(order, self._digest) for order in orders)
        return [one for one in found if one is not None]
