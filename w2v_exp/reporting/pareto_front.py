"""Configurations that no other beats: the Pareto front of what a run achieves and what it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from w2v_exp.metrics import Ranking
from w2v_exp.reporting.group import Group


def pareto_front(groups: Sequence[Group], ranking: Ranking, effort: str) -> list[Group]:
    """Return the groups than which no other is as good for less effort, or better for as much.

    Parameters
    ----------
    groups : sequence of Group
        Those that lack one of the metrics are never returned.
    ranking : Ranking
        What is wanted.
    effort : str
        A metric of which less is better.

    Returns
    -------
    list of Group
        By rising effort, and so by rising quality. Of groups that are equal in both, the first.
    """
    known = [g for g in groups if g.ranks(ranking.metric) and math.isfinite(g.mean(effort))]
    known.sort(key=lambda group: (group.mean(effort), -ranking.sign * group.mean(ranking.metric)))
    front: list[Group] = []
    best = -math.inf
    for group in known:
        quality = ranking.sign * group.mean(ranking.metric)
        if quality > best:
            front.append(group)
            best = quality
    return front
