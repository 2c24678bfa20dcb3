"""What came of the trials, as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from article.report import table
from claim.report import UNKNOWN, VECTORS, score_text, seconds, title
from claim.results import Figure
from claim.witness import JUDGED

from ablations.laboratory import pairs_of
from ablations.noise import Difference
from ablations.outcomes import Outcome, Outcomes
from ablations.trials import SHIPPED, Trial

DIVERGED = "diverged"
ABSURD_COST = 1000.0  # nats a pair; log V is 14 for a million words
Value = Callable[[Outcome], float | None]


@dataclass(frozen=True)
class Tables:
    """The tables of some trials.

    Parameters
    ----------
    trials : sequence of Trial
        Of one part; those without an outcome are left out.
    outcomes : Outcomes
        What came of them.
    percent : mapping of str to bool
        The evaluation sets, and whether their scores are shares of right answers.
    """

    trials: Sequence[Trial]
    outcomes: Outcomes
    percent: Mapping[str, bool]

    @property
    def done(self) -> list[Trial]:
        """The trials that have outcomes."""
        return [trial for trial in self.trials if self.outcomes.of(trial)]

    def scores(self) -> str:
        """Return what each trial comes to, by the vectors that its plan chooses."""
        header = ["", *map(title, self.percent), "cost", "information explained", "training", "seeds"]
        return table(header, [self._score_row(trial) for trial in self.done])

    def _score_row(self, trial: Trial) -> list[str]:
        runs = self.outcomes.of(trial)
        diverged = [run for run in runs if run.cost is None]
        if diverged:
            return [
                f"`{trial.title}`",
                DIVERGED,
                *[""] * (len(self.percent) + 2),
                f"{len(diverged)} of {len(runs)}",
            ]
        vectors = trial.plan.embedding
        return [
            name_of(trial),
            *(self._score(trial, one, vectors) for one in self.percent),
            cost_text(self.outcomes.figure(trial, lambda run: run.cost)),
            score_text(self.outcomes.figure(trial, lambda run: run.explained), percent=True),
            seconds(self.outcomes.figure(trial, lambda run: run.seconds)),
            str(len(runs)),
        ]

    def differences(self) -> str:
        """Return what each trial differs in from the settings as shipped, what exceeds the noise in bold."""
        shipped = next(trial for trial in self.trials if trial.name == SHIPPED)
        header = ["", *map(title, self.percent), "cost", "training"]
        rows = []
        for trial in self.done:
            if trial is not shipped:
                same_pairs = pairs_of(trial.plan) == pairs_of(shipped.plan)
                rows.append(
                    [
                        name_of(trial),
                        *(self.score_difference(trial, shipped, one) for one in self.percent),
                        self._difference(trial, shipped, lambda run: run.cost) if same_pairs else UNKNOWN,
                        self._difference(trial, shipped, lambda run: run.seconds, " s", 1),
                    ]
                )
        return table(header, rows)

    def difference(self, trial: Trial, reference: Trial, value: Value) -> Difference | None:
        """Return what a trial differs in from another, over the seeds that both have."""
        values, others = (
            {run.training.seed: value(run) for run in self.outcomes.of(one)} for one in (trial, reference)
        )
        return Difference.of(values, others)

    def score_difference(self, trial: Trial, reference: Trial, name: str) -> str:
        """Return what a trial scores more or less than another on a set."""
        value = score_of(name, trial.plan.embedding)
        if self.percent[name]:
            return self._difference(trial, reference, value, " points", 1, 100)
        return self._difference(trial, reference, value)

    def _difference(
        self, trial: Trial, reference: Trial, value: Value, unit: str = "", digits: int = 3, factor: int = 1
    ) -> str:
        difference = self.difference(trial, reference, value)
        if difference is None:
            return UNKNOWN
        shown = f"{factor * difference.mean:+.{digits}f}".replace("-", "−")
        if difference.deviation is not None:
            shown += f" ± {factor * difference.deviation:.{digits}f}"
        return f"**{shown}{unit}**" if difference.exceeds_noise else f"{shown}{unit}"

    def vectors(self) -> str:
        """Return what each trial scores by each kind of vectors: the same runs, looked at in several ways."""
        header = ["", *(f"{title(one)}: {' / '.join(VECTORS.values())}" for one in self.percent)]
        rows = [
            [
                name_of(trial),
                *(" / ".join(self._mean(trial, one, kind) for kind in JUDGED) for one in self.percent),
            ]
            for trial in self.done
        ]
        return table(header, rows)

    def by_epoch(self) -> str:
        """Return scores while training goes on, of the best learning rate of each optimizer; see `best`."""
        header = ["", "epochs", "time", "cost", *map(title, self.percent)]
        rows = []
        for trial in self.best():
            ends = zip(*(run.training.points for run in self.outcomes.of(trial)), strict=True)
            for points in ends:
                epoch = points[0].epoch
                cost = Figure.of(run.costs[epoch - 1][1] for run in self.outcomes.of(trial))
                scores = [
                    Figure.of(point.value(one, trial.plan.embedding) for point in points)
                    for one in self.percent
                ]
                rows.append(
                    [
                        name_of(trial),
                        str(epoch),
                        seconds(Figure.of(point.seconds for point in points)),
                        cost_text(cost),
                        *(
                            score_text(figure, percent=self.percent[one])
                            for one, figure in zip(self.percent, scores, strict=True)
                        ),
                    ]
                )
        return table(header, rows)

    def best(self) -> list[Trial]:
        """Return the trial with the best learning rate of each optimizer: the highest mean over all sets in the end."""
        best: dict[str, tuple[float, Trial]] = {}
        for trial in self.done:
            figures = [
                self.outcomes.figure(trial, score_of(one, trial.plan.embedding)) for one in self.percent
            ]
            known = [figure.mean for figure in figures if figure]
            quality = sum(known) / len(known) if known else float("-inf")
            if trial.optimizer not in best or quality > best[trial.optimizer][0]:
                best[trial.optimizer] = quality, trial
        return [trial for quality, trial in best.values() if quality > float("-inf")]

    def _score(self, trial: Trial, name: str, vectors: str) -> str:
        return score_text(self.outcomes.figure(trial, score_of(name, vectors)), percent=self.percent[name])

    def _mean(self, trial: Trial, name: str, vectors: str) -> str:
        figure = self.outcomes.figure(trial, score_of(name, vectors))
        return score_text(Figure(figure.mean, None) if figure else None, percent=self.percent[name])


def name_of(trial: Trial) -> str:
    """Return a trial's title as Markdown."""
    return trial.title if trial.name == SHIPPED else f"`{trial.title}`"


def cost_text(figure: Figure | None) -> str:
    """Return a cost with its deviation; of one that is beyond any that makes sense, its order only."""
    if figure is None or figure.mean < ABSURD_COST:
        return score_text(figure, percent=False)
    return f"{figure.mean:.0e}"


def score_of(name: str, vectors: str) -> Value:
    """Return what takes a score from an outcome."""
    return lambda run: run.score(name, vectors)
