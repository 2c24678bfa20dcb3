"""Looking at what is trained, with the same eyes for every contender, while its clock stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from claim.results import Point, Score
from claim.stopwatch import Stopwatch
from w2v_exp.embeddings.embeddings import Embeddings
from w2v_exp.embeddings.evaluation import Evaluation, Sets
from w2v_exp.experiment.evaluation import evaluation_rows

JUDGED = ("input", "sum", "balanced")
TOTALS = {"": "", "all": "", "semantic": "_semantic", "syntactic": "_syntactic"}  # by section


@dataclass(frozen=True)
class Examiner:
    """Scores vectors.

    Parameters
    ----------
    evaluation : Evaluation
        How.
    sets : mapping of str to WordPairSet or AnalogySet
        On what.
    shared : list of str
        The words that every contender has, by falling count: the first ones of any contender's.
    vectors : sequence of str
        Which ones: see `Embeddings.using`.
    """

    evaluation: Evaluation
    sets: Sets
    shared: list[str]
    vectors: Sequence[str] = JUDGED

    def scores(self, embeddings: Embeddings) -> list[Score]:
        """Return the scores of each kind of vectors; of the shared words, too, if there are others."""
        scores = self._scores(embeddings, "own")
        if len(embeddings) > len(self.shared):
            scores += self._scores(first_words(embeddings, len(self.shared)), "shared")
        return scores

    def _scores(self, embeddings: Embeddings, words: str) -> list[Score]:
        return [
            Score(row.set + TOTALS[row.section], vectors, words, row.score, row.known, row.total)
            for vectors in self.vectors
            for row in evaluation_rows(self.evaluation.score(embeddings.using(vectors), self.sets), epoch=0)
            if row.section in TOTALS
        ]


class Witness:
    """Takes down the quality at some moments of one training.

    Parameters
    ----------
    examiner : Examiner
        Scores the vectors.
    epochs : collection of int
        After how many epochs it looks.
    """

    def __init__(self, examiner: Examiner, epochs: Collection[int]) -> None:
        self.clock = Stopwatch()
        self.points: list[Point] = []
        self.counting_seconds = 0.0
        self._examiner = examiner
        self._epochs = epochs

    def has_counted(self) -> None:
        """Take note that the pairs have been counted."""
        self.counting_seconds = self.clock.seconds

    def after_epoch(self, epoch: int, embeddings: Callable[[], Embeddings]) -> None:
        """Take down the quality after so many epochs, if this is one to look at."""
        if epoch in self._epochs:
            with self.clock.standing():
                scores = self._examiner.scores(embeddings())
                self.points.append(Point(epoch, self.clock.seconds, scores))


def moments(epochs: int) -> list[int]:
    """Return some numbers of epochs, evenly spread in the logarithm, up to all of them.

    >>> moments(5), moments(30), moments(0)
    ([1, 2, 5], [1, 2, 5, 10, 20, 30], [0])
    """
    series = (digit * 10**power for power in range(len(str(epochs))) for digit in (1, 2, 5))
    return [*(number for number in series if number < epochs), epochs]


def first_words(embeddings: Embeddings, count: int) -> Embeddings:
    """Return the embeddings of the first words only."""
    counts, output = embeddings.counts, embeddings.output
    return Embeddings(
        embeddings.words[:count],
        None if counts is None else counts[:count],
        embeddings.input[:count],
        None if output is None else output[:count],
    )
