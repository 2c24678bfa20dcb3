"""The bars of a match: its promises, and the figures that they are judged by."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.measure import Bar

from peers.contenders import FAST_TEXT, GENSIM, OURS
from peers.matches import Match
from peers.training import Trained

# Of a sampled match: by how much our score may be below gensim's, after as many epochs in the median of the seeds, and
# after the time in which gensim reaches its mean.
MARGINS = {"wordsim353": 0.01, "simlex999": 0.005, "analogies": 0.01}
MARGINS_IN_TIME = {"wordsim353": 0.01, "simlex999": 0.01, "analogies": 0.02}


@dataclass(frozen=True)
class Figure:
    """Mean and standard deviation over the seeds (of a sample; None for a single seed)."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Figure | None:
        """Return the figure of some values; None if there are none, or one is None."""
        listed = list(values)
        numbers = [value for value in listed if value is not None]
        if not numbers or len(numbers) < len(listed):
            return None
        return cls(statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None)


def of_schedule(done: Sequence[Trained], contender: str, epochs: int | None = None) -> list[Trained]:
    """Return the trainings of a contender with a schedule, its longest by default, by rising seed."""
    own = [one for one in done if one.order.contender == contender]
    wanted = max((one.order.epochs for one in own), default=0) if epochs is None else epochs
    return sorted((one for one in own if one.order.epochs == wanted), key=lambda one: one.order.seed)


def bars(match: Match, done: Sequence[Trained]) -> list[Bar]:
    """Return the bars of a match; none if a contender is missing or nothing is promised.

    Every contender counts with its longest schedule: it is settled before the training, so none is picked by its score.
    """
    if match.promised is not None:
        return _exact_bars(match, done)
    return [*_speed_bars(match, done), *_quality_bars(match, done)]


def _exact_bars(match: Match, done: Sequence[Trained]) -> list[Bar]:
    """Return the promised scores, and our time relative to gensim's."""
    ours, theirs = of_schedule(done, OURS), of_schedule(done, GENSIM)
    if not match.promised or not ours or not theirs:
        return []
    found = []
    for name, bound in match.promised.items():
        figure = Figure.of(one.score(name) for one in ours)
        value = figure.mean if figure else float("nan")  # NaN keeps no promise
        found.append(Bar(name, value, "", bound, at_most=False))
    ratio = statistics.fmean(one.seconds for one in ours) / statistics.fmean(one.seconds for one in theirs)
    return [*found, Bar("time, of gensim's", ratio, "×", 1)]


def _speed_bars(match: Match, done: Sequence[Trained]) -> list[Bar]:
    """Return the ratios of our words per second to those of each peer, by processor time and by wall time.

    On one core a promise is judged by processor time, which does not include that of other processes, else by wall
    time. Nothing is promised relative to fastText.
    """
    measures: dict[str, Callable[[Trained], float]] = {
        "processor time": lambda one: one.cpu_seconds,
        "wall time": lambda one: one.seconds,
    }
    judged = "processor time" if match.cores == 1 else "wall time"
    found = []
    for peer in (GENSIM, FAST_TEXT):
        theirs, ours = _same_seeds(done, peer)
        for name, seconds in measures.items() if ours else ():
            ratio = statistics.median(
                (seconds(its) / its.order.epochs) / (seconds(mine) / mine.order.epochs)
                for its, mine in zip(theirs, ours, strict=True)
            )
            is_promised = name == judged and peer == GENSIM
            least, goal = (match.at_least, match.goal) if is_promised else (None, None)
            found.append(
                Bar(f"words per second by {name}, of {peer}'s", ratio, "×", least, goal, at_most=False)
            )
    return found


def _quality_bars(match: Match, done: Sequence[Trained]) -> list[Bar]:
    """Return quality and memory relative to gensim's, over the same seeds."""
    theirs, ours = _same_seeds(done, GENSIM)
    if not ours:
        return []
    wanted = {
        name: figure.mean for name in MARGINS if (figure := Figure.of(one.score(name) for one in theirs))
    }
    found = []
    if match.quality_in_time and wanted:
        ratios = [
            its.seconds / reached if (reached := _first_with(mine, wanted)) else 0.0
            for its, mine in zip(theirs, ours, strict=True)
        ]
        lasts = statistics.median(mine.seconds / its.seconds for its, mine in zip(theirs, ours, strict=True))
        what = "gensim's time, of ours to its quality"
        found.append(Bar(what, statistics.median(ratios), "×", 1, match.goal, at_most=False))
        found.append(Bar("our whole training, of gensim's time", lasts, "×"))
    for name, mean in wanted.items():
        pairs = [(mine.score(name), its.score(name)) for mine, its in zip(ours, theirs, strict=True)]
        above = [mine - its for mine, its in pairs if mine is not None and its is not None]
        if len(above) == len(ours):
            least, goal = (None, None) if match.quality_in_time else (-100 * MARGINS[name], 0.0)
            what = f"{name} above gensim's {mean:.3f}"
            if len(above) > 1:
                error = statistics.stdev(above) / math.sqrt(len(above))
                what += f" (standard error {100 * error:.1f})"
            found.append(Bar(what, 100 * statistics.median(above), "hundredths", least, goal, at_most=False))
    medians = [statistics.median(one.resident for one in side) for side in (ours, theirs)]
    return [*found, Bar("memory, of gensim's", medians[0] / medians[1], "×", *match.memory)]


def _first_with(trained: Trained, wanted: dict[str, float]) -> float | None:
    """Return the seconds at which all scores were first within the margins; None if they never were."""
    for point in trained.points:
        if all((point.value(name) or 0) >= mean - MARGINS_IN_TIME[name] for name, mean in wanted.items()):
            return point.seconds
    return None


def _same_seeds(done: Sequence[Trained], peer: str) -> tuple[list[Trained], list[Trained]]:
    """Return the trainings of a peer and ours with the same seeds."""
    theirs, ours = of_schedule(done, peer), of_schedule(done, OURS)
    seeds = {one.order.seed for one in theirs} & {one.order.seed for one in ours}
    return [one for one in theirs if one.order.seed in seeds], [
        one for one in ours if one.order.seed in seeds
    ]
