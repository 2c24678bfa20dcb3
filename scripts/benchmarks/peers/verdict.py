"""What the trainings of a pairing come to: ratios of speed, and bars for quality and memory."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from claim.results import Figure

from benchmarks.bar import Bar
from benchmarks.peers.order import FAST_TEXT, GENSIM, OURS
from benchmarks.peers.pairings import Pairing
from benchmarks.peers.training import Trained
from benchmarks.timing import Comparison

MARGINS = {"wordsim353": 0.01, "simlex999": 0.01, "analogies": 0.02}  # of the mean, below gensim's


def speed(pairing: Pairing, sides: dict[str, list[Trained]]) -> list[Comparison]:
    """Return how many times a peer's words a second ours are: by processor time, and on the clock.

    What was promised is judged by the processor time on one core, which leaves out what others take, and else on the
    clock; fastText's ratio is told, and nothing is promised of it.
    """
    found = []
    for peer in (GENSIM, FAST_TEXT):
        theirs, ours = _neighbours(sides.get(peer, []), sides[OURS])
        if not ours:
            continue
        measures = [
            (pairing.cores == 1, "processor time", _cpu_seconds),
            (pairing.cores > 1, "on the clock", _seconds),
        ]
        if (
            pairing.quality_in_time
        ):  # there our number of epochs is free, and counting is shared out among them
            measures.append((False, "on the clock, without counting", _epoch_seconds))
        for judged, variant, measure in measures:
            promised = judged and peer == GENSIM
            found.append(
                Comparison(
                    f"{pairing.title}, against {peer}",
                    variant,
                    "words",
                    ours[0].words,
                    None,
                    [measure(one) for one in theirs],
                    [measure(one) for one in ours],
                    at_least=pairing.at_least if promised else None,
                    goal=pairing.goal if promised else None,
                )
            )
    return found


def bars(pairing: Pairing, sides: dict[str, list[Trained]]) -> list[Bar]:
    """Return quality and memory against gensim's over the same seeds; none if there is no such seed."""
    theirs, ours = _neighbours(sides[GENSIM], sides[OURS])
    if not ours:
        return []
    quality = _quality_in_time if pairing.quality_in_time else _quality
    return [
        *quality(pairing, theirs, ours),
        Bar(
            f"{pairing.title}: memory, of gensim's",
            statistics.median(one.resident for one in ours)
            / statistics.median(one.resident for one in theirs),
            "×",
            promised=1,
        ),
    ]


def score(trainings: Sequence[Trained], name: str) -> Figure | None:
    """Return what a side scores on a set in the end, over the seeds."""
    return Figure.of(one.scores.get(name) for one in trainings)


def _quality(
    pairing: Pairing, theirs: list[Trained], ours: list[Trained], *, promised: bool = True
) -> list[Bar]:
    """Return by how much our scores are above gensim's, each at its end: in hundredths."""
    found = []
    for name, margin in MARGINS.items():
        mine, its = score(ours, name), score(theirs, name)
        if mine is not None and its is not None:
            what = f"{pairing.title}: {name} above gensim's {its.mean:.3f}"
            difference = 100 * (mine.mean - its.mean)
            least, goal = (-100 * margin, 0) if promised else (None, None)
            found.append(Bar(what, difference, "hundredths", least, goal, at_most=False))
    return found


def _quality_in_time(pairing: Pairing, theirs: list[Trained], ours: list[Trained]) -> list[Bar]:
    """Return how many times as fast as gensim's training ours comes to its quality; 0 if it never does.

    Beside it, without a promise: how long ours lasts to its end, and what it scores there.
    """
    wanted = {name: found.mean - margin for name, margin in MARGINS.items() if (found := score(theirs, name))}
    if not wanted:
        return []
    ratios = [
        its.seconds / reached if (reached := _first_with(mine, wanted)) else 0.0
        for its, mine in zip(theirs, ours, strict=True)
    ]
    what = f"{pairing.title}: gensim's time, of ours to its quality"
    lasts = statistics.median(mine.seconds / its.seconds for its, mine in zip(theirs, ours, strict=True))
    return [
        Bar(what, statistics.median(ratios), "×", 1, pairing.goal, at_most=False),
        Bar(f"{pairing.title}: our whole training, of gensim's time", lasts, "×"),
        *_quality(pairing, theirs, ours, promised=False),
    ]


def _first_with(trained: Trained, wanted: dict[str, float]) -> float | None:
    """Return when vectors first scored as wanted on all sets; None if they never did."""
    for point in trained.points:
        scores = {one.set: one.value for one in point.scores}
        if all((scores.get(name) or 0) >= least for name, least in wanted.items()):
            return point.seconds
    return None


def _neighbours(theirs: list[Trained], ours: list[Trained]) -> tuple[list[Trained], list[Trained]]:
    """Return the trainings of both with the same seeds."""
    seeds = sorted({one.order.seed for one in theirs} & {one.order.seed for one in ours})
    return _of_seeds(theirs, seeds), _of_seeds(ours, seeds)


def _of_seeds(trainings: list[Trained], seeds: list[int]) -> list[Trained]:
    return [next(one for one in trainings if one.order.seed == seed) for seed in seeds]


def _seconds(trained: Trained) -> float:
    return trained.seconds / trained.order.epochs


def _cpu_seconds(trained: Trained) -> float:
    return trained.cpu_seconds / trained.order.epochs


def _epoch_seconds(trained: Trained) -> float:
    return (trained.seconds - trained.counting_seconds) / trained.order.epochs
