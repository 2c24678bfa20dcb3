"""What came of each trial, seed by seed: a file of JSON lines that grows with every run and never forgets one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from claim.results import Figure, Point, Training

from ablations.trials import Trial
from w2v_exp.errors import UserError
from w2v_exp.files import replacing
from w2v_exp.text.encoding import EncodedText

# What of a plan changes nothing in what is trained or scored. (Which vectors are scored is the trial's choice.)
WITHOUT_EFFECT = ("cache", "tracking", "embedding", "seed", "repeats", "bounds", "estimate")


@dataclass(frozen=True)
class Outcome:
    """One trial from one seed.

    Parameters
    ----------
    conditions : str
        A digest of all that it depends on but the seed: those of the same conditions belong together.
    training : Training
        Time and scores. The time is that of making the parameters and training; counting pairs is told apart, and is
        0 where they had been counted for another trial.
    costs : list of (float, float)
        Seconds of training, and the mean cost of the steps, after each epoch.
    cost : float or None
        Nats a pair, of the run's own pairs, in the end; None if it diverged: ended above log V.
    explained : float or None
        `information_explained`; None where pairs are sampled, too.
    circumstances : dict of str to str
        Date, commit, machine.
    """

    conditions: str
    training: Training
    costs: list[tuple[float, float]]
    cost: float | None
    explained: float | None
    circumstances: dict[str, str]

    @property
    def end(self) -> Point | None:
        """Scores in the end; None if it diverged: ended above log V."""
        return None if self.cost is None else self.training.end

    @property
    def seconds(self) -> float | None:
        """How long it took, without counting; None if it diverged."""
        return None if self.cost is None else self.training.end.seconds

    def score(self, name: str, vectors: str) -> float | None:
        """Return what some vectors scored in the end."""
        return self.end.value(name, vectors) if self.end else None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Outcome:
        """Return what `asdict` has made a dict of."""
        made = {
            "training": Training.from_json(values["training"]),
            "costs": [(float(seconds), float(cost)) for seconds, cost in values["costs"]],
        }
        return cls(**(values | made))


class Outcomes:
    """All runs there are.

    Parameters
    ----------
    file : Path
        Where they are kept, a line for each. What is there already is read.
    text : EncodedText
        What is trained on.

    Raises
    ------
    UserError
        If the file is not one of outcomes.
    """

    def __init__(self, file: Path, text: EncodedText) -> None:
        self._file = file
        self._text = text
        self._known: dict[tuple[str, int], Outcome] = {}
        self._aside: set[tuple[str, int]] = set()
        try:
            lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            for outcome in (Outcome.from_json(json.loads(line)) for line in lines):
                self._known[outcome.conditions, outcome.training.seed] = outcome
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{file} cannot be gone on with ({type(error).__name__}: {error}); "
                "delete it, or name another file with --runs."
            ) from error

    def conditions(self, trial: Trial) -> str:
        """Return a digest of all that a trial's outcome depends on but the seed, and the code."""
        described = {
            field.name: repr(getattr(trial.plan, field.name))
            for field in fields(trial.plan)
            if field.name not in WITHOUT_EFFECT
        }
        looked_at = {"moments": repr(trial.moments), "vectors": repr([*trial.vectors])}
        described |= looked_at | {"text": self._text.digest}
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]

    def of(self, trial: Trial) -> list[Outcome]:
        """Return a trial's outcomes, by seed."""
        conditions = self.conditions(trial)
        known = {
            seed: outcome
            for (of, seed), outcome in self._known.items()
            if of == conditions and (of, seed) not in self._aside
        }
        return [known[seed] for seed in sorted(known)]

    def figure(self, trial: Trial, value: Callable[[Outcome], float | None]) -> Figure | None:
        """Return a figure of a trial over its seeds; None if it is not known of all of them."""
        return Figure.of(value(outcome) for outcome in self.of(trial))

    def set_aside(self, trials: Iterable[Trial], seeds: Collection[int]) -> None:
        """Leave out the outcomes of some trials, which are to be run anew; the file keeps each until then."""
        self._aside = {(self.conditions(trial), seed) for trial in trials for seed in seeds}

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome, in the file as well, instead of one of the same conditions and seed."""
        key = outcome.conditions, outcome.training.seed
        self._known[key] = outcome
        self._aside.discard(key)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._file) as stream:  # whole or not at all, whenever it is cut
            for known in self._known.values():
                stream.write(json.dumps(asdict(known)) + "\n")
