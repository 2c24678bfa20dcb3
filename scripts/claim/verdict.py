"""Whether the bars are kept: our longest schedule against numbers, and against gensim's time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from claim.comparison import GENSIM, OURS
from claim.results import Figure, Results
from claim.witness import JUDGED

TIME = "seconds"


@dataclass(frozen=True)
class Bar:
    """One figure that was promised.

    Parameters
    ----------
    what : str
        An evaluation set, or `TIME`.
    bound : float
        What is promised: at least so much; of the time, no more.
    obtained : Figure
        What we came to.
    gensim : dict of str to Figure
        What gensim came to with our words, by kind of vectors; a time is the same for all.
    """

    what: str
    bound: float
    obtained: Figure
    gensim: dict[str, Figure]

    @property
    def kept(self) -> bool:
        """Whether the mean over the seeds keeps the promise."""
        mean = self.obtained.mean
        return mean <= self.bound if self.what == TIME else mean >= self.bound


def bars(results: Results, promised: Mapping[str, float], vectors: str) -> list[Bar]:
    """Return every bar: the promised scores, and gensim's time. Both sides are taken at their longest schedule.

    Which schedule and which vectors count is settled before anything is trained, so nothing is picked by its score.

    Parameters
    ----------
    results : Results
        Complete.
    promised : mapping of str to float
        Scores by evaluation set; if there is none, there is no bar.
    vectors : str
        Which of our vectors count.
    """
    if not promised:
        return []
    ours, theirs = results.schedules(OURS)[-1], results.schedules(GENSIM)[-1]
    found = [
        Bar(
            name,
            bound,
            _known(results.score(OURS, ours, name, vectors)),
            {kind: _known(results.score(GENSIM, theirs, name, kind)) for kind in JUDGED},
        )
        for name, bound in promised.items()
    ]
    time = _known(results.seconds(GENSIM, theirs))
    return [*found, Bar(TIME, time.mean, _known(results.seconds(OURS, ours)), dict.fromkeys(JUDGED, time))]


def _known(figure: Figure | None) -> Figure:
    return figure or Figure(float("nan"), None)  # NaN keeps no promise
