"""What was measured: every training with all its scores, as a file that grows with each of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from w2v_exp.errors import UserError
from w2v_exp.files import replacing

FILE = "results.json"


@dataclass(frozen=True)
class Score:
    """What some vectors score on a set.

    Parameters
    ----------
    set : str
        Its name; of analogies also ``analogies_semantic`` and ``analogies_syntactic``.
    vectors : str
        ``input`` or ``sum`` (input + output).
    words : str
        ``own``: all that were trained; ``shared``: only those that every contender has.
    value : float or None
        Spearman's correlation, or the share of right answers; None where nothing is known.
    known, total : int
        How many pairs or questions have known words only, and how many there are.
    """

    set: str
    vectors: str
    words: str
    value: float | None
    known: int
    total: int


@dataclass(frozen=True)
class Point:
    """Quality at a moment of training.

    Parameters
    ----------
    epoch : int
        How many epochs had been trained.
    seconds : float
        How long that had taken.
    scores : list of Score
        What the vectors scored then.
    """

    epoch: int
    seconds: float
    scores: list[Score]

    def value(self, name: str, vectors: str, words: str = "own") -> float | None:
        """Return a score; None if it was not measured, or nothing is known."""
        wanted = (name, vectors, words)
        found = (score.value for score in self.scores if (score.set, score.vectors, score.words) == wanted)
        return next(found, None)


@dataclass(frozen=True)
class Training:
    """A complete training: a schedule of so many epochs from its beginning to its end.

    Parameters
    ----------
    contender : str
        Who trained.
    epochs, seed : int
        Of the schedule, and what chance came from.
    counting_seconds : float
        How much of the time went into counting pairs.
    points : list of Point
        The last one is the end; those before it are of an unfinished schedule.
    """

    contender: str
    epochs: int
    seed: int
    counting_seconds: float
    points: list[Point]

    @property
    def end(self) -> Point:
        """The last point."""
        return self.points[-1]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Training:
        """Return what `asdict` has made a dict of."""
        points = [
            Point(point["epoch"], point["seconds"], [Score(**score) for score in point["scores"]])
            for point in values["points"]
        ]
        return cls(**(values | {"points": points}))


@dataclass(frozen=True)
class Figure:
    """A figure over the seeds: mean and standard deviation (of a sample; None for a single seed)."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Figure | None:
        """Return mean and deviation; None if there is no value, or one is not known."""
        known = list(values)
        numbers = [value for value in known if value is not None]
        if not numbers or len(numbers) < len(known):
            return None
        return cls(statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None)


@dataclass(frozen=True)
class Results:
    """All trainings so far, and under what conditions they were.

    Parameters
    ----------
    conditions : dict
        What was trained on, by whom, with what settings: trainings of the same conditions belong together.
    circumstances : dict
        Processor, versions, how long it took to read the text: what may differ when trainings are added later.
    trainings : list of Training
        In the order in which they were done.
    """

    conditions: dict[str, Any]
    circumstances: dict[str, Any]
    trainings: list[Training]

    def of(self, contender: str, epochs: int) -> list[Training]:
        """Return the trainings of a contender with a schedule of so many epochs, one for each seed."""
        return [one for one in self.trainings if (one.contender, one.epochs) == (contender, epochs)]

    def schedules(self, contender: str) -> list[int]:
        """Return the schedules of a contender, by rising epochs."""
        return sorted({one.epochs for one in self.trainings if one.contender == contender})

    @property
    def contenders(self) -> list[str]:
        """Who has trained, in the order in which they turned up."""
        return list(dict.fromkeys(one.contender for one in self.trainings))

    def seconds(self, contender: str, epochs: int) -> Figure | None:
        """Return how long a schedule took."""
        return over_seeds(self.of(contender, epochs), lambda point: point.seconds)

    def score(
        self, contender: str, epochs: int, name: str, vectors: str, words: str = "own"
    ) -> Figure | None:
        """Return what a schedule scored in the end."""
        return over_seeds(self.of(contender, epochs), lambda point: point.value(name, vectors, words))

    def write(self, folder: Path) -> None:
        """Write everything to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / FILE) as stream:
            json.dump(asdict(self), stream, indent=1, ensure_ascii=False)

    @classmethod
    def read(cls, folder: Path, conditions: dict[str, Any], circumstances: dict[str, Any]) -> Results:
        """Return the results in a folder, to go on with; none if there is no file.

        Raises
        ------
        UserError
            If they are of other conditions, or the file is not one of results.
        """
        file = folder / FILE
        if not file.exists():
            return cls(conditions, circumstances, [])
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            there, trainings = values["conditions"], [Training.from_json(one) for one in values["trainings"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{file} cannot be gone on with ({type(error).__name__}: {error}); begin without --resume."
            ) from error
        if there != json.loads(json.dumps(conditions)):
            different = ", ".join(
                key for key in {**there, **conditions} if there.get(key) != conditions.get(key)
            )
            raise UserError(
                f"{file} was made under other conditions ({different}); begin without --resume, "
                "or name another folder with --output."
            )
        return cls(conditions, circumstances, trainings)


def over_seeds(trainings: Sequence[Training], value: Callable[[Point], float | None]) -> Figure | None:
    """Return a figure of the ends of some trainings."""
    return Figure.of(value(training.end) for training in trainings)
