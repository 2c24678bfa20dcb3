"""Figures over seeds, and the bars: what is promised of a match."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.measure import Bar

from peers.matches import Match
from peers.training import FAST_TEXT, GENSIM, OURS, Trained

MARGINS = {
    "wordsim353": 0.01,
    "simlex999": 0.01,
    "analogies": 0.02,
}  # of a sampled match's mean, below gensim's


@dataclass(frozen=True)
class Figure:
    """Mean and standard deviation over the seeds (of a sample; None for a single seed)."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Figure | None:
        """Return the figure of some values; None if there is none, or one is not known."""
        known = list(values)
        numbers = [value for value in known if value is not None]
        if not numbers or len(numbers) < len(known):
            return None
        return cls(statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None)


def of_schedule(done: Sequence[Trained], contender: str, epochs: int | None = None) -> list[Trained]:
    """Return the trainings of a contender with a schedule, its longest by default, by rising seed."""
    own = [one for one in done if one.order.contender == contender]
    wanted = max((one.order.epochs for one in own), default=0) if epochs is None else epochs
    return sorted((one for one in own if one.order.epochs == wanted), key=lambda one: one.order.seed)


def bars(match: Match, done: Sequence[Trained]) -> list[Bar]:
    """Return the bars of a match; none where a side is missing or nothing is promised.

    Every contender is taken at its longest schedule. Which schedule and which vectors count is settled before
    anything is trained, so nothing is picked by its score.
    """
    if match.promised is not None:
        return _exact_bars(match, done)
    return [*_speed_bars(match, done), *_quality_bars(match, done)]


def _exact_bars(match: Match, done: Sequence[Trained]) -> list[Bar]:
    """Return the scores that are promised, and our time of gensim's."""
    ours, theirs = of_schedule(done, OURS), of_schedule(done, GENSIM)
    if not match.promised or not ours or not theirs:
        return []
    found = []
    for name, bound in match.promised.items():
        figure = Figure.of(one.score(name, match.vectors) for one in ours)
        value = figure.mean if figure else float("nan")  # NaN keeps no promise
        found.append(Bar(f"{name}, {match.vectors} vectors", value, "", bound, at_most=False))
    ratio = statistics.fmean(one.seconds for one in ours) / statistics.fmean(one.seconds for one in theirs)
    return [*found, Bar("time, of gensim's", ratio, "×", 1)]


def _speed_bars(match: Match, done: Sequence[Trained]) -> list[Bar]:
    """Return how many times a peer's words a second ours are: by processor time, and on the clock.

    A promise is judged by the processor time on one core, which leaves out what others take, and else on the
    clock. Nothing is promised against fastText.
    """
    measures: dict[str, Callable[[Trained], float]] = {
        "processor time": lambda one: one.cpu_seconds,
        "the clock": lambda one: one.seconds,
    }
    if match.quality_in_time:  # our number of epochs is free, and counting is shared out among them
        measures["the clock, without counting"] = lambda one: one.seconds - one.counting_seconds
    judged = "processor time" if match.cores == 1 else "the clock"
    found = []
    for peer in (GENSIM, FAST_TEXT):
        theirs, ours = _neighbours(done, peer)
        for name, seconds in measures.items() if ours else ():
            ratio = statistics.median(
                (seconds(its) / its.order.epochs) / (seconds(mine) / mine.order.epochs)
                for its, mine in zip(theirs, ours, strict=True)
            )
            is_promised = name == judged and peer == GENSIM
            least, goal = (match.at_least, match.goal) if is_promised else (None, None)
            found.append(
                Bar(f"words a second by {name}, of {peer}'s", ratio, "×", least, goal, at_most=False)
            )
    return found


def _quality_bars(match: Match, done: Sequence[Trained]) -> list[Bar]:
    """Return quality and memory against gensim's over the same seeds."""
    theirs, ours = _neighbours(done, GENSIM)
    if not ours:
        return []
    wanted = {
        name: f.mean for name in MARGINS if (f := Figure.of(one.score(name, "input") for one in theirs))
    }
    found = []
    if match.quality_in_time and wanted:
        ratios = [
            its.seconds / reached if (reached := _first_with(mine, wanted, match.vectors)) else 0.0
            for its, mine in zip(theirs, ours, strict=True)
        ]
        lasts = statistics.median(mine.seconds / its.seconds for its, mine in zip(theirs, ours, strict=True))
        what = "gensim's time, of ours to its quality"
        found.append(Bar(what, statistics.median(ratios), "×", 1, match.goal, at_most=False))
        found.append(Bar("our whole training, of gensim's time", lasts, "×"))
    for name, mean in wanted.items():
        figure = Figure.of(one.score(name, match.vectors) for one in ours)
        if figure is not None:
            least, goal = (None, None) if match.quality_in_time else (-100 * MARGINS[name], 0.0)
            what = f"{name} above gensim's {mean:.3f}"
            found.append(Bar(what, 100 * (figure.mean - mean), "hundredths", least, goal, at_most=False))
    memory = statistics.median(one.resident for one in ours) / statistics.median(
        one.resident for one in theirs
    )
    return [*found, Bar("memory, of gensim's", memory, "×", 1)]


def _first_with(trained: Trained, wanted: dict[str, float], vectors: str) -> float | None:
    """Return when vectors first scored within the margins on all sets; None if they never did."""
    for point in trained.points:
        if all((point.value(name, vectors) or 0) >= mean - MARGINS[name] for name, mean in wanted.items()):
            return point.seconds
    return None


def _neighbours(done: Sequence[Trained], peer: str) -> tuple[list[Trained], list[Trained]]:
    """Return the trainings of a peer and ours with the same seeds."""
    theirs, ours = of_schedule(done, peer), of_schedule(done, OURS)
    seeds = {one.order.seed for one in theirs} & {one.order.seed for one in ours}
    return [one for one in theirs if one.order.seed in seeds], [
        one for one in ours if one.order.seed in seeds
    ]
